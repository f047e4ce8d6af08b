"""Bytes in Confluent wire format: whatever comes in, a record or `Malformed` comes out, and soon."""

import copy
import io
import json
import struct
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro import COMMITTED, Contracts
from schemas.catalogue import RECORDS, Topic, record_types
from schemas.codec import RECORD_BYTES_MAX, Codec
from schemas.errors import Malformed
from schemas.events import Answer, ExceptionAccepted, ExceptionRaised, ResponseReceived
from schemas.facts import Content
from schemas.registry import LockedRegistry, RegistryUnavailable, UnknownSchema
from schemas.words import Kind, Storage
from tests import strategies
from tests.builders import NOON, a_line, an_exception

CODEC = Codec(LockedRegistry())
SAMPLES = [strategies.fullest(kind) for kind in record_types().values()]
PAYLOADS = [CODEC.encode(sample) for sample in SAMPLES]
samples = st.sampled_from(SAMPLES)
payloads = st.sampled_from(PAYLOADS)


class Memory:
    """A registry in memory: our schemas under the locked ids, and others beside them."""

    def __init__(self, **others):
        self.locked = LockedRegistry()
        self.others = {int(name.removeprefix("id_")): schema for name, schema in others.items()}

    def id_of(self, record):
        return self.locked.id_of(record)

    def schema(self, schema_id):
        return self.others.get(schema_id) or self.locked.schema(schema_id)


def with_id(schema_id, body=b""):
    return struct.pack(">bI", 0, schema_id) + body


