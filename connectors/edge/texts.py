"""What a customer texts becomes a fact: found by their number, read against what they were offered, sealed."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from psycopg_pool import ConnectionPool

from connectors import kept
from connectors.clock import Clock
from connectors.edge.choices import Choice, Choices, choices
from connectors.outbox import Connection, Outbox
from connectors.vault import Erased, Vault
from connectors.voice import standing
from schemas.catalogue import Topic
from schemas.commands import ChannelCommand, OfferedOption
from schemas.events import Answer, CustomerConsent, ResponseReceived
from schemas.words import CaseState, Channel, Signal
from state.dialogue.sms import OpenLine, Pick, Text, read
from state.understand import Offer

SILENCED = (Channel.SMS, Channel.VOICE)
SEALED_AS = "response"
_TEXT_CHARS_MAX = 1_600
_BY_INTENT = {
    "handoff": Signal.PERSON_WANTED,
    "wrong_person": Signal.WRONG_NUMBER,
    "call_later": Signal.CALL_LATER,
}


class Received(msgspec.Struct, frozen=True):
    """A text as the provider hands it over; `keyword` says that the provider itself took it as STOP or START."""

    sid: str
    sender: str
    body: str
    keyword: str = ""


class Taken(msgspec.Struct, frozen=True):
    """`known` is False if nobody was ever contacted at this number; `stopped` are the calls that the text ends."""

    known: bool
    stopped: tuple[tuple[str, str], ...] = ()


class Texts:
    """`take` is durable when it returns; the same text twice is one fact."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        outbox: Outbox,
        clock: Clock,
        vault: Vault,
        zone_of: Callable[[str], str],
    ) -> None:
        self._pool, self._outbox, self._clock, self._vault = pool, outbox, clock, vault
        self._zone_of = zone_of

    def take(self, text: Received) -> Taken:
        """An opt-out is kept even if nobody was ever contacted at this number."""
        hashed, now = self._vault.address_hash(text.sender), self._clock.now()
        with self._pool.connection() as connection:
            command = _last_contact(connection, hashed)
            opted_out = _opted_out(connection, hashed)
            found = (
                choices(connection, command.order_id, command.conversation_id, self._zone_of)
                if command
                else None
            )
        lines = _lines(found)
        locale = (command.locale if command else "en").split("-")[0]
        meant = read(text.body[:_TEXT_CHARS_MAX], lines, opted_out=opted_out, locale=locale)
        changed = {"optout": True, "optin": False}.get(meant.kind)
        if text.keyword in ("STOP", "START"):
            changed = text.keyword == "STOP"
        with self._pool.connection() as connection, connection.transaction():
            if changed is not None:
                _number_consents(connection, hashed, now, opted_out=changed)
            stopped = standing.live_calls(connection, hashed) if changed else []
        if command is None:
            return Taken(known=False)
        if changed is not None:
            self._consent(command.customer_ref, now, opted_out=changed)
        self._tell(text, command, meant, found, changed)
        return Taken(known=True, stopped=tuple(stopped))

    def _consent(self, customer_ref: str, now: datetime, *, opted_out: bool) -> None:
        consent = CustomerConsent(
            customer_ref=customer_ref, channels=SILENCED, opted_out=opted_out, source="sms", occurred_at=now
        )
        self._vault.consent(consent)
        with self._pool.connection() as connection:
            self._outbox.put_elsewhere(connection, Topic.CONSENTS, customer_ref, consent)

    def _tell(
        self,
        text: Received,
        command: ChannelCommand,
        meant: Text,
        found: Choices | None,
        opted_out: bool | None,
    ) -> None:
        answers = tuple(_answer(pick, found) for pick in meant.picks) if found and opted_out is None else ()
        try:
            sealed = self._vault.seal(command.customer_ref, text.body.encode(), SEALED_AS)
        except Erased:
            # Their words are kept nowhere any more; what they mean still counts.
            sealed = b""
        fact = ResponseReceived(
            event_id=f"{text.sid}.received",
            order_id=command.order_id,
            channel=Channel.SMS,
            command_id=command.command_id,
            signal=_signal(text, meant, opted_out),
            answers=answers,
            # Free words are like speech: they decide nothing without a yes, and here that is the key.
            spoken=any(not pick.explicit for pick in meant.picks),
            sealed=sealed,
            received_at=self._clock.now(),
        )
        with self._pool.connection() as connection:
            self._outbox.put(connection, [fact])


def _signal(text: Received, meant: Text, opted_out: bool | None) -> Signal:
    if opted_out:
        # The provider answers its keywords by itself; a sentence is answered by us.
        return Signal.OPT_OUT_KEYWORD if text.keyword == "STOP" else Signal.OPT_OUT_SENTENCE
    if opted_out is False:
        return Signal.OPT_IN
    match meant.kind:
        case "picks":
            return Signal.NONE
        case "help":
            return Signal.HELP
        case "other" if meant.reading is not None:
            return _BY_INTENT.get(meant.reading.intent, Signal.UNCLEAR)
        case _:
            return Signal.UNCLEAR


def _answer(pick: Pick, found: Choices) -> Answer:
    case = next(one for one in found.cases if one.case_id == pick.case_id)
    option = _option(case, pick.n)
    return Answer(
        case_id=pick.case_id,
        letter=case.offered.letter,
        key=pick.n,
        option_id=option.option_id if option else "",
        # A key beside a shown name, price and new total is the explicit yes; a sentence is answered with the keys.
        total_shown=option.total if option and pick.explicit else None,
        confirmed=pick.explicit,
    )


def _option(case: Choice, key: int) -> OfferedOption | None:
    return next((option for option in case.offered.options if option.key == key), None)


def _lines(found: Choices | None) -> tuple[OpenLine, ...]:
    """What can still be answered: what is open, else what is decided and may be changed."""
    cases = [case for case in found.cases if case.changeable] if found else []
    still_open = [case for case in cases if case.state == CaseState.OPEN]
    return tuple(
        OpenLine(
            case_id=case.case_id,
            letter=case.offered.letter,
            # What a text did not show, a text cannot choose: a gift's options are only behind the link.
            offers=tuple(
                Offer(option.key, option.name, option.price.minor)
                for option in case.offered.options
                if not case.offered.gift
            ),
            refund_allowed=case.offered.refund_allowed,
        )
        for case in still_open or cases
    )


def _last_contact(connection: Connection, hashed: str) -> ChannelCommand | None:
    row = connection.execute(
        "SELECT command FROM claims WHERE address_hash = %s AND command IS NOT NULL"
        " AND state = ANY(%s) ORDER BY claimed_at DESC LIMIT 1",
        [hashed, ["sent", "claimed", "ambiguous", "suppressed"]],
    ).fetchone()
    return None if row is None else kept.command(bytes(row[0]))


def _opted_out(connection: Connection, hashed: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM opt_outs WHERE subject = %s AND channel = 'sms' AND opted_out", [hashed]
    ).fetchone()
    return row is not None


def _number_consents(connection: Connection, hashed: str, now: datetime, *, opted_out: bool) -> None:
    """Binds the number, whoever's account it is in."""
    for channel in SILENCED:
        connection.execute(
            "INSERT INTO opt_outs (subject, channel, opted_out, occurred_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (subject, channel) DO UPDATE"
            " SET opted_out = excluded.opted_out, occurred_at = excluded.occurred_at"
            " WHERE opt_outs.occurred_at < excluded.occurred_at",
            [hashed, channel, opted_out, now],
        )
