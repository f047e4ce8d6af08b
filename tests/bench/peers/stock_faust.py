"""The reference job on Faust as it comes: an agent, a table, its own recovery; at-least-once."""

import sys
from heapq import heappush

import faust

from tests.bench import job


def main() -> None:
    bootstrap, name, source, commands, folder, *_more = sys.argv[1:]
    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        store="rocksdb://?driver=rocksdict",
        datadir=folder,
        topic_partitions=4,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        value_serializer="raw",
        key_serializer="raw",
    )
    events = app.topic(source, value_type=bytes, key_type=bytes)
    answers = app.topic(commands, value_type=bytes, key_type=bytes)
    cases = app.Table("cases", partitions=4, key_type=bytes, value_type=bytes)
    # Faust has no timers by key; this is the cheapest that could be called setting a deadline.
    deadlines: list[tuple[int, bytes]] = []

    @app.agent(events)
    async def run(stream: faust.StreamT) -> None:
        async for key, value in stream.items():
            event = job.event_of(value)
            stored = cases.get(key)
            state = job.NEW if stored is None else job.state_of(stored)
            after = job.advance(state, event)
            if after is state:
                continue
            heappush(deadlines, (after.due_at_ms, key))
            cases[key] = job.encode(after)
            if event.ask:
                command = job.command(event.about, after, "ask", after.due_at_ms, event.at_us)
                await answers.send(key=key, value=job.encode(command))

    sys.argv = ["faust", "worker", "-l", "warn"]
    faust.Worker(app, loglevel="warn").execute_from_commandline()


if __name__ == "__main__":
    main()
