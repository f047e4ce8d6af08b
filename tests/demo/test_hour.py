"""The demo's hour: every kind and every habit is in it, and it is the same again with the same seed."""

from collections import Counter
from datetime import UTC, datetime

from schemas.validity import faults
from schemas.words import Kind
from state import shelf
from tests.demo import grocer
from tests.demo.policies import PROMISED_MS, hurried

NOW = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)


def test_every_kind_and_every_habit_is_in_a_small_hour() -> None:
    orders = grocer.hour(24, 10.0, seed=1)
    assert {order.kind for order in orders} == set(Kind) - {Kind.UNKNOWN}
    assert {order.person.habit for order in orders} == set(grocer.HABITS)


def test_the_same_seed_plays_the_same_hour() -> None:
    assert grocer.hour(50, 10.0, seed=7) == grocer.hour(50, 10.0, seed=7)
    assert grocer.hour(50, 10.0, seed=7) != grocer.hour(50, 10.0, seed=8)


def test_what_upstream_raises_is_valid() -> None:
    for order in grocer.hour(200, 10.0, seed=3):
        for raised in grocer.troubles(order, "Etc/GMT", NOW, 40):
            assert faults(raised, 0) == []


def test_every_hurried_policy_is_over_within_half_a_minute(tmp_path) -> None:
    hurried(tmp_path)
    policies = shelf.load(tmp_path)
    shipped = shelf.load()
    assert policies.by_key.keys() == shipped.by_key.keys()
    assert all(policy.promised_notice_ms == PROMISED_MS for policy in policies.by_key.values())


def test_hundreds_of_orders_have_several_lines_each() -> None:
    orders = grocer.hour(300, 60.0, seed=2)
    assert all(len(order.lines) >= 3 for order in orders)
    assert Counter(order.short for order in orders)[2] > 20
