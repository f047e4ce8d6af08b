"""The dispatcher killed, frozen and lied to; the provider's own book is the judge."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.clock import SystemClock
from schemas.commands import ChannelCommand
from schemas.words import Channel
from tests.connectors.builders import Rig, a_cancel, a_command, number_of
from tests.connectors.dispatching import Given, processes, run
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


_scenes = itertools.count(1)


class Scene:
    """One database, one provider, and dispatchers that come and go."""

    def __init__(self, dsn: str, provider: Simulator, folder: Path) -> None:
        self.rig, self.provider, self.folder = Rig(dsn, SystemClock()), provider, folder
        self._dsn, self._started, self._since = dsn, 0, len(provider.book())
        self._log = folder / "dispatchers.log"
        self._log.touch()
        self._processes: list[Any] = []
        n = next(_scenes)
        # Of its own: the provider's list is shared, and an older call to this number would be taken for ours.
        self.order, self.customer = f"A{n}", f"c{n}"
        self.id, self.number = f"A{n}~E1.1", number_of(self.customer)
        provider.faults()

    def dispatcher(self, failpoint: str = "", name: str = "one", *, repeat_texts: bool = False) -> Any:
        self._started += 1
        given = Given(
            dsn=self._dsn,
            twilio=self.provider.url,
            run=f"{name}/{self._started}",
            log=str(self._log),
            failpoint=failpoint,
            repeat_texts=repeat_texts,
        )
        process = processes.Process(target=run, args=(given,), daemon=True)
        process.start()
        self._processes.append(process)
        return process

    def file(self, *commands: ChannelCommand) -> None:
        self.rig.claims.file(commands)

    def command(self, channel: Channel, command_id: str = "", for_s: float = 60) -> ChannelCommand:
        now = SystemClock().now()
        return a_command(command_id or self.id, channel, now=now, for_s=for_s, customer_ref=self.customer)

    def accepted(self, command_id: str = "") -> list[str]:
        """The ids under which the provider took this command, by its own book."""
        entries = self.provider.book("request", since=self._since, command_id=command_id or self.id)
        return [entry["provider_id"] for entry in entries if entry["provider_id"]]

    def eventually(self, true: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            logs = self._log.read_text()[-3000:]
            assert time.monotonic() < give_up, (
                f"{what}; told {self.rig.told(self.id)}; state {self.rig.state(self.id)}\n{logs}"
            )
            time.sleep(0.02)

    def settles(self, *states: str, command_id: str = "") -> None:
        self.eventually(lambda: self.rig.state(command_id or self.id) in states, f"never one of {states}")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
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
    assert scene.rig.told(scene.id)[0] == "sent"


@BOTH
def test_a_dispatcher_killed_between_claim_and_socket_sends_nothing_and_nobody_repeats_it(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    killed = scene.dispatcher("after_claim_before_send:kill_9")
    scene.eventually(lambda: not killed.is_alive(), "it was not killed")
    assert scene.rig.state(scene.id) == "claimed"
    scene.dispatcher()
    scene.settles("suppressed")
    assert scene.accepted() == []
    assert scene.rig.told(scene.id) == ["ambiguous:its sender is gone", "suppressed:ambiguous"]


@BOTH
def test_a_dispatcher_killed_between_send_and_record_has_sent_once_and_its_successor_learns_it(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    killed = scene.dispatcher("after_send_before_record:kill_9")
    scene.eventually(lambda: not killed.is_alive(), "it was not killed")
    scene.dispatcher()
    scene.settles("sent")
    assert len(scene.accepted()) == 1
    assert scene.rig.told(scene.id)[:2] == ["ambiguous:its sender is gone", "sent"]


def test_a_text_whose_policy_allows_it_is_repeated_after_the_list_did_not_show_it(scene: Scene) -> None:
    scene.file(scene.command(Channel.SMS))
    killed = scene.dispatcher("after_claim_before_send:kill_9", repeat_texts=True)
    scene.eventually(lambda: not killed.is_alive(), "it was not killed")
    scene.dispatcher(repeat_texts=True)
    scene.settles("sent")
    assert len(scene.accepted()) == 1


@BOTH
def test_a_dispatcher_frozen_before_its_last_look_finds_its_claim_gone_and_sends_nothing(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    frozen = scene.dispatcher("after_claim_before_look:stop")
    scene.eventually(lambda: scene.rig.state(scene.id) == "claimed", "it was not claimed")
    scene.dispatcher("", "two")
    scene.settles("suppressed")
    os.kill(frozen.pid, signal.SIGCONT)
    # Its end shows that it has looked: it finishes what it holds first.
    frozen.terminate()
    frozen.join(30)
    assert frozen.exitcode == 0
    assert scene.accepted() == []


@BOTH
def test_a_dispatcher_frozen_before_its_socket_does_not_make_a_second_send(
    scene: Scene, channel: Channel
) -> None:
    scene.file(scene.command(channel))
    frozen = scene.dispatcher("after_claim_before_send:stop")
    scene.eventually(lambda: scene.rig.state(scene.id) == "claimed", "it was not claimed")
    scene.dispatcher("", "two")
    scene.settles("suppressed")
    os.kill(frozen.pid, signal.SIGCONT)
    # It is past its last look: the send leaves, once, and its id is kept for the edge to recheck.
    scene.eventually(lambda: len(scene.accepted()) == 1, "the thawed send did not leave")
    scene.file(scene.command(channel))
    scene.file(scene.command(channel, scene.id + "1"))
    scene.settles("sent", command_id=scene.id + "1")
    assert len(scene.accepted()) == 1


@BOTH
@pytest.mark.parametrize("fault", ["accept_then_timeout", "accept_then_500"])
def test_a_provider_that_takes_it_and_does_not_say_so_has_it_once(
    scene: Scene, channel: Channel, fault: str
) -> None:
    scene.provider.faults({"match": {"order": scene.order}, "then": fault})
    scene.dispatcher()
    scene.file(scene.command(channel))
    scene.settles("sent")
    assert len(scene.accepted()) == 1
    assert scene.rig.told(scene.id)[0].startswith("ambiguous")


@pytest.mark.parametrize("listing", ["empty", "http_500"])
def test_a_call_of_unknown_fate_is_never_repeated_even_if_the_list_lies(scene: Scene, listing: str) -> None:
    scene.provider.faults(
        {"match": {"order": scene.order}, "then": "accept_then_timeout"}, {"listing": listing}
    )
    scene.dispatcher(repeat_texts=True)
    scene.file(scene.command(Channel.VOICE))
    scene.settles("suppressed")
    assert len(scene.accepted()) == 1


@BOTH
def test_a_throttled_send_is_repeated_and_accepted_once(scene: Scene, channel: Channel) -> None:
    scene.provider.faults({"match": {"order": scene.order}, "then": "http_429", "count": 2})
    scene.dispatcher()
    scene.file(scene.command(channel))
    scene.settles("sent")
    assert len(scene.accepted()) == 1


def test_a_provider_that_is_away_until_it_is_too_late_is_no_fault_of_the_address(scene: Scene) -> None:
    scene.dispatcher()
    warm = scene.id + "1"
    scene.file(scene.command(Channel.SMS, warm))
    # The dispatcher runs: what comes now is tried in time.
    scene.settles("sent", command_id=warm)
    scene.provider.faults({"match": {"order": scene.order}, "then": "http_429"})
    scene.file(scene.command(Channel.SMS, for_s=6))
    scene.settles("rejected", "suppressed")
    # Its last repeat does not fit, or comes too late: either way the provider was away.
    assert scene.rig.told(scene.id) in (["provider_down:throttled"], ["provider_down:too_late"])
    assert scene.accepted() == []


def test_an_unsubscribed_customer_is_receipted_as_opted_out(scene: Scene) -> None:
    scene.provider.faults({"match": {"address": scene.number}, "then": "reject:21610"})
    scene.dispatcher()
    scene.file(scene.command(Channel.SMS))
    scene.settles("rejected")
    assert scene.rig.told(scene.id) == ["suppressed:opted_out"]


def test_a_ringing_call_is_taken_back(scene: Scene) -> None:
    scene.provider.put(f"phones/{scene.number}", {"picks_up": "person", "ring_ms": 200_000})
    scene.dispatcher()
    scene.file(scene.command(Channel.VOICE))
    scene.settles("sent")
    scene.rig.claims.file([a_cancel(scene.id, Channel.VOICE)])
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
    scene.file(scene.command(Channel.SMS, scene.id + "1"))
    scene.settles("sent", command_id=scene.id + "1")
    assert part.is_alive()
    assert [len(scene.accepted(one)) for one in (scene.id, scene.id + "1")] == [1, 1]
    scene.close()
    server.stop()


def test_a_dispatcher_asked_to_end_finishes_what_is_in_its_sockets(scene: Scene) -> None:
    scene.provider.faults({"match": {"order": scene.order}, "then": "accept_then_timeout"})
    part = scene.dispatcher()
    scene.file(scene.command(Channel.SMS))
    scene.eventually(lambda: len(scene.accepted()) == 1, "it did not leave")
    part.terminate()
    part.join(20)
    assert part.exitcode == 0
    assert scene.rig.state(scene.id) == "ambiguous"
