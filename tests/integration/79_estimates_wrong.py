"""An estimate that fails silently is told as soon as labels come: by a rule, with what it was compared with."""

import json
import random

from daemon import Offline, configuration, run_program
from events import HOUR, START, label, prediction, write_jsonl
from story import equal

SHIFT = START + 4 * HOUR  # from here on the score says nothing of the label
RULE = {"metric": "estimated_accuracy", "window": "1h", "relative_to": "realised", "above": 0.1}


def _loans(prefix, start, hours, rng, shift=None, after_ms=600_000):
    """1,000 loans an hour, labelled ten minutes later; the score is the chance of the label until `shift`."""
    for i in range(hours * 1000):
        ts, score = start + i * HOUR // 1000, round(rng.random(), 2)
        chance = 0.5 if shift and ts >= shift else score
        yield prediction(f"{prefix}{i}", ts, score=score, prediction=int(score >= 0.5))
        yield label(f"{prefix}{i}", ts + after_ms, int(rng.random() < chance))


def an_estimate_that_no_longer_comes_true_is_an_alarm(story):
    rng = random.Random(41)
    reference = write_jsonl(story.path("reference.jsonl"), _loans("r", START - 48 * HOUR, 6, rng))
    events = sorted(_loans("p", START, 7, rng, SHIFT), key=lambda event: json.loads(event.value)["ts"])
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d", "reference": {"file": reference}}
    rules = [{"name": "too-hopeful", "model": "credit", **RULE}]
    settings = configuration(models=[model], alerts=rules)

    database = story.replay("replayed", settings, [write_jsonl(story.path("events.jsonl"), events)])

    (alert,) = Offline(database).query("alerts")["items"]
    data = alert["data"]
    assert SHIFT < alert["since"] < SHIFT + 2 * HOUR, alert
    assert data["value"] > 0.7 and data["compared"] < 0.7, data
    assert 0.1 < data["change_lower"] < data["change"] < data["change_upper"], data
    assert " as it came true" in data["summary"] and data["confidence"].startswith("95% interval of the change +"), data


def what_is_no_estimate_has_nothing_that_could_come_true(story):
    daemon = story.daemon(configuration(alerts=[{"name": "a", "model": "credit", **RULE, "metric": "accuracy"}]))
    daemon.write_configuration()
    code, _, message = run_program("check", "assay.yaml", cwd=daemon.folder)
    equal(code, 65, message)
    assert 'alerts[0].relative_to: realised is for estimates, as estimated_accuracy; "accuracy" is none' in message, message


def what_a_formula_was_expected_to_come_to_is_compared_beside_requests_that_failed(story):
    """No label comes for a request that failed, so the labels of all others are all there will be."""
    rng = random.Random(43)
    reference = write_jsonl(story.path("reference.jsonl"), _loans("r", START - 48 * HOUR, 6, rng))
    events = list(_loans("p", START, 7, rng, SHIFT, after_ms=1))
    events += [prediction(f"f{i}", START + i * HOUR // 10, error="timed out") for i in range(70)]
    events.sort(key=lambda event: json.loads(event.value)["ts"])
    net = {"name": "net_value", "expr": "100*tp - 90*fp"}
    model = {"name": "credit", "task": "binary", "positive": 1, "label_horizon": "1d", "reference": {"file": reference}, "metrics": [net]}
    rule = {"name": "too-hopeful", "model": "credit", **RULE, "metric": "estimated_net_value", "above": 0.5}
    settings = configuration(models=[model], alerts=[rule])

    database = story.replay("replayed", settings, [write_jsonl(story.path("events.jsonl"), events)])

    (alert,) = Offline(database).query("alerts")["items"]
    assert SHIFT < alert["since"] < SHIFT + 2 * HOUR and alert["data"]["compared"] < alert["data"]["value"] / 1.5, alert
    asked = ["metrics", "--model", "credit", "--metric", "estimated_net_value,estimated_tp", "--window", "1h", "--from", str(START), "--to", str(START + 7 * HOUR)]
    for series in Offline(database).query(*asked)["series"]:
        for point in series["points"]:
            assert abs(point["difference"] - (point["value"] - point["realised"])) < 1e-6, point
