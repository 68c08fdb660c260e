"""DELETE /models/M: everything of one model goes, nothing of the others, and the daemon goes on."""

import json
import sqlite3
import urllib.parse

import database
from daemon import configuration, models, run_program
from events import by_kind, label, prediction
from kafka import wait_until
from story import equal, short

HOUR = 1700006400000


def _events(model, n, at=HOUR, prefix=""):
    made = []
    for i in range(n):
        name, ts = f"{prefix}{model}{i}", at + i * 100
        segment = {"country": f"{model}-land"}
        made.append(prediction(name, ts, model=model, score=0.9, prediction=1, segment=segment, features={"age": i}))
        if i % 2:
            made.append(label(name, ts + 1000, i % 4 == 1))
    return made


def _counts(daemon, model):
    found = [m for m in daemon.get("/api/v1/models")["items"] if m["name"] == model]
    return [(m["predictions"], m["labels"], m["pending"]) for m in found]


def _windows(daemon, model):
    return daemon.points(model, ["count", "accuracy"], "1m", HOUR, HOUR + 600000, version=None)


@short
def one_model_goes_and_the_others_stay(story):
    kafka = story.kafka()
    bad = prediction("refused", HOUR, model="credit", score=7)
    events = _events("credit", 40) + _events("churn", 40) + [bad]
    topics = story.topics(kafka, events, 2)
    settings = configuration(
        kafka.brokers, list(topics), story.topic("group"), models=models(), auto_models={"task": "binary"}
    )
    daemon = story.daemon(settings).start()
    story.caught_up(daemon, kafka, topics)
    daemon.post("/api/v1/experiments", {
        "name": "x", "model": "churn", "control": "v3", "treatment": "v4", "salt": "s", "start": True,
        "steps": [{"weight": 5, "min_duration": "10m", "min_units": 2000}],
        "metrics": [{"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 0.5}],
    })
    before = _windows(daemon, "credit")
    equal(_counts(daemon, "churn"), [(40, 20, 20)])

    # not while an experiment runs on it, nor a model that is not there
    status, text = daemon.request("DELETE", "/api/v1/models/churn")
    equal((status, json.loads(text)["detail"]), (409, "model churn: experiment x is running: roll it back or promote it first"))
    equal(daemon.request("DELETE", "/api/v1/models/chrun")[0], 404)
    equal(_counts(daemon, "churn"), [(40, 20, 20)])
    daemon.post("/api/v1/experiments/x/rollback", {"reason": "enough"})

    status, text = daemon.request("DELETE", "/api/v1/models/churn")
    equal((status, json.loads(text)), (200, {"model": "churn", "series": 1, "windows": 1, "dead_letters": 0}))

    equal(_counts(daemon, "churn"), [])
    equal(daemon.request("GET", "/api/v1/models/churn/metrics?metric=count")[0], 404)
    equal(_windows(daemon, "credit"), before)
    equal(_counts(daemon, "credit"), [(40, 20, 20)])
    last = daemon.get("/api/v1/audit?after=0&limit=1000")["items"][-1]
    equal((last["action"], last["subject"]), ("model.erase", "churn"))

    # what comes again begins anew; a label of what was erased finds no prediction
    more = _events("churn", 10, HOUR + 60000, "new") + [label("churn0", HOUR + 61000, 1), label("credit0", HOUR + 61000, 1)]
    for topic, part in zip(topics, by_kind(more).values()):
        kafka.produce(topic, part)
    story.caught_up(daemon, kafka, topics)
    wait_until(lambda: _counts(daemon, "churn") == [(10, 5, 5)], 20, "the model that came again")
    equal(_counts(daemon, "credit"), [(40, 21, 19)])

    # a configured model stays known, empty; the text of its events is nowhere in the file
    status, text = daemon.request("DELETE", "/api/v1/models/credit")
    equal((status, json.loads(text)["dead_letters"]), (200, 1))
    wait_until(lambda: _counts(daemon, "credit") == [(0, 0, 0)], 20, "the configured model")
    empty = daemon.get("/api/v1/models/credit")
    equal((empty["last_event"], empty["lag"], empty["versions"]), (None, None, []))
    equal(daemon.get("/api/v1/dead-letters")["items"], [])
    windows = _windows(daemon, "churn")
    equal(daemon.terminate(), 0)
    database.check_identity(daemon.database)
    equal(run_program("verify", daemon.database)[0], 0)
    with sqlite3.connect(daemon.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with open(daemon.database, "rb") as file:
        assert b"credit-land" not in file.read()
    daemon.start()
    equal(_windows(daemon, "churn"), windows)
    equal(_counts(daemon, "churn"), [(10, 5, 5)])
