"""What is no event is counted, kept and never stops the flow. Rows F14, F29, F31, F33 and F35."""

import os
import shutil
import sqlite3
import subprocess
import threading
import time

from daemon import PROGRAM, configuration, run_program, yaml
from database import check_sound, query, totals
from events import BAD, START, prediction, stream, write_jsonl
from kafka import wait_until
from story import equal, short
from undisturbed import check_as_undisturbed

# Payloads that are no text, beside those of events.BAD: (reason or None where two are right, bytes).
BYTES = [
    ("not_json", b"\xff\xfe\x00\x01"),
    ("not_json", b'{"type":"prediction","id":"\xc3\x28","ts":1700000400000,"model":"credit"}'),
    ("not_json", b"null garbage"),
    ("wrong_type", b"[1,2,3]"),
    ("too_large", b'{"type":"prediction","id":"big","x":"' + b"y" * 300_000 + b'"}'),
    ("empty", b""),
]


@short
def F14_each_bad_event_is_kept_with_its_reason_and_place(story):
    kafka = story.kafka()
    topic = story.topic("predictions")
    kafka.create_topic(topic)
    expected = []
    for reason, payload in BAD:
        kafka.produce_bytes(topic, payload.encode())
        expected.append((reason, len(expected)))
    for reason, payload in BYTES:
        if not payload:
            continue  # kcat writes no empty message from a file
        kafka.produce_bytes(topic, payload)
        expected.append((reason, len(expected)))
    kafka.produce(topic, [("good", prediction("good", START, score=0.5).value)])
    daemon = story.daemon(configuration(kafka.brokers, [topic], story.topic("group"))).start()

    story.caught_up(daemon, kafka, {topic: 1})

    rows = query(daemon.database, 'SELECT reason, "offset" FROM dead_letter ORDER BY "offset"')
    equal(rows, expected)
    equal(query(daemon.database, "SELECT DISTINCT topic, partition FROM dead_letter"), [(topic, 0)])
    equal(totals(daemon.database)["dead_lettered"], len(expected))
    equal(daemon.points("credit", ["count"], "1m", START, START + 60_000)["v3", "count", START]["value"], 1)
    shown = daemon.get("/api/v1/dead-letters")["items"]
    assert {item["reason"] for item in shown} == {reason for reason, _ in expected}, shown
    told = sum('"model":"credit"' in payload for _, payload in BAD)
    equal(daemon.get("/api/v1/models/credit")["rejected"], told, "those whose model could be read")


@short
def F14_bad_events_go_to_the_dead_letter_topic_with_headers(story):
    kafka = story.kafka()
    topic, dead = story.topic("predictions"), story.topic("dead")
    kafka.create_topic(topic)
    kafka.create_topic(dead)
    kafka.produce(topic, [("good", prediction("good", START, score=0.5).value), ("bad", "{"), ("bad", "hello")])
    settings = configuration(kafka.brokers, [topic], story.topic("group"), {"dead_letter": dead})
    daemon = story.daemon(settings).start()
    story.caught_up(daemon, kafka, {topic: 1})

    wait_until(lambda: kafka.ends(dead, 1)[0] >= 2, 30, "two letters in the dead-letter topic")

    letters = kafka.consume(dead, form="%s|%h\\n")
    equal([line.split("|")[0] for line in letters], ["{", "hello"])
    for offset, line in enumerate(letters, 1):
        headers = dict(item.split("=", 1) for item in line.split("|")[1].split(","))
        headers.pop("assay.detail", None)  # where in the payload, when the reader knows
        place = {"assay.topic": topic, "assay.partition": "0", "assay.offset": str(offset)}
        equal(headers, {**place, "assay.reason": "not_json"})


def a_stream_with_bad_events_in_it_shows_what_the_good_ones_give(story):
    kafka = story.kafka()
    events = stream(2000, seed=60, bad=0.1)
    topics = story.topics(kafka, events, 3)
    daemon = story.daemon(configuration(kafka.brokers, list(topics), story.topic("group"))).start()
    story.caught_up(daemon, kafka, topics)

    bad = sum(e.key.startswith("bad-") for e in events)
    equal(totals(daemon.database)["dead_lettered"], bad)
    counted = daemon.get("/api/v1/models/credit")
    equal(counted["predictions"], 2000)


