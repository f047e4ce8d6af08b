"""The first row of whoever is called at night: what is wrong, before anything is explained."""

from dashboards.panel import Row, chart, number

_FIRING = 'ALERTS{alertstate="firing", alertname=~"Saveline.*"}'
_NONE = 'label_replace(vector(0), "alertname", "none", "", "")'

ALARM = Row(
    "What is wrong",
    (
        number("Alerts firing", "Each has a runbook.", f"count({_FIRING}) or vector(0)", bad_from=1, width=6),
        chart(
            "Which",
            "Firing alerts, with their severity.",
            (
                f"count by (alertname, severity) ({_FIRING}) or on () {_NONE}",
                "{{alertname}} {{severity}}",
            ),
            drawn="bars",
            width=12,
        ),
        number(
            "Processes down",
            "They do not answer the scrape.",
            'count(up{job=~"saveline-.*"} == 0) or vector(0)',
            bad_from=1,
            width=6,
        ),
    ),
)
