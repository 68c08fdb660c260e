"""Rankings and segmentation: what a label says of items and of pixels, through Kafka to every reader.

The expected values are computed here from the definitions (docs/metrics.md): NDCG as scikit-learn's
ndcg_score, the mean over lists; IoU as Keras's MeanIoU, the mean over classes of summed pixels.
"""

import math
import random
from collections import defaultdict

from daemon import Offline, configuration, models
from database import query, totals
from events import HOUR, MINUTE, START, label, prediction, write_jsonl
from kafka import wait_until
from story import equal, short
from traffic import bucket
from undisturbed import check_as_undisturbed

K = 5
RANKING = ["ndcg_5", "ndcg_10", "mrr", "hit_rate_5", "map_5"]
CLASSES = ["road", "sky", "car"]


# --- rankings ---


def _ndcg(shown, worth, k):
    gain = sum(worth.get(item, 0) / math.log2(i + 2) for i, item in enumerate(shown[:k]))
    best = sorted(worth.values(), reverse=True)[:k]
    ideal = sum(value / math.log2(i + 2) for i, value in enumerate(best))
    return gain / ideal if ideal else 0.0


def _map(shown, worth, k):
    relevant = sum(value > 0 for value in worth.values())
    hits, precisions = 0, 0.0
    for i, item in enumerate(shown[:k]):
        if worth.get(item, 0) > 0:
            hits += 1
            precisions += hits / (i + 1)
    return precisions / min(relevant, k) if relevant else 0.0


def _of_list(shown, worth):
    places = [i + 1 for i, item in enumerate(shown) if worth.get(item, 0) > 0]
    return [
        _ndcg(shown, worth, 5),
        _ndcg(shown, worth, 10),
        1 / places[0] if places else 0.0,
        float(bool(places) and places[0] <= K),
        _map(shown, worth, K),
    ]


def _rankings(n, seed):
    """(events in arrival order, {(version, minute): [values of each labelled list]})"""
    rng = random.Random(seed)
    catalogue = [f"item-{i}" for i in range(60)]
    arriving, lists = [], defaultdict(list)
    for i in range(n):
        id, ts = f"list-{i}", START + i * (30 * MINUTE) // n
        version = rng.choice(["v1", "v2"])
        shown = rng.sample(catalogue, rng.randrange(0, 25))
        liked = {item: rng.choice([0, 1, 1, 2, 3.5]) for item in rng.sample(catalogue, 12)}
        country = {"segment": {"country": rng.choice(["de", "fr"])}}
        arriving.append((ts, prediction(id, ts, "shop", version, ranking=shown, **country)))
        fate = rng.random()
        if fate < 0.1:
            continue  # nobody says how good it was
        first = {} if fate < 0.3 else liked  # corrected later, or right at once
        sent = ts - 2000 if fate > 0.9 else ts + rng.randrange(1, 10 * MINUTE)
        arriving.append((sent, label(id, ts + 1000, first)))
        if first is not liked:
            arriving.append((sent + 5000, label(id, ts + 2000, liked)))
        lists[version, ts // MINUTE * MINUTE].append(_of_list(shown, liked))
    return [event for _, event in sorted(arriving, key=lambda item: item[0])], lists


def _check_lists(asked, lists, window, length):
    merged = defaultdict(list)
    for (version, minute), rows in lists.items():
        merged[version, minute // length * length] += rows
    points = asked.points("shop", RANKING, window, START, START + HOUR)
    for (version, start), rows in merged.items():
        for column, name in enumerate(RANKING):
            got = points[version, name, start]
            expected = math.fsum(row[column] for row in rows) / len(rows)
            assert abs(got["value"] - expected) < 1e-12, (name, version, start, got, expected)
            equal((got["labelled"], got["error_bound"]), (len(rows), 0))


def rankings_through_kafka_show_what_the_definitions_give(story):
    kafka = story.kafka()
    events, lists = _rankings(3000, seed=17)
    sections = {"models": models("ranking", "shop")}
    topics = story.topics(kafka, events, 3)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), **sections))

    for _ in range(3):  # what waits for its other half survives a kill
        daemon.start()
        done = totals(daemon.database)["consumed"]
        wait_until(lambda: totals(daemon.database)["consumed"] > done or done >= 5000, 30, "a commit")
        daemon.kill9()
    daemon.start()
    check_as_undisturbed(story, kafka, topics, daemon, **sections)

    _check_lists(daemon, lists, "1m", MINUTE)
    _check_lists(daemon, lists, "1h", HOUR)
    daemon.terminate()
    _check_lists(Offline(daemon.database), lists, "1h", HOUR)


