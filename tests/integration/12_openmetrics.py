"""The daemon's own health and the last values, as OpenMetrics and through plain SQL."""

import re

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


def the_identity_of_the_counters_is_exported(story):
    daemon = _fed(story)

    own = {name: daemon.own(name) for name in ("consumed", "folded", "duplicate", "dead_lettered", "late")}
    own |= {name: daemon.own(name) for name in ("orphaned", "waiting")}

    equal(own["consumed"], sum(value for name, value in own.items() if name != "consumed"), str(own))
    equal(own["consumed"], totals(daemon.database)["consumed"])
    assert own["dead_lettered"] > 0 and own["duplicate"] > 0, own


def any_sqlite_client_reads_the_values_by_a_view(story):
    daemon = _fed(story)
    sql = """SELECT start_ms, value, n FROM metric_values WHERE model = 'credit' AND version = 'v3'
             AND slice = '' AND level_ms = 60000 AND metric = 'accuracy' ORDER BY start_ms"""
    rest = daemon.points("credit", ["accuracy"], "1m", START, START + 7_200_000, version="v3")
    expected = [(start, p["value"], p["n"]) for (_, _, start), p in sorted(rest.items(), key=lambda i: i[0][2]) if p["n"]]

    wait_until(lambda: query(daemon.database, sql) == expected, 30, "the views to hold what REST says")
