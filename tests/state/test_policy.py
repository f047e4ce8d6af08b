"""Every fault of a policy has a path and a reason, and all of them are named at once."""

import pytest

from state import shelf
from state.dialogue.script import ENGLISH, PROMPTS
from state.promises import broken
from tests.state.a_policy import APPROVED, PARTS, a_document, faults

TEXTS = a_document()["scripts"]["en-GB"]["texts"]
DIGITAL, CALL = a_document()["steps"]
REQUIRED = a_document()["evidence"]["required"]


def with_text(purpose: str, text: str) -> dict:
    return {"scripts": {"en-GB": {**APPROVED, "version": 1, "texts": TEXTS | {purpose: text}}}}


def test_a_policy_that_holds_has_no_fault(tmp_path):
    assert faults(tmp_path, a_document()) == []


FIELD_FAULTS = [
    pytest.param({"steps": []}, "steps: ", id="no step"),
    pytest.param({"steps": None}, "steps: Field required", id="steps missing"),
    pytest.param({"kinds": []}, "kinds: ", id="no kind"),
    pytest.param({"kinds": ["forgotten"]}, "kinds.0: ", id="no such kind"),
    pytest.param({"gather": 5}, "gather: Extra inputs are not permitted", id="misspelt key"),
    pytest.param({"gather_ms": -1}, "gather_ms: ", id="negative time"),
    pytest.param({"gather_ms": 10**12}, "gather_ms: ", id="thirty years"),
    pytest.param({"promised_notice_ms": 0}, "promised_notice_ms: ", id="no time at all"),
    pytest.param({"version": 0}, "version: ", id="version zero"),
    pytest.param({"id": "Short Age"}, "id: ", id="a name with a space"),
    pytest.param({"mode": "sometimes"}, "mode: ", id="no such mode"),
    pytest.param({"steps": [DIGITAL | {"channels": []}]}, "steps.0.channels: ", id="step without channel"),
    pytest.param(
        {"steps": [DIGITAL | {"channels": ["sms", "voice"]}]},
        "steps.0: voice stands alone",
        id="call and text",
    ),
    pytest.param(
        {"steps": [DIGITAL | {"channels": ["person"]}]},
        "steps.0: channels are push, sms",
        id="person as step",
    ),
    pytest.param(
        {"steps": [DIGITAL | {"channels": ["sms", "sms"]}]}, "steps.0: a channel is named twice", id="twice"
    ),
    pytest.param(
        {"steps": [{"name": "a", "channels": ["sms"]}]},
        "steps.0: a digital step has window_ms",
        id="no window",
    ),
    pytest.param(
        {"steps": [DIGITAL | {"attempts_max": 2}]}, "steps.0: a digital step has window_ms", id="attempts"
    ),
    pytest.param(
        {"steps": [DIGITAL | {"window_min_ms": 200_000}]}, "steps.0: window_min_ms is longer", id="minimum"
    ),
    pytest.param(
        {"steps": [DIGITAL, CALL | {"window_ms": 5}]},
        "steps.1: a voice step has attempts_max",
        id="call window",
    ),
    pytest.param(
        {"steps": [DIGITAL, {"name": "call", "channels": ["voice"]}]},
        "steps.1: a voice step has attempts_max",
        id="call without attempts",
    ),
    pytest.param(
        {"steps": [DIGITAL, CALL | {"attempts_max": 6}]},
        "steps.1.attempts_max: ",
        id="six calls are too many",
    ),
    pytest.param(
        {"default": {"resolution": "substituted"}}, "default: the default is never a substitute", id="default"
    ),
    pytest.param(
        {"quiet": {"starts": 1260}}, "quiet.starts: a time of day is written in quotes", id="unquoted"
    ),
    pytest.param({"quiet": {"starts": "25:00"}}, "quiet.starts: ", id="hour 25"),
    pytest.param({"price": {"cap_minor": -1}}, "price.cap_minor: ", id="negative cap"),
    pytest.param({"options": {"shown_max": 0}}, "options.shown_max: ", id="no option shown"),
    pytest.param({"countries": {}}, "countries: ", id="no country"),
    pytest.param({"countries": {"gb": {"source": "x"}}}, "countries.gb.[key]: ", id="no country's code"),
    pytest.param(
        {"scripts": {"en_GB": {**APPROVED, "version": 1, "texts": TEXTS}}},
        "scripts.en_GB.[key]: ",
        id="no locale",
    ),
    pytest.param({"countries": {"GB": {}}}, "countries.GB.source: ", id="a country without its source"),
    pytest.param(
        {"satisfaction": {"after_ms": 9, "until_ms": 9}},
        "satisfaction: after_ms must be before",
        id="invitation",
    ),
    pytest.param(
        {"evidence": {"required": REQUIRED | {"digital": []}}},
        "evidence.required.digital: ",
        id="no evidence",
    ),
    pytest.param({"retention": {"closed_days": 0}}, "retention.closed_days: ", id="forgotten at once"),
    pytest.param({"approved_at": "2026-11-24T00:00:00"}, "approved_at: ", id="an instant without zone"),
    pytest.param({"scripts": {}}, "scripts: ", id="no words"),
    pytest.param(with_text("ask", ""), "scripts.en-GB.texts.ask: ", id="empty words"),
    pytest.param(with_text("ask", "{link}" + "x" * 1_000), "scripts.en-GB.texts.ask: ", id="a novel"),
]

