"""SIGKILL at random moments, a receiver that misbehaves at random: nothing is lost, nothing is out of order.

Each round harms two models of its own, one after the other, and heals the first; the next round heals
the second. So every row of the alerts' history is one thing that somebody has to be told; at the end
the history and what the receiver got are matched row by row.
"""

import collections
import json
import os
import random
import threading
import time

import alerting
from daemon import configuration
from events import MINUTE, prediction
from kafka import wait_until
from receiver import Receiver
from story import equal

TEAMS = 4  # groups: many alerts each, whose messages have an order


class Witness:
    """What the receiver saw: every request that arrived whole, whatever it then answered."""

    def __init__(self, story, chance):
        self.lock = threading.Lock()
        self.seen = []  # (webhook-id, body) in the order of arrival
        self.behaves = False
        self.did = collections.Counter()
        self._chance = chance
        self.receiver = Receiver(self._answer)
        story.at_end(self.receiver.close)

    def _answer(self, handler, n):
        headers, body = self.receiver.attempts[n][1:]
        with self.lock:
            what = self._chance.choice(["take"] * 3 + ["500", "500", "429", "429", "reset", "hang", "take and reset"])
            if self.behaves:
                what = "take"
            self.did[what] += 1
            if "take" in what:
                self.seen.append((headers["webhook-id"], body))
        return {"take": 200, "500": 500, "429": 429, "hang": lambda _: time.sleep(2)}.get(what, alerting.reset)


def _settings(story, receiver, n_models):
    settings = alerting.settings(story, receiver, timeout="1s")
    names = [f"m{i}" for i in range(n_models)]
    settings["models"] = [{"name": name, "task": "binary", "label_horizon": "1h"} for name in names]
    settings["alerts"] = [
        {**alerting.rules()[0], "name": f"e{i}", "model": name, "labels": {"team": f"t{i % TEAMS}"}}
        for i, name in enumerate(names)
    ]
    settings["route"] = {"receiver": "oncall", "group_by": ["team"], "group_wait": "0s", "group_interval": "0s"}
    return settings


def _events(turn, at):
    """Looks are due at +2, +4 and +6 s: the first fails; the second, too; the first is well, as is that of before."""
    first, second, before = f"m{2 * turn}", f"m{2 * turn + 1}", f"m{2 * turn - 1}"

    def some(name, model, at, n, **more):
        return [prediction(f"{name}{turn}-{i}", at + i, model=model, score=0.9, prediction=1, **more) for i in range(n)]

    made = some("a", first, at, 20, error="down") + some("b", second, at + 2000, 20, error="down")
    made += some("c", first, at + 4000, 200)
    if turn:
        made += some("d", before, at + 4500, 200)
    return made + some("e", second, at + 6000, 1, error="down")


def _post(daemon, waiting):
    """Sends what is not known to be stored; a kill in the midst leaves it in the list, and ids make a repeat harmless."""
    for events in list(waiting):
        try:
            alerting.post(daemon, events)
        except OSError:
            return
        waiting.remove(events)


def _round(daemon, waiting, chance):
    daemon.start()
    poster = threading.Thread(target=_post, args=(daemon, waiting))
    poster.start()
    time.sleep(chance.uniform(0.8, 1.7))  # the commit comes after a second
    daemon.kill9()
    poster.join()


def _all(daemon, path):
    items, after = [], ""
    while True:
        page = daemon.get(f"{path}?limit=1000{after}")
        items += page["items"]
        if page["next"] is None:
            return items
        after = f"&after={page['next']}"


def _settled(daemon, rounds):
    history = _all(daemon, "/api/v1/alerts/history")
    fired = {e["alert"] for e in history if e["event"] == "firing"}
    rows = _all(daemon, "/api/v1/deliveries")
    return len(fired) == 2 * rounds and all(row["state"] == "sent" for row in rows) and rows


def killed_at_random_every_row_of_the_history_is_told_in_order(story):
    rounds = int(os.environ.get("ASSAY_KILLS", 100 if os.environ.get("ASSAY_NIGHTLY") else 10))
    seed = int(os.environ.get("ASSAY_SEED", 7))
    chance = random.Random(seed)
    witness = Witness(story, random.Random(seed + 1))
    daemon = story.daemon(_settings(story, witness.receiver, 2 * rounds))
    waiting, at = [], alerting.now() - 12 * MINUTE

    for turn in range(rounds):
        at += 7000
        waiting.append(_events(turn, at))
        _round(daemon, waiting, chance)
    witness.behaves = True
    daemon.start()
    _post(daemon, waiting)
    wait_until(lambda: _settled(daemon, rounds), 300, "every message to be sent")
    time.sleep(1.5)  # a flush that should not be there would come now

    history = _all(daemon, "/api/v1/alerts/history")
    sent = sorted(_all(daemon, "/api/v1/deliveries"), key=lambda row: row["id"])
    seen = list(witness.seen)
    bodies = _same_id_same_words(seen)
    equal(set(bodies), {row["webhook_id"] for row in sent}, "what counts as sent has arrived, and nothing else")
    _matched(history, bodies, rounds)
    _in_order(seen, sent)
    attempts = len(witness.receiver.attempts)
    print(f"{rounds} kills, seed {seed}: {len(history)} rows of history, {len(sent)} messages, {attempts} attempts, "
          f"{len(seen) - len(bodies)} arrived twice; the receiver: {dict(witness.did)}")


