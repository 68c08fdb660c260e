"""The gateway: traffic for real. It assigns, sends on, answers, tells what happened as events, and
is bound by what its experiment decides from them.
"""

import json
import os
import shutil
import subprocess
import threading
import time

from daemon import configuration, models, run_program
from kafka import ROOT, free_port, wait_until
from model_server import Client, FlaskStyle, ModelServer, TfServingStyle, closed_port, raw
from story import equal, short
from traffic import bucket

NAME = "credit-v4"
PREDICT = "/v1/models/credit:predict"
TF = {"features": "/instances/0", "score": "/predictions/0/0"}


def _experiment(weights=(50,), **more):
    steps = [{"weight": w, "min_duration": "4s", "min_units": 30} for w in weights]
    metric = {"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 1.0}
    made = {"name": NAME, "model": "credit", "control": "v3", "treatment": "v4", "salt": NAME, "start": True}
    return {**made, "alpha": 0.05, "steps": steps, "metrics": [metric], "noninferiority": "lenient", **more}


def _gateway(upstreams, **more):
    made = {"listen": f"127.0.0.1:{free_port()}", "model": "credit", "unit": {"header": "x-user"}}
    return {**made, "upstreams": {v: u if isinstance(u, (str, dict)) else u.url for v, u in upstreams.items()}, **more}


def _url(gateway):
    return "http://" + gateway["listen"]


def _servers(story, *made):
    for server in made:
        story.at_end(server.close)
    return made


def _kafka_settings(story, gateways, experiments=(), partitions=2, **sections):
    """A configuration whose events go over a real topic; (configuration, kafka, topic)."""
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic, partitions)
    sections.setdefault("models", models())
    settings = configuration(kafka.brokers, [topic], group=topic, gateway=gateways, **sections)
    settings["experiments"] = list(experiments)
    return settings, kafka, topic


def _events(kafka, topic, at_least, timeout=20):
    """All events of the topic, once there are that many."""
    found = []

    def there():
        found[:] = [json.loads(line) for line in kafka.consume(topic)]
        return len(found) >= at_least

    wait_until(there, timeout, f"{at_least} events in {topic}")
    return found


def _served(unit, weight):
    return "v4" if bucket(NAME, unit) < weight / 100 else "v3"


def _treated_unit(weight=50):
    return next(f"u{i}" for i in range(1000) if _served(f"u{i}", weight) == "v4")


def _controlled_unit(weight=50):
    return next(f"u{i}" for i in range(1000) if _served(f"u{i}", weight) == "v3")


class _Traffic:
    """Requests from several connections until it is stopped; (time, unit, status, version) of each."""

    def __init__(self, url, path=PREDICT, rate=150, clients=3):
        self.url, self.path, self.clients = url, path, clients
        self.seen, self.errors = [], []
        self._stop = threading.Event()
        self._pause = clients / rate
        self._threads = [threading.Thread(target=self._run, args=(k,), daemon=True) for k in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, k):
        client, n = Client(self.url), 0
        while not self._stop.is_set():
            unit = f"u{k}-{n}"
            n += 1
            try:
                answer = client.post(self.path, {"instances": [{"income": n}]}, {"x-user": unit})
                self.seen.append((time.time(), unit, answer.status, answer.version))
            except Exception as error:  # told to whoever looks
                self.errors.append((time.time(), error))
                time.sleep(0.05)
            self._stop.wait(self._pause)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        return self.seen


