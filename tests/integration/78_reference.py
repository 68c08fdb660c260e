"""What drift is measured against: loaded through a running daemon, by SIGHUP, kept over restarts.

car_loan's reference (../shared/reference/monitoring) has 12,500 predictions.
"""

import contextlib
import gzip
import json
import os
import random
import shutil
import sqlite3

from daemon import Offline, configuration, run_program
from events import Event
from kafka import wait_until
from reference import reference_folder
from story import equal


def _lines(folder, name):
    with gzip.open(os.path.join(folder, name), "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in lines]


def _write(path, lines):
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in lines)


def _load(story):
    folder, tried = reference_folder("monitoring", "car_loan")
    if not folder:
        story.skip(f"no reference data in {tried}")
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
        return folder, json.load(file)


def _first_window(folder, expected):
    end = expected["windows"][0]["end"]
    events = [(json.loads(line), line) for line in _lines(folder, "events.jsonl.gz")]
    return [
        Event("predictions", event["id"], line)
        for event, line in events
        if event["type"] == "prediction" and event["ts"] < end
    ]


def _drift(daemon, expected):
    window = expected["windows"][0]
    return daemon.get(f"/api/v1/models/car_loan/drift?window=1h&from={window['start']}&to={window['end']}")


def what_only_the_reference_knows_has_its_name(story):
    at = 1_700_006_400_000

    def events(prefix, cities, start):
        return [json.dumps({"type": "prediction", "id": f"{prefix}{i}", "ts": start + i * 1000, "model": "credit", "version": "v1",
                            "score": 0.5, "features": {"city": cities[i % len(cities)]}}) for i in range(300)]

    reference, stream = story.path("reference.jsonl"), story.path("stream.jsonl")
    _write(reference, events("r", ["berlin", "atlantis", "paris"], at - 86_400_000))
    _write(stream, events("p", ["berlin", "paris"], at))
    model = {"name": "credit", "task": "binary", "label_horizon": "1d", "reference": {"file": reference}}
    database = story.replay("named", configuration(models=[model]), [stream])

    answer = Offline(database).query("distribution", "--model", "credit", "--feature", "city", "--from", str(at), "--to", str(at + 600_000))

    shown = {bar["category"] for bar in answer["bins"]}
    equal(shown, {"berlin", "atlantis", "paris"})


def a_reference_is_replaced_while_the_daemon_runs(story):
    folder, expected = _load(story)
    kafka = story.kafka()
    few = [line for line in _lines(folder, "reference.jsonl.gz") if '"prediction"' in line]
    named = story.path("named.jsonl")
    _write(named, few[:2000])
    model = {"name": "car_loan", "task": "binary", "label_horizon": "7d", "reference": {"file": named}}
    events = _first_window(folder, expected)
    topics = story.topics(kafka, events, 2)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), models=[model])).start()
    story.caught_up(daemon, kafka, topics)
    first = _drift(daemon, expected)["reference"]
    equal((first["n"], first["source"]), (2000, "file"))

    # the whole one, by the command, which finds the daemon by itself
    whole = os.path.join(folder, "reference.jsonl.gz")
    code, out, errors = run_program("reference", "load", "-c", "assay.yaml", "--model", "car_loan", whole, cwd=daemon.folder)
    assert code == 0, errors
    answer = _drift(daemon, expected)
    equal(answer["reference"]["id"], json.loads(out)["id"])
    equal((answer["reference"]["n"], answer["reference"]["source"]), (expected["reference_rows"], "api"))
    wanted = expected["windows"][0]["drift"]["car_value"]["scipy"]
    point = next(f for f in answer["features"] if f["feature"] == "car_value")["points"][0]
    assert abs(point["ks"] - wanted["ks"]) < 1e-9, (point["ks"], wanted)

    # a file without an event of the model changes nothing
    empty = story.path("empty.jsonl")
    _write(empty, ['{"type":"prediction","id":"1","ts":1,"model":"other","version":"1","score":0.5}'])
    code, _, errors = run_program("reference", "load", "-c", "assay.yaml", "--model", "car_loan", empty, cwd=daemon.folder)
    assert code != 0 and "no prediction of model car_loan" in errors, (code, errors)
    equal(_drift(daemon, expected)["reference"]["id"], answer["reference"]["id"])

    # SIGHUP reads the configured file again: the same is no news, another one is
    daemon.hangup()
    wait_until(lambda: "configuration read again" in daemon.log(), 20, "the hangup")
    equal(_drift(daemon, expected)["reference"]["id"], answer["reference"]["id"])
    _write(named, few[:3000])
    daemon.hangup()
    wait_until(lambda: _drift(daemon, expected)["reference"]["n"] == 3000, 20, "the new reference")
    _write(named, few[:2000])
    daemon.hangup()
    wait_until(lambda: _drift(daemon, expected)["reference"]["id"] == first["id"], 20, "the first one again")

    # a version's own counts for that version, and all of it outlives the process
    code, _, errors = run_program(
        "reference", "load", "-c", "assay.yaml", "--model", "car_loan", "--version", "v1", whole, cwd=daemon.folder
    )
    assert code == 0, errors
    daemon.kill9()
    daemon.start()
    equal(_drift(daemon, expected)["reference"]["id"], first["id"])
    window = expected["windows"][0]
    one = daemon.get(f"/api/v1/models/car_loan/drift?version=v1&from={window['start']}&to={window['end']}")
    equal(one["reference"]["id"], answer["reference"]["id"])


