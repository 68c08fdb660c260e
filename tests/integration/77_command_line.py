"""What pipelines and people type: help, forms of the gate's answer, words that are off."""

import json
import os
from xml.etree import ElementTree

from daemon import configuration, run_program, yaml
from story import equal

START = 1_700_000_000_000
EXPERIMENT = {
    "name": "v2,v1", "model": "credit", "control": "v1", "treatment": "v2", "steps": [{"weight": 50, "min_duration": "1m"}],
    "metrics": [{"metric": "error_rate", "role": "guardrail", "direction": "lower", "margin": 0.01}],
}


def every_command_shows_its_help(story):
    code, listed, _ = run_program("help")
    equal(code, 0)
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]
    assert {"serve", "demo", "replay", "check", "query", "gate", "experiment", "reference", "export", "backup", "verify", "alert", "token"} == set(names), names

    for name in names:
        asked = run_program("help", name)
        for word in ("--help", "-h"):
            equal(run_program(name, word), asked, name)
        equal((asked[0], asked[1].startswith(f"assay {name} ")), (0, True), name)

    equal(run_program("gate", "--", "--help")[0], 2)


def a_configuration_without_a_model_is_told_what_to_write(story):
    said = {}
    for name, text in (("empty", ""), ("some", "models: [{name: credit, task: binary}]\n"), ("any", "auto_models: {task: binary}\n")):
        path = story.path(f"{name}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        code, said[name], errors = run_program("check", path)
        equal((code, errors), (0, ""), name)
        said[name] = said[name].removeprefix(path)

    assert said["empty"].startswith(": fine, but it has no model, so every event would be refused: write `models: [{name: "), said
    equal(said["some"], ": fine, 1 model, no Kafka\n")
    equal(said["any"], ": fine, 0 models and others as they come, no Kafka\n")


def query_tells_reasons_by_their_words_and_lists_all_that_can_be_asked(story):
    events = story.path("events.jsonl")
    with open(events, "w", encoding="utf-8") as out:
        out.write('{"type":"label","ts":%d,"label":1}\nhello\n' % START)
    database = story.replay("replay", configuration(), [events])
    code, out, errors = run_program("query", "--db", database, "system")
    equal((code, errors), (0, ""))
    equal({r["reason"]: r["n"] for r in json.loads(out)["rejects"]}, {"not_json": 1, "missing_id": 1})

    code, _, usage = run_program("query", "--db", database, "everything")
    words = usage[usage.index("models|") :].split()[0].split("|")
    listed = run_program("help", "query")[1]
    equal([word for word in words if word not in listed.replace("|", " ").split()], [])


def the_gate_answers_in_the_form_that_a_pipeline_reads(story):
    daemon = story.daemon(configuration())
    daemon.start()
    daemon.post("/api/v1/experiments", EXPERIMENT)
    at = {"environment": {"ASSAY_URL": daemon.url}}
    gate = ("gate", "experiment", EXPERIMENT["name"])
    reason = "a draft: nothing is looked at until it is started"
    os.mkdir(story.path("blessed"))

    answer = json.loads(run_program(*gate, **at)[1])
    equal((answer["result"], answer["reasons"]), ("unknown", [reason]))
    equal(json.loads(run_program(*gate, "--json", **at)[1])["result"], "unknown")
    equal(run_program(*gate, "--format", "text", **at), (3, f"experiment {EXPERIMENT['name']}: unknown\n  {reason}\n", ""))
    equal(run_program(*gate, "--format", "env", **at), (3, f"ASSAY_RESULT=unknown\nASSAY_REASON={reason}\n", ""))
    equal(run_program(*gate, "--format", "github", **at), (3, f"::warning title=v2%2Cv1::unknown: {reason}\n", ""))
    code, text, _ = run_program(*gate, "--format", "junit", **at)
    suite = ElementTree.fromstring(text).find("testsuite")
    equal((code, suite.get("skipped"), suite.find("testcase/skipped").get("message")), (3, "1", reason))
    equal(run_program(*gate, "--format", "xml", **at), (2, "", 'assay: --format: "xml" is none of json, text, junit, github, env\n'))

    daemon.post("/api/v1/experiments/v2,v1/start", {"reason": "go"})
    daemon.post("/api/v1/experiments/v2,v1/promote", {"reason": "we know"})
    equal(run_program(*gate, "--format", "text", "--blessing", story.path("blessed"), **at)[0], 0)
    equal(os.listdir(story.path("blessed")), ["BLESSED"])
    equal(run_program("gate", "model", "credit", "--blessing", story.path("blessed"), **at)[0], 3)
    equal(os.listdir(story.path("blessed")), ["NOT_BLESSED"])


def the_gate_that_cannot_be_reached_leaves_a_report(story):
    report = story.path("gate.xml")

    code, text, errors = run_program("gate", "model", "credit", "--url", "http://127.0.0.1:1", "--junit", report)

    equal((code, text, errors.startswith("assay: cannot reach http://127.0.0.1:1: ")), (4, "", True))
    suite = ElementTree.parse(report).getroot().find("testsuite")
    equal((suite.get("errors"), suite.get("failures"), suite.get("skipped")), ("1", "0", "0"))


def check_reads_the_files_that_serve_would(story):
    with open(story.path("junk"), "w", encoding="utf-8") as junk:
        junk.write("junk\n")
    wrong = {
        "http.tokens: nowhere: No such file or directory": {"tokens": "nowhere"},
        "http.tokens: junk:1: not name:scopes:sha256:expiry": {"tokens": "junk"},
        "http.tls.cert: nowhere: No such file or directory": {"tls": {"cert": "nowhere", "key": "junk"}},
        "http.tls.cert: junk is not in PEM form": {"tls": {"cert": "junk", "key": "junk"}},
    }
    for complaint, http in wrong.items():
        path = story.path("assay.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(yaml(configuration(http={"listen": "127.0.0.1:0", **http})))

        said = run_program("check", "assay.yaml", cwd=os.path.dirname(path))

        equal(said, (65, "", f"assay: assay.yaml:2: {complaint}\n"))
        equal(run_program("serve", "-c", "assay.yaml", cwd=os.path.dirname(path)), said, complaint)
