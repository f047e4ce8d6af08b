"""What a replay made beside what is there: outputs topic by topic, and the last state of every order."""

from collections.abc import Callable
from typing import Any

from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.commands import CaseChanged
from streams.verifier.seen import Message, Topics
from streams.verifier.verdict import Finding

_HEAD = 13


class Comparison:
    """One partition's."""

    def __init__(self, topics: Topics, codec: Codec, number: int, finding: Finding) -> None:
        self._topics, self._codec, self._number, self._finding = topics, codec, number, finding

    def outputs(self, made: dict[Topic, list[Any]]) -> None:
        for topic, said in made.items():
            found = self._topics.at(topic, self._number)
            if topic is Topic.CHANGES:
                self._changes(said, found)
                continue
            if (str(topic), self._number) in self._topics.cut:
                said = said[-len(found) :] if found else []  # noqa: PLW2901 - retention has taken the rest
            for wanted, one in zip(said, found, strict=False):
                self._compare(wanted, one)
            if len(said) != len(found):
                extra = found[len(said)].place if len(found) > len(said) else f"the end of {topic}"
                self._wrong(f"{len(said)} records on {topic}", f"{len(found)}", look=extra)

    def _changes(self, said: list[CaseChanged], found: list[Message]) -> None:
        """Compaction may have removed all but the last of each case: what is there has to be among ours."""
        waiting: dict[str, list[CaseChanged]] = {}
        for change in said:
            waiting.setdefault(change.case_id, []).append(change)
        by_case: dict[str, list[Message]] = {}
        for one in found:
            by_case.setdefault((one.key or b"").decode(errors="replace"), []).append(one)
        for case_id in waiting.keys() | by_case.keys():
            ours, theirs = waiting.get(case_id, []), by_case.get(case_id, [])
            if not ours or not theirs or len(theirs) > len(ours):
                self._wrong(
                    f"{len(ours)} changes of {case_id}",
                    f"{len(theirs)}",
                    ours[0].order_id if ours else "",
                    theirs[-1].place if theirs else str(Topic.CHANGES),
                )
                continue
            if len(theirs) == len(ours):
                for wanted, one in zip(ours, theirs, strict=True):
                    self._compare(wanted, one)
            else:
                self._compare(ours[-1], theirs[-1])

    def _compare(self, wanted: Any, one: Message) -> None:
        self._finding.checked += 1
        if self._codec.encode(wanted) != one.value:
            differ = _differences(wanted, one.record)
            self._wrong(
                f"{type(wanted).__name__} as decide makes it",
                "; ".join(differ[:4]) or "other bytes",
                wanted.order_id,
                one.place,
            )

    def states(self, made: dict[bytes, bytes], read: Callable[[bytes], bytes]) -> None:
        """`made` is each order's state as it is stored; `read` is what counts of one that is stored."""
        stored = {
            one.key: one.value
            for one in self._topics.at(self._topics.changelog, self._number)
            if one.key and not one.key.startswith(b"\x00")
        }
        found = {key: read(value[_HEAD:]) for key, value in stored.items() if value is not None}
        for key in found.keys() | made.keys():
            self._finding.checked += 1
            ours, theirs = made.get(key), found.get(key)
            if ours != theirs:
                expected = "no state" if ours is None else "the state that decide makes"
                what = "no state" if theirs is None else "a state" if ours is None else "another state"
                order = key.decode(errors="replace")
                self._wrong(expected, what, order, f"{self._topics.changelog} key {order}")

    def _wrong(self, expected: str, found: str, order: str = "", look: str = "") -> None:
        self._finding.wrong(order=order, expected=expected, found=found, look=look)


def _differences(wanted: Any, found: Any) -> list[str]:
    if type(wanted) is not type(found):
        return [f"a {type(found).__name__}"]
    return [
        f"{name} is {getattr(found, name)!r} instead of {getattr(wanted, name)!r}"
        for name in wanted.__struct_fields__
        if getattr(wanted, name) != getattr(found, name)
    ]
