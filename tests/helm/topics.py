"""`python -m tests.helm.topics` writes the chart's list of topics anew, from the product's own plan."""

import json

from streams.topics import wanted_topics
from tests.streams.processes import ROOT

FILE = ROOT / "helm" / "saveline" / "files" / "topics.json"
# By the number of copies, which the values name.
_COMPUTED = "min.insync.replicas"


def planned() -> str:
    topics = [
        {
            "name": one.name,
            "upstream": one.upstream,
            "config": {name: value for name, value in one.config.items() if name != _COMPUTED},
        }
        for one in wanted_topics(app="APP")
    ]
    return json.dumps(topics, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(planned())
