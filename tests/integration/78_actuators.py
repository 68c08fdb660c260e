"""Weights that something else must carry: told over HTTP or by a file, repeated until reality
confirms them, corrected when somebody changes them, and never two truths: until then `applying`.
"""

import os
import re
import shutil
import signal
import subprocess
import time

from daemon import AssayError, configuration, run_program
from events import START
from kafka import ROOT, wait_until
from receiver import Receiver
from story import equal, short
from traffic import Traffic, bucket
from traffic_switch import TrafficSwitch

NAME = "credit-v4"
SPLIT = 'split_clients "$arg_u-credit-v4" $credit_to {\n  PART\n  * {{control}};\n}\n'


def _experiment(**more):
    steps = [
        {"weight": 5, "min_duration": "10s", "min_units": 10},
        {"weight": 50, "min_duration": "20s", "min_units": 20},
        {"weight": 100, "min_duration": "20s"},
    ]
    metric = {"metric": "error_rate", "role": "guardrail", "margin_relative": 1.0}
    made = {"name": NAME, "model": "credit", "control": "v3", "treatment": "v4", "salt": NAME}
    return {**made, "steps": steps, "metrics": [metric], "holdback": 5, **more}


def _http(switch, **more):
    made = {
        "name": "edge",
        "experiment": NAME,
        "type": "http",
        "url": switch.url + "/routes/{{model}}",
        "method": "PATCH",
        "body": '{"weight": {{weight}}, "rest": {{control_weight_bp}}, "to": "{{treatment}}"}',
        "confirm": {"url": switch.url + "/routes/{{model}}", "pointer": "/spec/rules/0/refs/1/weight"},
        "allow_private": True,
        "timeout": "1s",
        "reconcile": "1s",
    }
    return {**made, **more}


def _path(*parts):
    return "/".join(["/api/v1/experiments", NAME, *parts])


def _start(daemon, **more):
    experiment = _experiment(**more)
    daemon.post("/api/v1/experiments", experiment)
    daemon.post(_path("start"), {"reason": "a new model"})
    return experiment


def _send(daemon, events):
    answer = daemon.post("/api/v1/events", "\n".join(event.value for event in events).encode())
    equal(answer["rejected"], [], "rejected events")


def _state(daemon):
    now = daemon.get(_path())
    return now["state"], now["weight"], now["applying"], now["actuators"][0]


def _settle(daemon, traffic):
    """A few seconds of traffic, so that a look sees what became of the weight."""
    now = daemon.get(_path())
    _send(daemon, traffic.seconds(4, now["weight"]))


