"""The judge finds what is planted: one who never says no proves nothing."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from schemas.catalogue import Topic
from schemas.commands import ChannelCommand
from schemas.events import Answer, ExceptionAccepted, ResponseReceived
from schemas.facts import Attributes
from schemas.words import Actor, CaseState, Channel, Purpose
from streams.verifier.cli import told
from streams.verifier.judge import judge
from streams.verifier.seen import Message, Seen, StoredObject, Text
from streams.verifier.verdict import INVARIANTS, Verdict
from tests.builders import a_customer, an_exception, an_option, pounds
from tests.verifier.honest import BATCHES, CHANGELOG, CODEC, MAIL, PHONE, QUARANTINE, Honest, a_day, signed

ANYTHING = lambda _record: True  # noqa: E731 - it reads as a word


@pytest.fixture
def day() -> Honest:
    return a_day()


def broken(seen: Seen) -> set[str]:
    return {one.invariant for one in judge(seen, CODEC).findings if one.violations}


def found(seen: Seen, invariant: str) -> str:
    """What is said about one invariant; that each violation is complete is checked on the way."""
    finding = next(one for one in judge(seen, CODEC).findings if one.invariant == invariant)
    for one in finding.violations:
        assert one.expected
        assert one.found
        assert one.look
    return "\n".join(str(one) for one in finding.violations)


def change(
    seen: Seen, topic: str, where: Callable[[Any], bool], make: Callable[[Any], Any], *, n: int = 0
) -> Message:
    """Another record in the place of the n-th of these."""
    messages = seen.topics.messages[str(topic)]
    place = [i for i, one in enumerate(messages) if one.record is not None and where(one.record)][n]
    record = make(messages[place].record)
    messages[place] = replace(messages[place], record=record, value=CODEC.encode(record))
    return messages[place]


def drop(seen: Seen, topic: str, where: Callable[[Any], bool] = ANYTHING) -> None:
    messages = seen.topics.messages[str(topic)]
    seen.topics.messages[str(topic)] = [one for one in messages if not where(one.record)]


def transactions(seen: Seen, make: Callable[[list[Any]], list[Any] | None]) -> None:
    """Rewrite the transaction records one by one; None removes one."""
    kept = []
    for one in seen.topics.messages[BATCHES]:
        note = make(msgspec.msgpack.decode(one.value))
        if note is not None:
            kept.append(replace(one, value=msgspec.msgpack.encode(note)))
    seen.topics.messages[BATCHES] = kept


def claim_of(day: Honest, channel: Channel, order: str) -> dict[str, Any]:
    return next(row for row in day.claims if (row["channel"], row["order_id"]) == (channel, order))


def test_an_honest_day_breaks_nothing_and_everything_was_looked_at(day: Honest) -> None:
    verdict = judge(day.seen(), CODEC)
    assert verdict.ok, told(verdict)
    assert {one.invariant for one in verdict.findings} == set(INVARIANTS)
    assert all(one.skipped is None for one in verdict.findings)
    assert [one.invariant for one in verdict.findings if not one.checked] == ["I9"]
    assert set(verdict.as_json()["invariants"]["I1"]) == {"checked", "violations", "skipped"}


def test_what_was_not_given_is_not_checked_and_says_so(day: Honest) -> None:
    seen = day.seen()
    seen.register = seen.bucket = seen.books = None
    seen.texts = []
    verdict = judge(seen, CODEC)
    skipped = {one.invariant: one.skipped for one in verdict.findings if one.skipped}
    assert skipped["I2"] == "no provider's book"
    assert skipped["I4"] == "no order system's book"
    assert skipped["I5"] == "no bucket was given"
    assert set(skipped) == {"I1", "I2", "I3", "I4", "I5", "I7", "I9", "I10"}
    assert "I5   not checked" in told(verdict)


# I1


def test_a_valid_exception_without_a_case(day: Honest) -> None:
    seen = day.seen()
    drop(seen, Topic.CHANGES, lambda record: record.case_id == "x2")
    assert "a case x2" in found(seen, "I1")


def test_a_valid_exception_that_never_reached_the_workers(day: Honest) -> None:
    seen = day.seen()
    sent = change(seen, Topic.EXCEPTIONS, ANYTHING, lambda raised: replace(raised, event_id="lost"))
    assert f"ExceptionRaised lost on {Topic.CASE_EVENTS}" in found(seen, "I1")
    assert sent.place in found(seen, "I1")


def test_a_case_that_the_register_does_not_show(day: Honest) -> None:
    seen = day.seen()
    seen.register.cases = [row for row in seen.register.cases if row["case_id"] != "x1"]
    assert "a row of case x1" in found(seen, "I1")


def test_an_invalid_record_that_is_not_in_quarantine(day: Honest) -> None:
    seen = day.seen()
    drop(seen, QUARANTINE)
    assert "quarantine, because the record is not in Confluent wire format" in found(seen, "I1")


def test_a_quarantined_record_with_other_bytes_or_another_reason(day: Honest) -> None:
    seen = day.seen()
    rejected = seen.topics.messages[QUARANTINE][0]
    seen.topics.messages[QUARANTINE] = [replace(rejected, value=rejected.value + b"!")]
    assert "byte-identical" in found(seen, "I1")
    headers = tuple((name, b"because" if name == "reason" else value) for name, value in rejected.headers)
    seen.topics.messages[QUARANTINE] = [replace(rejected, headers=headers)]
    assert "the reason" in found(seen, "I1")


def test_a_quarantined_record_that_says_not_where_it_came_from(day: Honest) -> None:
    seen = day.seen()
    rejected = seen.topics.messages[QUARANTINE][0]
    headers = tuple((name, b"x" if name == "original-offset" else value) for name, value in rejected.headers)
    seen.topics.messages[QUARANTINE] = [rejected, replace(rejected, headers=headers)]
    assert "headers that say where it came from" in found(seen, "I1")


def test_a_valid_record_in_quarantine(day: Honest) -> None:
    seen = day.seen()
    rejected = seen.topics.messages[QUARANTINE][0]
    valid = seen.topics.messages[str(Topic.EXCEPTIONS)][1]
    headers = tuple((name, b"1" if name == "original-offset" else value) for name, value in rejected.headers)
    stray = replace(rejected, offset=1, key=valid.key, value=valid.value, headers=headers)
    seen.topics.messages[QUARANTINE] = [rejected, stray]
    assert "a valid record to be admitted" in found(seen, "I1")


def repaired_and_replayed(day: Honest) -> tuple[Seen, list[Message]]:
    """x2 could not be read when it came first; it was repaired, sent again and admitted. Its topic, to plant into."""
    seen = day.seen()
    sent = seen.topics.messages[str(Topic.EXCEPTIONS)]
    [admitted] = [n for n, one in enumerate(sent) if getattr(one.record, "exception_id", "") == "x2"]
    first = replace(sent[admitted], offset=len(sent))
    said = (("replayed-from", b"0-1"), ("attempt", b"2"))
    sent[admitted] = replace(sent[admitted], headers=said)
    sent.append(first)
    origin = {
        "original-topic": first.topic.encode(),
        "original-partition": b"0",
        "original-offset": b"%d" % first.offset,
        "reason": b"unknown schema 99",
    }
    rejected = seen.topics.messages[QUARANTINE][0]
    letter = replace(rejected, offset=1, key=first.key, value=first.value, headers=tuple(origin.items()))
    seen.topics.messages[QUARANTINE].append(letter)
    # What is planted goes to the place of what was replayed.
    sent.append(sent.pop(admitted))
    return seen, sent


def test_a_record_that_was_repaired_and_replayed_is_admitted(day: Honest) -> None:
    seen, _ = repaired_and_replayed(day)
    assert broken(seen) == set()


def test_a_record_that_was_replayed_and_lost_on_the_way(day: Honest) -> None:
    seen, sent = repaired_and_replayed(day)
    drop(seen, Topic.CASE_EVENTS, lambda one: getattr(one, "event_id", "") == sent[-1].record.event_id)
    assert f"{sent[-1].record.event_id} on {Topic.CASE_EVENTS}" in found(seen, "I1")
    assert sent[-1].place in found(seen, "I1")


def test_a_record_that_waits_in_quarantine_although_it_is_valid_now(day: Honest) -> None:
    seen, sent = repaired_and_replayed(day)
    sent.pop()
    assert "it is in quarantine: unknown schema 99" in found(seen, "I1")


def test_a_record_that_only_says_that_it_was_replayed(day: Honest) -> None:
    seen, sent = repaired_and_replayed(day)
    other = next(one for one in sent if getattr(one.record, "exception_id", "") == "x1")
    sent[-1] = replace(other, headers=sent[-1].headers)
    assert "it is in quarantine: unknown schema 99" in found(seen, "I1")


# I2 and I9


@pytest.mark.parametrize("provider", ["twilio", "fcm", "smtp"])
def test_a_provider_that_accepted_twice(day: Honest, provider: str) -> None:
    first = day.entries[provider][0]
    day.entries[provider].append(first | {"seq": 99})
    assert "2 accepted" in found(day.seen(), "I2")


def test_a_message_without_a_command_or_without_a_claim(day: Honest) -> None:
    day.books("twilio", "", path="/2010-04-01/Accounts/AC1/Messages.json")
    assert "no command id" in found(day.seen(), "I2")
    row = claim_of(day, Channel.PUSH, "order-1")
    row["claimed_at"] = None
    assert f"a claim of {row['command_id']}" in found(day.seen(), "I2")


def test_a_refused_or_repeated_request_that_was_not_accepted_is_no_second_send(day: Honest) -> None:
    first = day.entries["twilio"][0]
    day.entries["twilio"].append(first | {"seq": 99, "provider_id": "", "status": 429})
    assert broken(day.seen()) == set()


def test_a_send_given_up_as_ambiguous_without_a_fault(day: Honest) -> None:
    row = claim_of(day, Channel.SMS, "order-1")
    row |= {"state": "suppressed", "reason": "ambiguous"}
    assert row["command_id"] in found(day.seen(), "I9")
    killed = day.seen()
    killed.kills = 1
    assert broken(killed) == set()
    entry = next(one for one in day.entries["twilio"] if one["command_id"] == row["command_id"])
    entry |= {"status": 500, "provider_id": ""}
    assert broken(day.seen()) == set()


# I3


def test_a_case_left_open_after_its_deadline(day: Honest) -> None:
    seen = day.seen()
    for topic_changes in (seen.topics.messages[str(Topic.CHANGES)],):
        first = next(one for one in topic_changes if one.record.case_id == "x2")
        drop(seen, Topic.CHANGES, lambda record: record.case_id == "x2")
        seen.topics.messages[str(Topic.CHANGES)].append(first)
    assert "it is open and says no reason" in found(seen, "I3")
    change(seen, Topic.CHANGES, lambda r: r.case_id == "x2", lambda r: replace(r, stuck="nobody knows"))
    assert "to be decided or stuck" not in found(seen, "I3")


def test_a_decided_case_that_is_never_done_nor_stuck(day: Honest) -> None:
    seen = day.seen()
    decided = [
        one
        for one in seen.topics.messages[str(Topic.CHANGES)]
        if one.record.case_id == "x2" and one.record.state is not CaseState.CLOSED
    ]
    drop(seen, Topic.CHANGES, lambda record: record.case_id == "x2")
    seen.topics.messages[str(Topic.CHANGES)] += decided
    assert "to be closed or stuck" in found(seen, "I3")


def test_a_default_long_after_the_deadline(day: Honest) -> None:
    seen = day.seen()

    def late(record: Any) -> Any:
        decision = replace(record.decision, decided_at=record.deadline_at + timedelta(minutes=5))
        return replace(record, decision=decision)

    last = [r for r in seen.topics.messages[str(Topic.CHANGES)] if r.record.case_id == "x2"]
    change(seen, Topic.CHANGES, lambda r: r.case_id == "x2", late, n=len(last) - 1)
    assert "case x2 to be decided by" in found(seen, "I3")


def test_a_register_that_says_something_else(day: Honest) -> None:
    seen = day.seen()
    seen.register.cases[0]["state"] = "open"
    assert "state open" in found(seen, "I3")


# I4


def test_two_writes_of_one_decision(day: Honest) -> None:
    day.writes["order-1"].append(day.writes["order-1"][0])
    assert "2 writes" in found(day.seen(), "I4")


def test_a_verified_decision_that_was_never_written(day: Honest) -> None:
    day.writes["order-1"].clear()
    assert "which was verified; found none" in found(day.seen(), "I4")


def test_a_write_that_is_not_what_was_decided(day: Honest) -> None:
    day.writes["order-1"][0]["decision"]["components"][0]["sku"] = "another"
    assert "replaced {'another': 1} instead of {'bread-corner': 1}" in found(day.seen(), "I4")


def test_a_write_that_nobody_asked_for(day: Honest) -> None:
    day.writes["order-9"].append({"decision_id": "x9.d1", "decision": None})
    assert "a write of x9.d1" in found(day.seen(), "I4")


def test_an_update_that_was_never_answered(day: Honest) -> None:
    seen = day.seen()
    drop(seen, Topic.CASE_EVENTS, lambda record: getattr(record, "update_id", "") == "x1.d1")
    assert "an answer about x1.d1" in found(seen, "I4")


# I5


def test_evidence_that_was_altered_or_is_gone(day: Honest) -> None:
    (key, version), stored = next(iter(day.objects.items()))
    day.objects[key, version] = StoredObject(key, version, stored.body + b"!")
    assert key in found(day.seen(), "I5")
    day.objects[key, version] = StoredObject(key, version, None)
    assert "it is gone" in found(day.seen(), "I5")


def test_a_chain_with_a_missing_a_forged_or_an_altered_link(day: Honest) -> None:
    first, second = sorted(day.links)[:2]
    whole = dict(day.links)
    del day.links[first]
    assert f"{first} to follow the link before it" in found(day.seen(), "I5")
    day.links = whole | {second: whole[second].replace(b"order-", b"other-", 1)}
    assert "its signature is wrong" in found(day.seen(), "I5")
    body = msgspec.json.decode(msgspec.json.decode(whole[second])["body"])
    day.links = whole | {second: signed(body, Ed25519PrivateKey.generate())}
    assert "it is signed with another key" in found(day.seen(), "I5")


def test_a_link_that_is_none(day: Honest) -> None:
    key = max(day.links)
    for raw in (b"", b"[1]", b'{"body": "{}", "signature": "", "key_id": ""}'):
        day.links[key] = raw
        assert "it is no link of ours" in found(day.seen(), "I5")


# I6 and I7a


def fire(seen: Seen, alter: Callable[[list[Any], list[Any]], None]) -> None:
    """Alter the first transaction in which a deadline fired; its note, and the deadline."""
    done = []

    def make(note: list[Any]) -> list[Any]:
        if note[3] and not done:
            done.append(note)
            alter(note, note[3][0])
        return note

    transactions(seen, make)
    assert done


def test_a_deadline_that_fired_early(day: Honest) -> None:
    seen = day.seen()

    def early(note: list[Any], fired: list[Any]) -> None:
        note[2] = fired[4] = fired[2] - 1

    fire(seen, early)
    assert "no deadline of order-" in found(seen, "I6")


def test_a_deadline_that_nobody_wanted(day: Honest) -> None:
    seen = day.seen()

    def unwanted(_note: list[Any], fired: list[Any]) -> None:
        fired[3] += 7

    fire(seen, unwanted)
    assert "does not want" in found(seen, "I6")


def test_a_deadline_that_fired_twice(day: Honest) -> None:
    seen = day.seen()
    fire(seen, lambda note, fired: note[3].append(fired))
    assert "it fired twice" in found(seen, "I6")


def test_a_deadline_that_never_fired(day: Honest) -> None:
    seen = day.seen()
    lost = []

    def without(note: list[Any]) -> list[Any]:
        kept = [one for one in note[3] if one[1] != b"order-2" or lost.append(one)]
        return [*note[:3], kept, *note[4:]]

    transactions(seen, without)
    assert lost
    assert "the deadline of order-2 to" in found(seen, "I6")


def test_an_answer_in_time_that_the_deadline_beat() -> None:
    """The answer lies in the log before the deadline; the worker lags, and fires first."""
    day = Honest()
    day.exception(an_exception())
    day.fast_forward(minutes=20)
    seen = day.seen()
    fired_at = max(
        msgspec.msgpack.decode(one.value)[3][0][2]
        for one in seen.topics.messages[BATCHES]
        if msgspec.msgpack.decode(one.value)[3]
    )
    day.answers(Answer(case_id="x1", option_id="corner", decision_version=0), event_id="in-time")
    late = seen.topics.messages[str(Topic.CASE_EVENTS)]
    place = next(i for i, one in enumerate(late) if getattr(one.record, "event_id", "") == "in-time")
    late[place] = replace(late[place], appended_ms=fired_at - 1_000)
    assert "the deadline took effect first" in found(seen, "I7a")


# I7


def plant(day: Honest, *, like: Callable[[ChannelCommand], bool], **changes: Any) -> None:
    """One more command, such as no worker would publish."""
    command = next(one for one in day.sent() if like(one))
    fresh = replace(command, command_id=f"{command.conversation_id}.99", **changes)
    day.put({Channel.SMS: Topic.SMS, Channel.PUSH: Topic.PUSH}[fresh.channel], fresh.order_id, fresh)


def asks_by_sms(command: ChannelCommand) -> bool:
    return (command.channel, command.purpose) == (Channel.SMS, Purpose.ASK)


def test_a_question_after_the_close(day: Honest) -> None:
    plant(day, like=asks_by_sms, issued_at=day.now)
    assert "no question about x1, which closed" in found(day.seen(), "I7")


def test_a_second_closing_announcement(day: Honest) -> None:
    for n in (1, 2):
        plant(day, like=asks_by_sms, issued_at=day.now, purpose=Purpose.DEFAULT, script=str(n))
        last = day.messages[Topic.SMS][-1]
        record = replace(last.record, command_id=f"order-1~x1.{90 + n}")
        day.messages[Topic.SMS][-1] = replace(last, record=record)
    assert "one announcement of x1 after its close" in found(day.seen(), "I7")


def test_a_reply_to_nothing_and_two_invitations(day: Honest) -> None:
    plant(day, like=asks_by_sms, purpose=Purpose.REPLY, reply_to="never-written")
    assert "a reply to never-written" in found(day.seen(), "I7")
    for n in (1, 2):
        plant(day, like=asks_by_sms, purpose=Purpose.SATISFACTION)
        last = day.messages[Topic.SMS][-1]
        record = replace(last.record, command_id=f"order-1~x1.{90 + n}")
        day.messages[Topic.SMS][-1] = replace(last, record=record)
    assert "one satisfaction invitation" in found(day.seen(), "I7")


@pytest.mark.parametrize("subject", ["customer-1", "hash-of-a-number"])
def test_a_text_claimed_after_the_opt_out(day: Honest, subject: str) -> None:
    row = claim_of(day, Channel.SMS, "order-2")
    out = {"subject": subject, "channel": "sms", "opted_out": True}
    seen = day.seen()
    seen.register.opt_outs = [out | {"occurred_at": row["claimed_at"] - timedelta(seconds=5)}]
    assert row["command_id"] in found(seen, "I7")
    seen.register.opt_outs = [out | {"occurred_at": day.now}]
    assert broken(seen) == set()


# I8


def test_an_output_that_decide_does_not_make(day: Honest) -> None:
    seen = day.seen()
    place = change(seen, Topic.SMS, asks_by_sms, lambda command: replace(command, attempt=7)).place
    assert "attempt is 7 instead of 1" in found(seen, "I8")
    assert place in found(seen, "I8")


def test_an_output_too_many_or_too_few(day: Honest) -> None:
    plant(day, like=asks_by_sms)
    assert "records on channel.sms.v1" in found(day.seen(), "I8")
    seen = a_day().seen()
    del seen.topics.messages[str(Topic.UPDATES)][-1]
    assert f"records on {Topic.UPDATES}" in found(seen, "I8")
    drop(seen, Topic.CHANGES, lambda record: record.case_id == "x1")
    assert "changes of x1" in found(seen, "I8")


def test_a_state_that_decide_does_not_make(day: Honest) -> None:
    seen = day.seen()
    changelog = seen.topics.messages[CHANGELOG]
    last = max(i for i, one in enumerate(changelog) if one.key == b"order-2")
    changelog[last] = replace(changelog[last], value=changelog[last].value[:-1] + b"\x7f")
    assert "another state" in found(seen, "I8")


def test_a_transaction_that_leaves_a_hole_and_a_record_that_nobody_processed(day: Honest) -> None:
    seen = day.seen()
    notes = iter(range(10_000))
    transactions(seen, lambda note: None if next(notes) == 3 else note)
    assert "a transaction that goes on from" in found(seen, "I8")
    day.put(Topic.CASE_EVENTS, "order-1", day.messages[Topic.CASE_EVENTS][0].record)
    assert "every record of case.events.v1 to be processed" in found(day.seen(), "I8")


def test_a_transaction_record_that_cannot_be_read(day: Honest) -> None:
    seen = day.seen()
    first = seen.topics.messages[BATCHES][0]
    seen.topics.messages[BATCHES] = [replace(first, value=b"?"), *seen.topics.messages[BATCHES][1:]]
    assert first.place in found(seen, "I8")


def test_other_policies_make_no_verdict_but_say_so(day: Honest) -> None:
    seen = day.seen()
    transactions(seen, lambda note: [*note[:6], "0.0.1+other"])
    for invariant in ("I6", "I7a", "I8"):
        finding = next(one for one in judge(seen, CODEC).findings if one.invariant == invariant)
        assert not finding.checked
        assert "0.0.1+other" in finding.skipped


def test_what_a_version_that_decides_alike_did_is_replayed_as_ours(day: Honest) -> None:
    """The half of its transactions are the other's, and the states have a field that we do not know."""
    seen, turns = day.seen(), itertools.cycle((True, False))
    transactions(
        seen, lambda note: [*note[:6], f"tomorrow+{note[6].partition('+')[2]}"] if next(turns) else note
    )
    states = seen.topics.messages[CHANGELOG]
    for n, one in enumerate(states):
        if one.value is not None:
            head, state = one.value[:14], msgspec.msgpack.decode(one.value[14:])
            longer = head + msgspec.msgpack.encode([*state, "of tomorrow"])
            states[n] = replace(one, value=longer)
    skipped = {one.invariant for one in judge(seen, CODEC).findings if one.skipped}
    assert {"I6", "I7a", "I8"} <= skipped
    seen.alike = ("tomorrow",)
    verdict = judge(seen, CODEC)
    assert verdict.ok
    assert not any(one.skipped for one in verdict.findings if one.invariant in {"I6", "I7a", "I8"})
    # What it left out is found as well.
    order = next(one.key for one in states if one.value is not None)
    last = max(n for n, one in enumerate(states) if one.key == order)
    states[last] = replace(states[last], value=None)
    assert broken(seen) == {"I8"}
    # One whose policies say something else is not like us, whatever it is called.
    transactions(seen, lambda note: [*note[:6], "tomorrow+other"])
    assert "tomorrow+other" in next(
        one.skipped for one in judge(seen, CODEC).findings if one.invariant == "I8"
    )


