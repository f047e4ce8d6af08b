"""`saveline understand` answers line by line, names what it cannot read, and trains to the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from state.understand.classify import CLASSES, Model, shipped
from state.understand.train import labelled_row, learn, seed_rows
from streams.understanding import answered

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
        (b"{nonsense", "Expecting"),
        (b'{"options": []}', "no 'text'"),
        (b'{"text": ["yes"]}', "text was expected, not list"),
        (b'{"text": "yes", "options": [{"n": "two", "name": "x"}]}', "option 1: n is a whole number"),
        (b'{"text": "yes", "options": [{"name": "x"}]}', "option 1 has no 'n'"),
        (b'{"text": "yes", "options": [{"n": 1, "name": "x"}, {"n": "1", "name": "y"}]}', "same n"),
        (b'{"text": "yes", "options": ["x"]}', "option 1 is an object, not str"),
        (b'{"text": "yes", "options": {"n": 1}}', "options are a list, not dict"),
        (b'"yes"', "the line is an object, not str"),
        (b"\xff\xfe\x00", "invalid start byte"),
        (b"[" * 200_000, "recursion"),
        (b"1" * 1_000_001, "at most 1000000 are read"),
    ],
)
def test_a_line_that_cannot_be_read_is_unclear_says_why_and_the_next_is_answered(line, fault):
    done = saveline("understand", "--jsonl", stdin=line + b'\n{"text": "yes"}\n')
    bad, good = (json.loads(reply) for reply in done.stdout.splitlines())
    assert (bad["intent"], bad["option"], bad["confidence"]) == ("unclear", None, 0.0)
    assert fault in bad["error"]
    assert good == {"intent": "accept", "option": None, "confidence": good["confidence"]}
    assert done.returncode == 1
    assert done.stderr.startswith(b"line 1: ")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"", ("unclear", None)),
        (b"   \r", ("unclear", None)),
        (b'{"text": null}', ("unclear", None)),
        (b'{"text": 0}', ("refund", None)),
        (b'\xef\xbb\xbf{"text": "refund", "id": 7, "options": null}\r', ("refund", None)),
        (b'{"text": "2 pls", "options": [{"n": "1"}, {"n": "2"}]}', ("choose", 2)),
        (b'{"text": "2 pls", "options": [{"n": 1.0}, {"n": 2.0, "size": null, "brand": null}]}', ("choose", 2)),
        (b'{"text": "the cheaper one", "options": [{"n": 1, "price": "1,60"}, {"n": 2, "price": 1.7}]}', ("choose", 1)),
        ('{"text": "the dearer one", "options": [{"n": 1, "price": "£1.60"}, {"n": 2, "price": "1.70 GBP"}]}'.encode(), ("choose", 2)),
        (b'{"text": "the dearer one", "options": [{"n": 1, "price": null}, {"n": 2, "price": NaN}]}', ("unclear", None)),
        (b'{"text": "panda please", "options": [{"n": 1, "name": "Panda Rolls", "brand": "Panda", "price": "free"}, {"n": 2}]}', ("choose", 1)),
        (b'{"text": "yes \\ud83d"}', ("unclear", None)),
        (b'{"text": "' + b"yes " * 20_000 + b'"}', ("unclear", None)),
        ('{"text": "是的", "options": []}'.encode(), ("unclear", None)),
    ],
)  # fmt: skip
def test_what_is_missing_or_of_another_type_is_read_where_it_can_be(line, answer):
    reply = answered(line)
    assert (reply.intent, reply.option, reply.error) == (*answer, None)


def test_ten_thousand_lines_are_ten_thousand_answers_in_order():
    texts = [str(i % 3) for i in range(10_000)]
    lines = "\n".join(json.dumps({"text": text, "options": BREAD}) for text in texts)
    done = saveline("understand", "--jsonl", stdin=lines.encode())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["option"] or 0 for a in answers] == [i % 3 for i in range(10_000)]
    assert done.returncode == 0


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


def test_the_report_prints_what_was_answered_on_first_sight_by_day(tmp_path: Path):
    row = {"text": "hm", "labels": ["unclear"], "first_seen": "2026-12-01"}
    rows = [row | {"first_answer": "accept"}, row | {"first_answer": "unclear"}]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = saveline("understand", "report", "--data", str(tmp_path))
    now, first = (line.split() for line in done.stdout.decode().splitlines()[1:])
    assert now == ["some", "2", "100.0%", "0", "-", "0", "0", "-", "0"]
    assert first == ["first", "sight,", "2026-12-01", "2", "50.0%", "0", "-", "1", "0", "-", "0"]
    assert done.returncode == 0


def test_held_out_rows_are_counted_by_a_model_that_has_not_seen_them(tmp_path: Path):
    learnt = [{"text": f"zorp {i}", "labels": ["repeat"], "split": "train"} for i in range(30)]
    asked = [{"text": "zorp please", "labels": ["repeat"], "split": "val"}]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, learnt + asked)))
    shipped_first = saveline("understand", "report", "--data", str(tmp_path)).stdout.split(b"\n")[1].split()
    held_out = saveline("understand", "report", "--data", str(tmp_path), "--held-out").stdout.split(b"\n")[1]
    assert shipped_first[:3] == [b"some", b"31", b"0.0%"]
    assert held_out.split()[:3] == [b"some", b"1", b"100.0%"]


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