PROMISES = [
    pytest.param(
        {"steps": [DIGITAL, DIGITAL]}, "steps: a name stands twice: the escalation would loop", id="loop"
    ),
    pytest.param(
        {"steps": [DIGITAL, CALL, CALL | {"name": "again"}], "promised_notice_ms": 900_000},
        "steps: more than one voice step",
        id="two calls",
    ),
    pytest.param({"steps": [CALL, DIGITAL]}, "steps: the voice step comes last", id="call first"),
    pytest.param(
        {"countries": {"GB": {"voice": False, "source": "x"}}},
        "countries: voice is allowed in none: the call could never reach anybody",
        id="no country for calls",
    ),
    pytest.param(
        {"caps": {"calls_per_day": 0}},
        "caps.calls_per_day: leaves no call for these kinds",
        id="no call a day",
    ),
    pytest.param(
        {"caps": {"calls_per_day": 1, "calls_kept_for_last_mile": 1}},
        "caps.calls_per_day: leaves no call for these kinds",
        id="the only call is kept for the last mile",
    ),
    pytest.param(
        {"promised_notice_ms": 329_999},
        "promised_notice_ms: is less than the 330000 ms of gathering, steps and write margin: "
        "the plan promises a call after the deadline",
        id="a call after the deadline",
    ),
    pytest.param(
        {"promised_notice_ms": 100_000, "steps": [DIGITAL]},
        "promised_notice_ms: is less than the 210000 ms of gathering, steps and write margin: "
        "the plan promises an answer after the deadline",
        id="an answer after the deadline",
    ),
    pytest.param(
        {"steps": [DIGITAL | {"from_occurrence": True, "window_ms": 20_000, "window_min_ms": 1}]},
        "steps.0.window_ms: is over before gathering is: the step could never reach anybody",
        id="over before it begins",
    ),
    pytest.param({"mode": "pilot"}, "pilot.stores: pilot mode names no store", id="pilot nowhere"),
    pytest.param(
        {"mode": "pilot", "pilot": {"stores": ["s"], "share_per_10000": 0}},
        "pilot.share_per_10000: takes in no customer",
        id="pilot for nobody",
    ),
    pytest.param(
        {"approved_by": None},
        "approved_by, approved_at: not approved, so it cannot go live",
        id="not approved",
    ),
    pytest.param({"approved_at": None}, "approved_by, approved_at: not approved", id="approved at no time"),
    pytest.param(
        {"scripts": {"en-GB": {"version": 1, "texts": TEXTS}}},
        "scripts.en-GB: not approved, so it cannot go live",
        id="words not approved",
    ),
    pytest.param(
        {"kinds": ["recalled"], "holdout_share_per_10000": 1},
        "holdout_share_per_10000: never for recall",
        id="recall held out",
    ),
    pytest.param(
        {"holdout_share_per_10000": 10_000}, "holdout_share_per_10000: holds out everybody", id="all held out"
    ),
    pytest.param({"kinds": ["unknown"]}, "kinds: unknown stands for", id="unknown kind"),
    pytest.param(
        {"applies": {"notice_from_ms": 5, "notice_below_ms": 5}},
        "applies: notice_from_ms is not below",
        id="never",
    ),
    pytest.param(
        {"applies": {"notice_below_ms": 360_000}},
        "applies.notice_below_ms: is not above promised_notice_ms: a call is promised that comes after",
        id="too late for every case",
    ),
    pytest.param(
        {"steps": [DIGITAL], "applies": {"notice_below_ms": 300_000}},
        "applies.notice_below_ms: is not above promised_notice_ms: an answer is promised that comes after",
        id="an answer too late for every case",
    ),
    pytest.param(
        {"steps": [DIGITAL], **with_text("ask", "{options} we call at {call_at}")},
        "scripts.en-GB.texts.ask: promises a call, but no step makes one",
        id="a call that nobody makes",
    ),
    pytest.param(
        {"options": {"unattended_never": ["medicine"]}},
        "options.unattended_never: age-restricted goods are never left unattended",
        id="wine in the porch",
    ),
    pytest.param(
        {"evidence": {"required": {"digital": ["manifest"]}}},
        "evidence.required: names no parts for: default, person, stored_preference, voice",
        id="paths without evidence",
    ),
    pytest.param(
        {"evidence": {"required": REQUIRED | {"voice": ["recording"]}}},
        "evidence.required.voice: every path needs the manifest",
        id="no manifest",
    ),
    pytest.param(
        {"evidence": {"required": REQUIRED | {"voice": ["manifest", "unknown"]}}},
        "evidence.required.voice: unknown is no part",
        id="unknown part",
    ),
    pytest.param(
        {"retention": {"evidence_days": {"manifest": 1}}},
        "retention.evidence_days: names no days for: call_log, confirmation, messages, recording, transcript",
        id="kept for how long",
    ),
    pytest.param(
        {"scripts": {"en-GB": {**APPROVED, "version": 1, "texts": {"ask": "{link}"}}}},
        "scripts.en-GB.texts: are missing for: update, confirm",
        id="words missing",
    ),
    pytest.param(
        with_text("help", "{customer_name}"),
        "scripts.en-GB.texts.help: unknown placeholders: customer_name",
        id="a placeholder that nobody fills",
    ),
    pytest.param(
        with_text("help", "{items!r} {0} {order:>9}"),
        "scripts.en-GB.texts.help: unknown placeholders: 0, items, order",
        id="placeholders with tricks",
    ),
    pytest.param(
        with_text("help", "{items"), "scripts.en-GB.texts.help: braces do not pair", id="half a brace"
    ),
    pytest.param(
        with_text("ask", "Something is missing."),
        "scripts.en-GB.texts.ask: neither {options} nor {link}: nobody could answer",
        id="a question without answer",
    ),
]