def written_with(schema, datum, schema_id=900):
    """The bytes that an independent implementation writes with that schema."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(copy.deepcopy(schema), named_schemas={}), datum)
    return with_id(schema_id, out.getvalue())


def read_with(schema, payload):
    """What an independent implementation reads from our bytes with that schema."""
    ours = COMMITTED.expanded(schema["name"])
    return fastavro.schemaless_reader(
        io.BytesIO(payload[5:]),
        fastavro.parse_schema(ours, named_schemas={}),
        fastavro.parse_schema(copy.deepcopy(schema), named_schemas={}),
    )


def a_record_or_malformed(codec, payload, expected=None):
    try:
        record = codec.decode(payload, expected)
    except Malformed as malformed:
        return malformed.reasons and all(malformed.reasons)
    return type(record) in record_types().values()


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_with_every_field_comes_back_as_it_was(record):
    assert CODEC.decode(CODEC.encode(record)) == record


@settings(max_examples=150)
@given(strategies.records())
def test_any_record_comes_back_as_it_was(record):
    assert CODEC.decode(CODEC.encode(record)) == record


@settings(max_examples=50)
@given(strategies.accepted())
def test_a_valid_exception_comes_back_as_it_was(accepted):
    assert CODEC.decode(CODEC.encode(accepted), RECORDS[Topic.CASE_EVENTS]) == accepted


@settings(max_examples=60)
@given(samples | strategies.records())
def test_an_independent_implementation_writes_the_same_bytes_and_reads_ours(record):
    schema = COMMITTED.expanded(type(record).__name__)
    payload = CODEC.encode(record)
    datum = read_with(schema, payload)
    assert written_with(schema, datum, LockedRegistry().id_of(type(record).__name__)) == payload


@settings(max_examples=2_000)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_a_record_or_malformed(payload):
    assert a_record_or_malformed(CODEC, payload)


@settings(max_examples=2_000)
@given(st.integers(0, 40), st.binary(max_size=400))
def test_arbitrary_bytes_after_a_known_id_are_a_record_or_malformed(schema_id, body):
    assert a_record_or_malformed(CODEC, with_id(schema_id, body))


@settings(max_examples=2_000)
@given(payloads, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 7)), min_size=1, max_size=4))
def test_flipped_bits_are_a_record_or_malformed(payload, flips):
    payload = bytearray(payload)
    for at, bit in flips:
        payload[at % len(payload)] ^= 1 << bit
    assert a_record_or_malformed(CODEC, bytes(payload))


@settings(max_examples=1_000)
@given(payloads, st.integers(0, 10_000), st.binary(max_size=12))
def test_overwritten_bytes_are_a_record_or_malformed(payload, at, noise):
    at %= len(payload)
    assert a_record_or_malformed(CODEC, payload[:at] + noise + payload[at + len(noise) :])


def test_every_truncation_is_malformed():
    for payload in PAYLOADS:
        for end in range(len(payload)):
            with pytest.raises(Malformed):
                CODEC.decode(payload[:end])


@settings(max_examples=300)
@given(samples, st.binary(min_size=1, max_size=20))
def test_trailing_bytes_are_malformed(record, rest):
    with pytest.raises(Malformed, match=f"{len(rest)} bytes are left over after the {type(record).__name__}"):
        CODEC.decode(CODEC.encode(record) + rest)


@settings(max_examples=1_000)
@given(payloads, st.integers(0, 40) | st.integers(0, 2**32 - 1))
def test_bytes_under_a_wrong_id_are_a_record_or_malformed(payload, schema_id):
    assert a_record_or_malformed(CODEC, with_id(schema_id, payload[5:]))


@pytest.mark.parametrize("topic", sorted(Topic))
def test_only_the_records_of_a_topic_are_read_from_it(topic):
    for record in SAMPLES:
        if type(record) in RECORDS[topic]:
            assert CODEC.decode(CODEC.encode(record), RECORDS[topic]) == record
            continue
        with pytest.raises(Malformed, match=f"{type(record).__name__} does not belong on this topic"):
            CODEC.decode(CODEC.encode(record), RECORDS[topic])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, "no value"),
        (b"", "not in Confluent wire format"),
        (b"\x00\x00\x00", "not in Confluent wire format"),
        (b"\x01\x00\x00\x00\x01", "not in Confluent wire format"),
        (b'{"order_id": "1"}', "not in Confluent wire format"),
        (with_id(4_000_000_000), "schema id 4000000000 is not in the lock file"),
        (with_id(1), "end in the middle of the CaseChanged"),
        (bytes(RECORD_BYTES_MAX + 1), "has 1048577 bytes; the limit is 1048576"),
    ],
)
def test_each_way_of_being_malformed_says_so(payload, reason):
    with pytest.raises(Malformed, match=reason):
        CODEC.decode(payload)


def number(value):
    raw, out = (value << 1) ^ (value >> 63), bytearray()
    while raw > 127:
        out.append(raw & 127 | 128)
        raw >>= 7
    return bytes([*out, raw])


RESPONSE_ID = LockedRegistry().id_of("ResponseReceived")
# event_id, order_id, channel, command_id, responder, signal: what stands before the answers.
BEFORE_ANSWERS = b"\x02a" + b"\x02b" + b"\x04" + b"\x00" + b"\x02" + b"\x02"


@pytest.mark.parametrize("claimed", [2**20, 2**40, 2**62, 2**63 - 1, -(2**62)])
@pytest.mark.parametrize(
    "before",
    [b"", BEFORE_ANSWERS],
    ids=["a string's length", "an array's count"],
)
def test_a_huge_length_or_count_neither_hangs_nor_takes_memory(before, claimed):
    payload = with_id(RESPONSE_ID, before + number(claimed) + b"\x00" * 1_000)
    CODEC.decode(CODEC.encode(response()))
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            CODEC.decode(payload)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_huge_count_of_items_without_bytes_does_not_hang():
    schema = json.loads(json.dumps(COMMITTED.expanded("ResponseReceived")))
    named(schema, "Answer")["fields"] = []
    codec = Codec(Memory(id_900=schema))
    after = CODEC.encode(response())[len(BEFORE_ANSWERS) + 5 :]
    assert codec.decode(with_id(900, BEFORE_ANSWERS + number(2) + after)).answers == (Answer(), Answer())
    with pytest.raises(Malformed, match="beyond what can be there"):
        codec.decode(with_id(900, BEFORE_ANSWERS + number(2**40) + after))


def test_a_full_record_of_the_smallest_items_takes_bounded_memory():
    an_answer = CODEC.encode(response(answers=(Answer(),)))
    empty = CODEC.encode(response(answers=()))
    item = an_answer[len(BEFORE_ANSWERS) + 6 : len(an_answer) - len(empty) + len(BEFORE_ANSWERS) + 5]
    count = 250_000 // len(item)
    after = empty[len(BEFORE_ANSWERS) + 5 :]
    payload = with_id(RESPONSE_ID, BEFORE_ANSWERS + number(count) + item * count + after)
    tracemalloc.start()
    try:
        assert len(CODEC.decode(payload).answers) == count
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()


def test_a_negative_length_is_malformed_and_not_an_empty_text():
    with pytest.raises(Malformed, match="a length is negative"):
        CODEC.decode(CODEC.encode(response()).replace(b"\x02a", number(-1), 1))


def test_a_number_of_endless_bytes_is_malformed():
    with pytest.raises(Malformed, match="more than 64 bits"):
        CODEC.decode(with_id(RESPONSE_ID, b"\xff" * 1_000_000))


def test_a_decimal_of_a_million_digits_is_refused_before_it_is_converted():
    schema_id = LockedRegistry().id_of("ExceptionRaised")
    plain = an_exception(line=a_line(content=Content(Decimal(1), "g")))
    payload = CODEC.encode(plain)
    at = payload.index(b"\x04\x03\xe8")
    bomb = payload[:at] + number(900_000) + b"\x7f" * 900_000 + payload[at + 3 :]
    assert struct.unpack_from(">I", bomb, 1)[0] == schema_id
    with pytest.raises(Malformed, match="a decimal has more than 12 digits"):
        CODEC.decode(bomb)


def response(**changes):
    plain = ResponseReceived(event_id="a", order_id="b", channel="sms", received_at=NOON)
    return msgspec.structs.replace(plain, **changes)


def test_instants_are_kept_to_the_millisecond_and_never_become_later():
    precise = NOON + timedelta(microseconds=1_999)
    assert CODEC.decode(CODEC.encode(response(received_at=precise))).received_at == NOON + timedelta(
        milliseconds=1
    )
    early = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert CODEC.decode(CODEC.encode(response(received_at=early))).received_at < early


@pytest.mark.parametrize(
    "wrong",
    [
        response(received_at=datetime(2026, 3, 2, 12)),  # noqa: DTZ001 - the fault itself
        response(rating=2**63),
        response(rating=1.5),
        response(order_id=None),
        response(order_id=b"bytes"),
        response(order_id="\ud800"),
        response(channel="telepathy"),
        response(answers=(None,)),
        response(logged_in="yes"),
        response(sealed="text"),
        response(sealed=b"x" * RECORD_BYTES_MAX),
        an_exception(line=a_line(content=Content(Decimal("0.0001"), "g"))),
        an_exception(line=a_line(content=Content(Decimal(10**12), "g"))),
        an_exception(line=a_line(content=Content(Decimal("NaN"), "g"))),
        an_exception(line=a_line(content=Content(Decimal("Infinity"), "g"))),
    ],
)
def test_what_does_not_fit_its_schema_is_refused_before_it_is_sent(wrong):
    with pytest.raises(ValueError, match=type(wrong).__name__):
        CODEC.encode(wrong)


# Versions: what a newer or older writer sends, and what a newer or older reader makes of ours.


def named(schema, name):
    """The definition of a named type inside a schema."""
    if isinstance(schema, list):
        return next((found for part in schema if (found := named(part, name))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("name") == name and "type" in schema and schema["type"] in ("record", "enum"):
        return schema
    parts = [field["type"] for field in schema.get("fields", ())]
    parts += [schema[key] for key in ("type", "items", "values") if key in schema]
    return named(parts, name)


def newer(record):
    """Our schema as a later release may have it: new fields of every shape, and new words."""
    schema = json.loads(json.dumps(COMMITTED.expanded(record)))
    added = [
        {"name": "later_text", "type": "string", "default": "later"},
        {"name": "later_map", "type": {"type": "map", "values": ["null", "double"]}, "default": {}},
        {"name": "later_hash", "type": {"type": "fixed", "name": "Hash", "size": 4}, "default": "\0\0\0\0"},
        {
            "name": "later_tree",
            "type": {
                "type": "record",
                "name": "Tree",
                "fields": [
                    {"name": "weight", "type": "float", "default": 0},
                    {"name": "leaf", "type": "boolean", "default": False},
                    {"name": "branches", "type": {"type": "array", "items": "Tree"}, "default": []},
                    {"name": "kinds", "type": {"type": "array", "items": "saveline.v1.Kind"}, "default": []},
                ],
            },
            "default": {"weight": 0, "leaf": False, "branches": [], "kinds": []},
        },
    ]
    schema["fields"] += added[1:]
    schema["fields"].insert(2, added[0])
    named(schema, "Kind")["symbols"] += ["eaten_by_dog"]
    named(schema, "Storage")["symbols"].insert(1, "lukewarm")
    named(schema, "Line")["fields"].insert(
        1, {"name": "later_note", "type": ["null", "string"], "default": None}
    )
    return schema


TREE = {
    "weight": 1.5,
    "leaf": True,
    "branches": [{"weight": 0.0, "leaf": True, "branches": [], "kinds": []}],
    "kinds": ["recalled", "eaten_by_dog"],
}
LATER = {
    "later_text": "x" * 300,
    "later_map": {"a": 1.0, "b": None},
    "later_hash": b"1234",
    "later_tree": TREE,
}


def as_datum(record):
    schema = COMMITTED.expanded(type(record).__name__)
    return read_with(schema, CODEC.encode(record))


@settings(max_examples=25)
@given(strategies.exceptions(kinds=(Kind.ITEM_UNAVAILABLE,)))
def test_a_record_of_a_newer_writer_is_read_without_what_is_new(exception):
    schema = newer("ExceptionRaised")
    datum = as_datum(exception) | LATER
    codec = Codec(Memory(id_900=schema))
    assert codec.decode(written_with(schema, datum)) == exception


def test_a_word_that_only_a_newer_writer_knows_is_read_as_unknown():
    schema = newer("ExceptionRaised")
    datum = as_datum(an_exception()) | LATER | {"kind": "eaten_by_dog"}
    datum["line"]["attributes"]["storage"] = "lukewarm"
    read = Codec(Memory(id_900=schema)).decode(written_with(schema, datum))
    assert read.kind is Kind.UNKNOWN
    assert read.line.attributes.storage is Storage.UNKNOWN
    assert read.line.name == an_exception().line.name


def test_a_newer_reader_reads_ours_with_its_defaults():
    read = read_with(newer("ExceptionRaised"), CODEC.encode(an_exception()))
    assert read["later_text"] == "later"
    assert read["kind"] == "item_unavailable"


class Older(Contracts):
    """Our schemas as an earlier release may have had them: one record without its optional fields."""

    def __init__(self, record):
        super().__init__(Path())
        self.record = record

    def part(self, name):
        part = COMMITTED.part(name)
        if name != self.record:
            return part
        return part | {"fields": [field for field in part["fields"] if "default" not in field]}


def without_defaults(record):
    return Older(record).expanded(record)


@pytest.mark.parametrize("name", sorted(record_types()))
def test_a_record_of_an_older_writer_gets_our_defaults(name):
    kind = record_types()[name]
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    schema = without_defaults(name)

    record = strategies.fullest(kind)
    whole = as_datum(record)
    payload = written_with(schema, {field: whole[field] for field in required})
    codec = Codec(Memory(id_900=schema))
    # Reading twice gives the same: no default is shared and changed.
    for _ in range(2):
        assert codec.decode(payload) == kind(**{field: getattr(record, field) for field in required})


def test_an_older_reader_reads_ours_without_what_it_does_not_know():
    read = read_with(without_defaults("ExceptionRaised"), CODEC.encode(an_exception()))
    assert read["exception_id"] == "x1"
    assert "options" not in read


def test_a_writer_of_java_names_nested_types_without_their_namespace():
    text = json.dumps(COMMITTED.expanded("ExceptionRaised"))
    plain = json.loads(text.replace('"saveline.v1.', '"'))

    def bare(node):
        if isinstance(node, dict):
            return {k: bare(v) for k, v in node.items() if k != "namespace"}
        return [bare(item) for item in node] if isinstance(node, list) else node

    schema = {"namespace": "saveline.v1", **bare(plain)}
    payload = written_with(schema, as_datum(an_exception()))
    assert Codec(Memory(id_900=schema)).decode(payload) == an_exception()


def test_blocks_of_an_array_may_say_their_length():
    """Java's blocking encoder writes a negative count and the length of the block in bytes."""
    plain = response(answers=(Answer(letter="A"), Answer(letter="B")))
    payload = CODEC.encode(plain)
    at = len(BEFORE_ANSWERS) + 5
    assert payload[at] == 4
    end = len(payload) - len(CODEC.encode(response())) + at
    items = payload[at + 1 : end]
    blocked = payload[:at] + number(-2) + number(len(items)) + items + payload[end:]
    assert CODEC.decode(blocked) == plain


