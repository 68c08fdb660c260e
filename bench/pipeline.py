#!/usr/bin/env python3
"""How fast and how small: Kafka -> SQLite against a bare consumer, replay against a bare parser, what
profiles cost, what many pending predictions cost. About five minutes.

usage: pipeline.py [--events N] [--pending N] [--rounds N] [--only drift]

Every figure is a ratio within one run, on one machine, against the same log or file; absolute
figures stand beside it for orientation. Prints Markdown, row by row; `./dev bench` runs it on a release build.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import BUILD, PROGRAM, Daemon, configuration, run_program  # noqa: E402
from database import offsets, query, totals  # noqa: E402
from kafka import Kafka, end_with_what_was_started, wait_until  # noqa: E402

CACHE = os.path.join(ROOT, ".cache", "bench")
PARTITIONS = 4
REFERENCE_EVENTS = 20000
LABEL_AFTER = 5000  # predictions between a prediction and its label
DAY_MS = 24 * 3600 * 1000
TICKS = os.sysconf("SC_CLK_TCK")

FEATURES = {f"f{i}": {"type": "numeric", "min": -1e6, "max": 1e6} for i in range(8)}
FEATURES["city"] = {"type": "categorical", "values": ["berlin", "paris", "gdansk", "lyon"]}
FEATURES["plan"] = {"type": "categorical"}
MODEL = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "7d", "features": FEATURES}
WATCHED = {**MODEL, "changes": {"expected_run_time": 1_000_000}}  # 3 metrics, 10 features, @score and @prediction


def write_events(path, n, labels=True):
    """n predictions of ten features, each followed by its label 5,000 predictions later; without labels they
    spread over 24 hours."""
    rng = random.Random(1)
    cities, plans = ["berlin", "paris", "gdansk", "lyon"], ["free", "pro", "team"]
    start = 1_700_000_000_000
    step = 20 if labels else DAY_MS / n
    with open(path + ".part", "w", encoding="utf-8") as out:
        for i in range(n + (LABEL_AFTER if labels else 0)):
            if i < n:
                score = rng.random()
                numbers = ",".join(f'"f{k}":{rng.random() * 1000:.4f}' for k in range(8))
                out.write(
                    f'id-{i:09d}\x1f{{"type":"prediction","id":"id-{i:09d}","ts":{start + int(i * step)},"model":"credit",'
                    f'"version":"v{3 + i % 3}","features":{{{numbers},"city":"{cities[i % 4]}","plan":"{plans[i % 3]}"}},'
                    f'"score":{score:.6f},"prediction":{int(score > 0.5)},"latency_ms":{rng.random() * 50:.3f}}}\n'
                )
            j = i - LABEL_AFTER
            if labels and j >= 0:
                out.write(
                    f'id-{j:09d}\x1f{{"type":"label","id":"id-{j:09d}","ts":{start + int(j * step) + 60000},"label":{j * 7 % 3 % 2}}}\n'
                )
    os.rename(path + ".part", path)


def events_file(n, labels=True):
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, f"events-{n}-{'joined' if labels else 'day'}.txt")
    if not os.path.exists(path):
        write_events(path, n, labels)
    return path


def fill(kafka, topic, path):
    """The file's events into the topic, lz4, as a producer of its own would batch them."""
    kafka.create_topic(topic, PARTITIONS)
    command = ["kcat", "-P", "-b", kafka.brokers, "-t", topic, "-K", "\\x1f", "-z", "lz4", "-X", "linger.ms=50"]
    command += ["-X", "batch.num.messages=10000", "-l", path]
    subprocess.run(command, check=True)
    return sum(kafka.ends(topic, PARTITIONS))


def program(name, *arguments):
    done = subprocess.run(
        [os.path.join(ROOT, BUILD, "bench", name), *arguments], check=True, capture_output=True, text=True
    )
    return [float(word) for word in done.stdout.split()]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def consumed(daemon):
    return sum(offsets(daemon.database).values())


