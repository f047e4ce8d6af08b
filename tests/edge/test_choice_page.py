"""The choice page and the app's door, over real HTTP and a real Postgres, with `decide` behind them."""

import asyncio
import hashlib
import hmac
import itertools
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
import uvicorn

from connectors.blocks import keep
from connectors.claims import Claims
from connectors.clock import SystemClock
from connectors.edge.app import Edge
from connectors.edge.facts import Unpublished
from connectors.edge.tokens import Link, Links
from connectors.notes import Notes
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.register.projection import Placed, project
from connectors.vault import Vault
from schemas.codec import Codec
from schemas.commands import CaseChanged, ChannelCommand, FulfilmentTrigger
from schemas.events import ProductBlocked
from schemas.registry import LockedRegistry
from schemas.words import Group, Kind, OptionKind, Resolution
from tests.builders import NOON, a_customer, a_line, an_exception, an_option
from tests.scenarios.world import World
from tests.streams.rig import until
from tests.world.part import free_port

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]

CODEC = Codec(LockedRegistry())
SECRET = "app secret"


class Shop:
    """A world whose effects reach Postgres as the connectors would bring them, and an edge in front of it."""

    def __init__(self, dsn: str) -> None:
        upgrade(dsn)
        self.pool = open_pool(dsn, max_size=6)
        self.world = World()
        self.claims = Claims(self.pool, Outbox(CODEC.encode), SystemClock(), "run-1")
        self.offset = itertools.count()
        self.broker_is_away = False
        self.seen = 0
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        ids = itertools.count(1)
        self.links = Links(["old secret", "new secret"], self.url)
        clock = SystemClock()
        self.notes = Notes(self.pool, Vault(self.pool, [b"m" * 32], b"s" * 16, clock), clock)
        edge = Edge(
            pool=self.pool,
            facts=self,
            links=self.links,
            clock=SystemClock(),
            app_secrets=["older", SECRET],
            public_url=self.url,
            new_id=lambda: f"request-{next(ids)}",
            zone_of=lambda _: "Europe/London",
            notes=self.notes,
        )
        self.server = uvicorn.Server(
            uvicorn.Config(edge.app(), host="127.0.0.1", port=port, log_level="warning")
        )
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until(lambda: self.server.started, "the edge")

    async def publish(self, facts) -> None:
        if self.broker_is_away:
            raise Unpublished("away")
        for fact in facts:
            # Through the codec, as Kafka would carry it.
            self.world.happens(CODEC.decode(CODEC.encode(fact)))
        await asyncio.to_thread(self.carry)

    def carry(self) -> None:
        fresh, self.seen = self.world.effects[self.seen :], len(self.world.effects)
        self.claims.file([e for e in fresh if isinstance(e, ChannelCommand)])
        with self.pool.connection() as connection:
            project(
                connection, [Placed(0, next(self.offset), e) for e in fresh if isinstance(e, CaseChanged)]
            )

    def opens(self, *exceptions) -> str:
        """The exceptions are raised and asked about; the link that the customer gets."""
        for exception in exceptions:
            self.world.exception(exception)
        self.world.fast_forward(seconds=20)
        self.carry()
        record = self.world.record()
        return self.links.url(Link(record.order_id, record.conversation_id))

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.pool.close()


@pytest.fixture
def shop(dsn: str) -> Iterator[Shop]:
    shop = Shop(dsn)
    yield shop
    shop.close()


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, names), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def submit(shop: Shop, link: str, choice: str, *, version: int = 0) -> tuple[int, str]:
    form = {"case-0": "x1", "version-0": str(version), "choice-0": choice}
    return ask(link, urllib.parse.urlencode(form).encode())


def test_a_shopper_opens_the_link_taps_and_is_told_that_it_is_in_the_order(shop: Shop) -> None:
    link = shop.opens(an_exception())
    status, page = ask(link)
    assert status == 200
    assert "Corner Loaf 400 g" in page
    assert "new total £60.00" in page
    status, page = submit(shop, link, "corner")
    assert status == 200
    assert "Thank you" in page
    shop.world.expect_decision(Resolution.SUBSTITUTED)


