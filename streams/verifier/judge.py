"""All invariants, one after another, over what was read."""

from schemas.codec import Codec
from streams.verifier import (
    admitted,
    clear_text,
    ending,
    keeping,
    offering,
    replay,
    sending,
    silence,
    writing,
)
from streams.verifier.seen import Seen, Story
from streams.verifier.verdict import Verdict


def judge(seen: Seen, codec: Codec) -> Verdict:
    """Recomputes everything; `codec` is for I8, which compares bytes."""
    story = Story(seen.topics)
    time, answers, fold = replay.check(seen, codec)
    return Verdict(
        [
            admitted.check(seen, story),
            sending.once(seen, story),
            ending.check(seen, story),
            writing.check(seen, story),
            keeping.check(seen),
            time,
            silence.check(seen, story),
            answers,
            fold,
            sending.given_up(seen),
            clear_text.check(seen),
            offering.check(seen, story),
        ]
    )
