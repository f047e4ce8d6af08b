"""The commands that read, over a whole system that did something: verify, report, trace, doctor."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer
from msgspec import structs

from connectors.clock import SystemClock
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.registry import LockedRegistry
from schemas.words import Kind
from tests.demo import grocer
from tests.demo.policies import hurried
from tests.helm.rights import each_its_own
from tests.streams.rig import until
from tests.world.stack import Stack, quiescent

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
CODEC = Codec(LockedRegistry())


class System:
    """A stack in which a few orders got into trouble and nobody answered, and its commands."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.producer = Producer(
            {
                "bootstrap.servers": stack.environment["SAVELINE_BROKER"],
                "partitioner": "murmur2_random",
                "log_level": "0",
            }
        )
        self.orders = grocer.hour(12, 1.0, seed=5)

    def plays(self) -> None:
        now = SystemClock().now()
        zone = f"Etc/GMT{now.hour - 12:+d}"
        reachable = [order for order in self.orders if order.person.habit != "unreachable"]
        for order in self.orders:
            self.stack.simulators["oms"].put(f"orders/{order.order_id}", grocer.in_the_oms(order))
        for order in reachable:
            self.sends(Topic.CONTACTS, order.person.ref, grocer.contact(order.person, zone, now))
        customers = len({order.person.ref for order in reachable})
        until(lambda: self.counts("customers") == customers, "the customers", 120)
        self.producer.produce(Topic.EXCEPTIONS, b"no avro at all", key=b"garbage")
        for order in self.orders:
            for raised in grocer.troubles(order, zone, SystemClock().now(), 30.0):
                self.sends(Topic.EXCEPTIONS, order.order_id, raised)
        self.cases = sum(len(order.case_ids) for order in self.orders)
        until(lambda: self.counts("register_cases") == self.cases, "the cases", 120)
        closed = "register_cases WHERE closed_at IS NOT NULL OR stuck <> ''"
        until(lambda: self.counts(closed) == self.cases, "the ends", 240)
        names = ("worker", "connectors")
        until(lambda: all(quiescent(self.stack.url_of(name)) for name in names), "quiet", 120)

    def another(self, order_id: str) -> str:
        """Somebody else's order, whose customer has the app, gets into the same trouble; returns its id."""
        like = next(order for order in self.orders if order.kind is Kind.ITEM_UNAVAILABLE)
        phone = f"+4479{zlib.crc32(order_id.encode()) % 10**8:08d}"
        person = grocer.Person(
            ref=f"customer-{order_id}",
            habit="ignores",
            phone=phone,
            email=f"{order_id}@mail.test",
            token=f"device-{order_id}",
        )
        order, now = structs.replace(like, order_id=order_id, person=person), SystemClock().now()
        zone, known = f"Etc/GMT{now.hour - 12:+d}", self.counts("customers")
        self.stack.simulators["oms"].put(f"orders/{order_id}", grocer.in_the_oms(order))
        self.sends(Topic.CONTACTS, person.ref, grocer.contact(person, zone, now))
        until(lambda: self.counts("customers") == known + 1, "the customer", 120)
        # Time enough for every channel, however busy this machine is.
        for raised in grocer.troubles(order, zone, SystemClock().now(), 900.0):
            self.sends(Topic.EXCEPTIONS, order_id, raised)
        return order_id

    def asked_by(self, order_id: str) -> set[str]:
        asked = f"SELECT channel FROM claims WHERE order_id = '{order_id}' AND purpose IN ('ask', 'call')"
        return {row[0] for row in self.asks(asked)}

    def sends(self, topic: Topic, key: str, record: object) -> None:
        self.producer.produce(topic, CODEC.encode(record), key=key)
        assert self.producer.flush(30) == 0

    def counts(self, what: str) -> int:
        return int(self.asks(f"SELECT count(*) FROM {what}")[0][0])

    def asks(self, query: str) -> list[tuple]:
        with psycopg.connect(self.stack.environment["SAVELINE_PG_DSN"]) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def command(self, *words: str, **more: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *words],
            env=os.environ | self.stack.environment | self.stack.login_of(words[0]) | more,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def verdict(self, **more: str) -> tuple[int, dict]:
        code, said, faults = self.command("verify", "--json", **more)
        assert code in (0, 1), faults
        return code, json.loads(said)["invariants"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    stack = Stack(tmp_path_factory.mktemp("read") / "up", policies=hurried, pace=0.05, logins=each_its_own)
    stack.start()
    try:
        system = System(stack)
        system.plays()
        yield system
    finally:
        stack.close()


def broken(found: dict) -> set[str]:
    return {name for name, one in found.items() if one["violations"]}


def test_an_honest_run_breaks_nothing_and_everything_was_looked_at(system: System) -> None:
    code, found = system.verdict()
    assert broken(found) == set(), found
    assert code == 0
    # Nothing was ambiguous, and nobody answered.
    assert {name for name, one in found.items() if not one["checked"]} <= {"I7a", "I9"}
    assert all(one["skipped"] is None for one in found.values()), found


def test_what_is_planted_in_real_parts_is_found(system: System) -> None:
    case_id, state = system.asks("SELECT case_id, state FROM register_cases ORDER BY case_id LIMIT 1")[0]
    system.asks(f"UPDATE register_cases SET state = 'open' WHERE case_id = '{case_id}'")
    system.asks("CREATE TABLE leak AS SELECT 'x' || '" + system.orders[0].person.phone + "' AS words")
    evidence = system.stack.environment["SAVELINE_EVIDENCE_BUCKET"]
    client = system.stack.s3.client()
    client.put_object(Bucket=evidence, Key="chain/0/999999999999", Body=b"forged")
    try:
        code, found = system.verdict()
        assert code == 1
        assert broken(found) == {"I3", "I5", "I10"}, found
        assert case_id in found["I3"]["violations"][0]["look"]
        assert found["I10"]["violations"][0]["look"] == "table leak"
        assert system.orders[0].person.phone not in json.dumps(found)
    finally:
        system.asks(f"UPDATE register_cases SET state = '{state}' WHERE case_id = '{case_id}'")
        system.asks("DROP TABLE leak")
        client.delete_object(Bucket=evidence, Key="chain/0/999999999999")


def test_without_books_and_bucket_nothing_of_theirs_is_called_right(system: System) -> None:
    code, found = system.verdict(SAVELINE_BOOKS="", SAVELINE_OMS_URL="", SAVELINE_EVIDENCE_BUCKET="")
    assert code == 0
    assert found["I2"] == {"checked": 0, "violations": [], "skipped": "no provider's book"}
    assert found["I4"]["skipped"]
    assert found["I5"]["skipped"]
    # The order system's own interface tells its decisions as well.
    _, found = system.verdict(SAVELINE_BOOKS="")
    assert found["I4"]["checked"]
    assert not found["I4"]["violations"]


def test_the_verdict_is_told_in_words(system: System) -> None:
    code, said, _ = system.command("verify")
    assert code == 0
    assert said.count("holds") >= 10
    assert said.rstrip().endswith("ok: no violation")


def test_a_broker_that_is_away_is_no_verdict(system: System) -> None:
    code, said, faults = system.command("verify", "--json", SAVELINE_BROKER="127.0.0.1:1")
    assert (code, said) == (2, "")
    assert "It cannot be read" in faults


def test_report_and_trace_tell_of_what_happened(system: System) -> None:
    code, said, _ = system.command("report", "--json")
    told = json.loads(said)
    assert code == 0
    assert told["base"]["cases"] + told["base"]["withdrawn_before_the_first_send"] == system.cases
    assert told["figures"]["done_at_all"]["value"] > 0.5
    assert told["figures"]["revenue_recovered"]["reason"]
    order = system.orders[0].order_id
    code, said, _ = system.command("trace", order, "--json")
    story = json.loads(said)
    assert code == 0
    assert [case["case_id"] for case in story["cases"]] == list(system.orders[0].case_ids)
    assert {one["state"] for one in story["commands"]} <= {
        "sent",
        "planned",
        "suppressed",
        "cancelled",
        "rejected",
    }
    assert system.command("trace", "nobodys")[0] == 1


def test_the_doctor_finds_everything_well_and_says_what_is_not(system: System) -> None:
    code, said, _ = system.command("doctor")
    assert code == 0, said
    assert "WRONG" not in said
    assert said.count("ok ") == 14
    sick = {
        "SAVELINE_OMS_TOKEN": "another",
        "SAVELINE_TWILIO_AUTH_TOKEN": "another",
        "SAVELINE_EVIDENCE_BUCKET": "nowhere",
        "SAVELINE_PUBLIC_URL": "http://127.0.0.1:1",
        "SAVELINE_SMTP_PORT": "1",
        "SAVELINE_FCM_ACCOUNT_FILE": str(Path(__file__)),
        "SAVELINE_PARTITIONS": "8",
    }
    code, said, _ = system.command("doctor", "--json", **sick)
    wrong = {one["part"]: one["words"] for one in json.loads(said)["parts"] if not one["ok"]}
    assert code == 1
    assert wrong.keys() == {"topics", "OMS", "Twilio", "FCM", "SMTP", "evidence bucket", "edge"}
    assert "refuses the token" in wrong["OMS"]
    assert "refuses the account" in wrong["Twilio"]
    assert all("\n" not in words for words in wrong.values())


def test_a_thrown_switch_silences_a_channel_while_cases_go_on_by_others_until_it_is_lifted(
    system: System,
) -> None:
    why = ("--why", "it repeats itself", "--by", "ann")
    assert system.command("kill-switch", "throw", "channel", "push", *why)[0] == 0
    assert "kill switches: thrown: channel push" in system.command("doctor")[1]
    silenced = system.another("K1")
    until(lambda: system.asked_by(silenced), "a question by another channel", 240)
    assert "push" not in system.asked_by(silenced)
    told = system.command("trace", silenced)[1]
    assert "silenced now by `saveline kill-switch`: channel push" in told
    assert system.command("kill-switch", "lift", "channel", "push", "--why", "mended")[0] == 0
    heard = system.another("K2")
    until(lambda: "push" in system.asked_by(heard), "a question by push", 240)
    # What was not asked meanwhile is not made up for.
    assert "push" not in system.asked_by(silenced)
    assert "kill switches: none is thrown" in system.command("doctor")[1]


def test_a_login_or_a_grant_that_lacks_stops_each_process_with_what_to_do(system: System) -> None:
    wrong = {"SAVELINE_BROKER_PASSWORD": "wrong", "SAVELINE_HTTP_PORT": "0"}
    # The verifier may read everything and write nothing.
    stranger = system.stack.login_of("verify") | {"SAVELINE_HTTP_PORT": "0"}
    lacks = {
        "worker": "shop-verify may not DescribeConfigs topic order.exceptions.v1, ",
        "connectors": "shop-verify may not Write topic case.events.v1, ",
        "edge": "shop-verify may not Write topic case.events.v1. To do: grant it",
    }
    for process, words in lacks.items():
        code, _, said = system.command(process, **wrong)
        assert (code, said.count("\n")) == (2, 1), said
        assert f"refuses the login of shop-{process}: " in said
        assert "To do: set SAVELINE_BROKER_USER, SAVELINE_BROKER_PASSWORD" in said
        code, _, said = system.command(process, **stranger)
        assert (code, said.count("\n")) == (2, 1), said
        assert words in said
    code, said, _ = system.command("doctor", "--json", **wrong)
    kafka, topics = [one for one in json.loads(said)["parts"] if one["part"] in ("Kafka", "topics")]
    assert "refuses the login of shop-doctor" in kafka["words"]
    assert "set SAVELINE_BROKER_USER, SAVELINE_BROKER_PASSWORD" in kafka["do"]
    assert topics["do"] == "see Kafka"


def test_the_operators_commands_do_their_work_with_their_own_rights(system: System) -> None:
    code, said, faults = system.command("quarantine", "ls", "--json")
    assert code == 0, faults
    assert [json.loads(line)["topic"] for line in said.splitlines()] == ["order.exceptions.v1"]
    # It goes where it came from, and from there into quarantine once more: nobody mended it.
    code, said, faults = system.command("quarantine", "replay", "--all")
    assert code == 0, faults

    def again() -> bool:
        listed = system.command("quarantine", "ls", "--json")[1].splitlines()
        return [json.loads(line)["attempt"] for line in listed] == [2]

    until(again, "the second attempt")
    code, said, faults = system.command("quarantine", "discard", "--all", "--why", "no order's")
    assert (code, said) == (0, "1 discarded\n"), faults
    # Whoever may only read cannot settle.
    code, _, faults = system.command("quarantine", "ls", **system.stack.login_of("verify"))
    assert code == 1
    assert "shop-verify may not Write topic saveline-quarantine-settled" in faults