@short
def a_ranking_is_on_every_surface_and_fires_an_alert(story):
    kafka = story.kafka()
    rule = {"name": "ranks-badly", "model": "shop", "metric": "mrr", "window": "1m", "below": 0.9, "interval": False}
    settings = {"models": models("ranking", "shop"), "alerts": [rule]}
    events = [prediction(f"l{i}", START + i, "shop", "v1", ranking=["x", "y", "z"]) for i in range(40)]
    events += [label(f"l{i}", START + 1000, {"y": 1}) for i in range(40)]
    events += [prediction("later", START + 5 * MINUTE, "shop", "v1", ranking=["x"])]
    topics = story.topics(kafka, events, 1)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), **settings)).start()
    story.caught_up(daemon, kafka, topics)

    shown = daemon.get("/api/v1/models/shop")
    assert {"ndcg_10", "mrr", "hit_rate_10", "map_10"} <= set(shown["main_metrics"]), shown
    equal((shown["task"], shown["labels"], shown["joined"]), ("ranking", 40, 40))
    history = lambda: daemon.get("/api/v1/alerts/history")["items"]  # noqa: E731
    wait_until(lambda: any(e["data"]["name"] == "ranks-badly" for e in history()), 30, "the alert")
    sql = "SELECT value FROM metric_values WHERE model = 'shop' AND slice = '' AND metric = ? AND level_ms = 60000 AND start_ms = ?"
    wait_until(lambda: query(daemon.database, sql, "mrr", START) == [(0.5,)], 30, "the view's value")
    equal(query(daemon.database, sql, "map_10", START), [(0.5,)])
    text = daemon.request("GET", "/metrics")[1]
    assert 'assay_model_mrr_ratio{model="shop",version="v1"} 0.5' in text, [s for s in text.splitlines() if "shop" in s]


def rankings_without_any_feature_are_compared_with_their_reference(story):
    path, reference = story.path("events.jsonl"), story.path("reference.jsonl")

    def ranked(name, start, best):
        events = [prediction(f"{name}{i}", start + i, "shop", "v1", ranking=["x", "y", "z"]) for i in range(40)]
        return events + [label(f"{name}{i}", start + 1000, {best: 1}) for i in range(40)]

    write_jsonl(reference, ranked("r", START - HOUR, "x"))
    write_jsonl(path, ranked("a", START, "y") + [prediction("end", START + 5 * MINUTE, "shop", "v1", ranking=["x"])])
    rule = {"name": "ranks-worse", "model": "shop", "metric": "mrr", "window": "1m", "relative_to": "reference", "below": -0.2, "interval": False}
    shop = {"name": "shop", "task": "ranking", "reference": {"file": reference}}

    database = story.replay("replayed", configuration(models=[shop], alerts=[rule]), [path])

    fired = [item for item in Offline(database).query("alerts")["items"] if item["rule"] == "ranks-worse"]
    equal([(item["data"]["value"], item["data"]["relative"]) for item in fired], [(0.5, True)], "mrr is 1 in the reference")
    drift = Offline(database).query("drift", "--model", "shop", "--window", "1h", "--from", str(START), "--to", str(START + HOUR))
    equal((drift["reference"]["n"], drift["multivariate"]), (40, []))
    equal({f["points"][0]["why"] for f in drift["features"]}, {"the reference does not have this feature"})
    equal(drift["multivariate_why"], "multivariate drift: 40 rows of 0 features cannot be fitted")


