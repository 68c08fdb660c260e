"""Rules on data quality, on experiments and on the audit log, in the running daemon; the cause that a message names."""

import sqlite3

import alerting
from events import prediction
from kafka import wait_until
from story import equal


def _told(receiver, name):
    for said in receiver.bodies():
        for alert in said["data"].get("alerts", []):
            if alert["name"] == name and said["type"] == "alert.firing":
                return alert
    return None


def values_that_are_missing_are_told_with_the_feature(story):
    receiver = alerting.receiver(story)
    rules = [{"name": "gaps", "model": "credit", "quality": "missing", "above": 0.1, "window": "1m"}]
    daemon = story.daemon(alerting.settings(story, receiver, alerts=rules))
    daemon.start()
    minute = alerting.now() // 60000 * 60000 - 120000
    events = [
        prediction(f"p{i}", minute + i, score=0.5, prediction=1, features={"age": 3, "income": None if i % 2 else 5.0})
        for i in range(200)
    ]
    alerting.post(daemon, events + alerting.later("z", minute + 61000))

    wait_until(lambda: _told(receiver, "gaps"), 20, "the alert on missing values")

    alert = _told(receiver, "gaps")
    equal(alert["cause"], "feature income: 50% of its values are missing")
    assert alert["confidence"].startswith("95% interval 0.4314 to 0.5686, all of it beyond the level"), alert
    assert "/#/models/credit/drift?window=1m&" in alert["url"], alert["url"]


def a_message_names_the_slice_that_moved_and_its_share(story):
    receiver = alerting.receiver(story)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()
    now = alerting.now() // 300000 * 300000

    def some(prefix, at, country, n, failed):
        return [
            prediction(
                f"{prefix}{country}{i}", at + i, score=0.5, prediction=1, segment={"country": country},
                **({"error": "down"} if i < failed else {}),
            )
            for i in range(n)
        ]

    before = some("a", now - 420000, "de", 300, 3) + some("a", now - 419600, "fr", 300, 3)
    after = some("b", now - 100000, "de", 300, 270) + some("b", now - 99600, "fr", 300, 3)
    alerting.post(daemon, before)
    alerting.post(daemon, after + alerting.later("z", now - 90000))

    wait_until(lambda: _told(receiver, "errors"), 20, "the alert")

    cause = _told(receiver, "errors")["cause"]
    assert "country:de" in cause and "%" in cause, f"the cause is {cause!r}"


def a_rollback_and_a_broken_chain_of_the_audit_log_are_told(story):
    receiver = alerting.receiver(story)
    rules = [
        {"name": "rolled", "experiment": "any", "on": "rolled_back", "severity": "critical"},
        {"name": "tampered", "audit": "broken", "every": "1s"},
    ]
    daemon = story.daemon(alerting.settings(story, receiver, alerts=rules))
    daemon.start()
    alerting.post(daemon, alerting.predictions("p", 5, 0) + alerting.later("l", alerting.now()))
    experiment = {
        "name": "credit-v4", "model": "credit", "control": "v3", "treatment": "v4", "salt": "s",
        "steps": [{"weight": 5, "min_duration": "10m", "min_units": 2000}],
        "metrics": [{"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 0.5}],
        "start": True,
    }
    daemon.post("/api/v1/experiments", experiment)
    daemon.post("/api/v1/experiments/credit-v4/rollback", {"reason": "looks bad"})

    wait_until(lambda: _told(receiver, "rolled"), 30, "the alert on the rollback")
    alert = _told(receiver, "rolled")
    assert "experiment credit-v4 was rolled back: looks bad" in alert["summary"], alert

    with sqlite3.connect(daemon.database, timeout=10) as db:
        db.execute("UPDATE audit SET who = 'nobody' WHERE seq = 1")
    wait_until(lambda: _told(receiver, "tampered"), 30, "the alert on the audit log")
    assert "row 1" in _told(receiver, "tampered")["summary"], _told(receiver, "tampered")
    daemon.must_run()
