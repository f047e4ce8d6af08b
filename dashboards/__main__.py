"""`make dashboards`: writes each dashboard's JSON for the chart."""

from dashboards.catalogue import ALL, FOLDER, file_of
from dashboards.grafana import as_json

FOLDER.mkdir(parents=True, exist_ok=True)
for dashboard in ALL:
    file_of(dashboard).write_text(as_json(dashboard))
