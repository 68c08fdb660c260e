"""`assay demo`, README's first command: one process shows history, Kafka, the page and a release."""

import json
import os
import re
import signal
import subprocess
import time

from daemon import PROGRAM, Daemon
from kafka import wait_until
from story import equal

HOUR = 3600_000


class Demo(Daemon):
    """A running `assay demo`: where it listens, and its broker, are what it prints."""

    def __init__(self, story):
        self.log_path = story.path("demo.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "demo", "--port", "0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        story.at_end(self.end)
        wait_until(lambda: "Ctrl-C ends it" in self.log(), 60, "the demo's address")
        self.broker = self._told("Kafka")

    @property
    def url(self):
        return self._told("Dashboard").rstrip("/")

    def _told(self, what):
        return next(line.split()[1] for line in self.log().splitlines() if line.split()[:1] == [what])

    def directory(self):
        """Where its database lies, by what the process has in its memory."""
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as maps:
            return re.search(r"(/\S+)/demo\.db-shm", maps.read()).group(1)

    def interrupt(self):
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def history_comes_from_an_embedded_kafka_that_others_can_read(story):
    demo = Demo(story)
    directory = demo.directory()
    began = time.time() * 1000

    wait_until(lambda: demo.get("/api/v1/models/credit")["joined"] > 1000, 60, "predictions with their labels")
    events = subprocess.run(
        ["kcat", "-C", "-b", demo.broker, "-t", "predictions", "-o", "beginning", "-c", "5", "-q"],
        capture_output=True, check=True, timeout=60, text=True,
    ).stdout.splitlines()
    page = demo.request("GET", "/")
    shown = demo.get(f"/api/v1/models/credit/metrics?metric=roc_auc,latency_p99&version=*&window=1h&from={began - 24 * HOUR:.0f}")

    equal([json.loads(line)["model"] for line in events], ["credit"] * 5)
    assert page[0] == 200 and "<title>Assay" in page[1], page
    first = next(p for s in shown["series"] if s["metric"] == "roc_auc" for p in s["points"] if p["value"] is not None)
    assert 0.6 < first["lower"] < first["value"] < first["upper"] < 0.9, first
    assert began - 25 * HOUR < first["start"] < began - 22 * HOUR, first
    equal([v["facts"]["framework"][:10] for v in demo.get("/api/v1/models/credit/versions")["items"]][:1], ["tensorflow"])
    equal(demo.interrupt(), 0, demo.log())
    assert not os.path.exists(directory), f"a demo leaves {directory} behind"


def the_release_is_rolled_back_by_itself_and_the_drift_is_seen(story):
    if not os.environ.get("ASSAY_NIGHTLY"):
        story.skip("takes minutes of real time: ./dev nightly")
    demo = Demo(story)
    release = "/api/v1/experiments/credit-v4"

    wait_until(lambda: demo.get(release)["state"] == "rolled_back", 900, "the rollback of v4")
    ended = demo.get(release)
    drift = demo.get("/api/v1/models/credit/drift?window=1h")
    firing = {item["rule"] for item in demo.get("/api/v1/alerts")["items"] if item["state"] == "firing"}

    equal((ended["weight"], ended["verdict"]["reason"]), (0, "guardrail error_rate: harm beyond harm_margin"))
    equal(ended["verdict"]["srm"]["status"], "ok")
    steps = [row["action"] for row in demo.get("/api/v1/audit")["items"] if row["subject"] == "credit-v4"]
    assert len(steps) >= 4, steps
    drifted = {f["feature"] for f in drift["features"] for p in f["points"] if p["drifted"]}
    assert "channel" in drifted and "age" not in drifted, drifted
    assert {"input-drift", "france-auc"} <= firing, firing
    equal(sum(p["lost"] for p in demo.get("/api/v1/system")["partitions"]), 0, "messages that the embedded Kafka dropped unread")
    equal(demo.interrupt(), 0, demo.log())
