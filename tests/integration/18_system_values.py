"""What hosts say of themselves: system events, per model version, on every surface."""

import math
import random
from collections import defaultdict

from daemon import configuration, models
from database import query, totals
from events import Event, HOUR, MINUTE, START, prediction, text
from kafka import wait_until
from story import equal, short
from undisturbed import check_as_undisturbed

NAMES = ["gpu_utilization", "cpu_utilization", "memory_bytes", 'system{name="power_watts"}']


def _system(ts, version, values, host="a1"):
    event = {"type": "system", "ts": ts, "model": "credit", "version": version, "host": host, "values": values}
    return Event("predictions", host, text(event))


def system_events_are_means_by_version_and_survive_a_kill(story):
    kafka = story.kafka()
    rng = random.Random(18)
    events, told = [], defaultdict(list)
    for i in range(4000):
        ts, version = START + i * 500, rng.choice(["v3", "v4"])
        values = {"gpu_utilization": rng.random(), "cpu_utilization": rng.random()}
        values |= {"memory_bytes": rng.randrange(10**10), "power_watts": rng.uniform(50, 300)}
        values |= {"unknown_yet": None}
        events.append(_system(ts, version, values, rng.choice(["a1", "b2"])))
        for column, value in enumerate(list(values.values())[:4]):
            told[version, ts // MINUTE * MINUTE, column].append(value)
        if i % 10 == 0:
            events.append(prediction(f"p{i}", ts, score=0.5, prediction=1))
    topics = story.topics(kafka, events, 2)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"))).start()
    wait_until(lambda: totals(daemon.database)["consumed"] > 0, 30, "a commit")
    daemon.kill9()
    daemon.start()
    check_as_undisturbed(story, kafka, topics, daemon)

    points = daemon.points("credit", NAMES, "1m", START, START + HOUR)

    for (version, start, column), values in told.items():
        got = points[version, NAMES[column], start]
        assert math.isclose(got["value"], math.fsum(values) / len(values), rel_tol=1e-12), (got, version, start)
        equal((got["lower"], got["upper"], got["error_bound"]), (None, None, 0))
    shown = daemon.get("/api/v1/models/credit")
    equal(set(NAMES) <= set(shown["main_metrics"]), True, shown["main_metrics"])
    assert 'system{name="unknown_yet"}' not in shown["main_metrics"], shown["main_metrics"]


@short
def a_busy_gpu_fires_an_alert_and_is_in_openmetrics_and_sql(story):
    rule = {"name": "gpu-busy", "model": "credit", "version": "v3", "metric": "gpu_utilization", "window": "1m", "above": 0.9}
    daemon = story.daemon(configuration(models=models(), alerts=[rule])).start()
    events = [_system(START + i * 1000, "v3", {"gpu_utilization": 0.95, "memory_bytes": 2.0**30}) for i in range(60)]
    events += [prediction("later", START + 2 * MINUTE, score=0.5)]

    daemon.post("/api/v1/events", "\n".join(event.value for event in events).encode())

    fired = lambda: any(e["data"]["name"] == "gpu-busy" for e in daemon.get("/api/v1/alerts/history")["items"])  # noqa: E731
    wait_until(fired, 30, "the alert")
    metrics = daemon.request("GET", "/metrics")[1]
    assert 'assay_model_gpu_utilization_ratio{model="credit",version="v3"} 0.95' in metrics, metrics[-3000:]
    assert 'assay_model_memory_bytes{model="credit",version="v3"} 1073741824' in metrics, metrics[-3000:]
    sql = "SELECT value FROM metric_values WHERE metric = 'gpu_utilization' AND start_ms = ? AND level_ms = 60000 AND slice = ''"
    wait_until(lambda: query(daemon.database, sql, START) == [(0.95,)], 30, "the view's value")
