"""Identifiers of ours: the same on every replay, never the same for two things, safe wherever they are put."""

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from schemas import ids

upstream = st.text(min_size=1, max_size=16) | st.text(alphabet="~.%/ dte1", min_size=1, max_size=8)
numbers = st.integers(0, 10**9)


@given(upstream)
def test_an_upstream_id_is_encoded_without_our_separators_and_can_be_read_back(upstream_id):
    encoded = ids.encoded(upstream_id)
    assert not set("~./?#&+ ") & set(encoded)
    assert encoded.isascii()
    assert unquote(encoded) == upstream_id


@given(upstream, upstream, upstream, upstream)
def test_two_conversations_have_two_ids(order, exception, other_order, other_exception):
    same = ids.conversation_id(order, exception) == ids.conversation_id(other_order, other_exception)
    assert same == ((order, exception) == (other_order, other_exception))


@given(upstream, upstream, numbers, numbers)
def test_two_decisions_have_two_ids_and_so_have_their_triggers_and_evidence(case, other, version, another):
    one, two = ids.decision_id(case, version), ids.decision_id(other, another)
    assert (one == two) == ((case, version) == (other, another))
    assert len({one, ids.trigger_id(one), ids.evidence_id(one)}) == 3
    assert (ids.trigger_id(one) == ids.trigger_id(two)) == (one == two)


@given(upstream, upstream, numbers)
def test_no_command_of_a_conversation_has_the_id_of_a_decision(order, exception, n):
    command = ids.command_id(ids.conversation_id(order, exception), n)
    assert command != ids.decision_id(exception, n)


@given(upstream, upstream, numbers)
def test_a_command_is_recognised_by_its_own_conversation_alone(order, exception, n):
    conversation = ids.conversation_id(order, exception)
    command = ids.command_id(conversation, n)
    assert ids.command_number(conversation, command) == n
    assert ids.command_number(ids.conversation_id(order, exception + "x"), command) is None


@given(st.text(max_size=30))
def test_what_is_no_command_of_ours_has_no_number(text):
    assert ids.command_number("o~x", text) is None
    number = ids.command_number("o~x", f"o~x.{text}")
    assert number is None or ids.command_id("o~x", number) == f"o~x.{text}"


def test_other_spellings_of_a_number_are_not_ours():
    for tail in ("", "007", "-1", "+1", "1_0", "\u0661", "1" * 5_000, " 1"):
        assert ids.command_number("o~x", f"o~x.{tail}") is None
