#!/usr/bin/env python3
"""Alerts' figures: how soon harm in Kafka is a request, and what 10,000 alerts at once cost the collector.

usage: alerts.py [--repeats N] [--rules N] [--events N] [--rounds N] [--only latency,crowd]

Prints Markdown; `./dev bench-alerts` runs it on a release build. The crowd is measured as a ratio within
one run: the same events and as many rules, of which none fires, or all fire at the same look.
"""

import argparse
import json
import os
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
        group=topic,
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
    """n predictions over SPAN_S seconds of event time; from the middle on all of them fail."""
    kafka.create_topic(topic, 1)
    start = now_ms() // 60000 * 60000 - 120000
    for first in range(0, n, 100000):
        batch = []
        for i in range(first, min(n, first + 100000)):
            more = {"error": "down"} if i >= n // 2 else {}
            batch.append(keyed(f"p{i}", start + i * SPAN_S * 1000 // n, score=0.5, prediction=1, **more))
        kafka.produce(topic, batch)


def cpu_seconds(daemon):
    """What the daemon's threads have computed so far; it does not grow when others need the cores."""
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def consume(folder, kafka, topic, n, rules):
    """(events/s, CPU seconds, requests, alerts that were told) of one daemon over the whole topic."""

    def slow(_handler, _n):
        time.sleep(0.05)
        return 200

    receiver = Receiver(slow)
    daemon = Daemon(folder, settings(kafka, topic, receiver, rules, group_by=["group"]))
    daemon.start(wait=False)
    try:
        wait_until(lambda: sum(offsets(daemon.database).values()) > 0, 120, "the first commit")
        began, first, computed = time.monotonic(), sum(offsets(daemon.database).values()), cpu_seconds(daemon)
        wait_until(lambda: sum(offsets(daemon.database).values()) >= n, 600, "the last commit")
        rate = (n - first) / (time.monotonic() - began)
        if rules and rules[0]["above"] < 1:
            fired = len(rules)
            wait_until(lambda: sum(b["data"]["firing"] for b in receiver.bodies()) >= fired, 60, "every alert")
        told = sum(body["data"]["firing"] for body in receiver.bodies())
        return rate, cpu_seconds(daemon) - computed, len(receiver.attempts), told
    finally:
        daemon.end()
        receiver.close()


def crowd(folder, kafka, args):
    topic = "alert-crowd"
    fill(kafka, topic, args.events)
    groups = max(1, args.rules // 100)
    quiet = [rule(i, labels={"group": f"g{i % groups}"}, above=2) for i in range(args.rules)]
    loud = [{**r, "above": 0.2} for r in quiet]
    rates, told = {"none": [], "quiet": [], "loud": []}, []
    computed = {name: [] for name in rates}
    for turn in range(args.rounds):
        for name, rules in (("none", []), ("quiet", quiet), ("loud", loud)):
            rate, cpu, requests, alerts = consume(os.path.join(folder, f"{name}{turn}"), kafka, topic, args.events, rules)
            rates[name].append(rate)
            computed[name].append(cpu)
            if name == "loud":
                told.append((requests, alerts))
    ratios = [loud / quiet for loud, quiet in zip(rates["loud"], rates["quiet"])]
    print(f"\n## {args.rules} alerts at once, a receiver that answers in 50 ms ({args.events} events)\n")
    print("| rules | events/s, median | of it with none firing | CPU s | requests | alerts told | load |")
    print("|---|---|---|---|---|---|---|")
    median = {name: statistics.median(values) for name, values in rates.items()}
    cpu = {name: statistics.median(values) for name, values in computed.items()}
    print(f"| 0 | {median['none'] / 1000:.0f} k | | {cpu['none']:.2f} | | | |")
    print(f"| {args.rules}, none fires | {median['quiet'] / 1000:.0f} k | | {cpu['quiet']:.2f} | | | |")
    print(
        f"| {args.rules}, all fire at one look | {median['loud'] / 1000:.0f} k | **{statistics.median(ratios):.2f}** "
        f"({', '.join(f'{r:.2f}' for r in ratios)}) | {cpu['loud']:.2f} | {told[-1][0]} | {told[-1][1]} | {os.getloadavg()[0]:.1f} |",
        flush=True,
    )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--repeats", type=int, default=200)
    options.add_argument("--rules", type=int, default=10000)
    options.add_argument("--events", type=int, default=1000000)
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
