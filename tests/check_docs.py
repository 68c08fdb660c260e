"""Checks that the examples in README.md and docs/ are true: what is shown as a configuration passes `assay check`,
commands have the options that are shown, paths are routes, links lead to files and headings, the events of README.md are counted.

A part of a configuration is put where it belongs (an indented one into a gateway), with a model and an experiment that it may be
about; what belongs to other programs is only read as YAML.

usage: check_docs.py SOURCE ASSAY
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap

try:
    import yaml
except ImportError:
    yaml = None

BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
OTHERS = re.compile(r"\A# (GitHub|GitLab|Tekton|Argo|Flagger)")
AROUND = {
    "models": """
models:
  - name: credit
    task: binary
    label_horizon: 7d
    segments: [country]
    features: {income: {type: numeric}, age: {type: numeric}}
    metrics: [{name: ctr, outcome: click, per: prediction}]
    changes: {metrics: [error_rate], expected_run_time: 10000}
""",
    "experiments": """
experiments:
  - {name: credit-v4, model: credit, control: v3, treatment: v4, steps: [{weight: 50}],
     metrics: [{metric: error_rate, role: guardrail, margin: 0.01}]}
""",
    "storage": "\nstorage: {path: assay.db}\n",
    "kafka": "\nkafka: {brokers: localhost:9092, topics: [{name: predictions, format: assay}]}\n",
}
FILES = {"hook.key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "edge.token": "t", "token": "t", "ca.crt": "t", "vertex.token": "t"}  # that examples read
ELSEWHERE = {("POST", "/api/v2/alerts")}  # what we ask of others


def blocks(path, kind):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in BLOCK.finditer(text):
        if match.group(1) == kind:
            yield text.count("\n", 0, match.start()) + 2, match.group(2)


def whole(block):
    """The block as a configuration that `assay check` can read."""
    if block.startswith("- name"):
        block = "kafka:\n  brokers: localhost:9092\n  topics:\n" + textwrap.indent(block, "    ")
    elif block.startswith(" "):
        have = "".join(
            f"    {key}: {value}\n"
            for key, value in {"upstreams": '{v3: "http://a", v4: "http://b"}', "event": "{score: /score}"}.items()
            if f" {key}:" not in block
        )
        block = "gateway:\n  - listen: 127.0.0.1:8501\n    model: credit\n" + have + block
    keys = set(re.findall(r"^(\w+):", block, re.M))
    return block + "".join(text for key, text in AROUND.items() if not {key, "storage"} & keys)


def run(assay, folder, *words, **more):
    return subprocess.run([assay, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60, **more)


def check_yaml(assay, folder, place, block):
    if OTHERS.match(block):
        if yaml:
            yaml.safe_load(block)
        return None
    for one in alternatives(block):
        with open(os.path.join(folder, "assay.yaml"), "w", encoding="utf-8") as file:
            file.write(whole(one).replace("/var/run/secrets/kubernetes.io/serviceaccount/", ""))
        done = run(assay, folder, "check", "assay.yaml")
        if done.returncode:
            return f"{place}: {done.stderr.strip() or done.stdout.strip()}"
    return None


def alternatives(block):
    """Lines that say the same key twice are alternatives."""
    lines = block.splitlines(keepends=True)
    starts = [re.match(r" +(\w+):", line) for line in lines]
    if block.startswith(" ") and len({m.group(0) for m in starts if m}) < len([m for m in starts if m]):
        return lines
    return [block]


def check_options(assay, folder, place, command):
    """Options of a command that is shown stand in its help."""
    words = command.split()
    helped = run(assay, folder, "help", words[1])
    if helped.returncode:
        return f"{place}: {command}: {helped.stderr.strip()}"
    for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command):
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", helped.stdout):
            return f"{place}: {command}: `assay help {words[1]}` has no {option}"
    return None


def commands(path):
    """(line, command) of each `assay …` in the text and in blocks of sh."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    spans = [(m.start(), m.group(1)) for m in re.finditer(r"`((?:build/cli/)?assay [a-z][^`\n]*)`", text)]
    for match in BLOCK.finditer(text):
        if match.group(1) in ("sh", ""):
            at = match.start(2)
            for line in match.group(2).splitlines(keepends=True):
                if re.match(r"(build/cli/)?assay [a-z]", line):
                    spans.append((at, line.split("  #")[0].strip()))
                at += len(line)
    for at, command in spans:
        yield text.count("\n", 0, at) + 1, command


def routes(source):
    with open(os.path.join(source, "web", "routes.c"), encoding="utf-8") as file:
        found = re.findall(r'\{"(GET|POST|PUT|DELETE|PATCH)",\s*"(/[^"]*)"', file.read())
    return {(method, re.sub(r"\{\w+\}", "*", path)) for method, path in found}


def check_route(known, place, method, path):
    if (method, path) in ELSEWHERE:
        return None
    asked = path.split("?")[0].split("[")[0].rstrip("/")
    for known_method, pattern in known:
        wanted = re.sub(r"\\\*", "[^/]+", re.escape(pattern))
        if known_method == method and (re.fullmatch(wanted, asked) or re.fullmatch(wanted, "/api/v1" + asked)):
            return None
    return f"{place}: {method} {path} is no route"


def anchors(path):
    """What a link may name of a page: its headings, as GitHub writes them."""
    with open(path, encoding="utf-8") as file:
        text = BLOCK.sub("", file.read())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def check_link(path, place, link):
    if re.match(r"\w+:", link):
        return None
    file, _, anchor = link.partition("#")
    target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
    if not os.path.exists(target):
        return f"{place}: no file {link}"
    if anchor and anchor not in anchors(target):
        return f"{place}: no heading {link}"
    return None


def check_events(assay, folder, source):
    """What README.md shows of events and questions: replayed, counted, asked."""
    path = os.path.join(source, "README.md")
    config = next(block for _, block in blocks(path, "yaml"))
    events = next(block for _, block in blocks(path, "json"))
    for name, text in (("assay.yaml", config), ("events.jsonl", events)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    told = run(assay, folder, "replay", "-c", "assay.yaml", "events.jsonl")
    if told.returncode or json.loads(told.stdout)["folded"] != len(events.splitlines()):
        return f"README.md: its events: {told.stdout}{told.stderr}"
    question = re.search(r"assay (query -c assay.yaml .*)", open(path, encoding="utf-8").read()).group(1)
    answer = run(assay, folder, *question.split(), "--from", "1699999980000", "--to", "1700003640000", "--window", "1h")
    if answer.returncode or "roc_auc" not in answer.stdout:
        return f"README.md: {question}: {answer.stdout}{answer.stderr}"
    return None


def problems(source, assay, folder):
    known = routes(source)
    names = ["README.md"] + sorted(os.path.join("docs", name) for name in os.listdir(os.path.join(source, "docs")) if name.endswith(".md"))
    for name, text in FILES.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.chmod(os.path.join(folder, name), 0o600)
    n = 0
    for name in names:
        path = os.path.join(source, name)
        for line, block in blocks(path, "yaml"):
            n += 1
            yield check_yaml(assay, folder, f"{name}:{line}", block)
        for line, command in commands(path):
            n += 1
            yield check_options(assay, folder, f"{name}:{line}", command)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in re.finditer(r"(?<!httpchk )\b(GET|POST|PUT|DELETE) (/[^\s`'\"]*)|curl '?http://[^/]*(/[^\s'`]*)", text):
            n += 1
            place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            yield check_route(known, place, match.group(1) or "GET", match.group(2) or match.group(3))
        for match in re.finditer(r"\]\(([^)\s]+)\)", text):
            yield check_link(path, f"{name}:{text.count(chr(10), 0, match.start()) + 1}", match.group(1))
    yield check_events(assay, folder, source)
    assert n > 100, f"only {n} examples were found"
    assert check_yaml(assay, folder, "", "alerts:\n  - {name: a, model: credit, metric: rocauc, below: 1}\n"), "the check bites"
    assert check_options(assay, folder, "", "assay serve --port 1") and check_options(assay, folder, "", "assay start"), "the check bites"
    assert check_route(known, "", "GET", "/models/M/metric"), "the check bites"
    assert check_link(os.path.join(source, "README.md"), "", "docs/sql.md#no-such-heading"), "the check bites"
    assert check_link(os.path.join(source, "README.md"), "", "docs/none.md"), "the check bites"
    print(f"{n} examples")


def main():
    source, assay = sys.argv[1], os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        found = [problem for problem in problems(source, assay, folder) if problem]
    print("\n".join(found) or "are true")
    return 1 if found else 0


sys.exit(main())
