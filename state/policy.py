"""A policy: what may be done for a case, in which order, until when, with which words. Versioned data."""

import re
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.words import Channel, Contents, EvidencePart, EvidencePath, Kind, Mode, Purpose, Resolution

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


class Data(BaseModel):
    """Frozen, and strict about unknown words: a misspelt key must not be a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Data):
    """One rung of the escalation: digital channels with a window, or voice with attempts."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    window_ms: PositiveMs | None = None
    # A window squeezed below this is dropped instead.
    window_min_ms: PositiveMs = 30_000
    # The window counts from the occurrence instead of from the send: a driver is waiting.
    from_occurrence: bool = False
    attempts_max: Annotated[int, Field(ge=1, le=5)] | None = None
    spacing_ms: Ms = 20_000

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
    """What a call and a write need; all in milliseconds."""

    write_margin_ms: Ms = 10_000
    talk_ms: PositiveMs = 60_000
    ring_ms: PositiveMs = 25_000
    # Decisions and defaults that fall together are told in one message.
    notice_gather_ms: Ms = 5_000
    # An SMS this soon after another channel's decision was written without knowing of it.
    sms_crossing_ms: Ms = 10_000
    # An option is not offered in the last moments of its stock reservation.
    reservation_margin_ms: Ms = 10_000


class Default(Data):
    """What happens when nobody answers; `at_once` decides first and asks afterwards (recall)."""

    resolution: Resolution = Resolution.REFUNDED
    at_once: bool = False

    @model_validator(mode="after")
    def _is_no_choice(self) -> Self:
        if self.resolution in (Resolution.UNKNOWN, Resolution.SUBSTITUTED, Resolution.ALTERNATIVE):
            raise ValueError("the default is never a substitute: only a stored preference permits one")
        return self


class Caps(Data):
    """How much one customer may be contacted a day, across orders; checked when claiming."""

    messages_per_day: Annotated[int, Field(ge=1)] = 10
    calls_per_day: Annotated[int, Field(ge=0)] = 3
    calls_kept_for_last_mile: Annotated[int, Field(ge=0)] = 1


class Quiet(Data):
    """Local hours without SMS questions and calls, in the delivery address's zone."""

    starts: TimeOfDay = time(21, 0)
    ends: TimeOfDay = time(8, 0)
    # Inside the booked slot, give or take this much, a delivery call may be made where the country allows it.
    exempt_in_slot: bool = False
    slot_slack_ms: Ms = 3_600_000


class Country(Data):
    """What the law of a delivery country allows."""

    voice: bool = True
    quiet_exempt: bool = False
    source: Annotated[str, Field(min_length=1)]


class Price(Data):
    """Per line: a difference up to `absorb_max_minor` is ours; above that, the customer's cap counts."""

    cap_minor: Minor = 0
    absorb_max_minor: Minor = 0


class Options(Data):
    shown_max: Annotated[int, Field(ge=1, le=9)] = 3
    # Less than this share of the original content is labelled "less".
    less_below_percent: Annotated[int, Field(ge=1, le=100)] = 90
    # A substitute that failed in turn opens another round; after these, refund.
    rounds_max: Annotated[int, Field(ge=1, le=5)] = 2
    unattended_never: tuple[Contents, ...] = (Contents.AGE_RESTRICTED, Contents.MEDICINE, Contents.HIGH_VALUE)


class WriteBack(Data):
    attempts_max: Annotated[int, Field(ge=1, le=20)] = 6
    retry_ms: PositiveMs = 2_000
    stuck_ms: PositiveMs = 120_000
    trigger_stuck_ms: PositiveMs = 600_000


class Evidence(Data):
    """Which parts each path to a decision must leave behind."""

    required: dict[EvidencePath, Annotated[tuple[EvidencePart, ...], Field(min_length=1)]]
    stuck_ms: PositiveMs = 900_000

    @model_validator(mode="after")
    def _every_path(self) -> Self:
        missing = sorted(
            p.value for p in EvidencePath if p is not EvidencePath.UNKNOWN and p not in self.required
        )
        if missing:
            raise ValueError(f"required names no parts for: {', '.join(missing)}")
        bare = sorted(p.value for p, parts in self.required.items() if EvidencePart.MANIFEST not in parts)
        if bare:
            raise ValueError(f"every path needs the manifest; missing for: {', '.join(bare)}")
        return self


class Satisfaction(Data):
    invite: bool = True
    after_ms: PositiveMs = 7_200_000
    until_ms: PositiveMs = 86_400_000

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.after_ms >= self.until_ms:
            raise ValueError("after_ms must be before until_ms")
        return self


class Retention(Data):
    closed_days: Annotated[int, Field(ge=1, le=90)] = 7
    evidence_days: dict[EvidencePart, Annotated[int, Field(ge=1)]]


class Pilot(Data):
    """In pilot mode only these stores, and this share of their customers, are contacted."""

    stores: tuple[str, ...] = ()
    share_per_10000: Share = 10_000


class Approved(Data):
    approved_by: str | None = None
    approved_at: datetime | None = None

    @property
    def is_approved(self) -> bool:
        return bool(self.approved_by) and self.approved_at is not None


