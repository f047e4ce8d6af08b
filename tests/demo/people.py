"""The customers of the demo: each waits for what the simulators deliver, and does what is their habit."""

import asyncio
import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs

import aiohttp

from tests.demo.grocer import Order, Person
from tests.world.simulators.process import Simulator

_LOOK_S = 0.25
_ASKS = re.compile(r"please answer by", re.IGNORECASE)
_SHOWN = re.compile(r"\b([A-Z]?)(\d) = ")
# What a phone does when it rings; nobody answers the others.
_PHONES: dict[str, dict[str, Any]] = {
    "presses_keys": {"picks_up": "person", "turns": [{"hears": ".", "keys": "1", "times": 60}]},
    "changes_mind": {"picks_up": "person", "turns": [{"hears": ".", "keys": "1", "times": 60}]},
    "hangs_up": {"picks_up": "person", "turns": [{"hears": ".", "hangup": True}]},
    "voicemail": {"picks_up": "voicemail"},
    "busy": {"picks_up": "busy"},
}


class People:
    """`run` lives until cancelled; `did` counts what was done, for the screen."""

    def __init__(self, orders: list[Order], simulators: dict[str, Simulator], seed: int) -> None:
        self._by_token = {order.person.token: order.person for order in orders if order.person.token}
        self._by_phone = {order.person.phone: order.person for order in orders if order.person.phone}
        self._by_mail = {order.person.email: order.person for order in orders if order.person.email}
        self._simulators = simulators
        self._rng = random.Random(seed)
        self._busy: set[asyncio.Task[None]] = set()
        self._started: set[tuple[str, str]] = set()
        self._trouble: list[BaseException] = []
        self.did: Counter[str] = Counter()

    async def settle_in(self) -> None:
        """Tell the simulators what each phone does when it rings, and which devices lost their app."""
        async with aiohttp.ClientSession() as session:
            for person in self._by_phone.values():
                phone = {"ring_ms": 3000, **_PHONES.get(person.habit, {"picks_up": "no_answer"})}
                door = self._simulators["twilio"].control
                async with session.put(f"{door}/_control/phones/{person.phone}", json=phone) as done:
                    done.raise_for_status()

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read("fcm", self._pushed))
                group.create_task(self._read("twilio", self._texted))
                group.create_task(self._read("smtp", self._mailed))

    async def _read(self, name: str, take: Any) -> None:
        """Follow a simulator's book: what it accepted has reached somebody."""
        seq, door = 0, self._simulators[name].control
        while True:
            if self._trouble:
                raise self._trouble[0]
            async with self._session.get(f"{door}/_control/book", params={"since": str(seq)}) as book:
                lines = (await book.read()).splitlines()
            for line in lines:
                entry = json.loads(line)
                seq = entry["seq"]
                if entry["kind"] == "request" and entry.get("provider_id"):
                    take(entry)
            await asyncio.sleep(_LOOK_S)

    def _pushed(self, entry: dict[str, Any]) -> None:
        person = self._by_token.get(entry["to"])
        data = json.loads(entry["body"])["message"]["data"]
        if person is None or data["purpose"] not in ("ask", "update"):
            return
        if person.habit in ("taps", "changes_mind"):
            self._starts(person, data["command_id"], self._taps(person, data["link"]))

    def _texted(self, entry: dict[str, Any]) -> None:
        form = {name: values[0] for name, values in parse_qs(entry["body"]).items()}
        person = self._by_phone.get(form.get("To", ""))
        if person is None or not _ASKS.search(form.get("Body", "")):
            return
        if person.habit == "texts":
            self._starts(person, entry["provider_id"], self._text(person, _keys(form["Body"])))
        elif person.habit == "says_stop":
            self._starts(person, "stop", self._text(person, "STOP"))

    def _mailed(self, entry: dict[str, Any]) -> None:
        person = self._by_mail.get(entry["to"])
        if person is None or person.habit != "mails" or not _ASKS.search(entry["body"].replace("=\n", "")):
            return
        self._starts(person, entry["provider_id"], self._opens_mail(person))

    def _starts(self, person: Person, about: str, work: Coroutine[Any, Any, None]) -> None:
        if (person.ref, about) in self._started:
            work.close()
            return
        self._started.add((person.ref, about))
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble.append(error)

    async def _think(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.4, 3.0))

    async def _taps(self, person: Person, link: str) -> None:
        await self._think()
        await self._choose(link, 0)
        self.did["tapped"] += 1
        if person.habit == "changes_mind":
            await self._think()
            await self._choose(link, 1)
            self.did["changed their mind"] += 1

    async def _opens_mail(self, person: Person) -> None:
        await self._think()
        door = self._simulators["smtp"].control
        async with self._session.get(f"{door}/_control/messages", params={"to": person.email}) as found:
            # The latest may tell already what became of it, and ask nothing.
            links = [one["links"][-1] for one in await found.json() if one["links"]]
        await self._choose(links[-1], 0)
        self.did["used the page"] += 1

    async def _text(self, person: Person, body: str) -> None:
        await self._think()
        door = self._simulators["twilio"].control
        sent = {"from": person.phone, "body": body}
        async with self._session.post(f"{door}/_control/inbound-sms", json=sent) as done:
            # A number that said STOP before is refused by the carrier itself.
            if done.status != 409:
                done.raise_for_status()
        self.did["said stop" if body == "STOP" else "texted"] += 1

    async def _choose(self, link: str, wanted: int) -> None:
        """The page's JSON twin, as an app opens it; a page that is briefly away is tried again."""
        request_id = uuid.uuid4().hex
        while True:
            try:
                page = await self._page("GET", link)
                picks = [_pick(case, wanted) for case in page["cases"] if case["changeable"]]
                if picks:
                    await self._page("POST", link, {"request_id": request_id, "decisions": picks})
            except (aiohttp.ClientError, TimeoutError):
                self.did["tried again"] += 1
                await asyncio.sleep(0.5)
            else:
                return

    async def _page(self, method: str, link: str, body: Any = None) -> Any:
        headers = {"Accept": "application/json"}
        async with self._session.request(method, link, json=body, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()


def _pick(case: dict[str, Any], wanted: int) -> dict[str, Any]:
    """The option of that rank; further down, and where there is none, the refund or whatever is left."""
    offered = case["offered"]
    options = offered["options"]
    picked: dict[str, Any] = {"case_id": case["case_id"], "version": case["version"]}
    if wanted < len(options):
        option = options[wanted]
        total, currency = option["total"]["minor"], option["total"]["currency"]
        return picked | {"option_id": option["option_id"], "total_minor": total, "currency": currency}
    if offered["refund_allowed"] or not options:
        return picked | {"refund": True}
    return _pick(case, len(options) - 1)


def _keys(body: str) -> str:
    """The first option of each line, as a hurried thumb writes it: `A1 B1`, or `1`."""
    first: dict[str, str] = {}
    for letter, key in _SHOWN.findall(body):
        if key != "0" or letter not in first:
            first.setdefault(letter, key)
    return " ".join(f"{letter}{key}" for letter, key in first.items()) or "0"
