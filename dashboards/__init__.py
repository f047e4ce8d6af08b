"""The dashboards as code: one file each, written as JSON for Grafana and drawn for the docs from the same queries."""
