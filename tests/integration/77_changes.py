"""Changes by the event: found soon after they happen, once each, and the same ones whatever happens to the daemon."""

import json
import os
import random

from daemon import Offline, configuration, run_program, wait_a_moment
from events import START, label, outcome, prediction, write_jsonl
from kafka import wait_until
from story import equal
from undisturbed import QUICK

KILLS = int(os.environ.get("ASSAY_KILLS", 3))
SECOND = 1000
CHANGES_AT = START + 200 * SECOND
END = START + 300 * SECOND


def _event(i, at, rng, changed):
    failed = rng.random() < (0.12 if changed else 0.02)
    features = {
        "income": round(rng.gauss(1500 if changed else 1000, 300), 2),
        "age": rng.randint(20, 60),  # stays
        "vip": rng.random() < (0.15 if changed else 0.4),
    }
    more = {"error": "timeout"} if failed else {}
    made = [prediction(f"p{i}", at, prediction=1, features=features, **more)]
    made.append(label(f"p{i}", at + 900, int(rng.random() < (0.7 if changed else 0.92))))
    if rng.random() < (0.4 if changed else 0.15):
        made.append(outcome(f"p{i}", at + 700, "click"))
    return made


def _events():
    rng = random.Random(9)
    events = []
    for i, at in enumerate(range(START, END, 40)):
        events += _event(i, at, rng, at >= CHANGES_AT)
    # Every partition gets one that lies behind the last look that is asked about.
    for i in range(60):
        events.append(prediction(f"end{i}", END + 5 * SECOND, prediction=1))
        events.append(label(f"end{i}", END + 5 * SECOND, 1))
    return sorted(events, key=lambda event: json.loads(event.value)["ts"])


def _settings(story, **more):
    rng = random.Random(10)
    lines = [event for i in range(6000) for event in _event(f"r{i}", START, rng, False)[:1]]
    reference = story.path("reference.jsonl")
    write_jsonl(reference, lines)
    model = {
        "name": "credit", "task": "binary", "positive": 1, "label_horizon": "1h",
        "metrics": [{"name": "ctr", "outcome": "click"}],
        "reference": {"file": reference},
        "changes": {"expected_run_time": 50000},
    }
    rules = [
        {"name": "changed", "model": "credit", "change": "any", "window": "2m"},
        {"name": "accuracy-changed", "model": "credit", "change": "accuracy", "window": "1h"},
        {"name": "age-changed", "model": "credit", "change": "age", "window": "1h"},
    ]
    return configuration(models=[model], alerts=rules, **more)


def _items(answer):
    """The changes without their numbers, which other models would share, and without when the reference was loaded."""
    items = [{key: value for key, value in item.items() if key != "id"} for item in answer["items"] if item["at"] <= END]
    for item in items:
        item["reference"].pop("created", None)
    return items