def a_version_that_breaks_at_half_of_the_traffic_is_rolled_back(story):
    v3, v4 = _servers(story, FlaskStyle(lambda row: 0.2), TfServingStyle("credit", lambda row: 0.3))
    flask = {"url": v3.url, "path": "/predict"}
    gateway = _gateway({"v3": flask, "v4": v4.url}, event={"features": "/instances/0"})
    rule = {"name": "errors", "model": "credit", "metric": "error_rate", "version": "v4", "window": "1m", "above": 0.05}
    rule |= {"min_count": 5, "interval": False}
    experiment = _experiment((20, 50, 100))
    experiment["steps"][1]["min_duration"] = "5m"  # a slow machine must not be at 100 before the harm is seen
    settings, kafka, topic = _kafka_settings(story, [gateway], [experiment], alerts=[rule])
    daemon = story.daemon(settings)
    daemon.start()
    path = f"/api/v1/experiments/{NAME}"

    traffic = _Traffic(_url(gateway))
    story.at_end(traffic.stop)
    wait_until(lambda: daemon.get(path)["weight"] == 50, 60, "the second step")
    v4.behave = lambda handler: 500
    broken_at = time.time()
    wait_until(lambda: daemon.get(path)["state"] == "rolled_back", 60, "the rollback")
    rolled_back_at = time.time()
    wait_until(lambda: daemon.get("/api/v1/alerts")["items"] and traffic.seen[-1][0] > rolled_back_at + 0.5, 20, "an alert")
    seen = traffic.stop()

    ended = daemon.get(path)
    equal((ended["weight"], ended["verdict"]["reason"]), (0, "guardrail error_rate: harm beyond harm_margin"))
    equal(traffic.errors, [])
    late = [s for s in seen if s[0] > rolled_back_at + 0.2]
    assert late and {s[3] for s in late} == {"v3"}, "after the rollback control serves everyone"
    equal({s[2] for s in late}, {200})
    before = [s for s in seen if s[0] < broken_at]
    equal({s[2] for s in before}, {200}, "as long as v4 was well")
    assert any(s[3] == "v4" for s in before)
    equal([s for s in before if s[3] == "v4" and _served(s[1], 50) != "v4"], [], "who is served by the treatment")
    failed = sum(s[2] == 500 for s in seen)
    assert 0 < failed < len(seen) / 2, f"{failed} of {len(seen)} requests failed before the rollback"
    events = _events(kafka, topic, len(seen))
    equal(len(events), len(seen), "an event a request")
    equal(sum(e.get("error") == "HTTP 500" for e in events), failed)
    equal({e["version"] for e in events}, {"v3", "v4"})
    assert all(e["features"]["income"] > 0 and e["unit"] for e in events)
    actions = [row["action"] for row in daemon.get("/api/v1/audit")["items"]]
    equal(actions[:3], ["experiment.create", "experiment.start", "experiment.advance"])
    equal(actions[-1], "experiment.rollback")
    equal(daemon.get("/api/v1/alerts")["items"][0]["rule"], "errors")
    daemon.terminate()
    code, _, errors = run_program("verify", daemon.database)
    equal(code, 0, errors)


def what_the_treatment_refuses_control_answers_and_the_failed_try_is_told(story):
    (v3,) = _servers(story, TfServingStyle("credit", lambda row: 0.2))
    gateway = _gateway({"v3": v3, "v4": closed_port()}, event=TF)
    settings, kafka, topic = _kafka_settings(story, [gateway], [_experiment((50, 100), metrics=_experiment()["metrics"])])
    daemon = story.daemon(settings)
    daemon.start()
    unit = _treated_unit()
    client = Client(_url(gateway))
    client.post(PREDICT, {"instances": [{"income": 7}]}, {"x-user": _controlled_unit()})
    wait_until(lambda: daemon.get(f"/api/v1/experiments/{NAME}")["weight"] == 50, 20, "the start")
    wait_until(lambda: client.post(PREDICT, {"instances": [{}]}, {"x-user": unit}) and daemon.own("gateway_resends") > 0, 10, "traffic")

    answer = client.post(PREDICT, {"instances": [{"income": 7}]}, {"x-user": unit, "x-request-id": "r-1"})

    equal((answer.status, answer.version, answer.headers["x-assay-id"]), (200, "v3", "r-1"))
    told = {e["id"]: e for e in _events(kafka, topic, daemon.own("gateway_events"))}
    failed, served = told["r-1~1"], told["r-1"]
    equal((failed["version"], failed["error"], failed["unit"]), ("v4", "connection refused", unit))
    assert "score" not in failed and "latency_ms" not in failed
    equal((served["version"], served["score"], served["unit"], served.get("error")), ("v3", 0.2, unit, None))
    equal(served["features"], {"income": 7})
    found = daemon.own_metrics()
    base = f'gateway="{gateway["listen"]}",model="credit",version="v4"'
    equal(found[f"assay_gateway_resends_total{{{base}}}"], found[f'assay_gateway_errors_total{{{base},reason="refused"}}'])
    # control's answers to what treatment refused are crossovers: outside the comparison
    n = daemon.own("gateway_events")
    wait_until(lambda: daemon.get("/api/v1/models/credit")["predictions"] == n, 20, "its own events")


