"""A policy: what may be done for a case, in which order, until when, with which words. Versioned data.

The sentence below a field is its description in docs/policies.md.
"""

from collections.abc import Iterator
from datetime import time, timedelta
from enum import StrEnum
from functools import cached_property
from string import Formatter
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.words import Channel, Contents, EvidencePart, EvidencePath, Kind, Mode, Purpose, Resolution
from state.dialogue import script as call_words
from state.spans import span

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)
VOICE = Channel.VOICE

# What a text may mention; the connector fills it in.
PLACEHOLDERS = frozenset(
    {"retailer", "order", "items", "options", "deadline", "link", "decisions", "total", "reason", "call_at"}
)
# These purposes carry a text of the policy; a call's words are the dialogue's script.
WORDED = tuple(p for p in Purpose if p not in (Purpose.UNKNOWN, Purpose.CALL))


def _written_as_text(value: object) -> object:
    # Unquoted, YAML reads 21:00 as the number 1260.
    if not isinstance(value, str | time):
        raise ValueError('a time of day is written in quotes: "21:00"')  # noqa: TRY004 - pydantic gathers these
    return value


TimeOfDay = Annotated[time, BeforeValidator(_written_as_text)]
Ms = Annotated[int, Field(ge=0, le=30 * 86_400_000)]
PositiveMs = Annotated[int, Field(gt=0, le=30 * 86_400_000)]
Minor = Annotated[int, Field(ge=0)]
Share = Annotated[int, Field(ge=0, le=10_000)]
# Another spelling would be right by itself, and meet no customer.
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Locale = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Data(BaseModel):
    """Frozen, and strict about unknown words: a misspelt key must not be a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Step(Data):
    """One rung of the escalation: digital channels with a window, or voice with attempts."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """How the step is called in commands and in the register; once a policy."""
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    """Any of push, sms and email, asked at the same time; or voice alone, which comes last."""
    window_ms: PositiveMs | None = None
    """Digital: how long an answer is waited for."""
    window_min_ms: PositiveMs = 30_000
    """Digital: a window that would be squeezed below this before a deadline is dropped instead."""
    from_occurrence: bool = False
    """Digital: the window counts from the occurrence instead of from the send, because a driver is waiting."""
    attempts_max: Annotated[int, Field(ge=1, le=5)] | None = None
    """Voice: how often it is dialled at most."""
    spacing_ms: Ms = 20_000
    """Voice: the pause between two attempts."""

    @property
    def is_voice(self) -> bool:
        return self.channels == (VOICE,)

    @model_validator(mode="after")
    def _one_kind_of_step(self) -> Self:
        if Channel.VOICE in self.channels:
            if len(self.channels) > 1:
                raise ValueError("voice stands alone in its step: a call is never made beside a message")
            if self.attempts_max is None or self.window_ms is not None:
                raise ValueError(
                    "a voice step has attempts_max, and no window_ms: attempts, ring and talk make it"
                )
        else:
            if not set(self.channels) <= set(DIGITAL):
                raise ValueError("channels are push, sms, email, or voice alone")
            if self.window_ms is None or self.attempts_max is not None:
                raise ValueError("a digital step has window_ms, and no attempts_max")
            if self.window_min_ms > self.window_ms:
                raise ValueError("window_min_ms is longer than window_ms")
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("a channel is named twice")
        return self


class Timing(Data):
    write_margin_ms: Ms = 10_000
    """Before the deadline: what it takes to write a decision and to read it back."""
    talk_ms: PositiveMs = 60_000
    """How long a call is planned to last."""
    ring_ms: PositiveMs = 25_000
    """How long it rings before an attempt counts as unanswered."""
    notice_gather_ms: Ms = 5_000
    """Decisions and defaults that fall together within this are told in one message."""
    sms_crossing_ms: Ms = 10_000
    """An SMS this soon after another channel's decision was written without knowing of it."""
    reservation_margin_ms: Ms = 10_000
    """An option is no longer offered in the last moments of its stock reservation."""


class Default(Data):
    resolution: Resolution = Resolution.REFUNDED
    """What happens when nobody answers in time; never a substitute, which only a stored preference permits."""
    at_once: bool = False
    """Apply the default first, announce it, and offer the alternatives afterwards (recall)."""

    @model_validator(mode="after")
    def _is_no_choice(self) -> Self:
        if self.resolution in (Resolution.UNKNOWN, Resolution.SUBSTITUTED, Resolution.ALTERNATIVE):
            raise ValueError("the default is never a substitute: only a stored preference permits one")
        return self


class Caps(Data):
    messages_per_day: Annotated[int, Field(ge=1)] = 10
    """Messages to one customer a day, across orders; counted when claiming."""
    calls_per_day: Annotated[int, Field(ge=0)] = 3
    """Calls to one customer a day, across orders; counted when claiming."""
    calls_kept_for_last_mile: Annotated[int, Field(ge=0)] = 1
    """So many of these calls are left to delivery kinds."""


