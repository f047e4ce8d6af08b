"""The shelf: what a folder of policies may hold, and which one an exception gets."""

import json
from datetime import timedelta

import pytest

from schemas.words import Kind
from state import shelf
from state.shelf import PolicyFaults
from tests.builders import NOON, an_exception
from tests.state.a_policy import a_document, faults, written


def test_an_empty_folder_is_a_fault(tmp_path):
    assert faults(tmp_path) == [f"{tmp_path}: no policy (*.yaml) is there"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("a: [", "is no YAML: ", id="broken"),
        pytest.param("a: \x00", "is no YAML: ", id="not printable"),
        pytest.param("- a\n- b\n", "is no mapping of keys", id="a list"),
        pytest.param("", "is no mapping of keys", id="empty"),
        pytest.param("id: a\nid: b\n", "given twice: id", id="a key twice"),
        pytest.param("steps:\n  - {name: a, name: b}\n", "given twice: name", id="twice inside"),
        pytest.param("21: a\n", "a key is a word: 21", id="a number as key"),
        pytest.param("? [a]\n: b\n", "a key is a word: ", id="a list as key"),
        pytest.param("approved_at: 2026-13-45T00:00:00Z\n", "is no YAML: ", id="month 13"),
        pytest.param("!!python/object:os.system {}\n", "is no YAML: ", id="code"),
        pytest.param("a: " + "[" * 1_500, "is no YAML: ", id="deeper than anybody writes"),
    ],
)
def test_a_file_that_is_no_policy_is_a_fault_and_no_crash(tmp_path, text, fault):
    found = faults(tmp_path, bad=text)
    assert len(found) == 1
    assert found[0].startswith("bad.yaml: ")
    assert fault in found[0]


def test_bytes_that_are_no_text_are_a_fault(tmp_path):
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\xfa")
    assert shelf.read(tmp_path)[1][0].startswith("bad.yaml: is no YAML: ")


def test_an_unquoted_time_of_day_is_named_and_explained(tmp_path):
    text = "quiet:\n  starts: 21:00\n"
    found = faults(tmp_path, a_document() | {"extends": "night"}, night=text)
    assert found == ['shortage.v1.yaml: quiet.starts: a time of day is written in quotes: "21:00"']


def test_a_file_is_called_after_what_it_holds(tmp_path):
    found = faults(tmp_path, **{"shortage.v2": a_document()})
    assert found == ["shortage.v2.yaml: holds shortage@1, so it must be called shortage.v1.yaml"]


def test_a_file_without_id_that_nothing_extends_is_no_silent_nothing(tmp_path):
    found = faults(tmp_path, a_document(), lonely={"Id": "shortage"})
    assert found == ["lonely.yaml: id: is missing, and nothing extends it"]


# What extends what.


def test_mappings_are_merged_and_everything_else_is_replaced(tmp_path):
    below = a_document(caps={"messages_per_day": 4, "calls_per_day": 2}, id=None)
    above = {
        "extends": "common",
        "id": "short",
        "version": 1,
        "caps": {"calls_per_day": 3},
        "kinds": ["damaged_item"],
    }
    policy = shelf.load(written(tmp_path, above, common=below))["short@1"]
    assert (policy.caps.messages_per_day, policy.caps.calls_per_day) == (4, 3)
    assert policy.kinds == (Kind.DAMAGED_ITEM,)


def test_what_extends_itself_loops(tmp_path):
    one = a_document(id="one") | {"extends": "two.v1"}
    two = a_document(id="two") | {"extends": "one.v1"}
    assert faults(tmp_path, one, two) == [
        "one.v1.yaml: extends: loops: one.v1 -> two.v1 -> one.v1",
        "two.v1.yaml: extends: loops: two.v1 -> one.v1 -> two.v1",
    ]


def test_what_extends_nothing_that_is_there_is_named(tmp_path):
    found = faults(tmp_path, a_document() | {"extends": "gone"})
    assert found == ["shortage.v1.yaml: extends: gone.yaml is not there or not readable"]


# Released versions.


def locked(tmp_path, document) -> None:
    policies, found = shelf.read(written(tmp_path, document))
    assert found == []
    digests = {policy.key: shelf.digest(policy) for policy in policies}
    (tmp_path / shelf.LOCK_NAME).write_text(json.dumps(digests), encoding="utf-8")