def a_timeout_goes_to_control_only_where_twice_is_harmless(story):
    v3, v4 = _servers(story, FlaskStyle(lambda row: 0.2), FlaskStyle(lambda row: 0.3))
    v4.behave = lambda handler: time.sleep(6)
    once = _gateway({"v3": v3, "v4": v4}, timeout="2s")
    twice = _gateway({"v3": v3, "v4": v4}, timeout="2s", idempotent=True)
    settings, kafka, topic = _kafka_settings(story, [once, twice], [_experiment((50, 100))])
    daemon = story.daemon(settings)
    daemon.start()
    unit = _treated_unit()
    Client(_url(once)).post("/predict", {}, {"x-user": _controlled_unit()})
    wait_until(lambda: daemon.get(f"/api/v1/experiments/{NAME}")["weight"] == 50, 20, "the start")
    wait_until(lambda: daemon.own("gateway_treatment_ratio") == 1.0, 10, "both gateways to know it")

    late = Client(_url(once)).post("/predict", {"income": 1}, {"x-user": unit, "x-request-id": "once"})
    again = Client(_url(twice)).post("/predict", {"income": 1}, {"x-user": unit, "x-request-id": "twice"})

    equal((late.status, late.version), (504, "v4"))
    equal(late.json()["detail"], "the version did not answer in time")
    equal((again.status, again.version, again.json()["score"]), (200, "v3", 0.2))
    told = {e["id"]: e for e in _events(kafka, topic, 4)}
    equal({i: (e["version"], e.get("error")) for i, e in told.items() if i.startswith(("once", "twice"))},
          {"once": ("v4", "timeout"), "twice~1": ("v4", "timeout"), "twice": ("v3", None)})
    equal(v3.count(), 2, "control was asked once for the start and once instead of v4")


def _delivered(daemon):
    """How many of its own events Kafka has confirmed."""
    return int(daemon.own_metrics()['assay_own_events_total{state="sent"}'])


def a_kill_in_the_middle_loses_no_decision_and_nobody_changes_sides(story):
    v3, v4 = _servers(story, TfServingStyle("credit", lambda row: 0.2), TfServingStyle("credit", lambda row: 0.3))
    gateway = _gateway({"v3": v3, "v4": v4}, event=TF)
    settings, kafka, topic = _kafka_settings(story, [gateway], [_experiment((50,), steps=[{"weight": 50, "min_duration": "1h"}])])
    daemon = story.daemon(settings)
    daemon.start()
    traffic = _Traffic(_url(gateway), rate=300)
    story.at_end(traffic.stop)
    path = f"/api/v1/experiments/{NAME}"
    wait_until(lambda: any(s[3] == "v4" for s in traffic.seen[-50:]), 30, "the treatment to serve")
    n = len(traffic.seen)
    wait_until(lambda: len(traffic.seen) > n + 300, 30, "traffic at half")
    wait_until(lambda: _delivered(daemon) > 0, 30, "the first events to be in Kafka")

    delivered = _delivered(daemon)
    daemon.kill9()
    killed_at = len(traffic.seen)
    daemon.start()
    n = len(traffic.seen)
    wait_until(lambda: len(traffic.seen) > n + 300, 30, "traffic after the restart")
    seen = traffic.stop()

    assert traffic.errors, "while nothing listened requests failed"
    at = next(i for i, s in enumerate(seen) if s[3] == "v4")
    settled = [s for s in seen[at:] if s[0] > seen[at][0] + 0.2]
    wrong = [s for s in settled if s[3] != _served(s[1], 50)]
    equal(wrong, [], "units served by the other arm")
    equal({s[2] for s in seen}, {200})
    before_end = daemon.own("gateway_events")
    assert before_end > 300
    wait_until(lambda: daemon.own("own_events_waiting") == 0, 20, "the last events to be sent")
    told = [json.loads(line) for line in kafka.consume(topic)]
    equal(len({e["id"] for e in told}), len(told), "no id twice")
    # what waited for the broker is gone with the process; a client may tell of an answer after the kill
    least = delivered + len(seen) - killed_at - traffic.clients
    assert least <= len(told) <= len(seen) + len(traffic.errors), f"{len(told)} of {len(seen)}, at least {least}"
    wait_until(lambda: daemon.get("/api/v1/models/credit")["predictions"] == len(told), 20, "each event counted once")
    equal(daemon.get("/api/v1/models/credit")["rejected"], 0)
    equal(daemon.get(path)["state"], "running")
    equal(daemon.get(path)["verdict"]["srm"]["status"], "ok")


