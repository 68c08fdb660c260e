"""What other tools are fed with: TensorBoard's own reader reads our event files, CSV and JSON of a model."""

import csv
import io
import json
import os
import re
import subprocess

from daemon import Offline, configuration, run_program
from events import HOUR, MINUTE, START, label, prediction, stream, write_jsonl
from kafka import ROOT, free_port, wait_until
from story import equal

PYTHON = os.path.join(ROOT, ".cache", "venv", "bin", "python")
READER = os.path.join(ROOT, "tests", "lib", "read_events.py")


def _read(story, logdir):
    if subprocess.run([PYTHON, "-c", "import tensorboard"], capture_output=True, check=False).returncode:
        story.skip("the package tensorboard is not installed: ./dev setup")
    done = subprocess.run([PYTHON, READER, logdir], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _replayed(story, **sections):
    events = write_jsonl(story.path("events.jsonl"), stream(3000, seed=90))
    return story.replay("assay", configuration(**sections), [events])


def _export(database, *arguments):
    code, output, errors = run_program("export", *arguments, "--db", database)
    equal(code, 0, errors)
    return output, errors


def tensorboard_reads_what_was_exported_and_it_is_what_the_api_says(story):
    database = _replayed(story)
    logdir = story.path("runs")

    _export(database, "tensorboard", "--logdir", logdir, "--window", "1h")

    runs = _read(story, logdir)
    equal(sorted(runs), ["credit/v3", "credit/v4"])
    names = ["roc_auc", "accuracy", "count", "latency_p99", "error_rate"]
    tags = ["metrics/roc_auc", "metrics/accuracy", "metrics/count", "system/latency_p99_ms", "system/error_rate"]
    for version in ("v3", "v4"):
        points = Offline(database).points("credit", names, "1h", START - START % HOUR, START + 2 * HOUR, version=version)
        told = runs[f"credit/{version}"]
        for name, tag in zip(names, tags):
            expected = {
                start // HOUR: ((start + HOUR) / 1000, point["value"])
                for (_, metric, start), point in points.items()
                if metric == name and point["value"] is not None
            }
            equal({step: wall for step, wall, _ in told[tag]}, {s: wall for s, (wall, _) in expected.items()}, tag)
            for step, _, value in told[tag]:
                assert abs(value - expected[step][1]) <= 1e-6 * abs(expected[step][1]), (tag, step, value, expected)
            assert len(told[tag]) >= 2, told[tag]


def a_histogram_of_each_numeric_feature_holds_its_values(story):
    database = _replayed(story)
    logdir = story.path("runs")
    _export(database, "tensorboard", "--logdir", logdir)

    told = _read(story, logdir)["credit/v3"]

    counts = {step: value for step, _, value in told["metrics/count"]}
    missing = {step: value for step, _, value in told["drift/income/missing_rate"]}
    for step, _, buckets in told["features/income"]:
        assert all(left < right for left, right, _ in buckets), buckets
        held = sum(n for _, _, n in buckets)
        assert abs(held - counts[step] * (1 - missing[step])) <= 0.02 * counts[step], (held, counts[step])


def exporting_again_adds_only_what_is_new(story):
    database = _replayed(story)
    logdir = story.path("runs")
    middle = str(START - START % HOUR + HOUR)

    _, first = _export(database, "tensorboard", "--logdir", logdir, "--to", middle)
    _, second = _export(database, "tensorboard", "--logdir", logdir)
    _, third = _export(database, "tensorboard", "--logdir", logdir)

    assert "2 windows written" in first, first  # one of each version
    assert "0 windows" not in second and "0 windows" in third, (second, third)
    for tags in _read(story, logdir).values():
        steps = [step for step, _, _ in tags["metrics/count"]]
        equal(steps, sorted(set(steps)), "each window once")
    code, _, errors = run_program("export", "tensorboard", "--logdir", logdir, "--window", "5m", "--db", database)
    equal(code, 64)
    assert "was written with windows of 60 min, not 5 min" in errors, errors


def names_of_models_and_versions_cannot_leave_the_logdir(story):
    hostile = [("../../up", ".."), ("a/b", "v 1"), (".hidden", "v%1")]
    events = [
        prediction(f"{i}-{k}", START + k * MINUTE, model=model, version=version, score=0.5)
        for i, (model, version) in enumerate(hostile)
        for k in range(200)
    ]
    path = write_jsonl(story.path("hostile.jsonl"), events)
    database = story.replay("assay", configuration(models=[], auto_models={"task": "binary"}), [path])
    logdir = story.path("deep/er/runs")

    _export(database, "tensorboard", "--logdir", logdir)

    runs = sorted(_read(story, logdir))
    equal(runs, ["%2e.%2f..%2fup/%2e.", "%2ehidden/v%251", "a%2fb/v%201"])
    equal(sorted(os.listdir(story.path("deep"))), ["er"])
    equal(sorted(os.listdir(story.path("deep/er"))), ["runs"])


def a_live_sink_writes_each_window_once_over_a_kill(story):
    sink = {"type": "tensorboard", "logdir": "runs", "window": "1m", "delay": "1m"}
    daemon = story.daemon(configuration(sinks=[sink])).start()
    logdir = os.path.join(daemon.folder, "runs")

    def feed(first, last):
        for i in range(first, last):
            batch = [prediction(f"p{i}-{k}", START + i * MINUTE + k * 1000, score=k / 60) for k in range(60)]
            batch += [label(f"p{i}-{k}", START + i * MINUTE + k * 1000 + 500, k % 2) for k in range(60)]
            daemon.post("/api/v1/events", "\n".join(e.value for e in batch).encode())

    def steps():
        return [step - START // MINUTE for step, _, _ in _read(story, logdir)["credit/v3"]["metrics/count"]]

    feed(0, 6)
    wait_until(lambda: os.path.exists(os.path.join(logdir, "credit", "v3", "assay.position")), 20, "the first window")
    wait_until(lambda: steps()[-1:] == [3], 20, "all windows but those that wait for labels")
    daemon.kill9()
    daemon.start()
    feed(6, 9)
    wait_until(lambda: steps()[-1:] == [6], 20, "the windows after the kill")

    equal(steps(), list(range(7)), "each window once, in order")
    values = _read(story, logdir)["credit/v3"]
    equal([value for _, _, value in values["metrics/count"]], [60.0] * 7)
    equal([value for _, _, value in values["metrics/labelled_rate"]], [1.0] * 7)
    status, text = daemon.request("GET", "/metrics")
    assert 'assay_sink_errors_total{sink="tensorboard",index="0"} 0' in text, text[-500:]


def a_sink_that_cannot_write_says_so_and_holds_nothing_up(story):
    sink = {"type": "tensorboard", "logdir": "/proc/no/such", "window": "1m", "delay": "0s"}
    daemon = story.daemon(configuration(sinks=[sink])).start()
    events = [prediction(f"p{i}", START + i * 1000, score=0.5) for i in range(300)]

    daemon.post("/api/v1/events", "\n".join(e.value for e in events).encode())

    wait_until(lambda: "sink tensorboard: /proc/no: " in daemon.log(), 20, "the log to say it")
    equal(daemon.is_ready(), True)
    equal(daemon.get("/api/v1/models")["items"][0]["predictions"], 300)


def a_sink_that_is_not_there_is_refused_by_name(story):
    cases = [
        ({"type": "mlflow"}, "sinks[0].type: only tensorboard is in this version"),
        ({"type": "tensorboard"}, "sinks[0].logdir: is missing"),
        ({"type": "tensorboard", "logdir": "x", "windw": "1h"}, "did you mean window"),
        ({"type": "tensorboard", "logdir": "x", "window": "90s"}, "sinks[0].window: must be a multiple of 1m"),
        ({"type": "tensorboard", "logdir": "x", "model": "nobody"}, "no model of this name"),
    ]
    for sink, message in cases:
        path = story.daemon(configuration(sinks=[sink]), name=f"d{len(message)}").write_configuration()
        code, _, errors = run_program("check", path)
        equal(code, 65, errors)
        assert message in errors, errors


def csv_and_json_say_the_same_as_the_api(story):
    database = _replayed(story)
    span = ["--model", "credit", "--metric", "roc_auc,f1", "--from", str(START), "--to", str(START + 2 * HOUR)]

    table, _ = _export(database, "csv", *span)
    answer, _ = _export(database, "json", *span)

    rows = list(csv.DictReader(io.StringIO(table)))
    expected = [
        (series["version"], series["metric"], point["start"], point["value"])
        for series in json.loads(answer)["series"]
        for point in series["points"]
    ]
    got = [
        (row["version"], row["metric"], int(row["start"]), float(row["value"]) if row["value"] else None) for row in rows
    ]
    equal(sorted(got, key=str), sorted(expected, key=str))
    assert {version for version, *_ in got} == {"v3", "v4"}, got[:3]


def what_waits_for_a_receiver_that_is_away_is_in_the_metrics(story):
    daemon = story.daemon(
        configuration(
            alerts=[{"name": "low", "model": "credit", "metric": "accuracy", "window": "1m", "below": 0.99}],
            receivers=[
                {"name": "oncall", "type": "webhook", "url": f"http://127.0.0.1:{free_port()}/", "allow_private": True}
            ],
            route={"receiver": "oncall", "group_wait": "0s"},
        )
    ).start()
    events = [prediction(f"p{i}", START + i * 500, score=0.9, prediction=1) for i in range(400)]
    events += [label(f"p{i}", START + i * 500 + 100, i % 2) for i in range(400)]

    daemon.post("/api/v1/events", "\n".join(e.value for e in events).encode())

    def told(name):
        _, text = daemon.request("GET", "/metrics")
        found = re.search(rf'^{name}{{receiver="oncall"}} (\S+)$', text, re.M)
        return found and float(found.group(1))

    wait_until(lambda: told("assay_notifications_waiting") == 1, 20, "one notification that waits")
    assert 0 <= told("assay_notifications_oldest_seconds") < 120, daemon.request("GET", "/metrics")[1]
