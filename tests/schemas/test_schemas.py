#!/usr/bin/env python3
"""The published schemas and the code say yes and no to the same events and configurations.

usage: test_schemas.py VERDICT SOURCE
"""

import copy
import json
import os
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"SKIP: python3-{missing.name} is not installed")
    sys.exit(77)

PREDICTION = {
    "type": "prediction", "id": "a", "ts": 1700000000000, "model": "m", "version": "v1", "unit": "u",
    "features": {"x": 1.5, "y": "text", "z": True, "n": None, "e": [1, [2, 3]]},
    "score": 0.5, "scores": {"a": 0.5}, "prediction": 1, "ranking": ["a", 2], "latency_ms": 1.5,
    "error": None, "segment": {"country": "de", "tier": 1},
}
LABEL = {"type": "label", "id": "a", "ts": 1, "label": 1}
OUTCOME = {"type": "outcome", "id": "a", "name": "click", "value": 1}
SYSTEM = {"type": "system", "model": "m", "version": "v", "host": "h", "values": {"cpu_utilization": 0.5}}
VALUES = [
    None, True, False, 0, 1, -1, 0.5, 1.5, -0.5, 2, 253402300799999, 253402300800000, "", "text", "NaN",
    "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.5+01:00", "1", "x" * 256, "x" * 257, [], [1], [1, 2, 3],
    [1, -2, 3], ["a"], ["NaN"], [None], {}, {"a": 1}, {"a": -1}, {"a": 2}, {"a": "b"}, {"a": None},
    {"a": []}, {"a": [1, 2, 3]}, {"a": [1, 2]}, {"a": [1, 2, -3]}, {"a": {}}, {"x" * 257: 1}, {"a": "NaN"},
    {"a": True}, {f"k{i}": 1 for i in range(1024)}, {f"k{i}": 1 for i in range(1025)},
]


def events():
    """Every field of every type with every value, left out, and beside fields of other types."""
    for base in (PREDICTION, LABEL, OUTCOME, SYSTEM):
        fields = set(PREDICTION) | set(LABEL) | set(OUTCOME) | set(SYSTEM) | {"confusion", "unheard_of"}
        for field in sorted(fields):
            without = {k: v for k, v in base.items() if k != field}
            yield without
            for value in VALUES:
                yield {**without, field: value}
    yield {**LABEL, "label": None, "confusion": {"a": [1, 2, 3]}}
    yield from ([], 1, "x", None)


def run(*command, text=None):
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def check_events(verdict, source):
    with open(os.path.join(source, "schemas", "event.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    cases = list(events())
    said = run(verdict, "event", text="".join(json.dumps(case) + "\n" for case in cases)).split()
    assert len(said) == len(cases), (len(said), len(cases))
    wrong = [
        f"{json.dumps(case)[:300]}: code says {reason}, schema says {'yes' if validator.is_valid(case) else 'no'}"
        for case, reason in zip(cases, said)
        if validator.is_valid(case) != (reason == "none")
    ]
    print(f"{len(cases)} events, {said.count('none')} of them good")
    return wrong


def configurations(example):
    yield example
    for path in (
        ["models", 0, "threshold"], ["models", 0, "task"], ["models", 0, "label_horizon"], ["models", 0, "segments"],
        ["models", 0, "features", "income", "type"], ["models", 0, "drift", "method"], ["models", 0, "unheard_of"],
        ["limits", "models"], ["limits", "slices"], ["storage"], ["http", "insecure"], ["http", "listen"],
        ["kafka", "brokers"], ["kafka", "topics", 0, "start"], ["kafka", "topics", 0, "name"], ["alerts"], ["route"],
    ):
        for value in (0, 0.25, 2, "text", "1h", "binary", [], {}, True, "latest", "127.0.0.1:80", "numeric", "ks"):
            changed = copy.deepcopy(example)
            at = changed
            for step in path[:-1]:
                at = at[step]
            at[path[-1]] = value
            yield changed


def check_configurations(verdict, source):
    with open(os.path.join(source, "schemas", "config.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    with open(os.path.join(source, "assay.yaml"), encoding="utf-8") as file:
        example = yaml.safe_load(file)
    wrong, n, good = [], 0, 0
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "assay.yaml")
        for case in configurations(example):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(case, file)  # JSON is YAML
            said = run(verdict, "config", path).strip()
            # The code knows more than a schema can say, so only one direction must always hold;
            # the other where one key alone is wrong in its type, words or range.
            accepted = validator.is_valid(case)
            n, good = n + 1, good + (said == "none")
            if said == "none" and not accepted:
                wrong.append(f"code takes what the schema refuses: {json.dumps(case)[:2000]}")
            if accepted and any(word in said for word in ("unknown key", "none of", "not a number", "is not in 0..1")):
                wrong.append(f"schema takes what the code refuses: {said}")
    print(f"{n} configurations, {good} of them good")
    return wrong


def main():
    verdict, source = sys.argv[1:3]
    wrong = check_events(verdict, source) + check_configurations(verdict, source)
    for line in wrong[:20]:
        print(line)
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
