#!/usr/bin/env python3
"""How fast the API and the page are over a year of one model.

usage: api.py [--days N] [--asks N] [--streams N] [--rounds N] [--seconds N]

Three versions, a prediction a minute each with its label, kept as minutes, hours and days. Prints
Markdown. nginx serving the same bytes as a file is the yardstick of the same run (wrk asks both);
what open event streams cost is bench/streams.py's.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import Daemon, configuration, models, run_program  # noqa: E402
from events import prediction  # noqa: E402
from kafka import end_with_what_was_started, free_port, wait_until  # noqa: E402
from streams import LIMITS, threads_ms, with_streams  # noqa: E402

CACHE = os.path.join(ROOT, ".cache", "bench")
DAY = 86_400_000
END = 1_760_000_000_000 // DAY * DAY
TWENTY = (
    "accuracy,balanced_accuracy,precision,recall,specificity,f1,mcc,cohen_kappa,roc_auc,pr_auc,log_loss,brier,ece,"
    "count,labelled_rate,prediction_mean,positive_rate,latency_p50,latency_p99,error_rate"
)


def write_year(path, days):
    chance = random.Random(5)
    n = 0
    with open(path, "w", encoding="utf-8") as out:
        for minute in range(days * 1440):
            at = END - days * DAY + minute * 60_000
            for version in ("v1", "v2", "v3"):
                n += 1
                x = chance.random()
                score = min(0.999, max(0.001, 0.8 * x + 0.1 + chance.gauss(0, 0.15)))
                out.write(
                    f'{{"type":"prediction","id":"{n:x}","ts":{at + chance.randrange(60_000)},"model":"credit",'
                    f'"version":"{version}","features":{{"income":{3e4 * (1 + x):.2f},"age":{18 + int(60 * x)}}},'
                    f'"score":{score:.4f},"prediction":{int(score > 0.5)},"latency_ms":{8 * chance.lognormvariate(0, 0.4):.1f}}}\n'
                )
                if n > 30:
                    out.write(
                        f'{{"type":"label","id":"{n - 15:x}","ts":{at},"label":{int(chance.random() < score)}}}\n'
                    )


def year(folder, days):
    """A daemon over the year's database, which is made once."""
    os.makedirs(CACHE, exist_ok=True)
    settings = configuration(models=models(segments=[], label_horizon="1h"))
    settings["http"]["limits"] = LIMITS
    events = os.path.join(CACHE, f"year-{days}.jsonl")
    if not os.path.exists(events):
        write_year(events + ".part", days)
        os.rename(events + ".part", events)
    daemon = Daemon(folder, settings)
    daemon.write_configuration()
    code, _, errors = run_program("replay", "-c", "assay.yaml", events, cwd=folder, timeout=1800)
    assert code == 0, errors
    return daemon


def ask(url):
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        body = answer.read()
    return (time.perf_counter() - began) * 1e3, body


def cpu_ms(pid):
    """What a process's threads have computed so far: other work on the machine does not count."""
    return sum(threads_ms(pid).values())


def questions(days):
    metrics = "/api/v1/models/credit/metrics?version=*&metric="
    past = min(days, 365)
    return {
        "a metric, a year by day": f"{metrics}roc_auc&from={END - past * DAY}&to={END}&window=1d",
        "20 metrics, a day by hour": f"{metrics}{TWENTY}&from={END - DAY}&to={END}&window=1h",
        "a metric, a day by 5 minutes": f"{metrics}roc_auc&from={END - DAY}&to={END}&window=5m",
        "20 metrics, a year as one": f"{metrics}{TWENTY}&from={END - past * DAY}&to={END}&window={past}d",
        "curves of a day": f"/api/v1/models/credit/curves?version=*&from={END - DAY}&to={END}",
        "drift, a day by hour": f"/api/v1/models/credit/drift?version=v3&from={END - DAY}&to={END}&window=1h",
        "models": "/api/v1/models",
        "system": "/api/v1/system",
        "/metrics": "/metrics",
    }