def measure_assay(kafka, topic, total, folder, program=PROGRAM, reference=None, model=None):
    """(events/s, CPU-µs an event, longest commit in s, resident bytes) between the first commit and the last."""
    group = "bench-" + os.path.basename(folder)
    daemon = Daemon(folder, configuration(kafka.brokers, [topic], group, models=[model or MODEL]))
    if reference:
        daemon.write_configuration()
        load = ["reference", "load", "-c", "assay.yaml", "--model", MODEL["name"], reference]
        code, _, errors = run_program(*load, cwd=folder, timeout=120)
        assert code == 0, errors
    daemon.start(wait=False, program=program)
    try:
        wait_until(lambda: consumed(daemon) > 0, 120, "the first commit")
        began, first, cpu = time.monotonic(), consumed(daemon), cpu_seconds(daemon.process.pid)
        wait_until(lambda: consumed(daemon) >= total, 600, "the last commit")
        took = time.monotonic() - began
        used = cpu_seconds(daemon.process.pid) - cpu
        counted = totals(daemon.database)
        assert counted["consumed"] == total and counted["dead_lettered"] == 0, counted
        n = total - first
        return n / took, used / n * 1e6, daemon.own("commit_duration_max_seconds"), daemon.memory_bytes()
    finally:
        daemon.end()


def bench_pipeline(kafka, n, rounds, folder):
    total = fill(kafka, "joined", events_file(n))
    rows = []
    for i in range(rounds):
        messages, seconds, cpu, size = program("bare_consumer", kafka.brokers, "joined", str(PARTITIONS), str(total))
        bare = messages / seconds
        rate, cost, commit, memory = measure_assay(kafka, "joined", total, f"{folder}/joined-{i}")
        rows.append((rate / bare, bare, rate, cpu / messages * 1e6, cost, commit, memory, size / messages))
    return total, [statistics.median(column) for column in zip(*rows)]


def write_reference(n, path):
    """The first predictions of the log as a reference."""
    with open(events_file(n), encoding="utf-8") as events, open(path, "w", encoding="utf-8") as out:
        predictions = (line.split("\x1f", 1)[1] for line in events if '"type":"prediction"' in line)
        out.writelines(itertools.islice(predictions, REFERENCE_EVENTS))


def bench_drift(kafka, n, rounds, folder):
    """(events/s, CPU-µs an event) without profiles, the same with drift, and with drift and detectors of changes:
    medians of rounds that take turns on the topic of bench_pipeline. Without: bench/profiles_away.c. With: a
    reference's grid, components, classifier and estimates."""
    total = sum(kafka.ends("joined", PARTITIONS))
    reference = f"{folder}/reference.jsonl"
    write_reference(n, reference)
    away = os.path.join(ROOT, BUILD, "bench", "assay_without_profiles")
    rows = []
    for i in range(rounds):
        without = measure_assay(kafka, "joined", total, f"{folder}/without-{i}", program=away)
        drift = measure_assay(kafka, "joined", total, f"{folder}/drift-{i}", reference=reference)
        changes = measure_assay(kafka, "joined", total, f"{folder}/changes-{i}", reference=reference, model=WATCHED)
        rows.append((*without[:2], *drift[:2], *changes[:2]))
    return [statistics.median(column) for column in zip(*rows)]


def bench_pending(kafka, n, folder):
    """(resident bytes, bytes of the join a pending one, bytes on disk a pending one, restart to consuming in s)"""
    total = fill(kafka, "pending", events_file(n, labels=False))
    daemon = Daemon(f"{folder}/pending", configuration(kafka.brokers, ["pending"], "bench-pending", models=[MODEL]))
    daemon.start(wait=False)
    try:
        wait_until(lambda: consumed(daemon) >= total, 600, "all predictions")
        time.sleep(3)  # the memory of the client's queue goes back once there is nothing to read
        resident = daemon.memory_bytes()
        join = daemon.own("pending_bytes") / n
        disk = query(daemon.database, "SELECT sum(length(bytes)) FROM pending")[0][0] / n
        daemon.kill9()
        more = '{"type":"prediction","id":"one-more","ts":1700000000000,"model":"credit","version":"v3","score":0.5}'
        kafka.produce("pending", [("one-more", more)])
        began = time.monotonic()
        daemon.start(wait=False)
        wait_until(daemon.is_ready, 60, "/-/ready")
        ready = time.monotonic() - began
        wait_until(lambda: consumed(daemon) > total, 120, "one more event")
        return resident, join, disk, ready
    finally:
        daemon.end()


