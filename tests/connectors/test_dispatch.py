"""The dispatcher killed, frozen and lied to; the provider's own book is the judge."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.clock import SystemClock
from schemas.commands import ChannelCommand
from schemas.words import Channel
from tests.connectors.builders import ANN, Rig, a_cancel, a_command
from tests.world.part import Part
from tests.world.postgres import Postgres
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real
BOTH = pytest.mark.parametrize("channel", [Channel.SMS, Channel.VOICE], ids=str)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("twilio", tmp_path_factory.mktemp("twilio"), "--calls-per-second", "0", pace=0.05)
    simulator.start()
    yield simulator
    simulator.stop()


class Scene:
    """One database, one provider, and dispatchers that come and go."""

    def __init__(self, dsn: str, provider: Simulator, folder: Path) -> None:
        self.rig, self.provider, self.folder = Rig(dsn, SystemClock()), provider, folder
        self._dsn, self._started, self._since = dsn, 0, len(provider.book())
        self.parts: list[Part] = []
        provider.faults()

    def dispatcher(self, failpoint: str = "", name: str = "one", *more: str) -> Part:
        self._started += 1
        ready = self.folder / f"ready{self._started}"
        part = Part(
            f"dispatcher {name}",
            [
                *(sys.executable, "-m", "tests.connectors.dispatching", "--dsn", self._dsn),
                *("--twilio", self.provider.url, "--run", f"{name}/{self._started}"),
                *("--failpoint", failpoint, "--ready", ready, *more),
            ],
            self.folder / f"dispatcher{self._started}.log",
            cwd=Path(__file__).parents[2],
        )
        part.start(ready.exists)
        self.parts.append(part)
        return part

    def file(self, *commands: ChannelCommand) -> None:
        self.rig.claims.file(commands)

    def command(self, channel: Channel, command_id: str = "A1~E1.1", for_s: float = 60) -> ChannelCommand:
        return a_command(command_id, channel, now=SystemClock().now(), for_s=for_s)

    def accepted(self, command_id: str = "A1~E1.1") -> list[str]:
        """The ids under which the provider took this command, by its own book."""
        entries = self.provider.book("request", since=self._since, command_id=command_id)
        return [entry["provider_id"] for entry in entries if entry["provider_id"]]

    def eventually(self, true: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            logs = "\n".join(part.tail() for part in self.parts)
            assert time.monotonic() < give_up, (
                f"{what}; told {self.rig.told()}; state {self.rig.state()}\n{logs}"
            )
            time.sleep(0.02)

    def settles(self, *states: str, command_id: str = "A1~E1.1") -> None:
        self.eventually(lambda: self.rig.state(command_id) in states, f"never one of {states}")

    def close(self) -> None:
        for part in self.parts:
            part.kill()
        self.rig.close()


@pytest.fixture
def scene(dsn: str, provider: Simulator, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(dsn, provider, tmp_path)
    yield scene
    scene.close()


@BOTH
def test_a_command_is_sent_once_and_receipted(scene: Scene, channel: Channel) -> None:
    scene.dispatcher()
    scene.file(scene.command(channel))
    scene.settles("sent")
    assert len(scene.accepted()) == 1
    assert scene.rig.told()[0] == "sent"


@BOTH
def test_a_dispatcher_killed_between_claim_and_socket_sends_nothing_and_nobody_repeats_it(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    killed = scene.dispatcher("after_claim_before_send:kill_9")
    scene.eventually(lambda: not killed.alive, "it was not killed")
    assert scene.rig.state() == "claimed"
    scene.dispatcher()
    scene.settles("suppressed")
    assert scene.accepted() == []
    assert scene.rig.told() == ["ambiguous:its sender is gone", "suppressed:ambiguous"]


@BOTH
def test_a_dispatcher_killed_between_send_and_record_has_sent_once_and_its_successor_learns_it(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    killed = scene.dispatcher("after_send_before_record:kill_9")
    scene.eventually(lambda: not killed.alive, "it was not killed")
    scene.dispatcher()
    scene.settles("sent")
    assert len(scene.accepted()) == 1
    assert scene.rig.told()[:2] == ["ambiguous:its sender is gone", "sent"]


def test_a_text_whose_policy_allows_it_is_repeated_after_the_list_did_not_show_it(scene: Scene) -> None:
    scene.file(scene.command(Channel.SMS))
    killed = scene.dispatcher("after_claim_before_send:kill_9", "one", "--repeat-texts")
    scene.eventually(lambda: not killed.alive, "it was not killed")
    scene.dispatcher("", "one", "--repeat-texts")
    scene.settles("sent")
    assert len(scene.accepted()) == 1


@BOTH
def test_a_dispatcher_frozen_before_its_socket_does_not_make_a_second_send(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    frozen = scene.dispatcher("after_claim_before_send:stop")
    scene.eventually(lambda: scene.rig.state() == "claimed", "it was not claimed")
    scene.dispatcher("", "two")
    scene.settles("suppressed")
    frozen.send(signal.SIGCONT)
    # It is past its last look: the send leaves, once, and its id is kept for the edge to recheck.
    scene.eventually(lambda: len(scene.accepted()) == 1, "the thawed send did not leave")
    scene.file(scene.command(channel))
    scene.file(scene.command(channel, "A2~E1.1"))
    scene.settles("sent", command_id="A2~E1.1")
    assert len(scene.accepted()) == 1


@BOTH
@pytest.mark.parametrize("fault", ["accept_then_timeout", "accept_then_500"])
def test_a_provider_that_takes_it_and_does_not_say_so_has_it_once(
    scene: Scene, channel: Channel, fault: str
) -> None:
    scene.provider.faults({"match": {"order": "A1"}, "then": fault})
    scene.dispatcher()
    scene.file(scene.command(channel))
    scene.settles("sent")
    assert len(scene.accepted()) == 1
    assert scene.rig.told()[0].startswith("ambiguous")


@pytest.mark.parametrize("listing", ["empty", "http_500"])
def test_a_call_of_unknown_fate_is_never_repeated_even_if_the_list_lies(scene: Scene, listing: str) -> None:
    scene.provider.faults({"match": {"order": "A1"}, "then": "accept_then_timeout"}, {"listing": listing})
    scene.dispatcher("", "one", "--repeat-texts")
    scene.file(scene.command(Channel.VOICE))
    scene.settles("suppressed")
    assert len(scene.accepted()) == 1


@BOTH
def test_a_throttled_send_is_repeated_and_accepted_once(scene: Scene, channel: Channel) -> None:
    scene.provider.faults({"match": {"order": "A1"}, "then": "http_429", "count": 2})
    scene.dispatcher()
    scene.file(scene.command(channel))
    scene.settles("sent")
    assert len(scene.accepted()) == 1


def test_a_provider_that_is_away_until_it_is_too_late_is_no_fault_of_the_address(scene: Scene) -> None:
    scene.provider.faults({"match": {"order": "A1"}, "then": "http_429"})
    scene.dispatcher()
    scene.file(scene.command(Channel.SMS, for_s=3))
    scene.settles("rejected")
    assert scene.rig.told() == ["provider_down:throttled"]
    assert scene.accepted() == []


def test_an_unsubscribed_customer_is_receipted_as_opted_out(scene: Scene) -> None:
    scene.provider.faults({"match": {"address": ANN}, "then": "reject:21610"})
    scene.dispatcher()
    scene.file(scene.command(Channel.SMS))
    scene.settles("rejected")
    assert scene.rig.told() == ["suppressed:opted_out"]


def test_a_ringing_call_is_taken_back(scene: Scene) -> None:
    scene.provider.put(f"phones/{ANN}", {"picks_up": "person", "ring_ms": 200_000})
    scene.dispatcher()
    scene.file(scene.command(Channel.VOICE))
    scene.settles("sent")
    scene.rig.claims.file([a_cancel(channel=Channel.VOICE)])
    scene.provider.expect("call_state", state="canceled", provider_id=scene.accepted()[0])


def test_a_restart_of_postgres_stops_nothing_for_good(provider: Simulator, tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    server.start()
    scene = Scene(server.dsn, provider, tmp_path)
    part = scene.dispatcher()
    scene.file(scene.command(Channel.SMS))
    scene.settles("sent")
    server.kill()
    server.start()
    scene.rig.pool.check()
    scene.file(scene.command(Channel.SMS, "A2~E1.1"))
    scene.settles("sent", command_id="A2~E1.1")
    assert part.alive
    assert [len(scene.accepted(one)) for one in ("A1~E1.1", "A2~E1.1")] == [1, 1]
    scene.close()
    server.stop()


def test_a_dispatcher_asked_to_end_finishes_what_is_in_its_sockets(scene: Scene) -> None:
    scene.provider.faults({"match": {"order": "A1"}, "then": "accept_then_timeout"})
    part = scene.dispatcher()
    scene.file(scene.command(Channel.SMS))
    scene.eventually(lambda: len(scene.accepted()) == 1, "it did not leave")
    assert part.stop() == 0
    assert scene.rig.state() == "ambiguous"