class Script(Approved):
    """The words of one locale."""

    version: Annotated[int, Field(ge=1)]
    texts: dict[Purpose, Annotated[str, Field(min_length=1, max_length=1_000)]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        faults = []
        missing = [p.value for p in WORDED if p not in self.texts]
        if missing:
            faults.append(f"texts are missing for: {', '.join(missing)}")
        for purpose, text in self.texts.items():
            unknown = sorted(set(re.findall(r"\{(\w*)\}", text)) - PLACEHOLDERS)
            if unknown:
                faults.append(f"texts.{purpose}: unknown placeholders {', '.join(unknown)}")
            if purpose in (Purpose.ASK, Purpose.UPDATE) and "{options}" not in text and "{link}" not in text:
                faults.append(f"texts.{purpose}: neither {{options}} nor {{link}}: nobody could answer")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class SmsAmbiguous(StrEnum):
    NO_REPEAT = "no_repeat"
    REPEAT_AFTER_LIST = "repeat_after_list"


class Applies(Data):
    """Which exceptions a policy is for when they give no hint: by store, and by the time left."""

    stores: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    notice_from_ms: Ms = 0
    notice_below_ms: PositiveMs = 30 * 86_400_000


class Policy(Approved):
    """One immutable version; a case pins it as `id@version` when it opens."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    version: Annotated[int, Field(ge=1)]
    about: Annotated[str, Field(min_length=1)]
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    applies: Applies = Applies()
    mode: Mode = Mode.LIVE
    pilot: Pilot = Pilot()
    holdout_share_per_10000: Share = 0
    gather_ms: Ms = 20_000
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    # The least time to the deadline for which every step is promised whole.
    promised_notice_ms: PositiveMs
    timing: Timing = Timing()
    default: Default = Default()
    caps: Caps = Caps()
    quiet: Quiet = Quiet()
    countries: Annotated[dict[str, Country], Field(min_length=1)]
    price: Price = Price()
    options: Options = Options()
    changes_until_picked: bool = True
    sms_ambiguous: SmsAmbiguous = SmsAmbiguous.NO_REPEAT
    write_back: WriteBack = WriteBack()
    evidence: Evidence
    satisfaction: Satisfaction = Satisfaction()
    retention: Retention
    scripts: Annotated[dict[str, Script], Field(min_length=1)]

    @cached_property
    def key(self) -> str:
        return f"{self.id}@{self.version}"

    @cached_property
    def write_margin(self) -> timedelta:
        """After `deadline - write_margin`, nothing more can be written in time."""
        return timedelta(milliseconds=self.timing.write_margin_ms)

    @cached_property
    def voice_step(self) -> Step | None:
        return next((step for step in self.steps if step.is_voice), None)

    def call_ms(self, attempts: int, spacing_ms: int) -> int:
        """How long a voice window with so many attempts is, without the queue."""
        return attempts * self.timing.ring_ms + (attempts - 1) * spacing_ms + self.timing.talk_ms

    @model_validator(mode="after")
    def _can_keep_its_promises(self) -> Self:
        faults = [*self._faults_of_steps(), *self._faults_of_mode(), *self._faults_of_words()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults_of_steps(self) -> list[str]:
        faults = []
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            faults.append("steps: a name stands twice: the escalation would loop")
        voice = [index for index, step in enumerate(self.steps) if step.is_voice]
        if len(voice) > 1:
            faults.append(
                "steps: more than one voice step: attempts belong into one, so that no call is repeated"
            )
        if voice and voice[0] != len(self.steps) - 1:
            faults.append("steps: the voice step comes last")
        if voice and not any(country.voice for country in self.countries.values()):
            faults.append("steps: voice is allowed in no country: the call could never reach anybody")
        if all(step.is_voice for step in self.steps) and not voice:
            faults.append("steps: no step could ever reach anybody")
        need_ms = self.gather_ms + self.timing.write_margin_ms
        for step in self.steps:
            need_ms += step.window_ms or self.call_ms(step.attempts_max or 1, step.spacing_ms)
        if need_ms > self.promised_notice_ms:
            what = "a call after the deadline" if voice else "an answer after the deadline"
            faults.append(
                f"promised_notice_ms: gathering, steps and write margin take {need_ms} ms, but only "
                f"{self.promised_notice_ms} ms are promised: the plan promises {what}"
            )
        return faults

    def _faults_of_mode(self) -> list[str]:
        faults = []
        if self.mode is Mode.UNKNOWN:
            faults.append("mode: shadow, pilot or live")
        if self.mode is Mode.PILOT and not self.pilot.stores:
            faults.append("pilot.stores: pilot mode names no store")
        if self.mode in (Mode.LIVE, Mode.PILOT):
            if not self.is_approved:
                faults.append(f"approved_by, approved_at: not approved, so it cannot go {self.mode}")
            faults += [
                f"scripts.{locale}: not approved, so it cannot go {self.mode}"
                for locale, script in self.scripts.items()
                if not script.is_approved
            ]
        exempt = {Kind.RECALLED, Kind.DRIVER_WAITING, Kind.AGE_CHECK_FAILED} & set(self.kinds)
        if self.holdout_share_per_10000 and exempt:
            faults.append("holdout_share_per_10000: never for recall, age checks or a waiting driver")
        if self.applies.notice_from_ms >= self.applies.notice_below_ms:
            faults.append("applies: notice_from_ms is not below notice_below_ms: no case could ever match")
        return faults

    def _faults_of_words(self) -> list[str]:
        if self.voice_step is not None:
            return []
        return [
            f"scripts.{locale}.texts.{purpose}: promises a call, but no step makes one"
            for locale, script in self.scripts.items()
            for purpose, text in script.texts.items()
            if "{call_at}" in text
        ]

    def script_for(self, locale: str) -> str:
        """`id@version/locale/version` of the words used for a customer of this locale."""
        # The same language in another country is nearer than the first script of the file.
        language = locale.split("-", maxsplit=1)[0]
        near = (
            locale
            if locale in self.scripts
            else next(
                (name for name in self.scripts if name.split("-")[0] == language), next(iter(self.scripts))
            )
        )
        return f"{self.key}/{near}/{self.scripts[near].version}"