def killed_again_and_again_it_finds_what_a_replay_finds(story):
    kafka = story.kafka()
    events = _events()
    topics = story.topics(kafka, events, 3)
    settings = _settings(story)
    live = configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK})
    daemon = story.daemon({**live, "models": settings["models"], "alerts": settings["alerts"]})
    rng = random.Random(1)
    for _ in range(KILLS):
        daemon.start()
        wait_a_moment(rng.random())
        daemon.kill9()
    daemon.start()

    file = story.path("events.jsonl")
    write_jsonl(file, events)
    replayed = Offline(story.replay("replayed", settings, [file])).query("changes", "--model", "credit", "--limit", "1000")
    expected = _items(replayed)
    wait_until(lambda: _items(daemon.get("/api/v1/models/credit/changes?limit=1000")) == expected, 90,
               f"the changes that a replay finds: {expected}")

    found = {}
    for item in reversed(expected):
        found.setdefault(item["stream"], item)
    equal(sorted(found), ["accuracy", "ctr", "error_rate", "income", "vip"])
    for name, direction, before, after in [
        ("accuracy", "down", 0.92, 0.7), ("error_rate", "up", 0.02, 0.12), ("vip", "down", 0.4, 0.15),
    ]:
        item = found[name]
        equal((item["direction"], item["kind"]), (direction, "feature" if name == "vip" else "metric"))
        assert abs(item["before"] - before) < 0.03 and abs(item["after"] - after) < 0.15, item
        assert CHANGES_AT - 5 * SECOND < item["began"] <= item["at"] < CHANGES_AT + 30 * SECOND, item
    assert found["income"]["direction"] == "shape" and found["income"]["after"] > 1100, found["income"]

    answer = daemon.get("/api/v1/models/credit/changes?stream=age")
    equal(answer["items"], [])
    age = answer["streams"][0]
    equal((age["method"], age["state"], age["alarms"], age["expected_run_time"]), ("cvm", "watching", 0, 50000))
    told = daemon.get(f"/api/v1/models/credit/drift?window=1h&from={START}&to={END}")["reference"]
    equal(age["reference"], told["id"], "what it is watched against")
    _each_says_what_it_was_compared_with(daemon, found, told)
    equal(daemon.get("/api/v1/models/credit/changes?stream=vip")["streams"][0]["state"], "changed")

    fired = {item["data"]["name"]: item for item in daemon.get("/api/v1/alerts/history?limit=100")["items"]
             if item["event"] == "firing"}
    equal(sorted(fired), ["accuracy-changed", "changed"])
    equal(fired["accuracy-changed"]["at"], found["accuracy"]["at"])
    assert "accuracy of version v3 changed at about " in fired["accuracy-changed"]["data"]["summary"], fired
    _causes_name_what_moved(daemon, fired["accuracy-changed"]["data"]["cause"], expected)


def _each_says_what_it_was_compared_with(daemon, found, reference):
    """Features: the reference, as drift names it; metrics: what they learned, a tenth of the run; so do explain and alerts."""
    items = daemon.get("/api/v1/models/credit/changes?limit=1000")["items"]
    equal([item["reference"] for item in items if item["kind"] == "feature"][:1], [reference])
    del reference["created"]
    equal((found["income"]["reference"], found["vip"]["reference"]), (reference, reference))
    learned = found["error_rate"]["reference"]
    equal((learned["id"], learned["source"], learned["n"], learned["from"]), (None, "learned", 5000, START))
    assert START + 4900 * 40 <= learned["to"] <= CHANGES_AT, learned
    explained = daemon.get(f"/api/v1/models/credit/explain?from={CHANGES_AT - 40 * SECOND}&to={END}")["changes"]
    for change in explained:
        change["reference"].pop("created", None)
        equal(change["reference"], found[change["stream"]]["reference"])
    (fired,) = [item["data"] for item in daemon.get("/api/v1/alerts/history?limit=100")["items"]
                if item["event"] == "firing" and item["data"]["name"] == "accuracy-changed"]
    equal(fired["reference"], found["accuracy"]["reference"])
    assert ", compared with the 5000 events until 20" in fired["summary"], fired
    stream = daemon.get("/api/v1/models/credit/changes?stream=positive_rate")["streams"][0]
    equal((stream["reference"], stream["learned"]["n"], stream["learned"]["from"]), (None, 5000, START), "of one that did not change")


def _causes_name_what_moved(daemon, told, expected):
    """An alert's cause begins with what had moved first, and so does the answer to where it comes from."""
    answer = daemon.get(f"/api/v1/models/credit/explain?from={CHANGES_AT - 40 * SECOND}&to={END}")
    first = answer["changes"][0]
    assert answer["cause"].startswith(tuple(f"{what}{first['stream']} of version v3 " for what in ("", "the distribution of "))), answer
    assert " at about 20" in answer["cause"] and "; then " in answer["cause"], answer
    equal(first["began"], min(item["began"] for item in expected if CHANGES_AT - 40 * SECOND <= item["at"] < END))
    streams = {item["stream"] for item in answer["changes"]}
    assert any(told.startswith((name, f"the distribution of {name}")) for name in streams) and " at about 20" in told, told


