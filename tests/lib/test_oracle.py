"""The oracle against scikit-learn's answers on the shared reference streams.

usage: test_oracle.py     exit 77 (skipped) where the reference data is not there
"""

import gzip
import json
import sys

from oracle import Model, Oracle
from reference import reference_folder

HOUR = 3_600_000


def check(folder, model, task):
    """Lines that say what differs."""
    with open(f"{folder}/expected.json", encoding="utf-8") as file:
        expected = json.load(file)
    oracle = Oracle({model: Model(task=task)})
    with gzip.open(f"{folder}/events.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            oracle.add(json.loads(line))
    windows = oracle.windows(HOUR)
    wrong = []
    compared = 0
    for window in expected["windows"]:
        got = windows[(model, "v1", "", window["start"])].metrics()
        for name, value in window["metrics"].items():
            if name in got:
                compared += 1
                if abs(got[name] - value) > 1e-9 * max(1, abs(value)):
                    wrong.append(f"{model} {window['start']} {name}: {got[name]!r}, expected {value!r}")
    if oracle.duplicates != expected["stream"]["duplicates"]:
        wrong.append(f"{model}: {oracle.duplicates} duplicates, expected {expected['stream']['duplicates']}")
    if compared < 80:
        wrong.append(f"{model}: only {compared} values compared")
    return wrong


def main():
    folder, tried = reference_folder("monitoring")
    if not folder:
        print(f"skip: no reference data in {tried}")
        return 77
    wrong = check(f"{folder}/car_loan", "car_loan", "binary")
    wrong += check(f"{folder}/car_price", "car_price", "regression")
    print("\n".join(wrong) or "the oracle agrees")
    return 1 if wrong else 0


sys.exit(main())
