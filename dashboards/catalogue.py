"""Every dashboard there is, and where its JSON lies."""

from pathlib import Path

from dashboards.business import BUSINESS
from dashboards.connectors import CONNECTORS
from dashboards.edge import EDGE
from dashboards.engine import ENGINE
from dashboards.escalations import ESCALATIONS
from dashboards.panel import Dashboard

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "helm" / "saveline" / "files" / "dashboards"
PREVIEWS = ROOT / "docs" / "dashboards"
ALL: tuple[Dashboard, ...] = (BUSINESS, ESCALATIONS, ENGINE, CONNECTORS, EDGE)


def file_of(dashboard: Dashboard) -> Path:
    return FOLDER / f"{dashboard.uid}.json"
