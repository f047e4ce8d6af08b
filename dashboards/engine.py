"""Engine: the workers and their partitions."""

from dashboards.panel import Dashboard, Row, chart, number, quantile, rate

ENGINE = Dashboard(
    uid="saveline-engine",
    title="Saveline / Engine",
    says="The workers and their partitions.",
    rows=(
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
                    bad_from=1000,
                ),
                number(
                    "Longest restore",
                    "The latest of each partition.",
                    "max(saveline_engine_restore_seconds)",
                    unit="s",
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
                ),
                chart(
                    "Transactions",
                    "Committed a second.",
                    (rate("saveline_engine_transactions_total"), "transactions"),
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
                    "Lag, by partition",
                    "Records appended and not processed.",
                    ("max by (partition) (saveline_engine_lag_records)", "{{partition}}"),
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
                ),
                chart(
                    "Lateness",
                    "From due to committed.",
                    (quantile(0.5, "saveline_engine_deadline_lateness_seconds"), "p50"),
                    (quantile(0.99, "saveline_engine_deadline_lateness_seconds"), "p99"),
                    unit="s",
                ),
                chart(
                    "Overdue now",
                    "How long the earliest waiting deadline has been due.",
                    ("max by (partition) (saveline_engine_deadline_lag_seconds)", "{{partition}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Processes",
            (
                chart(
                    "Restore",
                    "The latest of each partition.",
                    ("max by (partition) (saveline_engine_restore_seconds)", "{{partition}}"),
                    unit="s",
                    drawn="bars",
                ),
                chart(
                    "Clock apart",
                    "This machine's clock less the broker's.",
                    ("max by (partition) (saveline_engine_clock_apart_seconds)", "{{partition}}"),
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
