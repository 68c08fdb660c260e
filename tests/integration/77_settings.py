"""What only the configuration said is known to whoever reads the database: its own metrics, the
reference, how drift is judged. A backup in another folder answers as the daemon's configuration does."""

import json
import os
import random
import sqlite3

from daemon import Offline, configuration, run_program
from story import equal

HOUR = 3_600_000
START = 1_700_000_000_000 // HOUR * HOUR
NAMES = "ctr,net_value,estimated_net_value,roc_auc"


def _events(path):
    draw = random.Random(3)
    with open(path, "w", encoding="utf-8") as out:
        for i in range(1200):
            at, score = START + i * 6000, round(draw.random(), 6)
            moved = 3 if at >= START + HOUR else 0
            lines = [
                {"type": "prediction", "id": str(i), "ts": at, "model": "credit", "version": "v1", "score": score, "features": {"x": round(draw.gauss(moved, 1), 6)}},
                {"type": "label", "id": str(i), "ts": at + 10, "label": "good" if draw.random() < score else "bad"},
            ]
            if i % 4 == 0:
                lines.append({"type": "outcome", "id": str(i), "ts": at + 20, "name": "click", "value": 1})
            out.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def _settings():
    return configuration(models=[{
        "name": "credit", "task": "binary", "positive": "good", "threshold": 0.6, "label_horizon": "1h", "timezone": "Europe/Berlin",
        "metrics": [{"name": "ctr", "outcome": "click", "per": "prediction"}, {"name": "net_value", "expr": "100*tp - 20*fp"}],
        "reference": {"from": START, "to": START + HOUR}, "drift": {"method": "psi", "false_alarm_rate": 0.001, "min_effect": 0.1},
    }])


def _asked(database, *options):
    code, out, errors = run_program("query", *options, cwd=os.path.dirname(database))
    assert code == 0, errors
    return json.loads(out)


def a_backup_answers_without_a_configuration_as_with_it(story):
    database = story.replay("replayed", _settings(), [_events(story.path("events.jsonl"))])
    copy = story.path("backup.db")
    equal(run_program("backup", "--db", database, copy)[0], 0)
    span = ["--model", "credit", "--window", "1h", "--from", str(START), "--to", str(START + 2 * HOUR)]

    for words in (["metrics", *span, "--metric", NAMES], ["metrics", *span], ["drift", *span], ["explain", *span[:2], *span[4:], "--metric", "net_value"], ["models", "--model", "credit"]):
        stored, configured = Offline(copy).query(*words), _asked(database, "-c", "assay.yaml", *words)
        stored.pop("lag", None)  # by the clock on the wall
        configured.pop("lag", None)
        equal(stored, configured, words[0])

    values = {s["metric"]: s["points"][0]["value"] for s in Offline(copy).query("metrics", *span, "--metric", NAMES)["series"]}
    equal(values["ctr"], 0.25)
    assert values["net_value"] > 0, values
    drift = Offline(copy).query("drift", *span)
    equal(drift["reference"]["source"], "range")
    point = next(f for f in drift["features"] if f["feature"] == "x")["points"][1]
    equal((point["method"], point["drifted"]), ("psi", True))


def the_views_in_sql_have_a_models_own_metrics(story):
    database = story.replay("replayed", _settings(), [_events(story.path("events.jsonl"))])
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT metric, sum(value) FROM metric_values WHERE metric IN ('net_value', 'tp', 'fp') AND slice = '' GROUP BY metric").fetchall()
    sums = dict(rows)
    assert sums, "no values of minutes"
    equal(sums["net_value"], 100 * sums["tp"] - 20 * sums["fp"])


def settings_follow_the_configuration(story):
    settings = _settings()
    path = _events(story.path("events.jsonl"))
    database = story.replay("replayed", settings, [path])
    settings["models"][0]["metrics"] = [{"name": "ctr", "expr": "tp / count"}]
    path = story.path("later.jsonl")
    with open(path, "w", encoding="utf-8") as out:
        out.write(json.dumps({"type": "prediction", "id": "x", "ts": START + 3 * HOUR, "model": "credit", "version": "v1", "score": 0.7}) + "\n")
    story.replay("replayed", settings, [path])
    code, _, errors = run_program("query", "--db", database, "metrics", "--model", "credit", "--metric", "net_value")
    assert code == 64 and "net_value" in errors, (code, errors)
    span = ["--model", "credit", "--window", "1h", "--from", str(START), "--to", str(START + HOUR), "--metric", "ctr,tp,count"]
    value = {s["metric"]: s["points"][0]["value"] for s in Offline(database).query("metrics", *span)["series"]}
    equal(value["ctr"], value["tp"] / value["count"])


def a_time_zone_that_the_machine_lacks_is_told_by_what_needs_it(story):
    database = story.replay("replayed", _settings(), [_events(story.path("events.jsonl"))])
    span = ["--model", "credit", "--window", "1h", "--from", str(START), "--to", str(START + 2 * HOUR)]
    names = ["--metric", "ctr,net_value,roc_auc"]
    before = Offline(database).query("metrics", *span, *names)
    connection = sqlite3.connect(database)
    connection.execute("UPDATE model_settings SET settings = json_set(settings, '$.timezone', 'Mars/Olympus', '$.reference', json('{\"trailing\":\"7d\",\"rhythm\":\"day\"}'))")
    connection.commit()
    connection.close()

    equal(Offline(database).query("metrics", *span, *names), before)
    code, out, errors = run_program("query", "--db", database, "drift", *span)

    equal((code, out), (65, ""))
    equal(errors, "assay: model credit: its reference needs the hours of its days: no time zone Mars/Olympus in /usr/share/zoneinfo/\n")