def test_compaction_is_no_violation(day: Honest) -> None:
    """Of each case only the last change is left."""
    seen = day.seen()
    last = {one.key: one for one in seen.topics.messages[str(Topic.CHANGES)]}
    seen.topics.messages[str(Topic.CHANGES)] = list(last.values())
    assert broken(seen) <= {"I7"}
    assert "I8" not in broken(seen)


# I10


@pytest.mark.parametrize("word", [PHONE, PHONE.removeprefix("+"), MAIL, "Ann Archer"])
def test_personal_data_in_clear_text_wherever_it_lies(day: Honest, word: str) -> None:
    hidden = b"before\x18" + word.encode() + b"\x02behind"
    seen = day.seen()
    seen.texts = [Text("worker.log", hidden)]
    assert "worker.log" in found(seen, "I10")
    seen = day.seen()
    seen.register.raw["case_timeline"] = hidden
    assert "table case_timeline" in found(seen, "I10")
    key = next(iter(day.objects))
    seen = day.seen()
    seen.bucket.objects = {**day.objects, key: StoredObject(*key, hidden)}
    assert f"s3://evidence/{key[0]}" in found(seen, "I10")
    seen = day.seen()
    one = seen.topics.messages[CHANGELOG][0]
    seen.topics.messages[CHANGELOG] = [replace(one, value=hidden), *seen.topics.messages[CHANGELOG][1:]]
    said = found(seen, "I10")
    assert one.place in said
    # The verdict is read by many.
    assert word not in said


