"""A reference that follows the week: the same hours of the weeks before, by the clock on the wall.

Five weeks of a shop in Berlin: carts are full in the evening and at weekends. The clocks go back on
29 October 2023, in the fifth week.
"""

import datetime
import json
import math
import os
import random
import zoneinfo

from daemon import configuration, run_program
from story import equal

HOUR = 3_600_000
DAY = 24 * HOUR
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
START = int(datetime.datetime(2023, 9, 25, tzinfo=BERLIN).timestamp() * 1000)
END = START + 35 * DAY
SHIFT = END - DAY  # on the last day carts are really fuller
EACH = 12  # events an hour


def _expected_cart(ms):
    wall = datetime.datetime.fromtimestamp(ms / 1000, BERLIN)
    return 50 + 25 * math.sin((wall.hour - 14) / 24 * 2 * math.pi) + (20 if wall.weekday() >= 5 else 0)


def _write(path):
    draw = random.Random(7)
    with open(path, "w", encoding="utf-8") as out:
        for hour in range(START, END, HOUR):
            for i in range(EACH):
                cart = _expected_cart(hour) + draw.gauss(0, 3) + (15 if hour >= SHIFT else 0)
                event = {"type": "prediction", "id": f"{hour}-{i}", "ts": hour + i * 240_000, "model": "shop", "version": "1", "score": 0.5, "features": {"cart": round(cart, 3)}}
                out.write(json.dumps(event) + "\n")
    return path


def _settings(reference, timezone="Europe/Berlin"):
    model = {"name": "shop", "task": "binary", "label_horizon": "1h", "reference": reference, "timezone": timezone}
    return configuration(models=[model])


def _ask(database, reference, what, start, end, timezone="Europe/Berlin", window="3h"):
    """The same database under another configuration."""
    path = os.path.join(os.path.dirname(database), "asked.yaml")
    settings = _settings(reference, timezone)
    settings["storage"]["path"] = database
    with open(path, "w", encoding="utf-8") as out:
        json.dump(settings, out)
    options = ["--window", window] if what == "drift" else ["--feature", "cart"]
    code, out, errors = run_program("query", "-c", path, what, "--model", "shop", *options, "--from", str(start), "--to", str(end))
    assert code == 0, errors
    return json.loads(out)


def _drifted(answer):
    feature = next(f for f in answer["features"] if f["feature"] == "cart")
    return [point["drifted"] for point in feature["points"]]


def the_week_itself_is_no_drift_and_a_real_shift_is(story):
    database = story.replay("replayed", _settings({"trailing": "28d", "rhythm": "week"}), [_write(story.path("events.jsonl"))])
    quiet, late = (SHIFT - HOUR - 3 * DAY, SHIFT - HOUR), (SHIFT + 2 * HOUR, SHIFT + 20 * HOUR)  # whole windows

    plain = _ask(database, {"trailing": "28d"}, "drift", *quiet)
    weekly = _ask(database, {"trailing": "28d", "rhythm": "week"}, "drift", *quiet)
    shifted = _ask(database, {"trailing": "28d", "rhythm": "week"}, "drift", *late)

    assert sum(_drifted(plain)) >= 12, _drifted(plain)
    equal(_drifted(weekly), [False] * 24)
    equal(_drifted(shifted), [True] * 6)
    # what was compared is said: four weeks of the same three hours
    reference = weekly["reference"]
    equal((reference["source"], reference["rhythm"], reference["n"]), ("trailing", "week", 4 * 3 * EACH))
    equal(reference["spans"], [{"from": quiet[1] - 3 * HOUR - k * 7 * DAY, "to": quiet[1] - k * 7 * DAY} for k in (1, 2, 3, 4)])
    windows = weekly["references"]
    equal([w["start"] for w in windows], list(range(quiet[0], quiet[1], 3 * HOUR)))
    equal(windows[-1]["reference"], reference)
    assert len({w["reference"]["id"] for w in windows}) == 24
    picture = _ask(database, {"trailing": "28d", "rhythm": "week"}, "distribution", quiet[1] - 3 * HOUR, quiet[1])
    equal(picture["reference"], reference)


def the_week_is_that_of_the_clock_on_the_wall(story):
    database = story.replay("replayed", _settings({"trailing": "28d", "rhythm": "week"}), [_write(story.path("events.jsonl"))])
    # after noon of the day the clocks went back
    afternoon = (SHIFT + 10 * HOUR, SHIFT + 13 * HOUR)
    weekly = {"trailing": "28d", "rhythm": "week"}

    berlin = _ask(database, weekly, "drift", *afternoon, window="1h")
    utc = _ask(database, weekly, "drift", *afternoon, timezone="UTC", window="1h")

    week_before = berlin["reference"]["spans"][0]
    equal(week_before["to"], afternoon[1] - 7 * DAY - HOUR)
    equal(utc["reference"]["spans"][0]["to"], afternoon[1] - 7 * DAY)


def windows_that_have_nothing_to_be_compared_with_say_why(story):
    database = story.replay("replayed", _settings({"trailing": "28d", "rhythm": "week"}), [_write(story.path("events.jsonl"))])

    first = _ask(database, {"trailing": "28d", "rhythm": "week"}, "drift", START, START + 3 * HOUR)
    long = _ask(database, {"trailing": "28d", "rhythm": "day"}, "drift", START + 14 * DAY, START + 15 * DAY, window="1d")

    equal((first["reference"], first["features"][-1]["points"][0]["drifted"]), (None, False))
    equal({f["points"][0].get("why") for f in first["features"]}, {"nothing is stored of the same hours before"})
    equal({f["points"][0].get("why") for f in long["features"]}, {"the window is as long as the reference's rhythm"})
