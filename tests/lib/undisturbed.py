"""The yardstick of the disturbed stories: a second daemon that reads the same log in peace."""

import threading
import time

from daemon import configuration
from database import check_same_windows, totals
from events import by_kind
from story import equal

# What the group needs to notice a dead member within a second (the test broker allows it).
QUICK = {"session.timeout.ms": 1500, "heartbeat.interval.ms": 300}
# Counters that tell of the disturbance itself, not of the events.
OWN = ("redelivered",)


def check_as_undisturbed(story, kafka, topics, disturbed, timeout=180, holes=0, **sections):
    """Waits until the disturbed daemon has all, runs another one over the same log, compares."""
    story.caught_up(disturbed, kafka, topics, timeout, holes)
    settings = configuration(kafka.brokers, list(topics), story.topic("in-peace"), **sections)
    peaceful = story.daemon(settings, "in-peace").start()
    story.caught_up(peaceful, kafka, topics, timeout, holes)
    check_same_windows(disturbed.database, peaceful.database)
    got, expected = totals(disturbed.database), totals(peaceful.database)
    for name in OWN:
        got.pop(name)
        expected.pop(name)
    equal(got, expected, "counters")
    return peaceful


class Trickle(threading.Thread):
    """Writes a stream into two topics bit by bit, in arrival order, over about `seconds`."""

    def __init__(self, kafka, topics, events, seconds):
        super().__init__(daemon=True)
        names = dict(zip(("predictions", "labels"), topics))
        self.producers = {kind: kafka.producer(name) for kind, name in names.items()}
        self.events = events
        self.steps = max(1, int(seconds / 0.05))
        self.failed = None
        self.start()

    def run(self):
        try:
            n = len(self.events)
            for i in range(self.steps):
                part = by_kind(self.events[i * n // self.steps : (i + 1) * n // self.steps])
                for kind, events in part.items():
                    self.producers[kind].send(events)
                time.sleep(0.05)
            for producer in self.producers.values():
                producer.close()
        except Exception as error:  # told to the story by finish()
            self.failed = error

    def finish(self):
        self.join()
        if self.failed:
            raise self.failed
