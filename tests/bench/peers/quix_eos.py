"""The reference job on Quix Streams with its exactly-once guarantee; runs in a venv of its own."""

import sys
from heapq import heappush
from typing import Any

from quixstreams import Application

from tests.bench import job


def main() -> None:
    bootstrap, name, source, commands, folder, *more = sys.argv[1:]
    settings = dict(item.split("=", 1) for item in more)
    app = Application(
        broker_address=bootstrap,
        consumer_group=name,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        # Its default of 5 s would show nothing for as long; this is the default of Kafka Streams.
        commit_interval=float(settings.get("commit_interval", "0.1")),
        state_dir=folder,
        loglevel="WARNING",
    )
    events = app.topic(source, value_deserializer="bytes", key_deserializer="bytes")
    answers = app.topic(commands, value_serializer="bytes", key_serializer="bytes")
    # It has no timers by key; this is the cheapest that could be called setting a deadline.
    deadlines: list[tuple[int, str]] = []

    def run(value: bytes, state: Any) -> list[bytes]:
        event = job.event_of(value)
        stored = state.get_bytes("case")
        before = job.NEW if stored is None else job.state_of(stored)
        after = job.advance(before, event)
        if after is before:
            return []
        heappush(deadlines, (after.due_at_ms, event.about))
        state.set_bytes("case", job.encode(after))
        if not event.ask:
            return []
        return [job.encode(job.command(event.about, after, "ask", after.due_at_ms, event.at_us))]

    frame = app.dataframe(events)
    frame.apply(run, stateful=True, expand=True).to_topic(answers)
    app.run()


if __name__ == "__main__":
    main()