class Quiet(Data):
    starts: TimeOfDay = time(21, 0)
    """Local time, in quotes: from here on no SMS question and no call, in the delivery address's zone."""
    ends: TimeOfDay = time(8, 0)
    """Local time, in quotes: until here."""
    exempt_in_slot: bool = False
    """Around the booked slot a delivery call may be made all the same, where the country allows it."""
    slot_slack_ms: Ms = 3_600_000
    """How far around the booked slot that reaches, before and after."""


class Country(Data):
    voice: bool = True
    """Whether an automated call may be made at all."""
    quiet_exempt: bool = False
    """Whether a delivery call may be made in quiet hours around the booked slot."""
    source: Annotated[str, Field(min_length=1)]
    """Where counsel finds the rule."""


class Price(Data):
    cap_minor: Minor = 0
    """By how much all substitutes of an order together may raise its total, where the customer set no cap."""
    absorb_max_minor: Minor = 0
    """Up to this difference a line, a dearer substitute is sold at the old price."""


class Options(Data):
    shown_max: Annotated[int, Field(ge=1, le=9)] = 3
    """How many options are offered at first; the page has the others."""
    less_below_percent: Annotated[int, Field(ge=1, le=100)] = 90
    """Less than this share of the original content is labelled "less"."""
    rounds_max: Annotated[int, Field(ge=1, le=5)] = 2
    """A substitute that failed in turn opens another round; after so many, refund."""
    unattended_never: tuple[Contents, ...] = (Contents.AGE_RESTRICTED, Contents.MEDICINE, Contents.HIGH_VALUE)
    """Contents that are never left in a safe place, with a neighbour or in a locker; age_restricted always."""


class WriteBack(Data):
    attempts_max: Annotated[int, Field(ge=1, le=20)] = 6
    """How often an order that somebody else is modifying is tried; then people."""
    retry_ms: PositiveMs = 2_000
    """The pause before the second attempt; it doubles with each."""
    stuck_ms: PositiveMs = 120_000
    """After so long without a word from the OMS the case is stuck."""
    trigger_stuck_ms: PositiveMs = 600_000
    """After so long without the trigger's receipt the case is stuck."""


class Evidence(Data):
    required: dict[EvidencePath, Annotated[tuple[EvidencePart, ...], Field(min_length=1)]]
    """The parts that each path to a decision leaves behind: digital, voice, person, stored_preference, default."""
    stuck_ms: PositiveMs = 900_000
    """After so long without the evidence the case is stuck."""


class Satisfaction(Data):
    invite: bool = True
    """Whether customers who decided are asked once how it was."""
    after_ms: PositiveMs = 7_200_000
    """Not before this after the delivery."""
    until_ms: PositiveMs = 86_400_000
    """Not after this."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.after_ms >= self.until_ms:
            raise ValueError("after_ms must be before until_ms")
        return self


class Retention(Data):
    closed_days: Annotated[int, Field(ge=1, le=90)] = 7
    """How long a closed order is remembered for repeats and late answers."""
    evidence_days: dict[EvidencePart, Annotated[int, Field(ge=1)]]
    """How long each kind of evidence is kept: the object store's life cycle."""


class Pilot(Data):
    stores: tuple[str, ...] = ()
    """Pilot mode: only these stores contact their customers; all others are a shadow."""
    share_per_10000: Share = 10_000
    """Pilot mode: only this share of their customers."""


class Approved(Data):
    approved_by: str | None = None
    """Who approved it; without, it cannot go live."""
    approved_at: AwareDatetime | None = None
    """When, with its zone: 2026-11-24T00:00:00Z."""

    @property
    def is_approved(self) -> bool:
        return bool(self.approved_by) and self.approved_at is not None


class Script(Approved):
    version: Annotated[int, Field(ge=1)]
    """Raised with every change of words, so that evidence says which were used."""
    texts: dict[Purpose, Annotated[str, Field(min_length=1, max_length=1_000)]]
    """One text a purpose."""
    call: dict[str, Annotated[str, Field(min_length=1, max_length=1_000)]] = {}
    """What a call says, by the names in docs/dialogue.md. In English only what differs; in another language all."""

    def faults(self) -> Iterator[tuple[str, str]]:
        """Purposes without words, and words that could not be filled in or answered; by path."""
        missing = [p.value for p in WORDED if p not in self.texts]
        if missing:
            yield "texts", f"are missing for: {', '.join(missing)}"
        for purpose, text in self.texts.items():
            path = f"texts.{purpose}"
            try:
                fields = [field for field in Formatter().parse(text) if field[1] is not None]
            except ValueError as error:
                yield path, f"braces do not pair: {error}"
                continue
            # A placeholder stands bare: formats and attributes are no business of a text.
            odd = sorted(
                {str(name) for _, name, form, how in fields if name not in PLACEHOLDERS or form or how}
            )
            if odd:
                yield path, f"unknown placeholders: {', '.join(odd)}"
            if purpose in (Purpose.ASK, Purpose.UPDATE) and "{options}" not in text and "{link}" not in text:
                yield path, "neither {options} nor {link}: nobody could answer"

    def call_faults(self, locale: str) -> Iterator[tuple[str, str]]:
        """What a call could not say, or would say in two languages; by path."""
        for fault in call_words.faults(self._call_texts(locale)) if self.call else ():
            name, _, what = fault.partition(": ")
            yield f"call.{name}", what

    def call_script(self, locale: str, version: str) -> call_words.Script:
        """The words of a call; English ones where this script has none for calls."""
        if not self.call:
            return call_words.ENGLISH
        return call_words.script(locale, version, self._call_texts(locale))

    def _call_texts(self, locale: str) -> dict[str, str]:
        speaks_english = locale.startswith("en-")
        return {**(call_words.ENGLISH.texts if speaks_english else {}), **self.call}


