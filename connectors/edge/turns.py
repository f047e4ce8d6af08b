"""What every transport of a call does beside its protocol: asks a second opinion, waits for the truth, and counts."""

import asyncio
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import msgspec

from connectors.clock import Clock
from connectors.edge.signed import Signed
from connectors.metrics import OPINIONS
from connectors.second_opinion import NoProposal, SecondOpinion
from connectors.voice.calls import Answer, Calls
from connectors.voice.gather import FASTEST_MS_PER_CHAR
from connectors.voice.provider import CallsInProgress
from connectors.voice.relay import SPOKEN_MS_PER_CHAR
from state.dialogue.events import AnyHeard, Say, Utterance
from state.dialogue.hear import second_wanted

# For so long a caller is kept waiting for `decide`'s word on their answer.
_WORD_WAIT_S = 1.5
_WORD_POLL_S = 0.05


# Webhooks with `<Gather>`, a ConversationRelay socket, or each for about half of the calls.
Transport = Literal["gather", "relay", "both"]


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How calls are spoken. `pace` 1 is how fast people speak; a simulator's may be faster: 0.1 is ten times."""

    language: str = "en-GB"
    pace: float = 1.0
    transport: Transport = "gather"
    staff_number: str = ""

    def relays(self, call_id: str) -> bool:
        """Whether this call goes over a socket. With both, about every second one does, the same whenever asked."""
        return self.transport == "relay" or (self.transport == "both" and crc32(call_id.encode()) % 2 == 0)

    @property
    def fastest_ms_per_char(self) -> float:
        return FASTEST_MS_PER_CHAR * self.pace

    def spoken_s(self, say: Say) -> float:
        """About how long these words take."""
        return SPOKEN_MS_PER_CHAR * len(say.text) * self.pace / 1000

    def silence_s(self, say: Say) -> float:
        """After so long without a word nobody has answered these words."""
        return self.spoken_s(say) + say.wait_ms * self.pace / 1000


@dataclass(frozen=True)
class Exchange:
    """What both transports speak through. Blocking work goes to threads; the second understanding is optional."""

    calls: Calls
    clock: Clock
    signed: Signed
    in_progress: CallsInProgress
    manner: Manner
    second: SecondOpinion | None = None

    async def weighed(self, call_id: str, heard: AnyHeard) -> AnyHeard:
        """With what a second understanding proposes, where one is there and the first is not sure."""
        if self.second is None or not isinstance(heard, Utterance):
            return heard
        session = await asyncio.to_thread(self.calls.session_of, call_id)
        offers = second_wanted(session, heard.text) if session is not None else None
        if session is None or not offers:
            return heard
        found = await self.second.propose(heard.text, offers, session.locale)
        if isinstance(found, NoProposal):
            OPINIONS.add("none")
            return heard
        OPINIONS.add("proposed")
        return msgspec.structs.replace(heard, second=found)

    async def truth(self, answer: Answer) -> Answer:
        """The answer, unless `decide` has refused what it calls noted: then what is true instead."""
        if not answer.decided:
            return answer
        ends = self.clock.monotonic() + _WORD_WAIT_S
        while True:
            refused = await asyncio.to_thread(self.calls.verdict, answer)
            if refused:
                return await asyncio.to_thread(self.calls.corrected, answer, refused)
            if refused is not None or self.clock.monotonic() > ends:
                return answer
            await asyncio.sleep(_WORD_POLL_S)
