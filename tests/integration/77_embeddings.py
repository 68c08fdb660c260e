"""Embeddings: the distance of mean vectors, against sums in Python over the very vectors sent.

car_loan's numbers (../shared/reference/monitoring) as vectors: the four of them, and 48 cosines of
them. Windows from the sixth on have other car values.
"""

import gzip
import json
import math
import os

from daemon import configuration, run_program
from events import Event
from reference import reference_folder
from story import equal

HOUR = 3_600_000
NUMBERS = ["car_value", "debt_to_income_ratio", "loan_length", "driver_tenure"]
SCALES = [1e4, 0.5, 10, 3]


def _plain(features):
    return [features[name] or 0 for name in NUMBERS]


def _waves(features):
    scaled = [x / scale for x, scale in zip(_plain(features), SCALES)]
    return [round(math.cos(scaled[d % 4] * (1 + d / 7)), 9) for d in range(48)]


def _embedded(folder, name):
    """Predictions with vectors in place of features, and the vectors by hour."""
    events, vectors, ids = [], {}, set()
    with gzip.open(os.path.join(folder, name), "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["type"] != "prediction" or event["id"] in ids:
                continue
            ids.add(event["id"])
            both = {"plain": _plain(event["features"]), "waves": _waves(event["features"])}
            for feature, vector in both.items():
                vectors.setdefault((feature, event["ts"] // HOUR * HOUR), []).append(vector)
            event["features"] = both
            events.append(event)
    return events, vectors


def _mean(vectors):
    return [math.fsum(column) / len(vectors) for column in zip(*vectors)]


def _expected(vectors, known):
    """The distance of the means; and in standard deviations of the reference's vectors."""
    centre = _mean(known)
    distance = math.dist(_mean(vectors), centre)
    variance = math.fsum(math.dist(vector, centre) ** 2 for vector in known) / len(known)
    return distance, distance / math.sqrt(variance)


def _all(vectors, feature):
    return [vector for (name, _), some in vectors.items() if name == feature for vector in some]


def _load(story):
    folder, tried = reference_folder("monitoring", "car_loan")
    if not folder:
        story.skip(f"no reference data in {tried}")
    return folder


def _write(path, events):
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(event) + "\n" for event in events)
    return path


def _check(answer, vectors, known):
    compared = 0
    for feature in answer["features"]:
        name = feature["feature"]
        for point in feature["points"]:
            window = vectors.get((name, point["start"]))
            if not window:
                continue
            equal((feature["kind"], point["n"]), ("embedding", len(window)))
            distance, norm = _expected(window, _all(known, name))
            allowed = 1e-9 if name == "plain" else point["error_bound"] / point["mean_distance_norm"]
            assert allowed <= 0.25, point
            assert abs(point["mean_distance"] - distance) <= allowed * distance, (point, distance)
            assert abs(point["mean_distance_norm"] - norm) <= allowed * norm, (point, norm)
            compared += 1
    return compared


def _query(database, *options):
    settings = os.path.join(os.path.dirname(database), "assay.yaml")
    code, out, errors = run_program("query", "-c", settings, "drift", "--window", "1h", *options, cwd=os.path.dirname(database))
    assert code == 0, errors
    return json.loads(out)


def _at(answer, name, start):
    feature = next(f for f in answer["features"] if f["feature"] == name)
    return next(p for p in feature["points"] if p["start"] == start)


def mean_vectors_drift_where_the_values_do(story):
    folder = _load(story)
    kafka = story.kafka()
    events, vectors = _embedded(folder, "events.jsonl.gz")
    rows, known = _embedded(folder, "reference.jsonl.gz")
    model = {"name": "car_loan", "task": "binary", "label_horizon": "7d", "reference": {"file": _write(story.path("rows.jsonl"), rows)}}
    topics = story.topics(kafka, [Event("predictions", event["id"], json.dumps(event)) for event in events], 3)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), models=[model])).start()
    story.caught_up(daemon, kafka, topics)
    starts = sorted({start for _, start in vectors})

    answer = daemon.get(f"/api/v1/models/car_loan/drift?window=1h&from={starts[0]}&to={starts[-1] + HOUR}")

    equal(_check(answer, vectors, known), 2 * len(starts))
    for name in ("plain", "waves"):
        assert not _at(answer, name, starts[0])["drifted"], _at(answer, name, starts[0])
        late = _at(answer, name, starts[-1])
        assert late["drifted"] and late["q_value"] < 1e-6, late
    equal(_at(answer, "waves", starts[-1])["method"], "mean_distance_norm")
    start = starts[-1]
    picture = daemon.get(f"/api/v1/models/car_loan/distribution?feature=plain&from={start}&to={start + HOUR}")
    means = _mean(vectors["plain", start])
    equal((picture["mean_vector"]["dimensions"], picture["mean_vector"]["exact"]), (4, True))
    assert all(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(picture["mean_vector"]["current"], means)), picture
    distance = _at(answer, "plain", start)["mean_distance"]
    equal(picture["mean_vector"]["mean_distance"], distance)
    daemon.kill9()
    daemon.start()
    again = daemon.get(f"/api/v1/models/car_loan/drift?window=1h&from={starts[0]}&to={starts[-1] + HOUR}")
    equal(again["features"], answer["features"])


