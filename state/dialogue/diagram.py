"""Draws the law of a call, and lists its words, for the documentation."""

from state.dialogue.moves import MOVES, Cause
from state.dialogue.script import PROMPTS, Prompt
from state.dialogue.session import Stage

_ABOUT = """# The dialogue

Drawn from `state/dialogue/moves.py` by `saveline dialogue diagram`: nothing moves but by this law. Only two
arrows, named "yes or key 1", decide anything; they leave the readback, and one that was not heard out is spoken
again first.
Every stage that listens also stays where it is when something is asked, wished or not understood.

"""


_WORDS = """
## Words

A policy's script may put its own in their place, by name, as `scripts.LOCALE.call`: in English only what differs, in
another language all. Until there is an understanding of that language, such a call listens to keys, and to stop. What
stands in bold has to be named; `{retailer}` may be everywhere.

| name | says | names |
|---|---|---|
"""


def document() -> str:
    """The page with its Mermaid diagram and the table of the words."""
    return f"{_ABOUT}```mermaid\n{diagram()}\n```\n{_WORDS}{words()}"


def words() -> str:
    """A row a text: its name, the English that is shipped, what it must and may name."""
    return "".join(
        f"| `{name}` | {prompt.english} | {_names(prompt)} |\n" for name, prompt in PROMPTS.items()
    )


def _names(prompt: Prompt) -> str:
    optional = prompt.may - prompt.must - {"retailer"}
    return ", ".join([*(f"**{one}**" for one in sorted(prompt.must)), *sorted(optional)])


def diagram() -> str:
    """The law as a Mermaid state diagram; a cause that ends the call from several stages is one arrow each."""
    arrows = [
        f"    {before} --> {after}: {cause}"
        for (before, cause), after in MOVES.items()
        if after is not Stage.ENDED or not _from_anywhere(cause)
        if cause is not Cause.STAY
    ]
    ends = [f"    anywhere --> {Stage.ENDED}: {cause}" for cause in Cause if _from_anywhere(cause)]
    return "\n".join(
        ["stateDiagram-v2", f"    [*] --> {Stage.DIALLED}", *arrows, *ends, f"    {Stage.ENDED} --> [*]"]
    )


def _from_anywhere(cause: Cause) -> bool:
    return sum(1 for (_, c), after in MOVES.items() if c is cause and after is Stage.ENDED) > 2