def the_configuration_may_name_another_way_while_the_daemon_runs(story):
    """A file, then stored windows in each way, then the file again; a reference that was loaded by hand counts on."""
    hour = 1700006400000

    def loans(prefix, version, at, income):
        return [json.dumps({"type": "prediction", "id": f"{prefix}{i}", "ts": at + i * 1000, "model": "credit", "version": version,
                            "features": {"income": income + i % 50}}) for i in range(200)]

    file = story.path("reference.jsonl")
    _write(file, loans("r", "v1", 1000, 1000))
    model = {"name": "credit", "task": "binary", "reference": {"file": file}}
    daemon = story.daemon(configuration(models=[model])).start()
    daemon.post("/api/v1/events", "\n".join(loans("a", "v1", hour, 2000) + loans("b", "v2", hour + 3600000, 3000)).encode())

    def reference():
        return daemon.get(f"/api/v1/models/credit/drift?version=v2&window=1h&from={hour + 3600000}&to={hour + 7200000}")["reference"]

    def named(way):
        daemon.settings["models"][0]["reference"] = way
        daemon.write_configuration()
        daemon.hangup()

    first = reference()
    equal((first["source"], first["n"]), ("file", 200))
    for source, way in {
        "range": {"from": hour, "to": hour + 3600000}, "version": {"version": "v1"}, "trailing": {"trailing": "1h"},
    }.items():
        named(way)
        wait_until(lambda: reference()["source"] == source, 20, f"the reference to be of {source}")
        equal(reference()["n"], 200)
    named({"file": file})
    wait_until(lambda: reference()["id"] == first["id"], 20, "the file again")

    status, answer = daemon.request("PUT", "/api/v1/models/credit/reference", "\n".join(loans("p", "v1", 1000, 5)).encode())
    equal(status, 200, answer)
    named({"trailing": "1h"})
    wait_until(lambda: daemon.log().count("configuration read again") == 5, 20, "the last hangup")
    equal((reference()["source"], reference()["id"]), ("api", json.loads(answer)["id"]), "what somebody loaded counts first")
    equal(run_program("verify", daemon.database)[0], 0)


