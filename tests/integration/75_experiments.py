"""An experiment decides by itself, from what is sent to the daemon: rollback, steps, promotion,
people's commands, gates, and the same decisions after a kill and in a replay.
"""

import json
import os
import threading
import time
from xml.etree import ElementTree

from daemon import AssayError, configuration, run_program, wait_a_moment
from events import START
from kafka import wait_until
from receiver import Receiver
from story import equal, short
from traffic import Traffic, bucket

NAME = "credit-v4"


def _experiment(**more):
    steps = [
        {"weight": 5, "min_duration": "1m", "min_units": 50},
        {"weight": 50, "min_duration": "1m", "min_units": 200},
        {"weight": 100, "min_duration": "1m"},
    ]
    metric = {"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 1.0}
    made = {"name": NAME, "model": "credit", "control": "v3", "treatment": "v4", "salt": NAME}
    return {**made, "alpha": 0.05, "steps": steps, "metrics": [metric], "holdback": 5, **more}


def _path(*parts):
    return "/".join(["/api/v1/experiments", NAME, *parts])


def _post(daemon, events):
    lines = "\n".join(event.value for event in events).encode()
    answer = daemon.post("/api/v1/events", lines)
    equal(answer["rejected"], [], "rejected events")


def _start(daemon, **more):
    experiment = _experiment(**more)
    status, body = daemon.request("POST", "/api/v1/experiments", experiment)
    equal(status, 201, body)
    daemon.post(_path("start"), {"reason": "a new model"})
    return experiment


def _drive(daemon, traffic, until, seconds=20, most=60, sent=None):
    """Sends traffic at the weight that holds until the experiment is in the state wanted."""
    for _ in range(most):
        now = daemon.get(_path())
        if now["state"] in until:
            return now
        events = traffic.seconds(seconds, now["weight"])
        _post(daemon, events)
        if sent is not None:
            sent += events
    raise AssertionError(f"still {now['state']} after {most * seconds} s: {now['verdict']}")


def _transitions(items):
    """What must be the same in every run: where it went, when in event time, on which numbers."""
    made = []
    for item in items:
        numbers = [m["control"] | {"t": m["treatment"]} for m in item["evidence"].get("verdict", {}).get("metrics", [])]
        if item["who"] == "engine" and item["clock"] == "event":
            made.append((item["verdict"], item["at"], item["to"], item["reason"], numbers))
    return made


@short
def a_harmful_release_is_rolled_back_by_itself_and_told(story):
    receiver = Receiver(lambda request, n: 200)
    story.at_end(receiver.close)
    hook = {"name": "oncall", "type": "webhook", "url": receiver.url, "allow_private": True}
    daemon = story.daemon(configuration(receivers=[hook], route={"receiver": "oncall"}))
    daemon.start()
    traffic = Traffic(_start(daemon), START, rates=(0.02, 0.6))

    ended = _drive(daemon, traffic, ["rolled_back"])

    equal((ended["state"], ended["weight"], ended["verdict"]["verdict"]), ("rolled_back", 0, "rollback"))
    equal(ended["verdict"]["reason"], "guardrail error_rate: harm beyond harm_margin")
    equal(ended["verdict"]["metrics"][0]["status"], "harmed")
    assert ended["verdict"]["detected_after"]["units"] < 100, ended["verdict"]
    answers = {daemon.get(_path("assignment") + f"?unit=u{i}")["version"] for i in range(50)}
    equal(answers, {"v3"}, "after a rollback everyone is in control")
    actions = [row["action"] for row in daemon.get("/api/v1/audit")["items"]]
    equal(actions, ["experiment.create", "experiment.start", "experiment.rollback"])
    looks = daemon.get(_path("looks"))["items"]
    equal((looks[-1]["verdict"], looks[-1]["weight"]), ("rollback", 5), "the look that decided is kept")
    equal(looks[-1]["metrics"][0]["status"], "harmed")
    assert looks[-1]["metrics"][0]["difference"] > 0.1, looks[-1]
    wait_until(lambda: len(receiver.taken) == 2, 20, "start and rollback told")
    equal([body["type"] for body in receiver.bodies()], ["experiment.step", "experiment.rolled_back"])
    # the head of the audit log is outside, too: a tail that is cut off can be proved (F45)
    last = daemon.get("/api/v1/audit")["items"][-1]
    equal(receiver.bodies()[-1]["data"]["audit"], {"seq": last["seq"], "hash": last["hash"]})
    equal(daemon.own_metrics()[f'assay_audit_head_info{{hash="{last["hash"]}"}}'], 1)
    equal(daemon.own("audit_rows"), last["seq"])
    daemon.terminate()
    code, _, errors = run_program("verify", daemon.database)
    equal(code, 0, errors)


@short
def an_equal_release_goes_up_step_by_step_and_is_promoted(story):
    daemon = story.daemon(configuration())
    daemon.start()
    metric = {"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 4.0}
    traffic = Traffic(_start(daemon, metrics=[metric]), START, rates=(0.05, 0.05), per_second=30)

    ended = _drive(daemon, traffic, ["promoted"], seconds=30, most=100)

    equal((ended["weight"], ended["verdict"]["verdict"]), (100, "promote"))
    looks = daemon.get(_path("looks"))["items"]
    widths = [look["metrics"][0]["upper"] - look["metrics"][0]["lower"] for look in looks if None not in (look["metrics"][0]["upper"], look["metrics"][0]["lower"])]
    assert len(widths) > 5 and widths[-1] < widths[0] / 2, f"the interval narrows: {widths}"
    equal(daemon.get(_path("looks") + f"?after={looks[2]['at']}&limit=1")["items"], [looks[3]])
    history = daemon.get(_path("history"))["items"]
    rows = {row["seq"]: row for row in daemon.get("/api/v1/audit?limit=1000")["items"]}
    for item in history:
        row = rows[item["audit"]["seq"]]
        equal((row["hash"], row["action"], row["at"]), (item["audit"]["hash"], "experiment." + item["verdict"], item["at"]))
    equal([item["verdict"] for item in history if item["verdict"] != "hold"], ["start", "advance", "advance", "promote"])
    equal([item["to"]["weight"] for item in history if item["verdict"] == "advance"], [50, 95])
    equal(daemon.get(f"/api/v1/gate/experiments/{NAME}")["result"], "pass")


def a_kill_in_the_middle_changes_no_decision_and_a_replay_repeats_them(story):
    sent = []
    daemon = story.daemon(configuration())
    daemon.start()
    traffic = Traffic(_start(daemon), START, rates=(0.02, 0.25))
    ended = _drive(daemon, traffic, ["rolled_back"], sent=sent)
    whole = _transitions(daemon.get(_path("history"))["items"])
    equal(ended["state"], "rolled_back")
    equal([item[0] for item in whole], ["rollback"])

    for place in ("before-transition", "inside-transition", "after-transition"):
        again = story.daemon(configuration(experiments=[_experiment(start=True)]), place)
        again.start()
        again.kill9()  # the start itself is not what is to be interrupted
        again.start(environment={"ASSAY_CRASH_AT": place})
        at, restarts = 0, 0
        while at < len(sent):
            part = sent[at : at + 700]
            try:
                _post(again, part)
                at += 700
            except (OSError, AssayError):
                wait_until(lambda: not again.running(), 20, "the end of the process")
                again.start()  # the client sends again what was not answered
                restarts += 1
        equal(restarts, 1, place)
        wait_until(lambda: again.get(_path())["state"] == "rolled_back", 30, f"the decision after {place}")
        equal(_transitions(again.get(_path("history"))["items"]), whole, place)
        again.terminate()

    file = story.path("events.jsonl")
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(event.value + "\n" for event in sent)
    settings = configuration(experiments=[_experiment(start=True)])
    database = story.replay("replayed", settings, [file])
    code, text, errors = run_program("query", "--db", database, "history", "--experiment", NAME)
    equal(code, 0, errors)
    equal(_transitions(json.loads(text)["items"]), whole, "the replay")


def through_kafka_a_harmful_release_is_rolled_back(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic, 3)
    daemon = story.daemon(configuration(brokers=kafka.brokers, topics=[topic]))
    daemon.start()
    traffic = Traffic(_start(daemon), START, rates=(0.02, 0.8), per_second=100)

    kafka.produce(topic, [(event.key, event.value) for event in traffic.seconds(60, 5)])

    wait_until(lambda: daemon.get(_path())["state"] == "rolled_back", 30, "the rollback")


def after_an_outage_no_step_is_left_upwards_before_the_backlog_is_read(story):
    kafka = story.own_kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    step = [{"weight": 50, "min_duration": "30s", "min_units": 200}, {"weight": 90, "min_duration": "1h"}]
    good = _experiment(name="good", salt="good", start=True, noninferiority="lenient", steps=step, holdback=0)
    bad = {**good, "name": "bad", "salt": "bad", "model": "fraud"}
    settings = {"models": [{"name": name, "task": "binary", "positive": 1} for name in ("credit", "fraud")], "experiments": [good, bad]}
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"), **settings)).start()
    calm, harmful, sent = Traffic(good, START), Traffic(bad, START), []
    harmful.n = 1_000_000  # ids of their own

    def send(seconds):
        both = calm.seconds(seconds, 50) + harmful.seconds(seconds, 50)
        both.sort(key=lambda event: json.loads(event.value)["ts"])
        sent.extend(both)
        kafka.produce(topic, [(event.key, event.value) for event in both])

    def history(name):
        return [item for item in daemon.get(f"/api/v1/experiments/{name}/history")["items"] if item["who"] == "engine"]

    send(10)
    story.caught_up(daemon, kafka, {topic: 1})
    daemon.kill9()
    harmful.rates = (0.02, 0.5)
    send(120)
    kafka.kill()
    wait_a_moment(11)  # further behind than a step may be left
    kafka.start()
    daemon.start()
    story.caught_up(daemon, kafka, {topic: 1})
    send(5)
    wait_until(lambda: history("good") and history("bad"), 60, "both decisions")

    (up,), (back,) = history("good"), history("bad")
    equal((up["verdict"], up["to"]["step"], up["clock"]), ("advance", 1, "wall"))
    assert START + 129_000 <= up["at"] <= START + 135_000, up["at"] - START
    file = story.path("events.jsonl")
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(event.value + "\n" for event in sent)
    database = story.replay("replayed", configuration(**settings), [file])
    ran = {name: json.loads(run_program("query", "--db", database, "history", "--experiment", name)[1])["items"] for name in ("good", "bad")}
    early = [item for item in ran["good"] if item["verdict"] == "advance"]
    equal([(item["clock"], item["at"] < START + 60_000) for item in early], [("event", True)], "with nothing behind it")
    equal(back["clock"], "event")
    equal(_transitions([back]), _transitions(ran["bad"]), "harm rolls back as it would have live")


@short
def F43_a_person_wins_over_the_engine_and_conflicts_are_told(story):
    daemon = story.daemon(configuration())
    daemon.start()
    experiment = _start(daemon)
    _post(daemon, Traffic(experiment, START).seconds(5, 5))

    def order(command, body, status):
        got, text = daemon.request("POST", _path(command), body)
        equal(got, status, f"{command}: {text}")
        return json.loads(text)

    order("start", {}, 409)
    equal(order("pause", {"reason": "lunch", "id": "k1"}, 200)["state"], "paused")
    order("resume", {"reason": "back"}, 200)
    equal(order("pause", {"reason": "lunch", "id": "k1"}, 200)["state"], "running", "carried out once")
    equal(order("jump", {"step": 1, "reason": "sure"}, 200)["weight"], 50)
    order("jump", {"step": 9}, 409)
    order("jump", {}, 422)
    order("freeze", {"reason": "release week"}, 200)
    order("nonsense", {}, 404)
    refused = order("pause", {"why": 1}, 400)
    equal((refused["status"], refused["field"]), (400, "why"))
    equal(daemon.request("POST", "/api/v1/experiments/credit-v5/pause", {})[0], 404)
    equal(daemon.request("POST", "/api/v1/experiments", _experiment())[0], 409, "the name is taken")
    status, text = daemon.request("POST", "/api/v1/experiments", _experiment(name="b", start=True))
    equal((status, "already" in text), (409, True), "two on one model")
    equal(daemon.request("POST", "/api/v1/experiments", _experiment(name="c", treatment="v3"))[0], 422)
    equal(daemon.request("POST", "/api/v1/experiments", _experiment(name="d", model="nobody"))[0], 422)
    daemon.post("/api/v1/experiments", _experiment(name="f", control="v2"))
    status, text = daemon.request("POST", "/api/v1/experiments/f/start", {})
    equal((status, "already" in text), (409, True))
    equal(order("promote", {"reason": "the board wants it"}, 200)["weight"], 100)
    order("rollback", {}, 409)
    rows = [(row["verdict"], row["reason"]) for row in daemon.get(_path("history"))["items"]]
    equal(rows[1:3], [("pause", "lunch"), ("resume", "back")])
    equal(rows[-1], ("promote", "the board wants it"))


@short
def the_gate_says_pass_fail_or_unknown(story):
    daemon = story.daemon(configuration(alerts=[{"name": "errors", "model": "credit", "metric": "error_rate", "window": "5m", "above": 0.2}]))
    daemon.start()
    url = ["--url", daemon.url]
    experiment = _start(daemon)
    report = story.path("gate.xml")

    code, text, _ = run_program("gate", "experiment", NAME, *url)
    equal((code, json.loads(text)["result"]), (3, "unknown"))
    for path in ("", "/rollback"):
        equal(daemon.request("GET", f"/api/v1/gate/experiments/{NAME}{path}?status=1" if not path else f"/api/v1/gate/experiments/{NAME}{path}")[0], 409 if path else 503)
    equal(run_program("gate", "experiment", "nobody", *url)[0], 2)
    equal(run_program("gate", "experiment", NAME, "--url", "http://127.0.0.1:1")[0], 4)
    equal(run_program("gate", "whatever")[0], 2)
    equal(run_program("gate", "model", "credit", *url)[0], 3, "no predictions yet")

    waiting = {}

    def wait():
        waiting["got"] = run_program("gate", "experiment", NAME, *url, "--wait", "1m", "--junit", report)

    thread = threading.Thread(target=wait)
    thread.start()
    _drive(daemon, Traffic(experiment, START, rates=(0.02, 0.7)), ["rolled_back"])
    thread.join()
    equal(waiting["got"][0], 1, waiting["got"])
    suite = ElementTree.parse(report).getroot().find("testsuite")
    failure = suite.find("testcase/failure")
    reasons = json.loads(waiting["got"][1])["reasons"]
    equal((failure.get("message"), failure.text.splitlines()), (reasons[0], reasons))
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    equal(list(cases), [NAME, *(metric["metric"] for metric in experiment["metrics"])])
    told = cases["error_rate"].find("failure").get("message")
    assert told.startswith("harmed: treatment "), told
    failed = sum(case.find("failure") is not None for case in cases.values())
    equal((suite.get("tests"), suite.get("failures"), suite.get("skipped")), (str(len(cases)), str(failed), "0"))
    code, text, _ = run_program("gate", "experiment", NAME, *url, "--format", "github")
    equal((code, text), (1, f"::error title={NAME}::fail: {reasons[0]}\n"))
    equal(daemon.request("GET", f"/api/v1/gate/experiments/{NAME}?status=1")[0], 409)
    equal(daemon.request("POST", f"/api/v1/gate/experiments/{NAME}/rollback", {})[0], 200)
    answer = daemon.get("/api/v1/gate/models/credit")
    equal((answer["result"], answer["reasons"]), ("pass", []))
    equal(run_program("gate", "model", "credit", *url)[0], 0)

    code, text, errors = run_program("experiment", "list", *url)
    equal((code, [item["state"] for item in json.loads(text)["items"]]), (0, ["rolled_back"]), errors)
    code, _, errors = run_program("experiment", "pause", NAME, "--reason", "x", *url)
    equal(code, 65, errors)


@short
def a_flag_client_reads_experiments_as_flags(story):
    daemon = story.daemon(configuration())
    daemon.start()
    experiment = _experiment()
    daemon.post("/api/v1/experiments", experiment)
    flag = f"/ofrep/v1/evaluate/flags/{NAME}"
    inside = next(f"u{i}" for i in range(1000) if bucket(NAME, f"u{i}") < 0.05)

    def ask(path, body):
        status, text = daemon.request("POST", path, body)
        return status, json.loads(text)

    status, answer = ask(flag, {"context": {"targetingKey": inside}})
    equal((status, answer["value"], answer["reason"]), (200, "v3", "DISABLED"))
    daemon.post(_path("start"), {})
    status, answer = ask(flag, {"context": {"targetingKey": inside}})
    equal((status, answer["key"], answer["value"], answer["variant"], answer["reason"]), (200, NAME, "v4", "treatment", "SPLIT"))
    equal(ask(flag, {"context": {}})[1]["errorCode"], "TARGETING_KEY_MISSING")
    equal(ask(flag, {})[1]["errorCode"], "INVALID_CONTEXT")
    equal(ask(flag, b"{")[1]["errorCode"], "PARSE_ERROR")
    status, answer = ask("/ofrep/v1/evaluate/flags/nobody", {"context": {"targetingKey": "u"}})
    equal((status, answer["errorCode"]), (404, "FLAG_NOT_FOUND"))
    status, answer = ask("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": inside}})
    equal((status, [one["value"] for one in answer["flags"]]), (200, ["v4"]))
    for i in range(200):
        want = "treatment" if bucket(NAME, f"u{i}") < 0.05 else "control"
        equal(daemon.get(_path("assignment") + f"?unit=u{i}")["arm"], want, f"u{i}")