@short
def a_weight_is_applying_until_what_splits_the_traffic_confirms_it(story):
    switch = TrafficSwitch()
    story.at_end(switch.close)
    receiver = Receiver()
    story.at_end(receiver.close)
    switch.script = [500, 409, "hang", 200]
    hook = {"name": "oncall", "type": "webhook", "url": receiver.url, "allow_private": True}
    daemon = story.daemon(configuration(actuators=[_http(switch)], receivers=[hook], route={"receiver": "oncall"}))
    daemon.start()
    traffic = Traffic(_start(daemon), START, rates=(0.02, 0.02), per_second=60)

    state, weight, applying, actuator = _state(daemon)
    equal((state, weight, applying, actuator["confirmed"]), ("running", 5, True, False))
    wait_until(lambda: _state(daemon)[3]["attempts"] >= 1, 10, "the first failure")
    _send(daemon, traffic.seconds(30, 5))
    wait_until(lambda: (daemon.get(_path())["verdict"] or {}).get("verdict") == "hold", 10, "the hold")
    held = daemon.get(_path())["verdict"]
    assert held["reason"].startswith("an actuator does not confirm 5%: edge: "), held["reason"]
    equal(held["units"], {"control": 0, "treatment": 0}, "nobody knows which share was served: outside the comparison")
    wait_until(lambda: not _state(daemon)[2], 20, "the confirmation")

    equal(switch.weight, 5)
    equal(len(switch.changes), 4)
    method, path, headers, _ = switch.changes[0]
    equal((method, path, headers["content-type"]), ("PATCH", "/routes/credit", "application/json"))
    equal(switch.bodies()[0], {"weight": 5, "rest": 9500, "to": "v4"})
    wait_until(lambda: "experiment.held" in [b["type"] for b in receiver.bodies()], 20, "the hold is told")
    _settle(daemon, traffic)
    wait_until(lambda: daemon.get(_path())["verdict"]["verdict"] == "continue", 10, "it goes on")
    rows = [(row["verdict"], row["clock"]) for row in daemon.get(_path("history"))["items"]]
    equal(rows, [("start", "wall"), ("hold", "wall"), ("continue", "wall")])

    # behind our back
    switch.weight = 30
    wait_until(lambda: switch.weight == 5, 10, "the correction")
    wait_until(lambda: _state(daemon)[3]["corrections"] == 1 and not _state(daemon)[2], 10, "it is counted")
    metrics = daemon.request("GET", "/metrics")[1]
    assert 'assay_actuator_corrected_total{actuator="edge"} 1' in metrics, metrics

    # a rollback is a weight too, and after its confirmation nothing is touched any more
    switch.script = [503]
    daemon.post(_path("rollback"), {"reason": "enough"})
    equal(_state(daemon)[:3], ("rolled_back", 0, True))
    wait_until(lambda: not _state(daemon)[2], 10, "the rollback is carried out")
    equal(switch.weight, 0)
    switch.weight = 77
    time.sleep(2)
    equal(switch.weight, 77, "whoever takes over after the end is not fought")
    daemon.terminate()
    code, _, errors = run_program("verify", daemon.database)
    equal(code, 0, errors)


@short
def a_ramp_is_carried_step_by_step_and_a_kill_in_between_leaves_one_truth(story):
    switch = TrafficSwitch()
    story.at_end(switch.close)
    daemon = story.daemon(configuration(actuators=[_http(switch)]))
    daemon.start(environment={"ASSAY_CRASH_AT": "after-carrying"})
    metric = {"metric": "error_rate", "role": "guardrail", "margin_relative": 9.0}
    experiment = _experiment(metrics=[metric])
    daemon.post("/api/v1/experiments", experiment)
    try:
        daemon.post(_path("start"), {"reason": "a new model"})
    except (OSError, AssayError):
        pass
    wait_until(lambda: not daemon.running(), 20, "the kill after the weight was carried, before that was stored")
    equal(switch.weight, 5)
    daemon.start()
    wait_until(lambda: not _state(daemon)[2], 10, "the confirmation after the restart")
    assert switch.bodies() == [switch.bodies()[0]] * len(switch.changes), "repeated at most, never another weight"

    traffic = Traffic(experiment, START, rates=(0.05, 0.05), per_second=30)
    seen = {}
    for _ in range(60):
        now = daemon.get(_path())
        if now["state"] == "promoted":
            break
        if not now["applying"]:
            equal(switch.weight, now["weight"], "what is confirmed is what is there")
            seen[now["weight"]] = True
        _send(daemon, traffic.seconds(30, now["weight"]))
        wait_until(lambda: not _state(daemon)[2], 10, "the weight is carried")
    equal(sorted(seen), [5, 50, 95])
    equal((daemon.get(_path())["state"], switch.weight), ("promoted", 100))