def what_cannot_be_watched_is_refused_with_the_line(story):
    settings = _settings(story)
    settings["models"][0]["changes"] = {"metrics": ["accuracy"]}
    daemon = story.daemon(settings)
    daemon.write_configuration()
    code, _, message = run_program("check", "assay.yaml", cwd=daemon.folder)
    equal(code, 65, message)
    assert "models[0].changes.expected_run_time: is missing" in message, message
    settings["models"][0]["changes"] = {"expected_run_time": 50000, "metrics": ["roc_auc"]}
    daemon.write_configuration()
    code, _, message = run_program("check", "assay.yaml", cwd=daemon.folder)
    equal(code, 65, message)
    assert 'models[0].changes.metrics: "roc_auc" says nothing of one event' in message, message


def _price(i, at, rng, changed):
    country = "fr" if i % 3 else "de"
    spread = 20 if changed and country == "fr" else 10
    return [
        prediction(f"p{i}", at, prediction=100, segment={"country": country}),
        label(f"p{i}", at + 900, round(rng.gauss(100, spread), 3)),
    ]


def an_error_that_grows_in_one_slice_is_told_of_that_slice(story):
    rng = random.Random(11)
    times = range(START, START + 12000 * 25, 25)
    events = [event for i, at in enumerate(times) for event in _price(i, at, rng, i >= 9000)]
    file = story.path("prices.jsonl")
    write_jsonl(file, sorted(events, key=lambda event: json.loads(event.value)["ts"]))
    model = {
        "name": "credit", "task": "regression", "label_horizon": "1h", "segments": ["country"],
        "changes": {"expected_run_time": 50000, "segments": ["country"]},
    }
    rules = [
        {"name": f"changed-{country}", "model": "credit", "segment": {"country": country}, "change": "mae", "window": "1h"}
        for country in ["de", "fr"]
    ]
    offline = Offline(story.replay("prices", configuration(models=[model], alerts=rules), [file]))

    answer = offline.query("changes", "--model", "credit", "--stream", "mae", "--segment", "country:fr")
    found = answer["items"][-1]
    equal((found["segment"], found["direction"], found["kind"]), ("country:fr", "up", "metric"))
    assert START + 220 * SECOND < found["began"] <= found["at"] < START + 240 * SECOND, found
    assert abs(found["before"] - 8) < 0.5 and found["after"] > 10, found
    equal([(s["segment"], s["method"]) for s in answer["streams"]], [("country:fr", "rank_cusum")])
    streams = offline.query("changes", "--model", "credit", "--stream", "mae")["streams"]
    equal([s["segment"] for s in streams], [None, "country:de", "country:fr"])
    equal(offline.query("changes", "--model", "credit", "--segment", "country:de")["items"], [])

    alerts = offline.query("alerts")["items"]
    equal([(alert["rule"], alert["segment"]) for alert in alerts], [("changed-fr", "country=fr")])
    assert alerts[0]["data"]["summary"].startswith("credit country=fr: mae in country:fr of version v3 changed at about "), alerts
    assert alerts[0]["data"]["cause"].startswith("mae in country:fr of version v3 rose from "), alerts


def _shop(i, at, rng, changed):
    """From `changed` on income doubles in fr, and half of its loans come by phone."""
    country = "fr" if i % 2 else "de"
    moved = changed and country == "fr"
    features = {"income": round(rng.expovariate(1 / (2000 if moved else 1000)), 2), "age": rng.randint(20, 60),
                "channel": "phone" if moved and rng.random() < 0.5 else rng.choice(["web", "app", "shop"])}
    return prediction(f"p{i}", at, prediction=1, features=features, segment={"country": country})


