"""Schema ids over HTTP: ours as Confluent's own client reads it, and theirs as we read it."""

import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from schemas.avro import COMMITTED
from schemas.catalogue import Topic, record_types
from schemas.codec import Codec
from schemas.errors import Malformed
from schemas.registry import (
    LockedRegistry,
    RegistryRefused,
    RegistryUnavailable,
    RemoteRegistry,
    UnknownSchema,
    registry,
)
from schemas.serving import server_on
from tests import strategies
from tests.builders import an_exception

SUBJECT = "saveline.v1.ExceptionRaised"
RAISED = COMMITTED.expanded("ExceptionRaised")
VALUE = SerializationContext(Topic.EXCEPTIONS, MessageField.VALUE)


@contextmanager
def served(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def ours():
    """The URL of `saveline schemas serve`."""
    with served(server_on("127.0.0.1", 0)) as url:
        yield url


@pytest.fixture
def client(ours):
    return SchemaRegistryClient({"url": ours, "max.retries": 0})


# Ours, as others read it.


@pytest.mark.parametrize("name", sorted(record_types()))
def test_confluents_deserialiser_reads_every_record_from_our_registry(client, name):
    record = strategies.fullest(record_types()[name])
    payload = Codec(LockedRegistry()).encode(record)
    read = AvroDeserializer(client)(payload, VALUE)
    assert set(read) == set(record.__struct_fields__)
    for field, value in read.items():
        if isinstance(value, str | int | bytes | None):
            assert value == getattr(record, field)


def test_confluents_serialiser_writes_what_we_read(client):
    conf = {
        "auto.register.schemas": False,
        "use.latest.version": True,
        "subject.name.strategy": lambda context, name: name,
    }
    payload = Codec(LockedRegistry()).encode(an_exception())
    datum = AvroDeserializer(client)(payload, VALUE)
    write = AvroSerializer(client, json.dumps(RAISED), conf=conf)
    assert Codec(LockedRegistry()).decode(write(datum, VALUE)) == an_exception()


def test_confluents_serialiser_finds_our_id_by_looking_the_schema_up(client):
    conf = {"auto.register.schemas": False, "subject.name.strategy": lambda context, name: name}
    write = AvroSerializer(client, json.dumps(RAISED), conf=conf)
    datum = AvroDeserializer(client)(Codec(LockedRegistry()).encode(an_exception()), VALUE)
    assert write(datum, VALUE)[:5] == Codec(LockedRegistry()).encode(an_exception())[:5]


def test_subjects_versions_and_ids_are_found(client):
    entry = COMMITTED.versions_of("ExceptionRaised")[-1]
    assert SUBJECT in client.get_subjects()
    assert client.get_versions(SUBJECT) == [e.version for e in COMMITTED.versions_of("ExceptionRaised")]
    latest = client.get_latest_version(SUBJECT)
    assert (latest.schema_id, latest.version, latest.subject) == (entry.id, entry.version, SUBJECT)
    assert json.loads(latest.schema.schema_str) == RAISED
    assert client.get_version(SUBJECT, entry.version).schema_id == entry.id
    assert json.loads(client.get_schema(entry.id).schema_str) == RAISED
    assert client.get_compatibility() == "FULL_TRANSITIVE"
    assert client.lookup_schema(SUBJECT, Schema(json.dumps(RAISED), "AVRO")).schema_id == entry.id


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda client: client.get_schema(4_711), 404, 40403),
        (lambda client: client.get_latest_version("no.such.Subject"), 404, 40401),
        (lambda client: client.get_versions("no.such.Subject"), 404, 40401),
        (lambda client: client.get_version(SUBJECT, 99), 404, 40402),
        (lambda client: client.get_version(SUBJECT, 0), 422, 42202),
        (lambda client: client.lookup_schema("no.such.Subject", Schema('"string"', "AVRO")), 404, 40401),
        (lambda client: client.lookup_schema(SUBJECT, Schema('"string"', "AVRO")), 404, 40403),
        (lambda client: client.lookup_schema(SUBJECT, Schema("{", "AVRO")), 422, 42201),
        (lambda client: client.register_schema(SUBJECT, Schema('"string"', "AVRO")), 422, 42205),
        (lambda client: client._rest_client.get("elsewhere"), 404, 404),
        (lambda client: client._rest_client.get("schemas/ids/1/elsewhere"), 404, 404),
        (lambda client: client._rest_client.delete(f"subjects/{SUBJECT}"), 501, -1),
    ],
)
def test_what_is_not_there_is_answered_as_confluent_answers(client, ask, status, code):
    with pytest.raises(SchemaRegistryError) as answered:
        ask(client)
    assert (answered.value.http_status_code, answered.value.error_code) == (status, code)


