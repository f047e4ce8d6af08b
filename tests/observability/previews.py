"""`make previews`: plays the demo under a Prometheus and draws every dashboard from its answers."""

import tempfile
from pathlib import Path

from connectors.clock import SystemClock
from dashboards.catalogue import ALL, PREVIEWS
from dashboards.drawing import draw
from tests.demo.__main__ import SETTINGS
from tests.demo.policies import PACE, hurried
from tests.observability.conftest import lived
from tests.world.stack import Stack

_ORDERS, _SECONDS = 200, 25.0
_STEP_S = 1.0


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="saveline-previews-"))
    stack = Stack(folder / "stack", policies=hurried, pace=PACE, settings=SETTINGS)
    stack.start()
    try:
        life = lived(stack, folder, _ORDERS, _SECONDS)
        # The last step has to come after the last scrape, wherever the steps fall.
        until_s = SystemClock().now().timestamp() + 3 * _STEP_S

        def ask(expression: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
            asked = expression.replace("$__rate_interval", "15s")
            found = life.prometheus.range(asked, life.began_s, until_s, _STEP_S)
            return [
                (one["metric"], [(float(at), float(value)) for at, value in one["values"]]) for one in found
            ]

        PREVIEWS.mkdir(exist_ok=True)
        for dashboard in ALL:
            draw(dashboard, ask, life.began_s, PREVIEWS / f"{dashboard.uid}.png")
        life.prometheus.stop()
    finally:
        stack.close()


if __name__ == "__main__":
    main()
