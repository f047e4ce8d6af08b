"""I7: after a case closed or a customer said stop, nothing but what the customer is owed."""

from collections import defaultdict
from datetime import datetime, timedelta

from schemas.commands import ChannelCommand
from schemas.words import CaseState, Channel, Purpose
from streams.verifier.seen import Row, Seen, Story
from streams.verifier.verdict import Finding

_NEWS = {Purpose.CONFIRM, Purpose.DEFAULT, Purpose.WITHDRAWAL, Purpose.REPLY}
_QUESTIONS = {Purpose.ASK, Purpose.CALL, Purpose.UPDATE, Purpose.LINK, Purpose.CALLBACK}
# The row is committed a moment after the instant that it carries.
_COMMITTED_WITHIN = timedelta(seconds=1)


def check(seen: Seen, story: Story) -> Finding:
    finding = Finding(invariant="I7")
    closed_at = {
        case_id: change.changed_at
        for case_id, changes in story.changes.items()
        for change in reversed(changes)
        if change.state is CaseState.CLOSED
    }
    told: dict[tuple[str, Channel, Purpose], str] = {}
    invited: dict[str, list[str]] = defaultdict(list)
    for command in story.commands.values():
        if command.channel is Channel.PERSON:
            continue
        finding.checked += 1
        if command.reply_to:
            _replies(story, command, finding)
        elif command.purpose is Purpose.SATISFACTION:
            invited[command.conversation_id].append(command.command_id)
        elif command.purpose in _QUESTIONS:
            _questions(command, closed_at, finding)
        elif command.purpose in _NEWS:
            _tells(command, closed_at, told, finding)
        else:
            _wrong(command, "a reply to name what it replies to", f"a {command.purpose} to nobody", finding)
    for conversation, commands in invited.items():
        if len(commands) > 1:
            finding.wrong(
                order=story.commands[commands[0]].order_id,
                expected=f"one satisfaction invitation for {conversation}",
                found=f"{len(commands)}: {', '.join(commands)}",
                look="saveline trace",
            )
    _after_opting_out(seen, story, finding)
    return finding


def _wrong(command: ChannelCommand, expected: str, found: str, finding: Finding) -> None:
    finding.wrong(
        order=command.order_id,
        expected=expected,
        found=f"{command.command_id}: {found}",
        look=f"channel.{command.channel}.v1, and saveline trace {command.order_id}",
    )


def _replies(story: Story, command: ChannelCommand, finding: Finding) -> None:
    response = story.responses.get(command.reply_to)
    if response is None or response.order_id != command.order_id:
        _wrong(command, "a reply to a message of the customer", f"a reply to {command.reply_to}", finding)


def _questions(command: ChannelCommand, closed_at: dict[str, datetime], finding: Finding) -> None:
    for case_id in command.about:
        at = closed_at.get(case_id)
        if at is not None and at < command.issued_at:
            _wrong(
                command,
                f"no question about {case_id}, which closed at {at:%F %T}",
                f"{command.purpose} by {command.channel} at {command.issued_at:%F %T}",
                finding,
            )


def _tells(
    command: ChannelCommand,
    closed_at: dict[str, datetime],
    told: dict[tuple[str, Channel, Purpose], str],
    finding: Finding,
) -> None:
    """The closing announcement is made once on a channel."""
    for case_id in command.about:
        at = closed_at.get(case_id)
        if at is None or at >= command.issued_at:
            continue
        first = told.setdefault((case_id, command.channel, command.purpose), command.command_id)
        if first != command.command_id:
            _wrong(command, f"one announcement of {case_id} after its close", f"after {first}", finding)


def _after_opting_out(seen: Seen, story: Story, finding: Finding) -> None:
    if seen.register is None:
        finding.skip("claims after an opt-out: no database was given")
        return
    out = {
        (row["subject"], row["channel"]): row["occurred_at"]
        for row in seen.register.opt_outs
        if row["opted_out"]
    }
    for claim in seen.register.claims:
        if claim["channel"] not in (Channel.SMS, Channel.VOICE) or claim["claimed_at"] is None:
            continue
        finding.checked += 1
        command = story.commands.get(claim["command_id"])
        if command is not None and command.reply_to:
            continue
        at = _opted_out_at(claim, out)
        if at is not None and claim["claimed_at"] > at + _COMMITTED_WITHIN:
            finding.wrong(
                order=claim["order_id"],
                expected=f"no {claim['channel']} claimed after the opt-out of {at:%F %T}",
                found=f"{claim['command_id']} claimed at {claim['claimed_at']:%F %T}, now {claim['state']}",
                look=f"claims and opt_outs, command_id = {claim['command_id']}",
            )


def _opted_out_at(claim: Row, out: dict[tuple[str, str], datetime]) -> datetime | None:
    found = [out.get((claim[name], claim["channel"])) for name in ("customer_ref", "address_hash")]
    return min((at for at in found if at is not None), default=None)