def test_the_other_reads_of_a_registry_are_answered(client):
    read = client._rest_client.get
    assert read("schemas/types") == ["AVRO"]
    assert read("mode") == {"mode": "READONLY"}
    entry = COMMITTED.versions_of("ExceptionRaised")[0]
    assert read(f"schemas/ids/{entry.id}/schema") == COMMITTED.released_schema(entry)
    assert read(f"schemas/ids/{entry.id}/subjects") == [SUBJECT]
    assert read(f"schemas/ids/{entry.id}/versions") == [{"subject": SUBJECT, "version": 1}]
    assert read(f"subjects/{SUBJECT}/versions/latest/schema") == RAISED


def test_confluents_deserialiser_refuses_an_id_that_we_never_gave(client):
    with pytest.raises((SchemaRegistryError, SerializationError)):
        AvroDeserializer(client)(b"\x00\x00\x00\xff\xff\x00", VALUE)


def test_we_read_our_own_registry_over_http(ours):
    codec = Codec(RemoteRegistry(ours))
    assert codec.encode(an_exception()) == Codec(LockedRegistry()).encode(an_exception())
    assert codec.decode(codec.encode(an_exception())) == an_exception()
    with pytest.raises(Malformed, match="the registry knows no schema id 4711"):
        codec.decode(b"\x00\x00\x00\x12\x67")


# Theirs, as we read it.


class Stub:
    """A registry of somebody else's: answers by path, and a book of what was asked."""

    def __init__(self):
        self.answers = defaultdict(lambda: (404, {"error_code": 40403, "message": "not found"}))
        self.book = []

    def server(self):
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                path = self.path.split("?")[0]
                stub.book.append((self.command, path))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = stub.answers[self.command, path]
                payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def do_GET(self):
                self.answer()

            def do_POST(self):
                self.answer()

            def log_message(self, *args):
                pass

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


LOOKUP = ("POST", f"/subjects/{SUBJECT}")
REGISTER = ("POST", f"/subjects/{SUBJECT}/versions")
READ = ("GET", "/schemas/ids/77")
FOUND = {"subject": SUBJECT, "version": 3, "id": 77, "schema": json.dumps(RAISED)}


@pytest.fixture
def theirs():
    stub = Stub()
    with served(stub.server()) as url:
        stub.registry = RemoteRegistry(url)
        yield stub


def test_a_schema_that_is_known_there_is_looked_up_and_not_registered(theirs):
    theirs.answers[LOOKUP] = (200, FOUND)
    for _ in range(2):
        assert theirs.registry.id_of("ExceptionRaised") == 77
    assert theirs.registry.schema(77) == RAISED
    assert theirs.book == [LOOKUP]


@pytest.mark.parametrize("code", [40401, 40403])
def test_a_schema_that_is_not_known_there_is_registered_once(theirs, code):
    theirs.answers[LOOKUP] = (404, {"error_code": code, "message": "not found"})
    theirs.answers[REGISTER] = (200, {"id": 78})
    codec = Codec(theirs.registry)
    for _ in range(2):
        assert codec.encode(an_exception())[:5] == b"\x00\x00\x00\x00\x4e"
    assert theirs.book == [LOOKUP, REGISTER]


