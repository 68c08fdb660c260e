"""An estimate that fails silently is told as soon as labels come: by a rule, with what it was compared with."""

import json
import random

from daemon import Offline, configuration, run_program
from events import HOUR, START, label, prediction, write_jsonl
from story import equal

SHIFT = START + 4 * HOUR  # from here on the score says nothing of the label
RULE = {"metric": "estimated_accuracy", "window": "1h", "relative_to": "realised", "above": 0.1}


def _loans(prefix, start, hours, rng, shift=None):
    """1,000 loans an hour, labelled ten minutes later; the score is the chance of the label until `shift`."""
    for i in range(hours * 1000):
        ts, score = start + i * HOUR // 1000, round(rng.random(), 2)
        chance = 0.5 if shift and ts >= shift else score
        yield prediction(f"{prefix}{i}", ts, score=score, prediction=int(score >= 0.5))
        yield label(f"{prefix}{i}", ts + 600_000, int(rng.random() < chance))


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
