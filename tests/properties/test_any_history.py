"""Any history of any events in any order with repeats: every law after every event, and of the whole."""

from hypothesis import given

from state.encoding import encode
from tests.properties.moves import Life
from tests.properties.timeline import replayed
from tests.properties.vocabulary import SHELF, anything, nonsense_stories, stories


def lived(moves, *, lawful: bool = True) -> Life:
    timeline = Life(SHELF, lawful=lawful)
    for name, words in moves:
        getattr(timeline, name)(**words)
    return timeline


@given(stories())
def test_every_law_holds_after_every_event_of_any_story_and_every_record_ends(moves):
    lived(moves).ends()


@given(anything)
def test_events_about_what_never_was_are_answered_too(moves):
    lived(moves).ends()


@given(nonsense_stories())
def test_nonsense_that_intake_would_have_refused_raises_nothing_and_ends_as_well(moves):
    lived(moves, lawful=False).ends()


@given(stories())
def test_a_replay_gives_the_same_effects_and_the_same_state(moves):
    timeline = lived(moves)
    now = {order_id: encode(record) for order_id, record in timeline.records.items()}
    for stored in (False, True):
        effects, records = replayed(timeline.history, SHELF, stored=stored)
        assert effects == timeline.effects
        assert records == now