def test_a_quarantined_contact_goes_back_to_its_publisher_as_it_came(day: Honest) -> None:
    rejected = day.messages[QUARANTINE][0]
    headers = [("original-topic", str(Topic.CONTACTS).encode()), ("reason", b"because")]
    day.messages[QUARANTINE].append(replace(rejected, offset=1, value=PHONE.encode(), headers=tuple(headers)))
    assert "I10" not in broken(day.seen())


# I11


def test_an_option_offered_to_somebody_whom_it_harms() -> None:
    peanuts = Attributes(allergens_known=True, allergens=("peanuts",))
    day = Honest()
    day.exception(an_exception(options=(an_option("safe"), an_option("harmful", attributes=peanuts))))
    day.fast_forward(minutes=1)
    seen = day.seen()
    assert broken(seen) == set()

    def allergic(accepted: ExceptionAccepted) -> ExceptionAccepted:
        return replace(accepted, facts=a_customer(allergens=("peanuts",)))

    change(seen, Topic.CASE_EVENTS, lambda r: isinstance(r, ExceptionAccepted), allergic)
    assert "option harmful" in found(seen, "I11")
    assert "contains what the customer avoids" in found(seen, "I11")


def test_an_option_that_nobody_suggested_or_that_hides_its_price(day: Honest) -> None:
    def with_option(**changes: Any) -> Callable[[ChannelCommand], ChannelCommand]:
        def make(command: ChannelCommand) -> ChannelCommand:
            case = command.cases[0]
            options = (replace(case.options[0], **changes), *case.options[1:])
            return replace(command, cases=(replace(case, options=options), *command.cases[1:]))

        return make

    seen = day.seen()
    change(seen, Topic.SMS, asks_by_sms, with_option(option_id="invented"))
    assert "upstream did not suggest it" in found(seen, "I11")
    dear = Honest()
    dear.exception(an_exception(options=(an_option("dear", unit_price=pounds(250)),)))
    dear.fast_forward(minutes=1)
    seen = dear.seen()
    assert broken(seen) == set()
    change(seen, Topic.SMS, asks_by_sms, with_option(at_old_price=False, dearer=None))
    assert "it is dearer and does not say so" in found(seen, "I11")