def replay_once(folder, path, lines):
    for name in os.listdir(folder):
        if name.startswith("replay.db"):
            os.remove(os.path.join(folder, name))
    began = time.monotonic()
    code, _, errors = run_program("replay", "-c", "assay.yaml", path, cwd=folder, timeout=900)
    assert code == 0, errors
    return lines / (time.monotonic() - began)


def bench_replay(n, rounds, folder):
    """(replay's lines/s of jansson's, replay's, jansson's): medians of rounds that take turns"""
    path = f"{folder}/events.jsonl"
    with open(events_file(n), encoding="utf-8") as events, open(path, "w", encoding="utf-8") as out:
        for line in events:
            out.write(line.split("\x1f", 1)[1])
    with open(f"{folder}/assay.yaml", "w", encoding="utf-8") as out:
        out.write(json.dumps({"storage": {"path": "replay.db"}, "models": [MODEL]}))
    rows = []
    for _ in range(rounds):
        lines, seconds = program("jansson_parse", path)
        replay = replay_once(folder, path, lines)
        rows.append((replay * seconds / lines, replay, lines / seconds))
    return [statistics.median(column) for column in zip(*rows)]


def say(row):
    print(row, flush=True)


def say_pipeline(measured):
    total, figures = measured
    ratio, bare, rate, bare_cpu, cpu, commit, memory, size = figures
    say(f"| Kafka → SQLite, of a bare consumer's events/s | {ratio:.2f} ({rate / 1e3:.0f} k of {bare / 1e3:.0f} k) | ≥ 0.40 |")
    say(f"| CPU an event (bare: {bare_cpu:.2f} µs) | {cpu:.2f} µs | ≤ 1.8 µs |")
    say(f"| longest commit | {commit * 1e3:.0f} ms | ≤ 100 ms |")
    say(f"| resident after it ({total:,} events of {size:.0f} bytes) | {int(memory) >> 20} MiB | |")


def say_lost(what, without, measured):
    (rate, cpu), (with_rate, with_cpu) = without, measured
    rates = f"{rate / 1e3:.0f} k → {with_rate / 1e3:.0f} k events/s"
    say(f"| Kafka → SQLite, throughput lost to {what} | {1 - with_rate / rate:.0%} ({rates}) | ≤ 25% |")
    say(f"| CPU an event for it | {1 - cpu / with_cpu:.0%} of it ({cpu:.2f} → {with_cpu:.2f} µs) | |")


def say_drift(measured):
    say_lost("drift", measured[:2], measured[2:4])
    say_lost("drift and changes on 15 streams", measured[:2], measured[4:])


def say_pending(measured, n):
    resident, join, disk, ready = measured
    say(f"| memory a pending prediction, {n:,} of them | {join:.0f} bytes | ≤ 100 |")
    say(f"| disk a pending prediction | {disk:.0f} bytes | ≤ 64 |")
    say(f"| resident with them, 3 versions, 24 h of minutes | {int(resident) >> 20} MiB | ≤ 350 MiB |")
    say(f"| killed with them, ready again after | {ready:.2f} s | |")


def say_collector():
    """The rows of bench_collector's table, as it prints them."""
    command = [os.path.join(ROOT, BUILD, "bench", "bench_collector")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for number, row in enumerate(running.stdout):
            if number > 1:  # the head of the table
                say(row.rstrip())
    assert running.returncode == 0, running.returncode


def main():
    end_with_what_was_started()
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=1_000_000, help="predictions, each with a label")
    options.add_argument("--pending", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=["drift"], help="what drift and changes cost from Kafka to SQLite")
    options = options.parse_args()
    say("| what | figure | aim |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        with Kafka(heap="1g") as kafka:
            if options.only:
                fill(kafka, "joined", events_file(options.events))
                say_drift(bench_drift(kafka, options.events, options.rounds, folder))
                return
            say_pipeline(bench_pipeline(kafka, options.events, options.rounds, folder))
            say_drift(bench_drift(kafka, options.events, options.rounds, folder))
            say_pending(bench_pending(kafka, options.pending, folder), options.pending)
        times, replay, jansson = bench_replay(options.events // 2, options.rounds, folder)
        say(f"| replay, of jansson's lines/s | {times:.1f} ({replay / 1e3:.0f} k of {jansson / 1e3:.0f} k) | ≥ 3 |")
    say_collector()


main()