def mean_vectors_are_compared_with_a_range_of_stored_panes(story):
    folder = _load(story)
    events, vectors = _embedded(folder, "events.jsonl.gz")
    starts = sorted({start for _, start in vectors})
    model = {"name": "car_loan", "task": "binary", "label_horizon": "7d", "reference": {"from": starts[0], "to": starts[2] + HOUR}}
    settings = configuration(models=[model])
    database = story.replay("replayed", settings, [_write(story.path("events.jsonl"), events)])
    known = {key: some for key, some in vectors.items() if key[1] <= starts[2]}

    answer = _query(database, "--model", "car_loan", "--from", str(starts[3]), "--to", str(starts[-1] + HOUR))

    equal(answer["reference"]["source"], "range")
    equal(_check(answer, vectors, known), 2 * (len(starts) - 3))
    assert not _at(answer, "waves", starts[3])["drifted"]
    assert _at(answer, "waves", starts[-1])["drifted"]


def arrays_that_are_no_vectors_are_counted_and_others_keep_their_place(story):
    start = 1_700_000_000_000 // HOUR * HOUR
    lines, n = [], 0

    def add(hour, *texts):
        nonlocal n
        for text in texts:
            n += 1
            lines.append('{"type":"prediction","id":"%d","ts":%d,"model":"m","version":"1","score":0.5,"features":{"v":%s}}' % (n, start + hour * HOUR + n, text))

    three = ["[%d,1,%d]" % (i, i % 7) for i in range(40)]
    add(0, *three)
    add(1, *three, "[]", '["NaN",1,2]', "[1,null,2]", "[1e308,1e308,1]", "[[],[]]")
    add(2, *three, "[1,2]")
    add(3, *["[1,2]"] * 40)
    add(4, *["[%s]" % ",".join(str(d % 3) for d in range(10_000))] * 40)
    add(5, *["[1e-308,0,4.9e-324]"] * 40)
    add(6, *three[:5])
    add(7, *["[1e10,0,0]"] * 40)
    path = story.path("events.jsonl")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    model = {"name": "m", "task": "binary", "label_horizon": "1h", "reference": {"from": start, "to": start + HOUR}}
    settings = configuration(models=[model])
    database = story.replay("replayed", settings, [path])

    answer = _query(database, "--model", "m", "--feature", "v", "--from", str(start), "--to", str(start + 8 * HOUR))

    points = answer["features"][0]["points"]
    equal([point["n"] for point in points], [40, 40, 41, 40, 40, 40, 5, 40])
    equal([point["mean_distance"] for point in points[:2]], [0, 0])
    equal(points[1]["invalid"], {"not_finite": 3, "type": 2})
    equal(points[2]["mean_distance_why"], "the window has vectors of different dimensions")
    for other in (3, 4):
        equal(points[other]["mean_distance_why"], "the window's vectors have other dimensions than the reference's")
        assert points[other]["ks"] == 1 or other == 3, points[other]
    assert abs(points[5]["mean_distance"] - math.dist([0, 0, 0], _mean([json.loads(text) for text in three]))) < 1e-12
    assert points[6]["mean_distance"] > 0 and points[6]["method"] == "ks", points[6]
    equal((points[7]["mean_distance"], points[7]["mean_distance_why"]), (None, "the window has no mean vector"))
