"""The same laws under a machine that looks before it leaps: receipts for what was sent, answers to what is open."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from schemas.commands import ChannelCommand, EvidenceRequest, FulfilmentTrigger, OrderUpdate
from schemas.words import Channel, ReceiptState, TriggerState, WriteBackOutcome
from state.encoding import encode
from tests.properties.moves import Life
from tests.properties.timeline import replayed
from tests.properties.vocabulary import MOVES, SHELF, moves

CALL_STATES = [
    ReceiptState.RINGING,
    ReceiptState.ANSWERED,
    ReceiptState.COMPLETED,
    ReceiptState.NO_ANSWER,
    ReceiptState.BUSY,
    ReceiptState.VOICEMAIL,
    ReceiptState.AMBIGUOUS,
    ReceiptState.FAILED,
    ReceiptState.SUPPRESSED,
]


def _has(kind: type):
    return lambda machine: machine.has(kind)


class AnyLife(RuleBasedStateMachine):
    """One order, mostly; whatever the others do, they do it to what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(SHELF)

    def has(self, kind: type) -> bool:
        return any(isinstance(effect, kind) for _, effect in self.life.effects)

    def cases(self) -> list:
        record = self.life.records.get("o0")
        return record.cases if record is not None else []

    @rule(words=MOVES["raises"])
    def raises(self, words: dict) -> None:
        self.life.raises(**words | {"order": 0})

    @rule(ms=st.sampled_from([1, 5_000, 20_000, 60_000, 180_000]))
    def time_passes(self, ms: int) -> None:
        self.life.passes(ms)

    @precondition(lambda self: self.cases())
    @rule(off_ms=st.sampled_from([0, 0, -1, 1]))
    def the_next_deadline_comes(self, off_ms: int) -> None:
        self.life.nears_the_deadline(0, off_ms)

    @precondition(lambda self: self.cases())
    @rule(words=MOVES["taps"])
    def the_customer_taps(self, words: dict) -> None:
        self.life.taps(**words | {"order": 0})

    @precondition(lambda self: self.cases())
    @rule(words=MOVES["answers"])
    def somebody_answers(self, words: dict) -> None:
        self.life.answers(**words | {"order": 0})

    @precondition(
        lambda self: any(
            isinstance(e, ChannelCommand) and e.channel is Channel.VOICE for _, e in self.life.effects
        )
    )
    @rule(state=st.sampled_from(CALL_STATES), sequence=st.integers(0, 4), recorded=st.integers(0, 2))
    def the_call_goes_on(self, state: ReceiptState, sequence: int, recorded: int) -> None:
        commands = [e for _, e in self.life.effects if isinstance(e, ChannelCommand)]
        last = next(n for n, e in enumerate(reversed(commands)) if e.channel is Channel.VOICE)
        self.life.receipt(0, last, state, "", sequence, recorded)

    @precondition(_has(ChannelCommand))
    @rule(words=MOVES["receipt"])
    def a_receipt_comes(self, words: dict) -> None:
        self.life.receipt(**words | {"order": 0})

    @precondition(_has(OrderUpdate))
    @rule(
        which=st.sampled_from([0, 0, 1]),
        outcome=st.sampled_from([WriteBackOutcome.APPLIED, *WriteBackOutcome]),
        quantity=st.sampled_from([None, 0, 1, 2, 4]),
    )
    def the_oms_speaks(self, which: int, outcome: WriteBackOutcome, quantity: int | None) -> None:
        self.life.oms(0, which, outcome, quantity)

    @precondition(_has(FulfilmentTrigger))
    @rule(which=st.sampled_from([0, 0, 1]), state=st.sampled_from([TriggerState.DONE, *TriggerState]))
    def fulfilment_speaks(self, which: int, state: TriggerState) -> None:
        self.life.fulfilment(0, which, state, "")

    @precondition(_has(EvidenceRequest))
    @rule(words=MOVES["evidence"])
    def evidence_is_stored(self, words: dict) -> None:
        self.life.evidence(**words | {"order": 0})

    @rule(move=moves)
    def anything_happens(self, move: tuple[str, dict]) -> None:
        name, words = move
        getattr(self.life, name)(**words)

    def teardown(self) -> None:
        """In the end everything is closed or with people, and the whole can be replayed."""
        self.life.ends()
        effects, records = replayed(self.life.history, SHELF, stored=True)
        assert effects == self.life.effects
        assert records == {order_id: encode(record) for order_id, record in self.life.records.items()}


TestAnyLife = AnyLife.TestCase
# A machine's example is many steps, so that fewer of them search as much.
TestAnyLife.settings = settings(
    max_examples=max(settings().max_examples // 3, 10),
    stateful_step_count=60 if settings().max_examples > 1_000 else 25,
)
