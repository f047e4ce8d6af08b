"""Business: what is being saved. Every number is the register's, as `saveline report` counts it."""

from dashboards.panel import Dashboard, Row, chart, figure, number, seen, where

_TOTAL_KEPT = (
    'sum(max by (resolution, channel) (saveline_cases_closed_total{resolution=~"substituted|alternative|redeliver'
    '|instructions|pickup"}))'
)
_TIME = "saveline_time_to_decision_seconds"


def _of_arm(metric: str, arm: str) -> str:
    return seen(metric, of=where("arm", arm))


def _incremental(metric: str) -> str:
    """Against the holdout, for all treated orders; not a number without one."""
    ours = f"{_of_arm(metric, 'treatment')} / {_of_arm('saveline_orders', 'treatment')}"
    theirs = f"{_of_arm(metric, 'holdout')} / {_of_arm('saveline_orders', 'holdout')}"
    return f"({ours} - {theirs}) * {_of_arm('saveline_orders', 'treatment')}"


BUSINESS = Dashboard(
    uid="saveline-business",
    title="Saveline / Business",
    says="What is being saved. Right to the case: counted in the register, by the definitions of `saveline report`.",
    rows=(
        Row(
            "Now",
            (
                number("Cases", "In the report's base.", seen("saveline_report_base", of='of="cases"')),
                number("Open", "Waiting for a decision.", seen("saveline_cases", of='state="open"')),
                number(
                    "Acceptance",
                    "Approved by the customer, of what was presented.",
                    figure("acceptance"),
                    unit="percentunit",
                ),
                number(
                    "Done in time",
                    "All four parts by the deadline, of the base.",
                    figure("done"),
                    unit="percentunit",
                ),
                number(
                    "Written back within 60 s",
                    "Read back from the order system, of all decisions.",
                    figure("write_back_verified_60s"),
                    unit="percentunit",
                ),
                number(
                    "Stuck",
                    "Cases that wait for a person.",
                    seen("saveline_cases_stuck", of='since="waiting"'),
                    bad_from=1,
                ),
            ),
        ),
        Row(
            "Value",
            (
                chart(
                    "Value handled, in whole currency units",
                    "Value in trouble, and of it what was kept. Not money recovered: only a holdout shows that.",
                    (
                        "sum by (currency) (max by (currency) (saveline_value_in_trouble_minor)) / 100",
                        "in trouble, {{currency}}",
                    ),
                    (
                        "sum by (currency) (max by (currency) (saveline_value_handled_minor)) / 100",
                        "handled, {{currency}}",
                    ),
                    width=12,
                ),
                number(
                    "Order save rate",
                    "Orders delivered, of those with an exception; known once outcomes arrive.",
                    figure("order_save_rate"),
                    unit="percentunit",
                ),
                number(
                    "Line save",
                    "Units replaced by the customer's decision and delivered, of units short.",
                    figure("line_save"),
                    unit="percentunit",
                ),
                number(
                    "Incremental saves",
                    "Orders saved beyond the holdout's rate; no number without a holdout.",
                    _incremental("saveline_orders_delivered"),
                ),
            ),
        ),
        Row(
            "Cases",
            (
                chart(
                    "Opened, by kind",
                    "What went wrong.",
                    ("sum by (kind) (max by (kind, mode) (saveline_cases_opened_total)) > 0", "{{kind}}"),
                    drawn="areas",
                    width=12,
                ),
                chart(
                    "Closed, by resolution",
                    "What was decided.",
                    (
                        "sum by (resolution) (max by (resolution, channel) (saveline_cases_closed_total)) > 0",
                        "{{resolution}}",
                    ),
                    drawn="areas",
                    width=12,
                ),
                chart(
                    "Decided, by how",
                    "Voice and digital are counted apart.",
                    (seen("saveline_cases_resolved", "by"), "{{by}}"),
                    drawn="bars",
                ),
                chart(
                    "Time to decision",
                    "From the exception; where nobody answered, to the deadline.",
                    (
                        f"histogram_quantile(0.5, sum by (le) (max by (le, answered) ({_TIME}_bucket)))",
                        "half of all",
                    ),
                    (
                        f"histogram_quantile(0.9, sum by (le) (max by (le, answered) ({_TIME}_bucket)))",
                        "nine of ten",
                    ),
                    unit="s",
                ),
                chart(
                    "Closed and kept",
                    "Closed cases, and of them those whose goods or delivery were kept.",
                    ("sum(max by (reason) (saveline_case_closes_total))", "closed"),
                    (_TOTAL_KEPT, "kept"),
                ),
            ),
        ),
        Row(
            "At the door, and afterwards",
            (
                chart(
                    "Last mile, by resolution",
                    "Cases at the door.",
                    (f"{seen('saveline_last_mile_cases', 'resolution')} > 0", "{{resolution}}"),
                    drawn="bars",
                ),
                number(
                    "Handed over, same attempt",
                    "Of the stops with an exception; known once outcomes arrive.",
                    figure("last_mile_failures_avoided"),
                    unit="percentunit",
                ),
                chart(
                    "Outcomes",
                    "What upstream told became of orders and lines.",
                    (f"{seen('saveline_order_outcomes_total', 'outcome')} > 0", "{{outcome}}"),
                    drawn="bars",
                ),
                number("NPS", "9-10 less 0-6, of those who answered.", figure("nps"), unit="percentunit"),
            ),
        ),
    ),
)
