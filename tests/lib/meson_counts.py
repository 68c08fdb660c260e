"""Runs one suite of a build directory and counts the single cmocka tests in it.

usage: meson_counts.py NAME BUILD SUITE COUNTS_FILE

Each program holds many tests; a program that dies or hangs counts as one more failure. Prints what
failed with its output, and writes "passed failed skipped" to COUNTS_FILE.
"""

import json
import os
import re
import subprocess
import sys

# cmocka's closing lines: "[  PASSED  ] 12 test(s)." and "[  FAILED  ] 1 test(s), listed below:"
CLOSING = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) *\] (\d+) test\(s\)", re.M)


def counts_of(entry):
    """(passed, failed, skipped) of one program's entry in meson's testlog.json."""
    text = entry.get("stdout", "") + "\n" + entry.get("stderr", "")
    seen = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for word, number in CLOSING.findall(text):
        seen[word] += int(number)
    ended_well = entry["result"] in ("OK", "EXPECTEDFAIL")
    if entry["result"] == "SKIP":
        seen["SKIPPED"] = max(seen["SKIPPED"], 1)
    elif not any(seen.values()):
        seen["PASSED" if ended_well else "FAILED"] = 1  # not a cmocka program
    elif not ended_well and not seen["FAILED"]:
        seen["FAILED"] = 1
    return seen["PASSED"], seen["FAILED"], seen["SKIPPED"]


def main():
    name, build, suite, counts_file = sys.argv[1:]
    log = f"{build}/meson-logs/testlog-{name}.json"
    together = (os.cpu_count() or 1) + 1  # some mostly wait
    command = ["meson", "test", "-C", build, "--suite", suite, "--no-rebuild", "-q", "--logbase", f"testlog-{name}"]
    # meson's limit is against a hang; under TSan a simulation takes ten times as long
    patience = "10" if name == "tsan" else "1"
    subprocess.run(
        [*command, "--num-processes", str(together), "--timeout-multiplier", patience],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    total = [0, 0, 0]
    try:
        lines = open(log, encoding="utf-8").read().splitlines()
    except OSError:
        lines = []  # no test of this suite
    for line in lines:
        entry = json.loads(line)
        counts = counts_of(entry)
        total = [a + b for a, b in zip(total, counts)]
        word = "FAILED" if counts[1] else "ok" if counts[0] else "skip"
        skipped = f", {counts[2]} skipped" if counts[2] else ""
        print(f"{word:6} {entry['name']} ({counts[0]} passed{skipped}, {entry['duration']:.1f} s)")
        if counts[1]:
            print(f"{entry['result']}:")
            print(entry.get("stdout", "")[-8000:])
            print(entry.get("stderr", "")[-8000:])
        said = entry.get("stdout", "") + "\n" + entry.get("stderr", "")
        for reason in sorted(set(re.findall(r"^skip.*: .*", said, re.M | re.I))):
            print(f"       {reason}")
    with open(counts_file, "w", encoding="utf-8") as out:
        print(*total, file=out)
    return 1 if total[1] else 0


sys.exit(main())