def a_broker_that_is_away_holds_up_nobody(story):
    (v3,) = _servers(story, TfServingStyle("credit", lambda row: 0.2))
    kafka = story.own_kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic, 1)
    gateway = _gateway({"v3": v3}, event=TF)
    daemon = story.daemon(configuration(kafka.brokers, [topic], group=topic, gateway=[gateway]))
    daemon.start()
    client = Client(_url(gateway))
    equal(client.post(PREDICT, {"instances": [{}]}).status, 200)
    wait_until(lambda: daemon.get("/api/v1/models/credit")["predictions"] == 1, 20, "the first event")

    kafka.pause()
    for n in range(200):
        equal(client.post(PREDICT, {"instances": [{"n": n}]}, {"x-user": f"u{n}"}).version, "v3")
    wait_until(lambda: daemon.own("own_events_waiting") == 200, 20, "an event for each answer")
    kafka.resume()

    wait_until(lambda: daemon.get("/api/v1/models/credit")["predictions"] == 201, 60, "the events that waited")
    equal(daemon.own("gateway_events_lost"), 0)
    equal(daemon.own_metrics()['assay_own_events_total{state="undelivered"}'], 0)


@short
def a_batch_of_rows_is_one_event_a_row(story):
    v3, v4 = _servers(story, TfServingStyle("credit", lambda row: row["income"] / 100), TfServingStyle("credit", lambda row: 0.5))
    event = {"rows": "/instances", "features": "/instances/*", "score": "/predictions/*/0"}
    gateway = _gateway({"v3": v3, "v4": v4}, event=event)
    started = _experiment((50,), steps=[{"weight": 50, "min_duration": "1h"}])
    settings, kafka, topic = _kafka_settings(story, [gateway], [started])
    daemon = story.daemon(settings)
    daemon.start()
    client, unit = Client(_url(gateway)), _controlled_unit()
    client.post(PREDICT, {"instances": [{"income": 1}]}, {"x-user": unit, "x-request-id": "first"})
    wait_until(lambda: daemon.own("gateway_treatment_ratio") == 0.5, 30, "the weight")

    answer = client.post(PREDICT, {"instances": [{"income": n} for n in (10, 20, 30)]}, {"x-user": unit, "x-request-id": "batch"})
    nobody = client.post(PREDICT, {"instances": [{"income": 40}, {"income": 50}]}, {"x-request-id": "nobody"})
    client.post(PREDICT, {"instances": []}, {"x-user": unit, "x-request-id": "empty"})

    equal((answer.headers["x-assay-id"], answer.version), ("batch", "v3"))
    told = {e["id"]: e for e in _events(kafka, topic, 7)}
    equal(sorted(told), ["batch/0", "batch/1", "batch/2", "empty", "first/0", "nobody/0", "nobody/1"])
    equal([(told[f"batch/{n}"]["features"], told[f"batch/{n}"]["score"]) for n in range(3)], [({"income": 10 * n + 10}, (n + 1) / 10) for n in range(3)])
    equal({told[f"batch/{n}"]["unit"] for n in range(3)} | {told["first/0"]["unit"]}, {unit})
    equal({told[f"nobody/{n}"]["unit"] for n in range(2)}, {"nobody"}, "assigned as a whole: no row is a unit")
    equal(nobody.version, _served("nobody", 50))

    labels = [{"type": "label", "id": f"batch/{n}", "ts": told["batch/0"]["ts"] + 1, "model": "credit", "label": n % 2} for n in range(3)]
    daemon.post("/api/v1/events", labels)
    wait_until(lambda: daemon.get("/api/v1/models/credit")["joined"] == 3, 20, "labels of rows meet their predictions")
    wait_until(lambda: daemon.get("/api/v1/models/credit")["predictions"] == 7, 20, "all are counted")


