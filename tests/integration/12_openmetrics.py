"""The daemon's own health and the last values, as OpenMetrics and through plain SQL."""

import re
import shutil
import subprocess

from daemon import configuration
from database import query, totals
from events import START, stream
from kafka import wait_until
from story import equal


def _fed(story):
    kafka = story.kafka()
    topics = story.topics(kafka, stream(1000, seed=12, bad=0.02), 2)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"))).start()
    story.caught_up(daemon, kafka, topics)
    return daemon


def the_exposition_is_well_formed(story):
    daemon = _fed(story)

    status, text = daemon.request("GET", "/metrics")

    equal(status, 200)
    assert text.endswith("# EOF\n"), text[-200:]
    typed, seen = {}, set()
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, f"{name} has two TYPE lines"
            typed[name] = kind
        elif not line.startswith("# "):
            sample = re.fullmatch(r"([a-zA-Z_:][\w:]*)(\{.*\})? (NaN|[+-]?Inf|[-+0-9.eE]+)( .*)?", line)
            assert sample, f"not a sample: {line}"
            family = re.sub(r"_(total|bucket|count|sum|created|info)$", "", sample.group(1))
            assert sample.group(1) in typed or family in typed, f"no TYPE line for {line}"
            key = sample.group(1) + (sample.group(2) or "")
            assert key not in seen, f"{key} is there twice"
            seen.add(key)
            if sample.group(1).endswith("_total"):
                equal(typed[family], "counter", line)


def promtool_has_nothing_to_say_of_any_name(story):
    if not shutil.which("promtool"):
        story.skip("no promtool: run ./dev setup")
    settings = configuration()
    settings["models"][0]["metrics"] = [
        {"name": "clicks_total", "outcome": "click", "per": "prediction"},
        {"name": "predictions", "expr": "tp + fp"},
        {"name": "net_sum", "expr": "tp - fp"},
    ]
    daemon = story.daemon(settings).start()
    daemon.post("/api/v1/events", "\n".join(event.value for event in stream(2000, seed=12, label_delay_ms=1)).encode())

    _, text = daemon.request("GET", "/metrics", headers={"Accept": "text/plain"})

    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    equal((told.returncode, told.stdout + told.stderr), (0, ""))
    for name in ("predictions", "predictions_value", "clicks_total_value_ratio", "net_sum_value"):
        assert f"\nassay_model_{name}{{" in text, name


def the_identity_of_the_counters_is_exported(story):
    daemon = _fed(story)
    names = ("consumed", "folded", "duplicate", "dead_lettered", "late", "orphaned", "waiting")

    def own():  # of one scrape, which may be a moment behind the database
        found = daemon.own_metrics()
        return {name: found[f"assay_events_{name}" + ("" if name == "waiting" else "_total")] for name in names}

    wait_until(lambda: own()["consumed"] == totals(daemon.database)["consumed"], 30, "the counters to be told")
    told = own()

    equal(told["consumed"], sum(value for name, value in told.items() if name != "consumed"), str(told))
    assert told["dead_lettered"] > 0 and told["duplicate"] > 0, told


def any_sqlite_client_reads_the_values_by_a_view(story):
    daemon = _fed(story)
    sql = """SELECT start_ms, value, n FROM metric_values WHERE model = 'credit' AND version = 'v3'
             AND slice = '' AND level_ms = 60000 AND metric = 'accuracy' ORDER BY start_ms"""
    rest = daemon.points("credit", ["accuracy"], "1m", START, START + 7_200_000, version="v3")
    expected = [(start, p["value"], p["n"]) for (_, _, start), p in sorted(rest.items(), key=lambda i: i[0][2]) if p["n"]]

    wait_until(lambda: query(daemon.database, sql) == expected, 30, "the views to hold what REST says")
