#!/usr/bin/env python3
"""Alerts' figures: how soon harm in Kafka is a request, and what 10,000 alerts at once cost the collector.

usage: alerts.py [--repeats N] [--rules N] [--events N] [--rounds N] [--only latency,crowd]

Prints Markdown; `./dev bench-alerts` runs it on a release build. The crowd is measured as ratios within
one run, of the same events and as many rules, of which none fires, or all fire at the same look: over the
whole log, and over the time from the look at which they fire until the last delivery is answered, against
as long a time from the same event on while none fires. The log is long enough that there is always more.
The receiver (quick_http), the broker and this program need the same cores: what each of them, and each thread
of the daemon, computed in that time stands below.
"""

import argparse
import collections
import contextlib
import json
import math
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import BUILD, Daemon, configuration  # noqa: E402
from database import offsets, query  # noqa: E402
from events import prediction  # noqa: E402
from kafka import Kafka, end_with_what_was_started, free_port, wait_until  # noqa: E402
from receiver import Receiver  # noqa: E402

QUICK = os.path.join(ROOT, BUILD, "bench", "quick_http")
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


class Answering:
    """A receiver that answers in 50 ms and costs next to nothing: its CPU is not Assay's."""

    def __init__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/hook"
        self.process = subprocess.Popen([QUICK, "upstream", str(port), "50"])
        wait_until(lambda: self._answers(port), 10, "the receiver")

    @staticmethod
    def _answers(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def close(self):
        self.process.kill()
        self.process.wait()


def cpu_of(name, pid):
    """{thread: CPU seconds} of a process; threads of one name together, the first one "main"; of the daemon also those
    that have ended (the clerk, who writes a crowd beside the main thread), to a hundredth."""
    found = collections.Counter()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            place = f"/proc/{pid}/task/{thread}"
            with open(f"{place}/comm", encoding="ascii") as comm, open(f"{place}/schedstat", encoding="ascii") as stat:
                who = "main" if int(thread) == pid else comm.read().strip()
                found[f"{name}: {who}" if name == "assay" else name] += int(stat.read().split()[0]) / 1e9
        if name == "assay":
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                ticks = sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:13])
            found["assay: ended"] = max(0.0, ticks / os.sysconf("SC_CLK_TCK") - sum(found.values()))
    return found


class Progress:
    """Over time: how many events are in by what the database says, and what each process has computed."""

    def __init__(self, database, n, processes):
        self.n, self.processes, self.samples, self.cpu = n, processes, [], []
        self.database = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20, check_same_thread=False)
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def _sample(self):
        consumed = 0
        while consumed < self.n:
            consumed = self.database.execute("SELECT sum(next) FROM offsets").fetchone()[0]
            self.samples.append((time.time(), consumed))
            if len(self.samples) % 5 == 1:
                self.cpu.append((time.time(), self._computed()))
            time.sleep(0.01)
        self.cpu.append((time.time(), self._computed()))

    def _computed(self):
        return sum((cpu_of(name, pid) for name, pid in self.processes.items()), collections.Counter())

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

    def computed(self, began=0.0, ended=math.inf):
        """{process or thread: CPU seconds} between two moments, from the samples next to them."""
        first = max((c for c in self.cpu if c[0] <= began), default=self.cpu[0], key=lambda c: c[0])
        last = min((c for c in self.cpu if c[0] >= ended), default=self.cpu[-1], key=lambda c: c[0])
        return last[1] - first[1]


def fired_at(database):
    """Event time of the look at which alerts began to fire; None: none did."""
    return query(database, "SELECT min(at_ms) FROM alert_history WHERE event = 'firing'")[0][0]


def told(database):
    """(messages that were answered, alerts that they told of, when the last answer was there)"""
    sql = "SELECT count(*), coalesce(sum(data ->> '$.firing'), 0), max(done_ms) / 1000.0 FROM outbox WHERE state = 1"
    return query(database, sql)[0]


