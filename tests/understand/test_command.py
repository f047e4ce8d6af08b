"""`saveline understand` answers line by line, names what it cannot read, and trains to the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from state.understand.classify import CLASSES, Model, shipped
from state.understand.train import labelled_row, learn, seed_rows

BREAD = [
    {"n": 1, "name": "Baker's Row Sourdough", "price": 2.4, "size": "400 g", "brand": "Baker's Row"},
    {"n": 2, "name": "Corner Shop White Sourdough", "price": 1.6, "size": "500 g", "brand": "Corner Shop"},
]


def saveline(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    run = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    return subprocess.run(run, input=stdin, capture_output=True, timeout=60, check=False)


def test_lines_are_answered_in_order():
    lines = [{"text": t, "options": BREAD} for t in ("2 pls", "refund", "stop calling me", "yes but")]
    done = saveline("understand", "--jsonl", stdin="\n".join(map(json.dumps, lines)).encode())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["intent"], a["option"]) for a in answers] == [
        ("choose", 2),
        ("refund", None),
        ("optout", None),
        ("unclear", None),
    ]
    assert all(0 <= a["confidence"] <= 1 for a in answers)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{nonsense", "malformed"),
        (b"", "truncated"),
        (b'{"text": 3}', "$.text"),
        (b'{"options": []}', "text"),
        (b'{"text": "yes", "options": [{"n": "two", "name": "x"}]}', "$.options[0].n"),
        (b'{"text": "yes", "options": [{"n": 1, "name": "x"}, {"n": 1, "name": "y"}]}', "same n"),
        (b'{"text": "yes", "options": [{"n": 1, "name": "x", "price": 1e300}]}', "price"),
        (b'"yes"', "Expected `object`"),
        (b"\xff\xfe\x00", "malformed"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_the_next_is_answered(line, fault):
    done = saveline("understand", "--jsonl", stdin=line + b'\n{"text": "yes"}\n')
    bad, good = (json.loads(reply) for reply in done.stdout.splitlines())
    assert fault in bad["error"]
    assert bad["line"] == 1
    assert good["intent"] == "accept"
    assert done.returncode == 1
    assert b"1 line" in done.stderr


def test_training_twice_gives_the_same_bytes(tmp_path: Path):
    rows = [
        {"text": f"row {i} {w}", "labels": [w], "also_ok": []}
        for i in range(9)
        for w in ("question", "repeat")
    ]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("a.bin", "b.bin"):
        done = saveline("understand", "train", "--data", str(tmp_path), "--out", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


def test_the_report_fails_when_a_commit_is_unsafe(tmp_path: Path):
    row = {"text": "yes please", "labels": ["unclear"], "also_ok": [], "context": {"options": BREAD[:1]}}
    (tmp_path / "some.jsonl").write_text(json.dumps(row))
    done = saveline("understand", "report", "--data", str(tmp_path))
    assert done.returncode == 1
    assert b"unsafe: 'yes please'" in done.stdout


def test_a_folder_without_data_is_named(tmp_path: Path):
    done = saveline("understand", "report", "--data", str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path).encode() in done.stderr


def test_the_shipped_model_knows_its_version_and_is_small():
    assert shipped().version.startswith("en-1-")
    assert shipped().header["classes"] == list(CLASSES)


def test_a_model_that_was_cut_short_is_refused():
    packed = learn([("who is this", frozenset({"question"})), ("again please", frozenset({"repeat"}))])
    with pytest.raises(ValueError, match="cut short"):
        Model(packed[:-1])


def test_the_seed_covers_every_class():
    rows = seed_rows((Path("state/understand/data/seed_en.txt")).read_text())
    assert {label for _, labels in rows for label in labels} == set(CLASSES)


def test_opt_outs_are_not_for_the_classifier_to_learn():
    assert labelled_row({"text": "stop", "labels": ["optout"]}) is None
