"""The description of the API is true: schemathesis reads it from a live daemon and tries it out.

Every operation but the endless stream is asked with examples, with the edges of each schema and with
random values, well-formed and not; status, content type and body of each answer have to be as described.
"""

import json
import os
import re
import subprocess

from daemon import configuration, models, run_program
from events import stream, write_jsonl
from kafka import ROOT
from story import equal

SCHEMATHESIS = os.path.join(ROOT, ".cache", "venv", "bin", "schemathesis")
EXPERIMENT = {
    "name": "credit-v4", "model": "credit", "control": "v3", "treatment": "v4", "start": True,
    "steps": [{"weight": 5}, {"weight": 50}, {"weight": 100}],
    "metrics": [{"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin_relative": 0.5}],
}  # fmt: skip


def _served(story):
    """A daemon that has seen two hours of events, with an experiment, a firing rule and a token."""
    settings = configuration(
        models=models(),
        alerts=[{"name": "low", "model": "credit", "metric": "accuracy", "window": "1h", "below": 0.999}],
        receivers=[{"name": "oncall", "type": "webhook", "url": "http://127.0.0.1:9/", "allow_private": True}],
        route={"receiver": "oncall"},
        experiments=[EXPERIMENT],
    )
    settings["http"].update(tokens="tokens.txt", limits={"rate": 100000, "per_address": 256})
    daemon = story.daemon(settings)
    code, token, errors = run_program("token", "new", "root", "admin", "--file", "tokens.txt", cwd=daemon.folder)
    equal(code, 0, errors)
    daemon.write_configuration()
    write_jsonl(os.path.join(daemon.folder, "events.jsonl"), stream(2000, seed=13, bad=0.02))
    code, _, errors = run_program("replay", "-c", "assay.yaml", "events.jsonl", cwd=daemon.folder)
    equal(code, 0, errors)
    return daemon.start(), token.strip()


def _operations(daemon):
    described = json.loads(daemon.request("GET", "/api/v1/openapi.json")[1])
    return sum(len(methods) for methods in described["paths"].values())


def every_answer_is_as_the_openapi_description_says(story):
    if not os.path.exists(SCHEMATHESIS):
        story.skip("schemathesis is not installed: ./dev setup")
    daemon, token = _served(story)
    examples = "400" if os.environ.get("ASSAY_NIGHTLY") else "25"
    # by the interpreter: the script beside it names the folder that the environment was made in
    command = [os.path.join(os.path.dirname(SCHEMATHESIS), "python"), "-m", "schemathesis.cli"]
    command += ["--config-file", os.path.join(ROOT, "tests", "api", "schemathesis.toml"), "run"]
    command += [f"{daemon.url}/api/v1/openapi.json", "-H", f"Authorization: Bearer {token}"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", "13"]
    command += ["--exclude-path", "/api/v1/stream", "--continue-on-failure", "--no-color", "--suppress-health-check=all"]
    command += ["--request-timeout", "30"]

    done = subprocess.run(command, cwd=story.folder, capture_output=True, text=True, check=False)

    print(done.stdout[-12000:])
    equal(done.returncode, 0, "schemathesis found an answer that is not as described")
    tested = int(re.search(r"Tested: +(\d+)", done.stdout).group(1))
    equal(tested, _operations(daemon) - 2, "operations tried: all but the stream and the description itself")
    daemon.must_run()
    equal(daemon.is_ready(), True)
