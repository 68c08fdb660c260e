"""Drift of real data: every feature and window against what SciPy and NannyML computed.

The reference and the stream lie beside the project (../shared/reference/monitoring); a window of an
hour is 1,250 events, so minutes hold single values and every statistic is exact.
"""

import json
import os

from daemon import Offline, configuration, run_program
from reference import reference_folder
from story import equal

TOLERANCE = {"ks_p": 1e-6}  # the asymptotic law where its exact sum is too long; all else:
EXACT = 1e-9


def _load(story, name):
    folder, tried = reference_folder("monitoring", name)
    if not folder:
        story.skip(f"no reference data in {tried}")
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
        return folder, json.load(file)


def _drift(database, expected):
    windows = expected["windows"]
    answer = Offline(database).query(
        "drift", "--model", expected["model"], "--version", expected["version"], "--window", "1h",
        "--from", str(windows[0]["start"]), "--to", str(windows[-1]["end"]),
    )
    points = {
        (feature["feature"], point["start"]): point
        for feature in answer["features"]
        for point in feature["points"]
    }
    return answer, points


def _wanted(drift):
    """What a point should hold, from the peers' words."""
    wanted = {"n": drift["n"], "missing_rate": drift["missing_rate"]}
    nannyml = drift["nannyml"]
    pairs = {"js_distance": "jensen_shannon", "hellinger": "hellinger", "l_infinity": "l_infinity"}
    pairs.update({"chi2": "chi2", "chi2_p": "chi2_p"})
    wanted.update({ours: nannyml[theirs] for ours, theirs in pairs.items() if theirs in nannyml})
    for name in ("ks", "wasserstein", "wasserstein_norm"):
        if name in drift.get("scipy", {}):
            wanted[name] = drift["scipy"][name]
    if "ks_p" in drift.get("scipy", {}):  # the exact law, or the asymptotic one where its sum is too long
        wanted["ks_p"] = (drift["scipy"]["ks_p"], drift["scipy"]["ks_p_asymp"])
    for ours, theirs in (("psi", "psi_deciles"), ("unseen_rate", "unseen_rate")):
        if theirs in drift:
            wanted[ours] = drift[theirs]
    return wanted


def _close(key, got, wanted):
    if isinstance(wanted, tuple):
        return any(_close(key, got, value) for value in wanted)
    return got is not None and abs(got - wanted) <= TOLERANCE.get(key, EXACT) * max(1, abs(wanted))


def _compare(story, name, task):
    folder, expected = _load(story, name)
    model = {"name": name, "task": task, "label_horizon": "7d"}
    model["reference"] = {"file": os.path.join(folder, "reference.jsonl.gz")}
    database = story.replay("replayed", configuration(models=[model]), [os.path.join(folder, "events.jsonl.gz")])

    answer, points = _drift(database, expected)

    equal(answer["reference"]["n"], expected["reference_rows"])
    wrong, compared = [], 0
    for window in expected["windows"]:
        for feature, drift in window["drift"].items():
            point = points[feature, window["start"]]
            for key, value in _wanted(drift).items():
                compared += 1
                if not _close(key, point[key], value):
                    wrong.append(f"{window['start']} {feature} {key}: {point[key]!r}, expected {value!r}")
            if point["error_bound"] != 0:
                wrong.append(f"{window['start']} {feature}: error_bound {point['error_bound']}")
    assert not wrong, f"{len(wrong)} of {compared} values are wrong:\n" + "\n".join(wrong[:40])
    print(f"{compared} values agree")


def the_car_loans_drift_as_scipy_and_nannyml_say(story):
    _compare(story, "car_loan", "binary")


def the_car_prices_drift_as_scipy_and_nannyml_say(story):
    _compare(story, "car_price", "regression")


def a_reference_loaded_by_hand_replaces_the_former_and_is_named_in_the_answer(story):
    folder, expected = _load(story, "car_loan")
    settings = configuration(models=[{"name": "car_loan", "task": "binary", "label_horizon": "7d"}])
    events = os.path.join(folder, "events.jsonl.gz")
    database = story.replay("replayed", settings, [events])
    before, points = _drift(database, expected)
    equal(before["reference"], None)
    point = points["car_value", expected["windows"][0]["start"]]
    equal(point["why"], "the model has no reference")
    equal(point["ks"], None)
    config = os.path.join(os.path.dirname(database), "load.yaml")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"storage": {"path": database}, "models": settings["models"]}, file)

    code, out, errors = run_program(
        "reference", "load", "-c", config, "--model", "car_loan", os.path.join(folder, "reference.jsonl.gz")
    )

    assert code == 0, errors
    after, _ = _drift(database, expected)
    equal(after["reference"]["id"], json.loads(out)["id"])
    equal(after["reference"]["source"], "file")


def an_alarm_is_explained_by_the_slices_and_features_that_moved(story):
    """Windows of car_loan from the sixth on have other car values (the data's own README)."""
    folder, expected = _load(story, "car_loan")
    model = {"name": "car_loan", "task": "binary", "label_horizon": "7d"}
    model["segments"] = ["salary_range", "repaid_loan_on_prev_car"]
    model["reference"] = {"file": os.path.join(folder, "reference.jsonl.gz")}
    settings = configuration(models=[model])
    database = story.replay("replayed", settings, [os.path.join(folder, "events.jsonl.gz")])
    first, late = expected["windows"][0], expected["windows"][8]
    asked = [
        "--model", "car_loan", "--metric", "accuracy", "--from", str(late["start"]), "--to", str(late["end"]),
        "--before_from", str(first["start"]), "--before_to", str(first["end"]),
    ]

    answer = Offline(database).query("explain", *asked)

    for side, window in (("before", first), ("now", late)):
        assert abs(answer[side]["value"] - window["metrics"]["accuracy"]) < 1e-12, (side, answer[side])
    for key in ("salary_range:", "repaid_loan_on_prev_car:"):
        parts = [s["contribution"] for s in answer["slices"] if s["segment"].startswith(key)]
        assert len(parts) > 1 and abs(sum(parts) - answer["change"]) < 1e-12, (key, parts)
    sizes = [abs(s["contribution"]) for s in answer["slices"]]
    equal(sizes, sorted(sizes, reverse=True))
    equal(answer["slices"][0]["segment"], "repaid_loan_on_prev_car:true")
    strongest = max(late["drift"], key=lambda name: late["drift"][name].get("scipy", {}).get("ks", 0))
    equal(answer["features"][0]["feature"], strongest)
    assert answer["features"][0]["drifted"] and answer["n_drifted"] >= 4, answer["n_drifted"]
    moved, drifted = answer["cause"].split("; ")
    equal(moved, "repaid_loan_on_prev_car:true is 78% of the predictions, 53% before")
    assert drifted.startswith("car_value drifted most: ks 0.426") and ", mean 48717, 29684 in" in drifted, drifted
    quiet = Offline(database).query("explain", *asked[:2], "--from", str(first["start"]), "--to", str(first["end"]))
    equal((quiet["n_drifted"], quiet["cause"]), (0, None))
