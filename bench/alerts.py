#!/usr/bin/env python3
"""Alerts' figures: how soon harm in Kafka is a request, and what 10,000 alerts at once cost the collector.

usage: alerts.py [--repeats N] [--rules N] [--events N] [--rounds N] [--only latency,crowd]

Prints Markdown; `./dev bench-alerts` runs it on a release build. The crowd is measured as ratios within
one run, of the same events and as many rules, of which none fires, or all fire at the same look: over the
whole log, and over the time from the look at which they fire until the last delivery is answered, against
as long a time from the same event on while none fires. The log is long enough that there is always more.
"""

import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import Daemon, configuration  # noqa: E402
from database import offsets  # noqa: E402
from events import prediction  # noqa: E402
from kafka import Kafka, wait_until  # noqa: E402
from receiver import Receiver  # noqa: E402

PER_SECOND = 100  # background events of the latency part
SPAN_S = 60  # event time of the crowd's events: so many looks


def keyed(id, ts, **fields):
    """A prediction as the producers take it: (key, value)."""
    return id, prediction(id, ts, **fields).value


def now_ms():
    return int(time.time() * 1000)


def settings(kafka, topic, receiver, rules, **more):
    models = [{"name": name, "task": "binary", "label_horizon": "1h"} for name in sorted({r["model"] for r in rules} | {"credit"})]
    return configuration(
        kafka.brokers,
        [topic],
        group=f"{topic}-{time.monotonic_ns()}",  # a former daemon's place in a group is kept until its session ends
        models=models,
        alerts=rules,
        receivers=[{"name": "oncall", "type": "webhook", "url": receiver.url, "allow_private": True}],
        route={"receiver": "oncall", "group_wait": "0s", "group_interval": "1s", **more},
    )


def rule(i, model="credit", **more):
    """One rule, one alert."""
    return {"name": f"e{i}", "model": model, "metric": "error_rate", "above": 0.2, **more}