def what_is_only_kept_in_longer_panes_is_said_to_be(story):
    """A window, or a reference's span, that cuts through an hour lacks it: never "no event", never "no reference"."""
    hour, minute = 1700006400000, 60000
    lines = [json.dumps({"type": "prediction", "id": f"p{i}", "ts": hour + i * minute, "model": "credit", "version": "v1", "prediction": 1,
                         "features": {"income": i * 37 % 50}}) for i in range(600)]
    path = story.path("ten-hours.jsonl")
    _write(path, lines)

    last = story.path("one-more.jsonl")
    _write(last, [lines[-1].replace('"p599"', '"p600"')])

    def drift(name, start, end, window="1h", later=False):
        """later: the time is named when its minutes are hours already; else it is kept before."""
        model = {"name": "credit", "task": "binary"}
        rule = {"name": "moved", "model": "credit", "drift": "any", "window": "1h"}
        settings = configuration(models=[model], alerts=[rule], storage={"path": "assay.db", "retention": {"1m": "1h", "1h": "2d"}})
        if later:
            story.replay(name, settings, [path])
        model["reference"] = {"from": hour + start * minute, "to": hour + end * minute}
        asked = ["--model", "credit", "--window", window, "--from", str(hour + 60 * minute), "--to", str(hour + 600 * minute)]
        answer = Offline(story.replay(name, settings, [last if later else path])).query("drift", *asked)
        return answer, next(f["points"] for f in answer["features"] if f["feature"] == "income")

    whole, points = drift("whole", 0, 180)
    equal((whole["reference"]["n"], whole["complete"], points[-1]["n"]), (180, True, 60))
    cut, _ = drift("cut", 30, 210, later=True)
    equal((cut["reference"]["n"], cut["complete"]), (120, False))
    assert "the reference's span cuts through data" in cut["incomplete_reasons"][0], cut["incomplete_reasons"]
    kept, points = drift("kept", 10, 50)
    equal((kept["reference"]["n"], kept["complete"], points[-1]["psi"] is None), (40, True, False))
    gone, points = drift("gone", 10, 50, later=True)
    equal((gone["reference"], points[-1]["psi"]), (None, None))
    assert "kept in longer panes now" in gone["reference_why"] and "kept in longer panes now" in points[-1]["why"], gone
    short, points = drift("short", 0, 180, "15m")
    equal({point["why"] for point in points[:8]}, {"its events are only kept in longer panes; take a longer window"})
    equal((short["complete"], points[-1]["n"]), (False, 15))


def what_a_named_time_held_outlives_its_panes(story):
    """An odd time, kept whole when its minutes become hours; the days after it are gone, too, when it is asked for."""
    hour, minute = 1700006400000, 60000
    rng = random.Random(7)
    lines = []
    for i in range(60 * 60):
        score, country = round(rng.random(), 3), rng.choice(["de", "de", "fr"])
        lines.append(json.dumps({"type": "prediction", "id": f"p{i}", "ts": hour + i * minute, "model": "credit", "version": "v1", "score": score,
                                 "prediction": int(score >= 0.5), "features": {"income": round(rng.gauss(0, 1), 4), "country": country}}))
        lines.append(json.dumps({"type": "label", "id": f"p{i}", "ts": hour + i * minute + 1, "label": int(rng.random() < score)}))
    model = {"name": "credit", "task": "binary", "label_horizon": "1h", "segments": ["country"],
             "reference": {"from": hour + 30 * minute, "to": hour + 210 * minute}}
    rule = {"name": "worse", "model": "credit", "metric": "accuracy", "window": "1h", "relative_to": "reference", "below": 2, "every": "10m"}
    settings = configuration(models=[model], alerts=[rule], storage={"path": "assay.db", "retention": {"1m": "8h", "1h": "1d", "1d": "2d"}})
    first, rest = story.path("first.jsonl"), story.path("rest.jsonl")
    _write(first, lines[: 2 * 240])
    _write(rest, lines[2 * 240 :])
    database = story.replay("named", settings, [first])
    offline = Offline(database)

    def stored():
        with contextlib.closing(sqlite3.connect(database)) as connection:
            return [row[0] for row in connection.execute("SELECT id FROM reference_states")]

    def answers(start):
        asked = ["--model", "credit", "--window", "1h", "--from", str(start), "--to", str(start + 60 * minute)]
        whole = offline.query("drift", *asked)
        slices = [offline.query("drift", *asked, "--segment", f"country:{country}")["reference"]["n"] for country in ("de", "fr")]
        (series,) = offline.query("metrics", *asked, "--metric", "estimated_accuracy")["series"]
        (alert,) = offline.query("alerts")["items"]
        return whole["reference"], slices, series["points"][0]["value"] is None, round(alert["data"]["compared"], 9)

    before = answers(hour + 180 * minute)
    equal((before[0]["n"], before[0]["source"], stored()), (180, "range", []))
    equal((sum(before[1]), before[2]), (180, False))
    story.replay("named", settings, [rest])
    equal(stored(), [before[0]["id"]])
    equal(answers(hour + 58 * 60 * minute), before)
    equal(run_program("verify", database)[0], 0)


