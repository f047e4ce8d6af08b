"""The reference job is what the benchmarks say it is, so that a figure means what it is called."""

import itertools
from collections import Counter

from tests.bench import events, job
from tests.bench.figures import Book

COUNT, LIVE = 20_000, 500
PAIRS = list(events.stream(COUNT, LIVE))


def test_input_has_the_size_the_order_and_the_repeats_that_were_promised() -> None:
    sizes = [len(value) for _, value in PAIRS]
    assert 430 < sum(sizes) / COUNT < 470
    assert sum(one == other for one, other in itertools.pairwise(PAIRS)) == COUNT // events.REPEATS_IN - 1
    ids = {job.event_of(value).id for _, value in PAIRS}
    a_case = Counter(name.partition("-")[0] for name in ids)
    assert max(a_case.values()) == events.EVENTS_PER_CASE
    assert Counter(a_case.values()).most_common(1)[0][0] == events.EVENTS_PER_CASE


def test_half_of_the_events_are_answered_and_repeats_are_not() -> None:
    right = events.Expected(PAIRS)
    assert 0.47 < right.commands / COUNT < 0.51
    assert right.commands == sum(job.event_of(value).ask for _, value in dict.fromkeys(PAIRS))


def test_a_state_has_the_size_that_was_promised() -> None:
    grown = [state for state in events.Expected(PAIRS).states.values() if state.version >= job.SEEN_MAX]
    sizes = [len(job.encode(state)) for state in grown]
    assert 280 < sum(sizes) / len(sizes) < 340
    assert {len(state.seen) for state in grown} == {job.SEEN_MAX}


def test_the_same_seed_gives_the_same_input() -> None:
    assert list(events.stream(COUNT, LIVE)) == PAIRS


def test_a_figure_is_made_of_medians_and_only_of_what_was_measured() -> None:
    book = Book()
    book.add("steady 20k", "ours", "us/event", 10, 90, 11)
    book.add("steady 20k", "kafka_streams", "us/event", 22, 22, 22)
    assert book.figures("ours") == {"cpu_ratio_kafka_streams_eos_20k": 0.5}
    assert " aim" in book.table("ours")
    book.add("steady 20k", "ours", "us/event", 90, 90)
    assert "MISSED" in book.table("ours")
