"""Every metric of every process: its name, its unit, the closed lists of its labels, and what it is for.

A label's value comes from a list below or it is `other`, so nothing that arrives from outside can make a new series;
only `partition` is a number, and workers know their partitions. Money is in minor units of its currency.
"""

from enum import StrEnum
from typing import Any

from babel.numbers import list_currencies

from connectors.claim_states import ClaimState
from connectors.measuring import NONE, PREFIX, Counted, Family, Home, Shape, Timed, Values
from schemas.catalogue import CHANNEL_TOPICS, Topic
from schemas.words import (
    CaseState,
    Channel,
    CloseReason,
    Kind,
    Mode,
    Resolution,
    SwitchScope,
    WriteBackOutcome,
)


def _family(home: Home, shape: Shape, name: str, says: str, **more: Any) -> Family:
    return Family(home, shape, f"{PREFIX}{name}", says, **more)


def _words(enum: type[StrEnum], *besides: str) -> Values:
    return tuple([str(word) for word in enum if word not in ("unknown", "none")]) + besides


_sent_on: Values = tuple([str(channel) for channel in CHANNEL_TOPICS])
_provided_on: Values = tuple([name for name in _sent_on if name != Channel.PERSON])
_answered_on = _words(Channel, NONE)
_kinds, _modes, _resolutions = _words(Kind), _words(Mode), _words(Resolution, NONE)
_currencies: Values = tuple(sorted(list_currencies()))
_worker, _connectors, _register, _edge = Home.WORKER, Home.CONNECTORS, Home.REGISTER, Home.EDGE
_counter, _gauge, _histogram = Shape.COUNTER, Shape.GAUGE, Shape.HISTOGRAM
_SHORT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# The engine: what each partition's ledger did since this process took it first.

_by_partition: dict[str, Values | None] = {"partition": None}
ENGINE_TALLIES: dict[str, Family] = {
    field: _family(_worker, _counter, f"engine_{name}", says, labels=_by_partition)
    for field, name, says in (
        ("events", "events", "Source records processed, those in quarantine included."),
        ("transactions", "transactions", "Transactions committed and applied."),
        ("outputs", "outputs", "Records published in those transactions."),
        ("states", "states", "Conversations written to the changelog."),
        ("fired", "deadlines_fired", "Deadlines that took effect."),
        ("stale", "deadlines_stale", "Index entries of deadlines that had been moved."),
        ("quarantined", "quarantined", "Records and deadlines that went to quarantine."),
        ("stuck", "stuck", "Conversations handed to people because `decide` failed on them."),
        ("reopened", "reopened", "Transactions thrown away and repeated after taking over anew."),
        ("wiped", "wiped", "Databases thrown away and restored from the changelog."),
        ("restored", "restored_records", "Changelog records read while restoring."),
    )
}
RESTORE_S = _family(
    *(_worker, _gauge, "engine_restore_seconds"),
    "How long the partition's latest restore took, or has taken so far.",
    labels=_by_partition,
)
CLOCK_APART_S = _family(
    *(_worker, _gauge, "engine_clock_apart_seconds"),
    "This machine's clock less the broker's, as of the latest check.",
    labels=_by_partition,
)
DEADLINE_LAG_S = _family(
    *(_worker, _gauge, "engine_deadline_lag_seconds"),
    "How long the earliest waiting deadline has been due: a partition that stands.",
    labels=_by_partition,
)
LAG = _family(
    *(_worker, _gauge, "engine_lag_records"),
    "Source records appended and not processed yet; missing while the broker does not answer.",
    labels=_by_partition,
)
PARTITIONS = _family(
    _worker, _gauge, "engine_partitions", "Partitions that the app has, as this process is set."
)
OWNED = _family(_worker, _gauge, "engine_partitions_owned", "Partitions this process works on.")
GIVEN_UP = _family(
    *(_worker, _gauge, "engine_partitions_given_up"),
    "Partitions lost to another owner and not yet reassigned.",
)
LATENESS_S = _family(
    *(_worker, _histogram, "engine_deadline_lateness_seconds"),
    "From the instant that a deadline was due to the commit of what it brought about.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0),
)
BATCH = _family(
    *(_worker, _histogram, "engine_batch_records", "Source records in one transaction."),
    buckets=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
)
TRANSACTION_S = _family(
    *(_worker, _histogram, "engine_transaction_seconds", "From a transaction's begin to its known commit."),
    buckets=_SHORT_S,
)

# The register: counted in Postgres at a look every few seconds, so right to the case whatever restarted.

