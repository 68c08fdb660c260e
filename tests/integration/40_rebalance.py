"""The group changes while events flow. Rows F02, F06, F07, F08, F13 and F18."""

import os
import sqlite3

from daemon import configuration, run_program, wait_a_moment, yaml
from database import check_identity, offsets, query, totals
from events import START, by_kind, prediction, stream
from kafka import wait_until
from story import equal, short
from undisturbed import QUICK, Trickle, check_as_undisturbed


@short
def F06_members_that_join_and_leave_change_no_window(story):
    kafka = story.kafka()
    events = stream(6000, seed=40)
    topics = story.topics(kafka, events, 4, produce=False)
    group = story.topic("group")
    daemon = story.daemon(configuration(kafka.brokers, list(topics), group, {"properties": QUICK})).start()
    flow = Trickle(kafka, topics, events, seconds=12)

    for leave_in_order in (True, False, True):
        member = kafka.member(group, list(topics))
        story.at_end(member.kill)
        member.wait_assigned()
        wait_a_moment(0.5)
        member.leave() if leave_in_order else member.kill()
        wait_until(daemon.is_ready, 30, "all partitions to come back")
    flow.finish()

    check_as_undisturbed(story, kafka, topics, daemon)


def F02_the_offsets_in_kafka_are_never_read(story):
    kafka = story.kafka()
    events = stream(500, seed=41)
    topics = story.topics(kafka, events, 2)
    group = story.topic("group")
    stranger = kafka.member(group, list(topics))
    stranger.wait_assigned()
    wait_a_moment(1)
    stranger.leave()  # and commits in Kafka that the group has read everything

    daemon = story.daemon(configuration(kafka.brokers, list(topics), group)).start()

    story.caught_up(daemon, kafka, topics)
    equal(totals(daemon.database)["consumed"], len(events))


def F07_a_daemon_stopped_beyond_the_session_comes_back_without_a_fault(story):
    kafka = story.kafka()
    events = stream(4000, seed=42)
    topics = story.topics(kafka, events, 2, produce=False)
    group = story.topic("group")
    daemon = story.daemon(configuration(kafka.brokers, list(topics), group, {"properties": QUICK})).start()
    flow = Trickle(kafka, topics, events, seconds=8)
    wait_until(lambda: sum(offsets(daemon.database).values()) > 100, 30, "the first events")

    daemon.pause()
    member = kafka.member(group, list(topics))
    story.at_end(member.kill)
    member.wait_assigned()  # the group has given up the daemon
    daemon.resume()
    wait_a_moment(1)
    member.leave()
    flow.finish()

    check_as_undisturbed(story, kafka, topics, daemon)


def _pause_between_transactions(daemon, other_head):
    """SIGSTOP may fall into a transaction, whose lock then stays: try again."""
    for _ in range(20):
        daemon.pause()
        try:
            other_head.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            daemon.resume()
            wait_a_moment(0.2)
    raise AssertionError("the daemon is always within a transaction")


@short
def F07_a_commit_over_offsets_that_somebody_moved_is_refused(story):
    """Another head is played by putting an older row of offsets back behind the daemon's back."""
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()
    kafka.produce(topic, [(f"a{i}", prediction(f"a{i}", START, score=0.5).value) for i in range(100)])
    story.caught_up(daemon, kafka, {topic: 1})
    row = query(daemon.database, "SELECT * FROM offsets")[0]
    kafka.produce(topic, [(f"b{i}", prediction(f"b{i}", START, score=0.5).value) for i in range(10)])
    story.caught_up(daemon, kafka, {topic: 1})

    other_head = sqlite3.connect(daemon.database, timeout=1)
    other_head.execute("PRAGMA wal_autocheckpoint=0")
    _pause_between_transactions(daemon, other_head)
    other_head.execute(f"REPLACE INTO offsets VALUES({','.join('?' * len(row))})", row)
    other_head.commit()
    kafka.produce(topic, [(f"c{i}", prediction(f"c{i}", START, score=0.5).value) for i in range(90)])
    daemon.resume()

    story.caught_up(daemon, kafka, {topic: 1})
    other_head.close()
    got = totals(daemon.database)
    equal((got["consumed"], got["folded"], got["duplicate"]), (200, 190, 10))
    equal(daemon.points("credit", ["count"], "1m", START, START + 60_000)["v3", "count", START]["value"], 200)
    assert daemon.own("fenced") >= 1


def F08_a_second_daemon_on_the_same_database_names_the_first(story):
    kafka = story.kafka()
    topics = story.topics(kafka, stream(100, seed=44), 1)
    first = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK}))
    first.start()
    second = dict(first.settings, http={"listen": "127.0.0.1:0"})
    with open(first.folder + "/second.yaml", "w", encoding="utf-8") as out:
        out.write(yaml(second))

    code, _, errors = run_program("serve", "-c", "second.yaml", cwd=first.folder, timeout=20)

    assert code != 0
    assert str(first.process.pid) in errors, errors
    story.caught_up(first, kafka, topics)
    first.kill9()
    first.start()  # a lock dies with its owner


def F13_partitions_that_are_added_are_read_from_their_beginning(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic, 1)
    properties = {"topic.metadata.refresh.interval.ms": 1000, **QUICK}
    settings = configuration(kafka.brokers, [topic], story.topic("group"), {"properties": properties})
    daemon = story.daemon(settings).start()
    kafka.produce(topic, [(f"a{i}", prediction(f"a{i}", START, score=0.5).value) for i in range(50)])
    story.caught_up(daemon, kafka, {topic: 1})

    kafka.add_partitions(topic, 3)
    kafka.produce(topic, [(f"b{i}", prediction(f"b{i}", START, score=0.5).value) for i in range(50)], partition=1)
    kafka.produce(topic, [(f"c{i}", prediction(f"c{i}", START, score=0.5).value) for i in range(50)], partition=2)

    story.caught_up(daemon, kafka, {topic: 3})
    equal(totals(daemon.database)["consumed"], 150)
    check_identity(daemon.database)


def F18_a_database_held_for_a_minute_gives_the_partitions_up_and_reads_on_later(story):
    if not os.environ.get("ASSAY_NIGHTLY"):
        story.skip("the minute is real: ASSAY_NIGHTLY=1")
    kafka = story.kafka()
    events = stream(4000, seed=180)
    topics = story.topics(kafka, events, 2, produce=False)
    group = story.topic("group")
    daemon = story.daemon(configuration(kafka.brokers, list(topics), group, {"properties": QUICK})).start()
    parts = by_kind(events)
    for topic, kind in zip(topics, parts):
        kafka.produce(topic, parts[kind][: len(parts[kind]) // 2])
    story.caught_up(daemon, kafka, topics)

    holder = sqlite3.connect(daemon.database, timeout=30, isolation_level=None)
    holder.execute("PRAGMA wal_autocheckpoint=0")
    holder.execute("BEGIN IMMEDIATE")
    story.at_end(holder.close)
    for topic, kind in zip(topics, parts):
        kafka.produce(topic, parts[kind][len(parts[kind]) // 2 :])
    left = "nothing could be written for 60 s: left the consumer group"
    wait_until(lambda: left in daemon.log(), 120, "the group to be left")
    equal(daemon.is_ready(), False)
    member = kafka.member(group, list(topics))
    story.at_end(member.kill)
    member.wait_assigned()  # others may have the partitions
    member.leave()
    holder.execute("ROLLBACK")

    wait_until(daemon.is_ready, 60, "the daemon to be back in the group")
    assert "back in the consumer group, from the stored offsets" in daemon.log(), daemon.log()
    check_as_undisturbed(story, kafka, topics, daemon)
