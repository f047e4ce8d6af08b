"""FULL_TRANSITIVE: what may be released, what may not, and what `saveline schemas lock` does about it."""

import json
import shutil

import pytest

from schemas import cli, compatibility
from schemas.avro import COMMITTED, Contracts
from schemas.codec import Codec
from schemas.registry import LockedRegistry
from tests.builders import an_exception


@pytest.fixture
def folder(tmp_path):
    """A copy of the committed contracts that a test may break."""
    shutil.copytree(COMMITTED.folder, tmp_path / "avro")
    return tmp_path / "avro"


def edit(folder, name, change):
    path = folder / f"saveline.v1.{name}.avsc"
    schema = json.loads(path.read_text())
    change(schema)
    path.write_text(json.dumps(schema))


def field(schema, name):
    return next(row for row in schema["fields"] if row["name"] == name)


def add_a_field_with_a_default(schema):
    schema["fields"].append({"name": "note", "type": "string", "default": ""})


def add_a_field_without_a_default(schema):
    schema["fields"].append({"name": "note", "type": "string"})


def remove_a_field_without_a_default(schema):
    schema["fields"].remove(field(schema, "quantity"))


def remove_a_field_with_a_default(schema):
    schema["fields"].remove(field(schema, "brand"))


def rename_a_field(schema):
    field(schema, "sku")["name"] = "article"


def make_a_number_text(schema):
    field(schema, "revision")["type"] = "string"


def change_the_scale(schema):
    field(schema, "amount")["type"]["scale"] = 2


def change_the_precision(schema):
    field(schema, "amount")["type"]["precision"] = 9


def forget_that_it_is_a_decimal(schema):
    field(schema, "amount")["type"] = "bytes"


def count_in_microseconds(schema):
    field(schema, "occurred_at")["type"]["logicalType"] = "timestamp-micros"


def add_a_word(schema):
    schema["symbols"].append("eaten_by_dog")


def forget_the_default_word(schema):
    del schema["default"]


ALLOWED = [
    ("ExceptionRaised", add_a_field_with_a_default),
    ("Line", add_a_field_with_a_default),
    ("Line", remove_a_field_with_a_default),
    ("Kind", add_a_word),
]
REFUSED = [
    ("ExceptionRaised", add_a_field_without_a_default, "ExceptionRaised: "),
    ("LinePicked", remove_a_field_without_a_default, "LinePicked: "),
    ("Component", rename_a_field, "ExceptionRaised: "),
    ("ExceptionRaised", make_a_number_text, "ExceptionRaised: "),
    ("Content", change_the_scale, "Content.amount: decimal(12, 3) in v1, but decimal(12, 2) in edited"),
    ("Content", change_the_precision, "Content.amount: decimal(12, 3) in v1, but decimal(9, 3) in edited"),
    ("Content", forget_that_it_is_a_decimal, "Content.amount: decimal(12, 3) in v1, but plain bytes"),
    ("Credited", count_in_microseconds, "Credited.occurred_at: timestamp-millis in v1, but timestamp-micros"),
]


def named(row):
    return row.__name__ if callable(row) else None


def test_the_committed_contracts_hold(capsys):
    assert compatibility.faults() == []
    assert cli.check() == 0
    assert "contracts hold" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "change"), ALLOWED, ids=named)
def test_an_edit_must_be_released_and_then_holds(folder, name, change, capsys):
    edit(folder, name, change)
    assert cli.check(folder=folder) == 1
    assert "differs from its released v1: run `saveline schemas lock`" in capsys.readouterr().err
    before = (folder / "lock.json").read_text()
    assert cli.lock(folder=folder) == 0
    assert "ExceptionRaised v2" in capsys.readouterr().out
    assert cli.check(folder=folder) == 0
    # What was released stays under its id; what is new comes after it.
    assert (folder / "lock.json").read_text().startswith(before.rstrip("]\n"))
    ids = [entry.id for entry in Contracts(folder).released]
    assert ids == list(range(1, len(ids) + 1))


@pytest.mark.parametrize(("name", "change", "reason"), REFUSED, ids=named)
def test_an_incompatible_edit_is_neither_passed_nor_released(folder, name, change, reason, capsys):
    edit(folder, name, change)
    assert cli.check(folder=folder) == 1
    assert reason in capsys.readouterr().err
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert cli.lock(folder=folder) == 1
    assert reason in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_edit_is_held_against_every_version_and_not_only_the_last(folder, capsys):
    def as_text(schema):
        schema["fields"].append({"name": "note", "type": "string", "default": ""})

    def gone(schema):
        schema["fields"].remove(field(schema, "note"))

    def as_number(schema):
        schema["fields"].append({"name": "note", "type": "long", "default": 0})

    for change in (as_text, gone):
        edit(folder, "OrderCompleted", change)
        assert cli.lock(folder=folder) == 0
    edit(folder, "OrderCompleted", as_number)
    capsys.readouterr()
    assert cli.lock(folder=folder) == 1
    err = capsys.readouterr().err
    assert "OrderCompleted: edited cannot read what v2 wrote" in err
    assert "what v3 wrote" not in err


def test_a_scale_that_moves_with_its_type_to_another_place_is_still_compared(folder, capsys):
    def first_of_all(schema):
        schema["fields"].insert(
            0, {"name": "sample", "type": ["null", "saveline.v1.Content"], "default": None}
        )

    edit(folder, "ExceptionRaised", first_of_all)
    edit(folder, "Content", change_the_scale)
    assert cli.lock(folder=folder) == 1
    assert "ExceptionRaised: Content.amount: decimal(12, 3) in v1" in capsys.readouterr().err


def test_an_enum_without_a_default_word_is_a_fault(folder, capsys):
    edit(folder, "Kind", forget_the_default_word)
    assert cli.check(folder=folder) == 1
    assert "Kind: the enum has no default symbol" in capsys.readouterr().err


def test_a_record_that_was_never_released_is_a_fault(folder, capsys):
    (folder / "lock.json").write_text("[]")
    assert cli.check(folder=folder) == 1
    assert "ExceptionRaised: no released version: run `saveline schemas lock`" in capsys.readouterr().err


def test_nothing_is_released_when_nothing_was_edited(folder, capsys):
    before = (folder / "lock.json").read_bytes()
    assert cli.lock(folder=folder) == 0
    assert capsys.readouterr().out == ""
    assert (folder / "lock.json").read_bytes() == before


def test_after_a_release_the_latest_is_written_and_the_earlier_still_read(folder):
    old = Codec(LockedRegistry(Contracts(folder))).encode(an_exception())
    edit(folder, "ExceptionRaised", add_a_field_with_a_default)
    # An edit that is not released changes no byte.
    assert Codec(LockedRegistry(Contracts(folder))).encode(an_exception()) == old
    edit(folder, "ExceptionRaised", lambda schema: schema["fields"].pop())
    edit(folder, "Kind", add_a_word)
    assert cli.lock(folder=folder) == 0
    codec = Codec(LockedRegistry(Contracts(folder)))
    new = codec.encode(an_exception())
    assert new[:5] != old[:5]
    assert codec.decode(new) == codec.decode(old) == an_exception()