def test_a_price_beyond_the_customers_cap_or_beyond_what_is_ours_to_bear() -> None:
    def with_cap(minor: int) -> Callable[[ExceptionAccepted], ExceptionAccepted]:
        return lambda accepted: replace(accepted, facts=a_customer(price_cap=pounds(minor)))

    def accepted(record: Any) -> bool:
        return isinstance(record, ExceptionAccepted)

    dear = Honest()
    dear.exception(
        an_exception(options=(an_option("dear", unit_price=pounds(450)),)), a_customer(price_cap=pounds(300))
    )
    dear.fast_forward(seconds=30)
    dear.taps("dear", confirmed=True, total_shown=pounds(6_250))
    seen = dear.seen()
    assert broken(seen) == set()
    assert seen.topics.of(Topic.UPDATES)
    change(seen, Topic.CASE_EVENTS, accepted, with_cap(240))
    assert "option dear" in found(seen, "I11")
    assert "decision x1.d1 not to be taken" in found(seen, "I11")
    assert "dearer by 250 than the 240 that may be added" in found(seen, "I11")
    ours = Honest()
    ours.exception(an_exception(options=(an_option("dear", unit_price=pounds(260)),)))
    ours.fast_forward(seconds=30)
    ours.taps("dear")
    seen = ours.seen()
    assert broken(seen) == set()

    def dearer(record: ExceptionAccepted) -> ExceptionAccepted:
        options = (an_option("dear", unit_price=pounds(330)),)
        return replace(record, exception=replace(record.exception, options=options))

    def at_our_cost(update: Any) -> Any:
        return replace(update, decision=replace(update.decision, absorbed=pounds(130)))

    change(seen, Topic.CASE_EVENTS, accepted, dearer)
    change(seen, Topic.UPDATES, ANYTHING, at_our_cost)
    assert "130 of its price are borne, and only 100 may be" in found(seen, "I11")


