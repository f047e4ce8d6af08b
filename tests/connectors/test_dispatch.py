"""The dispatcher killed, frozen and lied to, on every channel at once; the providers' own books are the judges."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from connectors.channels.catalogue import OPEN
from connectors.clock import SystemClock
from connectors.dispatch import CLAIM_AGE_MAX
from schemas.commands import ChannelCommand
from schemas.words import Channel
from tests.connectors.builders import Rig, a_cancel, a_command, number_of
from tests.connectors.dispatching import Given, processes, run
from tests.connectors.providers import providers_of, simulators_in
from tests.world.postgres import Postgres
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real
EVERY = tuple(sorted(OPEN))
# Their provider can be asked afterwards what it took; a push or a mail that nobody reports stays unknown.
LISTED = (Channel.SMS, Channel.VOICE)


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Simulator]]:
    folder = tmp_path_factory.mktemp("providers")
    started = simulators_in(folder, pace=0.05)
    for simulator in started.values():
        simulator.start()
    yield started
    for simulator in started.values():
        simulator.stop()


_scenes = itertools.count(1)


class Scene:
    """One database, the providers, and dispatchers that come and go."""

    def __init__(self, dsn: str, simulators: dict[str, Simulator], folder: Path) -> None:
        self.rig, self.simulators, self.folder = Rig(dsn, SystemClock()), simulators, folder
        self._dsn, self._started = dsn, 0
        self._since = {name: len(one.book()) for name, one in simulators.items()}
        self._log = folder / "dispatchers.log"
        self._log.touch()
        self._processes: list[Any] = []
        n = next(_scenes)
        # Of its own: the provider's list is shared, and an older call to this number would be taken for ours.
        self.order, self.customer = f"A{n}", f"c{n}"
        self.ids = {channel: f"A{n}~E1.{k}" for k, channel in enumerate(EVERY, 1)}
        self.id, self.number = self.ids[Channel.SMS], number_of(self.customer)
        self.faults()

    @property
    def twilio(self) -> Simulator:
        return self.simulators["twilio"]

    def faults(self, *rules: dict[str, Any]) -> None:
        """The same for every provider."""
        for simulator in self.simulators.values():
            simulator.faults(*rules)

    def dispatcher(
        self,
        failpoint: str = "",
        name: str = "one",
        *,
        meet: int = 1,
        repeat_texts: bool = False,
        timeout_s: float = 20.0,
        ring_s: int = 25,
    ) -> Any:
        self._started += 1
        providers = replace(providers_of(self.simulators, timeout_s=timeout_s), ring_s=ring_s)
        given = Given(
            dsn=self._dsn,
            providers=providers,
            run=f"{name}/{self._started}",
            log=str(self._log),
            failpoint=failpoint,
            meet=meet,
            repeat_texts=repeat_texts,
        )
        process = processes.Process(target=run, args=(given,), daemon=True)
        process.start()
        self._processes.append(process)
        return process

    def file(self, *commands: ChannelCommand) -> None:
        self.rig.claims.file(commands)

    def file_one_a_channel(self) -> None:
        self.file(*(self.command(channel, command_id) for channel, command_id in self.ids.items()))

    def command(self, channel: Channel, command_id: str = "", for_s: float = 600) -> ChannelCommand:
        now = SystemClock().now()
        return a_command(command_id or self.id, channel, now=now, for_s=for_s, customer_ref=self.customer)

    def accepted(self, command_id: str = "") -> list[str]:
        """The ids under which a provider took this command, by the providers' own books."""
        return [
            entry["provider_id"]
            for name, simulator in self.simulators.items()
            for entry in simulator.book("request", since=self._since[name], command_id=command_id or self.id)
            if entry["provider_id"] and entry.get("accepted", True)
        ]

    def times_accepted(self, channels: Iterable[Channel] = EVERY) -> set[int]:
        return {len(self.accepted(self.ids[channel])) for channel in channels}

    def eventually(self, true: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > give_up:
                told = [f"{receipt.command_id} {receipt.state}" for receipt in self.rig.receipts()]
                raise AssertionError(f"{what}; told {told}\n{self._log.read_text()[-3000:]}")
            time.sleep(0.02)

    def settles(self, *states: str, command_id: str = "") -> None:
        self.eventually(lambda: self.rig.state(command_id or self.id) in states, f"never one of {states}")

    def settle(self, state: str, channels: Iterable[Channel] = EVERY) -> None:
        for channel in channels:
            self.settles(state, command_id=self.ids[channel])

    def settle_as_far_as_known(self) -> None:
        """What a provider lists is known to be sent; the rest may have been, and is not repeated."""
        self.settle("sent", LISTED)
        self.settle("suppressed", set(EVERY) - set(LISTED))

    def told(self, channel: Channel) -> list[str]:
        return self.rig.told(self.ids[channel])

    def ages(self) -> None:
        """What is claimed now is so old that its sender has to be gone."""
        with self.rig.pool.connection() as connection:
            connection.execute(
                "UPDATE claims SET claimed_at = claimed_at - %s WHERE state = 'claimed'", [CLAIM_AGE_MAX]
            )

    def is_killed(self, process: Any) -> None:
        self.eventually(lambda: not process.is_alive(), "it was not killed")
        assert process.exitcode == -signal.SIGKILL, self._log.read_text()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self.rig.close()


@pytest.fixture
def scene(dsn: str, simulators: dict[str, Simulator], tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(dsn, simulators, tmp_path)
    yield scene
    scene.close()


def test_a_command_is_sent_once_and_receipted(scene: Scene) -> None:
    scene.dispatcher()
    scene.file_one_a_channel()
    scene.settle("sent")
    assert scene.times_accepted() == {1}
    assert {scene.told(channel)[0] for channel in EVERY} == {"sent"}


def test_a_dispatcher_killed_between_claim_and_socket_sends_nothing_and_nobody_repeats_it(
    scene: Scene,
) -> None:
    scene.file_one_a_channel()
    killed = scene.dispatcher("after_claim_before_send:kill_9", meet=len(EVERY))
    scene.is_killed(killed)
    scene.settle("claimed")
    scene.dispatcher()
    scene.settle("suppressed")
    assert scene.times_accepted() == {0}
    for channel in EVERY:
        assert scene.told(channel) == ["ambiguous:its sender is gone", "suppressed:ambiguous"]


def test_a_dispatcher_killed_between_send_and_record_has_sent_once_and_its_successor_learns_it(
    scene: Scene,
) -> None:
    scene.file_one_a_channel()
    killed = scene.dispatcher("after_send_before_record:kill_9", meet=len(EVERY))
    scene.is_killed(killed)
    assert scene.times_accepted() == {1}
    scene.dispatcher()
    scene.settle_as_far_as_known()
    assert scene.times_accepted() == {1}
    assert {scene.told(channel)[0] for channel in EVERY} == {"ambiguous:its sender is gone"}


def test_a_text_whose_policy_allows_it_is_repeated_after_the_list_did_not_show_it(scene: Scene) -> None:
    scene.file(scene.command(Channel.SMS))
    killed = scene.dispatcher("after_claim_before_send:kill_9", repeat_texts=True)
    scene.is_killed(killed)
    scene.dispatcher(repeat_texts=True)
    scene.settles("sent")
    assert len(scene.accepted()) == 1


def test_a_dispatcher_frozen_before_its_last_look_finds_its_claim_gone_and_sends_nothing(
    scene: Scene,
) -> None:
    scene.file_one_a_channel()
    frozen = scene.dispatcher("after_claim_before_look:stop", meet=len(EVERY))
    scene.eventually(lambda: stopped(frozen), "it was not frozen")
    scene.ages()
    scene.dispatcher("", "two")
    scene.settle("suppressed")
    os.kill(frozen.pid, signal.SIGCONT)
    # Its end shows that it has looked: it finishes what it holds first.
    frozen.terminate()
    frozen.join(120)
    assert frozen.exitcode == 0
    assert scene.times_accepted() == {0}


def test_a_dispatcher_frozen_before_its_socket_does_not_make_a_second_send(scene: Scene) -> None:
    scene.file_one_a_channel()
    frozen = scene.dispatcher("after_claim_before_send:stop", meet=len(EVERY))
    scene.eventually(lambda: stopped(frozen), "it was not frozen")
    scene.ages()
    scene.dispatcher("", "two")
    scene.settle("suppressed")
    os.kill(frozen.pid, signal.SIGCONT)
    # It is past its last look: each send leaves, once, and its id is kept for the edge to recheck.
    scene.eventually(lambda: scene.times_accepted() == {1}, "the thawed sends did not leave")
    scene.file_one_a_channel()
    later = {channel: command_id + "1" for channel, command_id in scene.ids.items()}
    scene.file(*(scene.command(channel, command_id) for channel, command_id in later.items()))
    for command_id in later.values():
        scene.settles("sent", command_id=command_id)
    assert scene.times_accepted() == {1}


@pytest.mark.parametrize("fault", ["accept_then_timeout", "accept_then_500"])
def test_a_provider_that_takes_it_and_does_not_say_so_has_it_once(scene: Scene, fault: str) -> None:
    scene.faults({"match": {"order": scene.order}, "then": fault})
    scene.dispatcher(timeout_s=1.0)
    scene.file_one_a_channel()
    scene.settle_as_far_as_known()
    assert scene.times_accepted() == {1}
    assert {scene.told(channel)[0].partition(":")[0] for channel in EVERY} == {"ambiguous"}


@pytest.mark.parametrize("listing", ["empty", "http_500"])
def test_a_call_of_unknown_fate_is_never_repeated_even_if_the_list_lies(scene: Scene, listing: str) -> None:
    scene.twilio.faults(
        {"match": {"order": scene.order}, "then": "accept_then_timeout"}, {"listing": listing}
    )
    scene.dispatcher(repeat_texts=True, timeout_s=1.0)
    scene.file(scene.command(Channel.VOICE))
    scene.settles("suppressed")
    assert len(scene.accepted()) == 1


def test_a_throttled_send_is_repeated_and_accepted_once(scene: Scene) -> None:
    scene.faults({"match": {"order": scene.order}, "then": "http_429", "count": 2})
    scene.dispatcher()
    scene.file_one_a_channel()
    scene.settle("sent")
    assert scene.times_accepted() == {1}
    assert {one.get("faults")[0]["struck"] for one in scene.simulators.values()} == {2}


def test_a_provider_that_is_away_until_it_is_too_late_is_no_fault_of_the_address(scene: Scene) -> None:
    scene.dispatcher()
    warm = scene.id + "1"
    scene.file(scene.command(Channel.SMS, warm))
    # The dispatcher runs: what comes now is tried in time.
    scene.settles("sent", command_id=warm)
    scene.twilio.faults({"match": {"order": scene.order}, "then": "http_429"})
    scene.file(scene.command(Channel.SMS, for_s=6))
    scene.settles("rejected", "suppressed")
    # Its last repeat does not fit, or comes too late: either way the provider was away.
    assert scene.rig.told(scene.id) in (["provider_down:throttled"], ["provider_down:too_late"])
    assert scene.accepted() == []


def test_an_unsubscribed_customer_is_receipted_as_opted_out(scene: Scene) -> None:
    scene.twilio.faults({"match": {"address": scene.number}, "then": "reject:21610"})
    scene.dispatcher()
    scene.file(scene.command(Channel.SMS))
    scene.settles("rejected")
    assert scene.rig.told(scene.id) == ["suppressed:opted_out"]


def test_a_ringing_call_is_taken_back(scene: Scene) -> None:
    scene.twilio.put(f"phones/{scene.number}", {"picks_up": "person", "ring_ms": 599_000})
    scene.dispatcher(ring_s=600)
    scene.file(scene.command(Channel.VOICE))
    scene.settles("sent")
    scene.rig.claims.file([a_cancel(scene.id, Channel.VOICE)])
    scene.twilio.expect("call_state", state="canceled", provider_id=scene.accepted()[0])


def test_a_restart_of_postgres_stops_nothing_for_good(
    simulators: dict[str, Simulator], tmp_path: Path
) -> None:
    server = Postgres(tmp_path)
    server.start()
    scene = Scene(server.dsn, simulators, tmp_path)
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
    # Nor does the list say before the end what became of it.
    scene.twilio.faults(
        {"match": {"order": scene.order}, "then": "accept_then_timeout"}, {"listing": "http_500"}
    )
    part = scene.dispatcher(timeout_s=5.0)
    scene.file(scene.command(Channel.SMS))
    scene.eventually(lambda: len(scene.accepted()) == 1, "it did not leave")
    part.terminate()
    part.join(120)
    assert part.exitcode == 0
    assert scene.rig.state(scene.id) == "ambiguous"


def stopped(process: Any) -> bool:
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
