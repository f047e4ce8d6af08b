"""Which calls go over a socket."""

from connectors.edge.turns import Manner

CALLS = [f"call-{n}" for n in range(200)]


def test_with_both_transports_about_half_of_the_calls_take_each_and_a_call_keeps_its_own() -> None:
    both = Manner(transport="both")
    relayed = [call for call in CALLS if both.relays(call)]
    assert 60 <= len(relayed) <= 140
    assert relayed == [call for call in CALLS if both.relays(call)]


def test_one_transport_takes_every_call() -> None:
    assert all(Manner(transport="relay").relays(call) for call in CALLS)
    assert not any(Manner().relays(call) for call in CALLS)
