"""Drift answers of bad input: a defined value, or null with the reason; never NaN, never a crash."""

import collections
import json
import os

from daemon import configuration, run_program
from events import HOUR, START, prediction, write_jsonl
from story import equal

REFERENCE_N = 2000


def _reference(i):
    return {"constant": 5.0, "normal": (i * 37 % 1000) / 10, "huge": 1e308 if i % 2 else -1e308,
            "tiny": 5e-324 * (i % 7), "city": ["berlin", "paris", "rome"][i % 3], "turns": i % 50,
            "gone": i % 10, "many": f"c{i}", "apart": i % 100}


def _window(i):
    return {"constant": 5.0, "normal": (i * 53 % 1000) / 10, "huge": 1e308 if i % 3 else -1e308,
            "tiny": 5e-324 * (i % 5), "city": None, "turns": f"word{i % 4}", "new": i % 9,
            "many": f"w{i}", "apart": 1000 + i % 100}


def _events(prefix, n, features, at):
    return [prediction(f"{prefix}{i}", at + i * (HOUR - 1000) // max(n, 1), score=(i % 11) / 10, prediction=i % 2,
                       features=features(i)) for i in range(n)]


def _asked(story, events, name="replayed", **drift):
    """Drift of the hour from START; the hour before looks like the reference."""
    events = _events("p", 200, _reference, START - HOUR) + events
    reference = write_jsonl(story.path(name + "-reference.jsonl"), _events("r", REFERENCE_N, _reference, START - 48 * HOUR))
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d", "reference": {"file": reference}}
    if drift:
        model["drift"] = drift
    database = story.replay(name, configuration(models=[model]), [write_jsonl(story.path(name + ".jsonl"), events)])
    return _strict(database, "drift", "--window", "1h")


def _strict(database, *asked):
    """The answer; a NaN or an infinity in it is no JSON."""
    folder = os.path.dirname(database)
    code, out, errors = run_program(
        "query", "-c", "assay.yaml", asked[0], "--model", "credit", "--from", str(START), "--to", str(START + HOUR),
        *asked[1:], cwd=folder,
    )
    equal(code, 0, errors)

    def refuse(word):
        raise AssertionError(f"{word} in the answer")

    return json.loads(out, parse_constant=refuse)


def _points(answer):
    return {feature["feature"]: feature["points"][0] for feature in answer["features"]}


def a_feature_that_is_always_null_is_missing_and_known(story):
    events = _events("p", 100, lambda i: {"normal": i % 7, "never": None}, START)
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d"}
    database = story.replay("null", configuration(models=[model]), [write_jsonl(story.path("null.jsonl"), events)])

    [feature] = _strict(database, "drift", "--window", "1h", "--feature", "never")["features"]
    [point] = feature["points"]
    equal({key: point[key] for key in ("n", "missing_rate", "invalid_rate", "drifted", "why")},
          {"n": 0, "missing_rate": 1, "invalid_rate": 0, "drifted": False, "why": "the model has no reference"})
    equal(_strict(database, "distribution", "--feature", "never")["rates"]["current"],
          {"n": 100, "missing_rate": 1, "invalid_rate": 0})


def a_feature_that_only_the_reference_has_is_missing(story):
    """What a release forgets, or calls by another name, never comes."""
    loaded = write_jsonl(story.path("forgotten-reference.jsonl"), _events("r", 400, lambda i: {"income": i, "age": i % 90}, START - 48 * HOUR))
    window = write_jsonl(story.path("forgotten.jsonl"), _events("w", 100, lambda i: {"incme": i, "age": i % 90}, START))
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d", "reference": {"file": loaded}}
    database = story.replay("forgotten", configuration(models=[model]), [window])
    answer = _strict(database, "drift", "--window", "1h")
    point = _points(answer)["income"]
    equal((point["n"], point["missing_rate"], point["drifted"], point["changes"]["missing"]["before"]), (0, 1, False, 0))
    equal(_strict(database, "drift", "--window", "1h", "--feature", "income")["features"][0]["points"], [point])
    [found] = [f for f in _strict(database, "explain")["features"] if f["feature"] == "income"]
    equal((found["by"], found["missing"]["now"]), ("missing", 1))


def a_distance_without_a_normalised_one_has_its_bound_all_the_same(story):
    """1,400 different values in an hour are counted in cells; the reference has one value."""
    values = [(i * 7919 % 1400) / 100 + 1 / 300 for i in range(1400)]
    point = _points(_asked(story, _events("w", 1400, lambda i: {"constant": values[i]}, START), "spread"))["constant"]
    equal(point["wasserstein_norm"], None)
    true = sum(abs(value - 5.0) for value in values) / len(values)
    off = abs(point["wasserstein"] - true)
    assert 1e-9 < off <= point["error_bound"], (point, true)


