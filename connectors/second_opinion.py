"""Asks a second understanding over HTTP, within the turn: late, wrong or broken means none."""

from dataclasses import dataclass
from typing import Self

import aiohttp
import msgspec

from connectors.clock import Clock
from state.understand import Offer
from state.understand.second import PROPOSAL_BYTES_MAX, Proposal, Unusable, asked, proposal

# A caller waits for the turn, so the first understanding goes on alone after this.
TIMEOUT_MS = 400
# After so many failures in a row it is left alone for a while: a broken helper costs no turn its time.
FAILURES_MAX = 3
REST_MS = 30_000


@dataclass(frozen=True)
class NoProposal:
    """Why there is none: `resting`, `timeout`, `unreachable`, `status 500`, or what is wrong with the answer."""

    reason: str


class SecondOpinion:
    """One address that takes `Asked` and answers a `Proposal`, both as JSON. Never raises for its faults."""

    def __init__(self, url: str, clock: Clock, *, timeout_ms: int = TIMEOUT_MS) -> None:
        self._url, self._clock = url, clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None
        self._failures = 0
        self._rests_until = 0.0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def propose(self, text: str, offers: tuple[Offer, ...], locale: str) -> Proposal | NoProposal:
        """What the other side takes an utterance to mean, or why it does not say."""
        if self._clock.monotonic() < self._rests_until:
            return NoProposal("resting")
        try:
            found = proposal(await self._post(text, offers, locale), offers)
        except TimeoutError:
            return self._failed("timeout")
        except aiohttp.ClientResponseError as fault:
            return self._failed(f"status {fault.status}")
        except aiohttp.ClientError:
            return self._failed("unreachable")
        except Unusable as fault:
            return self._failed(str(fault))
        self._failures = 0
        return found

    async def _post(self, text: str, offers: tuple[Offer, ...], locale: str) -> bytes:
        if self._session is None:
            raise RuntimeError("Enter the second opinion before asking it.")
        body = msgspec.json.encode(asked(text, offers, locale))
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
            answer.raise_for_status()
            if answer.status != 200:
                raise Unusable(f"status {answer.status}")
            found = b""
            async for chunk in answer.content.iter_chunked(PROPOSAL_BYTES_MAX):
                found += chunk
                if len(found) > PROPOSAL_BYTES_MAX:
                    raise Unusable("the answer has no end")
            return found

    def _failed(self, reason: str) -> NoProposal:
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._failures = 0
            self._rests_until = self._clock.monotonic() + REST_MS / 1000
        return NoProposal(reason)
