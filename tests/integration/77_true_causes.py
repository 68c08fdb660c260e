"""What was done to a stream is what `explain` names first: five incidents whose cause is known, and none."""

import json
import math
import random
import re

from daemon import Offline, configuration
from events import HOUR, START, label, prediction, write_jsonl
from story import equal

HOURS, AN_HOUR, INCIDENT = 4, 1500, START + 3 * HOUR
COUNTRIES = ["de", "fr", "pl", "se"]


def _score(features):
    income = features["income"]
    return 1 / (1 + math.exp(-2 * (math.log(income) - 10))) if income else 0.5


def _loan(id, ts, rng, incident, shares=(4, 3, 2, 1), home=None):
    country = rng.choices(COUNTRIES, shares)[0]
    features = {f"x{i}": round(rng.gauss(0, 1), 3) for i in range(5)} | {"income": round(math.exp(rng.gauss(10, 0.5)), 2)}
    truth, version = int(rng.random() < _score(features)), "v3"
    if home:
        home(country, features, rng)
    more = incident(country, features, rng) if incident else {}
    score = round(more.get("score", _score(features)), 4)
    event = prediction(id, ts, score=score, prediction=int(score >= 0.5), features=features,
                       segment={"country": country}, version=more.get("version", version))
    return [event, label(id, ts + 60_000, more.get("label", truth))]


def _explained(story, name, incident=None, shares=(4, 3, 2, 1), reference=None, more=(), home=None):
    rng = random.Random(77)
    before = [_loan(f"r{i}", START - 48 * HOUR + i * 1000, rng, None, home=home) for i in range(4000)]
    loans = []
    for i in range(HOURS * AN_HOUR):
        ts = START + i * HOUR // AN_HOUR
        late = ts >= INCIDENT
        loans.append(_loan(f"p{i}", ts, rng, incident if late else None, shares if late else (4, 3, 2, 1), home))
    events = sorted((event for loan in loans for event in loan), key=lambda event: json.loads(event.value)["ts"])
    file = write_jsonl(story.path(f"{name}-reference.jsonl"), (event for loan in before for event in loan))
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d", "segments": ["country"],
             "reference": reference or {"file": file}}
    rules = [{"name": "drift", "model": "credit", "drift": "any", "window": "1h"}]
    database = story.replay(name, configuration(models=[model], alerts=rules),
                            [write_jsonl(story.path(f"{name}.jsonl"), events)])
    answer = Offline(database).query("explain", "--model", "credit", "--from", str(INCIDENT), "--to", str(INCIDENT + HOUR), *more)
    return answer, Offline(database)


def a_unit_that_was_changed_upstream_shows_in_the_mean(story):
    def thousandfold(_, features, __):
        features["income"] *= 1000
        return {}

    answer, _ = _explained(story, "unit", thousandfold)

    assert answer["cause"].startswith("income drifted most: ks 1, threshold 0.0"), answer["cause"]
    assert re.search(r", mean \S+e\+07, \d{5} in the reference$", answer["cause"]), answer["cause"]
    equal({f["feature"] for f in answer["features"][:2]}, {"income", "@score"}, "the score follows its input")


def a_field_that_is_no_longer_filled_in_is_named_with_both_rates(story):
    def gaps(_, features, rng):
        if rng.random() < 0.5:
            features["x3"] = None
        return {}

    answer, _ = _explained(story, "gaps", gaps)

    assert answer["cause"].startswith("x3 is missing in ") and answer["cause"].endswith(", 0% in the reference"), answer["cause"]


def labels_that_turn_in_one_country_are_told_of_that_country(story):
    def turned(country, features, rng):
        return {"label": int(rng.random() >= _score(features))} if country == "pl" else {}

    answer, _ = _explained(story, "turned", turned)

    assert answer["cause"].startswith("country:pl carries "), answer["cause"]
    key = [s["contribution"] for s in answer["slices"] if s["segment"].startswith("country:")]
    assert abs(sum(key) - answer["change"]) < 1e-12, key


def another_mix_of_countries_is_told_by_both_shares(story):
    answer, _ = _explained(story, "mix", shares=(1, 1, 1, 7))

    assert answer["cause"].startswith("country:se is ") and " of the predictions, " in answer["cause"], answer["cause"]


def a_model_that_answers_otherwise_though_its_inputs_did_not_move(story):
    answer, offline = _explained(story, "turned-score", lambda _, features, __: {"score": _score(features) ** 3})

    assert "@score drifted most, though no input did: " in answer["cause"], answer["cause"]
    (alert,) = offline.query("alerts")["items"]
    assert alert["data"]["cause"].startswith("feature @score moved most: "), alert["data"]
    assert alert["data"]["cause"].endswith("times its threshold; no input drifted"), alert["data"]
    equal((alert["data"]["reference"]["source"], alert["data"]["reference"]["n"]), ("file", 4000))


def a_new_version_that_answers_the_other_way_round_is_named(story):
    def released(_, features, rng):
        return {"version": "v4", "score": 1 - _score(features)} if rng.random() < 0.5 else {}

    answer, _ = _explained(story, "released", released)

    assert answer["cause"].startswith("version v4 carries "), answer["cause"]
    assert "nan" not in answer["cause"] and "0% before" in answer["cause"], answer["cause"]


def where_nothing_was_done_nothing_is_named(story):
    answer, offline = _explained(story, "none")

    equal(answer["cause"], None)
    equal((answer["n_drifted"], offline.query("alerts")["items"]), (0, []))


def _of_its_country(country, features, _):
    """What is so in each of the four hours: a country's incomes are its own."""
    features["income"] *= {"de": 1, "fr": 3, "pl": 9, "se": 27}[country]
    return {}


def a_country_has_not_drifted_from_the_others(story):
    answer, _ = _explained(story, "country", more=("--segment", "country:pl"), home=_of_its_country)

    equal((answer["cause"], answer["n_drifted"]), (None, 0))
    equal((answer["reference"]["source"], answer["reference"]["segment"]), ("file", "country:pl"))
    income = next(f for f in answer["features"] if f["feature"] == "income")
    assert "why" not in income and 0 < income["effect"] < 1, income


def a_country_that_drifted_from_what_it_was_is_told(story):
    def thousandfold(country, features, rng):
        features["income"] *= 1000 if country == "pl" else 1
        return {}

    past = {"from": START, "to": INCIDENT}
    quiet, _ = _explained(story, "quiet", more=("--segment", "country:fr"), home=_of_its_country, reference=past)
    moved, _ = _explained(story, "moved", thousandfold, more=("--segment", "country:pl"), home=_of_its_country, reference=past)

    equal((quiet["cause"], quiet["n_drifted"]), (None, 0))
    assert moved["cause"].startswith("income drifted most: "), moved["cause"]
    assert moved["n_drifted"] >= 1, moved
