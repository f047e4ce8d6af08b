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
from connectors.voice.opening import House, Openings
from connectors.voice.outcomes import ANSWERED_SEQUENCE, About, Happened, facts_of
from connectors.voice.sessions import Call, Sessions, Turned
from connectors.voice.silenced import silence_customer, silence_number
from schemas.events import ResponseReceived
from schemas.words import Channel, ReceiptState
from state.dialogue.events import (
    Answered,
    AnyHeard,
    Committed,
    Detected,
    HandedOff,
    Hangup,
    Interruption,
    Keys,
    LinkWanted,
    NotThem,
    OptedOut,
    OptionGone,
    RecordingRefused,
    Say,
    SettledElsewhere,
    Silence,
    StoppedElsewhere,
    Utterance,
)
from state.dialogue.hear import hear
from state.dialogue.script import ENGLISH
from state.dialogue.session import Session, Stage
from state.policy import Policy
from state.understand.optout import opts_out

log = structlog.get_logger()

# How often a turn looks again when another webhook of the same call was quicker.
_TRIES = 5
SEALED_AS = "response"
# What an answer is expected for; all else only adds to what is known.
_ANSWERS = (Answered, Utterance, Keys, Silence)
# Why an answer came too late; any other refusal means that something else stands.
_LATE = ("too_late", "already_picked", "already_closed", "refund_is_final", "changes_not_possible")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said next. `turn` is what the caller's answer has to name; `call` is None where nothing goes on.

    `decided` are the ids of the answers that this turn gave to `decide`, made out of the session `before`.
    """

    say: Say
    turn: int = 0
    call: Call | None = None
    decided: tuple[str, ...] = ()
    before: Session | None = None

    @property
    def language(self) -> str:
        """Of the words, as BCP 47: they are the call's, or the house's own."""
        return self.call.session.locale if self.call else ENGLISH.locale


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
        self._clock, self._vault = clock, vault
        self._sessions = Sessions(pool, vault)
        self._openings = Openings(house, pool=pool, clock=clock, vault=vault, policy_of=policy_of)

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
        begun = self._openings.of_command(command_id, sid) if known else None
        return self._begun(begun) if begun is not None else self.goodbye()

    def called(self, sid: str, sender: str) -> Answer:
        """A customer calls us. Their number proves nothing: it finds the order whose last characters are asked for."""
        call = self._load(sid)
        if call is not None:
            return _standing(call)
        with self._pool.connection() as connection:
            command = standing.last_contact(connection, self._vault.address_hash(sender))
        if command is None:
            return self._no_order()
        begun = self._openings.of_caller(command, sid)
        return self._begun(begun) if begun is not None else self.goodbye()

    def _begun(self, call: Call) -> Answer:
        """Durable before the first word is spoken."""
        turned = _turned(call.started_at, (Answered(),), call.say, call.session)
        sealed = self._sessions.sealed(call, turned)
        with self._pool.connection() as connection, connection.transaction():
            begun = self._sessions.begin(connection, call, sealed)
        first = call if begun else self._load(call.call_id)
        return _standing(first) if first is not None else self.goodbye()

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

    def session_of(self, call_id: str) -> Session | None:
        call = self._load(call_id)
        return call.session if call is not None else None

    def detected(self, call_id: str, sid: str, what: Detected) -> Answer | None:
        """What to say now if a machine took the call; None if the talk simply goes on."""
        if not self.knows(call_id):
            # It was quicker than the first words.
            self.answered(call_id, sid)
        answer = self._broken_into(call_id, sid, what)
        return answer if answer is not None and answer.say.ending else None

    def stopped(self, call_id: str, sid: str) -> Answer | None:
        """The last words to somebody who said stop on another channel; None if the call is over."""
        return self._broken_into(call_id, sid, StoppedElsewhere())

    def _broken_into(self, call_id: str, sid: str, heard: AnyHeard) -> Answer | None:
        """What is heard between two turns; None if the call is over."""
        for _ in range(_TRIES):
            call = self._load(call_id)
            if call is None or call.provider_id != sid or call.session.stage is Stage.ENDED:
                return None
            answer = self._advanced(call, (heard,))
            if answer is not None:
                return answer
        return None

    def hung_up(self, call_id: str, sid: str) -> None:
        """The line is dead: what was not confirmed is not decided."""
        self._broken_into(call_id, sid, Hangup())

    def goodbye(self) -> Answer:
        """The call is not, or no longer, needed: a word about who called, and nothing of any order."""
        texts = ENGLISH.texts
        who = texts["answer_who"].replace("{retailer}", self._house.retailer)
        text = f"{who} {texts['nothing_open']}"
        return Answer(say=Say(text, ENGLISH.key, ("answer_who", "nothing_open"), ending="hang_up"))

    def _no_order(self) -> Answer:
        return Answer(say=Say(ENGLISH.texts["code_failed"], ENGLISH.key, ("code_failed",), ending="hang_up"))

    def summary(self, call_id: str, sid: str) -> str:
        """What the colleague who takes a call over is told: no name, number or address. Empty for any other call."""
        call = self._load(call_id)
        return call.summary if call is not None and call.provider_id == sid else ""

    def handed_over(self, conversation_id: str) -> str:
        """The same in writing, for whoever finds the task later."""
        try:
            return self._sessions.handed_over(conversation_id)
        except Erased:
            return ""

    def not_put_through(self, call_id: str, sid: str) -> Answer:
        """No colleague answered: the customer gets a link; the task for a person stands already."""
        call = self._load(call_id)
        if call is None or call.provider_id != sid:
            return self.goodbye()
        now = self._clock.now()
        link = facts_of(self._about(call, now), [Happened(LinkWanted("no_staff"), call.session)])
        with self._pool.connection() as connection, connection.transaction():
            # The same id however often it is reported.
            once = [msgspec.structs.replace(fact, event_id=f"{call_id}.no_staff") for fact in link]
            self._outbox.put(connection, once)
        return Answer(say=Say(ENGLISH.texts["no_staff"], ENGLISH.key, ("no_staff",), ending="hang_up"))

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
            session, say = hear(session, one, self._openings.script_of(session))
            happened += [Happened(outcome, before) for outcome in say.outcomes]
            says.append(say)
        say = _joined(says)
        speaks = bool(say.text or say.ending) or any(isinstance(one, _ANSWERS) for one in heard)
        next_call = msgspec.structs.replace(
            call,
            version=call.version + 1,
            turn=call.turn + speaks,
            session=session,
            say=say if speaks else call.say,
            summary=next((o.summary for o in say.outcomes if isinstance(o, HandedOff)), call.summary),
            recorded=call.recorded or say.record == "start",
            recording_refused=call.recording_refused
            or any(isinstance(one.outcome, RecordingRefused) for one in happened),
            screened=session.stage is Stage.SCREENED or (session.stage is Stage.ENDED and call.screened),
            spoken_at=now if speaks else call.spoken_at,
        )
        turned = _turned(now, _in_transcript(call.session, heard), say, session)
        return self._kept(next_call, turned, happened, now)

    def verdict(self, answer: Answer) -> str | None:
        """What `decide` says of this turn's answers: None while it is silent, else empty or why it refused."""
        if answer.call is None or not answer.decided:
            return ""
        with self._pool.connection() as connection:
            return standing.verdict(connection, answer.call.order_id, answer.decided)

    def corrected(self, answer: Answer, refused: str) -> Answer:
        """The truth in place of a "noted" that was not spoken yet: the answer could not be taken."""
        call = self._load(answer.call.call_id) if answer.call else None
        if (
            call is None
            or answer.before is None
            or answer.call is None
            or call.version != answer.call.version
        ):
            return _standing(call) if call is not None else self.goodbye()
        line = answer.before.line
        news: standing.News
        if refused.startswith(("not_available", "total_")) and answer.before.pending >= 0:
            news = OptionGone(line.case_id, line.options[answer.before.pending].option_id)
        else:
            news = SettledElsewhere(line.case_id, "expired" if refused.startswith(_LATE) else "decided")
        session, say = hear(answer.before, news, self._openings.script_of(answer.before))
        now = self._clock.now()
        corrected = msgspec.structs.replace(
            call, version=call.version + 1, session=session, say=say, spoken_at=now
        )
        turned = _turned(now, (news,), say, session)
        happened = [Happened(outcome, answer.before) for outcome in say.outcomes]
        return self._kept(corrected, turned, happened, now) or self.where(call.call_id, call.provider_id)

    def _kept(self, call: Call, turned: Turned, happened: list[Happened], now: datetime) -> Answer | None:
        """The call, its transcript and its facts in one transaction: all of it is durable, or nothing was heard."""
        facts = facts_of(self._about(call, now), happened)
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
        decided = tuple([f.event_id for f in facts if isinstance(f, ResponseReceived) and f.answers])
        log.info("turn", call_id=call.call_id, stage=str(call.session.stage), decided=len(decided))
        before = next((one.before for one in happened if isinstance(one.outcome, Committed)), None)
        return Answer(say=call.say, turn=call.turn, call=call, decided=decided, before=before)

    def _about(self, call: Call, now: datetime) -> About:
        return About(
            call_id=call.call_id,
            command_id=call.command_id,
            order_id=call.order_id,
            provider_id=call.provider_id,
            incoming=call.incoming,
            version=call.version,
            now=now,
            seal=lambda said: self._vault.seal(call.customer_ref, said.encode(), SEALED_AS),
        )

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
