"""Shares and quantiles: what they say, and how sure they are when customers have several lines each."""

import random

import pytest

from connectors.register.figures import Ratio, Times, difference, quantile, share


def a_ratio(rows: list[tuple[str, int]]) -> Ratio:
    """Of (customer, above) over one each; customers come one after another."""
    ratio = Ratio()
    for customer, above in sorted(rows):
        ratio.add(customer, above)
    return ratio


def test_a_share_says_what_it_counts() -> None:
    figure = share("done", "done / all", a_ratio([("ann", 1), ("bob", 0), ("cat", 1), ("dan", 1)]))
    assert (figure.numerator, figure.denominator, figure.value, figure.customers) == (3, 4, 0.75, 4)
    assert figure.low < 0.75 < figure.high


def test_nothing_to_count_is_no_number() -> None:
    assert share("done", "", Ratio()).value is None
    assert share("done", "", Ratio()).reason
    assert quantile("p50", "", Times(), 0.5).reason
    assert (
        difference("saves", "", a_ratio([("ann", 1)]), Ratio()).reason
        == "no holdout: nothing to compare with"
    )


def test_customers_with_many_lines_tell_less_than_as_many_customers() -> None:
    alone = share("a", "", a_ratio([(f"c{n}", n % 2) for n in range(100)]))
    together = share("a", "", a_ratio([(f"c{n // 10}", (n // 10) % 2) for n in range(100)]))
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("above", [0, 1])
def test_all_or_none_of_a_few_is_not_certainty(above: int) -> None:
    figure = share("a", "", a_ratio([(f"c{n}", above) for n in range(10)]))
    assert figure.high - figure.low > 0.2
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance, held = random.Random(7), 0
    for _ in range(400):
        parts = []
        for customer in range(60):
            leaning = chance.choice((0.1, 0.5))
            parts += [(f"c{customer}", chance.random() < leaning) for _ in range(chance.randint(1, 5))]
        figure = share("a", "", a_ratio(parts))
        held += figure.low <= 0.3 <= figure.high
    assert 0.9 <= held / 400 <= 0.98


def test_a_quantile_is_one_of_the_values_between_its_bounds() -> None:
    values = Times()
    for n in range(1, 101):
        values.add(f"c{n}", float(n))
    half = quantile("p50", "", values, 0.5)
    assert (half.value, half.denominator) == (50.0, 100)
    assert 35 <= half.low < 50 < half.high <= 65
    assert quantile("p90", "", values, 0.9).value == 90.0


def test_what_the_holdout_shows_is_taken_off_and_multiplied() -> None:
    treated = a_ratio([(f"t{n}", n < 80) for n in range(100)])
    held = a_ratio([(f"h{n}", n < 50) for n in range(100)])
    saves = difference("saves", "", treated, held, unit="orders")
    assert saves.value == pytest.approx(30.0)
    assert saves.low < 30 < saves.high
    assert saves.low > 10
