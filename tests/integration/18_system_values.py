"""What hosts say of themselves: system events and scraped Prometheus endpoints, per model version."""

import math
import random
import time
import urllib.parse
from collections import defaultdict

from daemon import configuration, models, run_program, yaml
from database import query, totals
from events import Event, HOUR, MINUTE, START, prediction, text
from exporter import Exporter
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


# --- scraping ---


BEGAN = time.monotonic()  # counters count real seconds: what a rate says does not depend on when it is scraped


def _node(_):
    """node_exporter: two CPUs, busy at 75%."""
    n = time.monotonic() - BEGAN
    return f"""# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{{cpu="0",mode="idle"}} {1000 + 0.25 * n}
node_cpu_seconds_total{{cpu="1",mode="idle"}} {2000 + 0.25 * n}
node_cpu_seconds_total{{cpu="1",mode="user"}} {5000 + n}
node_memory_MemTotal_bytes 8e+09
node_memory_MemAvailable_bytes 6e+09
"""


def _dcgm(n):
    return """DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",pod="credit-v3-7d9f-abc"} 80
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-2",pod="credit-v4-11aa-def"} 20
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-1",pod="credit-v3-7d9f-abc"} 1024
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1",pod="credit-v3-7d9f-abc"} 231.5
"""


def _serving(_):
    n = time.monotonic() - BEGAN
    return f""":tensorflow:serving:request_count{{model_name="credit",status="OK"}} {20 * n}
:tensorflow:serving:request_latency_sum{{model_name="credit",API="predict",entrypoint="REST"}} {20 * n * 3000}
:tensorflow:serving:request_latency_count{{model_name="credit",API="predict",entrypoint="REST"}} {20 * n}
"""


def _values(daemon):
    """{(version, metric): newest value} of what has come in the last hour."""
    asked = "gpu_utilization,cpu_utilization,memory_bytes," + ",".join(
        f'system{{name="{name}"}}' for name in ("gpu_memory_bytes", "power_watts", "request_rate", "request_latency_ms")
    )
    path = f"/api/v1/models/credit/metrics?version=*&window=1h&metric={urllib.parse.quote(asked)}"
    found = {}
    for series in daemon.get(path)["series"]:
        known = [p["value"] for p in series["points"] if p["value"] is not None]
        if known:
            found[series["version"], series["metric"]] = known[-1]
    return found


def _target(exporter, path, **more):
    made = {"url": exporter.url + path, "model": "credit", "interval": "1s", "timeout": "500ms", "allow_private": True}
    return {**made, **more}


@short
def exporters_are_scraped_and_their_values_become_metrics_of_the_version(story):
    exporter = Exporter({"/node": _node, "/dcgm": _dcgm, "/monitoring/prometheus/metrics": _serving})
    story.at_end(exporter.close)
    token = story.path("token")
    with open(token, "w", encoding="utf-8") as out:
        out.write("s3cret\n")
    by_pod = {"version_label": "pod", "version_pattern": "credit-{version}-*", "values": {"power_watts": "DCGM_FI_DEV_POWER_USAGE"}}
    scrape = [
        _target(exporter, "/node?key=hidden", version="v3", token_file=token),
        _target(exporter, "/dcgm", **by_pod),
        _target(exporter, "/monitoring/prometheus/metrics", version="v3"),
    ]
    daemon = story.daemon(configuration(scrape=scrape)).start()

    wait_until(lambda: ("v3", 'system{name="request_latency_ms"}') in _values(daemon), 30, "the second answers")
    wait_until(lambda: ("v3", "cpu_utilization") in _values(daemon), 30, "a rate of the CPU")
    got = _values(daemon)

    equal(got["v3", "memory_bytes"], 2e9)
    assert 0.5 < got["v3", "cpu_utilization"] < 0.95, got  # 0.75, and what passes between a request and its answer
    assert abs(got["v3", "gpu_utilization"] - 0.8) < 1e-9 and abs(got["v4", "gpu_utilization"] - 0.2) < 1e-9, got
    equal(got["v3", 'system{name="gpu_memory_bytes"}'], 2.0**30)
    equal(got["v3", 'system{name="power_watts"}'], 231.5)
    assert abs(got["v3", 'system{name="request_latency_ms"}'] - 3) < 1e-9, got
    assert 10 < got["v3", 'system{name="request_rate"}'] < 40, got
    equal(exporter.headers["/node"]["Authorization"], "Bearer s3cret")
    assert "application/openmetrics-text" in exporter.headers["/dcgm"]["Accept"], exporter.headers["/dcgm"]
    shown = daemon.request("GET", "/metrics")[1] + daemon.log()
    assert "s3cret" not in shown and "hidden" not in shown, "a secret is shown"
    equal(totals(daemon.database)["dead_lettered"], 0)


