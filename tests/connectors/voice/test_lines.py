"""What a call offers: a number is only said where it is the number that will be delivered."""

from datetime import timedelta

from connectors.voice.lines import lines_of
from tests.builders import NOON, a_line, an_exception, an_option, pounds
from tests.scenarios.world import World


def offered(pieces: int):
    """Two loaves are missing, and so many pieces of another replace both: the line as a call has it."""
    world = World()
    world.exception(
        an_exception(
            line=a_line(quantity_ordered=2),
            options=(an_option(quantity_default=pieces, unit_price=pounds(100)),),
        )
    )
    world.fast_forward(minutes=4)
    (call,) = [command for command in world.effects if str(getattr(command, "channel", "")) == "voice"][:1]
    (line,) = lines_of(call.cases, NOON + timedelta(minutes=9), NOON, gifts=True)
    return line


def test_two_for_two_can_be_taken_one_by_one() -> None:
    line = offered(2)
    assert (line.quantity, line.options[0].name) == (2, "Hillside Sourdough")


def test_one_for_two_is_one_and_taken_as_a_whole() -> None:
    line = offered(1)
    assert (line.quantity, line.item, line.options[0].name) == (
        1,
        "2 Oakmill Sourdough 400 g",
        "Hillside Sourdough",
    )


def test_three_for_two_are_three_and_taken_as_a_whole() -> None:
    line = offered(3)
    assert line.quantity == 1
    assert line.options[0].name.startswith("3 Hillside Sourdough")