@short
def the_examples_of_deploy_are_taken(story):
    code, text, errors = run_program("check", os.path.join(ROOT, "deploy", "gateway", "assay.yaml"))
    equal(code, 0, text + errors)
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if nginx:
        made = subprocess.run([nginx, "-t", "-c", os.path.join(ROOT, "deploy", "gateway", "nginx.conf"), "-e", story.path("nginx.log"), "-g", f"pid {story.path('nginx.pid')};"], capture_output=True, text=True)
        equal(made.returncode, 0, made.stderr)


def the_unit_is_found_where_the_settings_say_and_decides_alone(story):
    v3, v4 = _servers(story, FlaskStyle(lambda row: 0.2), FlaskStyle(lambda row: 0.3))
    by_cookie = _gateway({"v3": v3, "v4": v4}, unit={"cookie": "uid"})
    by_body = _gateway({"v3": v3, "v4": v4}, unit={"pointer": "/user/id"}, id={"pointer": "/request"})
    by_id = _gateway({"v3": v3, "v4": v4}, unit={"header": "x-user"})
    started = _experiment((50,), steps=[{"weight": 50, "min_duration": "1h"}])
    settings, kafka, topic = _kafka_settings(story, [by_cookie, by_body, by_id], [started])
    daemon = story.daemon(settings)
    daemon.start()
    Client(_url(by_id)).post("/predict", {}, {"x-user": "first"})
    wait_until(lambda: daemon.own("gateway_treatment_ratio") == 1.5, 30, "all three to know the weight")

    for n in range(40):
        unit = f"user-{n}"
        cookie = Client(_url(by_cookie)).post("/predict", {}, {"cookie": f'a=1; uid="{unit}"; b=2', "x-request-id": f"c{n}"})
        body = Client(_url(by_body)).post("/predict", {"user": {"id": unit}, "request": f"b{n}"})
        number = Client(_url(by_body)).post("/predict", {"user": {"id": n}, "request": f"n{n}"})
        none = Client(_url(by_id)).post("/predict", {}, {"x-request-id": f"r{n}"})
        equal((cookie.version, body.version), (_served(unit, 50), _served(unit, 50)))
        equal((number.version, number.headers["x-assay-id"]), (_served(str(n), 50), f"n{n}"))
        equal(none.version, _served(f"r{n}", 50), "without a unit the id is it")

    told = {e["id"]: e for e in _events(kafka, topic, 161)}
    equal([told[f"{k}3"].get("unit") for k in "cbnr"], ["user-3", "user-3", "3", None])
    made = {Client(_url(by_id)).post("/predict", {}).headers["x-assay-id"] for _ in range(20)}
    equal(({len(i) for i in made}, len(made)), ({32}, 20), "ids that were made")
    asked = daemon.get(f"/api/v1/experiments/{NAME}/assignment?unit=user-7")
    equal(asked["version"], Client(_url(by_cookie)).post("/predict", {}, {"cookie": "uid=user-7"}).version)