def test_a_released_version_that_changed_is_refused(tmp_path):
    locked(tmp_path, a_document())
    found = faults(tmp_path, a_document(gather_ms=1))
    assert found == ["shortage@1: was released and has changed: give it a new version"]


def test_a_released_version_changes_with_what_it_extends(tmp_path):
    written(tmp_path, a_document(gather_ms=None) | {"extends": "common"}, common={"gather_ms": 5})
    (policy,) = shelf.read(tmp_path)[0]
    (tmp_path / shelf.LOCK_NAME).write_text(json.dumps({policy.key: shelf.digest(policy)}), encoding="utf-8")
    found = faults(tmp_path, common={"gather_ms": 6})
    assert found == ["shortage@1: was released and has changed: give it a new version"]


def test_a_released_version_that_is_gone_is_refused(tmp_path):
    locked(tmp_path, a_document())
    (tmp_path / "shortage.v1.yaml").unlink()
    found = faults(tmp_path, a_document(version=2))
    assert found == ["shortage@1: was released and is gone or faulty, but open cases may have pinned it"]


def test_a_new_version_beside_a_released_one_is_welcome(tmp_path):
    locked(tmp_path, a_document())
    assert faults(tmp_path, a_document(version=2, gather_ms=1)) == []


def test_other_spelling_of_the_same_content_is_no_change(tmp_path):
    locked(tmp_path, a_document())
    written(tmp_path, a_document())
    path = tmp_path / "shortage.v1.yaml"
    path.write_text("# a remark\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert shelf.read(tmp_path)[1] == []


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_lock_that_cannot_be_read_is_a_fault(tmp_path, text):
    (tmp_path / shelf.LOCK_NAME).write_text(text, encoding="utf-8")
    (found,) = faults(tmp_path, a_document())
    assert found.startswith("lock.json: is no ")


def test_loading_refuses_with_every_fault(tmp_path):
    with pytest.raises(PolicyFaults) as raised:
        shelf.load(written(tmp_path, a_document(gather_ms=-1, kinds=[])))
    assert len(raised.value.faults) == 2


# Which policy an exception gets.


def a_shelf(tmp_path, *documents) -> shelf.Shelf:
    return shelf.load(written(tmp_path, *documents))


def test_the_latest_version_is_chosen(tmp_path):
    found = a_shelf(tmp_path, a_document(), a_document(version=2), a_document(version=10))
    assert found.choose(an_exception()).key == "shortage@10"


def test_a_policy_for_the_store_outranks_one_for_all(tmp_path):
    own = a_document(id="own_store", applies={"stores": ["store-1"]})
    found = a_shelf(tmp_path, a_document(id="all_stores"), own)
    assert found.choose(an_exception()).id == "own_store"
    assert found.choose(an_exception(store_id="store-2")).id == "all_stores"


def test_the_time_to_the_deadline_chooses(tmp_path):
    near = a_document(id="near", applies={"notice_below_ms": 3_600_000})
    far = a_document(id="far", applies={"notice_from_ms": 3_600_000})
    found = a_shelf(tmp_path, near, far)
    hour = an_exception(fulfilment_deadline_at=NOON + timedelta(hours=1))
    less = an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=59, seconds=59))
    assert [found.choose(x).id for x in (hour, less)] == ["far", "near"]


def test_a_hint_names_an_id_or_a_version_and_counts_only_for_its_kinds(tmp_path):
    found = a_shelf(
        tmp_path,
        a_document(),
        a_document(version=2),
        a_document(id="zzz"),
        a_document(id="late", kinds=["recalled"]),
    )
    hints = {"zzz": "zzz@1", "shortage@1": "shortage@1", "late": "shortage@2", "no such": "shortage@2"}
    assert {hint: found.choose(an_exception(policy_hint=hint)).key for hint in hints} == hints


def test_a_kind_without_policy_is_said_so(tmp_path):
    found = a_shelf(tmp_path, a_document())
    with pytest.raises(LookupError, match="no policy is for recalled in store store-1"):
        found.choose(an_exception(kind=Kind.RECALLED))


def test_every_kind_has_a_shipped_policy():
    shipped = shelf.load()
    for kind in Kind:
        if kind is not Kind.UNKNOWN:
            assert kind in shipped.choose(an_exception(kind=kind)).kinds
