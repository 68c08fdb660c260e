"""A slice is compared with the same slice: a country that always differs has not drifted, one that moves has.

Incomes of `de` are ten times those of the other countries from the beginning; in the last hour they are half as much
again. Each way is asked by REST, by `assay query drift` and by the webhook of an alert rule.
"""

import json
import random
import sqlite3
import time

import alerting
from daemon import configuration, run_program
from events import HOUR, prediction, write_jsonl
from kafka import wait_until
from story import equal

COUNTRIES = ["de", "fr", "pl"]
DE, FR = "country:de", "country:fr"


def _start():
    """Five whole hours before this one: what is told of is of now."""
    return int(time.time() * 1000) // HOUR * HOUR - 5 * HOUR


def _hour(prefix, at, rng, n=1200, moved=1.0):
    events = []
    for i in range(n):
        country = rng.choices(COUNTRIES, (3, 2, 1))[0]
        income = rng.lognormvariate(8, 0.4) * (10 * moved if country == "de" else 1)
        events.append(prediction(f"{prefix}{i}", at + i * HOUR // n, score=round(rng.random(), 4), segment={"country": country},
                                 features={"income": round(income, 2), "site": f"{country}{rng.randrange(3)}"}))
    return events


def _rules():
    return [{"name": f"drift-{country}", "model": "credit", "drift": "any", "segment": {"country": country}, "window": "1h"}
            for country in ("de", "fr", "pl")]


def _daemon(story, receiver, name, **model):
    settings = alerting.settings(story, receiver, alerts=_rules())
    settings["models"] = [{"name": "credit", "task": "binary", "label_horizon": "1d", "segments": ["country"], **model}]
    return story.daemon(settings, name).start()


def _rest(daemon, segment, start, hours, feature="income"):
    return daemon.get(f"/api/v1/models/credit/drift?segment={segment}&feature={feature}&window=1h&from={start}&to={start + hours * HOUR}")


def _query(daemon, segment, start, hours):
    code, out, errors = run_program("query", "-c", "assay.yaml", "drift", "--model", "credit", "--segment", segment, "--feature", "income",
                                    "--window", "1h", "--from", str(start), "--to", str(start + hours * HOUR), cwd=daemon.folder)
    equal(code, 0, errors)
    return json.loads(out)


def _drifted(answer):
    return [point["drifted"] for point in answer["features"][0]["points"]]


def _load(daemon, file):
    code, out, errors = run_program("reference", "load", "-c", "assay.yaml", "--model", "credit", file, cwd=daemon.folder)
    equal(code, 0, errors)
    return json.loads(out)["id"]


def _told(receiver):
    return [alert for said in receiver.bodies() for alert in said["data"]["alerts"] if alert["status"] == "firing"]


def _quiet_then_moved(story, daemon, receiver, start, source, n_of):
    """Two quiet hours and the one in which de moves, a kill between them."""
    rng = random.Random(5)
    quiet = _hour("a", start, rng) + _hour("b", start + HOUR, rng)
    alerting.post(daemon, quiet + alerting.later("a-end", start + 2 * HOUR))
    for answer in (_rest(daemon, DE, start, 2), _query(daemon, DE, start, 2)):
        equal(_drifted(answer), [False, False])
        points = answer["features"][0]["points"]
        assert all(point["ks"] is not None and point["ks"] < point["threshold"] for point in points), points
        reference = answer["reference"]
        equal((reference["source"], reference["segment"], reference["n"]), (source, DE, n_of("de")))
    whole = daemon.get(f"/api/v1/models/credit/drift?feature=income&window=1h&from={start}&to={start + 2 * HOUR}")
    equal((_drifted(whole), whole["reference"]["segment"]), ([False, False], None))
    each = _rest(daemon, "country:*", start, 2)
    named = {series["segment"]: series["reference"] and (series["reference"]["segment"], series["reference"]["n"]) for series in each["features"]}
    equal(named, {f"country:{country}": (f"country:{country}", n_of(country)) for country in COUNTRIES} | {"country:__none__": None})
    sites = _rest(daemon, DE, start, 2, "site")["features"][0]["points"]
    assert all(point["unseen_rate"] == 0 and not point["drifted"] for point in sites), sites

    daemon.kill9()
    daemon.start()
    equal(_drifted(_rest(daemon, DE, start, 2)), [False, False])
    equal(_told(receiver), [])
    alerting.post(daemon, _hour("c", start + 2 * HOUR, rng, moved=1.5) + alerting.later("c-end", start + 3 * HOUR + 60_000))

    wait_until(lambda: _told(receiver), 30, "the webhook")
    (alert,) = _told(receiver)
    equal((alert["name"], alert["segment"]), ("drift-de", "country=de"))
    equal((alert["reference"]["source"], alert["reference"]["segment"], alert["reference"]["n"]), (source, "country=de", n_of("de")))
    for answer in (_rest(daemon, DE, start, 3), _query(daemon, DE, start, 3)):
        equal(_drifted(answer), [False, False, True])
    equal(_drifted(_rest(daemon, FR, start, 3)), [False, False, False])


def _together(daemon, segment, start, hours):
    more = f"&segment={segment}" if segment else ""
    return daemon.get(f"/api/v1/models/credit/drift?feature=income&window=1h&from={start}&to={start + hours * HOUR}{more}")["multivariate"]