def test_a_decision_for_what_was_blocked_and_a_dearer_default(day: Honest) -> None:
    def for_what(option_id: str, actor: Actor) -> Callable[[Any], Any]:
        def make(update: Any) -> Any:
            chosen = tuple(replace(part, option_id=option_id) for part in update.decision.chosen)
            return replace(update, decision=replace(update.decision, chosen=chosen, actor=actor))

        return make

    blocked = Honest()
    blocked.exception(an_exception())
    blocked.fast_forward(seconds=30)
    blocked.blocked("bread-hill")
    blocked.fast_forward(seconds=5)
    blocked.taps("corner")
    seen = blocked.seen()
    assert broken(seen) == set()
    change(seen, Topic.UPDATES, ANYTHING, for_what("hillside", Actor.CUSTOMER))
    assert "bread-hill was blocked" in found(seen, "I11")
    seen = day.seen()
    dear = an_option("corner", sku="bread-corner", unit_price=pounds(900))

    def dearer(accepted: ExceptionAccepted) -> ExceptionAccepted:
        return replace(accepted, exception=replace(accepted.exception, options=(dear,)))

    change(seen, Topic.CASE_EVENTS, lambda r: isinstance(r, ExceptionAccepted), dearer)
    change(seen, Topic.UPDATES, lambda r: r.case_id == "x1", for_what("corner", Actor.DEFAULT))
    assert "it is dearer" in found(seen, "I11")


def test_the_days_customer_chose_and_the_others_got_the_default(day: Honest) -> None:
    """What the plants are planted into is the day that it claims to be."""
    assert isinstance(judge(day.seen(), CODEC), Verdict)
    updates = {one.record.case_id: one.record.decision for one in day.messages[Topic.UPDATES]}
    assert updates["x1"].actor is Actor.CUSTOMER
    assert updates["x2"].actor is Actor.DEFAULT
    assert [r for r in day.messages[Topic.CASE_EVENTS] if isinstance(r.record, ResponseReceived)]
