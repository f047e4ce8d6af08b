"""`make goldens` writes anew what is derived from the chart: topics, rights, secrets, README, and how it renders.

A golden render shows what a change does to each set of values; what is as in `minimal` is left out of the other sets.
Dashboards and alerts are only named: another test compares them with their files.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.helm import readme, rights, secrets, topics
from tests.helm.rendering import by_template, rendered, value_sets
from tests.streams.processes import ROOT

FOLDER = ROOT / "tests" / "helm" / "golden"


def goldens() -> dict[Path, str]:
    """Each file's text, by where it belongs."""
    plain = rendered(value_sets()["minimal"])
    found: dict[Path, str] = {}
    for name, values in value_sets().items():
        for template, objects in by_template(values).items():
            own = [_named(one) for one in objects if name == "minimal" or one not in plain]
            if own:
                text = yaml.safe_dump_all(own, sort_keys=False, default_flow_style=None, width=120)
                found[FOLDER / name / template] = text
    return found


def _named(one: dict[str, Any]) -> dict[str, Any]:
    match one["kind"]:
        case "ConfigMap":
            return one | {"data": dict.fromkeys(one["data"], "...")}
        case "PrometheusRule":
            rules = [rule["alert"] for group in one["spec"]["groups"] for rule in group["rules"]]
            return one | {"spec": {"alerts": rules}}
        case _:
            return one


def write() -> None:
    topics.FILE.write_text(topics.planned())
    rights.FILE.write_text(rights.planned())
    secrets.FILE.write_text(secrets.planned())
    readme.FILE.write_text(readme.written())
    wanted = goldens()
    for stale in set(FOLDER.rglob("*.yaml")) - set(wanted):
        stale.unlink()
    for file, text in wanted.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


if __name__ == "__main__":
    write()