def a_named_time_is_kept_while_the_daemon_runs(story):
    """Named anew it counts again; it is no one's to take away; what somebody loads counts first."""
    hour, minute = 1700006400000, 60000

    def loans(prefix, at, n, income):
        return [json.dumps({"type": "prediction", "id": f"{prefix}{i}", "ts": at + i * minute, "model": "credit", "version": "v1",
                            "prediction": 1, "features": {"income": income + i * 37 % 50}}) for i in range(n)]

    first, second = ({"from": hour + start * minute, "to": hour + (start + 40) * minute} for start in (10, 70))
    model = {"name": "credit", "task": "binary", "label_horizon": "1h", "reference": first}
    daemon = story.daemon(configuration(models=[model], storage={"path": "assay.db", "retention": {"1m": "8h", "1h": "1d", "1d": "2d"}})).start()
    daemon.post("/api/v1/events", "\n".join(loans("a", hour, 240, 1000)).encode())

    def items():
        return [(item["source"], item["from"], item["counts"], item["forgotten"] is None)
                for item in daemon.get("/api/v1/models/credit/references")["items"]]

    def reference():
        return daemon.get(f"/api/v1/models/credit/drift?window=1h&from={hour}&to={hour + 60 * minute}")["reference"]

    def named(way, times):
        daemon.settings["models"][0]["reference"] = way
        daemon.write_configuration()
        daemon.hangup()
        wait_until(lambda: daemon.log().count("configuration read again") == times, 20, "the hangup")

    wait_until(items, 20, "the reference to be kept")
    equal(items(), [("range", first["from"], True, True)])
    kept = reference()
    equal((kept["n"], "is kept: the windows that it was made of may go" in daemon.log()), (40, True))
    code, _, errors = run_program("reference", "forget", kept["id"], "-c", "assay.yaml", "--model", "credit", cwd=daemon.folder)
    equal((code, "`reference: {from, to}` of the configuration names" in errors), (65, True), errors)

    named(second, 1)
    equal((items(), reference()["n"]), ([("range", first["from"], False, False)], 40))
    daemon.post("/api/v1/events", "\n".join(loans("b", hour + 240 * minute, 1, 1000)).encode())
    wait_until(lambda: len(items()) == 2, 20, "the second to be kept")
    equal(items(), [("range", second["from"], True, True), ("range", first["from"], False, False)])
    daemon.kill9()
    daemon.start()
    named(first, 2)
    equal(items(), [("range", second["from"], False, False), ("range", first["from"], True, True)])
    # days later nothing else knows that time
    daemon.post("/api/v1/events", "\n".join(loans("c", hour + 4 * 1440 * minute, 2, 1000)).encode())
    with_nothing = f"/api/v1/models/credit/metrics?metric=accuracy&window=1d&from={hour // 86400000 * 86400000}&to={hour + 1440 * minute}"
    wait_until(lambda: not any(point["n"] for point in daemon.get(with_nothing)["series"][0]["points"]), 20, "the panes to go")
    equal(reference(), kept)

    status, answer = daemon.request("PUT", "/api/v1/models/credit/reference", "\n".join(loans("p", 1000, 300, 5)).encode())
    equal(status, 200, answer)
    equal((reference()["id"], [item[2] for item in items()]), (json.loads(answer)["id"], [True, False, False]))
    code, out, errors = run_program("reference", "forget", json.loads(answer)["id"], "-c", "assay.yaml", "--model", "credit", cwd=daemon.folder)
    equal((code, json.loads(out)["follows"]), (0, {"id": kept["id"], "source": "range"}), errors)
    equal(reference(), kept)
    equal(run_program("verify", daemon.database)[0], 0)