def _all_features_together_are_judged_for_the_whole_alone(daemon, start):
    """de always differs from all events, by which its components were made: it has the numbers, no verdict and the reason."""
    for point in _together(daemon, None, start, 2):
        assert point["lower"] <= point["reconstruction_error"] <= point["threshold"] and "why" not in point, point
        assert point["domain_classifier"]["auc"] < point["domain_classifier"]["threshold"], point
    points = _together(daemon, DE, start, 3)
    equal(len(points), 3)
    why = "all features together are judged for the whole model only; ask without a segment, or look at the segment's features one by one"
    for point in points:
        domain = point["domain_classifier"]
        equal((point["segment"], point["why"], domain["why"]), (DE, why, why))
        equal([point["lower"], point["threshold"], point["p_value"], domain["threshold"], domain["p_value"]], [None] * 5)
        equal((point["drifted"], domain["drifted"]), (False, False))
        assert point["n"] > 500 and point["reconstruction_error"] > 0 and domain["auc"] > 0.7, point


def _counts(events):
    countries = [json.loads(event.value)["segment"]["country"] for event in events]
    return countries.count


def a_country_is_compared_with_itself_in_the_loaded_events(story):
    receiver, start = alerting.receiver(story), _start()
    rng = random.Random(7)
    past = _hour("r", start - 24 * HOUR, rng, n=6000)
    file = write_jsonl(story.path("reference.jsonl"), past)
    daemon = _daemon(story, receiver, "file")
    id = _load(daemon, file)

    _quiet_then_moved(story, daemon, receiver, start, "api", _counts(past))
    _all_features_together_are_judged_for_the_whole_alone(daemon, start)

    # forgotten: nothing is compared, and the answer says so
    equal(_rest(daemon, DE, start, 3)["reference"]["id"], id)
    code, _, errors = run_program("reference", "forget", "-c", "assay.yaml", "--model", "credit", id, cwd=daemon.folder)
    equal(code, 0, errors)
    answer = _rest(daemon, DE, start, 3)
    equal((answer["reference"], [point["why"] for point in answer["features"][0]["points"]]), (None, ["the model has no reference"] * 3))

    # another one, in which de has moved, and fr is not at all
    moved = [event for event in _hour("m", start - 24 * HOUR, rng, n=6000, moved=1.5) if '"fr"' not in event.value]
    other = _load(daemon, write_jsonl(story.path("moved.jsonl"), moved))
    daemon.kill9()
    daemon.start()
    answer = _rest(daemon, DE, start, 3)
    equal((answer["reference"]["id"], answer["reference"]["segment"], _drifted(answer)), (other, DE, [True, True, False]))
    lacks = _rest(daemon, FR, start, 3)
    equal((lacks["reference"], lacks["reference_why"]), (None, "the reference holds no event of the segment"))
    equal([(point["why"], point["ks"], point["drifted"]) for point in lacks["features"][0]["points"]],
          [("the reference holds no event of the segment", None, False)] * 3)


def a_rule_of_all_features_together_in_a_segment_is_refused_with_what_to_write(story):
    daemon = story.daemon(configuration(models=[{"name": "credit", "task": "binary", "segments": ["country"]}]))
    for feature in ("@multivariate", "@domain_classifier"):
        rule = {"name": "together", "model": "credit", "drift": "feature", "feature": feature, "window": "1h"}
        for segment, expected in ((None, 0), ({"country": "de"}, 65)):
            daemon.settings["alerts"] = [{**rule, "segment": segment} if segment else rule]
            daemon.write_configuration()
            code, _, message = run_program("check", "assay.yaml", cwd=daemon.folder)
            equal(code, expected, message)
        assert f"alerts[0].segment: {feature} judges all features together, and those of the whole model only; leave the segment out" in message, message


def a_country_is_compared_with_itself_in_a_stretch_of_stored_windows(story):
    receiver, start = alerting.receiver(story), _start()
    rng = random.Random(9)
    past = _hour("r", start - HOUR, rng, n=3000)
    daemon = _daemon(story, receiver, "range", reference={"from": start - HOUR, "to": start})
    alerting.post(daemon, past)

    _quiet_then_moved(story, daemon, receiver, start, "range", _counts(past))


def a_reference_from_before_slices_were_kept_is_not_compared_with_a_slice(story):
    receiver, start = alerting.receiver(story), _start()
    rng = random.Random(11)
    past = write_jsonl(story.path("reference.jsonl"), _hour("r", start - 24 * HOUR, rng, n=3000))
    daemon = _daemon(story, receiver, "old")
    id = _load(daemon, past)
    alerting.post(daemon, _hour("a", start, rng) + alerting.later("a-end", start + HOUR))
    equal(daemon.terminate(), 0)
    with sqlite3.connect(daemon.database) as database:
        database.execute("DELETE FROM reference_models WHERE part = 'slices' OR part GLOB 'slice/*'")
    daemon.start()

    answer = _rest(daemon, DE, start, 1)
    why = "the reference was loaded before slices were kept; load its events again"
    equal((answer["reference"], answer["reference_why"], answer["features"][0]["points"][0]["why"]), (None, why, why))
    whole = daemon.get(f"/api/v1/models/credit/drift?feature=income&window=1h&from={start}&to={start + HOUR}")
    equal((whole["reference"]["id"], _drifted(whole)), (id, [False]))

    equal(_load(daemon, past), id)
    equal(_drifted(_rest(daemon, DE, start, 1)), [False])

    # a file that the configuration names is stored again by itself, once
    equal(daemon.terminate(), 0)
    with sqlite3.connect(daemon.database) as database:
        database.execute("DELETE FROM reference_models WHERE part = 'slices' OR part GLOB 'slice/*'")
    daemon.settings["models"][0]["reference"] = {"file": past}
    for _ in range(2):
        daemon.start()
        answer = _rest(daemon, DE, start, 1)
        equal((answer["reference"]["id"], _drifted(answer)), (id, [False]))
        equal(len(daemon.get("/api/v1/models/credit/references")["items"]), 3)
        equal(daemon.terminate(), 0)
