"""Real calls for tests: a scripted caller at the Twilio simulator, the edge's webhooks, Postgres, and `decide`."""

import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import msgspec
import uvicorn
from starlette.applications import Starlette

from connectors.channels.catalogue import OPEN
from connectors.checks import Checks
from connectors.claims import Claims
from connectors.clock import SystemClock
from connectors.edge.relay import RelaySockets
from connectors.edge.signed import Signed
from connectors.edge.texts import Texts
from connectors.edge.turns import Exchange, Manner
from connectors.edge.twilio import TwilioHooks
from connectors.edge.voice import VoiceHooks
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.register.projection import Placed, project
from connectors.second_opinion import SecondOpinion
from connectors.vault import Vault
from connectors.voice.calls import Calls
from connectors.voice.opening import House
from connectors.voice.provider import CallsInProgress
from schemas.codec import Codec
from schemas.commands import CaseChanged, ChannelCancel, ChannelCommand
from schemas.events import CustomerContact, ReceiptReceived, ResponseReceived
from schemas.registry import LockedRegistry
from schemas.words import Channel, Purpose
from tests.builders import NOON
from tests.connectors.builders import limits, parcel_of
from tests.connectors.providers import US, providers_of
from tests.scenarios.world import World
from tests.streams.rig import until
from tests.world.part import free_port
from tests.world.simulators.process import Simulator
from tests.world.simulators.twilio.account import AUTH_TOKEN
from tests.world.simulators.twilio.documented import unknown_parameters

CODEC = Codec(LockedRegistry())
SAM = "+447700900123"
# So much faster are the people of these tests.
PACE = 0.01
# No shipped policy waits longer for an answer without a call.
_WINDOWS_MAX = timedelta(minutes=30)
YES = {"hears": "Am I speaking", "say": "yes speaking"}