def foreign(**changes):
    schema = {"type": "record", "name": "Delivered", "namespace": "com.elsewhere", "fields": []}
    return schema | changes


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (foreign(), "schema 900 is of com.elsewhere.Delivered, which is none of ours"),
        (foreign(name="saveline.v1.Unheard"), "which is none of ours"),
        ({"type": "string"}, "is of no record"),
        (["null", "string"], "is of no record"),
        ("string", "is of no record"),
        (foreign(namespace="saveline.v1"), "has no default and was not written"),
        (foreign(namespace="saveline.v1", fields=[{"name": "event_id", "type": "no"}]), "cannot be read as"),
        (
            foreign(namespace="saveline.v1", fields=[{"name": "event_id", "type": "long"}]),
            "cannot be read as",
        ),
        (foreign(namespace="saveline.v1", fields=17), "cannot be read as"),
    ],
)
def test_a_schema_that_is_not_ours_makes_its_records_malformed(schema, reason):
    codec = Codec(Memory(id_900=schema))
    for _ in range(2):
        with pytest.raises(Malformed, match=reason):
            codec.decode(with_id(900, b"\x00" * 20))


class Silent(Memory):
    def schema(self, schema_id):
        raise RegistryUnavailable("no answer")


class Empty(Memory):
    def schema(self, schema_id):
        raise UnknownSchema("no such id")


def test_a_registry_that_does_not_answer_is_nobodys_fault():
    payload = CODEC.encode(an_exception())
    with pytest.raises(RegistryUnavailable):
        Codec(Silent()).decode(payload)
    with pytest.raises(Malformed, match="no such id"):
        Codec(Empty()).decode(payload)


def test_what_a_malformed_record_holds_is_not_repeated_in_its_reasons():
    payload = CODEC.encode(response(event_id="Zoë"))
    with pytest.raises(Malformed) as malformed:
        CODEC.decode(payload.replace("ë".encode(), b"\xff\xff"))
    assert "Zo" not in str(malformed.value)


def test_an_accepted_exception_holds_the_raised_one_unchanged():
    raised = an_exception()
    accepted = ExceptionAccepted(
        event_id="e1", order_id="order-1", exception=raised, facts=strategies.CustomerFacts()
    )
    assert isinstance(CODEC.decode(CODEC.encode(accepted)).exception, ExceptionRaised)
    assert CODEC.decode(CODEC.encode(accepted)).exception == raised