def _same_id_same_words(seen):
    bodies = {}
    for webhook_id, body in seen:
        equal(bodies.setdefault(webhook_id, body), body, "a duplicate carries the same words under its id")
    equal(len(set(bodies.values())), len(bodies), "no words came under two ids")
    return bodies


def _told(bodies):
    """{(alert, since when it was bad, firing or resolved)} of messages."""
    alerts = (alert for body in bodies for alert in json.loads(body)["data"]["alerts"])
    return {(alert["key"], alert["since"], alert["status"]) for alert in alerts}


def _matched(history, bodies, rounds):
    """Every row has its message, and none is invented."""
    told = _told(bodies.values())
    rows = [(e["alert"], e["data"]["since"], e["event"]) for e in history if e["event"] in ("firing", "resolved")]
    equal(len([row for row in rows if row[2] == "firing"]), 2 * rounds, "each harm fired once")
    over = {row[:2] for row in rows if row[2] == "resolved"}
    lost = [row for row in rows if row not in told and not (row[2] == "firing" and (*row[:2], "resolved") in told)]
    equal(lost, [], "rows of the history that nobody was told")
    invented = [row for row in told if row not in rows]
    equal(invented, [], "messages without a row")
    equal(len(over), 2 * rounds - 1, "all but the last one ended")


def _in_order(seen, sent):
    """In each group the messages arrive in the order in which they were written."""
    place = {row["webhook_id"]: (row["group"], row["id"]) for row in sent}
    newest = {}
    for webhook_id, _ in seen:
        group, number = place[webhook_id]
        assert number >= newest.get(group, 0), f"{group}: message {number} came after {newest[group]}"
        newest[group] = number
    assert len(newest) == min(TEAMS, len(sent)), newest


def _backlog(at):
    """Four minutes of the past: one is well, in the next all fail, then all is well again."""
    bad = range(60, 120)
    return [
        prediction(f"p{second}-{i}", at + second * 1000 + i, score=0.9, prediction=1, **({"error": "down"} if second in bad else {}))
        for second in range(240)
        for i in range(20)
    ]


def a_crowd_that_is_killed_while_it_is_written_is_told_once_and_whole(story):
    """Hundreds change at one look of a backlog, and are written beside the reading of the log."""
    rules, kills, chance = 600, 4, random.Random(3)
    witness = Witness(story, chance)
    witness.behaves = True
    kafka = story.kafka()
    topics = story.topics(kafka, _backlog((alerting.now() - 10 * MINUTE) // MINUTE * MINUTE), 1)
    settings = alerting.settings(story, witness.receiver)
    settings["kafka"] = configuration(kafka.brokers, list(topics), story.topic("group"))["kafka"]
    settings["models"] = [{"name": "credit", "task": "binary", "label_horizon": "1h"}]
    settings["alerts"] = [
        {**alerting.rules(window="1m")[0], "name": f"e{i}", "labels": {"team": f"t{i % (rules // 10)}"}} for i in range(rules)
    ]
    settings["route"] = {"receiver": "oncall", "group_by": ["team"], "group_wait": "0s", "group_interval": "0s"}
    daemon = story.daemon(settings)

    for _ in range(kills):
        daemon.start()
        time.sleep(chance.uniform(0.0, 0.6))
        daemon.kill9()
    daemon.start()
    story.caught_up(daemon, kafka, topics)
    wait_until(lambda: len(_told(body for _, body in list(witness.seen))) >= 2 * rules, 120, "every alert and its end to be told")

    history = _all(daemon, "/api/v1/alerts/history")
    bodies = _same_id_same_words(witness.seen)
    equal(collections.Counter(e["event"] for e in history), {"firing": rules, "resolved": rules}, "rows of the history")
    rows = {(e["alert"], e["data"]["since"], e["event"]) for e in history}
    equal(len({row[1] for row in rows}), 1, "all of them at one look")
    equal(_told(bodies.values()), rows, "what was told")
