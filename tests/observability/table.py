"""`make metrics-table`: docs/metrics.md, from the declarations."""

from collections.abc import Iterator
from pathlib import Path

from connectors.measuring import Family, Home
from connectors.metrics import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_LISTED_MAX = 12
_HEAD = """# Metrics
<!-- Written by `make metrics-table` from connectors/metrics.py: change it there. -->

Every process answers `GET /metrics`. Names begin with `saveline_`; durations are in seconds, money in minor units
of its currency. A label's value comes from a closed list, else it is `other`: nothing that arrives from outside can
make a new series. Only `partition` is a number. Beside these each process tells the usual `process_...` and
`python_...`.

**Where the business is counted.** Not in the workers: a counter in a process begins anew with every restart, and a
repeated transaction would be counted twice. Each connectors process that keeps the register counts all its cases
every 5 s, or so seldom that counting takes a twentieth of the time, in one statement of one instant. So cases,
decisions and money are right to the case, and follow the definitions of `saveline report`. What alerts watch (stuck,
overdue, unsettled) is looked at by itself: every 5 s, and while all cases are counted up to a minute later. All those
processes tell the same numbers: take `max` over them, never `sum`. A figure that only outcomes or a holdout can show
stays 0 of 0 until
there are some; without a holdout money is *value handled*, not recovered.
"""
_ABOUT = {
    Home.WORKER: "The engine, by `saveline worker`; since the process started.",
    Home.CONNECTORS: "`saveline connectors`; since the process started, but for what waits in Postgres.",
    Home.REGISTER: "The register, by the `saveline connectors` that do the part `register`.",
    Home.EDGE: "`saveline edge`; since the process started.",
}


def page() -> str:
    return "\n".join([_HEAD, *(line for home in Home for line in _of(home))])


def _of(home: Home) -> Iterator[str]:
    yield f"## {home.value}"
    yield _ABOUT[home]
    yield ""
    yield "| metric | kind | labels | what it says |"
    yield "|---|---|---|---|"
    for family in FAMILIES:
        if family.home is home:
            yield f"| `{family.shown}` | {family.shape} | {_labels(family)} | {family.says} |"
    yield ""


def _labels(family: Family) -> str:
    told = []
    for name, values in family.labels.items():
        match values:
            case None:
                words = "a number"
            case _ if len(values) > _LISTED_MAX:
                words = f"{len(values)} values, from `{values[0]}`"
            case _:
                words = ", ".join(f"`{value}`" for value in values)
        told.append(f"**{name}**: {words}")
    return "<br>".join(told)


if __name__ == "__main__":
    PAGE.write_text(page())
