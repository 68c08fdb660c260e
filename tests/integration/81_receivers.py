"""Receivers of other houses read what they are sent; `assay alert` at work; SIGHUP changes rules and receivers."""

import json
import os
import shutil
import subprocess
import time
import urllib.request

import alerting
from daemon import run_program
from kafka import ROOT, free_port, wait_until
from story import equal

VENV = os.path.join(ROOT, ".cache", "venv", "bin", "python")
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

VERIFY = """
import json, sys
from standardwebhooks.webhooks import Webhook
for secret, headers, body in json.load(sys.stdin):
    print(Webhook(secret).verify(body, {k.lower(): v for k, v in headers.items()})["type"])
"""


def the_signature_is_verified_by_the_standard_webhooks_library_also_while_a_secret_is_rotated(story):
    if subprocess.run([VENV, "-c", "import standardwebhooks"], capture_output=True, check=False).returncode:
        story.skip("no standardwebhooks in .cache/venv: run ./dev setup")
    receiver = alerting.receiver(story)
    settings = alerting.settings(story, receiver)
    with open(story.path("hook.key"), "w", encoding="utf-8") as out:
        out.write(f"{OTHER_SECRET}\n{alerting.SECRET}\n")  # the new one first
    daemon = story.daemon(settings)
    daemon.start()
    alerting.harm(daemon)
    wait_until(lambda: receiver.taken, 20, "the notification")
    headers, body = receiver.taken[0]

    def verify(secret, text):
        asked = json.dumps([[secret, headers, text]])
        done = subprocess.run([VENV, "-c", VERIFY], input=asked, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    equal(len(headers["webhook-signature"].split()), 2)
    equal(verify(alerting.SECRET, body.decode()), "alert.firing")
    equal(verify(OTHER_SECRET, body.decode()), "alert.firing")
    assert "No matching signature" in verify(alerting.SECRET, body.decode() + " "), "a changed body is refused"
    assert "No matching signature" in verify("whsec_" + "A" * 32, body.decode()), "another secret is refused"


def _alertmanager(story):
    program = shutil.which("prometheus-alertmanager")
    if not program:
        story.skip("no prometheus-alertmanager: run ./dev setup")
    port = free_port()
    config = story.path("alertmanager.yml")
    with open(config, "w", encoding="utf-8") as out:
        out.write("route: {receiver: none}\nreceivers: [{name: none}]\n")
    with open(story.path("alertmanager.log"), "wb") as log:
        process = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.path={story.path('am')}", "--cluster.listen-address="]
            + [f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log,
            stderr=log,
        )

    def stop():
        process.kill()
        process.wait()

    story.at_end(stop)
    url = f"http://127.0.0.1:{port}"

    def get(path):
        try:
            with urllib.request.urlopen(url + path, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    wait_until(lambda: get("/api/v2/status"), 30, "Alertmanager")
    return url, get


def alertmanager_shows_our_alerts_and_their_end(story):
    """Prometheus' own Alertmanager takes what we send and gives it back: labels, annotations, times, the end."""
    url, get = _alertmanager(story)
    rules = alerting.rules(labels={"team": "risk", "on-call": "ann"}, annotations={"runbook_url": "https://example.org/r"})
    settings = alerting.settings(story, alerting.receiver(story), alerts=rules)
    settings["receivers"] = [{"name": "am", "type": "alertmanager", "url": url + "/", "allow_private": True}]
    settings["route"]["receiver"] = "am"
    settings["http"]["public_url"] = "https://assay.example/"
    daemon = story.daemon(settings)
    daemon.start()
    before = time.time()

    alerting.harm(daemon)
    wait_until(lambda: get("/api/v2/alerts"), 20, "the alert in Alertmanager")

    alert = get("/api/v2/alerts")[0]
    wanted = {"alertname": "errors", "model": "credit", "metric": "error_rate", "severity": "critical"}
    equal(alert["labels"], {**wanted, "team": "risk", "on_call": "ann"})
    equal(alert["status"]["state"], "active")
    equal(alert["annotations"]["runbook_url"], "https://example.org/r")
    assert alert["annotations"]["summary"].startswith("credit: error_rate 1 "), alert["annotations"]
    assert alert["generatorURL"].startswith("https://assay.example/#/models/credit?window=5m&metrics=error_rate"), alert
    ends = time.mktime(time.strptime(alert["endsAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert before + 200 < ends < time.time() + 260, "it ends by itself when nobody sends any more"

    alerting.heal(daemon)
    wait_until(lambda: not get("/api/v2/alerts"), 30, "its end in Alertmanager")
    equal([e["event"] for e in daemon.get("/api/v1/alerts/history")["items"]], ["resolved", "firing"])
    equal({d["status"] for d in daemon.get("/api/v1/deliveries")["items"]}, {200})


def a_test_message_is_sent_and_its_answer_printed(story):
    answers = [200, 503]
    receiver = alerting.receiver(story, lambda request, n: answers[n] if n < len(answers) else 200)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()

    code, out, errors = run_program("alert", "test", "oncall", "--url", daemon.url)
    equal((code, out.startswith("oncall: HTTP 200 after "), errors), (0, True, ""))
    said = receiver.bodies()[0]
    equal(said["type"], "alert.test")
    assert said["data"]["summary"].startswith("[TEST] oncall: a test message"), said

    code, out, errors = run_program("alert", "test", "oncall", "--json", "--url", daemon.url)
    equal(code, 74)
    equal(json.loads(out)["status"], 503)
    assert errors.startswith("assay: receiver oncall did not take it: HTTP 503"), errors

    code, _, errors = run_program("alert", "test", "onkall", "--url", daemon.url)
    equal((code, errors.strip()), (65, 'assay: no receiver is named "onkall"; did you mean oncall?'))

    config = os.path.join(daemon.folder, "assay.yaml")
    code, out, errors = run_program("alert", "test", "oncall", "-c", config)  # past the daemon
    equal((code, errors), (0, ""))
    ids = [headers["webhook-id"] for _, headers, _ in receiver.attempts]
    equal(len(set(ids)), len(ids), "a test repeated is another message")
    equal(daemon.get("/api/v1/deliveries")["items"], [])


def the_command_line_shows_and_operates_alerts(story):
    receiver = alerting.receiver(story)
    daemon = story.daemon(alerting.settings(story, receiver))
    daemon.start()

    def alert(*words, expect=0):
        code, out, errors = run_program("alert", *words, "--url", daemon.url)
        equal(code, expect, errors)
        return json.loads(out) if code == 0 else errors

    made = alert("silence", 'model="credit"', "--duration", "1h", "--comment", "deploying")
    equal([s["comment"] for s in alert("silences")["items"]], ["deploying"])
    alert("unsilence", str(made["id"]))
    equal(alert("silences")["items"], [])

    (rule,) = alert("rules")["items"]
    equal((rule["name"], rule["metric"], rule["above"], rule["below"], rule["state"]), ("errors", "error_rate", 0.2, None, "inactive"))

    alerting.harm(daemon)
    wait_until(lambda: receiver.taken, 20, "the notification")
    (firing,) = alert("list")["items"]
    equal([(r["id"], r["state"]) for r in alert("rules")["items"]], [(firing["id"], "firing")])
    equal((firing["rule"], firing["state"], firing["acked_by"]), ("errors", "firing", None))
    alert("ack", firing["id"])
    equal(alert("list")["items"][0]["acked_by"], "operator")
    equal([e["event"] for e in alert("history", "--alert", firing["id"])["items"]], ["firing"])
    equal([d["state"] for d in alert("deliveries")["items"]], ["sent"])
    assert "no failed notification has the id" in alert("again", "1", expect=65)
    assert "usage: assay alert" in alert("lost", expect=64)


def SIGHUP_changes_rules_and_receivers_and_keeps_what_fires(story):
    old, new = alerting.receiver(story), alerting.receiver(story)
    both = alerting.rules() + alerting.rules(name="slow", metric="latency_mean", above=100)
    daemon = story.daemon(alerting.settings(story, old, alerts=both))
    daemon.start()
    alerting.harm(daemon)
    wait_until(lambda: old.taken, 20, "the notification")
    since = daemon.get("/api/v1/alerts")["items"][0]["since"]

    # A mistake changes nothing.
    daemon.settings["alerts"] = [{"name": "bad", "model": "credit", "metric": "eror_rate", "above": 1}]
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: "the old configuration stays" in daemon.log(), 20, "the refusal")
    assert "did you mean 'error_rate'?" in daemon.log(), daemon.log()
    equal([a["rule"] for a in daemon.get("/api/v1/alerts")["items"]], ["errors"])

    # Another receiver: what fires goes on firing, and is told there.
    daemon.settings["alerts"] = both
    daemon.settings["receivers"].append({**daemon.settings["receivers"][0], "name": "second", "url": new.url})
    daemon.settings["route"]["routes"] = [
        {"matchers": ["alertname=errors"], "receiver": "second", "continue": True},
        {"matchers": ["alertname=errors"], "receiver": "oncall"},
    ]
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: new.taken, 20, "the new receiver to be told")
    equal(new.bodies()[0]["type"], "alert.firing")
    equal(daemon.get("/api/v1/alerts")["items"][0]["since"], since)
    equal(len(old.taken), 1, "who knew it is not told again")

    # The rule goes: both are told that it ended, and why.
    daemon.settings["alerts"] = both[1:]
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: len(old.taken) == 2 and len(new.taken) == 2, 20, "both to be told the end")
    for receiver in (old, new):
        said = receiver.bodies()[1]
        equal(said["type"], "alert.resolved")
        assert "its rule was removed from the configuration" in said["data"]["summary"], said
    equal(daemon.get("/api/v1/alerts")["items"], [])
    equal(daemon.get("/api/v1/alerts/history")["items"][0]["event"], "withdrawn")


def rules_that_SIGHUP_brings_to_a_daemon_without_any_are_looked_at(story):
    receiver = alerting.receiver(story)
    settings = alerting.settings(story, receiver)
    rules, settings["alerts"] = settings["alerts"], []
    daemon = story.daemon(settings)
    daemon.start()
    daemon.settings["alerts"] = rules
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: "configuration read again" in daemon.log(), 20, "the reload")

    alerting.harm(daemon)

    wait_until(lambda: receiver.taken, 20, "the notification")


def an_acknowledgement_reaches_pagerduty(story):
    receiver = alerting.receiver(story, lambda request, n: 202)
    settings = alerting.settings(story, receiver)
    key = story.path("routing.key")
    with open(key, "w", encoding="utf-8") as out:
        out.write("R" * 32 + "\n")
    pager = {"name": "oncall", "type": "pagerduty", "url": receiver.url, "routing_key_file": key, "allow_private": True}
    settings["receivers"] = [pager]
    daemon = story.daemon(settings)
    daemon.start()
    alerting.harm(daemon)
    wait_until(lambda: receiver.taken, 20, "the trigger")

    daemon.request("POST", f"/api/v1/alerts/{daemon.get('/api/v1/alerts')['items'][0]['id']}/ack", {})
    wait_until(lambda: len(receiver.taken) == 2, 20, "the acknowledgement")
    alerting.heal(daemon)
    wait_until(lambda: len(receiver.taken) == 3, 20, "the resolve")

    said = receiver.bodies()
    equal([event["event_action"] for event in said], ["trigger", "acknowledge", "resolve"])
    equal(len({event["dedup_key"] for event in said}), 1)


def amtool_makes_finds_changes_and_ends_silences(story):
    program = shutil.which("amtool")
    if not program:
        story.skip("no amtool: run ./dev setup")
    daemon = story.daemon(alerting.settings(story, alerting.receiver(story)))
    daemon.start()

    def amtool(*words, code=0):
        command = [program, f"--alertmanager.url={daemon.url}", "silence", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        equal(done.returncode, code, done.stdout + done.stderr)
        return done.stdout.strip()

    first = amtool("add", "alertname=auc-low", "team=~risk|fraud", "env!=test", "-a", "ann", "-c", "deploying", "-d", "2h")
    other = amtool("add", "model=churn", "-c", "known", "--start", "2099-01-01T00:00:00Z", "--end", "2099-01-02T00:00:00Z")

    ours = {str(item["id"]): item for item in daemon.get("/api/v1/silences")["items"]}
    equal(ours[first]["matchers"], ['alertname="auc-low"', 'team=~"risk|fraud"', 'env!="test"'])
    equal((ours[first]["created_by"], ours[first]["comment"]), ("ann via operator", "deploying"))
    equal(amtool("query", "-q", "alertname=auc-low", "env!=test"), first)
    equal(amtool("query", "-q", "alertname=auc-low", "model=churn"), "")
    equal({s["id"]: s["status"]["state"] for s in json.loads(amtool("query", "-o", "json"))}, {first: "active", other: "pending"})

    amtool("update", "-d", "30m", "-c", "still", first)
    second = str(daemon.get("/api/v1/silences")["items"][0]["id"])
    equal(sorted(amtool("query", "-q").split()), sorted([second, other]))
    changed = daemon.get("/api/v1/silences")["items"][0]
    equal((str(changed["id"]), changed["matchers"], changed["created_by"]), (second, ours[first]["matchers"], "ann via operator"))
    equal(changed["ends"] - changed["starts"] <= 30 * 60_000, True)

    amtool("expire", second)
    equal(amtool("query", "-q"), other)
    assert first in amtool("query", "-q", "--expired") and second in amtool("query", "-q", "--expired")
    amtool("expire", "4711", code=1)
    equal(daemon.request("GET", "/api/v2/silences?filter=nonsense")[0], 400)
    equal(daemon.request("GET", "/api/v2/silence/4711")[0], 404)
