"""Engine: the workers and their partitions."""

from dashboards.alarm import ALARM
from dashboards.panel import Dashboard, Row, chart, number, quantile, rate

ENGINE = Dashboard(
    uid="saveline-engine",
    title="Saveline / Engine",
    says="The workers and their partitions.",
    rows=(
        ALARM,
        Row(
            "Now",
            (
                number(
                    "Partitions owned", "Of all workers together.", "sum(saveline_engine_partitions_owned)"
                ),
                number(
                    "Given up",
                    "Lost to another owner.",
                    "sum(saveline_engine_partitions_given_up)",
                    bad_from=1,
                ),
                number(
                    "Lag",
                    "Source records not processed yet.",
                    "sum(saveline_engine_lag_records)",
                    bad_from=500,
                ),
                number(
                    "Deadlines overdue",
                    "The one that waits longest.",
                    "max(saveline_engine_deadline_lag_seconds)",
                    unit="s",
                    bad_from=10,
                ),
                number("Stuck", "`decide` failed on these.", "sum(saveline_engine_stuck_total)", bad_from=1),
                number(
                    "Quarantined", "By the workers.", "sum(saveline_engine_quarantined_total)", bad_from=1
                ),
            ),
        ),
        Row(
            "Work",
            (
                chart(
                    "Events and commands",
                    "Records in, records out, a second.",
                    (rate("saveline_engine_events_total"), "events"),
                    (rate("saveline_engine_outputs_total"), "outputs"),
                    unit="cps",
                ),
                chart(
                    "Transactions",
                    "Committed a second.",
                    (rate("saveline_engine_transactions_total"), "transactions"),
                    unit="cps",
                ),
                chart(
                    "Records in a transaction",
                    "Half of all, and 99 of 100.",
                    (quantile(0.5, "saveline_engine_batch_records"), "p50"),
                    (quantile(0.99, "saveline_engine_batch_records"), "p99"),
                ),
                chart(
                    "Time of a transaction",
                    "From its begin to its known commit.",
                    (quantile(0.5, "saveline_engine_transaction_seconds"), "p50"),
                    (quantile(0.99, "saveline_engine_transaction_seconds"), "p99"),
                    unit="s",
                ),
                chart(
                    "Lag, the worst partitions",
                    "Records appended and not processed, of the five that have most.",
                    ("topk(5, max by (partition) (saveline_engine_lag_records))", "partition {{partition}}"),
                ),
                chart(
                    "Reopened and wiped",
                    "Transactions repeated, databases thrown away.",
                    ("sum(saveline_engine_reopened_total)", "reopened"),
                    ("sum(saveline_engine_wiped_total)", "wiped"),
                ),
            ),
        ),
        Row(
            "Deadlines",
            (
                chart(
                    "Fired",
                    "Deadlines that took effect, and stale entries, a second.",
                    (rate("saveline_engine_deadlines_fired_total"), "fired"),
                    (rate("saveline_engine_deadlines_stale_total"), "stale"),
                    unit="cps",
                ),
                chart(
                    "Lateness",
                    "From due to committed.",
                    (quantile(0.5, "saveline_engine_deadline_lateness_seconds"), "p50"),
                    (quantile(0.99, "saveline_engine_deadline_lateness_seconds"), "p99"),
                    unit="s",
                ),
                chart(
                    "Overdue, the worst partitions",
                    "How long the earliest waiting deadline has been due, of the five that are latest.",
                    (
                        "topk(5, max by (partition) (saveline_engine_deadline_lag_seconds))",
                        "partition {{partition}}",
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Processes",
            (
                chart(
                    "Restore, the longest",
                    "The latest of each partition, the ten that took longest.",
                    (
                        "topk(10, max by (partition) (saveline_engine_restore_seconds))",
                        "partition {{partition}}",
                    ),
                    unit="s",
                    drawn="bars",
                ),
                chart(
                    "Clock apart",
                    "This machine's clock less the broker's, of each worker.",
                    ("max by (instance) (saveline_engine_clock_apart_seconds)", "{{instance}}"),
                    unit="s",
                ),
                chart(
                    "Memory",
                    "Resident, of each worker.",
                    (
                        "process_resident_memory_bytes and on (instance) saveline_engine_partitions_owned",
                        "{{instance}}",
                    ),
                    unit="bytes",
                ),
            ),
        ),
    ),
)