OPENED = _family(
    *(_register, _counter, "cases_opened", "Cases opened, by what went wrong and the policy's mode."),
    labels={"kind": _kinds, "mode": _modes},
)
CLOSED = _family(
    *(_register, _counter, "cases_closed"),
    "Cases closed, by what was decided and where; `none` where nothing was, or no customer was asked.",
    labels={"resolution": _resolutions, "channel": _answered_on},
)
CLOSE_REASONS = _family(
    *(_register, _counter, "case_closes", "Cases closed, by why."),
    labels={"reason": _words(CloseReason)},
)
CASES = _family(
    _register, _gauge, "cases", "Cases, by where they stand.", labels={"state": _words(CaseState)}
)
STUCK = _family(
    *(_register, _gauge, "cases_stuck"),
    "Cases that wait for a person, and those that were given up as stuck.",
    labels={"since": ("waiting", "given_up")},
)
STUCK_OLDEST_S = _family(
    *(_register, _gauge, "cases_stuck_oldest_seconds", "For how long the longest stuck case has waited."),
)
OVERDUE = _family(
    *(_register, _gauge, "cases_overdue"),
    "Open cases, not stuck, whose deadline passed more than a minute ago.",
)
BASE = _family(
    *(_register, _gauge, "report_base", "What the report counts, and what it shows beside."),
    labels={
        "of": (
            *("cases", "orders", "customers", "late", "holdout"),
            *("withdrawn_before_the_first_send", "shadow"),
        )
    },
)
FIGURES: Values = (
    *("order_save_rate", "line_save", "last_mile_failures_avoided", "acceptance", "acceptance_of_all"),
    *("done", "done_at_all", "write_back_verified_60s", "nps", "nps_response"),
    *("acceptance_sms", "acceptance_page", "acceptance_app", "acceptance_voice"),
)
NUMERATOR = _family(
    *(_register, _gauge, "report_numerator"),
    "Above the line of a figure of `saveline report`; 0 of 0 while outcomes are missing.",
    labels={"figure": FIGURES},
)
DENOMINATOR = _family(
    *(_register, _gauge, "report_denominator", "Below the line of a figure of `saveline report`."),
    labels={"figure": FIGURES},
)
RESOLVED = _family(
    *(_register, _gauge, "cases_resolved", "Decided cases of the report's base, by how."),
    labels={"by": ("voice", "digital", "staff", "stored_preference", "default")},
)
TIME_TO_DECISION_S = _family(
    *(_register, _histogram, "time_to_decision_seconds"),
    "From the exception to the decision; where nobody answered, to the deadline.",
    labels={"answered": ("yes", "no")},
    buckets=(
        5.0,
        10.0,
        15.0,
        20.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        1200.0,
        1800.0,
        3600.0,
        14400.0,
        86400.0,
    ),
)
IN_TROUBLE = _family(
    *(_register, _gauge, "value_in_trouble_minor"),
    "Value of the lines and orders in trouble, holdout left out.",
    labels={"currency": _currencies},
)
HANDLED = _family(
    *(_register, _gauge, "value_handled_minor"),
    "Of that, the value of what was kept. Not money recovered: only a holdout can show that.",
    labels={"currency": _currencies},
)
_by_arm: dict[str, Values | None] = {"arm": ("treatment", "holdout")}
ORDERS = _family(_register, _gauge, "orders", "Orders of the report's base.", labels=_by_arm)
DELIVERED = _family(
    *(_register, _gauge, "orders_delivered", "Of these, orders that upstream says were delivered."),
    labels=_by_arm,
)
NET_CHARGE = _family(
    *(_register, _gauge, "orders_net_charge_minor", "What was charged for these less what was credited."),
    labels=_by_arm,
)
LAST_MILE = _family(
    *(_register, _gauge, "last_mile_cases", "Cases at the door, by what was decided."),
    labels={"resolution": _resolutions},
)
OUTCOMES = _family(
    *(_register, _counter, "order_outcomes", "What upstream told became of orders and lines."),
    labels={"outcome": ("picked", "delivered", "refused", "completed", "cancelled", "credited")},
)
CONTACTED = _family(
    *(_register, _gauge, "conversations_contacted"),
    "Conversations for which something was sent, by rung: each counts on every rung that it reached.",
    labels={"rung": ("digital", "voice", "person")},
)
CLAIMS = _family(
    *(_register, _gauge, "claims", "Commands to customers and staff, by where they stand."),
    labels={"channel": _sent_on, "state": _words(ClaimState)},
)
AMBIGUOUS_OLDEST_S = _family(
    *(_register, _gauge, "claims_ambiguous_oldest_seconds"),
    "For how long it has not been known whether a provider has a message or call.",
)
OPT_OUTS = _family(
    *(_register, _gauge, "opt_outs", "Customers and numbers that want no more, by channel."),
    labels={"channel": _words(Channel)},
)
KILL_SWITCHES = _family(
    *(_register, _gauge, "kill_switches"),
    "Switches that are thrown; all stores are counted under one name.",
    labels={"scope": _words(SwitchScope), "name": (*_sent_on, *_kinds, "store")},
)
POLICIES = _family(
    *(_register, _gauge, "policies", "Loaded versions of policies, by mode."), labels={"mode": _modes}
)
WRITE_BACKS = _family(
    *(_register, _counter, "write_backs", "Updates of the order system that are settled, by outcome."),
    labels={"outcome": _words(WriteBackOutcome)},
)
WRITE_BACK_OLDEST_S = _family(
    *(_register, _gauge, "write_back_oldest_seconds"),
    "For how long the oldest update has waited to be written and read back.",
)
EVIDENCE = _family(
    *(_register, _gauge, "evidence_requests"),
    "Requests for evidence: waiting, failing at the store, stored, or dropped since the customer was erased.",
    labels={"state": ("waiting", "failing", "stored", "erased")},
)
EVIDENCE_OLDEST_S = _family(
    *(_register, _gauge, "evidence_oldest_seconds", "For how long the oldest request has waited."),
)
LOOKED_S = _family(
    *(_register, _gauge, "register_look_seconds", "How long the latest count of all cases took."),
)
LOOKED_AT_S = _family(
    *(_register, _gauge, "register_looked_timestamp_seconds", "When all cases were last counted."),
)
WATCHED_AT_S = _family(
    *(_register, _gauge, "register_watched_timestamp_seconds"),
    "When what alerts watch was last looked at: stuck, overdue, unsettled, switches, opt-outs.",
)

