"""An alert is a row before it is a request: told once, in order, over failures and kills.

Rows F46 and F47, and the first figures of docs/alerts.md.
"""

import time

import alerting
from events import MINUTE, write_jsonl
from kafka import wait_until
from receiver import signature
from story import equal, short


@short
def a_bad_release_is_told_within_seconds_and_signed(story):
    receiver = alerting.receiver(story)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()

    alerting.harm(daemon)

    wait_until(lambda: receiver.taken, 20, "the notification")
    headers, body = receiver.taken[0]
    said = receiver.bodies()[0]
    equal(said["type"], "alert.firing")
    alert = said["data"]["alerts"][0]
    equal((alert["name"], alert["status"], alert["model"]), ("errors", "firing", "credit"))
    assert alert["value"] > 0.9, alert
    low = {key.lower(): value for key, value in headers.items()}
    equal(low["webhook-signature"], signature(alerting.SECRET, headers, body))
    firing = daemon.get("/api/v1/alerts")["items"]
    equal([(a["rule"], a["state"]) for a in firing], [("errors", "firing")])
    deliveries = daemon.get("/api/v1/deliveries")["items"]
    equal([(d["state"], d["status"]) for d in deliveries], [("sent", 200)])


def F46_failures_are_retried_with_the_same_id_and_in_order(story):
    def answer(request, n):
        return [500, 429, alerting.reset, 503, 200][n] if n < 5 else 200

    receiver = alerting.receiver(story, answer)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()

    alerting.harm(daemon)
    wait_until(lambda: daemon.get("/api/v1/alerts")["items"], 20, "the alert")
    alerting.heal(daemon)

    wait_until(lambda: len(receiver.taken) >= 2, 90, "both notifications")
    ids = [headers["webhook-id"] for _, headers, _ in receiver.attempts]
    equal(len(set(ids[:5])), 1, "the first message keeps its id over its attempts")
    equal([said["type"] for said in receiver.bodies()], ["alert.firing", "alert.resolved"])


def F46_other_4xx_fail_for_good_are_shown_and_can_be_sent_again(story):
    wanted = {"status": 404}
    receiver = alerting.receiver(story, lambda request, n: wanted["status"])
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()
    alerting.harm(daemon)

    def failed():
        rows = daemon.get("/api/v1/deliveries")["items"]
        return rows and rows[0]["state"] == "failed" and rows[0]

    row = wait_until(failed, 20, "the failure") or failed()
    equal((row["status"], len(receiver.attempts)), (404, 1))
    wanted["status"] = 200
    daemon.request("POST", f"/api/v1/deliveries/{row['id']}/again", {})
    wait_until(lambda: receiver.taken, 20, "the message sent by hand")
    equal(receiver.taken[0][0]["webhook-id"], row["webhook_id"])


def F46_an_answer_that_never_ends_or_is_huge_costs_nothing(story):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    receiver = alerting.receiver(story, lambda request, n: endless)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()
    alerting.harm(daemon)

    def sent():
        rows = daemon.get("/api/v1/deliveries")["items"]
        return rows and rows[0]["state"] == "sent"

    wait_until(sent, 30, "the status to count")


def F46_a_dead_receiver_delays_no_other(story):
    hang = alerting.receiver(story, lambda request, n: lambda handler: time.sleep(60))
    good = alerting.receiver(story)
    settings = alerting.settings(story, good)
    settings["receivers"].append({**settings["receivers"][0], "name": "dead", "url": hang.url, "timeout": "5s"})
    settings["route"]["routes"] = [
        {"matchers": ['severity="critical"'], "receiver": "dead", "continue": True},
        {"matchers": ['severity="critical"'], "receiver": "oncall"},
    ]
    daemon = story.daemon(settings)
    daemon.start()

    alerting.harm(daemon)

    wait_until(lambda: good.taken, 20, "the good receiver")
    assert hang.attempts, "the dead one was tried, too"


def private_addresses_are_refused_unless_allowed(story):
    receiver = alerting.receiver(story)
    daemon = story.daemon(alerting.settings(story, receiver, allow_private=False))
    daemon.start()
    alerting.harm(daemon)

    def problem():
        rows = daemon.get("/api/v1/deliveries")["items"]
        return rows and rows[0]["problem"]

    wait_until(problem, 20, "the refusal")
    assert "private" in problem(), problem()
    equal(receiver.attempts, [])


def F47_no_event_at_all_is_told_by_the_wall_clock(story):
    receiver = alerting.receiver(story)
    rules = [{"name": "silent", "model": "credit", "absent": "3s"}]
    daemon = story.daemon(alerting.settings(story, receiver, alerts=rules))
    daemon.start()
    at = alerting.now() - 2000
    alerting.post(daemon, alerting.predictions("a", 5, 0, at) + alerting.later("b", at + 1500))

    wait_until(lambda: receiver.taken, 30, "the alert on silence")
    equal(receiver.bodies()[0]["data"]["alerts"][0]["name"], "silent")
    history = daemon.get("/api/v1/alerts/history")["items"]
    equal(history[0]["clock"], "wall")


def a_silence_is_kept_and_audited(story):
    receiver = alerting.receiver(story)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()
    silence = {"matchers": ["alertname=errors"], "duration": "1h", "comment": "known"}
    daemon.request("POST", "/api/v1/silences", silence)

    alerting.harm(daemon)
    wait_until(lambda: daemon.get("/api/v1/alerts")["items"], 20, "the alert")
    time.sleep(2)
    equal(receiver.attempts, [])
    made = daemon.get("/api/v1/silences")["items"][0]
    equal((made["matchers"], made["comment"]), (["alertname=errors"], "known"))

    daemon.request("DELETE", f"/api/v1/silences/{made['id']}")
    wait_until(lambda: receiver.taken, 30, "the telling once the silence ended")


def a_replay_decides_as_it_would_have_live_and_tells_nobody(story):
    receiver = alerting.receiver(story)
    at = alerting.now() - 10 * MINUTE
    events = alerting.predictions("p", 20, 20, at) + alerting.later("l", at + 2000) + alerting.predictions("h", 400, 0, at + 4000)
    settings = alerting.settings(story, receiver)
    story.replay("replayed", settings, [write_jsonl(story.path("events"), events + alerting.later("z", at + 60000))])
    daemon = story.daemon(settings, "replayed")
    daemon.start(wait=False)
    daemon.wait_answering()

    history = daemon.get("/api/v1/alerts/history")["items"]

    equal([(e["event"], e["clock"]) for e in history], [("resolved", "event"), ("firing", "event")])
    assert at < history[1]["at"] <= at + 3000, history
    time.sleep(1.5)
    equal(receiver.attempts, [])
