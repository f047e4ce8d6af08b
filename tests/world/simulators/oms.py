"""A reference OMS over HTTP: orders with versions and a unique decision key, and the faults of real ones.

It is no more careful than a real one: it reads an order, takes its time, and writes it back, so that two
writers at once lose one of their changes unless they take turns or send the version that they saw.
"""

import argparse
import asyncio
from typing import Any

import msgspec
from aiohttp import web

from tests.world.simulators.desk import Desk, answer, arguments, headers_of, never_answer, serve
from tests.world.simulators.faults import Match, Rule, Verdict
from tests.world.simulators.oms_orders import (
    Conflict,
    Decision,
    Line,
    Order,
    Orders,
    Rejected,
    applied,
    preview,
    refunded,
)

_FAULTS = (
    r"line_changed|line_fulfilled|being_modified|not_modifiable|timeout_after_apply|says_applied_but_is_not"
    r"|authorise_refused|authorise_unknown|html|http_500|http_503"
)


class Money(msgspec.Struct, forbid_unknown_fields=True):
    """What `authorise` and `refund` are asked: minor units, and the key that makes a repeat harmless."""

    amount_minor: int
    key: str


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What `fulfil`, `redeliver` and `instruct` are asked."""

    key: str
    reference: str = ""


class Preview(msgspec.Struct, forbid_unknown_fields=True):
    decisions: list[Decision]


class Oms:
    """The product's door and the control door."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.orders = Orders(desk.folder / "oms.sqlite")
        self.application = web.Application(client_max_size=1_000_000)
        for method, path, handler in (
            ("GET", "/orders/{order}", self._read),
            ("POST", "/orders/{order}/preview", self._preview),
            ("POST", "/orders/{order}/decisions", self._apply),
            ("POST", "/orders/{order}/authorise", self._authorise),
            ("POST", "/orders/{order}/refund", self._refund),
            ("POST", "/orders/{order}/fulfil", self._ask),
            ("POST", "/orders/{order}/redeliver", self._ask),
            ("POST", "/orders/{order}/instruct", self._ask),
        ):
            self.application.router.add_route(method, path, self._guarded(handler))
        router = desk.control.router
        router.add_put("/_control/orders/{order}", self._put_order)
        router.add_get("/_control/orders/{order}", self._get_order)
        router.add_put("/_control/orders/{order}/faults", self._put_order_faults)
        router.add_put("/_control/orders/{order}/lines/{line}", self._put_line)
        router.add_put("/_control/orders/{order}/lines/{line}/picked", self._picked)
        router.add_get("/_control/orders/{order}/book", self._order_book)

    def _guarded(self, handler: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            raw = await request.text()
            order_id, what = request.match_info["order"], request.path.rsplit("/", 1)[-1]
            if request.headers.get("Authorization") != f"Bearer {self.desk.arguments.token}":
                return self._answer(request, raw, 401, {"error": "unauthorised"}, Verdict())
            order = self.orders.read(order_id)
            if order is None:
                return self._answer(request, raw, 404, {"error": "no such order"}, Verdict())
            resource = "read" if request.method == "GET" else what
            verdict = self.desk.faults.meet(resource, order_id, f"{order_id}~", raw)
            if verdict.name == "html":
                self._answer(request, raw, 200, "<html>", verdict)
                return web.Response(text="<html><body>Please log in</body></html>", content_type="text/html")
            if verdict.name in ("http_500", "http_503"):
                return self._answer(request, raw, int(verdict.name[-3:]), {"error": "down"}, verdict)
            try:
                return await handler(request, order, verdict)
            except msgspec.ValidationError as error:
                return self._answer(request, raw, 400, {"outcome": "REJECTED", "code": str(error)}, verdict)
            except Conflict as conflict:
                body = {
                    "outcome": "CONFLICT",
                    "conflict": conflict.reason,
                    "line_quantity": conflict.quantity,
                }
                return self._answer(request, raw, 409, body, verdict)
            except Rejected as rejected:
                return self._answer(
                    request, raw, 422, {"outcome": "REJECTED", "code": rejected.code}, verdict
                )

        return handle

    def _answer(
        self, request: web.Request, raw: str, status: int, body: Any, verdict: Verdict
    ) -> web.Response:
        self.desk.book.write(
            "request",
            method=request.method,
            path=request.path_qs,
            headers=headers_of(request),
            body=raw,
            status=status,
            answer=body,
            order=request.match_info.get("order", ""),
            fault=verdict.then,
        )
        return answer(body, status)

    async def _read(self, request: web.Request, order: Order, verdict: Verdict) -> web.StreamResponse:
        return self._answer(request, "", 200, msgspec.to_builtins(order), verdict)

    async def _preview(self, request: web.Request, order: Order, verdict: Verdict) -> web.StreamResponse:
        asked = msgspec.json.decode(await request.read(), type=Preview)
        total = preview(order, asked.decisions)
        body = {"total_minor": total, "delta_minor": total - order.total_minor, "currency": order.currency}
        return self._answer(request, await request.text(), 200, body, verdict)

    async def _apply(self, request: web.Request, order: Order, verdict: Verdict) -> web.StreamResponse:
        raw = await request.text()
        decision = msgspec.json.decode(raw, type=Decision)
        if any(one.decision_id == decision.decision_id for one in order.decisions):
            return self._answer(request, raw, 200, self._outcome("ALREADY_APPLIED", order), verdict)
        self._struck(order, decision, verdict)
        if verdict.name == "says_applied_but_is_not":
            return self._answer(request, raw, 200, self._outcome("APPLIED", order), verdict)
        started_at = self.desk.clock.now()
        changed = applied(order, decision)
        await asyncio.sleep(self.desk.arguments.latency_ms / 1000)
        if decision.expected_version is not None and self._version_now(order) != order.version:
            raise Conflict("ORDER_BEING_MODIFIED")
        written = self.orders.write(
            changed, "decision", decision.decision_id, started_at, self.desk.clock.now()
        )
        if not written:
            # The unique key: another request with this decision was quicker.
            return self._answer(request, raw, 200, self._outcome("ALREADY_APPLIED", order), verdict)
        if verdict.name == "timeout_after_apply":
            self._answer(request, raw, 0, self._outcome("APPLIED", changed), verdict)
            return await never_answer(request)
        return self._answer(request, raw, 200, self._outcome("APPLIED", changed), verdict)

    def _version_now(self, order: Order) -> int:
        current = self.orders.read(order.order_id)
        return current.version if current else 0

    def _outcome(self, word: str, order: Order) -> dict[str, Any]:
        return {"outcome": word, "version": order.version, "total_minor": order.total_minor}

    def _struck(self, order: Order, decision: Decision, verdict: Verdict) -> None:
        """Makes the fault's own change, so that what is answered is also true, and answers it."""
        match verdict.name:
            case "line_changed":
                line = order.line(decision.line_id)
                line.ordered = max(1, line.ordered - 1)
                line.quantity = min(line.quantity, line.ordered)
                self._upstream(order)
                raise Conflict("LINE_CHANGED", line.ordered)
            case "line_fulfilled":
                line = order.line(decision.line_id)
                line.fulfilled = line.quantity
                self._upstream(order)
                raise Conflict("LINE_FULFILLED", line.quantity)
            case "being_modified":
                raise Conflict("ORDER_BEING_MODIFIED")
            case "not_modifiable":
                raise Conflict("ORDER_NOT_MODIFIABLE")

    def _upstream(self, order: Order) -> None:
        now = self.desk.clock.now()
        order.version += 1
        self.orders.write(order, "upstream", "", now, now)

    async def _authorise(self, request: web.Request, order: Order, verdict: Verdict) -> web.StreamResponse:
        raw = await request.text()
        asked = msgspec.json.decode(raw, type=Money)
        if verdict.name == "authorise_refused":
            return self._answer(request, raw, 402, {"outcome": "REJECTED", "code": "card_declined"}, verdict)
        now = self.desk.clock.now()
        done = self.orders.once(order.order_id, "authorisation", asked.key, asked.amount_minor, now)
        if verdict.name == "authorise_unknown":
            return await never_answer(request)
        word = "APPLIED" if done else "ALREADY_APPLIED"
        return self._answer(request, raw, 200, {"outcome": word}, verdict)

    async def _refund(self, request: web.Request, order: Order, verdict: Verdict) -> web.StreamResponse:
        raw = await request.text()
        asked = msgspec.json.decode(raw, type=Money)
        started_at = self.desk.clock.now()
        changed = refunded(order, asked.amount_minor, asked.key)
        if changed is None:
            return self._answer(request, raw, 200, {"outcome": "ALREADY_APPLIED"}, verdict)
        await asyncio.sleep(self.desk.arguments.latency_ms / 1000)
        done = self.orders.write(changed, "refund", asked.key, started_at, self.desk.clock.now())
        word = "APPLIED" if done else "ALREADY_APPLIED"
        return self._answer(request, raw, 200, {"outcome": word}, verdict)

    async def _ask(self, request: web.Request, order: Order, verdict: Verdict) -> web.StreamResponse:
        raw = await request.text()
        asked = msgspec.json.decode(raw, type=Ask)
        kind = request.path.rsplit("/", 1)[-1]
        done = self.orders.once(order.order_id, kind, asked.key, 0, self.desk.clock.now(), asked.reference)
        word = "APPLIED" if done else "ALREADY_APPLIED"
        return self._answer(request, raw, 200, {"outcome": word}, verdict)

    async def _put_order(self, request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, Any])
            order = msgspec.convert({"order_id": request.match_info["order"], **body}, Order)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return answer({"error": str(error)}, 400)
        order.total_minor = order.total_minor or order.sum_minor()
        now = self.desk.clock.now()
        self.orders.write(order, "upstream", "", now, now)
        return web.Response(status=204)

    async def _get_order(self, request: web.Request) -> web.Response:
        order = self.orders.read(request.match_info["order"])
        return answer(msgspec.to_builtins(order), 200 if order else 404)

    async def _put_order_faults(self, request: web.Request) -> web.Response:
        """The faults of one order: replaces its rules and leaves the others'."""
        order_id = request.match_info["order"]
        others = [rule for rule in self.desk.faults.rules if rule.match.order != order_id]
        try:
            self.desk.faults.put(await request.read())
        except ValueError as error:
            return answer({"error": str(error)}, 400)
        mine = [
            Rule(
                match=Match(resource=rule.match.resource, nth=rule.match.nth, order=order_id),
                then=rule.then,
                after_ms=rule.after_ms,
                count=rule.count,
            )
            for rule in self.desk.faults.rules
        ]
        self.desk.faults.rules = [*others, *mine]
        return web.Response(status=204)

    async def _put_line(self, request: web.Request) -> web.Response:
        """Somebody else changes a line: quantity ordered, price, or what is there."""
        order = self.orders.read(request.match_info["order"])
        if order is None:
            return answer({"error": "no such order"}, 404)
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, Any])
            line = msgspec.convert({"line_id": request.match_info["line"], **body}, Line)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return answer({"error": str(error)}, 400)
        order.lines = [one for one in order.lines if one.line_id != line.line_id] + [line]
        order.total_minor = order.sum_minor()
        self._upstream(order)
        return web.Response(status=204)

    async def _picked(self, request: web.Request) -> web.Response:
        order = self.orders.read(request.match_info["order"])
        if order is None or not any(one.line_id == request.match_info["line"] for one in order.lines):
            return answer({"error": "no such line"}, 404)
        line = order.line(request.match_info["line"])
        line.fulfilled = line.quantity
        self._upstream(order)
        return web.Response(status=204)

    async def _order_book(self, request: web.Request) -> web.Response:
        return answer(self.orders.book(request.match_info["order"]))


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token", default="oms-token", help="the bearer token of the product")
    parser.add_argument(
        "--latency-ms", type=int, default=5, help="between reading an order and writing it back"
    )


async def main() -> None:
    desk = Desk("oms", arguments("oms", more), _FAULTS)
    await serve(desk, Oms(desk).application)


if __name__ == "__main__":
    asyncio.run(main())
