"""The adapter for the reference OMS's JSON interface; a retailer's own adapter looks like this."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
import requests

from connectors.oms.door import (
    Applied,
    Capabilities,
    Conflict,
    Order,
    OrderLine,
    Outcome,
    Recorded,
    Rejected,
    Unknown,
)
from connectors.tracing import HEADER, current
from schemas.commands import OrderUpdate

# A code goes into topics, logs and the database: what reads as none is not passed on, since it may be about somebody.
_CODE = re.compile("[A-Za-z0-9_.:-]{1,64}")
_QUANTITY_MAX = 2**31
_CONFLICTS = {"LINE_CHANGED", "LINE_FULFILLED", "ORDER_NOT_MODIFIABLE", "ORDER_BEING_MODIFIED"}


class _Refund(msgspec.Struct):
    key: str
    amount_minor: int


class _Payment(msgspec.Struct):
    payment_id: str
    refunds: list[_Refund] = []


class _Order(msgspec.Struct):
    """As it comes; anything that does not fit is no answer."""

    order_id: str
    state: str
    total_minor: int
    version: int
    lines: list[OrderLine] = []
    payments: list[_Payment] = []
    decisions: list[Recorded] = []


_order = msgspec.json.Decoder(_Order).decode


class ReferenceOms:
    """`base_url` and a bearer token; every request is sent once, over connections that are kept."""

    def __init__(self, base_url: str, token: str, timeout_s: float) -> None:
        self._base_url, self._timeout_s = base_url, timeout_s
        self._token = token
        self._session = requests.Session()

    @property
    def _headers(self) -> dict[str, str]:
        trace = {HEADER: current()} if current() else {}
        return {"Authorization": f"Bearer {self._token}", **trace}

    def capabilities(self) -> Capabilities:
        return Capabilities(unique_key=True, version=True, preview=True, atomic_refund=True)

    def read(self, order_id: str) -> Order | None:
        try:
            response = self._session.get(self._url(order_id), headers=self._headers, timeout=self._timeout_s)
            if response.status_code != 200:
                return None
            order = _order(response.content)
        except (requests.exceptions.RequestException, msgspec.DecodeError, RecursionError):
            return None
        if order.order_id != order_id:
            return None
        return Order(
            order_id=order.order_id,
            state=order.state,
            total_minor=order.total_minor,
            version=order.version,
            lines=tuple(order.lines),
            decisions=tuple(order.decisions),
            refunds_minor={one.key: one.amount_minor for paid in order.payments for one in paid.refunds},
        )

    def preview(self, order: Order, updates: list[OrderUpdate]) -> int | None:
        body = {"decisions": [_decision(order, update) for update in updates]}
        answer = self._ask(order.order_id, "preview", body)
        total = answer.get("total_minor") if isinstance(answer, dict) else None
        return total if isinstance(total, int) else None

    def apply(self, order: Order, update: OrderUpdate) -> Outcome:
        body = {**_decision(order, update), "expected_version": order.version}
        return self._outcome(order.order_id, "decisions", body)

    def authorise(self, order_id: str, delta_minor: int, key: str) -> Outcome:
        return self._outcome(order_id, "authorise", {"amount_minor": delta_minor, "key": key})

    def refund(self, order_id: str, amount_minor: int, key: str) -> Outcome:
        return self._outcome(order_id, "refund", {"amount_minor": amount_minor, "key": key})

    def fulfil(self, order_id: str, key: str) -> Outcome:
        return self._outcome(order_id, "fulfil", {"key": key})

    def redeliver(self, order_id: str, key: str, reference: str) -> Outcome:
        return self._outcome(order_id, "redeliver", {"key": key, "reference": reference})

    def instruct(self, order_id: str, key: str, reference: str) -> Outcome:
        return self._outcome(order_id, "instruct", {"key": key, "reference": reference})

    def _outcome(self, order_id: str, what: str, body: dict[str, Any]) -> Outcome:
        answer = self._ask(order_id, what, body)
        match answer:
            case {"outcome": "APPLIED"}:
                return Applied()
            case {"outcome": "ALREADY_APPLIED"}:
                return Applied(already=True)
            case {
                "outcome": "CONFLICT",
                "conflict": str(reason),
                "line_quantity": int() | None as quantity,
            } if reason in _CONFLICTS and 0 <= (quantity or 0) < _QUANTITY_MAX:
                return Conflict(reason, quantity)
            case {"outcome": "REJECTED", "code": code}:
                return Rejected(str(code) if _CODE.fullmatch(str(code)) else "unnamed")
            case str(why):
                return Unknown(why)
            case _:
                return Unknown("an answer that is none")

    def _ask(self, order_id: str, what: str, body: dict[str, Any]) -> dict[str, Any] | str:
        """The answer, or why there is none that can be used."""
        url = f"{self._url(order_id)}/{what}"
        return _told(
            lambda: self._session.post(url, json=body, headers=self._headers, timeout=self._timeout_s)
        )

    def _url(self, order_id: str) -> str:
        return f"{self._base_url}/orders/{quote(order_id, safe='')}"


def _told(ask: Callable[[], requests.Response]) -> dict[str, Any] | str:
    try:
        response = ask()
    except requests.exceptions.RequestException as error:
        return type(error).__name__
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return "an answer that is no JSON"
    if not isinstance(answer, dict) or response.status_code >= 500:
        return f"http_{response.status_code}"
    return answer


def _decision(order: Order, update: OrderUpdate) -> dict[str, Any]:
    decision = update.decision
    return {
        "decision_id": decision.decision_id,
        "line_id": update.line_id,
        "expected_quantity": update.expected_quantity,
        "keep_quantity": decision.keep_quantity,
        "refund_quantity": decision.refund_quantity,
        "components": [
            {
                "sku": component.sku,
                "name": component.name,
                "quantity": component.pieces,
                "unit_price_minor": component.unit_price.minor,
            }
            for part in decision.chosen
            for component in part.components
        ],
        # What stands there now, which is not always the version before: that one may have met a conflict.
        "replaces": order.last_decision_on(update.line_id),
        "discount_minor": decision.absorbed.minor if decision.absorbed else 0,
        "refund_form": str(decision.refund_form),
        "resolution": str(decision.resolution),
        "reference": decision.reference,
        "at": decision.decided_at.isoformat(),
        "by": str(decision.actor),
    }
