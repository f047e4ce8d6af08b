"""A second understanding helps when it can, and never costs more than its time."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from connectors.second_opinion import FAILURES_MAX, REST_MS, NoProposal, SecondOpinion
from state.understand import Reading, understand
from state.understand.second import Proposal, disposed
from tests.understand.speech import BREAD


class StoppedClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self):
        raise AssertionError("Nobody asks for the date here.")


@asynccontextmanager
async def a_server(answer: bytes | None):
    """Answers every request with some bytes; with None it never answers. Yields its address and its book."""
    asked: list[bytes] = []
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            asked.append(await reader.readexactly(length))
            if answer is None:
                await released.wait()
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", asked
    finally:
        released.set()
        server.close()


def http(body: bytes, status: str = "200 OK", extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s" % (
        status.encode(),
        len(body),
        extra,
        body,
    )


def asking(answer: bytes | None, times: int = 1, timeout_ms: int = 300):
    async def story():
        clock = StoppedClock()
        async with (
            a_server(answer) as (url, book),
            SecondOpinion(url, clock, timeout_ms=timeout_ms) as second,
        ):
            heard = [await second.propose("the one my nan likes", BREAD, "en") for _ in range(times)]
            return heard, book, second, clock

    return asyncio.run(story())


def test_a_proposal_is_validated_and_returned():
    heard, book, _, _ = asking(http(b'{"intent": "choose", "option": 2, "confidence": 0.9}'))
    assert heard == [Proposal("choose", 0.9, 2)]
    assert b"the one my nan likes" in book[0]
    assert b"Corner Shop" in book[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "timeout"),
        (http(b"oops", "500 Internal Server Error"), "status 500"),
        (http(b"", "302 Found", b"Location: http://127.0.0.1:1/\r\n"), "status 302"),
        (http(b"<html>"), "malformed"),
        (http(b"\xff\xfe"), "malformed"),
        (http(b'{"intent": "buy_everything", "confidence": 1}'), "buy_everything"),
        (http(b'{"intent": "choose", "confidence": 1}'), "option"),
        (http(b'{"intent": "choose", "option": 9, "confidence": 1}'), "not offered"),
        (http(b'{"intent": "accept", "option": 1, "confidence": 1}'), "option"),
        (http(b'{"intent": "accept", "confidence": 7}'), "confidence"),
        (http(b'{"intent": "accept", "confidence": 1, "price": 0}'), "price"),
        (http(b" " * 100_000), "no end"),
        (b"garbage that is no http\r\n\r\n", "status 400"),
        (b"", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "unreachable"),
    ],
)
def test_every_fault_is_named_and_means_no_proposal(answer, reason):
    ((found,), _, _, _) = asking(answer)
    assert isinstance(found, NoProposal)
    assert reason in found.reason


def test_nobody_listening_means_no_proposal():
    async def story():
        async with a_server(b"") as (url, _):
            pass
        async with SecondOpinion(url, StoppedClock()) as second:
            return await second.propose("hello", BREAD, "en")

    assert asyncio.run(story()) == NoProposal("unreachable")


def test_after_some_failures_it_is_left_alone_for_a_while():
    async def story():
        clock = StoppedClock()
        async with a_server(http(b"", "500 Oh")) as (url, book), SecondOpinion(url, clock) as second:
            for _ in range(FAILURES_MAX + 2):
                last = await second.propose("hello", BREAD, "en")
            asked = len(book)
            clock.seconds += REST_MS / 1000
            again = await second.propose("hello", BREAD, "en")
            return last, asked, again

    last, asked, again = asyncio.run(story())
    assert last == NoProposal("resting")
    assert asked == FAILURES_MAX
    assert again == NoProposal("status 500")


def test_a_proposed_choice_becomes_a_question_and_never_a_commit():
    first = understand("the one my nan likes", BREAD)
    taken = disposed(first, Proposal("choose", 1.0, 2))
    assert (taken.intent, taken.about, taken.commits) == ("unclear", (2,), False)


@pytest.mark.parametrize(
    "text", ["the one my nan likes", "yes but", "not the second", "hmm", "oui", "maybe", ""]
)
@pytest.mark.parametrize(
    "second",
    [Proposal("accept", 1.0), Proposal("refund", 1.0), Proposal("choose", 1.0, 1), Proposal("question", 0.9)],
)
def test_no_proposal_commits_what_the_gate_cannot_explain(text, second):
    assert not disposed(understand(text, BREAD), second).commits


def test_what_the_first_path_decided_stands():
    first = understand("2 please", BREAD)
    assert disposed(first, Proposal("refund", 1.0)) == first
    stop = understand("stop calling me", BREAD)
    assert disposed(stop, Proposal("choose", 1.0, 1)) == stop


def test_a_proposal_may_name_what_commits_nothing():
    assert disposed(Reading("unclear", 0.2), Proposal("handoff", 0.9)).intent == "handoff"
