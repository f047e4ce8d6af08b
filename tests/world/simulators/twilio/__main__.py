"""`python -m tests.world.simulators.twilio`: calls and texts, with people at the other end."""

import argparse
import asyncio
import json
from typing import Any

import msgspec
from aiohttp import web

from tests.world.simulators.desk import Desk, answer, arguments, serve
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN, Account, Number
from tests.world.simulators.twilio.calls import Calls
from tests.world.simulators.twilio.messages import Messages, Refusal
from tests.world.simulators.twilio.phones import Phone, phone_from
from tests.world.simulators.twilio.rest import Rest

_FAULTS = r"http_429|http_500|html|reject:\d{5}|accept_then_timeout|accept_then_500|undelivered:\d{5}"


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account-sid", default=ACCOUNT_SID)
    parser.add_argument("--auth-token", default=AUTH_TOKEN)
    parser.add_argument("--number", default="+441632960000", help="a number of ours")
    parser.add_argument("--sms-url", default="", help="where texts to that number go")
    parser.add_argument("--voice-url", default="", help="where calls to that number go")
    parser.add_argument("--status-callback", default="")
    parser.add_argument("--calls-per-second", type=float, default=1.0, help="0 for no limit")
    parser.add_argument(
        "--rewrite", default="", help="PUBLIC=ACTUAL: signed for the public URL, sent to the other"
    )


class Control:
    """The control door: phones, numbers, and what customers start by themselves."""

    def __init__(self, desk: Desk, account: Account, messages: Messages, calls: Calls) -> None:
        self.desk, self.account, self.messages, self.calls = desk, account, messages, calls
        router = desk.control.router
        router.add_put("/_control/phones/{number}", self._put_phone)
        router.add_get("/_control/phones/{number}", self._get_phone)
        router.add_put("/_control/numbers/{number}", self._put_number)
        router.add_post("/_control/inbound-sms", self._inbound_sms)
        router.add_post("/_control/inbound-call", self._inbound_call)
        router.add_post("/_control/calls/{sid}/hangup", self._hang_up)

    async def _put_phone(self, request: web.Request) -> web.Response:
        try:
            phone = phone_from(await request.read())
        except ValueError as error:
            return answer({"error": str(error)}, 400)
        self.calls.phones[request.match_info["number"]] = phone
        return web.Response(status=204)

    async def _get_phone(self, request: web.Request) -> web.Response:
        phone = self.calls.phones[request.match_info["number"]]
        return web.Response(body=msgspec.json.encode(phone), content_type="application/json")

    async def _put_number(self, request: web.Request) -> web.Response:
        number = msgspec.json.decode(await request.read(), type=Number)
        self.account.numbers[request.match_info["number"]] = number
        return web.Response(status=204)

    async def _inbound_sms(self, request: web.Request) -> web.Response:
        asked = await request.json()
        to = asked.get("to", self.desk.arguments.number)
        return await _tried(self.messages.inbound(asked["from"], to, asked["body"]))

    async def _inbound_call(self, request: web.Request) -> web.Response:
        asked = await request.json()
        to = asked.get("to", self.desk.arguments.number)
        try:
            phone = phone_from(json.dumps({"turns": asked.get("turns", [])}).encode())
        except ValueError as error:
            return answer({"error": str(error)}, 400)
        return await _tried(self._call_in(asked["from"], to, phone))

    async def _call_in(self, sender: str, to: str, phone: Phone) -> dict[str, Any]:
        return {"sid": await self.calls.inbound(sender, to, phone)}

    async def _hang_up(self, request: web.Request) -> web.Response:
        call = self.calls.all.get(request.match_info["sid"])
        if call is None:
            return answer({"error": "no such call"}, 404)
        self.calls.hang_up(call, "caller")
        return web.Response(status=204)


async def _tried(work: Any) -> web.Response:
    try:
        return answer(await work)
    except Refusal as refusal:
        return answer({"error": refusal.message}, 409)


async def main() -> None:
    desk = Desk("twilio", arguments("twilio", more), _FAULTS)
    given = desk.arguments
    public, _, actual = given.rewrite.partition("=")
    account = Account(desk, given.account_sid, given.auth_token, (public, actual) if actual else None)
    account.numbers[given.number] = Number(given.sms_url, given.voice_url, given.status_callback)
    messages, calls = Messages(account), Calls(account, given.calls_per_second)
    Control(desk, account, messages, calls)
    await serve(desk, Rest(account, messages, calls).application, closing=[account.close])


if __name__ == "__main__":
    asyncio.run(main())
