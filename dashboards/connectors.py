"""Connectors: providers, the order system, evidence, and what waits for them."""

from dashboards.alarm import ALARM
from dashboards.panel import Dashboard, Row, chart, number, quantile, rate, seen

_UNSURE = 'sum(saveline_sends_total{outcome="unsure"})'
_QUARANTINED = 'sum(saveline_connectors_records_total{outcome="quarantined"})'
_TAKEN = rate("saveline_connectors_records_total", "topic", of='outcome="taken"')

CONNECTORS = Dashboard(
    uid="saveline-connectors",
    title="Saveline / Connectors",
    says="Providers, the order system, evidence, and what waits for them.",
    rows=(
        ALARM,
        Row(
            "Now",
            (
                number(
                    "Of unknown fate",
                    "Sends of which nobody can tell yet.",
                    'sum(max by (channel) (saveline_claims{state="ambiguous"}))',
                    bad_from=10,
                ),
                number("Unsure sends", "Since the processes started.", _UNSURE),
                number(
                    "Oldest write-back",
                    "Waiting to be written and read back.",
                    seen("saveline_write_back_oldest_seconds"),
                    unit="s",
                    bad_from=60,
                ),
                number(
                    "Evidence failing",
                    "Requests that the store refused.",
                    seen("saveline_evidence_requests", of='state="failing"'),
                    bad_from=1,
                ),
                number(
                    "Oldest evidence",
                    "Waiting to be stored.",
                    seen("saveline_evidence_oldest_seconds"),
                    unit="s",
                    bad_from=600,
                ),
                number("Quarantined", "By the connectors, since they started.", _QUARANTINED),
            ),
        ),
        Row(
            "Providers",
            (
                chart(
                    "Sends, by channel",
                    "Attempts a second.",
                    (rate("saveline_sends_total", "channel"), "{{channel}}"),
                    unit="reqps",
                ),
                chart(
                    "Sends, by outcome",
                    "What the providers made of them.",
                    ("sum by (outcome) (saveline_sends_total)", "{{outcome}}"),
                    drawn="bars",
                ),
                chart(
                    "Provider latency, 95 of 100",
                    "How long providers took to answer.",
                    (quantile(0.95, "saveline_provider_seconds", "channel"), "{{channel}}"),
                    unit="s",
                ),
                chart(
                    "Share of the time held back by rate",
                    "In which ready commands waited for what the channel may send.",
                    (rate("saveline_rate_limit_wait_seconds_total", "channel"), "{{channel}}"),
                    unit="percentunit",
                ),
                chart(
                    "Unknown fate, oldest",
                    "For how long the longest has been unknown.",
                    (seen("saveline_claims_ambiguous_oldest_seconds"), "oldest"),
                    unit="s",
                ),
                chart(
                    "What waits",
                    "Rows for the connectors, by what they are.",
                    ("sum by (what) (max by (what, channel) (saveline_connectors_waiting))", "{{what}}"),
                    drawn="areas",
                ),
            ),
        ),
        Row(
            "Order system and evidence",
            (
                chart(
                    "Write-backs, by outcome",
                    "Settled updates.",
                    (f"{seen('saveline_write_backs_total', 'outcome')} > 0", "{{outcome}}"),
                    drawn="bars",
                ),
                chart(
                    "Evidence, by state",
                    "Requests.",
                    (seen("saveline_evidence_requests", "state"), "{{state}}"),
                    drawn="areas",
                ),
                chart(
                    "Records from Kafka, by topic",
                    "Taken a second.",
                    (
                        f"{_TAKEN} > 0",
                        "{{topic}}",
                    ),
                    unit="cps",
                    drawn="areas",
                ),
                chart(
                    "Counting the register",
                    "How long it took the last time.",
                    ("max(saveline_register_look_seconds)", "seconds"),
                    unit="s",
                ),
                chart(
                    "Quarantined, by topic",
                    "Records that were none of ours or invalid.",
                    (
                        'sum by (topic) (saveline_connectors_records_total{outcome="quarantined"}) > 0',
                        "{{topic}}",
                    ),
                    drawn="bars",
                ),
            ),
        ),
    ),
)