def test_a_scanner_that_opens_the_link_decides_nothing(shop: Shop) -> None:
    link = shop.opens(an_exception())
    for _ in range(3):
        assert ask(link)[0] == 200
    shop.world.expect_open()


def test_an_answer_to_an_older_version_is_refused_truthfully(shop: Shop) -> None:
    link = shop.opens(an_exception())
    submit(shop, link, "corner")
    status, page = submit(shop, link, "hillside", version=0)
    assert status == 200
    assert "something else was decided meanwhile" in page
    shop.world.expect_decision(Resolution.SUBSTITUTED)
    submit(shop, link, "hillside", version=1)
    shop.world.expect_decision(Resolution.ALTERNATIVE)


def test_a_refund_is_one_of_the_choices(shop: Shop) -> None:
    link = shop.opens(an_exception())
    assert "Thank you" in submit(shop, link, "")[1]
    shop.world.expect_decision(Resolution.REFUNDED)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "x", lambda t: "nonsense", lambda t: "." + t]
)
def test_a_link_that_was_altered_opens_nothing(shop: Shop, change) -> None:
    link = shop.opens(an_exception())
    head, token = link.rsplit("/", 1)
    status, page = ask(f"{head}/{change(token)}")
    assert status == 404
    assert "opens nothing" in page


def test_a_link_signed_with_the_secret_before_still_opens(shop: Shop) -> None:
    shop.opens(an_exception())
    record = shop.world.record()
    old = Links(["old secret"], shop.url).url(Link(record.order_id, record.conversation_id))
    assert ask(old)[0] == 200


def test_names_from_upstream_are_shown_as_text(shop: Shop) -> None:
    link = shop.opens(
        an_exception(line=a_line(name="<script>alert(1)</script>"), options=(an_option(name="<b>bold</b>"),))
    )
    page = ask(link)[1]
    assert "<script>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


def test_when_the_broker_is_away_the_customer_is_asked_to_send_again(shop: Shop) -> None:
    link = shop.opens(an_exception())
    shop.broker_is_away = True
    status, page = submit(shop, link, "corner")
    assert status == 503
    assert "again" in page
    shop.world.expect_open()


def test_the_json_twin_says_the_same(shop: Shop) -> None:
    link = shop.opens(an_exception())
    status, text = ask(link, accept="application/json")
    assert status == 200
    (case,) = json.loads(text)["cases"]
    assert [option["option_id"] for option in case["offered"]["options"]] == ["corner", "hillside"]
    body = {
        "request_id": "from-a-test",
        "decisions": [{"case_id": "x1", "version": 0, "option_id": "hillside"}],
    }
    status, text = ask(link, json.dumps(body).encode(), accept="application/json")
    assert (status, json.loads(text)["verdict"]) == (200, "accepted")


