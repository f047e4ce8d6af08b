"""Every way in which a partition's work can end other than well; each says what its owner does then."""


class LedgerFailure(Exception):
    """The batch was thrown away; nothing of it is visible to anybody. The subclass says what is next."""

    exit_code = 70


class Fenced(LedgerFailure):
    """Another owner took the partition: give it up, keep the others."""

    exit_code = 71


class Unsettled(LedgerFailure):
    """The transaction failed or its result is unknown: open again, which settles it, and repeat the batch."""

    exit_code = 72


class Gap(LedgerFailure):
    """The delivery starts beyond what was processed: stop the worker rather than skip records."""

    exit_code = 73


class SourceTruncated(LedgerFailure):
    """Retention removed records that nobody had processed: an operator decides (`docs/engine.md`)."""

    exit_code = 74


class ClockApart(LedgerFailure):
    """This machine's clock and the broker's differ by more than allowed: give the partition up."""

    exit_code = 75


class PoisonStreak(LedgerFailure):
    """`decide` raised several times in a row: the code is bad rather than a record. Stop, uncommitted."""

    exit_code = 76


class ForeignRecord(LedgerFailure):
    """The changelog holds a record that no ledger wrote: refuse to build states on it."""

    exit_code = 77


class Unreachable(LedgerFailure):
    """The broker did not answer in time while opening, or the schema registry did not: try again later."""

    exit_code = 78


class UnreadableState(LedgerFailure):
    """A stored state cannot be decoded: a downgrade, or a bug. Stop; guessing would lose a conversation."""

    exit_code = 79