@short
def an_experiment_of_the_configuration_is_created_once(story):
    daemon = story.daemon(configuration(experiments=[_experiment(start=True)]))
    before = time.time() * 1000
    daemon.start()
    made = daemon.get(_path())
    equal(made["state"], "running")
    rows = daemon.get("/api/v1/audit")["items"]
    equal({row["action"] for row in rows}, {"experiment.create", "experiment.start"})
    for at in (made["created"], made["since"], *(row["at"] for row in rows)):  # no event told the time yet
        assert before <= at <= time.time() * 1000, (made, rows)
    daemon.post(_path("rollback"), {"reason": "no"})
    daemon.terminate()
    daemon.start()
    equal(daemon.get(_path())["state"], "rolled_back", "a finished name is never started again")
    daemon.terminate()
    daemon.settings["experiments"] = [_experiment(start=True, alpha=0.01)]
    path = daemon.write_configuration()
    code, _, errors = run_program("check", path, cwd=os.path.dirname(path))
    assert code and "new name" in errors, (code, errors)


@short
def F39_when_nothing_comes_at_all_it_is_held_then_rolled_back(story):
    daemon = story.daemon(configuration())
    daemon.start()
    experiment = _start(daemon, stale_after="2s", max_hold="1s", steps=[{"weight": 50, "min_duration": "1h"}])
    _post(daemon, Traffic(experiment, START).seconds(10, 50))

    wait_until(lambda: daemon.get(_path())["state"] == "rolled_back", 30, "the end of max_hold")

    last = daemon.get(_path("history"))["items"][-2:]
    equal([(item["verdict"], item["reason"], item["clock"]) for item in last], [("hold", "own input is stale: the consumer lags behind", "wall"), ("rollback", "no data", "wall")])
    equal(daemon.get(_path("assignment") + "?unit=u1")["version"], "v3")
    daemon.terminate()
    code, _, errors = run_program("verify", daemon.database)
    equal(code, 0, errors)


@short
def F40_a_silent_treatment_is_held_then_rolled_back(story):
    daemon = story.daemon(configuration())
    daemon.start()
    experiment = _start(daemon, stale_after="30s", max_hold="1s")
    traffic = Traffic(experiment, START)
    for _ in range(40):
        # everyone is served control: the units of treatment stay away
        _post(daemon, [e for e in traffic.seconds(10, 5) if '"v4"' not in e.value])
        if daemon.get(_path())["state"] == "rolled_back":
            break
    last = daemon.get(_path("history"))["items"]
    equal([(item["verdict"], item["reason"], item["clock"]) for item in last][-1], ("rollback", "no data", "wall"))
    assert any(item["verdict"] == "hold" for item in last), last
