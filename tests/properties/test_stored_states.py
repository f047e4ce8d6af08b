"""States of other versions: bytes with fewer fields are read with their defaults, and damage is said to be damage."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.conversation import Case, Conversation
from state.encoding import FORMAT, UnreadableState, decode, encode
from tests.properties.moves import Life
from tests.properties.vocabulary import SHELF, stories


def lived(moves) -> Life:
    life = Life(SHELF)
    for name, words in moves:
        getattr(life, name)(**words)
    return life


def without_last(record, fields: int):
    """The record as a version wrote it that did not know the last fields yet, and what is to be read from it."""
    names = record.__struct_fields__
    defaults = dict(zip(reversed(names), reversed(record.__struct_defaults__), strict=False))
    known, unknown = names[: len(names) - fields], names[len(names) - fields :]
    assert all(defaults[name] is not msgspec.NODEFAULT for name in unknown)
    return [getattr(record, name) for name in known], {name: defaults[name] for name in unknown}


# Every history has a record to spare, so that few histories show much.
FEW = settings(max_examples=max(settings().max_examples // 4, 15))


@FEW
@given(stories(12), st.integers(1, 12), st.integers(1, 12))
def test_bytes_of_an_older_version_are_read_with_the_defaults_of_what_it_did_not_know(
    moves, fields, case_fields
):
    for record in lived(moves).records.values():
        older, defaults = without_last(record, fields)
        cases = Conversation.__struct_fields__.index("cases")
        expected_cases = []
        for n, case in enumerate(record.cases):
            older_case, case_defaults = without_last(case, case_fields)
            older[cases] = [*older[cases][:n], older_case, *older[cases][n + 1 :]]
            expected_cases.append(msgspec.structs.replace(case, **case_defaults))
        read = decode(FORMAT + msgspec.msgpack.encode(older))
        assert read == msgspec.structs.replace(record, **defaults, cases=expected_cases)
        assert all(isinstance(case, Case) for case in read.cases)


@FEW
@given(stories(12))
def test_bytes_of_a_newer_version_are_read_without_what_we_do_not_know(moves):
    for record in lived(moves).records.values():
        newer = [*msgspec.msgpack.decode(encode(record)[1:]), "a field of tomorrow", 7]
        assert decode(FORMAT + msgspec.msgpack.encode(newer)) == record


@given(st.binary(max_size=200))
def test_any_other_bytes_are_unreadable_and_nothing_else(payload):
    with pytest.raises(UnreadableState):
        decode(payload)
    with pytest.raises(UnreadableState):
        decode(FORMAT + payload)