def latency(folder, kafka, args):
    """Seconds from the last harmful event's acknowledgement by Kafka to the request in the receiver's hands."""
    topic, arrived = "alert-latency", {}
    kafka.create_topic(topic, 2)

    def answer(_handler, n):
        at, _, body = receiver.attempts[n]
        for alert in json.loads(body)["data"]["alerts"]:
            arrived.setdefault(alert["name"], at)
        return 200

    receiver = Receiver(answer)
    rules = [rule(i, f"m{i}", window="1m", interval=False) for i in range(args.repeats)]
    daemon = Daemon(os.path.join(folder, "latency"), settings(kafka, topic, receiver, rules, group_by=["alertname"]))
    daemon.start()
    sender, stop, sent = kafka.producer(topic), threading.Event(), {}
    lock = threading.Lock()

    def background():
        n = 0
        while not stop.wait(0.05):
            with lock:
                sender.send([keyed(f"b{n}-{i}", now_ms(), score=0.5, prediction=1) for i in range(PER_SECOND // 20)])
            n += 1

    thread = threading.Thread(target=background)
    thread.start()
    try:
        time.sleep(3)
        for i in range(args.repeats):
            at = now_ms()
            harm = [keyed(f"h{i}-{k}", at, model=f"m{i}", score=0.5, prediction=1, error="down") for k in range(20)]
            with lock:
                sender.send(harm)
            sent[f"e{i}"] = time.time()
            time.sleep(0.2 + 0.037 * (i % 7))
        wait_until(lambda: len(arrived) == args.repeats, 60, "every alert")
    finally:
        stop.set()
        thread.join()
        sender.close()
        daemon.end()
        receiver.close()
    took = sorted(arrived[name] - sent[name] for name in sent)
    p99 = took[min(len(took) - 1, int(0.99 * len(took)))]
    print("\n## Harm in Kafka → request received (no `for`, group_wait 0)\n")
    print("| repeats | p50 | p90 | p99 | longest | load |\n|---|---|---|---|---|---|")
    print(
        f"| {len(took)} | {statistics.median(took):.2f} s | {took[int(0.9 * len(took))]:.2f} s | **{p99:.2f} s** | {took[-1]:.2f} s"
        f" | {os.getloadavg()[0]:.1f} |",
        flush=True,
    )


def fill(kafka, topic, n):
    """n predictions over SPAN_S seconds of event time, the last three fifths fail; their first ts."""
    kafka.create_topic(topic, 1)
    start = now_ms() // 60000 * 60000 - 120000
    for first in range(0, n, 100000):
        batch = []
        for i in range(first, min(n, first + 100000)):
            more = {"error": "down"} if i >= n * 2 // 5 else {}
            batch.append(keyed(f"p{i}", start + i * SPAN_S * 1000 // n, score=0.5, prediction=1, **more))
        kafka.produce(topic, batch)
    return start


class Progress:
    """What a database says of how many events are in, over time."""

    def __init__(self, database, n):
        self.database, self.n, self.samples = database, n, []
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def _sample(self):
        consumed = 0
        while consumed < self.n:
            consumed = sum(offsets(self.database).values())
            if consumed:
                self.samples.append((time.monotonic(), consumed))
            time.sleep(0.01)

    def wait(self):
        self.thread.join(600)
        assert not self.thread.is_alive(), "the last commit did not come"

    def time_of(self, consumed):
        """When so many were in, between two samples on a straight line."""
        before = self.samples[0]
        for sample in self.samples:
            if sample[1] >= consumed:
                share = (consumed - before[1]) / max(1, sample[1] - before[1])
                return before[0] + share * (sample[0] - before[0])
            before = sample
        return before[0]

    def at(self, moment):
        before = self.samples[0]
        for sample in self.samples:
            if sample[0] >= moment:
                share = (moment - before[0]) / max(1e-9, sample[0] - before[0])
                return before[1] + share * (sample[1] - before[1])
            before = sample
        return before[1]

    def rate(self):
        (began, first), (ended, last) = self.samples[0], self.samples[-1]
        return (last - first) / (ended - began)


def cpu_seconds(daemon):
    """What the daemon's threads have computed so far; it does not grow when others need the cores."""
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fired_at(database):
    """Event time of the look at which alerts began to fire; None: none did."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT min(at_ms) FROM alert_history WHERE event = 'firing'").fetchone()[0]


def consume(folder, kafka, topic, n, rules):
    """One daemon over the whole topic: its progress, CPU seconds, requests, alerts told, when they fired and were told."""
    answered = []

    def slow(_handler, _n):
        time.sleep(0.05)
        answered.append(time.monotonic())
        return 200

    receiver = Receiver(slow)
    daemon = Daemon(folder, settings(kafka, topic, receiver, rules, group_by=["group"]))
    daemon.start(wait=False)
    try:
        wait_until(lambda: sum(offsets(daemon.database).values()) > 0, 120, "the first commit")
        progress, computed = Progress(daemon.database, n), cpu_seconds(daemon)
        progress.wait()
        if rules and rules[0]["above"] < 1:
            wait_until(lambda: sum(b["data"]["firing"] for b in receiver.bodies()) >= len(rules), 60, "every alert")
        told = sum(body["data"]["firing"] for body in receiver.bodies())
        computed = cpu_seconds(daemon) - computed
        return {
            "progress": progress,
            "cpu": computed,
            "requests": len(receiver.attempts),
            "told": told,
            "fired": fired_at(daemon.database),
            "answered": max(answered, default=None),
        }
    finally:
        daemon.end()
        receiver.close()


def while_telling(loud, quiet, event):
    """(events of the loud run, of the quiet one, seconds) from an event's being in until the last answer."""
    began, other = loud["progress"].time_of(event), quiet["progress"].time_of(event)
    seconds = loud["answered"] - began
    assert loud["answered"] < loud["progress"].samples[-1][0], "the log ended before the last answer: take more --events"
    assert other + seconds < quiet["progress"].samples[-1][0], "the log of the quiet run ended too soon: take more --events"
    return loud["progress"].at(loud["answered"]) - event, quiet["progress"].at(other + seconds) - event, seconds


def crowd(folder, kafka, args):
    topic, n = "alert-crowd", args.events
    start = fill(kafka, topic, n)
    groups = max(1, args.rules // 100)
    quiet = [rule(i, labels={"group": f"g{i % groups}"}, above=2) for i in range(args.rules)]
    loud = [{**r, "above": 0.2} for r in quiet]
    runs = {"none": [], "quiet": [], "loud": []}
    for turn in range(args.rounds):
        for name, rules in (("none", []), ("quiet", quiet), ("loud", loud)):
            runs[name].append(consume(os.path.join(folder, f"{name}{turn}"), kafka, topic, n, rules))
    whole, telling, seconds = [], [], []
    for noisy, calm in zip(runs["loud"], runs["quiet"]):
        whole.append(noisy["progress"].rate() / calm["progress"].rate())
        event = (noisy["fired"] - 1000 - start) * n // (SPAN_S * 1000)  # what the look before covered
        with_alerts, without, took = while_telling(noisy, calm, event)
        telling.append(with_alerts / without)
        seconds.append(took)
    print(f"\n## {args.rules} alerts at once, a receiver that answers in 50 ms ({n} events)\n")
    print("| rules | events/s, median | CPU s | requests | alerts told |\n|---|---|---|---|---|")
    for name, words in (("none", "0"), ("quiet", f"{args.rules}, none fires"), ("loud", f"{args.rules}, all fire at one look")):
        rate = statistics.median(run["progress"].rate() for run in runs[name])
        cpu = statistics.median(run["cpu"] for run in runs[name])
        print(f"| {words} | {rate / 1000:.0f} k | {cpu:.2f} | {runs[name][-1]['requests']} | {runs[name][-1]['told']} |")
    print("\n| events/s of the same rules when none fires | median | each | load |\n|---|---|---|---|")
    each = ", ".join(f"{r:.2f} in {s:.1f} s" for r, s in zip(telling, seconds))
    print(f"| from the look at which they fire to the last answer | **{statistics.median(telling):.2f}** | {each} | {os.getloadavg()[0]:.1f} |")
    print(f"| over the whole log | {statistics.median(whole):.2f} | {', '.join(f'{r:.2f}' for r in whole)} | |", flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--repeats", type=int, default=200)
    options.add_argument("--rules", type=int, default=10000)
    options.add_argument("--events", type=int, default=4000000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="latency,crowd")
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, Kafka() as kafka:
        if "latency" in args.only:
            latency(folder, kafka, args)
        if "crowd" in args.only:
            crowd(folder, kafka, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
