"""The limit: a bare client that decodes nothing, keeps no state and guarantees little.

Every peer is started with `BOOTSTRAP APP SOURCE COMMANDS FOLDER [name=value...]` and runs until SIGTERM.
"""

import signal
import sys

from confluent_kafka import Consumer, Producer

ASKS = b'"ask":true'


def main() -> None:
    bootstrap, app, source, commands, _folder, *more = sys.argv[1:]
    properties = dict(item.split("=", 1) for item in more)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": app,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 100,
            **properties,
        }
    )
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
    )
    consumer.subscribe([source])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            first = consumer.poll(0.1)
            if first is None:
                continue
            messages = [first, *consumer.consume(999, 0)]
            answers = []
            for message in messages:
                value = message.value() or b""
                # The size of a command, with the instants that the readers look for.
                if ASKS in value:
                    answers.append({"key": message.key(), "value": value[:190]})
            if answers:
                producer.produce_batch(commands, answers)
            producer.poll(0)
    finally:
        producer.flush(10)
        consumer.close()


if __name__ == "__main__":
    main()
