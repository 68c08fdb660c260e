"""Labels come when they come: before, after, days after, or never. Rows F21, F22, F26 and F27."""

from daemon import Offline, configuration, models
from database import check_identity, panes, query, totals
from events import HOUR, MINUTE, START, label, prediction, write_jsonl
from story import equal, short

DAY = 24 * HOUR


def _replayed(story, events, name="replayed", **sections):
    """The database of a replay, to be asked by `assay query`."""
    database = story.replay(name, configuration(**sections), [write_jsonl(story.path(name + ".jsonl"), events)])
    check_identity(database)
    return Offline(database)


def _confusion(replayed, start, window="1m", length=MINUTE):
    names = ["tp", "fp", "tn", "fn"]
    points = replayed.points("credit", names, window, start, start + length)
    return [points["v3", name, start]["value"] for name in names]


def F21_a_label_before_its_prediction_waits_for_it(story):
    replayed = _replayed(
        story,
        [
            label("a", START + 5000, 1),
            label("b", START + 5000, 0),
            prediction("a", START, score=0.9, prediction=1),
            prediction("b", START, score=0.8, prediction=1),
        ],
    )

    equal(_confusion(replayed, START), [1, 1, 0, 0])


def F22_a_label_after_the_horizon_is_counted_and_changes_nothing(story):
    horizon = [{**models()[0], "label_horizon": "1h"}]
    events = [
        prediction("in-time", START, score=0.9, prediction=1),
        prediction("too-late", START, score=0.9, prediction=1),
        label("in-time", START + HOUR, 1),
        label("too-late", START + HOUR + 1, 1),
    ]

    replayed = _replayed(story, events, models=horizon)

    equal(_confusion(replayed, START), [1, 0, 0, 0])
    equal(totals(replayed.database)["orphaned"], 1)


def F22_a_label_of_an_unknown_id_is_an_orphan_once_it_cannot_be_met(story):
    horizon = [{**models()[0], "label_horizon": "1h"}]
    events = [label("nobody", START, 1), prediction("p", START, score=0.9, prediction=1)]
    events += [prediction(f"q{i}", START + i * MINUTE, score=0.1, prediction=0) for i in range(1, 2000)]

    replayed = _replayed(story, events, models=horizon)

    equal(totals(replayed.database)["orphaned"], 1)


def F26_an_event_older_than_the_retention_reopens_nothing(story):
    kept = {"path": "assay.db", "retention": {"1m": "2h", "1h": "1d", "1d": "2d"}}
    fresh = [prediction(f"new{i}", START + 5 * DAY + i * MINUTE, score=0.5, prediction=1) for i in range(10)]
    late = prediction("old", START, score=0.5, prediction=1)

    without = story.replay("without", configuration(storage=kept), [write_jsonl(story.path("a"), fresh)])
    settings = configuration(storage=kept)
    database = story.replay("with", settings, [write_jsonl(story.path("b"), fresh + [late])])

    equal(totals(database)["late"], 1)
    equal(panes(database), panes(without))


@short
def F27_labels_days_late_update_the_windows_of_their_predictions(story):
    events = [prediction(f"p{i}", START + i * 1000, score=0.9, prediction=1) for i in range(50)]
    for day in range(1, 7):  # life goes on, and minutes roll up to hours
        for i in range(24):
            events.append(prediction(f"d{day}-{i}", START + day * DAY + i * HOUR, score=0.2, prediction=0))
    events += [label(f"p{i}", START + 6 * DAY + i, int(i % 2)) for i in range(50)]

    replayed = _replayed(story, events)

    equal(_confusion(replayed, START, "1h", HOUR), [25, 25, 0, 0])
    hour = replayed.points("credit", ["count"], "1h", START, START + HOUR)["v3", "count", START]
    equal((hour["n"], hour["labelled"]), (50, 50))


def a_replay_of_the_past_keeps_no_more_minutes_than_retention_says(story):
    kept = {"path": "assay.db", "retention": {"1m": "2h", "1h": "1d", "1d": "400d"}}
    events = [prediction(f"p{i}", START + i * MINUTE, score=0.5) for i in range(3 * 1440)]

    database = _replayed(story, events, storage=kept).database

    levels = dict(query(database, "SELECT level_ms, count(DISTINCT start_ms) FROM metric_values GROUP BY 1"))
    assert 0 < levels[MINUTE] <= 2 * 60 + 60 and 0 < levels[HOUR] <= 24 + 24, levels
    counted = query(database, "SELECT sum(value) FROM metric_values WHERE metric = 'count' AND slice = ''")
    equal(counted, [(len(events),)])
