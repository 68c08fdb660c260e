"""The daemon is killed with SIGKILL at random moments. Rows F01 and F08."""

import os
import random

from daemon import configuration, models, wait_a_moment
from database import check_sound, offsets, query
from events import HOUR, START, stream, write_jsonl
from kafka import wait_until
from story import equal, long, short
from undisturbed import QUICK, Trickle, check_as_undisturbed

KILLS = int(os.environ.get("ASSAY_KILLS", 500 if os.environ.get("ASSAY_NIGHTLY") else 20))


def _referenced(story):
    """The model, with a labelled reference: drift, what is expected without labels, and all features together."""
    events = stream(4000, seed=5, versions=("v3",), start=START - 3 * HOUR, never=0, duplicates=0, corrections=0, early=0)
    return models(reference={"file": write_jsonl(story.path("reference.jsonl"), events)})


def _drift_and_estimates(daemon):
    """What the panes of six hours say beside their metrics, version by version."""
    told = {}
    for version in ("v3", "v4"):
        drift = daemon.get(f"/api/v1/models/credit/drift?version={version}&window=1h&from={START}&to={START + 6 * HOUR}")
        told[version] = {name: drift[name] for name in ("features", "multivariate", "multivariate_why")}
    names = ["estimated_accuracy", "estimated_roc_auc"]
    told["estimates"] = daemon.points("credit", names, "1h", START, START + 6 * HOUR)
    return told


def _leaves(value, path=""):
    """{where: what} of all that a nested answer holds, but for how often it was written."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        return {path: value}
    return {where: leaf for key, part in parts for where, leaf in _leaves(part, f"{path}/{key}").items() if key != "revision"}


def _check_drift_and_estimates(daemon, peaceful):
    got, expected = _drift_and_estimates(daemon), _drift_and_estimates(peaceful)
    for version in ("v3", "v4"):
        points = expected[version]["multivariate"]
        equal(len(points), 6, expected[version]["multivariate_why"])
        for point in points:
            assert point["domain_classifier"]["auc"] is not None and point["reconstruction_error"] is not None, point
    known = [point for point in expected["estimates"].values() if point["value"] is not None]
    assert len(known) >= 12, expected["estimates"]
    got, expected = _leaves(got), _leaves(expected)
    differ = [where for where in sorted({*got, *expected}) if got.get(where) != expected.get(where)]
    assert not differ, f"{len(differ)} of {len(expected)} differ: " + ", ".join(
        f"{where} {got.get(where)!r}, expected {expected.get(where)!r}" for where in differ[:10])


@long
def F01_killed_at_any_moment_every_window_is_as_if_undisturbed(story):
    """Binary, three partitions, duplicates and corrections on the way; waits for work, then kills.

    Not only the stored bits are those of an undisturbed run: so are drift, the domain classifier and the
    estimates that are read from them.
    """
    kafka = story.kafka()
    seed = int(os.environ.get("ASSAY_SEED", "50"))
    rng = random.Random(seed)
    events = stream(1500 * KILLS, seed=seed, span_ms=6 * HOUR, duplicates=0.05, corrections=0.05)
    topics = story.topics(kafka, events, 3, produce=False)
    more = {"models": _referenced(story)}
    settings = configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK}, **more)
    daemon = story.daemon(settings)
    flow = Trickle(kafka, topics, events, seconds=3.0 * KILLS)
    worked = 0

    for _ in range(KILLS):
        before = offsets(daemon.database)
        daemon.start(wait=False)
        if rng.random() < 0.8:  # the others die on the way up
            wait_until(lambda: offsets(daemon.database) != before, 60, "new events in the database")
            worked += 1
        wait_a_moment(rng.random() * 1.2)
        daemon.must_run()
        daemon.kill9()
    flow.finish()
    check_sound(daemon.database)
    daemon.start()

    peaceful = check_as_undisturbed(story, kafka, topics, daemon, **more)
    _check_drift_and_estimates(daemon, peaceful)
    print(f"{KILLS} kills, {worked} of them after new work, seed {seed}")
    assert worked > KILLS // 2


@short
def F01_killed_with_labels_still_to_come_the_join_goes_on(story):
    """Predictions first, kill, then their labels: what waits must have been in the database."""
    kafka = story.kafka()
    events = stream(3000, seed=51, early=0)
    topics = story.topics(kafka, [e for e in events if e.kind == "predictions"], 3)
    settings = configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK})
    daemon = story.daemon(settings).start()
    story.caught_up(daemon, kafka, topics)

    daemon.kill9()
    kafka.produce(list(topics)[1], [(e.key, e.value) for e in events if e.kind == "labels"])
    daemon.start()

    check_as_undisturbed(story, kafka, topics, daemon)
    joined = daemon.get("/api/v1/models/credit")["joined"]
    assert joined > 2500, joined


def a_kill_loses_nothing_that_was_answered_as_durable(story):
    settings = configuration()
    daemon = story.daemon(settings).start()
    events = stream(300, seed=52)
    for i in range(0, len(events), 50):
        accepted = daemon.post("/api/v1/events", "\n".join(e.value for e in events[i : i + 50]).encode())
        equal(accepted["rejected"], [])
        daemon.kill9()
        daemon.start()

    replayed = story.replay("replayed", settings, [write_jsonl(story.path("events.jsonl"), events)])

    counted = "SELECT json_extract(counts, '$.predictions'), json_extract(counts, '$.joined') FROM model_counts"
    equal(query(daemon.database, counted), query(replayed, counted))
