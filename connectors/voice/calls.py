"""Calls turn by turn, for any transport: every turn is compared, set and a fact before its answer is spoken."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import structlog
from psycopg_pool import ConnectionPool

from connectors.claims import Claims, DoubleSendError
from connectors.clock import Clock
from connectors.outbox import Connection, Outbox
from connectors.vault import Erased, Vault
from connectors.voice import standing
from connectors.voice.lines import lines_of
from connectors.voice.outcomes import ANSWERED_SEQUENCE, About, Happened, facts_of
from connectors.voice.sessions import Call, Sessions, Turned
from connectors.voice.silenced import silence_customer, silence_number
from schemas.commands import ChannelCommand
from schemas.facts import CustomerFacts
from schemas.words import Channel, EvidencePart, EvidencePath, ReceiptState
from state.dialogue import hear
from state.dialogue.events import (
    Answered,
    AnyHeard,
    Committed,
    Detected,
    Hangup,
    Interruption,
    Keys,
    NotThem,
    OptedOut,
    RecordingRefused,
    Say,
    Silence,
    Utterance,
)
from state.dialogue.script import ENGLISH, Script
from state.dialogue.session import Session, Stage, started
from state.policy import Policy
from state.understand.optout import opts_out

log = structlog.get_logger()

# How often a turn looks again when another webhook of the same call was quicker.
_TRIES = 5
SEALED_AS = "response"
SCRIPTS: dict[str, Script] = {ENGLISH.key: ENGLISH}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said next. `turn` is what the caller's answer has to name; `call` is None where nothing goes on."""

    say: Say
    turn: int = 0
    call: Call | None = None
    fresh: bool = False


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. Without staff nobody is put through, and a link is sent instead."""

    retailer: str
    staff_available: bool = False


class Calls:
    """Everything that it knows is in Postgres. Blocking; safe for several threads and processes."""

    def __init__(
        self,
        house: House,
        *,
        pool: ConnectionPool[Connection],
        outbox: Outbox,
        claims: Claims,
        clock: Clock,
        vault: Vault,
        policy_of: Callable[[str], Policy | None],
    ) -> None:
        self._house, self._pool, self._outbox, self._claims = house, pool, outbox, claims
        self._clock, self._vault, self._policy_of = clock, vault, policy_of
        self._sessions = Sessions(pool, vault)

    def answered(self, command_id: str, sid: str) -> Answer:
        """Somebody, or something, picked up a call of ours. The same call twice is answered the same."""
        try:
            known = self._claims.heard(
                command_id, sid, ReceiptState.ANSWERED, final=False, sequence=ANSWERED_SEQUENCE
            )
        except DoubleSendError:
            log.exception("double_call", command_id=command_id)
            return self.goodbye()
        call = self._load(command_id) if known else None
        if call is not None:
            return _standing(call)
        begun = self._begin(command_id, sid) if known else None
        return begun or self.goodbye()

    def _begin(self, command_id: str, sid: str) -> Answer | None:
        with self._pool.connection() as connection:
            command = standing.command_of(connection, command_id)
        address = self._vault.address(command.customer_ref, Channel.VOICE) if command else None
        if command is None or address is None:
            return None
        now = self._clock.now()
        with self._pool.connection() as connection:
            why = standing.objection(connection, command, address.hashed)
            known = standing.cases_of(connection, command)
        if why:
            log.info("call_not_spoken", command_id=command_id, reason=why)
            return None
        open_cases = [case for case in command.cases if standing.is_open(known.get(case.case_id))]
        lines = lines_of(open_cases, command.respond_by_at or command.not_after_at, now, gifts=True)
        if not lines:
            return None
        session = self._session(command, command_id)
        total = next((case.total.minor for case in open_cases if case.total), 0)
        session = msgspec.structs.replace(session, lines=lines, total_minor=total)
        return self._opened(command, started(session), sid, now)

    def _session(self, command: ChannelCommand, call_id: str) -> Session:
        contact = self._vault.contact(command.customer_ref)
        facts = self._vault.facts(command.customer_ref) if contact else CustomerFacts()
        gifts = any(case.gift for case in command.cases)
        return Session(
            call_id=call_id,
            script=ENGLISH.key,
            policy=command.policy,
            locale=ENGLISH.locale,
            retailer=self._house.retailer,
            lines=(),
            called=contact.name if contact else "",
            # Where a gift is among the lines, nobody decides but the buyer.
            delegate_known=facts.has_delegate and not gifts,
            staff_available=self._house.staff_available,
            recording_wanted=self._records(command.policy),
        )

    def _records(self, policy_key: str) -> bool:
        policy = self._policy_of(policy_key)
        wanted = policy.evidence.required.get(EvidencePath.VOICE, ()) if policy else ()
        return EvidencePart.RECORDING in wanted

    def _opened(self, command: ChannelCommand, session: Session, sid: str, now: datetime) -> Answer | None:
        session, say = hear(session, Answered(), SCRIPTS[session.script])
        call = Call(
            call_id=session.call_id,
            command_id=command.command_id,
            order_id=command.order_id,
            conversation_id=command.conversation_id,
            customer_ref=command.customer_ref,
            provider_id=sid,
            incoming=session.incoming,
            session=session,
            say=say,
            started_at=now,
            spoken_at=now,
        )
        turned = _turned(now, (Answered(),), say, session)
        sealed = self._sessions.sealed(call, turned)
        with self._pool.connection() as connection:
            begun = self._sessions.begin(connection, call, sealed)
        if begun:
            return Answer(say=say, turn=call.turn, call=call, fresh=True)
        first = self._load(call.call_id)
        return _standing(first) if first is not None else None

    def heard(
        self, call_id: str, sid: str, turn: int, listen: Callable[[Call], Sequence[AnyHeard]]
    ) -> Answer:
        """The answer to a turn. A repeat, or one that comes late, is told again where the call stands.

        `listen` says what was heard, given the call as it was when it was said.
        """
        for _ in range(_TRIES):
            call = self._load(call_id)
            if call is None or call.provider_id != sid:
                return self.goodbye()
            if turn != call.turn or call.session.stage is Stage.ENDED:
                return _standing(call)
            answer = self._advanced(call, listen(call))
            if answer is not None:
                return answer
        return self.where(call_id, sid)

    def where(self, call_id: str, sid: str) -> Answer:
        """What stands to be answered, without having heard anything."""
        call = self._load(call_id)
        return _standing(call) if call is not None and call.provider_id == sid else self.goodbye()

    def knows(self, call_id: str) -> bool:
        return self._load(call_id) is not None

    def detected(self, call_id: str, sid: str, what: Detected) -> Answer | None:
        """What to say now if a machine took the call; None if the talk simply goes on."""
        if not self.knows(call_id):
            # It was quicker than the first words.
            self.answered(call_id, sid)
        for _ in range(_TRIES):
            call = self._load(call_id)
            if call is None or call.provider_id != sid or call.session.stage is Stage.ENDED:
                return None
            answer = self._advanced(call, (what,))
            if answer is not None:
                return answer if answer.say.ending else None
        return None

    def hung_up(self, call_id: str, sid: str) -> None:
        """The line is dead: what was not confirmed is not decided."""
        for _ in range(_TRIES):
            call = self._load(call_id)
            if call is None or call.provider_id != sid or call.session.stage is Stage.ENDED:
                return
            if self._advanced(call, (Hangup(),)) is not None:
                return

    def goodbye(self) -> Answer:
        """The call is not, or no longer, needed: a word about who called, and nothing of any order."""
        texts = ENGLISH.texts
        who = texts["answer_who"].replace("{retailer}", self._house.retailer)
        text = f"{who} {texts['nothing_open']}"
        return Answer(say=Say(text, ENGLISH.key, ("answer_who", "nothing_open"), ending="hang_up"))

    def _load(self, call_id: str) -> Call | None:
        try:
            return self._sessions.load(call_id)
        except Erased:
            # Their record is gone, and with it everything that could be talked about.
            return None

    def _advanced(self, call: Call, heard: Sequence[AnyHeard]) -> Answer | None:
        """One turn further; None if another webhook was quicker, so that it has to be looked at again."""
        now = self._clock.now()
        session, says, happened = call.session, list[Say](), list[Happened]()
        alive = not any(isinstance(one, Hangup) for one in heard)
        for one in [*(self._news(call, now) if alive else ()), *heard]:
            if any(say.text for say in says) and not _outranks(one):
                # They answered a question that is no longer asked.
                continue
            before = session
            session, say = hear(session, one, SCRIPTS[session.script])
            happened += [Happened(outcome, before) for outcome in say.outcomes]
            says.append(say)
        say = _joined(says)
        speaks = bool(say.text or say.ending) or not any(isinstance(one, Detected) for one in heard)
        next_call = msgspec.structs.replace(
            call,
            version=call.version + 1,
            turn=call.turn + speaks,
            session=session,
            say=say if speaks else call.say,
            recorded=call.recorded or say.record == "start",
            recording_refused=call.recording_refused
            or any(isinstance(one.outcome, RecordingRefused) for one in happened),
            screened=session.stage is Stage.SCREENED or (session.stage is Stage.ENDED and call.screened),
            spoken_at=now if speaks else call.spoken_at,
        )
        turned = _turned(now, _in_transcript(call.session, heard), say, session)
        return self._kept(next_call, turned, happened, now)

    def _kept(self, call: Call, turned: Turned, happened: list[Happened], now: datetime) -> Answer | None:
        """The call, its transcript and its facts in one transaction: all of it is durable, or nothing was heard."""
        about = About(
            call_id=call.call_id,
            command_id=call.command_id,
            order_id=call.order_id,
            provider_id=call.provider_id,
            incoming=call.incoming,
            version=call.version,
            now=now,
            seal=lambda said: self._vault.seal(call.customer_ref, said.encode(), SEALED_AS),
        )
        facts = facts_of(about, happened)
        sealed = self._sessions.sealed(call, turned)
        outcomes = [one.outcome for one in happened]
        wrong = any(isinstance(one, NotThem) and one.who == "wrong_number" for one in outcomes)
        address = self._vault.address(call.customer_ref, Channel.VOICE) if wrong else None
        with self._pool.connection() as connection, connection.transaction():
            if not self._sessions.change(connection, call, sealed, now):
                return None
            if any(isinstance(one, OptedOut) for one in outcomes):
                silence_customer(connection, self._outbox, self._vault, call.customer_ref, now)
            if address is not None:
                silence_number(connection, address.hashed, now)
            self._outbox.put(connection, facts)
        decided = sum(isinstance(one, Committed) for one in outcomes)
        log.info("turn", call_id=call.call_id, stage=str(call.session.stage), decided=decided)
        return Answer(say=call.say, turn=call.turn, call=call, fresh=True)

    def _news(self, call: Call, now: datetime) -> list[standing.News]:
        with self._pool.connection() as connection:
            command = standing.command_of(connection, call.command_id)
            return standing.news(connection, call.session, command, now) if command else []


def _standing(call: Call) -> Answer:
    return Answer(say=call.say, turn=call.turn, call=call)


def _outranks(heard: AnyHeard) -> bool:
    """Whether it is heard whatever is being talked about: stop, a person please, and what is no answer at all."""
    match heard:
        case Utterance(text=text):
            return opts_out(text)
        case Keys(digits=digits):
            return digits == "9"
        case Silence() | Interruption():
            return False
        case _:
            return True


def _joined(says: Sequence[Say]) -> Say:
    """Several answers as one: all words in order, and the last one's way of listening."""
    if not says:
        raise ValueError("nothing was heard, so that nothing can be said")
    ending = next((say.ending for say in says if say.ending), "")
    return msgspec.structs.replace(
        says[-1],
        text=" ".join(say.text for say in says if say.text),
        prompts=tuple(prompt for say in says for prompt in say.prompts),
        outcomes=tuple(outcome for say in says for outcome in say.outcomes),
        ending=ending,
        record=next((say.record for say in reversed(says) if say.record), ""),
    )


def _in_transcript(session: Session, heard: Sequence[AnyHeard]) -> tuple[AnyHeard, ...]:
    """While a code is given, the transcript pauses."""
    private = session.stage is Stage.CODE
    return tuple([one for one in heard if not (private and isinstance(one, Utterance | Keys))])


def _turned(now: datetime, heard: Sequence[AnyHeard], say: Say, session: Session) -> Turned:
    return Turned(
        at=now,
        heard=tuple(heard),
        said=say.text,
        prompts=say.prompts,
        script=say.script,
        outcomes=say.outcomes,
        stage=str(session.stage),
    )
