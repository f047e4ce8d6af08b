"""Answers what callers ask, truthfully and only as far as they may hear it, and then asks again."""

from state.dialogue.coping import knows_them, misunderstood, prompt_again
from state.dialogue.moves import Cause
from state.dialogue.session import Option, Stage
from state.dialogue.turn import Turn, offers
from state.understand import mentioned
from state.understand.cues import topic
from state.understand.records import Topic

# Whoever asks on and on without an answer is better off with a person.
_ABOUT_AN_OPTION: frozenset[Topic] = frozenset({"price", "size", "allergens"})


def question(turn: Turn, text: str) -> None:
    """Answer and ask again. What cannot be answered counts as a failure, so that it cannot go on for ever."""
    asked = topic(text, turn.session.locale)
    if asked == "options" and turn.session.stage is Stage.CHOICE:
        turn.move(Cause.STAY)
        prompt_again(turn)
        return
    if asked is None or (asked in _ABOUT_AN_OPTION and not knows_them(turn.session)):
        misunderstood(turn, "answer_unknown" if knows_them(turn.session) else "answer_why_private")
        return
    turn.move(Cause.STAY)
    if asked in _ABOUT_AN_OPTION:
        for at in _asked_about(turn, text):
            _about(turn, asked, at)
    else:
        turn.say(_general(turn, asked))
    prompt_again(turn)


def _general(turn: Turn, asked: Topic) -> str:
    if asked != "why":
        return {"options": "answer_unknown"}.get(asked, f"answer_{asked}")
    if not knows_them(turn.session):
        return "answer_why_private"
    return "answer_why" if turn.session.line.kind == "item" else "answer_why_delivery"


def _asked_about(turn: Turn, text: str) -> tuple[int, ...]:
    """The options that a question is about: the named ones, else the one read back, else all on offer."""
    session = turn.session
    named = mentioned(text, offers(session), session.locale, ordinals=True)
    if named:
        return tuple(session.shown[n - 1] for n in named if 1 <= n <= len(session.shown))
    if session.stage is Stage.READBACK and session.pending >= 0:
        return (session.pending,)
    return session.shown


def _about(turn: Turn, asked: Topic, at: int) -> None:
    option = turn.session.line.options[at]
    match asked:
        case "price":
            if not option.price_minor:
                turn.say("answer_free")
                return
            currency = turn.session.line.currency
            turn.say(
                "answer_price",
                name=option.name,
                price=turn.money(option.price_minor, currency),
                total=turn.money(turn.session.total_with(at), currency),
            )
        case "size":
            turn.say(
                "answer_size" if option.size else "answer_size_unknown", name=option.name, size=option.size
            )
        case _:
            _allergens(turn, option)


def _allergens(turn: Turn, option: Option) -> None:
    """What the product data lists; never that something is safe."""
    if option.allergens is None:
        turn.say("answer_allergens_unknown", name=option.name)
    elif option.allergens:
        turn.say("answer_allergens", name=option.name, allergens=", ".join(option.allergens))
    else:
        turn.say("answer_allergens_none", name=option.name)
