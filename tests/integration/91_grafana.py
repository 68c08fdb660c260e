"""The Grafana dashboard asks a real Prometheus, which scrapes a live daemon: every query has an answer."""

import json
import os
import random
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

from daemon import configuration
from events import label, prediction
from kafka import ROOT, free_port, wait_until
from story import equal

DASHBOARD = os.path.join(ROOT, "deploy", "grafana", "assay-models.json")


def _fed(story):
    """Ten minutes of two versions that end now, so that a scrape finds five complete ones."""
    daemon = story.daemon(configuration()).start()
    chance = random.Random(91)
    now = int(time.time() * 1000)
    events = []
    for i in range(3000):
        at, score = now - 600_000 + i * 200, chance.random()
        fields = {"score": score, "prediction": int(score > 0.5), "latency_ms": 5 + 20 * chance.random()}
        events.append(prediction(f"p{i}", at, version=f"v{3 + i % 2}", **fields))
        events.append(label(f"p{i}", at + 150, int(chance.random() < score)))
    daemon.post("/api/v1/events", "\n".join(event.value for event in events).encode())
    return daemon


def _prometheus(story, daemon):
    program = shutil.which("prometheus")
    if not program:
        story.skip("prometheus is not installed: ./dev setup")
    port, config = free_port(), story.path("prometheus.yml")
    target = daemon.url.removeprefix("http://")
    with open(config, "w", encoding="utf-8") as out:
        job = {"job_name": "assay", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
        json.dump({"scrape_configs": [job]}, out)  # YAML's flow style
    with open(story.path("prometheus.log"), "wb") as log:
        process = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.tsdb.path={story.path('tsdb')}"]
            + [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            stdout=log,
            stderr=log,
        )
    story.at_end(lambda: (process.kill(), process.wait()))
    return f"http://127.0.0.1:{port}"


def _ask(prometheus, query):
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def _up(prometheus):
    try:
        found = _ask(prometheus, "up")
    except OSError:
        return False
    return bool(found) and found[0]["value"][1] == "1"


def every_query_of_the_dashboard_has_an_answer(story):
    daemon = _fed(story)
    prometheus = _prometheus(story, daemon)
    wait_until(lambda: _up(prometheus), 30, "Prometheus to have scraped the daemon")
    wait_until(lambda: _ask(prometheus, "rate(assay_events_folded_total[5m])"), 30, "a second scrape")
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)

    empty = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$model", "credit").replace("$version", ".*")
            if not _ask(prometheus, query):
                empty.append((panel["title"], query))

    equal(empty, [], "queries without an answer")
    for variable in dashboard["templating"]["list"][1:]:
        inner = variable["query"].removeprefix("label_values(").rsplit(",", 1)[0].replace("$model", "credit")
        assert _ask(prometheus, inner), variable
    widths = [panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in dashboard["panels"]]
    equal(max(widths), 24)
    equal(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]))


def prometheus_reads_the_interval_around_the_value(story):
    daemon = _fed(story)
    prometheus = _prometheus(story, daemon)
    wait_until(lambda: _up(prometheus), 30, "Prometheus to have scraped the daemon")

    ends = {}
    for name in ("assay_model_roc_auc_lower_ratio", "assay_model_roc_auc_ratio", "assay_model_roc_auc_upper_ratio"):
        for sample in _ask(prometheus, name):
            ends.setdefault(sample["metric"]["version"], []).append(float(sample["value"][1]))

    equal(sorted(ends), ["v3", "v4"])
    for version, (lower, value, upper) in ends.items():
        assert 0 <= lower < value < upper <= 1, (version, lower, value, upper)