class ShiftedClock:
    """Runs like this machine's, from another moment on."""

    def __init__(self, start: datetime) -> None:
        self._system = SystemClock()
        self._ahead = start - self._system.now()

    def now(self) -> datetime:
        return self._system.now() + self._ahead

    def monotonic(self) -> float:
        return self._system.monotonic()

    def move(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


class Telephone:
    """Sam's telephone and the whole way to it; `facts` is everything that the edge made known."""

    def __init__(
        self, dsn: str, folder: Path, world: World | None = None, second_url: str = "", **manner: Any
    ) -> None:
        upgrade(dsn)
        self.world = world or World()
        self.clock = ShiftedClock(self.world.now)
        self.pool = open_pool(dsn, max_size=12)
        outbox = Outbox(CODEC.encode)
        self.claims = Claims(self.pool, outbox, self.clock, "one/1")
        self.vault = Vault(self.pool, [b"m" * 32], b"s" * 16, self.clock)
        self.vault.keep(
            CustomerContact(
                customer_ref="customer-1", revision=1, phone=SAM, name="Sam", occurred_at=self.clock.now()
            )
        )
        self.judge = Checks(self.vault.address, limits(quiet_exempt=True))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.twilio = Simulator(
            "twilio",
            folder,
            *("--calls-per-second", "0", "--number", US, "--voice-url", f"{self.url}/twilio/voice"),
            *("--status-callback", f"{self.url}/twilio/status/incoming"),
            pace=PACE,
        )
        self.twilio.start()
        self.second = SecondOpinion(second_url, self.clock, timeout_ms=5_000) if second_url else None
        self.application = self._application(outbox, {"pace": 0.0001} | manner)
        self.server = uvicorn.Server(
            uvicorn.Config(self.application, host="127.0.0.1", port=port, log_level="warning")
        )
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until(lambda: self.server.started, "the edge")
        self.facts: list[Any] = []
        self.offset, self.seen = itertools.count(), 0
        self.call_sid = ""
        self.world_speaks = threading.RLock()
        self.ended = threading.Event()
        self.pump = threading.Thread(target=self._pump)
        self.pump.start()

    def _application(self, outbox: Outbox, manner: dict[str, Any]) -> Starlette:
        signed = Signed([AUTH_TOKEN], self.url)
        calls = Calls(
            House(retailer="Greengrocer", staff_available=bool(manner.get("staff_number"))),
            pool=self.pool,
            outbox=outbox,
            claims=self.claims,
            clock=self.clock,
            vault=self.vault,
            policy_of=self.world.rules.shelf.by_key.get,
        )
        self.calls = calls
        exchange = Exchange(
            calls,
            self.clock,
            signed,
            CallsInProgress(AUTH_TOKEN, self.twilio.url, 5.0),
            Manner(**manner),
            self.second,
        )
        texts = Texts(self.pool, outbox, self.clock, self.vault, lambda _ref: "Europe/London")
        voice = VoiceHooks(exchange, self.claims)
        hooks = TwilioHooks(self.claims, texts, signed, calls.hung_up, voice.stopped)

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            async with self.second or nullcontext():
                yield

        talk = [*voice.routes(), *RelaySockets(exchange).routes()]
        return Starlette(routes=[*hooks.routes(), *talk], lifespan=lifespan)

    def _pump(self) -> None:
        while not self.ended.is_set():
            if not self.tell():
                self.ended.wait(0.01)

    def tell(self) -> int:
        """What waits in the outbox reaches `decide`, as Kafka would bring it, and its effects the register."""
        with self.world_speaks:
            with self.pool.connection() as connection:
                rows = connection.execute("DELETE FROM outbox RETURNING id, topic, value").fetchall()
            for _, topic, value in sorted(rows):
                fact = CODEC.decode(bytes(value))
                self.facts.append(fact)
                if topic == "case.events.v1":
                    self.world.happens(fact)
            if rows:
                self.carry()
        return len(rows)

    def carry(self) -> None:
        fresh, self.seen = self.world.effects[self.seen :], len(self.world.effects)
        self.claims.file([e for e in fresh if isinstance(e, ChannelCommand | ChannelCancel)])
        with self.pool.connection() as connection:
            changes = [e for e in fresh if isinstance(e, CaseChanged)]
            project(connection, [Placed(0, next(self.offset), change) for change in changes])

    def meanwhile(self, what: Any) -> None:
        """Something happens elsewhere, and is in the register when this returns."""
        with self.world_speaks:
            what(self.world)
            self.carry()

    def asked_to_call(self, *exceptions: Any) -> ChannelCommand:
        """The exceptions are raised, nobody answers the messages, and a call is asked for."""
        with self.world_speaks:
            for exception in exceptions:
                self.world.exception(exception)
            self.world.fast_forward(seconds=20)
            self.world.messages_leave()
            while not self.world.sent(Channel.VOICE, Purpose.CALL) and self.world.now < NOON + _WINDOWS_MAX:
                self.world.fast_forward(seconds=180)
            self.clock.move((self.world.now - self.clock.now()).total_seconds())
            self.carry()
            return self.world.expect_call()

    def rings(
        self,
        command: ChannelCommand,
        *turns: dict[str, Any],
        first: Callable[[], None] = lambda: None,
        **phone: Any,
    ) -> str:
        """Sam's telephone rings, and somebody does as the turns say; the provider's id of the call.

        `first` is what happens between the claim and the socket.
        """
        self.twilio.put(f"phones/{SAM}", {"picks_up": "person", "ring_ms": 500, "turns": list(turns)} | phone)
        [claim] = self.claims.claim(Channel.VOICE, 1, self.judge)
        assert claim.command_id == command.command_id
        first()
        providers = providers_of({"twilio": self.twilio}, public_url=self.url)
        outcome = OPEN[Channel.VOICE](providers, self.clock).send(parcel_of(command, claim.to))
        self.claims.heard(command.command_id, outcome.provider_id, "sent", final=False)
        self.call_sid = outcome.provider_id
        return self.call_sid

    def talk(self, *turns: dict[str, Any], exceptions: Any = (), **phone: Any) -> None:
        """A whole call, from the ringing to its end, until all of it is known."""
        command = self.asked_to_call(*exceptions)
        self.rings(command, *turns, **phone)
        self.over(command.command_id)

    def calls_in(self, *turns: dict[str, Any], sender: str = SAM) -> None:
        """A customer calls our number, until the call is over and all of it is known."""
        made = self.twilio.post("inbound-call", {"from": sender, "turns": list(turns)})
        self.call_sid = made["sid"]
        self.twilio.expect("call_state", provider_id=self.call_sid, where=lambda e: e["state"] in OVER)
        until(lambda: not self.waiting(), "the outbox to be empty")

    def stage(self, call_id: str) -> str:
        with self.pool.connection() as connection:
            row = connection.execute(
                "SELECT stage FROM call_sessions WHERE call_id = %s", [call_id]
            ).fetchone()
        return str(row[0]) if row else ""

    def waiting(self) -> bool:
        with self.pool.connection() as connection:
            return connection.execute("SELECT 1 FROM outbox LIMIT 1").fetchone() is not None

    def over(self, command_id: str) -> None:
        self.twilio.expect("call_state", provider_id=self.call_sid, where=lambda e: e["state"] in OVER)
        final = ("completed", "busy", "no_answer", "screened", "provider_down")
        until(lambda: any(s in final for s in self.told(command_id)), "the report of the end")

    @property
    def said(self) -> list[str]:
        return [entry["text"] for entry in self.twilio.book("agent_says", provider_id=self.call_sid)]

    @property
    def responses(self) -> list[ResponseReceived]:
        return [fact for fact in list(self.facts) if isinstance(fact, ResponseReceived)]

    def told(self, command_id: str) -> list[str]:
        receipts = [fact for fact in list(self.facts) if isinstance(fact, ReceiptReceived)]
        return [str(one.state) for one in receipts if one.command_id == command_id]

    def without_errors(self) -> None:
        """The caller heard no error, and the provider found nothing to complain about."""
        assert self.twilio.book("twiml_error") == []
        assert self.twilio.book("simulator_fault") == []
        asked = [(e["method"], e["path"], unknown_parameters(e)) for e in self.twilio.book("request")]
        strange = [one for one in asked if one[2]]
        assert strange == [], strange
        bad = [e for e in self.twilio.book("callback") if e["status"] not in (200, 204)]
        assert bad == []

    def heard_of(self, response: ResponseReceived) -> str:
        return self.vault.unseal("customer-1", response.sealed, "response").decode()

    def transcript(self) -> list[dict[str, Any]]:
        with self.pool.connection() as connection:
            rows = connection.execute("SELECT sealed FROM call_turns ORDER BY taken_at, version").fetchall()
        return [
            msgspec.json.decode(self.vault.unseal("customer-1", bytes(row[0]), "transcript")) for row in rows
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.ended.set()
        self.pump.join(20)
        self.twilio.stop()
        self.pool.close()


OVER = ("completed", "busy", "no-answer", "failed", "canceled")
