"""One account: its secrets, its numbers, and the signed requests that it makes of the product."""

import asyncio
import itertools
import re
import secrets
from collections.abc import Coroutine
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
import msgspec
from twilio.request_validator import RequestValidator
from yarl import URL

from tests.world.simulators.book import command_id_in
from tests.world.simulators.desk import Desk
from tests.world.simulators.faults import Callbacks

API_VERSION = "2010-04-01"
ACCOUNT_SID = "AC" + "5a" * 16
AUTH_TOKEN = "7b" * 16
# What Twilio waits for a webhook before it gives it up.
_WEBHOOK_TIMEOUT_S = 15.0


class Number(msgspec.Struct):
    """Where a number of ours sends what comes in."""

    sms_url: str = ""
    voice_url: str = ""
    status_callback: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What the product answered; `status` is 0 when it could not be reached."""

    status: int
    body: str = ""
    content_type: str = ""
    error: str = ""


class Account:
    """Everything that the parts of this simulator share."""

    def __init__(self, desk: Desk, sid: str, token: str, rewrite: tuple[str, str] | None) -> None:
        """`rewrite` sends what is meant for the public URL somewhere else, signed for the public URL."""
        self.desk = desk
        self.book = desk.book
        self.sid = sid
        self.token = token
        self.numbers: dict[str, Number] = {}
        self.opted_out: set[str] = set()
        self._rewrite = rewrite
        self._validator = RequestValidator(token)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._run = secrets.token_hex(8)

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WEBHOOK_TIMEOUT_S))
        return self._session

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs beside the request that started it; a fault in it is in the book."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._gone)
        return task

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.book.write("simulator_fault", error=repr(task.exception()))

    def new_sid(self, prefix: str) -> str:
        return f"{prefix}{self._run}{next(self._numbers):016x}"

    def now(self) -> datetime:
        return self.desk.clock.now()

    def rfc2822(self, at: datetime | None) -> str | None:
        return None if at is None else format_datetime(at)

    def signature(self, url: str, params: dict[str, str] | None = None) -> str:
        return str(self._validator.compute_signature(url, params or {}))

    def reach(self, url: str) -> str:
        """Where a URL of the product is really listening."""
        if self._rewrite and url.startswith(self._rewrite[0]):
            return self._rewrite[1] + url.removeprefix(self._rewrite[0])
        return url

    async def ask(self, url: str, params: dict[str, str], method: str, purpose: str, about: str) -> Reply:
        """One signed webhook; a connection that cannot be made is tried once more, as Twilio does."""
        body: dict[str, str] | None = params
        if method.upper() == "GET":
            url, body = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}", None
        reply = await self._once(url, body, method)
        if reply.status == 0 and reply.error.startswith("connect"):
            reply = await self._once(url, body, method)
        self.book.write(
            "callback",
            purpose=purpose,
            about=about,
            command_id=command_id_in(url),
            method=method.upper(),
            url=url,
            params=params,
            status=reply.status,
            answer=reply.body,
            error=reply.error,
        )
        return reply

    async def _once(self, url: str, body: dict[str, str] | None, method: str) -> Reply:
        headers = {
            "X-Twilio-Signature": self.signature(url, body),
            "User-Agent": "TwilioProxy/1.1",
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        }
        # Sent raw: aiohttp would rewrite percent-encodings, and the signature is over the URL as given.
        target = URL(self.reach(url), encoded=True)
        try:
            async with self.session.request(
                method, target, data=body, headers=headers, allow_redirects=False
            ) as response:
                text = (await response.read()).decode(errors="replace")
                return Reply(response.status, text, response.content_type or "")
        except aiohttp.ClientConnectorError as error:
            return Reply(0, error=f"connect: {error}")
        except (aiohttp.ClientError, TimeoutError) as error:
            return Reply(0, error=f"{type(error).__name__}: {error}")


class Reports:
    """The status callbacks of one message or call: in order, unless a fault says otherwise."""

    def __init__(self, account: Account, url: str, method: str, about: str, fault: Callbacks) -> None:
        self._account = account
        self._url, self._method, self._about, self._fault = url, method or "POST", about, fault
        self._held: list[dict[str, str]] = []
        self._last: asyncio.Task[None] | None = None

    def send(self, params: dict[str, str], *, final: bool) -> None:
        if not self._url:
            return
        if self._fault.none:
            self._account.book.write("callback_withheld", about=self._about, params=params)
            return
        if self._fault.order == "reversed":
            self._held.insert(0, params)
            due, self._held = (self._held, []) if final else ([], self._held)
        else:
            due = [params]
        for one in due:
            self._last = self._account.go(self._deliver(one, self._last))

    async def _deliver(self, params: dict[str, str], before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait([before])
        if self._fault.delay_ms:
            await asyncio.sleep(self._fault.delay_ms / 1000)
        for _ in range(self._fault.times):
            await self._account.ask(self._url, params, self._method, "status", self._about)


_E164 = re.compile(r"\+[1-9]\d{6,14}")


def is_phone(text: str) -> bool:
    return _E164.fullmatch(text) is not None


def absolute(base: str, url: str) -> str:
    return urljoin(base, url)
