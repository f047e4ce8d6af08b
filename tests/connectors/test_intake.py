"""Intake on a real Postgres: valid records become facts, invalid ones go back with every reason."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from connectors.blocks import blocked_among
from connectors.intake import Intake
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.vault import Vault
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.errors import Malformed
from schemas.events import (
    ConsentChanged,
    ContactChanged,
    CustomerConsent,
    CustomerContact,
    ExceptionAccepted,
    ExceptionWithdrawn,
    OrderCompleted,
    ProductBlocked,
)
from schemas.registry import LockedRegistry
from schemas.words import Channel, WithdrawalReason
from tests.builders import NOON, an_exception, but, pounds

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]

CODEC = Codec(LockedRegistry())
CONTACT = CustomerContact(
    customer_ref="customer-1", revision=1, email="shopper@example.org", zone="Europe/London", occurred_at=NOON
)


class StoppedClock:
    def now(self):
        return NOON

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def intake(dsn: str) -> Iterator[Intake]:
    upgrade(dsn)
    with open_pool(dsn, max_size=2) as pool:
        vault = Vault(pool, [b"m" * 32], b"salt", StoppedClock())
        yield Intake(CODEC, vault, pool, StoppedClock(), retention=timedelta(days=14))


def test_a_valid_exception_is_accepted_with_what_the_vault_knows(intake: Intake) -> None:
    intake.admit(Topic.CONTACTS, CODEC.encode(CONTACT))
    (fact,) = intake.admit(Topic.EXCEPTIONS, CODEC.encode(an_exception())).facts
    assert isinstance(fact, ExceptionAccepted)
    assert fact.exception == an_exception()
    assert fact.facts.known
    assert fact.facts.channels == (Channel.EMAIL,)


def test_an_unknown_customer_is_no_reason_to_refuse(intake: Intake) -> None:
    (fact,) = intake.admit(Topic.EXCEPTIONS, CODEC.encode(an_exception())).facts
    assert not fact.facts.known


def test_an_invalid_exception_goes_back_with_every_reason_at_once(intake: Intake) -> None:
    broken = but(
        an_exception(options=(), refund_allowed=False),
        fulfilment_deadline_at=NOON - timedelta(hours=1),
        order_total=pounds(-1),
    )
    with pytest.raises(Malformed) as refused:
        intake.admit(Topic.EXCEPTIONS, CODEC.encode(broken))
    assert len(refused.value.reasons) >= 3


def test_what_is_older_than_half_the_retention_is_stale(intake: Intake) -> None:
    old = NOON - timedelta(days=7, seconds=1)
    late = but(an_exception(), occurred_at=old, fulfilment_deadline_at=old + timedelta(hours=1))
    with pytest.raises(Malformed, match="stale"):
        intake.admit(Topic.EXCEPTIONS, CODEC.encode(late))


@pytest.mark.parametrize("value", [None, b"", b"not ours", b"\x00\x00\x00\x00\xff" + b"x" * 50])
def test_bytes_that_are_no_record_go_back(intake: Intake, value: bytes | None) -> None:
    with pytest.raises(Malformed):
        intake.admit(Topic.EXCEPTIONS, value)


def test_a_record_of_another_topic_goes_back(intake: Intake) -> None:
    with pytest.raises(Malformed):
        intake.admit(Topic.OUTCOMES, CODEC.encode(an_exception()))


def test_a_new_contact_reaches_the_orders_that_were_admitted(intake: Intake) -> None:
    intake.admit(Topic.EXCEPTIONS, CODEC.encode(an_exception()))
    (fact,) = intake.admit(Topic.CONTACTS, CODEC.encode(CONTACT)).facts
    assert isinstance(fact, ContactChanged)
    assert fact.order_id == "order-1"
    assert fact.facts.channels == (Channel.EMAIL,)


def test_an_opt_out_reaches_the_orders_that_were_admitted(intake: Intake) -> None:
    intake.admit(Topic.EXCEPTIONS, CODEC.encode(an_exception()))
    stop = CustomerConsent(
        customer_ref="customer-1", channels=(Channel.SMS,), opted_out=True, occurred_at=NOON
    )
    (fact,) = intake.admit(Topic.CONSENTS, CODEC.encode(stop)).facts
    assert isinstance(fact, ConsentChanged)
    assert fact.opted_out
    assert fact.channels == (Channel.SMS,)


def test_a_yes_that_is_dated_ahead_goes_back_and_a_no_counts_at_once(intake: Intake) -> None:
    tomorrow = NOON + timedelta(days=1)
    stop = CustomerConsent(customer_ref="c1", channels=(Channel.SMS,), opted_out=True, occurred_at=tomorrow)
    recall = ProductBlocked(event_id="b1", sku="sku-1", blocked=True, occurred_at=tomorrow)
    for topic, no, yes in (
        (Topic.CONSENTS, stop, but(stop, opted_out=False)),
        (Topic.BLOCKS, recall, but(recall, blocked=False)),
    ):
        with pytest.raises(Malformed) as refused:
            intake.admit(topic, CODEC.encode(yes))
        assert "premature" in refused.value.reasons[0]
        intake.admit(topic, CODEC.encode(no))


def test_a_block_goes_once_to_every_partition(intake: Intake) -> None:
    block = ProductBlocked(event_id="b1", sku="bread-hill", blocked=True, occurred_at=NOON)
    admitted = intake.admit(Topic.BLOCKS, CODEC.encode(block))
    assert admitted.facts == ()
    assert admitted.everywhere == block
    # And the connectors hold against it what was asked for before.
    with intake._pool.connection() as connection:
        assert blocked_among(connection, ["bread-hill", "bread-corner"]) == {"bread-hill"}


@pytest.mark.parametrize(
    ("topic", "fact"),
    [
        (
            Topic.EXCEPTIONS,
            ExceptionWithdrawn(
                event_id="w1",
                order_id="order-1",
                exception_id="x1",
                reason=WithdrawalReason.FOUND,
                occurred_at=NOON,
            ),
        ),
        (Topic.OUTCOMES, OrderCompleted(event_id="o1", order_id="order-1", occurred_at=NOON)),
    ],
)
def test_other_facts_pass_as_they_are(intake: Intake, topic: Topic, fact: object) -> None:
    assert intake.admit(topic, CODEC.encode(fact)).facts == (fact,)


def test_what_became_of_an_order_is_kept_for_the_report_once(intake: Intake, dsn: str) -> None:
    value = CODEC.encode(OrderCompleted(event_id="o1", order_id="order-1", occurred_at=NOON))
    for _twice in range(2):
        intake.admit(Topic.OUTCOMES, value)
    with psycopg.connect(dsn) as connection:
        kept = connection.execute("SELECT order_id, outcome FROM order_outcomes").fetchall()
    assert kept == [("order-1", "completed")]
