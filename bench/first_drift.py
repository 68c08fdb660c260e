#!/usr/bin/env python3
"""What the first question about drift costs a real daemon, over HTTP.

usage: first_drift.py [--features N] [--windows N] [--events N] [--kinds half|numbers] [--method M]

`bench_drift` makes the database. Then a daemon is started over it twice: asked at once, when nothing
is made ready, and asked after its web-warmer thread has come to rest, as the first person would.
Of one window, a feature's distribution and where a change comes from are asked, too. The daemon's
CPU time is printed beside the wall clock.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from daemon import Daemon, configuration  # noqa: E402
from kafka import end_with_what_was_started, wait_until  # noqa: E402
from streams import threads_ms  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("ASSAY_BUILD", "build"))


def cpu_ms(pid):
    return sum(threads_ms(pid).values())


def ask(daemon, what, question="drift"):
    cpu, began = cpu_ms(daemon.process.pid), time.perf_counter()
    status, body = daemon.request("GET", f"/api/v1/models/wide/{question}", timeout=60)
    wall = (time.perf_counter() - began) * 1e3
    spent = cpu_ms(daemon.process.pid) - cpu
    print(f"  {what:32} {wall:7.1f} ms, CPU {spent:7.1f} ms, HTTP {status}, {len(body) / 1e6:.3f} MB", flush=True)
    return body


def rested(daemon):
    """The warmer has computed, and computes no more."""
    seen = []

    def still():
        seen.append(threads_ms(daemon.process.pid)["web-warmer"])
        return len(seen) > 30 and seen[-1] > 1 and seen[-1] - seen[-30] < 1

    wait_until(still, 120, "nothing to be made ready")


def main():
    end_with_what_was_started()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--windows", type=int, default=24)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--kinds", default="half")
    parser.add_argument("--method", default="auto")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-first-") as folder:
        made = [args.features, args.windows, args.events, args.kinds, args.method, os.path.join(folder, "assay.db")]
        subprocess.run([os.path.join(BUILD, "bench", "bench_drift"), *map(str, made)], check=True)
        model = {"name": "wide", "task": "binary", "positive": "1", "drift": {"method": args.method}}
        daemon = Daemon(folder, configuration(models=[model]))
        print(f"{args.features} features ({args.kinds}) x {args.windows} windows of {args.events} events, method {args.method}:")
        for what, ready in (("asked at once after the start", False), ("asked when it rests", True)):
            try:
                daemon.start()
                if ready:
                    rested(daemon)
                answer = json.loads(ask(daemon, what))
                ask(daemon, "… and again")
                newest = f"from={answer['to'] - answer['window']}&to={answer['to']}"
                ask(daemon, "distribution of one window", f"distribution?feature=f002&{newest}")
                ask(daemon, "explain of one window", f"explain?{newest}")
                daemon.terminate()
            finally:
                daemon.end()


if __name__ == "__main__":
    main()
