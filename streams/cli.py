"""The `saveline` command: one line per subcommand, each loaded only when it is called."""

import sys

from cyclopts import App

app = App(
    name="saveline", help="Saves grocery orders: asks in time, writes the answer back, keeps the proof."
)

app.command("schemas.cli:app", name="schemas")
app.command("state.cli:app", name="policy")
app.command("connectors.evidence.cli:app", name="evidence")
app.command("streams.connectors_cli:connectors", name="connectors")
app.command("streams.edge_cli:edge", name="edge")
app.command("streams.worker_cli:worker", name="worker")
app.command("streams.topics_cli:app", name="topics")
app.command("streams.up_cli:up", name="up")
app.command("streams.understanding:app", name="understand")
app.command("streams.dialogue_cli:app", name="dialogue")
app.command("streams.config_cli:app", name="config")
app.command("streams.doctor_cli:doctor", name="doctor")
app.command("verifier.cli:verify", name="verify")
app.command("connectors.register.cli:report_command", name="report")
app.command("connectors.register.cli:trace_command", name="trace")


def main() -> None:
    """Run the command line; the exit code is 0, or 1 for a fault that the message explains."""
    result = app()
    if isinstance(result, int):
        sys.exit(result)


if __name__ == "__main__":
    main()