def table_of_answers(daemon, days, asks):
    """Every tenth question comes after a commit, so that it is computed anew."""
    print(f"\n| question, {asks} times, a commit before every tenth | median | p99 | CPU of one after a commit | bytes |")
    print("|---|---|---|---|---|")
    worst = 0
    for name, path in questions(days).items():
        took, anew = [], []
        for i in range(asks):
            if i % 10 == 0:
                event = prediction(f"new-{name}-{i}", END + i, version="v3", score=0.5)
                daemon.post("/api/v1/events", event.value.encode())
            before = cpu_ms(daemon.process.pid)
            ms, body = ask(daemon.url + path)
            took.append(ms)
            if i % 10 == 0:
                anew.append(cpu_ms(daemon.process.pid) - before)
        took.sort()
        p99 = took[int(0.99 * (len(took) - 1))]
        worst = max(worst, p99)
        cpu = f"{statistics.median(anew):.1f} ms, the first {anew[0]:.0f}"
        print(f"| {name} | {statistics.median(took):.1f} ms | {p99:.1f} ms | {cpu} | {len(body):,} |", flush=True)
    print(f"\nworst p99 {worst:.0f} ms (aim 50 ms)")


def wrk(url, seconds):
    done = subprocess.run(
        ["wrk", "-t2", "-c32", f"-d{seconds}s", url], capture_output=True, text=True, check=True
    ).stdout
    assert "Non-2xx" not in done, f"{url} refuses what is measured:\n{done}"
    return float(next(line for line in done.splitlines() if "Requests/sec" in line).split()[1])


NGINX = """
{user} worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


@contextlib.contextmanager
def nginx(folder):
    """nginx over `folder`/www, as our own user: one without rights would answer 403 quickly. Gives its URL and workers."""
    port, config = free_port(), os.path.join(folder, "nginx.conf")
    os.makedirs(os.path.join(folder, "www"))
    with open(config, "w", encoding="utf-8") as out:
        out.write(NGINX.format(user="user root;" if os.geteuid() == 0 else "", folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-c", config, "-p", folder])
    try:
        wait_until(lambda: answers(port), 10, "nginx answers")
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        with open(children, encoding="ascii") as file:
            yield f"http://127.0.0.1:{port}", [int(pid) for pid in file.read().split()]
    finally:
        process.terminate()
        process.wait()


def answers(port):
    """Does a worker answer? The listening socket alone is there before the workers are."""
    try:
        return ask(f"http://127.0.0.1:{port}/nothing") is None
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError:
        return False


def asked_quickly(url, pids, seconds):
    """Answers a second, and the CPU of one in microseconds."""
    before = sum(map(cpu_ms, pids))
    rate = wrk(url, seconds)
    return rate, (sum(map(cpu_ms, pids)) - before) * 1e3 / (rate * seconds)


def beside_nginx(daemon, folder, seconds):
    """The same bytes of both, in turn; that they are the same is looked at first."""
    asked = {
        "as asked without parameters": "/api/v1/models/credit/metrics",
        "20 metrics of 3 versions": questions(365)["20 metrics, a day by hour"],
    }
    print("\n| metrics, beside nginx (aim 0.3) | bytes | answers/s, of nginx's | CPU of an answer, nginx's |\n|---|---|---|---|")
    with nginx(folder) as (address, workers):
        for name, path in asked.items():
            body = ask(daemon.url + path)[1]
            with open(os.path.join(folder, "www", "metrics"), "wb") as out:
                out.write(body)
            assert ask(f"{address}/metrics")[1] == body, "nginx does not serve the answer"
            theirs, ours = [], []
            for _ in range(3):
                theirs.append(asked_quickly(f"{address}/metrics", workers, seconds))
                ours.append(asked_quickly(daemon.url + path, [daemon.process.pid], seconds))
            ratio = statistics.median(o[0] / t[0] for o, t in zip(ours, theirs))
            cpu, their_cpu = (statistics.median(run[1] for run in runs) for runs in (ours, theirs))
            print(f"| {name} | {len(body):,} | {ratio:.2f} | {cpu:.0f} µs, {their_cpu:.0f} µs |", flush=True)


def in_browser(script, *words):
    print(subprocess.run(["node", os.path.join(ROOT, "bench", script), *words], capture_output=True, text=True, check=True).stdout)


def main():
    end_with_what_was_started()
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--asks", type=int, default=100)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        daemon = year(folder, options.days)
        size = os.path.getsize(daemon.database)
        daemon.start()
        try:
            print(f"{options.days} days of 3 versions: {size / 1e6:.0f} MB")
            table_of_answers(daemon, options.days, options.asks)
            beside_nginx(daemon, folder, options.seconds)
            in_browser("page.mjs", daemon.url)
            in_browser("live.mjs")
            with_streams(daemon, options.streams, options.rounds, 1)
        finally:
            daemon.end()


if __name__ == "__main__":
    main()
