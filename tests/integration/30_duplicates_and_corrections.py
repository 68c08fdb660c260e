"""The same thing said twice, said otherwise, said out of order. Rows F20, F23, F24, F25, F28."""

import random

from compare import check_against_oracle, oracle_of
from daemon import configuration, models
from database import check_identity, check_same_windows, fingerprint, query, totals
from events import START, label, prediction, stream, write_jsonl
from kafka import wait_until
from oracle import Model
from story import equal, short


def _replay(story, name, events, **sections):
    database = story.replay(name, configuration(**sections), [write_jsonl(story.path(name + ".jsonl"), events)])
    check_identity(database)
    return database


def F20_of_predictions_with_one_id_the_first_wins(story):
    once = [prediction(f"p{i}", START + i, score=i / 100, prediction=0) for i in range(100)]
    again = [prediction(f"p{i}", START + i, score=1 - i / 100, prediction=1) for i in range(0, 100, 3)]

    clean = _replay(story, "clean", once)
    doubled = _replay(story, "doubled", once + again)

    equal(totals(doubled)["duplicate"], len(again))
    check_same_windows(doubled, clean)


@short
def F23_a_label_corrected_again_and_again_counts_as_its_last(story):
    rng = random.Random(23)
    predictions = [prediction(f"p{i}", START + i * 500, score=round(rng.random(), 3)) for i in range(300)]
    said = [(i, rng.randrange(2)) for i in range(300) for _ in range(rng.randrange(1, 6))]
    rng.shuffle(said)
    last = dict(said)
    ts = START + 400_000

    corrected = _replay(story, "corrected", predictions + [label(f"p{i}", ts, y) for i, y in said])
    clean = _replay(story, "clean", predictions + [label(f"p{i}", ts, y) for i, y in last.items()])

    check_same_windows(corrected, clean)


def F24_any_order_of_arrival_gives_the_same_bits(story):
    events = stream(1500, seed=24, duplicates=0, corrections=0)
    shuffled = list(events)
    random.Random(24).shuffle(shuffled)

    prints = {fingerprint(_replay(story, name, part)) for name, part in (("sorted", events), ("shuffled", shuffled))}

    equal(len(prints), 1)


def F25_an_event_from_the_future_opens_no_window(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    year_3000 = 32_503_680_000_000
    kafka.produce(topic, [("a", prediction("a", START, score=0.5).value)])
    kafka.produce(topic, [("b", prediction("b", year_3000, score=0.5).value)])
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()

    story.caught_up(daemon, kafka, {topic: 1})

    equal(query(daemon.database, "SELECT reason, partition, \"offset\" FROM dead_letter"), [("future", 0, 1)])
    equal(query(daemon.database, "SELECT max(start_ms) FROM panes WHERE level_ms = 60000"), [(START,)])


@short
def F28_a_flood_of_segments_ends_in_other(story):
    events = [
        prediction(f"p{i}", START + i, score=0.5, prediction=1, segment={"country": f"c{i}"}) for i in range(2000)
    ]

    database = _replay(story, "flooded", events, limits={"slices": 20})

    slices = [row[0] for row in query(database, "SELECT DISTINCT slice FROM series")]
    assert len(slices) <= 22, slices
    assert "country=__other__" in slices, slices
    assert "" in slices, slices


def F28_a_flood_of_models_is_refused_beyond_the_limit(story):
    events = [prediction(f"p{i}", START + i, model=f"m{i}", score=0.5, prediction=1) for i in range(300)]

    database = _replay(story, "flooded", events, models=[], auto_models={"task": "binary", "max": 50})

    equal(query(database, "SELECT count(*) FROM models"), [(50,)])
    reasons = dict(query(database, "SELECT reason, count(*) FROM dead_letter GROUP BY reason"))
    equal(reasons, {"too_many_models": 250})
    equal(totals(database)["dead_lettered"], 250)


@short
def F28_hostile_names_stay_text(story):
    names = ['"; DROP TABLE panes; --', "<script>alert(1)</script>", "a\\u0001b".encode().decode("unicode_escape")]
    names += ["ünïcödé", "x" * 200, "../../etc/passwd", "%s%n"]
    events = [prediction(f"p{i}", START + i, model=n, version=n, score=0.5, prediction=1) for i, n in enumerate(names)]

    database = _replay(story, "hostile", events, models=[], auto_models={"task": "binary", "max": 50})

    got = {row[0] for row in query(database, "SELECT name FROM models")}
    rejected = totals(database)["dead_lettered"]
    equal(len(got) + rejected, len(names))
    assert got <= set(names), got


def duplicates_and_corrections_through_kafka_show_what_the_oracle_computes(story):
    kafka = story.kafka()
    events = stream(2500, seed=31, duplicates=0.2, corrections=0.2, early=0.1)
    topics = story.topics(kafka, events, 4)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"))).start()

    story.caught_up(daemon, kafka, topics)

    oracle = oracle_of({"credit": Model(segments=("country",))}, events)
    assert check_against_oracle(daemon, oracle) > 150
    equal(totals(daemon.database)["duplicate"], oracle.duplicates)


@short
def events_posted_over_http_count_once_and_are_durable(story):
    daemon = story.daemon(configuration(models=models()))
    daemon.start()
    lines = "\n".join(e.value for e in stream(200, seed=32))

    first = daemon.post("/api/v1/events", lines.encode())
    second = daemon.post("/api/v1/events", lines.encode())

    oracle = oracle_of({"credit": Model(segments=("country",))}, stream(200, seed=32))
    equal(first["rejected"], [])
    equal(second["accepted"] + second["duplicates"], first["accepted"] + first["duplicates"])
    daemon.kill9()
    daemon.start()
    check_identity(daemon.database)
    wait_until(daemon.is_ready, 20, "/-/ready")
    check_against_oracle(daemon, oracle)
