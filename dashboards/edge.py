"""Edge: what customers, tools and Twilio ask, and how quickly they are answered."""

from dashboards.alarm import ALARM
from dashboards.panel import Dashboard, Row, chart, number, quantile, rate

# What a platform asks is no business of customers, where it comes by the same port.
_DOORS = 'route!~"/(livez|readyz|metrics|version)"'
_ALL = rate("saveline_edge_requests_total", of=_DOORS)
_BROKEN = rate("saveline_edge_requests_total", of=f'{_DOORS}, status="5xx"')

_PAGE_TIME = 'saveline_edge_request_seconds_bucket{route="/c/{token}"}[$__rate_interval]'
_PAGE = f"histogram_quantile(0.95, sum by (le) (rate({_PAGE_TIME})))"

EDGE = Dashboard(
    uid="saveline-edge",
    title="Saveline / Edge",
    says="What customers, tools and Twilio ask, and how quickly they are answered.",
    rows=(
        ALARM,
        Row(
            "Now",
            (
                number("Requests", "A second, through the doors.", _ALL, unit="reqps", width=6),
                number(
                    "Errors",
                    "Share of 5xx.",
                    f"{_BROKEN} / ({_ALL} > 0) or vector(0)",
                    unit="percentunit",
                    bad_from=0.02,
                    width=6,
                ),
                number(
                    "Refused",
                    "By signature or age, since the processes started.",
                    "sum(saveline_edge_refused_total)",
                    width=6,
                ),
                number(
                    "Troubled turns",
                    "Turns of calls that could not be taken.",
                    "sum(saveline_call_troubles_total)",
                    bad_from=1,
                    width=6,
                ),
            ),
        ),
        Row(
            "Requests",
            (
                chart(
                    "Requests, by route",
                    "A second.",
                    (f"{rate('saveline_edge_requests_total', 'route', of=_DOORS)} > 0", "{{route}}"),
                    unit="reqps",
                    drawn="areas",
                    width=12,
                ),
                chart(
                    "Answers, by class",
                    "A second.",
                    (rate("saveline_edge_requests_total", "status", of=_DOORS), "{{status}}"),
                    unit="reqps",
                    width=12,
                ),
                chart(
                    "Latency",
                    "From a request to its answer, all routes.",
                    (quantile(0.5, "saveline_edge_request_seconds"), "p50"),
                    (quantile(0.95, "saveline_edge_request_seconds"), "p95"),
                    unit="s",
                ),
                chart(
                    "Latency of the choice page",
                    "It waits briefly for the worker's word, so that the customer is told the truth.",
                    (_PAGE, "p95"),
                    unit="s",
                ),
                chart(
                    "Refused, by door",
                    "Requests that were not signed as they should be.",
                    ("sum by (door) (saveline_edge_refused_total)", "{{door}}"),
                    drawn="bars",
                ),
            ),
        ),
        Row(
            "Calls",
            (
                chart(
                    "Turns",
                    "A second, by transport.",
                    (rate("saveline_call_turns_total", "transport"), "{{transport}}"),
                    unit="reqps",
                ),
                chart(
                    "From a caller's words to ours",
                    "95 of 100.",
                    (quantile(0.95, "saveline_call_turn_seconds"), "p95"),
                    unit="s",
                ),
                chart(
                    "Troubles and second opinions",
                    "Since the processes started.",
                    ("sum by (why) (saveline_call_troubles_total)", "trouble: {{why}}"),
                    ("sum by (what) (saveline_second_opinions_total)", "opinion: {{what}}"),
                    drawn="bars",
                ),
            ),
        ),
    ),
)
