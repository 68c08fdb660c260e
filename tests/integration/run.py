#!/usr/bin/env python3
"""Runs the stories: tests/integration/NN_name.py, each function in a process of its own.

usage: run.py [--short] [--together N] [--counts FILE] [--list] [NAME…]
NAME: how a file's or a function's name begins, or a word within "file::function"

A story is a function with one argument (tests/lib/story.py: Story); its name is a sentence. It
fails by an exception, skips by story.skip(why). Two run at a time (--together): each has a folder,
topics and ports of its own, and mostly waits. What one says is printed whole when it ends. One Kafka
is shared by the stories that do not need to break theirs. --short takes those marked @short alone,
for slow builds. ASSAY_BUILD names the build directory (build), ASSAY_NIGHTLY=1 takes the long counts.
"""

import argparse
import ast
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import kafka  # noqa: E402

TIMEOUT_S = 180
LONG_TIMEOUT_S = 900
NIGHTLY_TIMEOUT_S = 4 * 3600


def stories():
    """(file, function, marks) of all stories in order, read without running them."""
    found = []
    for name in sorted(os.listdir(HERE)):
        if not (name[:2].isdigit() and name.endswith(".py")):
            continue
        with open(os.path.join(HERE, name), encoding="utf-8") as source:
            tree = ast.parse(source.read(), name)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args] == ["story"]:
                marks = {m.id for m in node.decorator_list if isinstance(m, ast.Name)}
                if not node.name.startswith("_"):
                    found.append((name[:-3], node.name, marks))
    return found


class Runner:
    """Runs stories, some at a time, and counts how they end."""

    def __init__(self, environment):
        self.environment = environment
        self.counts = {"ok": 0, "FAILED": 0, "skip": 0}
        self._lock = threading.Lock()
        self._running = set()

    def run(self, chosen, together):
        queue = iter(chosen)
        workers = [threading.Thread(target=self._work, args=(queue, n, together), daemon=True) for n in range(together)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.counts["FAILED"] += len(chosen) - sum(self.counts.values())  # a worker that died has said why

    def stop(self):
        """Ends what is still running, should the runner be told to end."""
        with self._lock:
            for process in self._running:
                _kill_group(process)

    def _work(self, queue, n, together):
        first, end = kafka.PORTS_FROM, kafka.top_port()
        span = (end - first) // together
        environment = {**self.environment, "ASSAY_PORTS": f"{first + n * span}-{first + (n + 1) * span}"}
        while True:
            with self._lock:
                story = next(queue, None)
            if not story:
                return
            began = time.monotonic()
            word, output = self._one(*story, environment)
            with self._lock:
                self._tell(story, word, output, time.monotonic() - began)

    def _tell(self, story, word, output, seconds):
        self.counts[word] += 1
        why = output.strip().splitlines()[-1] if word == "skip" and output.strip() else ""
        print(f"{word:6} {story[0]}::{story[1]} ({seconds:.1f} s) {why}".rstrip(), flush=True)
        if word == "FAILED":
            print(output[-20000:], flush=True)

    def _one(self, file, function, marks, environment):
        """("ok" | "FAILED" | "skip", output)"""
        limit = LONG_TIMEOUT_S if "long" in marks else TIMEOUT_S
        if os.environ.get("ASSAY_NIGHTLY"):
            limit = NIGHTLY_TIMEOUT_S
        limit *= kafka.patience()
        command = [sys.executable, os.path.join(ROOT, "tests", "lib", "story.py")]
        command += [os.path.join(HERE, file + ".py"), function]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
        with self._lock:
            self._running.add(process)
        try:
            output = process.communicate(timeout=limit)[0].decode(errors="replace")
            return {0: "ok", 77: "skip"}.get(process.returncode, "FAILED"), output
        except subprocess.TimeoutExpired:
            _kill_group(process)
            rest = process.communicate()[0].decode(errors="replace")
            return "FAILED", f"not done after {limit:.0f} s\n{rest}"
        finally:
            with self._lock:
                self._running.remove(process)
            _kill_group(process)  # the story's own children, should it have left some


def _kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _named(name, file, function):
    if name[:1].isdigit():
        return file.startswith(name)
    return name in f"{file}::{function}"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--short", action="store_true")
    options.add_argument("--together", type=int, default=2)
    options.add_argument("--list", action="store_true")
    options.add_argument("--counts")
    options.add_argument("names", nargs="*")
    options = options.parse_args()
    chosen = [
        s
        for s in stories()
        if (not options.names or any(_named(n, s[0], s[1]) for n in options.names))
        and (not options.short or "short" in s[2])
    ]
    if not chosen:
        sys.exit(f"run.py: no story is called {' or '.join(options.names) or '@short'}")
    if options.list:
        print("\n".join(f"{file}::{function}" for file, function, _ in chosen))
        return 0

    environment = dict(os.environ)
    runner = Runner(environment)
    reason = kafka.available()
    broker = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if not reason:
            broker = kafka.Kafka()
            broker.start()
            environment["ASSAY_TEST_KAFKA"] = str(broker.port)
        else:
            environment["ASSAY_NO_KAFKA"] = reason
        runner.run(chosen, options.together)
    finally:
        runner.stop()
        if broker:
            broker.remove()
    counts = runner.counts
    line = f"{counts['ok']} {counts['FAILED']} {counts['skip']}"
    if options.counts:
        with open(options.counts, "w", encoding="utf-8") as out:
            print(line, file=out)
    print("integration: {} passed, {} failed, {} skipped".format(*line.split()))
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