def _fill(path):
    """Writes until the disk takes no more."""
    with open(path, "ab", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass


def _small_disk(story):
    disk = story.path("disk")
    os.makedirs(disk)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode:
        story.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    story.at_end(lambda: subprocess.run(["umount", "-l", disk], check=False))
    return disk


def F31_a_full_disk_stops_consuming_and_room_resumes_it_without_loss(story):
    kafka = story.kafka()
    disk = _small_disk(story)
    topics = story.topics(kafka, stream(2000, seed=61), 2)
    group = story.topic("group")
    settings = configuration(kafka.brokers, list(topics), group, storage={"path": f"{disk}/assay.db"})
    daemon = story.daemon(settings).start()
    story.caught_up(daemon, kafka, topics)

    _fill(f"{disk}/filler")
    more = stream(60_000, seed=610)
    sent = 0

    def full():
        """What fits into files that are there already is still committed: more, until it does not."""
        nonlocal sent
        for topic, kind in zip(topics, ("predictions", "labels")):
            kafka.produce(topic, [(e.key, e.value) for e in more[sent : sent + 4000] if e.kind == kind])
        sent += 4000
        _fill(f"{disk}/filler")
        return not daemon.is_ready()

    wait_until(full, 60, "the daemon to notice the full disk")
    status, text = daemon.request("GET", "/-/ready")
    equal(status, 503)
    assert "disk" in text or "full" in text, text
    equal(daemon.get("/api/v1/models/credit")["name"], "credit")

    os.remove(f"{disk}/filler")
    wait_until(daemon.is_ready, 60, "the daemon to go on")
    check_as_undisturbed(story, kafka, topics, daemon)
    check_sound(daemon.database)


def _replay_on_a_disk_with(story, disk, room, source, events):
    """`assay replay` of `source` into a new database on a disk that has `room` bytes left: (process, file of its errors)."""
    settings = configuration(storage={"path": f"{disk}/assay.db"})
    settings["alerts"] = [{"name": "low", "model": "credit", "metric": "accuracy", "window": "1h", "below": 0.1}]
    with open(story.path("assay.yaml"), "w", encoding="utf-8") as out:
        out.write(yaml(settings))
    for name in os.listdir(disk):
        os.remove(f"{disk}/{name}")
    _fill(f"{disk}/filler")
    os.truncate(f"{disk}/filler", os.path.getsize(f"{disk}/filler") - room)
    errors = story.path("errors")
    with open(errors, "wb") as said:
        process = subprocess.Popen(
            [PROGRAM, "replay", "-c", "assay.yaml", source], cwd=story.folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
        )
    story.at_end(lambda: process.poll() is None and process.kill())
    if source == "-":
        threading.Thread(target=_feed, args=(process.stdin, events), daemon=True).start()
    return process, errors


def _feed(pipe, path):
    try:
        with open(path, "rb") as events, pipe:
            shutil.copyfileobj(events, pipe)
    except BrokenPipeError:
        pass  # who reads has ended


def _text(path):
    with open(path, encoding="utf-8") as said:
        return said.read()


def F31_a_replay_says_that_the_disk_is_full_and_goes_on_when_there_is_room(story):
    disk = _small_disk(story)
    events = write_jsonl(story.path("events.jsonl"), stream(20_000, seed=62))
    process, errors = _replay_on_a_disk_with(story, disk, 2_000_000, events, events)
    full = f"assay: {disk}/assay.db: the disk is full: nothing is taken until that is over; Ctrl-C ends the replay, and what is stored is kept\n"

    wait_until(lambda: _text(errors), 60, "the replay to say that it waits")
    equal(_text(errors), full)
    os.remove(f"{disk}/filler")
    equal(process.wait(timeout=120), 0)

    equal(_text(errors), full + f"assay: {disk}/assay.db: takes events again\n")
    with open(events, "rb") as lines:
        equal(totals(f"{disk}/assay.db")["consumed"], sum(1 for _ in lines))


def F31_standard_input_that_a_full_disk_cut_says_where_to_go_on(story):
    disk = _small_disk(story)
    events = write_jsonl(story.path("events.jsonl"), stream(20_000, seed=62))
    process, errors = _replay_on_a_disk_with(story, disk, 2_000_000, "-", events)

    equal(process.wait(timeout=120), 74)

    stored = totals(f"{disk}/assay.db")["consumed"]
    end = f": no room on the disk: standard input cannot be read again; its first {stored} lines are stored: give the others, or all of it as a file\n"
    assert _text(errors).startswith(f"assay: {disk}/assay.db: ") and _text(errors).endswith(end), (stored, _text(errors))


def F33_a_file_that_is_no_database_is_refused_and_left_alone(story):
    daemon = story.daemon(configuration())
    path = daemon.write_configuration()
    with open(daemon.database, "wb") as out:
        out.write(b"these are my holiday notes\n" * 500)

    code, _, errors = run_program("serve", "-c", path, cwd=daemon.folder, timeout=20)

    equal(code, 65, errors)
    assert "assay verify" in errors, errors
    with open(daemon.database, "rb") as kept:
        equal(kept.read(), b"these are my holiday notes\n" * 500)


def F33_damaged_pages_are_found_and_nothing_is_repaired(story):
    settings = configuration()
    database = story.replay("assay", settings, [write_jsonl(story.path("events"), stream(500, seed=62))])
    daemon = story.daemon(settings)
    with open(database, "r+b") as out:
        size = os.path.getsize(database)
        for page in range(1, size // 4096):
            out.seek(page * 4096)
            out.write(b"\xa5" * 512)

    code, _, errors = run_program("verify", database)
    equal(code, 1, errors)
    code, _, errors = run_program("serve", "-c", daemon.write_configuration(), cwd=daemon.folder, timeout=20)
    equal(code, 65, errors)
    assert "assay verify" in errors, errors


def F35_a_database_of_a_newer_version_is_refused_by_name(story):
    settings = configuration()
    database = story.replay("assay", settings, [write_jsonl(story.path("events"), stream(50, seed=63))])
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    daemon = story.daemon(settings)

    code, _, errors = run_program("serve", "-c", daemon.write_configuration(), cwd=daemon.folder, timeout=20)

    equal(code, 65, errors)
    assert "newer" in errors and "999" in errors, errors


def a_wrong_configuration_is_named_by_file_line_and_key(story):
    story.need_program()
    path = story.path("assay.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write("storage: {path: a.db}\nmodels:\n  - {name: credit, task: binary, thresold: 0.5}\n")

    code, _, errors = run_program("check", path)

    assert code != 0
    assert "assay.yaml:3" in errors and "thresold" in errors, errors


def an_address_beyond_loopback_without_protection_is_refused(story):
    daemon = story.daemon(configuration(http={"listen": "0.0.0.0:0"}))

    code, _, errors = run_program("serve", "-c", daemon.write_configuration(), cwd=daemon.folder, timeout=20)

    assert code != 0
    assert "insecure" in errors or "tls" in errors.lower(), errors


def F29_a_clock_far_before_the_newest_commit_is_refused_unless_accepted(story):
    daemon = story.daemon(configuration()).start()
    daemon.terminate()
    ahead = time.time() + 2 * 3600  # the clock was right then, and is two hours behind now
    os.utime(daemon.database, (ahead, ahead))

    code, _, errors = run_program("serve", "-c", daemon.write_configuration(), cwd=daemon.folder, timeout=30)

    assert code != 0
    assert "more than an hour before " + daemon.database + " was last written" in errors, errors
    assert "start with --accept-clock" in errors, errors
    os.utime(daemon.database, (ahead, ahead))
    daemon.start("--accept-clock")
    daemon.terminate()
    nearly = time.time() + 3000  # a clock may be wrong by less
    os.utime(daemon.database, (nearly, nearly))
    daemon.start()
