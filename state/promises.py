"""What a policy promises as a whole, beyond each of its fields: every promise that it could not keep, by its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from schemas.words import LINE_KINDS, Contents, EvidencePart, EvidencePath, Kind, Mode

if TYPE_CHECKING:
    from state.policy import Policy

Fault = tuple[str, str]

NEVER_HOLDOUT = frozenset({Kind.RECALLED, Kind.AGE_CHECK_FAILED, Kind.DRIVER_WAITING})
"""Kinds whose customers are always treated: the harm of not asking is not only money."""


def broken(policy: Policy, held: Mapping[str, Any] | None = None) -> list[Fault]:
    """Path and reason of everything that does not fit together.

    `held` names the fields that are right by themselves, where not all of them are: what cannot be judged without
    the others is left out.
    """
    names = set(type(policy).model_fields) if held is None else set(held)
    return [fault for needed, check in _CHECKS if needed <= names for fault in check(policy)]


def _names(policy: Policy) -> Iterator[Fault]:
    names = [step.name for step in policy.steps]
    if len(set(names)) < len(names):
        yield "steps", "a name stands twice: the escalation would loop"
    voice = [index for index, step in enumerate(policy.steps) if step.is_voice]
    if len(voice) > 1:
        yield "steps", "more than one voice step: attempts belong into one, so that no call is repeated"
    if voice and voice[0] != len(policy.steps) - 1:
        yield "steps", "the voice step comes last"


def _reach(policy: Policy) -> Iterator[Fault]:
    if policy.voice_step is None:
        return
    if not any(country.voice for country in policy.countries.values()):
        yield "countries", "voice is allowed in none: the call could never reach anybody"
    kept = policy.caps.calls_kept_for_last_mile if LINE_KINDS & set(policy.kinds) else 0
    if policy.caps.calls_per_day <= kept:
        yield "caps.calls_per_day", "leaves no call for these kinds: the call could never reach anybody"


def _time(policy: Policy) -> Iterator[Fault]:
    need_ms = policy.gather_ms + policy.timing.write_margin_ms
    for step in policy.steps:
        need_ms += step.window_ms or policy.call_ms(step.attempts_max or 1, step.spacing_ms)
    if need_ms > policy.promised_notice_ms:
        what = "a call" if policy.voice_step is not None else "an answer"
        late = f"the plan promises {what} after the deadline"
        yield (
            "promised_notice_ms",
            f"is less than the {need_ms} ms of gathering, steps and write margin: {late}",
        )
    for index, step in enumerate(policy.steps):
        if step.from_occurrence and step.window_ms is not None and step.window_ms <= policy.gather_ms:
            yield (
                f"steps.{index}.window_ms",
                "is over before gathering is: the step could never reach anybody",
            )


def _rollout(policy: Policy) -> Iterator[Fault]:
    if policy.mode is Mode.UNKNOWN:
        yield "mode", "is shadow, pilot or live"
    if policy.mode is Mode.PILOT and not policy.pilot.stores:
        yield "pilot.stores", "pilot mode names no store: it could never reach anybody"
    if policy.mode is Mode.PILOT and not policy.pilot.share_per_10000:
        yield "pilot.share_per_10000", "takes in no customer: it could never reach anybody"


def _approval(policy: Policy) -> Iterator[Fault]:
    if policy.mode in (Mode.LIVE, Mode.PILOT) and not policy.is_approved:
        yield "approved_by, approved_at", f"not approved, so it cannot go {policy.mode}"


def _approved_words(policy: Policy) -> Iterator[Fault]:
    if policy.mode in (Mode.LIVE, Mode.PILOT):
        for locale, script in policy.scripts.items():
            if not script.is_approved:
                yield f"scripts.{locale}", f"not approved, so it cannot go {policy.mode}"


def _holdout(policy: Policy) -> Iterator[Fault]:
    if policy.holdout_share_per_10000 and NEVER_HOLDOUT & set(policy.kinds):
        yield "holdout_share_per_10000", "never for recall, age checks or a waiting driver"
    if policy.holdout_share_per_10000 == 10_000:
        yield "holdout_share_per_10000", "holds out everybody: it could never reach anybody"


def _kinds(policy: Policy) -> Iterator[Fault]:
    if Kind.UNKNOWN in policy.kinds:
        yield "kinds", "unknown stands for words of newer versions: nobody can plan for it"


def _applies(policy: Policy) -> Iterator[Fault]:
    if policy.applies.notice_from_ms >= policy.applies.notice_below_ms:
        yield "applies", "notice_from_ms is not below notice_below_ms: no case could ever match"
    elif policy.applies.notice_below_ms <= policy.promised_notice_ms:
        what = "a call" if policy.voice_step is not None else "an answer"
        yield (
            "applies.notice_below_ms",
            f"is not above promised_notice_ms: {what} is promised that comes after the deadline of every case",
        )


def _promised_calls(policy: Policy) -> Iterator[Fault]:
    if policy.voice_step is not None:
        return
    for locale, script in policy.scripts.items():
        for purpose, text in script.texts.items():
            if "{call_at}" in text:
                yield f"scripts.{locale}.texts.{purpose}", "promises a call, but no step makes one"


def _safety(policy: Policy) -> Iterator[Fault]:
    if Contents.AGE_RESTRICTED not in policy.options.unattended_never:
        yield "options.unattended_never", "age-restricted goods are never left unattended"


def _evidence(policy: Policy) -> Iterator[Fault]:
    required = policy.evidence.required
    paths = sorted(p.value for p in EvidencePath if p is not EvidencePath.UNKNOWN and p not in required)
    if paths:
        yield "evidence.required", f"names no parts for: {', '.join(paths)}"
    for path, parts in required.items():
        if EvidencePart.MANIFEST not in parts:
            yield f"evidence.required.{path}", "every path needs the manifest"
        if EvidencePart.UNKNOWN in parts:
            yield f"evidence.required.{path}", "unknown is no part that could ever be stored"


def _retention(policy: Policy) -> Iterator[Fault]:
    known = {part for part in EvidencePart if part is not EvidencePart.UNKNOWN}
    untold = sorted(known - set(policy.retention.evidence_days))
    if untold:
        yield "retention.evidence_days", f"names no days for: {', '.join(untold)}"


def _words(policy: Policy) -> Iterator[Fault]:
    for locale, script in policy.scripts.items():
        for path, what in (*script.faults(), *script.call_faults(locale)):
            yield f"scripts.{locale}.{path}", what


_CHECKS: tuple[tuple[frozenset[str], Callable[[Policy], Iterator[Fault]]], ...] = (
    (frozenset({"steps"}), _names),
    (frozenset({"steps", "countries", "caps", "kinds"}), _reach),
    (frozenset({"steps", "timing", "gather_ms", "promised_notice_ms"}), _time),
    (frozenset({"mode", "pilot"}), _rollout),
    (frozenset({"mode", "approved_by", "approved_at"}), _approval),
    (frozenset({"mode", "scripts"}), _approved_words),
    (frozenset({"holdout_share_per_10000", "kinds"}), _holdout),
    (frozenset({"kinds"}), _kinds),
    (frozenset({"applies", "promised_notice_ms", "steps"}), _applies),
    (frozenset({"steps", "scripts"}), _promised_calls),
    (frozenset({"options"}), _safety),
    (frozenset({"evidence"}), _evidence),
    (frozenset({"retention"}), _retention),
    (frozenset({"scripts"}), _words),
)
