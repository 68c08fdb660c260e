"""The car loans through a real Kafka: the alarm comes at the chunk where NannyML finds the change.

NannyML's own rule (mean ± 3 standard deviations of reference chunks) also calls noise in the first
five chunks; car_value, whose change is in the data, it calls from the sixth on, and so do we.
"""

import gzip
import json
import os

from daemon import configuration
from events import Event
from kafka import wait_until
from reference import reference_folder
from story import equal


def _load(story):
    folder, tried = reference_folder("monitoring", "car_loan")
    if not folder:
        story.skip(f"no reference data in {tried}")
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    events = []
    with gzip.open(os.path.join(folder, "events.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            kind = "predictions" if event["type"] == "prediction" else "labels"
            events.append(Event(kind, event["id"], line.rstrip("\n")))
    return folder, expected, events


def the_alarm_comes_at_the_chunk_where_nannyml_finds_it(story):
    folder, expected, events = _load(story)
    kafka = story.kafka()
    topics = story.topics(kafka, events, 3)
    model = {"name": "car_loan", "task": "binary", "positive": 1, "label_horizon": "7d"}
    model["reference"] = {"file": os.path.join(folder, "reference.jsonl.gz")}
    rules = [
        {"name": "any-input", "model": "car_loan", "drift": "any", "window": "1h"},
        {"name": "car-value", "model": "car_loan", "drift": "feature", "feature": "car_value", "window": "1h"},
    ]
    settings = configuration(kafka.brokers, list(topics), story.topic("group"), models=[model], alerts=rules)
    daemon = story.daemon(settings).start()
    first = next(
        window for window in expected["windows"]
        if window["drift"]["car_value"]["nannyml"]["kolmogorov_smirnov_alert"]
    )

    def fired():
        items = daemon.get("/api/v1/alerts/history?limit=1000")["items"]
        firing = [item for item in items if item["event"] == "firing"]
        return {item["data"]["name"]: item["at"] for item in reversed(firing)}  # the oldest of each counts

    wait_until(lambda: len(fired()) == 2, 120, "both alerts")
    for name, at in fired().items():
        assert first["end"] <= at < first["end"] + 60_000, (name, at, first["end"])
    windows = expected["windows"]
    theirs = [window["drift"]["car_value"]["nannyml"]["kolmogorov_smirnov_alert"] for window in windows]

    def ours():
        drift = daemon.get(f"/api/v1/models/car_loan/drift?feature=car_value&window=1h&from={windows[0]['start']}&to={windows[-1]['end']}")
        return [point["drifted"] for point in drift["features"][0]["points"]]

    wait_until(lambda: ours() == theirs, 60, f"all windows to be judged as NannyML does: {theirs}")
    equal(ours(), theirs)
