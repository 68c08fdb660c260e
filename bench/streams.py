#!/usr/bin/env python3
"""What open event streams cost the collector.

usage: streams.py [--streams N] [--rounds N] [--seconds S]

Rounds with and without streams alternate in one daemon (ABBA), each as long as `--seconds`; a pair
of neighbours gives one ratio, and all pairs their median with a 95% interval. Events come by POST
/events from one client that always has the next ones ready, so that every batch is a commit of its
own and every commit may wake the streams: far more commits a second than a Kafka consumer makes.
The streams' reader (bench/open_streams.c) throws away what it gets; its CPU is told apart.
"""

import argparse
import collections
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import BUILD, Daemon, configuration, models  # noqa: E402
from events import prediction  # noqa: E402
from kafka import end_with_what_was_started  # noqa: E402

READER = os.path.join(ROOT, BUILD, "bench", "open_streams")
LIMITS = {"rate": 1000000, "connections": 4000, "per_address": 4000, "streams_per_token": 4000}
START = 1_760_054_400_000
BATCH = 2000
PLACE = "########"  # in the ids of a batch: becomes the batch's number

Round = collections.namedtuple("Round", "rate cpu threads reader bytes reads")


def threads_ms(pid):
    """What each kind of a process's threads has computed so far, by name."""
    total = collections.Counter()
    tasks = f"/proc/{pid}/task"
    for task in os.listdir(tasks):
        with open(os.path.join(tasks, task, "schedstat"), encoding="ascii") as file:
            ran = int(file.read().split()[0]) / 1e6
        with open(os.path.join(tasks, task, "comm"), encoding="utf-8") as file:
            total[file.read().strip()] += ran
    return total


class Reader:
    """Event streams that somebody reads."""

    def __init__(self, port):
        self.process = subprocess.Popen([READER, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hold(self, n):
        """Until `n` streams are open and each has spoken; bytes and reads so far."""
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        open_now, n_bytes, n_reads = map(int, self.process.stdout.readline().split())
        assert open_now == n
        return n_bytes, n_reads

    def cpu_ms(self):
        return sum(threads_ms(self.process.pid).values())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Feed:
    """Events, made beforehand: only their ids differ from batch to batch."""

    def __init__(self, daemon):
        events = [prediction(f"{PLACE}{i:x}", START + i, version="v3", score=0.5).value for i in range(BATCH)]
        self.daemon, self.n = daemon, 0
        self.text = "\n".join(events).encode()

    def run(self, seconds):
        """Events a second, durable."""
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            self.n += 1
            self.daemon.post("/api/v1/events", self.text.replace(PLACE.encode(), b"%08x" % self.n))
            n += BATCH
        return n, n / (time.perf_counter() - began)


def one_round(daemon, feed, reader, streams, seconds):
    told = reader.hold(streams)
    before, reader_before = threads_ms(daemon.process.pid), reader.cpu_ms()
    n, rate = feed.run(seconds)
    spent = threads_ms(daemon.process.pid)
    spent.subtract(before)
    told = [after - was for after, was in zip(reader.hold(streams), told)]
    cpu = sum(spent.values()) * 1e3 / n
    threads = {name: ms * 1e3 / n for name, ms in spent.items()}
    return Round(rate, cpu, threads, (reader.cpu_ms() - reader_before) * 1e3 / n, *told)


def median_of_pairs(ratios):
    """The median with its 95% interval by order statistics: a pair that something else disturbed moves neither."""
    ordered, n = sorted(ratios), len(ratios)
    below = max(0, math.floor(n / 2 - 0.98 * math.sqrt(n)) - 1)
    return statistics.median(ordered), ordered[below], ordered[n - 1 - below]


def of_streams(round_):
    """CPU of the web server's thread and of the one that makes the messages: nobody else touches a stream."""
    return round_.threads.get("MHD-single", 0) + round_.threads.get("stream", 0)


def alternate(daemon, streams, rounds, seconds):
    """Rounds without streams and with, in pairs."""
    feed, reader, without, beside = Feed(daemon), Reader(int(daemon.url.rsplit(":", 1)[1])), [], []
    try:
        feed.run(2)
        for i in range(rounds):
            order = [(0, without), (streams, beside)]
            for n, kept in order if i % 2 == 0 else reversed(order):
                kept.append(one_round(daemon, feed, reader, n, seconds))
    finally:
        reader.end()
    return without, beside


def tell(streams, seconds, without, beside):
    ratio = median_of_pairs([b.rate / a.rate for a, b in zip(without, beside)])
    work = median_of_pairs([a.cpu / b.cpu for a, b in zip(without, beside)])
    served = median_of_pairs([a.cpu / (a.cpu + of_streams(b) - of_streams(a)) for a, b in zip(without, beside)])
    median = statistics.median
    load = os.getloadavg()[0]
    print(f"\n| {len(without)} pairs of {seconds:g} s, load {load:.1f} | without | {streams} streams | of without (95%) |\n|---|---|---|---|")
    cells = [f"{median(r.rate for r in rows):,.0f}" for rows in (without, beside)]
    print(f"| events/s | {cells[0]} | {cells[1]} | **{ratio[0]:.3f}** ({ratio[1]:.3f} to {ratio[2]:.3f}), aim ≥ 0.95 |")
    cells = [f"{median(r.cpu for r in rows):.2f}" for rows in (without, beside)]
    print(f"| CPU of the daemon an event, µs | {cells[0]} | {cells[1]} | events a CPU second: {work[0]:.3f} ({work[1]:.3f} to {work[2]:.3f}) |")
    cells = [f"{median(map(of_streams, rows)):.3f}" for rows in (without, beside)]
    print(f"| … of the threads that serve streams | {cells[0]} | {cells[1]} | the same, of these alone: **{served[0]:.3f}** ({served[1]:.3f} to {served[2]:.3f}) |")
    for name in sorted({name for r in without + beside for name in r.threads}):
        cells = [median(r.threads.get(name, 0) for r in rows) for rows in (without, beside)]
        if max(cells) >= 0.005:
            print(f"| … its threads `{name}` | {cells[0]:.2f} | {cells[1]:.2f} | |")
    print(f"| CPU of the reader an event, µs | | {median(r.reader for r in beside):.2f} | |")
    messages = statistics.mean(r.reads for r in beside) / streams / seconds
    size = sum(r.bytes for r in beside) / max(1, sum(r.reads for r in beside))
    print(f"| reads a stream and second; bytes of one | | {messages:.1f}; {size:.0f} | |", flush=True)


def with_streams(daemon, streams, rounds, seconds):
    tell(streams, seconds, *alternate(daemon, streams, rounds, seconds))


def main():
    end_with_what_was_started()
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        settings = configuration(models=models(segments=[], label_horizon="1h"))
        settings["http"]["limits"] = LIMITS
        daemon = Daemon(folder, settings)
        daemon.start()
        try:
            with_streams(daemon, options.streams, options.rounds, options.seconds)
        finally:
            daemon.end()


if __name__ == "__main__":
    main()
