"""SIGHUP changes how drift is decided, in answers and in alerts, without a restart; and how rates of bad values changed."""

import math
import random

from daemon import configuration
from events import START, HOUR, prediction, write_jsonl
from kafka import wait_until
from story import equal


def _post(daemon, events):
    status, text = daemon.request("POST", "/api/v1/events", "\n".join(event.value for event in events).encode())
    equal(status, 200, text)


def _income(name, n, at, mean, seed):
    rng = random.Random(seed)
    return [
        prediction(f"{name}{i}", at + i, score=0.5, prediction=1, features={"income": round(rng.gauss(mean, 100), 3)})
        for i in range(n)
    ]


def a_hangup_changes_what_is_called_drift(story):
    reference = story.path("reference.jsonl")
    write_jsonl(reference, _income("r", 3000, START, 1000, 1))
    model = {"name": "credit", "task": "binary", "reference": {"file": reference}, "drift": {"min_effect": 0.9}}
    rule = {"name": "drifted", "model": "credit", "drift": "any", "window": "1h"}
    daemon = story.daemon(configuration(models=[model], alerts=[rule])).start()
    _post(daemon, _income("p", 1000, START + 1000, 1050, 2))
    _post(daemon, _income("late", 1, START + HOUR + 1000, 1000, 3))

    def point():
        drift = daemon.get(f"/api/v1/models/credit/drift?feature=income&window=1h&from={START}&to={START + HOUR}")
        return drift["features"][0]["points"][0]

    def firing():
        return [item["data"]["name"] for item in daemon.get("/api/v1/alerts/history")["items"] if item["event"] == "firing"]

    before = point()
    assert before["p_value"] < 1e-6 and not before["drifted"], before
    equal(firing(), [])

    model["drift"]["min_effect"] = 0.05
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: point()["drifted"], 20, "the new min_effect to count in answers")
    equal(point()["statistic"], before["statistic"])
    _post(daemon, _income("later", 1, START + HOUR + 5000, 1000, 4))
    _post(daemon, _income("last", 1, START + HOUR + 9000, 1000, 5))
    wait_until(lambda: firing() == ["drifted"], 30, "the new min_effect to count in alerts")


def _wilson(bad, n):
    z = 1.959963984540054
    p, zz = bad / n, z * z / n
    middle, half = (p + zz / 2) / (1 + zz), z * math.sqrt(p * (1 - p) / n + zz / (4 * n)) / (1 + zz)
    return p, middle - half, middle + half


def _newcombe(bad, n, bad_now, n_now):
    before, low, high = _wilson(bad, n)
    now, low_now, high_now = _wilson(bad_now, n_now)
    return {
        "before": before,
        "now": now,
        "difference": now - before,
        "lower": now - before - math.hypot(now - low_now, high - before),
        "upper": now - before + math.hypot(high_now - now, before - low),
    }


def how_rates_of_bad_values_changed_is_told_with_newcombes_interval(story):
    """Missing, invalid (below the minimum) and beyond the reference's range: counted by hand."""
    def events(name, n, at, missing, invalid, beyond):
        made = []
        for i in range(n):
            income = -5 if missing <= i < missing + invalid else 9999 if i >= n - beyond else 100 + i % 50
            features = {"age": 30} if i < missing else {"age": 30, "income": income}
            made.append(prediction(f"{name}{i}", at + i, score=0.5, prediction=1, features=features))
        return made

    reference = story.path("reference.jsonl")
    write_jsonl(reference, events("r", 2000, START, 100, 20, 0))
    model = {"name": "credit", "task": "binary", "reference": {"file": reference}}
    model["features"] = {"income": {"type": "numeric", "min": 0}}
    daemon = story.daemon(configuration(models=[model])).start()
    _post(daemon, events("p", 1000, START + 1000, 120, 50, 30))

    drift = daemon.get(f"/api/v1/models/credit/drift?window=1h&from={START}&to={START + HOUR}")
    points = {feature["feature"]: feature["points"][0] for feature in drift["features"]}
    changes = points["income"]["changes"]
    equal(sorted(changes), ["invalid", "missing", "outside"])
    for name, expected in [
        ("missing", _newcombe(100, 2000, 120, 1000)),
        ("invalid", _newcombe(20, 2000, 50, 1000)),
        ("outside", _newcombe(0, 1880, 30, 830)),
    ]:
        for key, value in expected.items():
            assert abs(changes[name][key] - value) < 1e-12, (name, key, changes[name], expected)
    equal(points["age"]["changes"], {}, "nothing is bad there")