def endpoints_that_hang_stream_or_break_are_counted_and_hurt_nobody(story):
    page = "<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"
    fine = {"/comments": "# HELP a b\n# EOF\n", "/empty": ""}
    exporter = Exporter({"/node": _node, "/page": lambda _: page, **{p: lambda _, t=t: t for p, t in fine.items()}})
    story.at_end(exporter.close)
    bad = ["/hang", "/stream", "/huge", "/redirect", "/broken", "/page"]
    scrape = [_target(exporter, path, version="bad") for path in [*bad, *fine]]
    scrape += [_target(exporter, "/node", version="private", allow_private=False)]
    scrape += [{**_target(exporter, "/node", version="bad"), "url": "http://127.0.0.1:9/"}]
    scrape += [_target(exporter, "/node", version="good")]
    daemon = story.daemon(configuration(scrape=scrape)).start()

    def results(path, result):
        host = exporter.url.removeprefix("http://")
        name = f'assay_scrapes_total{{target="{host}{path}",model="credit",version="bad",result="{result}"}}'
        return daemon.own_metrics().get(name, 0)  # they begin a moment after /-/ready

    wait_until(lambda: all(results(p, "too_large" if p == "/huge" else "failed") >= 3 for p in bad), 60, "three failures each")

    equal([results(path, "ok") for path in ("/huge", "/page")], [0, 0])
    for path in fine:
        wait_until(lambda path=path: results(path, "ok") >= 1, 30, "an answer without samples")
        equal(results(path, "failed"), 0)
    wait_until(lambda: exporter.asked["/node"] >= 3, 30, "three scrapes of the good one")
    got = _values(daemon)
    equal({version for version, _ in got}, {"good"}, str(got))
    log = daemon.log()
    equal([log.count(f"{path}: ") for path in bad], [1] * len(bad), "each failure is told once: " + log)
    equal([line for line in log.splitlines() if any(f"{path}: " in line for path in fine)], [])
    told = [line for line in log.splitlines() if "/page: " in line]
    assert "<!DOCTYPE html>" in told[0] and "does url: lead to the metrics" in told[0], told
    assert "the address is private or reserved; allow_private: true permits private ones" in log, log
    assert daemon.memory_bytes() < 150 << 20, daemon.memory_bytes()
    equal(daemon.request("GET", "/-/ready")[0], 200)
    equal(daemon.terminate(timeout=10), 0)


def a_hangup_changes_what_is_scraped_and_check_names_what_is_wrong(story):
    exporter = Exporter({"/node": _node, "/dcgm": _dcgm})
    story.at_end(exporter.close)
    daemon = story.daemon(configuration(scrape=[_target(exporter, "/node", version="v3")])).start()
    wait_until(lambda: exporter.asked["/node"] >= 2, 30, "two scrapes")

    daemon.settings["scrape"] = [_target(exporter, "/dcgm", version="v4")]
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: exporter.asked["/dcgm"] >= 2, 30, "scrapes of the other")
    before = exporter.asked["/node"]
    wait_until(lambda: exporter.asked["/dcgm"] >= 5, 30, "more of them")

    equal(exporter.asked["/node"], before)
    complaints = {
        "version": {"version": "v1", "version_label": "pod"},
        "values.x": {"version": "v1", "values": {"x": "no series"}},
        "url": {"version": "v1", "url": "ftp://host/"},
    }
    for key, wrong in complaints.items():
        path = story.path("wrong.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(yaml(configuration(scrape=[{**_target(exporter, "/node"), **wrong}])))
        code, _, errors = run_program("check", path)
        assert code == 65, (code, errors)
        assert key in errors and "wrong.yaml:" in errors, errors
