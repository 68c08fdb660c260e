"""Streams of events from a seed: the same seed gives the same bytes, for ever.

A stream is a list of Event in arrival order. `kind` says which topic it belongs to, `key` is the
Kafka key (the id: so a prediction and its labels meet in the partition of the same number), `value`
the payload as text. What a stream does on purpose is in the parameters of `stream`; labels never
lie near the horizon, so that the order in which two topics are read decides nothing.
"""

import json
import random
from collections import namedtuple

Event = namedtuple("Event", "kind key value")

START = 1_699_999_200_000  # ms, a whole hour of the past
MINUTE = 60_000
HOUR = 60 * MINUTE
COUNTRIES = ["de", "fr", "pl", "se"]
CLASSES = ["cat", "dog", "fish", "newt"]


def text(event):
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def prediction(id, ts, model="credit", version="v3", **fields):
    return Event("predictions", id, text({"type": "prediction", "id": id, "ts": ts, "model": model, "version": version, **fields}))


def label(id, ts, label, **fields):
    return Event("labels", id, text({"type": "label", "id": id, "ts": ts, "label": label, **fields}))


def outcome(id, ts, name, value=1, **fields):
    return Event("labels", id, text({"type": "outcome", "id": id, "ts": ts, "name": name, "value": value, **fields}))


def _answer(task, random_):
    """(fields of the prediction, true label, a wrong label)"""
    if task == "binary":
        score = round(random_.betavariate(1.2, 1.8), 6)
        truth = int(random_.random() < score)
        return {"score": score, "prediction": int(score >= 0.5)}, truth, 1 - truth
    if task == "multiclass":
        weights = {c: random_.gammavariate(0.6, 1) + 1e-6 for c in CLASSES}
        total = sum(weights.values())
        scores = {c: w / total for c, w in weights.items()}  # not rounded: their sum is 1
        truth = random_.choices(CLASSES, [weights[c] for c in CLASSES])[0]
        wrong = random_.choice([c for c in CLASSES if c != truth])
        return {"scores": scores, "prediction": max(scores, key=scores.get)}, truth, wrong
    truth = round(random_.lognormvariate(8, 0.5), 2)
    return {"prediction": round(truth * random_.normalvariate(1, 0.1), 2)}, truth, round(truth * 3, 2)


def stream(
    n,
    seed=1,
    task="binary",
    model="credit",
    versions=("v3", "v4"),
    start=START,
    span_ms=2 * HOUR,
    label_delay_ms=10 * MINUTE,  # mean of an exponential one, at most six times that
    never=0.05,  # share of predictions that get no label
    duplicates=0.02,  # share sent again with other contents: the first counts
    corrections=0.02,  # share labelled wrong first: the last label counts
    early=0.01,  # share whose label comes before the prediction
    errors=0.01,  # share of failed requests
    outcomes=0.10,  # share with a click
    bad=0.0,  # share of events that are none, added
):
    """n predictions with all that happens to them, in arrival order."""
    rng = random.Random(f"{seed}/{task}/{n}")
    arriving = []  # (when, tie, Event)

    def arrive(when, event):
        arriving.append((when, len(arriving), event))

    for i in range(n):
        id = f"{model}-{seed}-{i:07d}"
        ts = start + i * span_ms // n + rng.randrange(-2000, 2000)
        ts = max(start, ts)
        fields, truth, wrong = _answer(task, rng)
        version = versions[0] if rng.random() < 0.6 or len(versions) == 1 else rng.choice(versions[1:])
        fields["latency_ms"] = round(rng.lognormvariate(2.5, 0.5), 3)
        fields["features"] = {
            "income": round(rng.lognormvariate(10, 0.6), 2),
            "city": rng.choice(["berlin", "paris", "gdansk"]),
            "vip": rng.random() < 0.1,
        }
        fields["segment"] = {"country": rng.choice(COUNTRIES)}
        failed = rng.random() < errors
        if failed:
            fields["error"] = "timeout"
        arrived = ts + rng.randrange(0, 4000)
        arrive(arrived, prediction(id, ts, model, version, **fields))
        if rng.random() < duplicates:
            again, _, _ = _answer(task, rng)
            arrive(arrived + rng.randrange(1, 30_000), prediction(id, ts + 1, model, version, **again))
        if rng.random() < outcomes:
            clicked = ts + rng.randrange(1000, 60_000)
            arrive(clicked + 10, outcome(id, clicked, "click"))
        if rng.random() < never:
            continue
        delay = int(min(rng.expovariate(1 / label_delay_ms), 6 * label_delay_ms)) + 1
        if rng.random() < early:
            arrive(ts - rng.randrange(1, 5000), label(id, ts + delay, truth))
        elif rng.random() < corrections:
            arrive(ts + delay, label(id, ts + delay, wrong))
            arrive(ts + delay + rng.randrange(1, 120_000), label(id, ts + delay + 60_000, truth))
        else:
            arrive(ts + delay, label(id, ts + delay, truth))
    for i in range(int(n * bad)):
        arrive(start + rng.randrange(0, span_ms), Event("predictions", f"bad-{i}", rng.choice(BAD)[1]))
    arriving.sort(key=lambda item: item[:2])
    return [event for _, _, event in arriving]


# (reason, payload): one of each kind that must be refused by name and never stop the flow.
BAD = [
    ("not_json", "{"),
    ("not_json", "hello"),
    ("not_json", '{"type":"prediction","id":"x1","ts":1700000400000,"model":"credit","version":"v3","score":NaN}'),
    ("not_json", "[" * 200 + "]" * 200),
    ("unknown_type", '{"type":"predict","id":"x2","ts":1700000400000,"model":"credit"}'),
    ("missing_id", '{"type":"prediction","ts":1700000400000,"model":"credit","version":"v3","score":0.5}'),
    ("missing_model", '{"type":"prediction","id":"x3","ts":1700000400000,"version":"v3","score":0.5}'),
    ("wrong_type", '{"type":"prediction","id":"x4","ts":1700000400000,"model":"credit","version":"v3","score":"high"}'),
    ("out_of_range", '{"type":"prediction","id":"x5","ts":1700000400000,"model":"credit","version":"v3","score":1.5}'),
    ("duplicate_key", '{"type":"label","id":"x6","id":"x7","ts":1700000400000,"label":1}'),
    ("too_large", '{"type":"prediction","id":"' + "i" * 300 + '","ts":1700000400000,"model":"credit","version":"v3"}'),
]


def by_kind(events):
    """{"predictions": [(key, value)…], "labels": […]} in order: what is written to each topic."""
    parts = {}
    for event in events:
        parts.setdefault(event.kind, []).append((event.key, event.value))
    return parts


def write_jsonl(path, events):
    with open(path, "w", encoding="utf-8") as out:
        for event in events:
            out.write(event.value + "\n")
    return path
