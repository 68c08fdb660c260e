#!/usr/bin/env python3
"""The gateway's and the rollback's figures: what a request costs beside its upstream asked directly,
how soon harm in Kafka is weight 0 everywhere, how many assignments a second.

usage: gateway.py [--requests N] [--experiments N] [--seconds N] [--only latency,reaction,assignment]

Direct and proxied requests alternate on the same client, so that what disturbs the machine disturbs
both. Prints Markdown; `./dev bench-gateway` runs it on a release build.
"""

import os
import sys

sys.path.pop(0)  # bench/http.py is not the standard library's http
import argparse  # noqa: E402
import http.client  # noqa: E402
import json  # noqa: E402
import random  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import BUILD, Daemon, configuration  # noqa: E402
from events import prediction  # noqa: E402
from kafka import Kafka, end_with_what_was_started, free_port, wait_until  # noqa: E402
from traffic import bucket  # noqa: E402

QUICK = os.path.join(ROOT, BUILD, "bench", "quick_http")
PER_SECOND = 200  # background events, both arms together
BURST = 60  # failing treatment units at once: more than a decision needs


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


class Upstreams:
    def __init__(self, n):
        self.ports = [free_port() for _ in range(n)]
        self.processes = [subprocess.Popen([QUICK, "upstream", str(port)]) for port in self.ports]

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


def settings(kafka, topic, ports, gateway_port, **more):
    made = configuration(kafka.brokers, [topic], group=topic, **more)
    gateway = {"listen": f"127.0.0.1:{gateway_port}", "model": "credit", "unit": {"header": "x-user"}}
    gateway["upstreams"] = {"v3": f"http://127.0.0.1:{ports[0]}", "v4": f"http://127.0.0.1:{ports[1]}"}
    gateway["event"] = {"features": "/instances/0", "score": "/predictions/0/0"}
    made["gateway"] = [gateway]
    made["http"]["limits"] = {"rate": 1000000, "per_address": 512, "connections": 512}
    return made


