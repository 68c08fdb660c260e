"""Real data through Kafka: every window shows what scikit-learn and Keras computed.

The streams lie beside the project (../shared/reference/monitoring); their README says what they do
on purpose: duplicates, labels that never come, corrections, labels before predictions.
"""

import gzip
import json
import os

from daemon import Offline, configuration
from database import totals
from events import Event
from reference import reference_folder
from story import equal

SKETCHED = ("_p10", "_p50", "_p90", "_p99", "median_absolute_error")  # within 1%
AREAS = ("roc_auc", "pr_auc")  # within their error bound, and that is at most 1e-3
# Windows of the file that are no metric of ours: variants kept for comparison.
OTHERS = {"ece_15", "ece_equal_mass_10", "dice_positive", "keras", "labelled"}


def _load(story, name):
    folder, tried = reference_folder("monitoring", name)
    if not folder:
        story.skip(f"no reference data in {tried}")
    with open(f"{folder}/expected.json", encoding="utf-8") as file:
        expected = json.load(file)
    events = []
    with gzip.open(f"{folder}/events.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            kind = "predictions" if event["type"] == "prediction" else "labels"
            events.append(Event(kind, event["id"], line.rstrip("\n")))
    return expected, events


def _fault(name, point, expected):
    got, bound = point["value"], point["error_bound"] or 0
    if got is None:
        return f"null, expected {expected!r}"
    if name.endswith(SKETCHED):
        return None if abs(got - expected) <= 0.01 * abs(expected) + bound else f"{got!r}, expected {expected!r}"
    if name in AREAS and bound > 1e-3:
        return f"error_bound {bound}"
    if abs(got - expected) > 1e-9 * max(1, abs(expected)) + bound:
        return f"{got!r}, expected {expected!r}, error_bound {bound}"
    return None


def _check(asked, expected):
    model, windows = expected["model"], expected["windows"]
    names = sorted(set(windows[0]["metrics"]) - OTHERS)
    points = asked.points(model, names, "1h", windows[0]["start"], windows[-1]["end"], version="v1")
    wrong, compared = [], 0
    for window in windows:
        for name in names:
            point = points["v1", name, window["start"]]
            compared += 1
            fault = _fault(name, point, window["metrics"][name])
            if (point["n"], point["labelled"]) != (window["n"], window["labelled"]):
                fault = f"n {point['n']}, labelled {point['labelled']}"
            if fault:
                wrong.append(f"{window['start']} {name}: {fault}")
    assert not wrong, f"{len(wrong)} of {compared} values are wrong:\n" + "\n".join(wrong[:40])
    print(f"{compared} values agree")


def _through_kafka(story, name, model):
    kafka = story.kafka()
    expected, events = _load(story, name)
    topics = story.topics(kafka, events, 3)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), models=[model])).start()
    story.caught_up(daemon, kafka, topics)
    _check(daemon, expected)
    counted = totals(daemon.database)
    equal(counted["consumed"], expected["stream"]["lines"])
    equal(counted["duplicate"], expected["stream"]["duplicates"])
    equal(counted["dead_lettered"], 0)


def the_car_loans_through_kafka_show_scikit_learns_values(story):
    _through_kafka(story, "car_loan", {"name": "car_loan", "task": "binary", "positive": 1, "label_horizon": "7d"})


def the_car_prices_through_kafka_show_scikit_learns_values(story):
    _through_kafka(story, "car_price", {"name": "car_price", "task": "regression", "label_horizon": "7d"})


def the_car_loans_replayed_from_the_packed_file_show_them_too(story):
    expected, _ = _load(story, "car_loan")
    packed = os.path.join(reference_folder("monitoring", "car_loan")[0], "events.jsonl.gz")
    settings = configuration(models=[{"name": "car_loan", "task": "binary", "positive": 1, "label_horizon": "7d"}])

    database = story.replay("replayed", settings, [packed])

    _check(Offline(database), expected)