def consume(folder, kafka, topic, n, rules):
    """One daemon over the whole topic: its progress, requests, alerts told, when they fired and were told."""
    receiver = Answering()
    daemon = Daemon(folder, settings(kafka, topic, receiver, rules, group_by=["group"]))
    daemon.start(wait=False)
    try:
        wait_until(lambda: sum(offsets(daemon.database).values()) > 0, 120, "the first commit")
        pids = {"assay": daemon.process.pid, "broker": kafka.process.pid, "receiver": receiver.process.pid}
        progress = Progress(daemon.database, n, {**pids, "bench": os.getpid()})
        progress.wait()
        if rules and rules[0]["above"] < 1:
            wait_until(lambda: told(daemon.database)[1] >= len(rules), 60, "every alert")
        requests, alerts, answered = told(daemon.database)
        return {
            "progress": progress,
            "requests": requests,
            "told": alerts,
            "fired": fired_at(daemon.database),
            "answered": answered,
        }
    finally:
        daemon.end()
        receiver.close()


def while_telling(loud, quiet, event):
    """(events of the loud run, of the quiet one, seconds) from an event's being in until the last answer, and
    what each process computed in that time of either."""
    began, other = loud["progress"].time_of(event), quiet["progress"].time_of(event)
    seconds = loud["answered"] - began
    assert loud["answered"] < loud["progress"].samples[-1][0], "the log ended before the last answer: take more --events"
    assert other + seconds < quiet["progress"].samples[-1][0], "the log of the quiet run ended too soon: take more --events"
    events = loud["progress"].at(loud["answered"]) - event, quiet["progress"].at(other + seconds) - event
    cpu = loud["progress"].computed(began, loud["answered"]), quiet["progress"].computed(other, other + seconds)
    return events, cpu, seconds


def print_cpu(rounds, seconds):
    """Who computed in the time of telling: seconds of CPU a second of the clock, with alerts and without."""
    print("\n| CPU seconds a second meanwhile | with alerts | without |\n|---|---|---|")
    for who in sorted({name for pair in rounds for one in pair for name in one}):
        shares = [statistics.median(pair[i][who] / s for pair, s in zip(rounds, seconds)) for i in (0, 1)]
        if max(shares) >= 0.005:
            print(f"| {who} | {shares[0]:.2f} | {shares[1]:.2f} |")


def writers_share(events, cpu):
    """What alerts took of the writing thread's CPU seconds: all but what as many events cost without them."""
    noisy, calm = (one["assay: main"] for one in cpu)
    return 1 - calm / events[1] * events[0] / noisy


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
    whole, telling, cpu, seconds, shares = [], [], [], [], []
    for noisy, calm in zip(runs["loud"], runs["quiet"]):
        whole.append(noisy["progress"].rate() / calm["progress"].rate())
        event = (noisy["fired"] - 1000 - start) * n // (SPAN_S * 1000)  # what the look before covered
        events, computed, took = while_telling(noisy, calm, event)
        telling.append(events[0] / events[1])
        cpu.append(computed)
        shares.append(writers_share(events, computed))
        seconds.append(took)
    print(f"\n## {args.rules} alerts at once, a receiver that answers in 50 ms ({n} events)\n")
    print("| rules | events/s, median | the daemon's CPU s | requests | alerts told |\n|---|---|---|---|---|")
    for name, words in (("none", "0"), ("quiet", f"{args.rules}, none fires"), ("loud", f"{args.rules}, all fire at one look")):
        rate = statistics.median(run["progress"].rate() for run in runs[name])
        own = statistics.median(
            sum(s for who, s in run["progress"].computed().items() if who.startswith("assay")) for run in runs[name]
        )
        print(f"| {words} | {rate / 1000:.0f} k | {own:.2f} | {runs[name][-1]['requests']} | {runs[name][-1]['told']} |")
    print("\n| events/s of the same rules when none fires | median | each | load |\n|---|---|---|---|")
    each = ", ".join(f"{r:.2f} in {s:.1f} s" for r, s in zip(telling, seconds))
    print(f"| from the look at which they fire to the last answer | **{statistics.median(telling):.2f}** | {each} | {os.getloadavg()[0]:.1f} |")
    print(f"| over the whole log | {statistics.median(whole):.2f} | {', '.join(f'{r:.2f}' for r in whole)} | |")
    each = ", ".join(f"{s:.2f}" for s in shares)
    print(f"| of the writing thread's CPU seconds while telling, taken by alerts | {statistics.median(shares):.2f} | {each} | |")
    print_cpu(cpu, seconds)
    sys.stdout.flush()


def main():
    end_with_what_was_started()
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
