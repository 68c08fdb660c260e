"""Quality before the labels come, learned from stored panes: what Prometheus, a pipeline's gate and
an experiment are told.
"""

import random

from daemon import configuration, run_program
from events import HOUR, MINUTE, START, label, prediction
from kafka import wait_until
from story import equal, short
from traffic import bucket

LEARNED = START + HOUR  # the reference is the hour before


def _send(daemon, events):
    answer = daemon.post("/api/v1/events", "\n".join(event.value for event in events).encode())
    equal(answer["rejected"], [], "rejected events")


def _labelled(seed=7, n=1800):
    """An hour whose scores are right: of those with score s a share of s is positive."""
    rng = random.Random(seed)
    made = []
    for i in range(n):
        score, ts = round(rng.random(), 3), START + i * 60 // n * MINUTE
        made.append(prediction(f"r{i}", ts, score=score, prediction=int(score >= 0.5)))
        made.append(label(f"r{i}", ts, int(rng.random() < score)))
    return made


def _unlabelled(name, start, n, low, version="v3"):
    """Predictions of score `low` or 1 - low, ten a second."""
    rng = random.Random(name)
    scores = [low if rng.random() < 0.5 else 1 - low for _ in range(n)]
    return [prediction(f"{name}{i}", start + 100 * i, version=version, score=s, prediction=int(s >= 0.5)) for i, s in enumerate(scores)]


def _model(reference):
    return {"name": "credit", "task": "binary", "positive": 1, "reference": reference}


def prometheus_and_a_gate_know_what_panes_teach(story):
    rules = [
        {"name": "poor", "model": "credit", "metric": "estimated_accuracy", "window": "5m", "below": 0.8, "min_count": 100},
        {"name": "predictions-moved", "model": "credit", "drift": "feature", "feature": "@prediction", "window": "5m"},
        {"name": "worse-than-it-was", "model": "credit", "metric": "estimated_accuracy", "window": "5m", "relative_to": "reference", "below": -0.1, "min_count": 100},
    ]
    daemon = story.daemon(configuration(models=[_model({"from": START, "to": LEARNED})], alerts=rules)).start()
    _send(daemon, _labelled())
    _send(daemon, _unlabelled("good", LEARNED, 3100, 0.05))
    _send(daemon, _unlabelled("end", LEARNED + 5 * MINUTE + 2000, 1, 0.05))
    gate = ["gate", "model", "credit", "--version", "v3", "--url", daemon.url]

    told = daemon.request("GET", "/metrics")[1]
    sure = daemon.get("/api/v1/gate/models/credit?version=v3&window=5m")
    code, out, _ = run_program(*gate)
    _send(daemon, _unlabelled("bad", LEARNED + 6 * MINUTE, 3100, 0.4))
    wait_until(lambda: daemon.get("/api/v1/gate/models/credit?version=v3&window=5m")["result"] == "fail", 20, "the rule to fire")
    poor_code = run_program(*gate)[0]
    fired = {item["rule"] for item in daemon.get("/api/v1/alerts")["items"] if item["state"] == "firing"}

    lines = dict(line.rsplit(" ", 1) for line in told.splitlines() if line.startswith("assay_model_estimated_"))
    answer = daemon.get(f"/api/v1/models/credit/metrics?metric=estimated_accuracy&window=5m&from={LEARNED}&to={LEARNED + 5 * MINUTE}&version=v3")
    point = answer["series"][0]["points"][0]
    assert 0.9 < point["value"] < 1 and point["labelled"] == 0, point
    for end, key in [("", "value"), ("_lower", "lower"), ("_upper", "upper")]:
        equal(float(lines[f'assay_model_estimated_accuracy{end}_ratio{{model="credit",version="v3"}}']), point[key], key)
    equal((sure["result"], code), ("pass", 0), (sure, out))
    equal(poor_code, 1)
    equal(fired, {"poor", "worse-than-it-was"})


@short
def an_experiment_is_held_by_what_panes_teach(story):
    metrics = [{"metric": "error_rate", "role": "guardrail", "margin_relative": 9.0}, {"metric": "estimated_accuracy", "role": "guardrail", "margin": 0.05}]
    experiment = {"name": "credit-v4", "model": "credit", "control": "v3", "treatment": "v4", "salt": "credit-v4", "metrics": metrics, "start": True,
                  "steps": [{"weight": 50, "min_duration": "2m"}, {"weight": 100, "min_duration": "10m"}], "noninferiority": "lenient", "holdback": 5}
    daemon = story.daemon(configuration(models=[_model({"trailing": "1h"})])).start()
    _send(daemon, _labelled())
    daemon.post("/api/v1/experiments", experiment)
    rng, sent = random.Random(4), iter(range(100000))

    def minutes_to(end):
        made = []
        while (at := LEARNED + 100 * (n := next(sent))) < end:
            treated = bucket("credit-v4", f"u{n}") < 0.5
            low = 0.35 if treated else 0.05
            score = low if rng.random() < 0.5 else 1 - low
            made.append(prediction(f"u{n}", at, version="v4" if treated else "v3", unit=f"u{n}", score=score, prediction=int(score >= 0.5)))
        _send(daemon, made)

    minutes_to(LEARNED + 3 * MINUTE)
    ends = iter(range(LEARNED + 3 * MINUTE + 1000, LEARNED + HOUR, 1000))

    def looked():  # a verdict is written once a second for people: time goes on until one is
        minutes_to(next(ends))
        return (daemon.get("/api/v1/experiments/credit-v4")["verdict"] or {}).get("decided_at", 0) >= LEARNED + 3 * MINUTE

    wait_until(looked, 20, "the last look")
    now = daemon.get("/api/v1/experiments/credit-v4")
    told = next(m for m in now["verdict"]["metrics"] if m["metric"] == "estimated_accuracy")

    equal((now["step"], now["verdict"]["verdict"], now["verdict"]["reason"]), (0, "hold", "estimated_accuracy, estimated without labels, is poor"))
    assert told["control"]["value"] > 0.9 and told["treatment"]["value"] < 0.75, told