def a_reference_that_was_loaded_is_taken_away_again(story):
    """The one before it counts then, the configured file at last, which stays; each is named by who was compared with it."""
    hour = 1700006400000

    def loans(prefix, at, income, n=600, version="v1"):
        return [json.dumps({"type": "prediction", "id": f"{prefix}{i}", "ts": at + i * 1000, "model": "credit", "version": version,
                            "prediction": 1, "features": {"income": income + i * 37 % 50}}) for i in range(n)]

    def written(name, lines):
        _write(story.path(name), lines)
        return story.path(name)

    model = {"name": "credit", "task": "binary", "reference": {"file": written("named.jsonl", loans("r", 1000, 1000))},
             "changes": {"expected_run_time": 5000}}
    daemon = story.daemon(configuration(models=[model])).start()
    daemon.post("/api/v1/events", "\n".join(loans("a", hour, 1000)).encode())

    def reference():
        return daemon.get(f"/api/v1/models/credit/drift?window=1h&from={hour}&to={hour + 3600000}")["reference"]

    def run(*words, to=0):
        code, out, errors = run_program("reference", *words, "-c", "assay.yaml", "--model", "credit", cwd=daemon.folder)
        equal(code, to, errors)
        return json.loads(out) if code == 0 else errors

    def income():
        (stream,) = daemon.get("/api/v1/models/credit/changes?stream=income")["streams"]
        return stream

    first = reference()
    packed = gzip.compress("\n".join(loans("half", 1000, 5000)).encode())
    with open(story.path("half.jsonl.gz"), "wb") as out:
        out.write(packed[: len(packed) // 2])
    half = story.path("half.jsonl.gz")
    equal(run("load", half, to=65), f"assay: {half}: unexpected end of file\n", "not half of it")
    status, text = daemon.request("PUT", "/api/v1/models/credit/reference", packed[: len(packed) // 2])
    equal((status, "unexpected end of file" in text), (422, True), text)
    equal(reference(), first)
    second = run("load", written("second.jsonl", loans("s", 1000, 2000)))["id"]
    third = run("load", written("third.jsonl", loans("t", 1000, 3000)))["id"]
    equal(reference()["id"], third)
    # two hundred events more: income is another than the third says
    daemon.post("/api/v1/events", "\n".join(loans("b", hour + 700000, 1000, 600)).encode())
    daemon.post("/api/v1/events", "\n".join(loans("c", hour + 1400000, 1000, 60)).encode())
    wait_until(lambda: daemon.get("/api/v1/models/credit/changes?stream=income")["items"], 20, "a change against the third")
    found = daemon.get("/api/v1/models/credit/changes?stream=income")["items"]
    equal({item["reference"]["id"] for item in found}, {third})

    equal(run("forget", third)["follows"], {"id": second, "source": "api"})
    equal(reference()["id"], second)
    state = income()
    equal((state["state"], state["reference"], state["why"]),
          ("not watched", third, "another reference counts now: watched again from the next event on"))
    equal(daemon.get("/api/v1/models/credit/changes?stream=income")["items"][-1]["reference"]["id"], third, "history names it still")
    status, text = daemon.request("DELETE", f"/api/v1/models/credit/references/{third}")
    equal((status, "does not count there" in text), (404, True), text)
    equal(daemon.request("DELETE", "/api/v1/models/credit/references/nonsense")[0], 404)

    equal(run("forget", second)["follows"], {"id": first["id"], "source": "file"})
    equal(reference()["id"], first["id"])
    assert "`reference.file` of the configuration names" in run("forget", first["id"], to=65)
    equal(reference()["id"], first["id"], "what the configuration names stays")
    status, text = daemon.request("DELETE", f"/api/v1/models/credit/references/{first['id']}")
    equal(status, 409, text)

    items = daemon.get("/api/v1/models/credit/references")["items"]
    equal([(item["id"], item["n"], item["source"], item["counts"], item["forgotten"] is None) for item in items],
          [(third, 600, "api", False, False), (second, 600, "api", False, False), (first["id"], 600, "file", True, True)])
    rows = [row for row in daemon.get("/api/v1/audit")["items"] if row["action"] == "reference.forget"]
    equal([row["detail"] for row in rows],
          [{"reference": third, "version": None, "follows": {"id": second, "source": "api"}},
           {"reference": second, "version": None, "follows": {"id": first["id"], "source": "file"}}])

    # it outlives the process, and a loaded one above stored windows leaves those
    daemon.kill9()
    daemon.start()
    equal(reference()["id"], first["id"])
    fourth = run("load", written("fourth.jsonl", loans("u", 1000, 4000)))["id"]
    daemon.settings["models"][0]["reference"] = {"from": hour, "to": hour + 3600000}
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: "configuration read again" in daemon.log(), 20, "the hangup")
    equal(reference()["id"], fourth, "what somebody loaded counts first")
    equal(run("forget", fourth)["follows"], {"id": None, "source": "range"}, "not the file, which is named no longer")
    equal(reference()["source"], "range")
    equal((income()["state"], income()["why"]), ("not watched", "the reference counts no longer, and there is no other that was loaded"))
    equal(daemon.terminate(), 0)

    # without a daemon, and for one version
    fifth = run("load", "--version", "v1", story.path("second.jsonl"))["id"]
    equal(fifth, second)
    equal(run("forget", "--version", "v1", fifth)["follows"], {"id": None, "source": "range"})
    code, out, errors = run_program("query", "references", "-c", "assay.yaml", "--model", "credit", "--version", "v1", cwd=daemon.folder)
    equal([(item["version"], item["counts"]) for item in json.loads(out)["items"]], [("v1", False)], errors)
    equal(run_program("verify", daemon.database)[0], 0)


def a_damaged_profile_or_reference_is_found_by_verify(story):
    folder, expected = _load(story)
    model = {"name": "car_loan", "task": "binary", "label_horizon": "7d"}
    model["reference"] = {"file": os.path.join(folder, "reference.jsonl.gz")}
    events = story.path("events.jsonl")
    _write(events, [event.value for event in _first_window(folder, expected)])
    database = story.replay("replayed", configuration(models=[model]), [events])
    equal(run_program("verify", database)[0], 0)

    for table, words in (("profiles", "profile of model car_loan"), ("reference_states", "reference of model car_loan")):
        copy = story.path(table + ".db")
        shutil.copy(database, copy)
        with sqlite3.connect(copy) as connection:
            row, size = connection.execute(f"SELECT rowid, length(bytes) FROM {table} ORDER BY length(bytes) DESC").fetchone()
            blob = bytearray(connection.execute(f"SELECT bytes FROM {table} WHERE rowid = ?", (row,)).fetchone()[0])
            blob[size // 2] ^= 1
            connection.execute(f"UPDATE {table} SET bytes = ? WHERE rowid = ?", (bytes(blob), row))
        connection.close()

        code, _, errors = run_program("verify", copy)

        assert code != 0 and words in errors, (code, errors)


def alerts_are_relative_to_whatever_the_reference_is(story):
    """30% of v2's answers are wrong, 10% were in each kind of reference."""
    hour = 1700006400000

    def answers(prefix, version, at, wrong):
        for i in range(100):
            label = 1 if i >= wrong else 0
            yield {"type": "prediction", "id": f"{prefix}{i}", "ts": at + i, "model": "credit", "version": version,
                   "score": 0.9, "prediction": 1, "features": {"age": i}}
            yield {"type": "label", "id": f"{prefix}{i}", "ts": at + i + 1000, "label": label}

    def written(name, *parts):
        _write(story.path(name), [json.dumps(event) for part in parts for event in part])
        return story.path(name)

    reference = written("reference.jsonl", answers("r", "v1", 1000, 10))
    past = [answers("a", "v1", hour, 10), answers("b", "v1", hour + 3600000, 10)]
    now = [answers("c", "v2", hour + 7800000, 30), answers("d", "v1", hour + 7800000, 10), answers("e", "v2", hour + 7900000, 30)]
    events = written("events.jsonl", *past, *now)
    span = {"from": hour, "to": hour + 3600000}
    for name, kind in {
        "file": {"file": reference}, "range": span, "version": {"version": "v1"}, "trailing": {"trailing": "1h"},
    }.items():
        rule = {"name": "worse", "model": "credit", "metric": "accuracy", "window": "5m", "below": -0.05, "relative_to": "reference"}
        rule["version"] = "v2"
        model = {"name": "credit", "task": "binary", "reference": kind}

        database = story.replay(name, configuration(models=[model], alerts=[rule]), [events])

        code, out, errors = run_program("query", "--db", database, "-c", story.path(f"{name}/assay.yaml"), "alerts")
        equal(code, 0, errors)
        (alert,) = json.loads(out)["items"]
        data = alert["data"]
        assert "accuracy 0.7, -22.2% against 0.9 in the reference" in data["summary"], (name, alert)
        assert -0.4 < data["change_lower"] < data["change"] < data["change_upper"] < -0.05, data
        equal((data["reference"]["source"], data["reference"]["n"]), (name, 100))
        equal(bool(data["reference"]["id"]), name == "file", "stored windows have no id")