@pytest.mark.parametrize(("changes", "fault"), [*FIELD_FAULTS, *PROMISES])
def test_a_fault_is_named_by_its_path(tmp_path, changes, fault):
    document = a_document(**changes)
    found = faults(tmp_path, **{f"{document['id']}.v{document['version']}": document})
    assert any(one.split(".yaml: ", 1)[1].startswith(fault) for one in found), found


def test_several_faults_are_named_together_whether_of_a_field_or_of_the_whole(tmp_path):
    document = a_document(
        gather_ms=-1,
        surprise=1,
        kinds=["recalled"],
        holdout_share_per_10000=5,
        approved_by=None,
        steps=[DIGITAL, CALL, CALL],
        retention={"evidence_days": dict.fromkeys(PARTS, 0)},
        options={"unattended_never": []},
    )
    found = faults(tmp_path, wrong=document)
    paths = [fault.split(": ")[1] for fault in found]
    assert paths[0] == "holds shortage@1, so it must be called shortage.v1.yaml"
    assert set(paths[1:]) >= {
        "gather_ms",
        "surprise",
        "retention.evidence_days.recording",
        "steps",
        "holdout_share_per_10000",
        "approved_by, approved_at",
        "options.unattended_never",
    }


def test_the_faults_of_every_file_are_named_together(tmp_path):
    found = faults(tmp_path, a_document(gather_ms=-1), a_document(id="other", kinds=[]))
    assert [fault.split(": ")[:2] for fault in found] == [
        ["other.v1.yaml", "kinds"],
        ["shortage.v1.yaml", "gather_ms"],
    ]