def signed(shop: Shop, path: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    message = f"{shop.url}{path}\n".encode() + body
    return {"x_saveline_signature": hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}


def test_the_app_decides_with_a_signature_and_not_without(shop: Shop) -> None:
    shop.opens(an_exception())
    conversation_id = shop.world.record().conversation_id
    path = f"/app/v1/conversations/{conversation_id}/decisions"
    body = json.dumps(
        {"request_id": "app-request-1", "decisions": [{"case_id": "x1", "version": 0, "refund": True}]}
    ).encode()
    assert ask(shop.url + path, body)[0] == 403
    assert ask(shop.url + path, body, **signed(shop, path, body, "wrong"))[0] == 403
    assert ask(shop.url + path, body + b" ", **signed(shop, path, body))[0] == 403
    shop.world.expect_open()
    status, text = ask(shop.url + path, body, **signed(shop, path, body))
    assert (status, json.loads(text)["verdict"]) == (200, "accepted")
    again = ask(shop.url + path, body, **signed(shop, path, body, "older"))
    assert json.loads(again[1])["verdict"] == "accepted"
    assert shop.world.case().versions == 1


def test_a_code_for_the_driver_stays_in_the_vault_and_travels_as_a_reference(shop: Shop) -> None:
    code = "gate code 4711#"
    way = an_option("code", kind=OptionKind.INSTRUCTIONS, components=())
    shop.opens(an_exception(kind=Kind.ACCESS_ISSUE, line=None, options=(way,)))
    path = f"/app/v1/conversations/{shop.world.record().conversation_id}/decisions"
    picked = {"case_id": "x1", "version": 0, "option_id": "code", "note": code}
    body = json.dumps({"request_id": "app-request-1", "decisions": [picked]}).encode()
    for _ in range(2):
        status, text = ask(shop.url + path, body, **signed(shop, path, body))
        assert (status, json.loads(text)["verdict"]) == (200, "accepted")
    [trigger] = shop.world.of(FulfilmentTrigger)
    assert code.encode() not in b"".join(CODEC.encode(effect) for effect in shop.world.effects)
    assert shop.notes.take(trigger.reference) == code
    assert shop.notes.take(trigger.reference) is None


def test_a_customer_at_the_page_may_leave_a_word_for_the_driver_and_none_at_the_shelf(shop: Shop) -> None:
    code = "gate code 4711#"
    way = an_option("code", kind=OptionKind.INSTRUCTIONS, components=())
    link = shop.opens(an_exception(kind=Kind.ACCESS_ISSUE, line=None, options=(way,)))
    assert 'name="note-0"' in ask(link)[1]
    form = {"case-0": "x1", "version-0": "0", "choice-0": "code", "note-0": f" {code} "}
    status, page = ask(link, urllib.parse.urlencode(form).encode())
    assert (status, code in page) == (200, False)
    [trigger] = shop.world.of(FulfilmentTrigger)
    assert shop.notes.take(trigger.reference) == code


def test_a_missing_line_takes_no_word_for_the_driver(shop: Shop) -> None:
    link = shop.opens(an_exception())
    assert "note-0" not in ask(link)[1]
    form = {"case-0": "x1", "version-0": "0", "choice-0": "corner", "note-0": "gate code 4711#"}
    assert ask(link, urllib.parse.urlencode(form).encode())[0] == 200
    assert shop.world.expect_decision(Resolution.SUBSTITUTED).reference == ""


def test_what_is_blocked_meanwhile_is_offered_no_more(shop: Shop) -> None:
    link = shop.opens(an_exception())
    assert "Corner Loaf 400 g" in ask(link)[1]
    with shop.pool.connection() as connection:
        keep(connection, ProductBlocked(event_id="b", sku="bread-corner", blocked=True, occurred_at=NOON))
    page = ask(link)[1]
    assert "Corner Loaf 400 g" not in page
    assert "Hillside Sourdough 400 g" in page


def test_the_buyer_whose_link_it_is_sees_what_a_gift_is_and_costs(shop: Shop) -> None:
    raised = an_exception(line=a_line(groups=(Group.GIFT,)))
    shop.world.exception(raised, a_customer(recipient_differs=True))
    page = ask(shop.opens())[1]
    assert "Oakmill Sourdough 400 g (part of a gift)" in page
    assert "new total £60.00" in page


ONE = b'{"request_id":"12345678","decisions":[{%s}]}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 422),
        (b"{}", 422),
        (b'{"request_id":"12345678","decisions":[]}', 422),
        (b'{"request_id":"12345678","decisions":[{"case_id":"x1","version":0}]}', 422),
        (b'{"request_id":"12345678","decisions":[{"case_id":"other","version":0,"refund":true}]}', 422),
        (ONE % b'"case_id":"x1","version":18446744073709551616,"refund":true', 422),
        (ONE % b'"case_id":"x1","version":0,"refund":true,"total_minor":9223372036854775808', 422),
        # A NUL in an id would stop the register, which cannot hold one.
        (b'{"request_id":"1234567\\u0000","decisions":[{"case_id":"x1","version":0,"refund":true}]}', 422),
        (b" " * 70_000, 413),
    ],
)
def test_a_body_that_makes_no_sense_changes_nothing_and_says_why(
    shop: Shop, body: bytes, status: int
) -> None:
    link = shop.opens(an_exception())
    answered, text = ask(link, body, accept="application/json", content_type="application/json")
    assert answered == status
    assert re.search(r"\w{3,}", json.loads(text)["error"])
    shop.world.expect_open()
