"""A backup taken while events flow is whole, and a daemon restored from it catches up. Row F37."""

import os
import shutil
import subprocess

from daemon import PROGRAM, configuration, run_program
from database import check_identity, check_sound, offsets, totals
from events import stream
from kafka import wait_until
from story import equal, short
from undisturbed import QUICK, Trickle, check_as_undisturbed


@short
def F37_a_backup_under_load_restores_to_the_same_bits(story):
    kafka = story.kafka()
    events = stream(5000, seed=70)
    topics = story.topics(kafka, events, 3, produce=False)
    settings = configuration(kafka.brokers, list(topics), story.topic("group"), {"properties": QUICK})
    daemon = story.daemon(settings).start()
    flow = Trickle(kafka, topics, events, seconds=6)
    wait_until(lambda: sum(offsets(daemon.database).values()) > 1000, 60, "the first events")

    code, _, errors = run_program("backup", "-c", "assay.yaml", "copy.db", cwd=daemon.folder)
    equal(code, 0, errors)
    copy = os.path.join(daemon.folder, "copy.db")
    check_sound(copy)
    check_identity(copy)
    equal(run_program("verify", copy)[0], 0)
    flow.finish()
    story.caught_up(daemon, kafka, topics)
    assert 0 < totals(copy)["consumed"] < totals(daemon.database)["consumed"], "taken in the middle"

    daemon.kill9()
    for name in os.listdir(daemon.folder):
        if name.startswith("assay.db"):
            os.remove(os.path.join(daemon.folder, name))
    shutil.copy(copy, daemon.database)
    daemon.start()

    check_as_undisturbed(story, kafka, topics, daemon)


def a_backup_can_be_written_to_a_pipe(story):
    settings = configuration()
    events = story.path("events.jsonl")
    with open(events, "w", encoding="utf-8") as out:
        out.writelines(e.value + "\n" for e in stream(300, seed=71))
    database = story.replay("assay", settings, [events])

    done = subprocess.run([PROGRAM, "backup", "--db", database, "-"], capture_output=True, check=False)

    equal(done.returncode, 0, done.stderr)
    copy = story.path("piped.db")
    with open(copy, "wb") as out:
        out.write(done.stdout)
    check_sound(copy)
    equal(totals(copy), totals(database))
