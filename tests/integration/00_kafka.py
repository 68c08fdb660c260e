"""The ground the other stories stand on: a real broker that takes, keeps and gives back events."""

import os
import signal
import subprocess
import sys

from kafka import ROOT, wait_until
from story import equal


def a_broker_keeps_what_kcat_wrote(story):
    kafka = story.kafka()
    topic = story.topic("events")
    kafka.create_topic(topic, partitions=3)

    kafka.produce(topic, [(f"id-{i}", f'{{"n":{i}}}') for i in range(300)])

    lines = kafka.consume(topic)
    equal(sorted(lines), sorted(f'{{"n":{i}}}' for i in range(300)))
    equal(sum(kafka.ends(topic, 3)), 300)
    assert min(kafka.ends(topic, 3)) > 0, "keys spread over the partitions"


def one_key_always_meets_in_one_partition(story):
    kafka = story.kafka()
    first, second = story.topic("predictions"), story.topic("labels")
    for topic in (first, second):
        kafka.create_topic(topic, partitions=3)
        kafka.produce(topic, [(f"id-{i}", "x") for i in range(100)])

    places = [dict(line.split() for line in kafka.consume(t, form="%k %p\\n")) for t in (first, second)]

    equal(places[0], places[1])


def a_killed_broker_comes_back_with_its_events(story):
    kafka = story.own_kafka()
    kafka.create_topic("events", partitions=2)
    kafka.produce("events", [(str(i), str(i)) for i in range(50)])

    kafka.kill()
    kafka.start()

    equal(sorted(map(int, kafka.consume("events"))), list(range(50)))


def a_transaction_leaves_a_hole_in_the_offsets(story):
    kafka = story.kafka()
    topic = story.topic("events")
    kafka.create_topic(topic)

    kafka.produce(topic, [("a", "1"), ("b", "2")], transaction=story.topic("producer"))
    wait_until(lambda: kafka.ends(topic, 1) == [3], 20, "the marker behind the two events")
    kafka.produce(topic, [("c", "3")])

    equal(kafka.consume(topic, n=3, form="%s %o\\n"), ["1 0", "2 1", "3 3"])


def partitions_and_the_low_watermark_move_on_request(story):
    kafka = story.kafka()
    topic = story.topic("events")
    kafka.create_topic(topic, partitions=1)
    kafka.produce(topic, [("", str(i)) for i in range(10)], partition=0)

    kafka.delete_records(topic, 0, before=4)
    kafka.add_partitions(topic, 3)

    equal(kafka.consume(topic, partition=0), [str(i) for i in range(4, 10)])
    equal(kafka.ends(topic, 3), [10, 0, 0])


def a_group_shares_partitions_between_its_members(story):
    kafka = story.kafka()
    topic, group = story.topic("events"), story.topic("group")
    kafka.create_topic(topic, partitions=2)
    writer = kafka.producer(topic)
    writer.send([(str(i), str(i)) for i in range(100)])
    writer.close()

    members = [kafka.member(group, [topic]), kafka.member(group, [topic])]
    for member in members:
        story.at_end(member.kill)
        member.wait_assigned()
        member.leave()

    equal(sum(kafka.ends(topic, 2)), 100)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def _runs_java(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "java"
    except OSError:
        return False


STARTS = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import kafka
kafka.end_with_what_was_started()
os.mkdir(sys.argv[2])
broker = kafka.Kafka()
broker.folder = sys.argv[2]
start = kafka.subprocess.Popen
def told_to_end(*words, **options):
    process = start(["sleep", "600"], stdin=kafka.subprocess.DEVNULL)
    with open(sys.argv[2] + ".pid", "w") as file:
        file.write(str(process.pid))
    os.kill(os.getpid(), signal.SIGTERM)
    return process
kafka.subprocess.Popen = told_to_end
with broker:
    pass
"""


def told_to_end_between_fork_and_return_the_broker_goes_with_it(story):
    folder = story.path("broker")
    done = subprocess.run([sys.executable, "-c", STARTS, os.path.join(ROOT, "tests", "lib"), folder], timeout=60)

    equal(done.returncode, 143)
    with open(folder + ".pid", encoding="ascii") as file:
        equal(os.path.exists(f"/proc/{file.read()}"), False, "it is gone")


def a_bench_that_is_told_to_end_takes_its_broker_with_it(story):
    with open(story.path("bench.log"), "wb") as log:
        bench = subprocess.Popen([sys.executable, os.path.join(ROOT, "bench", "alerts.py"), "--only", "latency", "--repeats", "100000"],
                                 cwd=story.folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: any(map(_runs_java, _children(bench.pid))), 60, "the bench to start its broker")
        broker = next(filter(_runs_java, _children(bench.pid)))

        bench.send_signal(signal.SIGTERM)

        equal(bench.wait(60), 143)
        equal(os.path.exists(f"/proc/{broker}"), False, "the broker is gone")
    finally:
        bench.kill()
        bench.wait()
