"""What splits the traffic carries in the end what the experiment says, whatever happened on the way:
steps, pauses and rollbacks at once after each other, requests that fail or are obeyed late, other actuators by
SIGHUP, and kills.
"""

import os
import random

from daemon import AssayError, configuration
from kafka import wait_until
from story import equal, short
from traffic_switch import TrafficSwitch

EXPERIMENTS = int(os.environ.get("ASSAY_EXPERIMENTS", "6"))
DISTURBANCES = 8
ENDS = {"rollback": 0, "promote": 100}


def _experiment(name):
    steps = [
        {"weight": 5, "min_duration": "10s", "min_units": 10},
        {"weight": 50, "min_duration": "20s", "min_units": 20},
        {"weight": 100, "min_duration": "20s"},
    ]
    metric = {"metric": "error_rate", "role": "guardrail", "margin_relative": 1.0}
    return {"name": name, "model": "credit", "control": "v3", "treatment": "v4", "salt": name, "steps": steps,
            "metrics": [metric], "holdback": 5}


def _actuator(name, experiment, switch):
    return {
        "name": name, "experiment": experiment, "type": "http", "url": switch.url, "method": "PATCH",
        "body": '{"weight": {{weight}}}', "confirm": {"url": switch.url, "pointer": "/spec/rules/0/refs/1/weight"},
        "allow_private": True, "timeout": "1s", "reconcile": "1s",
    }


class Disturbed:
    """One experiment, and what may happen to it."""

    def __init__(self, daemon, name, seed):
        self.daemon, self.name, self.random = daemon, name, random.Random(seed)
        self.switch = TrafficSwitch()
        self.actuators = 0
        self.reload()

    def reload(self):
        self.actuators += 1
        self.daemon.settings["actuators"] = [_actuator(f"{self.name}-{self.actuators}", self.name, self.switch)]
        self.daemon.write_configuration()
        if self.daemon.running():
            self.daemon.hangup()

    def order(self, what, **more):
        try:
            self.daemon.post(f"/api/v1/experiments/{self.name}/{what}", {"reason": "a test", **more})
        except AssayError as error:
            equal(error.status, 409, f"{what}: {error.body}")

    def jump(self):
        self.order("jump", step=self.random.randrange(3))

    def pause(self):
        self.order("pause")

    def resume(self):
        self.order("resume")

    def trouble(self):
        self.switch.script = self.random.choices([200, 500, 503, 0.2, 0.6], k=3)

    def kill(self):
        self.daemon.kill9()
        self.daemon.start()

    def disturb(self):
        does = [self.jump, self.jump, self.pause, self.resume, self.trouble, self.trouble, self.reload, self.kill]
        self.random.choice(does)()

    def now(self):
        return self.daemon.get(f"/api/v1/experiments/{self.name}")

    def is_carried(self):
        now = self.now()
        return now["applying"] is False and self.switch.weight == now["weight"]


@short
def whatever_happens_on_the_way_the_last_weight_is_the_one_that_stays(story):
    daemon = story.daemon(configuration(actuators=[]))
    daemon.start()
    for seed in range(EXPERIMENTS):
        one = Disturbed(daemon, f"e{seed}", seed)
        story.at_end(one.switch.close)
        daemon.post("/api/v1/experiments", _experiment(one.name))
        one.order("start")
        wait_until(one.is_carried, 20, f"the first weight of {one.name} is carried")
        for _ in range(DISTURBANCES):
            one.disturb()
        end = one.random.choice(list(ENDS))
        one.order(end)

        wait_until(lambda: one.now()["state"] in ("rolled_back", "promoted"), 20, f"the end of {one.name}")
        equal(one.now()["weight"], ENDS[end], f"{one.name}: {end}")
        one.reload()
        wait_until(one.is_carried, 30, f"the weight of {one.name} is carried")
        wait_until(one.switch.idle, 10, "all requests have been obeyed")
        wait_until(one.is_carried, 30, f"the weight of {one.name} is carried when all late ones have been obeyed")
