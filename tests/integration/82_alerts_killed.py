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


def _matched(history, bodies, rounds):
    """Every row has its message: (alert, since when it was bad, firing or resolved), and none is invented."""
    told = set()
    for body in bodies.values():
        for alert in json.loads(body)["data"]["alerts"]:
            told.add((alert["key"], alert["since"], alert["status"]))
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
