"""A call as a pure state machine: what is heard goes in, what is said and what is decided come out."""

from state.dialogue.hear import hear
from state.dialogue.session import Session

__all__ = ["Session", "hear"]
