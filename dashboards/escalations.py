"""Escalations: how customers are asked, what they answer, and what keeps us from asking."""

from dashboards.panel import Dashboard, Row, chart, figure, number, seen, where


def _rung(name: str) -> str:
    return seen("saveline_conversations_contacted", of=where("rung", name))


def _share(rung: str) -> str:
    return f"{_rung(rung)} / {_rung('digital')}"


ESCALATIONS = Dashboard(
    uid="saveline-escalations",
    title="Saveline / Escalations",
    says="How customers are asked, what they answer, and what keeps us from asking.",
    rows=(
        Row(
            "Rungs",
            (
                chart(
                    "Conversations, by rung",
                    "Each counts on every rung that it reached.",
                    (seen("saveline_conversations_contacted", "rung"), "{{rung}}"),
                    drawn="bars",
                ),
                number(
                    "Went on to a call",
                    "Of the conversations that began with a message.",
                    _share("voice"),
                    unit="percentunit",
                ),
                number(
                    "Went to people",
                    "Of the conversations that began with a message.",
                    _share("person"),
                    unit="percentunit",
                ),
                chart(
                    "Acceptance, by channel",
                    "Approved there, of what was sent or dialled there.",
                    *((figure(f"acceptance_{name}"), name) for name in ("sms", "page", "app", "voice")),
                    drawn="bars",
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "Messages and calls",
            (
                chart(
                    "Sent, by channel",
                    "Commands that the providers have.",
                    (seen("saveline_claims", "channel", of='state="sent", channel!="person"'), "{{channel}}"),
                    drawn="areas",
                ),
                chart(
                    "Not sent, by why",
                    "Suppressed by consent, caps, hours or switches; taken back; refused by the provider.",
                    *(
                        (
                            f'sum(max by (channel) (saveline_claims{{channel!="person", state="{state}"}}))',
                            state,
                        )
                        for state in ("suppressed", "cancelled", "rejected")
                    ),
                ),
                chart(
                    "On their way",
                    "Planned, claimed, and of unknown fate.",
                    *(
                        (
                            f'sum(max by (channel) (saveline_claims{{channel!="person", state="{state}"}}))',
                            state,
                        )
                        for state in ("planned", "claimed", "ambiguous")
                    ),
                ),
                chart(
                    "Tasks for people",
                    "By where they stand.",
                    (seen("saveline_claims", "state", of='channel="person"'), "{{state}}"),
                    drawn="bars",
                ),
                chart(
                    "Opt-outs",
                    "Customers and numbers that want no more.",
                    (seen("saveline_opt_outs", "channel", of='channel=~"sms|voice"'), "{{channel}}"),
                ),
                chart(
                    "Turns of calls",
                    "Answered by the voice agent, a second.",
                    (
                        "sum by (transport) (rate(saveline_call_turns_total[$__rate_interval]))",
                        "{{transport}}",
                    ),
                    unit="reqps",
                ),
            ),
        ),
        Row(
            "Modes and switches",
            (
                chart(
                    "Policies, by mode",
                    "Loaded versions.",
                    (seen("saveline_policies", "mode"), "{{mode}}"),
                    drawn="bars",
                ),
                number(
                    "Switches thrown",
                    "Kill switches of channels, stores and kinds.",
                    "sum(max by (scope, name) (saveline_kill_switches))",
                    bad_from=1,
                ),
                number(
                    "In shadow",
                    "Cases that were only planned.",
                    seen("saveline_report_base", of='of="shadow"'),
                ),
                number("Held out", "Cases of the holdout.", seen("saveline_report_base", of='of="holdout"')),
                number("Late", "No step fitted any more.", seen("saveline_report_base", of='of="late"')),
            ),
        ),
    ),
)