@pytest.mark.parametrize("status", [401, 403, 409, 422])
def test_a_registry_that_does_not_take_our_schema_says_so(theirs, status):
    theirs.answers[LOOKUP] = (404, {"error_code": 40403, "message": "not found"})
    theirs.answers[REGISTER] = (status, {"error_code": status, "message": "Schema is incompatible"})
    with pytest.raises(RegistryRefused, match=f"{SUBJECT}: Schema is incompatible"):
        theirs.registry.id_of("ExceptionRaised")


def test_the_writers_schema_is_asked_for_once(theirs):
    theirs.answers[READ] = (200, {"schema": json.dumps(RAISED)})
    payload = Codec(LockedRegistry()).encode(an_exception())
    codec = Codec(theirs.registry)
    for _ in range(3):
        assert codec.decode(b"\x00\x00\x00\x00\x4d" + payload[5:]) == an_exception()
    assert theirs.book == [READ]


def test_an_id_that_is_not_there_is_unknown(theirs):
    with pytest.raises(UnknownSchema, match="77"):
        theirs.registry.schema(77)


def test_a_schema_that_is_not_avro_is_unknown(theirs):
    theirs.answers[READ] = (200, {"schema": "{}", "schemaType": "JSON"})
    with pytest.raises(UnknownSchema, match="schema id 77 is not Avro"):
        theirs.registry.schema(77)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error_code": 50001, "message": "store failed"}),
        (503, "<html>maintenance</html>"),
        (401, {"error_code": 401, "message": "who are you"}),
        (403, {"error_code": 40301, "message": "not you"}),
        (429, "slow down"),
        # The wrong address: not every 404 says that the schema is not there.
        (404, "<html>" + "nothing here " * 1_000 + "</html>"),
        (404, {"error_code": 404, "message": "HTTP 404 Not Found"}),
        (200, "<html>log in first</html>"),
        (200, {"schema": "{"}),
        (200, {}),
    ],
    ids=str,
)
def test_every_other_answer_means_that_the_registry_is_unavailable(theirs, answer):
    theirs.answers[READ] = answer
    theirs.answers[LOOKUP] = answer if answer[0] != 200 else (500, "")
    payload = Codec(LockedRegistry()).encode(an_exception())
    with pytest.raises(RegistryUnavailable) as unavailable:
        Codec(theirs.registry).decode(b"\x00\x00\x00\x00\x4d" + payload[5:])
    assert len(str(unavailable.value)) < 400
    with pytest.raises(RegistryUnavailable):
        Codec(theirs.registry).encode(an_exception())


def test_a_registry_that_comes_back_is_asked_again(theirs):
    theirs.answers[READ] = (500, {})
    payload = b"\x00\x00\x00\x00\x4d" + Codec(LockedRegistry()).encode(an_exception())[5:]
    codec = Codec(theirs.registry)
    with pytest.raises(RegistryUnavailable):
        codec.decode(payload)
    theirs.answers[READ] = (200, {"schema": json.dumps(RAISED)})
    assert codec.decode(payload) == an_exception()


def test_nobody_at_the_address_means_that_the_registry_is_unavailable():
    with served(Stub().server()) as url:
        gone = RemoteRegistry(url)
    with pytest.raises(RegistryUnavailable):
        gone.schema(77)
    with pytest.raises(RegistryUnavailable):
        gone.id_of("ExceptionRaised")


def test_the_url_decides_between_the_registry_and_the_lock_file(ours):
    assert isinstance(registry(ours), RemoteRegistry)
    assert isinstance(registry(None), LockedRegistry)
    assert isinstance(registry(""), LockedRegistry)
    with pytest.raises(UnknownSchema, match="schema id 0 is not in the lock file"):
        registry(None).schema(0)


def test_the_command_serves_until_it_is_interrupted():
    serving = subprocess.Popen(
        [Path(sys.executable).with_name("saveline"), "schemas", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = serving.stdout.readline().split()[-1]
        client = SchemaRegistryClient({"url": url, "max.retries": 0})
        assert SUBJECT in client.get_subjects()
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0
    finally:
        serving.kill()
        serving.stdout.close()
