"""The broker goes, comes back, forgets, or is another one. Rows F03, F10, F11, F12 and F17."""

from daemon import configuration, wait_a_moment
from database import check_identity, query, totals
from events import START, by_kind, prediction, stream
from kafka import wait_until
from story import equal
from undisturbed import QUICK, check_as_undisturbed


def _some(prefix, n, start=START):
    return [(f"{prefix}{i}", prediction(f"{prefix}{i}", start + i, score=0.5).value) for i in range(n)]


def F03_a_broker_that_dies_is_waited_for_and_its_return_needs_no_restart(story):
    kafka = story.own_kafka()
    events = stream(3000, seed=45)
    topics = story.topics(kafka, events, 3, produce=False)
    parts = by_kind(events)
    halves = {kind: (part[: len(part) // 2], part[len(part) // 2 :]) for kind, part in parts.items()}
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK}))
    daemon.start()
    for topic, kind in zip(topics, parts):
        kafka.produce(topic, halves[kind][0])
    story.caught_up(daemon, kafka, topics)
    equal(daemon.own("broker_up"), 1)

    kafka.kill()
    wait_until(lambda: daemon.own("broker_up") == 0, 60, "the daemon to notice")
    assert not daemon.is_ready()
    equal(daemon.request("GET", "/-/healthy")[0], 200)
    equal(daemon.get("/api/v1/models/credit")["predictions"] > 0, True)
    lines_before = daemon.log().count("\n")
    wait_a_moment(5)
    assert daemon.log().count("\n") - lines_before <= 6, "more than a line a second"

    kafka.start()
    for topic, kind in zip(topics, parts):
        kafka.produce(topic, halves[kind][1])
    wait_until(daemon.is_ready, 90, "/-/ready")
    check_as_undisturbed(story, kafka, topics, daemon)
    equal(daemon.own("broker_up"), 1)


def F03_a_daemon_that_starts_before_its_broker_says_so_and_waits(story):
    kafka = story.own_kafka()
    topics = story.topics(kafka, stream(300, seed=46), 2)
    kafka.stop()
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group")))

    daemon.start(wait=False)
    daemon.wait_answering()
    equal(daemon.request("GET", "/-/ready")[0], 503)
    kafka.start()

    wait_until(daemon.is_ready, 90, "/-/ready")
    story.caught_up(daemon, kafka, topics)


def F10_a_hole_that_a_transaction_left_is_counted_as_one(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    kafka.produce(topic, _some("a", 10), transaction=story.topic("producer"))
    wait_until(lambda: kafka.ends(topic, 1) == [11], 20, "the transaction's marker")
    kafka.produce(topic, _some("b", 10))
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()

    story.caught_up(daemon, kafka, {topic: 1})

    got = totals(daemon.database)
    equal((got["consumed"], got["holes"], got["lost"]), (20, 1, 0))


def F11_what_retention_took_before_it_was_read_is_counted_as_lost(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    kafka.produce(topic, _some("a", 100))
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()
    story.caught_up(daemon, kafka, {topic: 1})
    equal(daemon.terminate(), 0)
    kafka.produce(topic, _some("b", 100))
    kafka.delete_records(topic, 0, before=150)

    daemon.start()

    story.caught_up(daemon, kafka, {topic: 1})
    got = totals(daemon.database)
    equal((got["consumed"], got["lost"]), (150, 50))
    answer = daemon.get(f"/api/v1/models/credit/metrics?metric=count&window=1m&from={START}&to={START + 60000}")
    equal(answer["complete"], False)
    assert answer["incomplete_reasons"], answer


def F12_a_topic_made_anew_is_not_taken_for_the_old_one(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    kafka.produce(topic, _some("a", 50))
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()
    story.caught_up(daemon, kafka, {topic: 1})
    equal(daemon.terminate(), 0)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    kafka.produce(topic, _some("b", 80))

    daemon.start(wait=False)
    daemon.wait_answering()
    wait_until(lambda: "not the log that was read" in daemon.log(), 30, "a line that says so")
    wait_a_moment(2)

    equal(totals(daemon.database)["consumed"], 50)


def F12_a_topic_made_anew_is_read_from_its_beginning_when_configured(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    kafka.produce(topic, _some("a", 50))
    listed = [{"name": topic, "format": "assay", "on_recreated": "earliest"}]
    daemon = story.daemon(configuration(kafka.brokers, listed, story.topic("group"))).start()
    story.caught_up(daemon, kafka, {topic: 1})
    equal(daemon.terminate(), 0)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    kafka.produce(topic, _some("b", 20))

    daemon.start()

    def all_in():
        return query(daemon.database, "SELECT next FROM offsets WHERE topic = ?", topic) == [(20,)]

    wait_until(all_in, 30, "the new topic's events")
    count = daemon.points("credit", ["count"], "1m", START, START + 60_000)["v3", "count", START]["value"]
    equal(count, 70)


def F17_a_backlog_larger_than_memory_allows_is_read_in_bounded_memory(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic, 4)
    padding = {f"f{i}": i * 1.5 for i in range(10)}
    for part in range(4):
        events = [
            (f"{part}-{i}", prediction(f"{part}-{i}", START + i, score=0.5, features=padding).value)
            for i in range(60_000)
        ]
        kafka.produce(topic, events, partition=part)
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()

    story.caught_up(daemon, kafka, {topic: 4})

    equal(totals(daemon.database)["consumed"], 240_000)
    assert daemon.memory_bytes() < 350 << 20, f"{daemon.memory_bytes() >> 20} MiB"
    check_identity(daemon.database)