@short
def a_file_is_replaced_as_a_whole_and_its_reader_is_told(story):
    path = story.path("credit.split")
    pid_file = story.path("reader.pid")
    told = story.path("told")
    listening = story.path("listening")
    reader = subprocess.Popen(
        ["/bin/sh", "-c", f"trap 'echo x >> {told}' HUP; : > {listening}; while :; do sleep 0.1; done"],
        # Under nohup a shell cannot trap what was ignored when it began.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    story.at_end(reader.kill)
    with open(pid_file, "w", encoding="utf-8") as out:
        out.write(f"{reader.pid}\n")
    actuator = {
        "name": "nginx",
        "experiment": NAME,
        "type": "file",
        "path": path,
        "template": SPLIT.replace("PART", "{{weight}}% {{treatment}};"),
        "at_zero": SPLIT.replace("PART", ""),
        "notify_pid": pid_file,
        "reconcile": "1s",
    }
    daemon = story.daemon(configuration(actuators=[actuator]))
    daemon.start()
    wait_until(lambda: os.path.exists(listening), 10, "the reader's trap")
    _start(daemon)

    def text():
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    wait_until(lambda: not _state(daemon)[2], 10, "the file")
    equal(text(), 'split_clients "$arg_u-credit-v4" $credit_to {\n  5% v4;\n  * v3;\n}\n')
    wait_until(lambda: os.path.exists(told), 10, "the HUP")

    def nginx_takes_it():
        if nginx:
            done = subprocess.run([nginx, "-t", "-q", "-c", whole], capture_output=True, text=True, check=False)
            equal(done.returncode, 0, done.stderr)

    nginx = shutil.which("nginx") or ("/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else None)
    whole = story.path("nginx.conf")
    if nginx:
        with open(whole, "w", encoding="utf-8") as out:
            out.write(f'pid {story.path("nginx.pid")};\nerror_log stderr;\nevents {{}}\nhttp {{ include {path}; }}\n')
    nginx_takes_it()
    daemon.post(_path("jump"), {"step": 1, "reason": "sure"})
    wait_until(lambda: "  50% v4;" in text(), 10, "the second step")
    with open(path, "w", encoding="utf-8") as out:
        out.write("# by hand\n")
    wait_until(lambda: "  50% v4;" in text(), 10, "the correction")
    daemon.post(_path("rollback"), {"reason": "enough"})
    wait_until(lambda: "%" not in text() and "* v3;" in text(), 10, "the rollback")
    wait_until(lambda: not _state(daemon)[2], 10, "it is confirmed")
    nginx_takes_it()
    equal([name for name in os.listdir(os.path.dirname(path)) if "assay-" in name], [], "nothing is left beside it")


@short
def another_hash_may_split_when_the_experiment_says_so(story):
    daemon = story.daemon(configuration())
    daemon.start()
    traffic = Traffic(_start(daemon, assignment="served"), START, rates=(0.02, 0.5), per_second=100)
    traffic.experiment = {**traffic.experiment, "salt": "somebody else's"}
    assert bucket("somebody else's", "u1") != bucket(NAME, "u1")
    for _ in range(40):
        now = daemon.get(_path())
        if now["state"] != "running":
            break
        _send(daemon, traffic.seconds(5, now["weight"]))
    equal(now["state"], "rolled_back")
    equal((now["verdict"]["crossovers"], now["verdict"]["srm"]["status"]), (0, "ok"))
    status, body = daemon.request("POST", "/api/v1/experiments", _experiment(name="b", assignment="served", control_share="equal"))
    equal((status, "equal needs assignment hash" in body), (422, True), body)


@short
def a_reload_takes_other_actuators_and_a_wrong_one_changes_nothing(story):
    first, second = TrafficSwitch(), TrafficSwitch()
    story.at_end(first.close)
    story.at_end(second.close)
    daemon = story.daemon(configuration(actuators=[]))
    daemon.start()
    _start(daemon)
    equal(daemon.get(_path())["applying"], False)

    def reload(*actuators):
        daemon.settings["actuators"] = list(actuators)
        daemon.write_configuration()
        daemon.hangup()

    # one that is new carries the weight of now, without waiting for the next step
    reload(_http(first))
    wait_until(lambda: first.weight == 5, 10, "the weight reaches what is new")
    wait_until(lambda: [a["confirmed"] for a in daemon.get(_path())["actuators"]] == [True], 10, "its confirmation")
    wait_until(lambda: not daemon.get(_path())["applying"], 10, "it is applied")

    reload(_http(first, url=7))
    wait_until(lambda: "the old configuration stays" in daemon.log(), 10, "the refusal")
    first.weight = 30
    wait_until(lambda: first.weight == 5, 10, "the old one is still at work")

    reload(_http(second, name="other"))
    wait_until(lambda: second.weight == 5, 10, "the other one")
    wait_until(lambda: [a["name"] for a in daemon.get(_path())["actuators"]] == ["other"], 10, "the first is forgotten")
    first.weight = 30
    daemon.post(_path("rollback"), {"reason": "enough"})
    wait_until(lambda: second.weight == 0, 10, "the rollback")
    wait_until(lambda: not daemon.get(_path())["applying"], 10, "its confirmation")
    equal(first.weight, 30, "what was taken out is left alone")


@short
def a_step_that_is_obeyed_after_the_rollback_does_not_stay(story):
    switch = TrafficSwitch()
    story.at_end(switch.close)
    daemon = story.daemon(configuration(actuators=[_http(switch, timeout="60s")]))
    daemon.start()
    _start(daemon)
    wait_until(lambda: switch.weight == 5 and not _state(daemon)[2], 10, "the first step")
    switch.script = ["late"]
    daemon.post(_path("jump"), {"step": 1, "reason": "sure"})
    wait_until(lambda: {"weight": 50, "rest": 5000, "to": "v4"} in switch.bodies(), 10, "the second step is asked for")
    daemon.post(_path("rollback"), {"reason": "enough"})
    wait_until(lambda: switch.weight == 0 and not _state(daemon)[2], 20, "the rollback")

    switch.obey()
    wait_until(lambda: _state(daemon)[3]["corrections"] == 1, 10, "what came late is found")
    wait_until(lambda: switch.weight == 0 and not _state(daemon)[2], 10, "it is set back")
    equal(daemon.get(_path())["state"], "rolled_back")


@short
def a_wrong_actuator_is_refused_with_its_place(story):
    good = {"name": "a", "experiment": NAME, "url": "https://edge.example/x", "body": "{}"}
    wrong = [
        ({**good, "type": "carrier pigeon"}, 'actuators[0].type: "carrier pigeon"'),
        ({**good, "body": "{{wieght}}"}, "actuators[0].body: {{wieght}} is no field; did you mean {{weight}}?"),
        ({**good, "url": "ftp://edge"}, "actuators[0].url: does not begin with http:// or https://"),
        ({**good, "url": "https://me:secret@edge/"}, "actuators[0].url: must not hold a password"),
        ({**good, "method": "DELETE"}, 'actuators[0].method: "DELETE"'),
        ({**good, "confirm": {"url": "https://edge/x", "pointer": "spec"}}, 'actuators[0].confirm.pointer: "spec" is no JSON pointer'),
        ({**good, "path": "/etc/x"}, "actuators[0].path: belongs to type file"),
        ({**good, "timeout": "1h"}, "actuators[0].timeout: must be in 100ms..60s"),
        ({"name": "a", "experiment": NAME, "type": "file", "path": "x", "template": ""}, 'actuators[0].path: "x" must be absolute'),
        ({"name": "a", "url": "https://edge/", "body": ""}, "actuators[0].experiment: is missing"),
    ]
    for actuator, said in wrong:
        daemon = story.daemon(configuration(actuators=[actuator]), f"wrong{wrong.index((actuator, said))}")
        code, _, errors = run_program("check", daemon.write_configuration())
        equal((code, said in errors), (65, True), errors)


@short
def every_example_of_the_documentation_is_taken(story):
    with open(os.path.join(ROOT, "docs", "actuators.md"), encoding="utf-8") as file:
        examples = re.findall(r"```yaml\n(.*?)```", file.read(), re.S)
    equal(len(examples), 2)
    for n, example in enumerate(examples):
        path = story.path(f"example{n}.yaml")
        with open(story.path("secret"), "w", encoding="utf-8") as out:
            out.write("a token or a certificate\n")
        example = re.sub(r"(token_file|ca_file): \S+", rf"\1: {story.path('secret')}", example)
        with open(path, "w", encoding="utf-8") as out:
            out.write("storage: {path: assay.db}\nmodels: [{name: credit, task: binary, positive: 1}]\n" + example)
        code, text, errors = run_program("check", path)
        equal(code, 0, text + errors)
