"""The `saveline` command: one line per subcommand, each loaded only when it is called."""

import sys

from cyclopts import App

app = App(
    name="saveline", help="Saves grocery orders: asks in time, writes the answer back, keeps the proof."
)

app.command("schemas.cli:app", name="schemas", help="The contracts: check, show and serve the schemas.")
app.command("state.cli:app", name="policy", help="The policies: check, show, compare, release.")
app.command(
    "connectors.evidence.cli:app", name="evidence", help="Verify the evidence of a case, or all of it."
)
app.command(
    "streams.connectors_cli:connectors",
    name="connectors",
    help="Run the process that takes in, sends, writes back and keeps evidence.",
)
app.command(
    "streams.edge_cli:edge",
    name="edge",
    help="Run the process that customers, the app and the providers reach.",
)
app.command("streams.worker_cli:worker", name="worker", help="Run the process that decides.")
app.command(
    "streams.topics_cli:app",
    name="topics",
    help="Show what differs from the topics wanted, and put it right.",
)
app.command("streams.acls_cli:acls", name="acls", help="What each command has to be granted in Kafka.")
app.command(
    "streams.quarantine_cli:app",
    name="quarantine",
    help="What could not be processed: list, show, replay, discard.",
)
app.command(
    "streams.kill_switch_cli:app",
    name="kill-switch",
    help="Silence a channel, a store or a kind within seconds.",
)
app.command("connectors.vault_cli:app", name="vault", help="Renew the key under which customers are kept.")
app.command("streams.up_cli:up", name="up", help="Start the whole system on this machine, with simulators.")
app.command(
    "streams.understanding:app",
    name="understand",
    help="Train and judge the understanding of answers, or apply it.",
)
app.command(
    "streams.dialogue_cli:app",
    name="dialogue",
    help="The voice agent's dialogue: its diagram, its scripted talks.",
)
app.command("streams.config_cli:app", name="config", help="What each process is told, and what it lacks.")
app.command("streams.doctor_cli:doctor", name="doctor", help="What is reachable, and what is wrong?")
app.command("streams.verifier.cli:verify", name="verify", help="Does what must hold, hold?")
app.command(
    "connectors.register.cli:migrate_command", name="migrate", help="Bring the database to this version."
)
app.command("connectors.register.cli:report_command", name="report", help="How well does it do?")
app.command("connectors.register.cli:trace_command", name="trace", help="What happened to this order?")


def main() -> None:
    """Run the command line; the exit code is 0, or 1 for a fault that the message explains."""
    result = app()
    if isinstance(result, int):
        sys.exit(result)


if __name__ == "__main__":
    main()