class SmsAmbiguous(StrEnum):
    NO_REPEAT = "no_repeat"
    REPEAT_AFTER_LIST = "repeat_after_list"


class Applies(Data):
    stores: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Store ids, or "*"; a policy that names the store outranks one for all."""
    notice_from_ms: Ms = 0
    """Only exceptions with at least this much time to their deadline."""
    notice_below_ms: PositiveMs = 30 * 86_400_000
    """Only exceptions with less than this much time to their deadline."""


class Policy(Approved):
    """One immutable version; a case pins it as `id@version` when it opens.

    What its fields promise together is judged by `promises.broken`.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    """The file is called `id.vVERSION.yaml`; upstream may name the id as a hint."""
    version: Annotated[int, Field(ge=1)]
    """A released version never changes: raise this instead."""
    about: Annotated[str, Field(min_length=1)]
    """One sentence for people: which situation it is for."""
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    """The exception kinds that it is for."""
    applies: Applies = Applies()
    """For which stores, and for how much time to the deadline, where upstream gives no hint."""
    mode: Mode = Mode.LIVE
    """`shadow` plans and contacts nobody, `pilot` contacts some, `live` all."""
    pilot: Pilot = Pilot()
    """Whom pilot mode contacts."""
    holdout_share_per_10000: Share = 0
    """This share of customers gets what upstream would have done, for comparison."""
    gather_ms: Ms = 20_000
    """Exceptions of one order that arrive within this are asked about in one message."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    """The escalation, in order."""
    promised_notice_ms: PositiveMs
    """The least time to the deadline for which every step is promised whole."""
    timing: Timing = Timing()
    """What a call and a write need."""
    default: Default = Default()
    """What happens when nobody answers."""
    caps: Caps = Caps()
    """How often one customer may be contacted."""
    quiet: Quiet = Quiet()
    """When the telephone does not ring."""
    countries: Annotated[dict[CountryCode, Country], Field(min_length=1)]
    """By ISO 3166 code of the delivery address; a country that is not listed is asked digitally only."""
    price: Price = Price()
    """What a substitute may cost."""
    options: Options = Options()
    """What is offered."""
    changes_until_picked: bool = True
    """Whether a decision may be changed until the line is picked."""
    sms_ambiguous: SmsAmbiguous = SmsAmbiguous.NO_REPEAT
    """Whether an SMS that may have left is repeated once the provider's list shows that it did not."""
    write_back: WriteBack = WriteBack()
    """Patience with the OMS and with fulfilment."""
    evidence: Evidence
    """What must be kept."""
    satisfaction: Satisfaction = Satisfaction()
    """The one invitation after the delivery."""
    retention: Retention
    """How long things are kept."""
    scripts: Annotated[dict[Locale, Script], Field(min_length=1)]
    """The words, by locale such as `en-GB`; the first one serves every other locale."""

    @cached_property
    def key(self) -> str:
        return f"{self.id}@{self.version}"

    @cached_property
    def write_margin(self) -> timedelta:
        """After `deadline - write_margin`, nothing more can be written in time."""
        return span(self.timing.write_margin_ms)

    @cached_property
    def voice_step(self) -> Step | None:
        return next((step for step in self.steps if step.is_voice), None)

    def call_ms(self, attempts: int, spacing_ms: int) -> int:
        """How long a voice window with so many attempts is, without the queue."""
        return attempts * self.timing.ring_ms + (attempts - 1) * spacing_ms + self.timing.talk_ms

    def script_for(self, locale: str) -> str:
        """`id@version/locale/version` of the words used for a customer of this locale."""
        near = locale
        if locale not in self.scripts:
            # The same language in another country is nearer than the first script of the file.
            language = locale.split("-", maxsplit=1)[0]
            first = next(iter(self.scripts))
            near = next((name for name in self.scripts if name.split("-")[0] == language), first)
        return f"{self.key}/{near}/{self.scripts[near].version}"

    @cached_property
    def call_scripts(self) -> dict[str, call_words.Script]:
        """The words of calls, by the key that a call keeps of them: `locale/version`."""
        found = (
            script.call_script(locale, f"{self.key}.{script.version}")
            for locale, script in self.scripts.items()
        )
        return {one.key: one for one in found}

    def call_script_for(self, script: str) -> call_words.Script:
        """Those that go with a command's `id@version/locale/version`."""
        locale = script.split("/")[1]
        return self.scripts[locale].call_script(locale, f"{self.key}.{self.scripts[locale].version}")