# The connectors: what this process did since it started.

WAITING = _family(
    *(_connectors, _gauge, "connectors_waiting"),
    "Rows that wait for this deployment's connectors, by what they are.",
    labels={
        "what": (
            *("claims_planned", "claims_claimed", "claims_ambiguous"),
            *("outbox", "write_backs", "evidence"),
        ),
        "channel": (*_sent_on, NONE),
    },
)
SENDS = Counted(
    "sends",
    "Attempts to send, by what the provider made of them.",
    _connectors,
    channel=_provided_on,
    outcome=("accepted", "refused", "not_accepted", "unsure"),
)
PROVIDER_S = Timed(
    *("provider_seconds", "How long providers took to answer an attempt.", _connectors, _SHORT_S),
    channel=_provided_on,
)
RATE_WAIT_S = Counted(
    "rate_limit_wait_seconds",
    "Time in which commands stood ready and the channel's rate held them back.",
    _connectors,
    channel=_provided_on,
)
TAKEN_IN = Counted(
    "connectors_records",
    "Records from Kafka, by topic and whether they were taken or quarantined.",
    _connectors,
    topic=tuple([str(topic.value) for topic in Topic]),
    outcome=("taken", "quarantined"),
)

# The edge: what this process did since it started.

ROUTES: Values = (
    *("/c/{token}", "/app/v1/conversations/{conversation_id:path}/decisions"),
    *("/staff/v1/tasks", "/staff/v1/tasks/{command_id:path}", "/driver/v1/refs/{reference}"),
    *("/twilio/sms", "/twilio/status/{command_id:path}", "/twilio/relay/{call_id}", "/twilio/voice"),
    *("/twilio/voice/{call_id}", "/twilio/voice/{call_id}/amd", "/twilio/voice/{call_id}/turn/{turn:int}"),
    *("/twilio/voice/{call_id}/again/{turn:int}/{times:int}", "/twilio/voice/{call_id}/relayed"),
    *("/twilio/voice/{call_id}/transfer", "/twilio/voice/{call_id}/whisper"),
    "/twilio/voice/{call_id}/transferred",
    *("/livez", "/readyz", "/metrics", "/version"),
)
REQUESTS = Counted(
    "edge_requests",
    "Requests answered, by the route's template and the class of the answer.",
    _edge,
    route=ROUTES,
    status=("1xx", "2xx", "3xx", "4xx", "5xx"),
)
REQUEST_S = Timed(
    *("edge_request_seconds", "From a request to its answer, by the route's template.", _edge, _SHORT_S),
    route=ROUTES,
)
REFUSED = Counted(
    "edge_refused",
    "Requests that were refused because of their signature or their age (403), by whose door it was.",
    _edge,
    door=("customer", "app", "staff", "driver", "twilio"),
)
TURNS = Counted("call_turns", "Turns of calls answered.", _edge, transport=("gather", "relay"))
TURN_S = Timed(
    *("call_turn_seconds", "From a caller's words to ours.", _edge),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    transport=("gather", "relay"),
)
TROUBLES = Counted(
    "call_troubles",
    "Turns that could not be taken, by what was wrong.",
    _edge,
    why=("database", "fault", "frame"),
)
OPINIONS = Counted(
    "second_opinions",
    "Second understandings asked for, by what came of it.",
    _edge,
    what=("proposed", "none"),
)
IN_CONNECTORS = (SENDS, PROVIDER_S, RATE_WAIT_S, TAKEN_IN)
IN_EDGE = (REQUESTS, REQUEST_S, REFUSED, TURNS, TURN_S, TROUBLES, OPINIONS)
FAMILIES: tuple[Family, ...] = (
    *ENGINE_TALLIES.values(),
    *[found for found in list(globals().values()) if isinstance(found, Family)],
    *[found.family for found in (*IN_CONNECTORS, *IN_EDGE)],
)