def a_feature_that_changes_in_one_slice_is_told_of_that_slice(story):
    """Live, with a kill, and in a replay: the same, each with what its stream had learned; no reference is needed."""
    rng = random.Random(12)
    kafka = story.kafka()
    times = range(START, START + 24000 * 10, 10)
    changed = times[20000]
    events = [_shop(i, at, rng, at >= changed) for i, at in enumerate(times)]
    events += [prediction(f"end{i}", times[-1] + 5 * SECOND, prediction=1, segment={"country": "de"}) for i in range(60)]
    model = {
        "name": "credit", "task": "binary", "positive": 1, "segments": ["country"],
        "changes": {"expected_run_time": 50000, "metrics": ["error_rate"], "segments": ["country"],
                    "segment_features": ["income", "channel"]},
    }
    rules = [
        {"name": f"{stream}-{country}", "model": "credit", "segment": {"country": country}, "change": stream, "window": "1h"}
        for country in ["de", "fr"] for stream in ["income", "channel"]
    ]
    topics = story.topics(kafka, events, 3)
    live = configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK})
    daemon = story.daemon({**live, "models": [model], "alerts": rules}).start()
    wait_a_moment(0.5)
    daemon.kill9()
    daemon.start()
    file = story.path("shop.jsonl")
    write_jsonl(file, events)
    offline = Offline(story.replay("shop", configuration(models=[model], alerts=rules), [file]))
    expected = offline.query("changes", "--model", "credit", "--limit", "1000")["items"]
    wait_until(lambda: daemon.get("/api/v1/models/credit/changes?limit=1000")["items"] == expected, 90, f"what a replay finds: {expected}")

    found = {item["stream"]: item for item in expected}
    equal((len(expected), sorted(found)), (2, ["channel", "income"]), expected)
    equal({(item["segment"], item["kind"]) for item in expected}, {("country:fr", "feature")})
    equal((found["income"]["direction"], found["channel"]["direction"]), ("up", "shape"))
    assert abs(found["income"]["before"] - 1000) < 50 and found["income"]["after"] > 1400, found
    for item in expected:
        assert changed - 5 * SECOND < item["began"] <= item["at"] < changed + 20 * SECOND, item
        reference = item["reference"]
        equal((reference["id"], reference["source"], reference["n"], reference["from"]), (None, "learned", 4096, START + 10))
        equal(reference["segment"], "country:fr")
    streams = daemon.get("/api/v1/models/credit/changes?segment=country:*")["streams"]
    equal([(s["stream"], s["segment"], s["method"], s["reference"]) for s in streams if s["kind"] == "feature"],
          [(name, f"country:{country}", method, None) for country in ["de", "fr"] for name, method in [("channel", "cvm"), ("income", "rank_cusum")]])

    def firing():
        items = daemon.get("/api/v1/alerts/history?limit=100")["items"]
        return {item["data"]["name"]: item["data"] for item in items if item["event"] == "firing"}

    wait_until(lambda: len(firing()) == 2, 20, "both alarms")
    equal(sorted(firing()), ["channel-fr", "income-fr"])
    equal(firing()["income-fr"]["reference"], {**found["income"]["reference"], "segment": "country=fr"})
    assert firing()["income-fr"]["cause"].startswith(("income in country:fr of version v3 rose from 1", "the distribution of channel in country:fr")), firing()


def features_in_slices_are_checked(story):
    daemon = story.daemon(configuration(models=[{"name": "credit", "task": "binary"}]))
    for changes, words in [
        ({"expected_run_time": 50000, "segment_features": ["income"]}, "models[0].changes.segment_features: needs `segments`"),
        ({"expected_run_time": 50000, "segments": ["country"], "segment_features": [f"f{i}" for i in range(21)]},
         "models[0].changes.segment_features: 21 features in each slice, at most 20 are watched"),
    ]:
        daemon.settings["models"][0].update(segments=["country"], changes=changes)
        daemon.write_configuration()
        code, _, message = run_program("check", "assay.yaml", cwd=daemon.folder)
        equal(code, 65, message)
        assert words in message, message