def a_release_that_ranks_worse_is_rolled_back_on_its_labels(story):
    metric = {"metric": "mrr", "role": "guardrail", "direction": "higher", "margin": 0.05}
    steps = [{"weight": 50, "min_duration": "1h", "min_units": 100}]
    made = {"name": "order", "model": "shop", "control": "v1", "treatment": "v2", "salt": "order", "maturity": "5s"}
    settings = configuration(models=models("ranking", "shop"))
    settings["experiments"] = [{**made, "steps": steps, "metrics": [metric], "start": True}]
    daemon = story.daemon(settings).start()
    rng = random.Random(5)

    for batch in range(40):
        events = []
        for i in range(100):
            id, ts = f"{batch}-{i}", START + batch * 10_000 + i * 100
            treated = bucket("order", f"u{id}") < 0.5
            shown = ["good", "x", "y", "z"]
            rng.shuffle(shown)
            if not treated:  # control mostly knows best
                shown.sort(key=lambda item: item != "good" and rng.random() < 0.9)
            events.append(prediction(id, ts, "shop", "v2" if treated else "v1", unit=f"u{id}", ranking=shown))
            events.append(label(id, ts, {"good": 1}))
        daemon.post("/api/v1/events", "\n".join(event.value for event in events).encode())
        now = daemon.get("/api/v1/experiments/order")
        if now["state"] != "running":
            break

    equal((now["state"], now["verdict"]["reason"]), ("rolled_back", "guardrail mrr: harm beyond harm_margin"))
    measured = now["verdict"]["metrics"][0]
    assert measured["control"]["value"] > 0.7 > 0.6 > measured["treatment"]["value"], measured


# --- segmentation ---


def _scenes(n, seed):
    rng = random.Random(seed)
    events, sums = [], defaultdict(lambda: [0, 0, 0])
    for i in range(n):
        id, ts = f"scene-{i}", START + i * (10 * MINUTE) // n
        wrong = {c: [rng.randrange(1000) for _ in range(3)] for c in CLASSES}
        pixels = {c: [rng.randrange(10**6), rng.randrange(10**5), rng.randrange(10**5)] for c in rng.sample(CLASSES, 2)}
        scene = prediction(id, ts, "drive", "v1")
        labels = [label(id, ts + 1000, None, confusion=pixels)]
        if i % 5 == 0:
            labels.insert(0, label(id, ts + 500, None, confusion=wrong))
        events += labels + [scene] if i % 7 == 0 else [scene] + labels
        for name, counts in pixels.items():
            sums[name] = [a + b for a, b in zip(sums[name], counts)]
    return events, sums


@short
def segmentation_sums_pixels_before_it_divides(story):
    kafka = story.kafka()
    events, sums = _scenes(700, seed=71)
    settings = {"models": models("segmentation", "drive")}
    topics = story.topics(kafka, events, 2)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), **settings)).start()
    story.caught_up(daemon, kafka, topics)

    names = ["mean_iou", "dice"] + [f'iou{{class="{c}"}}' for c in CLASSES]
    points = daemon.points("drive", names, "1h", START, START + HOUR)

    iou = {c: tp / (tp + fp + fn) for c, (tp, fp, fn) in sums.items()}
    dice = {c: 2 * tp / (2 * tp + fp + fn) for c, (tp, fp, fn) in sums.items()}
    expected = [sum(iou.values()) / 3, sum(dice.values()) / 3] + [iou[c] for c in CLASSES]
    for name, value in zip(names, expected):
        got = points["v1", name, START]
        assert abs(got["value"] - value) < 1e-12, (name, got, value)
        equal(got["labelled"], 700)
    equal(totals(daemon.database)["waiting"], 0)
