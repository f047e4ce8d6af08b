"""What a turn of the dialogue costs: fifty calls at once, each turn from the stored session and back to it."""

import argparse
import json
import sys
import time
from itertools import cycle

from state.dialogue.events import Answered, Utterance
from state.dialogue.hear import hear
from state.dialogue.script import ENGLISH
from state.dialogue.session import Session, decoded, encoded
from state.understand import understand
from tests.dialogue.builders import a_call, bread, coffee, rolls
from tests.dialogue.callers import CALLERS
from tests.understand.speech import SHELVES, SPOILING, commits

CALLS = 50
TURN_MS_MAX, UNDERSTAND_MS_MAX = 10.0, 5.0
# What callers say, and what attackers send.
SAID = [r[1] for caller in CALLERS for r in caller.reactions if isinstance(r[1], str)]
HOSTILE = [
    "yes " * 5_000,
    "stop " * 400,
    "two forty " * 12,
    "a " * 2_000,
    "don't call me " * 300,
    "9" * 4_096,
    "e\u0301" * 2_000,
]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def a_new_call(n: int) -> Session:
    return hear(a_call(bread(), rolls(), coffee(quantity=3), call_id=f"c{n}"), Answered(), ENGLISH)[0]


def turns_ms(rounds: int) -> list[float]:
    """CPU per turn, the calls taking turns, so that no cache belongs to one of them."""
    kept = [encoded(a_new_call(n)) for n in range(CALLS)]
    words, spent = cycle([*SAID, *HOSTILE]), []
    for _ in range(rounds):
        for n in range(CALLS):
            heard = Utterance(next(words))
            began = time.thread_time_ns()
            session, say = hear(decoded(kept[n]), heard, ENGLISH)
            kept[n] = encoded(session)
            spent.append((time.thread_time_ns() - began) / 1e6)
            if say.ending:
                kept[n] = encoded(a_new_call(n))
    return spent


def understanding_ms(rounds: int) -> list[float]:
    texts = [w.format(t) for s in SHELVES for t in commits(s)[::9] for w in SPOILING[::9]] + HOSTILE * 5
    spent = []
    for _ in range(rounds):
        for text in texts:
            for offers in SHELVES[:3]:
                began = time.thread_time_ns()
                understand(text, offers)
                spent.append((time.thread_time_ns() - began) / 1e6)
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    turns_ms(2)  # the first turns load the lexicon and the model
    figures = {}
    for name, spent in (
        ("turn", turns_ms(rounds)),
        ("understanding", understanding_ms(max(1, rounds // 20))),
    ):
        figures |= {f"{name}_n": len(spent)}
        figures |= {
            f"{name}_{at}_ms": round(percentile(spent, s), 3)
            for at, s in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        }
    figures["calls"] = CALLS
    print(json.dumps(figures))
    return int(figures["turn_p99_ms"] > TURN_MS_MAX or figures["understanding_p99_ms"] > UNDERSTAND_MS_MAX)


if __name__ == "__main__":
    sys.exit(main())