def test_what_is_not_approved_may_still_be_tried_in_the_shadow(tmp_path):
    scripts = {"en-GB": {"version": 1, "texts": TEXTS}}
    assert faults(tmp_path, a_document(mode="shadow", approved_by=None, scripts=scripts)) == []


def test_a_last_mile_policy_may_use_the_call_that_is_kept_for_it(tmp_path):
    caps = {"calls_per_day": 1, "calls_kept_for_last_mile": 1}
    assert faults(tmp_path, a_document(kinds=["driver_waiting"], caps=caps)) == []


def test_what_is_promised_exactly_can_be_kept(tmp_path):
    assert faults(tmp_path, a_document(promised_notice_ms=330_000)) == []


def test_every_shipped_policy_keeps_its_promises():
    policies, found = shelf.read(shelf.SHIPPED)
    assert found == []
    assert [broken(policy) for policy in policies] == [[]] * 9


def test_a_customer_reads_the_nearest_words(tmp_path):
    english, german = (a_document()["scripts"]["en-GB"] | {"version": n} for n in (3, 5))
    folder_faults = faults(tmp_path, a_document(scripts={"en-GB": english, "de-DE": german}))
    assert folder_faults == []
    policy = shelf.load(tmp_path)["shortage@1"]
    assert policy.script_for("de-DE") == "shortage@1/de-DE/5"
    assert policy.script_for("de-AT") == "shortage@1/de-DE/5"
    assert policy.script_for("fr-FR") == "shortage@1/en-GB/3"


def with_call_words(locale: str = "en-GB", **call: str) -> dict:
    english = a_document()["scripts"]["en-GB"]
    return a_document(scripts={locale: english | {"version": 2, "call": call}})


def test_a_policy_has_its_own_words_for_calls_and_the_shipped_ones_for_the_rest(tmp_path):
    assert faults(tmp_path, with_call_words(goodbye="Ta-ra, love.")) == []
    policy = shelf.load(tmp_path)["shortage@1"]
    script = policy.call_script_for(policy.script_for("en-GB"))
    assert script.key == "en-GB/shortage@1.2"
    assert script.texts["goodbye"] == "Ta-ra, love."
    assert script.texts["noted"] == ENGLISH.texts["noted"]
    assert policy.call_scripts[script.key] == script


def test_without_own_words_a_call_speaks_the_shipped_ones(tmp_path):
    assert faults(tmp_path, a_document()) == []
    policy = shelf.load(tmp_path)["shortage@1"]
    assert policy.call_script_for(policy.script_for("en-GB")) == ENGLISH


def test_words_for_calls_that_are_unknown_untrue_or_in_two_languages_are_faults(tmp_path):
    found = faults(tmp_path, with_call_words(goodby="Bye", readback="Is that all right?"))
    assert [one.split("scripts.en-GB.", 1)[1] for one in found] == [
        "call.goodby: no call says this",
        *(
            f"call.readback: does not name {{{name}}}"
            for name in ("item", "name", "price", "quantity", "total")
        ),
    ]
    german = faults(tmp_path, with_call_words("de-DE", goodbye="Auf Wiederhören."))
    assert "call.noted: is missing" in " ".join(german)
    assert len(german) == len(PROMPTS) - 1