def odd_values_have_a_defined_answer_or_the_reason_why_not(story):
    points = _points(_asked(story, _events("w", 1500, _window, START)))

    equal((points["constant"]["ks"], points["constant"]["psi"], points["constant"]["drifted"]), (0, 0, False))
    equal(points["constant"]["wasserstein_norm"], None)
    equal(points["normal"]["drifted"], False)
    for name in ("huge", "tiny"):
        assert points[name]["ks"] is not None and 0 <= points[name]["ks"] <= 1, points[name]
    assert points["huge"]["drifted"] and points["huge"]["ks"] > 0.1, points["huge"]
    equal((points["city"]["n"], points["city"]["missing_rate"], points["city"]["drifted"]), (0, 1, False))
    equal(points["city"]["why"], "the window has no value of the reference's kind")
    equal(points["turns"]["why"], "the window has no value of the reference's kind")
    equal(points["new"]["why"], "the reference does not have this feature")
    equal(points["gone"]["missing_rate"], 1)
    equal((points["apart"]["ks"], points["apart"]["outside_rate"]), (1, 1))
    assert points["apart"]["drifted"], points["apart"]


def truths_have_their_names_in_a_distribution(story):
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d"}
    events = _events("p", 100, lambda i: {"vip": i % 4 == 0}, START)
    database = story.replay("truths", configuration(models=[model]), [write_jsonl(story.path("truths.jsonl"), events)])

    bins = _strict(database, "distribution", "--feature", "vip")["bins"]

    equal([(bin["category"], bin["current"]) for bin in bins], [("false", 75), ("true", 25)])


def one_event_and_none_are_no_alarm(story):
    answer = _asked(story, _events("w", 1, _window, START))
    points = _points(answer)
    equal([name for name, point in points.items() if point["drifted"] and name != "apart"], [])
    equal(points["normal"]["n"], 1)
    empty = _asked(story, _events("w", 1, _window, START + HOUR), name="empty")
    equal({point["why"] for point in _points(empty).values()}, {"no event in the window"})
    equal(empty["drifted_share"], None)


def every_method_and_answer_stays_json_on_bad_input(story):
    events = _events("w", 700, _window, START)
    for method in ("evidently", "psi", "js_distance", "wasserstein_norm", "hellinger", "chi2", "l_infinity"):
        answer = _asked(story, events, name=method, method=method)
        assert answer["features"], method
    database = os.path.join(story.folder, "psi", "assay.db")
    for name in ("constant", "huge", "tiny", "city", "turns", "new", "gone", "many", "apart"):
        answer = _strict(database, "distribution", "--feature", name)
        equal(answer["feature"], name)
    explained = _strict(database, "explain")
    assert explained["features"], explained


def a_hundred_thousand_categories_are_bounded_and_compared(story):
    events = _events("w", 100_000, lambda i: {"many": f"w{i}", "city": f"w{i}"}, START)
    points = _points(_asked(story, events))

    for name in ("many", "city"):
        equal((points[name]["n"], points[name]["unseen_rate"]), (100_000, 1))
        assert points[name]["js_distance"] > 0.99, points[name]
    equal(points["city"]["drifted"], True, "three cities were known")
    equal(points["many"]["drifted"], False, "none of the reference's came twice, and none of these does")
    assert os.path.getsize(os.path.join(story.folder, "replayed", "assay.db")) < 60_000_000


def a_distribution_of_many_categories_counts_each_it_shows(story):
    """200 cities in a minute are more than are counted by name; the reference's largest are, all the same."""
    cities = [f"c{i * 7919 % 200 * (i * 104729 % 200) // 200}" for i in range(60_000)]
    _check_cities(story, "busy", cities, cities[:9000] + ["new"] * 500)
    bins = _check_cities(story, "quiet", cities, cities[:40] + ["new"] * 20)
    assert any(bin["category"] == "new" for bin in bins), "a third of the window, however few beside the reference"


def _check_cities(story, name, loaded, window):
    def file(kind, at, cities):
        events = (prediction(f"{kind}{i}", at + i * 50_000 // len(cities), features={"city": c}) for i, c in enumerate(cities))
        return write_jsonl(story.path(f"{name}-{kind}.jsonl"), events)

    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d",
             "reference": {"file": file("r", START - 48 * HOUR, loaded)}}
    database = story.replay(name, configuration(models=[model]), [file("w", START, window)])
    answer = _strict(database, "distribution", "--feature", "city")
    equal(len(answer["bins"]), 50)
    for side, of in (("reference", loaded), ("current", window)):
        counts = collections.Counter(of)
        equal({bin["category"]: bin[side] for bin in answer["bins"]}, {bin["category"]: counts[bin["category"]] for bin in answer["bins"]})
        equal(sum(bin[side] for bin in answer["bins"]) + answer["outside"][side], len(of))
    return answer["bins"]
