"""Scripted callers: what each hears, says and wants; easy, hurried, hard of hearing, hostile, absent, or a machine."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from state.dialogue.events import (
    Answered,
    Committed,
    Detected,
    Ended,
    HandedOff,
    Hangup,
    Interruption,
    Keys,
    LaterWanted,
    LinkWanted,
    MessageLeft,
    NotThem,
    OptedOut,
    OptionGone,
    Outcome,
    Screened,
    SettledElsewhere,
    Silence,
    Utterance,
)
from state.dialogue.hear import hear
from state.dialogue.script import ENGLISH
from state.dialogue.session import Session
from tests.dialogue.builders import a_call, bread, coffee, doorstep, rolls

REFUND = "refund"
TURNS_MAX = 60
CALLER_EVENTS = (Utterance, Keys, Silence)


@dataclass
class Caller:
    """`reactions`: what is heard (a pattern) and what is then done, each once, the first that fits.

    `wants` are the decisions that the caller means, by case; `ends` is the kind of fact that has to be among the
    call's. `never` are words that the caller must not be told.
    """

    name: str
    reactions: Sequence[tuple[str, object]]
    wants: dict[str, str] = field(default_factory=dict)
    ends: type[Outcome] | None = None
    call: Session = field(default_factory=a_call)
    never: str = ""
    difficult: bool = False


@dataclass
class Story:
    caller: Caller
    said: list[str]
    outcomes: list[Outcome]
    turns: int

    @property
    def decided(self) -> dict[str, str]:
        """The last decision of each line."""
        return {o.case_id: o.option_id or REFUND for o in self.outcomes if isinstance(o, Committed)}

    @property
    def reached(self) -> bool:
        """Whether the call ended as the caller meant it to."""
        ended = any(isinstance(o, Ended) for o in self.outcomes)
        kind = self.caller.ends is None or any(isinstance(o, self.caller.ends) for o in self.outcomes)
        return ended and kind and self.decided == self.caller.wants

    @property
    def safe(self) -> bool:
        """Nothing was decided that was not meant, and nothing was told that must not be."""
        unmeant = [case for case, option in self.decided.items() if self.caller.wants.get(case) != option]
        told = self.caller.never and any(re.search(self.caller.never, text) for text in self.said)
        return not unmeant and not told and any(isinstance(o, Ended) for o in self.outcomes)


def played(caller: Caller) -> Story:
    """The whole call with one caller. A caller without a fitting reaction is silent."""
    session, outcomes, said, left, turns = caller.call, [], [], list(caller.reactions), 0
    waiting: list[object] = [Answered()]
    for _ in range(TURNS_MAX):
        if not waiting:
            fits = next((r for r in left if re.search(r[0], said[-1] if said else "")), None)
            if fits is not None:
                left.remove(fits)
            does = fits[1] if fits is not None else Silence()
            waiting = list(does) if isinstance(does, list) else [does]
        event = waiting.pop(0)
        event = Utterance(event) if isinstance(event, str) else event
        turns += isinstance(event, CALLER_EVENTS)
        session, say = hear(session, event, ENGLISH)
        outcomes += say.outcomes
        if say.text:
            said.append(say.text)
        if say.ending:
            break
    return Story(caller, said, outcomes, turns)


def _ok(*choice: tuple[str, object]) -> list[tuple[str, object]]:
    """Somebody who says who they are, then reacts, then says yes."""
    return [("Am I speaking", "yes speaking"), *choice, ("So that is|So I take|So for", "yes please")]


_HI = "Am I speaking"
_PICK = "not available"
_BACK = "So that is|So I take|So for"

CALLERS: tuple[Caller, ...] = (
    Caller("takes the first option", _ok((_PICK, "number one please")), {"x1": "o1"}),
    Caller("takes the second by its place", _ok((_PICK, "the second one")), {"x1": "o2"}),
    Caller("takes the cheaper one", _ok((_PICK, "the cheaper one please")), {"x1": "o2"}),
    Caller("names the brand", _ok((_PICK, "I'll go for the Corner Shop")), {"x1": "o2"}),
    Caller("names the price", _ok((_PICK, "the one for two pounds forty")), {"x1": "o1"}),
    Caller("names the size", _ok((_PICK, "the five hundred gram one")), {"x1": "o2"}),
    Caller("wants the money back", _ok((_PICK, "just refund it please")), {"x1": REFUND}),
    Caller("turns all down, which is a refund", _ok((_PICK, "none of those thanks")), {"x1": REFUND}),
    Caller("uses keys only", [(_HI, Keys("1")), (_PICK, Keys("2")), (_BACK, Keys("1"))], {"x1": "o2"}),
    Caller("refunds by key", [(_HI, Keys("1")), (_PICK, Keys("0")), (_BACK, Keys("1"))], {"x1": REFUND}),
    Caller("accepts the only offer", _ok((_PICK, "yes go ahead please")), {"x3": "k1"}, call=a_call(coffee())),
    Caller("takes the usual", _ok((_PICK, "the usual")), {"x1": "o1"}),
    Caller(
        "settles three lines",
        [(_HI, "yes"), ("Wheatley", "number two"), ("Corner Shop", "yes"), ("Arbor.*not available", "yes that's fine"), ("Kestrel", "yes"), ("Softleaf.*not available", "the panda"), ("Panda", "yes please")],
        {"x1": "o2", "x3": "k1", "x2": "r3"},
        call=a_call(bread(), rolls(), coffee()),
    ),
    Caller("has it redelivered", _ok(("About today", "come back on Saturday")), {"x4": "d1"}, call=a_call(doorstep())),
    Caller("has it left in the porch", _ok(("About today", "stick it in the porch")), {"x4": "d2"}, call=a_call(doorstep())),
    Caller("takes fewer", _ok((_PICK, "just two of them")), {"x3": "k1"}, call=a_call(coffee(quantity=3))),
    Caller(
        "asks for something cheaper than was offered",
        _ok((_PICK, "have you got anything cheaper"), (r"Thrifty", "the thrifty one please")),
        {"x2": "r4"},
        call=a_call(rolls()),
    ),
    Caller("asks what else there is", _ok((_PICK, "what else have you got"), ("Regal", "the Regal please")), {"x2": "r5"}, call=a_call(rolls())),
    Caller("names a brand that was not read out", _ok((_PICK, "do you have thrifty"), ("Thrifty|" + _PICK, "thrifty please")), {"x2": "r4"}, call=a_call(rolls())),
    Caller("wants a bigger pack", _ok((_PICK, "something bigger please"), ("Regal", "the biggest please")), {"x2": "r5"}, call=a_call(rolls())),
    Caller("wants another brand", _ok((_PICK, "any other brands"), ("Thrifty", "thrifty please")), {"x2": "r4"}, call=a_call(rolls())),
    Caller("asks for the price first", _ok((_PICK, "what's the price of the second"), ("£1.60", "ok the second please")), {"x1": "o2"}),
    Caller("asks for allergens first", _ok((_PICK, "does either of them contain milk"), ("wheat, milk", "then the corner shop one")), {"x1": "o2"}),
    Caller("asks why", _ok((_PICK, "why isn't it available"), ("not there when", "ok number two")), {"x1": "o2"}),
    Caller(
        "is suspicious, then convinced",
        [(_HI, "is this a scam"), ("hang up and use our app", "yes this is Sam speaking"), (_PICK, "number one"), (_BACK, "yes")],
        {"x1": "o1"},
        difficult=True,
    ),
    Caller(
        "asks whether it is a machine",
        [(_HI, "are you a robot"), ("AI voice\\. Say", "yes speaking"), (_PICK, "second please"), (_BACK, "yes")],
        {"x1": "o2"},
    ),
    Caller("asks again and again", _ok((_PICK, "sorry what was that"), (_PICK, "come again"), (_PICK, "the first")), {"x1": "o1"}, difficult=True),
    Caller("changes their mind at the readback", _ok((_PICK, "the first one"), (_BACK, "no"), (_PICK, "the second"), (_BACK, "yes")), {"x1": "o2"}, difficult=True),
    Caller("slips of the tongue", _ok((_PICK, "the first no wait the second"), (_PICK, "the second")), {"x1": "o2"}, difficult=True),
    Caller("names another one at the readback", _ok((_PICK, "the first one"), ("Baker", "oh no give me the corner shop one"), ("Corner Shop.*instead", "yes")), {"x1": "o2"}, difficult=True),
    Caller(
        "goes back to the line before",
        [(_HI, "yes"), ("Wheatley.*not available", "number one"), ("Baker's Row.*instead", "yes"), ("Arbor.*not available", "hang on can we go back to the bread"), ("Wheatley", "the second one"), ("Corner Shop.*instead", "yes"), ("Arbor", "yes please"), ("Kestrel", "yes")],
        {"x1": "o2", "x3": "k1"},
        call=a_call(bread(), coffee()),
        difficult=True,
    ),
    Caller("hedges the final yes, then means it", _ok((_PICK, "the second one I guess"), (_BACK, "I guess so"), (_BACK, "yes")), {"x1": "o2"}, difficult=True),
    Caller("mumbles at the readback, then presses 1", _ok((_PICK, "number two"), (_BACK, "mm hmm"), (_BACK, Keys("1"))), {"x1": "o2"}, difficult=True),
    Caller("is misheard twice, then uses the keys", _ok((_PICK, "the one my nan used to like"), (_PICK, "blah blah sourdoe wotsit"), ("use the keys", Keys("2"))), {"x1": "o2"}, difficult=True),
    Caller("says number to", _ok((_PICK, "number to")), {"x1": "o2"}, difficult=True),
    Caller("is heard with a misspelt brand", _ok((_PICK, "the bakers rowe one"), (_PICK, "bakers row")), {"x1": "o1"}, difficult=True),
    Caller("is heard with a wrong brand at first", _ok((_PICK, "cloud soft please")), {"x2": "r1"}, call=a_call(rolls()), difficult=True),
    Caller("barges in on the options", _ok((_PICK, [Interruption("Wheatley Sourdough 400 g is"), "number two"])), {"x1": "o2"}, difficult=True),
    Caller(
        "says yes before the total was told, and again after it",
        [(_HI, "yes"), (_PICK, "number two"), (_BACK, [Interruption("So that is"), "yes"]), (_BACK, "yes")],
        {"x1": "o2"},
        difficult=True,
    ),
    Caller(
        "barges in with yes and hangs up: nothing is decided",
        [(_HI, "yes"), (_PICK, "number two"), (_BACK, [Interruption("So that"), "yes", Hangup()])],
        {},
        Ended,
        difficult=True,
    ),
    Caller("is silent once", _ok((_PICK, Silence()), (_PICK, "the second")), {"x1": "o2"}, difficult=True),
    Caller("needs a moment", _ok((_PICK, "hang on let me get my glasses"), ("Take your time", "right the second one please")), {"x1": "o2"}, difficult=True),
    Caller("keeps silent", [(_HI, "yes")], {}, LinkWanted, difficult=True),
    Caller("never says anything", [], {}, LinkWanted, difficult=True, never="Sourdough"),
    Caller("talks to the dog", _ok((_PICK, "get down from there"), (_PICK, "number one")), {"x1": "o1"}, difficult=True),
    Caller("is never understood", [(_HI, "yes"), *((_PICK, f"well it depends on the weather {n}") for n in range(6))], {}, HandedOff, difficult=True),
    Caller(
        "is never understood when no colleague is free",
        [(_HI, "yes"), *((_PICK, "if only it were so simple") for _ in range(6))],
        {},
        LinkWanted,
        call=a_call(staff_available=False),
        difficult=True,
    ),
    Caller("wants a person", [(_HI, "yes"), (_PICK, "I want to speak to a real person")], {}, HandedOff),
    Caller("presses 9 for a person", [(_HI, "yes"), (_PICK, Keys("9"))], {}, HandedOff),
    Caller("wants a person at once, before being known", [(_HI, "get me a human")], {}, HandedOff, never="Sourdough"),
    Caller("has no time", [(_HI, "I'm driving call me later")], {}, LaterWanted, never="Sourdough"),
    Caller("has no time in the middle", [(_HI, "yes"), (_PICK, "can you call back in an hour")], {}, LaterWanted),
    Caller("opts out at once", [(_HI, "stop calling me")], {}, OptedOut, never="Sourdough"),
    Caller("opts out inside an answer", [(_HI, "yes"), (_PICK, "number two and never call me again")], {}, OptedOut, difficult=True),
    Caller("opts out at the readback", [(_HI, "yes"), (_PICK, "number two"), (_BACK, "yes but take me off your list")], {}, OptedOut, difficult=True),
    Caller("is the wrong number", [(_HI, "no you've got the wrong number")], {}, NotThem, never="Sourdough"),
    Caller("is the wrong number, said slowly", [(_HI, "no"), ("wrong number", "wrong number")], {}, NotThem, never="Sourdough"),
    Caller("is the flatmate of somebody who is out", [(_HI, "she's not here at the moment")], {}, NotThem, never="Sourdough"),
    Caller("is a son without a mandate", [(_HI, "no this is her son")], {}, NotThem, never="Sourdough", difficult=True),
    Caller("is a husband who may decide", [(_HI, "this is her husband"), (_PICK, "number one"), (_BACK, "yes")], {"x1": "o1"}, call=a_call(delegate_known=True)),
    Caller("is a child", [(_HI, "I'm only seven")], {}, NotThem, never="Sourdough", difficult=True),
    Caller("is a child who says mummy is busy", [(_HI, "my mummy is in the shower")], {}, NotThem, never="Sourdough", difficult=True),
    Caller(
        "speaks through a relay operator, with long silences",
        [(_HI, "hello this is the relay operator with a call"), (_HI, "yes this is Sam"), (_PICK, Silence()), (_PICK, "the second one please"), (_BACK, Silence()), (_BACK, "yes")],
        {"x1": "o2"},
        difficult=True,
    ),
    Caller("is a voicemail", [(_HI, Detected("machine"))], {}, MessageLeft, never="Sourdough|Baker"),
    Caller("is a voicemail that speaks", [(_HI, "you have reached the voicemail of please leave a message after the tone")], {}, MessageLeft, never="Sourdough|Baker"),
    Caller(
        "is a screener that lets us through",
        [(_HI, "record your name and reason for calling and I'll see if this person is available"), ("a question about today", "hello"), (_HI, "yes"), (_PICK, "number two"), (_BACK, "yes")],
        {"x1": "o2"},
        Screened,
        difficult=True,
    ),
    Caller("is a screener that hangs up", [(_HI, "the person you are calling is using a screening service please say your name"), ("a question", Hangup())], {}, Screened, never="Sourdough"),
    Caller("hangs up at once", [(_HI, Hangup())], {}, Ended),
    Caller("hangs up after the first of two lines", [(_HI, "yes"), ("Wheatley", "number two"), ("Corner Shop", "yes"), ("Arbor", Hangup())], {"x1": "o2"}, Ended, call=a_call(bread(), coffee())),
    Caller("hangs up at the readback", [(_HI, "yes"), (_PICK, "number two"), (_BACK, Hangup())], {}, Ended),
    Caller("refuses the recording", [(_HI, "don't record this please"), (_HI, "yes"), (_PICK, "number two"), (_BACK, "yes")], {"x1": "o2"}),
    Caller("calls back with the right code", [("last four", "five six seven eight"), (_PICK, "number one"), (_BACK, "yes")], {"x1": "o1"}, call=a_call(incoming=True, order_tail="5678")),
    Caller("calls back and types the code", [("last four", Keys("5678")), (_PICK, Keys("1")), (_BACK, Keys("1"))], {"x1": "o1"}, call=a_call(incoming=True, order_tail="5678")),
    Caller("calls back with letters in the code", [("last four", "A as in alpha two B as in bravo 7"), (_PICK, "second"), (_BACK, "yes")], {"x1": "o2"}, call=a_call(incoming=True, order_tail="A2B7"), difficult=True),
    Caller("calls with a wrong code", [("last four", "1234"), ("last four", "9999"), ("last four", "0000")], {}, LinkWanted, call=a_call(incoming=True, order_tail="5678"), never="Sourdough", difficult=True),
    Caller("is told in the call that the app was quicker", [(_HI, "yes"), (_PICK, SettledElsewhere("x1", "decided"))], {}, Ended),
    Caller("chooses what has just run out", [(_HI, "yes"), (_PICK, "number two"), ("Corner Shop.*instead", OptionGone("x1", "o2")), ("run out", "then the baker's row please"), ("Baker's Row.*instead", "yes")], {"x1": "o1"}, difficult=True),
    Caller("has an allergic son", _ok((_PICK, "my son is allergic to Baker's Row"), (_PICK, "the corner shop one then")), {"x1": "o2"}, difficult=True),
    Caller("says two seconds love", _ok((_PICK, "two seconds love"), ("Take your time", "right the first one")), {"x1": "o1"}, difficult=True),
    Caller("says no to the refund", _ok((_PICK, "no to the refund"), (_PICK, "the second one")), {"x1": "o2"}, difficult=True),
    Caller("says yes but", _ok((_PICK, "number two"), (_BACK, "yes but only if it is sliced"), (_BACK, "ok no"), (_PICK, "refund please")), {"x1": REFUND}, difficult=True),
    Caller("speaks another language", [(_HI, "no hablo inglés"), (_HI, "sí soy yo"), *((".", "la segunda por favor") for _ in range(6))], {}, difficult=True, never="Noted"),
    Caller("was doubted by the recogniser", [(_HI, "yes"), (_PICK, "number two"), (_BACK, Utterance("yes", 0.2)), (_BACK, Utterance("yes", 0.9))], {"x1": "o2"}, difficult=True),
    Caller("presses keys by mistake", [(_HI, Keys("1")), (_PICK, Keys("7")), (_PICK, Keys("2")), (_BACK, Keys("5")), (_BACK, Keys("1"))], {"x1": "o2"}, difficult=True),
    Caller("talks for a very long time", _ok((_PICK, "well you see " * 400), (_PICK, "the second")), {"x1": "o2"}, difficult=True),
    Caller("denies having ordered", [(_HI, "yes"), (_PICK, "I haven't ordered any bread"), ("wrong number", "you have the wrong number")], {}, NotThem, difficult=True),
)  # fmt: skip


def report(stories: Sequence[Story]) -> str:
    """The shares that count, and each caller who did not get there."""
    turns = sorted(s.turns for s in stories if s.caller.wants)
    lines = [f"{'turns':>5}  {'reached':8}{'safe':6}caller"]
    lines += [
        f"{s.turns:>5}  {'yes' if s.reached else 'NO':8}{'yes' if s.safe else 'NO':6}{s.caller.name}"
        for s in stories
    ]
    reached, safe = sum(s.reached for s in stories), sum(s.safe for s in stories)
    hard = sum(s.caller.difficult for s in stories)
    lines.append(
        f"{len(stories)} callers ({hard} difficult): {reached / len(stories):.1%} reached what they meant, "
        f"{safe / len(stories):.1%} safe, median {turns[len(turns) // 2]} turns to a decision"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    told = [played(caller) for caller in CALLERS]
    print(report(told))
    if "-v" in sys.argv:
        for story in told:
            if not (story.reached and story.safe):
                print(f"\n{story.caller.name}: decided {story.decided}")
                print("\n".join(story.said))
                print(story.outcomes)
    sys.exit(not all(s.safe for s in told))
