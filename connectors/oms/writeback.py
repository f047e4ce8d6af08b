"""Puts one decision into the OMS and believes it only when it is read back."""

import hashlib
import time
from collections.abc import Callable

import msgspec

from connectors.oms.door import Applied, Conflict, Oms, Order, Outcome, Rejected, Unknown
from connectors.oms.verify import verify
from schemas.commands import OrderUpdate
from schemas.words import WriteBackOutcome

_CONFLICTS = {
    "LINE_CHANGED": WriteBackOutcome.LINE_CHANGED,
    "LINE_FULFILLED": WriteBackOutcome.LINE_FULFILLED,
    "ORDER_NOT_MODIFIABLE": WriteBackOutcome.ORDER_NOT_MODIFIABLE,
    "ORDER_BEING_MODIFIED": WriteBackOutcome.ORDER_BEING_MODIFIED,
}
Reach = Callable[..., None]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the OMS made of an update; UNDETERMINED is asked again, and never simply repeated."""

    outcome: WriteBackOutcome
    code: str = ""
    differences: tuple[str, ...] = ()
    line_quantity: int | None = None
    snapshot: bytes = b""

    @property
    def snapshot_sha256(self) -> str:
        return hashlib.sha256(self.snapshot).hexdigest() if self.snapshot else ""


class WriteBack:
    """Call it while the order is locked; `blocked` says why the decision may no longer be written, or nothing."""

    def __init__(
        self,
        oms: Oms,
        *,
        blocked: Callable[[OrderUpdate], str] = lambda _update: "",
        reach: Reach = lambda _point, **_about: None,
        pause: Callable[[float], None] = time.sleep,
        read_back_s: tuple[float, ...] = (0.0, 0.2, 0.4, 0.8),
    ) -> None:
        self._oms, self._blocked, self._reach, self._pause = oms, blocked, reach, pause
        self._read_back_s = read_back_s

    def write(self, update: OrderUpdate, *, was_unknown: bool = False) -> Written:
        """`was_unknown`: an earlier request may have been applied, so it is looked for before anything else."""
        order = self._oms.read(update.order_id)
        if order is None:
            return Written(outcome=WriteBackOutcome.UNDETERMINED, code="unreadable")
        if _recorded(order, update):
            return self._judge(order, update, WriteBackOutcome.ALREADY_APPLIED)
        if was_unknown and not self._oms.capabilities().unique_key:
            # A repeat could apply it twice: people look at it.
            return Written(outcome=WriteBackOutcome.MISMATCH, differences=("its fate is not known",))
        why = self._blocked(update)
        if why:
            return Written(outcome=WriteBackOutcome.REJECTED, code=why)
        refused = self._authorise(order, update)
        if refused is not None:
            return refused
        outcome = self._oms.apply(order, update)
        self._reach("after_oms_apply_before_verify", order=update.order_id)
        return self._believe(update, outcome)

    def _authorise(self, order: Order, update: OrderUpdate) -> Written | None:
        """An increase of the order's total is authorised first; refused or unknown means no increase."""
        before, after = update.decision.price_before, update.decision.price_after
        if before is None or after is None or after.minor <= before.minor:
            return None
        if not self._oms.capabilities().preview:
            delta = after.minor - before.minor
        else:
            total = self._oms.preview(order, [update])
            if total is None:
                # Whether it rises is not known: nothing is written until it is.
                return Written(outcome=WriteBackOutcome.UNDETERMINED, code="preview: unreadable")
            delta = total - order.total_minor
        if delta <= 0:
            return None
        match self._oms.authorise(update.order_id, delta, f"{update.command_id}.a"):
            case Applied():
                return None
            case Rejected(code=code):
                return Written(outcome=WriteBackOutcome.AUTHORISATION_REFUSED, code=code)
            case Conflict(reason=reason):
                return Written(outcome=_CONFLICTS[reason])
            case Unknown(why=why):
                return Written(outcome=WriteBackOutcome.UNDETERMINED, code=f"authorise: {why}")

    def _believe(self, update: OrderUpdate, outcome: Outcome) -> Written:
        match outcome:
            case Conflict(reason=reason, line_quantity=quantity):
                return Written(outcome=_CONFLICTS[reason], line_quantity=quantity)
            case Rejected(code=code):
                return Written(outcome=WriteBackOutcome.REJECTED, code=code)
            case Applied(already=already):
                said = WriteBackOutcome.ALREADY_APPLIED if already else WriteBackOutcome.APPLIED
                return self._read_back(update, said, otherwise=WriteBackOutcome.MISMATCH)
            case Unknown(why=why):
                written = self._read_back(
                    update, WriteBackOutcome.APPLIED, otherwise=WriteBackOutcome.UNDETERMINED
                )
                return msgspec.structs.replace(written, code=written.code or why)

    def _read_back(
        self, update: OrderUpdate, said: WriteBackOutcome, *, otherwise: WriteBackOutcome
    ) -> Written:
        order = None
        for wait_s in self._read_back_s:
            self._pause(wait_s)
            order = self._oms.read(update.order_id) or order
            if order is not None and _recorded(order, update):
                return self._judge(order, update, said)
        if order is None:
            return Written(outcome=WriteBackOutcome.UNDETERMINED, code="unreadable")
        if otherwise is WriteBackOutcome.UNDETERMINED:
            return Written(outcome=otherwise)
        return self._judge(order, update, said)

    def _judge(self, order: Order, update: OrderUpdate, said: WriteBackOutcome) -> Written:
        seen = verify(order, update)
        outcome = WriteBackOutcome.MISMATCH if seen.differences else said
        return Written(outcome=outcome, differences=seen.differences, snapshot=seen.snapshot)


def _recorded(order: Order, update: OrderUpdate) -> bool:
    return any(one.decision_id == update.decision.decision_id for one in order.decisions)