def latency(folder, kafka, args):
    """µs of a request: the upstream directly, and through the gateway."""
    topic = "latency"
    kafka.create_topic(topic, 2)
    upstreams, port = Upstreams(2), free_port()
    daemon = Daemon(os.path.join(folder, "latency"), settings(kafka, topic, upstreams.ports, port))
    daemon.start()
    print("\n## A request beside its upstream asked directly (µs)\n")
    print("| connections | direct p50 / p90 / p99 | gateway p50 / p90 / p99 | added at the median | load |")
    print("|---|---|---|---|---|")
    try:
        for connections in (1, 4, 16):
            asked = [QUICK, "client", str(args.requests // connections), str(connections), str(upstreams.ports[0]), str(port)]
            rows = [line.split()[1:] for line in subprocess.check_output(asked, text=True).splitlines()]
            direct, through = ([float(x) for x in row] for row in rows)
            print(
                f"| {connections} | {' / '.join(f'{x:.0f}' for x in direct)} | {' / '.join(f'{x:.0f}' for x in through)}"
                f" | **{through[0] - direct[0]:.0f}** | {os.getloadavg()[0]:.1f} |",
                flush=True,
            )
        print(f"\nEvents told: {daemon.own('gateway_events'):.0f}, lost: {daemon.own('gateway_events_lost'):.0f}")
    finally:
        daemon.end()
        upstreams.close()


class Background:
    """Events of both arms, all the time; treatment's fail while `harmful`."""

    def __init__(self, kafka, topic):
        self.producer = kafka.producer(topic)
        self.harmful, self.salt, self.n = False, None, 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _event(self, unit, version):
        self.n += 1
        fields = {"error": "boom"} if self.harmful and version == "v4" else {"score": 0.9, "prediction": 1, "latency_ms": 5}
        event = prediction(f"b{self.n}", int(time.time() * 1000), "credit", version, unit=unit, **fields)
        return event.key, event.value

    def _run(self):
        while not self._stop.wait(2 / PER_SECOND):
            with self._lock:
                pair = []
                for _ in range(2):
                    unit = f"u{self.n}"
                    treated = self.salt and bucket(self.salt, unit) < 0.5
                    pair.append(self._event(unit, "v4" if treated else "v3"))
                self.producer.send(pair)

    def burst(self):
        """Many failing treatment units at once; the moment before they are handed to Kafka."""
        with self._lock:
            self.harmful, events = True, []
            while len(events) < BURST:
                unit = f"x{self.n}-{len(events)}-{random.random()}"
                if bucket(self.salt, unit) < 0.5:
                    events.append(self._event(unit, "v4"))
            at = time.time()
            self.producer.send(events)
            return at

    def close(self):
        self._stop.set()
        self._thread.join()
        self.producer.close()


class Watch(threading.Thread):
    """Asks again and again; when the answer last was the treatment's, and first control's for good."""

    def __init__(self, port, ask):
        super().__init__(daemon=True)
        self.port, self.ask, self.done, self.changed = port, ask, threading.Event(), None

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while not self.done.is_set():
            if self.ask(connection) == "v3":
                self.changed = self.changed or time.time()
            else:
                self.changed = None
            time.sleep(0.002)
        connection.close()


def ask_gateway(unit):
    def ask(connection):
        connection.request("GET", "/metadata", headers={"x-user": unit})
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("x-assay-version")

    return ask


def ask_assignment(experiment, unit):
    def ask(connection):
        connection.request("GET", f"/api/v1/experiments/{experiment}/assignment?unit={unit}")
        return json.loads(connection.getresponse().read())["version"]

    return ask


def one_reaction(daemon, background, gateway_port, number):
    name = f"e{number}"
    metric = {"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 0.5}
    experiment = {"name": name, "model": "credit", "control": "v3", "treatment": "v4", "metrics": [metric]}
    experiment["steps"] = [{"weight": 50, "min_duration": "1h"}]
    background.harmful, background.salt = False, name
    time.sleep(1.5)  # what failed before is behind the new one's start
    daemon.post("/api/v1/experiments", experiment)
    daemon.post(f"/api/v1/experiments/{name}/start", {"reason": "bench"})
    unit = next(f"w{i}" for i in range(100) if bucket(name, f"w{i}") < 0.5)
    http_port = int(daemon.settings["http"]["listen"].rsplit(":", 1)[1])
    watches = [Watch(http_port, ask_assignment(name, unit)), Watch(gateway_port, ask_gateway(unit))]
    for watch in watches:
        watch.start()
    path = f"/api/v1/experiments/{name}"
    wait_until(lambda: (daemon.get(path)["verdict"] or {}).get("units", {}).get("treatment", 0) > 20, 60, "both arms")
    time.sleep(random.random())
    assert all(watch.changed is None for watch in watches), "the treatment serves before the harm"
    at = background.burst()
    wait_until(lambda: all(watch.changed for watch in watches), 60, "the rollback")
    time.sleep(0.1)
    for watch in watches:
        watch.done.set()
        watch.join()
    assert daemon.get(path)["state"] == "rolled_back"
    decided = daemon.get(f"{path}/history")["items"][-1]["at"] / 1000
    return [watch.changed - at for watch in watches] + [decided - at]


def reaction(folder, kafka, args):
    """Seconds from harm handed to Kafka to weight 0 in the assignment and in the gateway."""
    topic = "reaction"
    kafka.create_topic(topic, 2)
    upstreams, port = Upstreams(2), free_port()
    daemon = Daemon(os.path.join(folder, "reaction"), settings(kafka, topic, upstreams.ports, port))
    daemon.start()
    background = Background(kafka, topic)
    taken = []
    try:
        for number in range(args.experiments):
            taken.append(one_reaction(daemon, background, port, number))
            print(f"\r{number + 1} of {args.experiments}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    finally:
        background.close()
        daemon.end()
        upstreams.close()
    print(f"\n## From the harmful events in Kafka to weight 0 (s, {len(taken)} rollbacks, load {os.getloadavg()[0]:.1f})\n")
    print("| where | median | 90% | 99% | longest |\n|---|---|---|---|---|")
    for k, where in enumerate(("assignment", "gateway", "event time of the look that decided")):
        values = [row[k] for row in taken]
        row = [statistics.median(values), quantile(values, 0.9), quantile(values, 0.99), max(values)]
        print(f"| {where} | " + " | ".join(f"{value:.2f}" for value in row) + " |", flush=True)


LUA = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/api/v1/experiments/e/assignment?unit=user-" .. (n * 7919 % 1000003))
end
"""


def assignment(folder, kafka, args):
    """Answers a second of GET …/assignment, a new unit each time."""
    topic = "assignment"
    kafka.create_topic(topic, 1)
    kafka.produce(topic, [(e.key, e.value) for e in (prediction(f"p{i}", int(time.time() * 1000)) for i in range(10))])
    metric = {"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 0.5}
    experiment = {"name": "e", "model": "credit", "control": "v3", "treatment": "v4", "metrics": [metric]}
    daemon = Daemon(os.path.join(folder, "assignment"), settings(kafka, topic, [1, 2], free_port()))
    daemon.start()
    script = os.path.join(folder, "units.lua")
    with open(script, "w", encoding="utf-8") as out:
        out.write(LUA)
    try:
        wait_until(lambda: _predictions(daemon) == 10, 30, "the model")
        daemon.post("/api/v1/experiments", experiment)
        daemon.post("/api/v1/experiments/e/start", {"reason": "bench"})
        print("\n## Assignments over HTTP\n\n| connections | answers/s | p50 | p99 | not 200 | load |\n|---|---|---|---|---|---|")
        for connections in (8, 32):
            command = ["wrk", "-t1", f"-c{connections}", f"-d{args.seconds}", "--latency", "-s", script, daemon.url]
            out = subprocess.check_output(command, text=True).split()
            rate = out[out.index("Requests/sec:") + 1]
            bad = out[out.index("responses:") + 1] if "responses:" in out else "0"
            p50, p99 = out[out.index("50%") + 1], out[out.index("99%") + 1]
            print(f"| {connections} | {float(rate):,.0f} | {p50} | {p99} | {bad} | {os.getloadavg()[0]:.1f} |", flush=True)
    finally:
        daemon.end()


def _predictions(daemon):
    """How many the daemon has of the model; 0 before its first commit."""
    status, text = daemon.request("GET", "/api/v1/models/credit")
    return json.loads(text)["predictions"] if status == 200 else 0


def main():
    end_with_what_was_started()
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default="latency,assignment,reaction")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, Kafka() as kafka:
        for name in args.only.split(","):
            {"latency": latency, "assignment": assignment, "reaction": reaction}[name](folder, kafka, args)


if __name__ == "__main__":
    main()
