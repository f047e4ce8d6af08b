"""`saveline policy`: check, show and compare the policies."""

from cyclopts import App

app = App(name="policy", help="The policies: check, show, diff.")


@app.command
def check() -> int:
    """Every fault of every policy, by its path."""
    return 0
