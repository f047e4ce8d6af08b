"""No live deadline is lost, no timer fires early, and a record stays small."""

from datetime import timedelta

from schemas.words import CaseState
from state.conversation import Conversation
from state.encoding import encode
from state.rules import Rules
from state.turn import QuarantineRecord
from tests.properties.seen import law

# A record may grow with what upstream raises, and hardly with anything else.
BYTES_A_RECORD_MAX = 2_500
BYTES_A_CASE_MAX = 4_500


def a_deadline_lives(record: Conversation, rules: Rules) -> None:
    """Whoever is unfinished is looked at again, no later than its own time."""
    unfinished = [case for case in record.cases if not case.is_closed]
    law(record.due_at is not None, "a record is looked at again, at the latest for its removal", record)
    for case in unfinished:
        if case.is_open and not case.stuck:
            margin_ms = rules.shelf[case.policy].timing.write_margin_ms
            limit_at = case.exception.fulfilment_deadline_at - timedelta(milliseconds=margin_ms)
            law(record.due_at <= limit_at, "the default's time is never slept through", case.case_id)
        if case.state is CaseState.DECIDED and not case.stuck:
            law(case.watch_at or case.retry_at, "who is decided is watched until it is done", case.case_id)
        if case.state is CaseState.DONE:
            until_at = case.exception.picked_until_at or case.exception.fulfilment_deadline_at
            law(record.due_at <= until_at, "a done case closes in time", case.case_id)
    waiting = [
        record.gather_until_at,
        record.next_call_at,
        record.notice_at,
        record.satisfaction_at,
        record.remove_at,
        *[case.retry_at for case in unfinished],
        *[case.proof_at for case in unfinished],
        *[case.watch_at for case in unfinished],
    ]
    for at in waiting:
        law(at is None or record.due_at <= at, "no live deadline is lost", at, record.due_at)


def early_timers_do_nothing(before: Conversation, after: Conversation, effects: list[object]) -> None:
    """I6: a deadline that is not due yet moves nothing."""
    law(not effects and encode(after) == encode(before), "no timer fires early (I6)", effects)


def repeats_do_nothing(
    before: Conversation, event: object, after: Conversation, effects: list[object]
) -> None:
    """At-least-once delivery is normal: the second time nothing is asked of anybody."""
    asked = [effect for effect in effects if not isinstance(effect, QuarantineRecord)]
    law(not asked and encode(after) == encode(before), "a repeat does nothing", event, asked)


def fits(record: Conversation) -> None:
    size = len(encode(record))
    most = BYTES_A_RECORD_MAX + BYTES_A_CASE_MAX * max(len(record.cases), 1)
    law(size <= most, "a record stays small", size, most)
