"""What a story of tests/integration is given, and how one is run: story.py FILE FUNCTION.

Exit code 0 passed, 77 skipped (the reason is the last line), else failed.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import traceback

import daemon as daemon_module
import database
import events as events_module
import kafka as kafka_module

SKIPPED = 77


class Skip(Exception):
    pass


def long(function):
    """Marks a story that takes a minute or more (the runner reads the mark from the source)."""
    return function


def equal(got, expected, what=""):
    assert got == expected, f"{what}\n     got {got!r}\nexpected {expected!r}"


def short(function):
    """Marks a story that the builds with sanitizers run too."""
    return function


class Story:
    """A temporary folder, names of its own on the shared broker, and an end that cleans up."""

    def __init__(self, name):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="assay-story-")
        self._at_end = []
        self._daemons = []

    def at_end(self, call):
        """call() is made when the story ends, the last one given first."""
        self._at_end.append(call)

    def end(self, keep):
        for call in reversed(self._at_end):
            try:
                call()
            except Exception:  # the others must be called all the same
                traceback.print_exc()
        if keep:
            for daemon in self._daemons:
                print(f"--- the end of {daemon.log_path}\n{daemon.log()[-4000:]}")
            print(f"its files are kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def skip(self, why):
        raise Skip(why)

    def path(self, name):
        return os.path.join(self.folder, name)

    # --- Kafka ---

    def kafka(self):
        """The shared broker: create topics under self.topic(…) names, break nothing."""
        if "ASSAY_NO_KAFKA" in os.environ:
            self.skip(os.environ["ASSAY_NO_KAFKA"])
        if "ASSAY_TEST_KAFKA" not in os.environ:
            return self.own_kafka()
        return kafka_module.KafkaClient(int(os.environ["ASSAY_TEST_KAFKA"]))

    def own_kafka(self, settings=None):
        """A broker that this story may stop, kill and bend."""
        if kafka_module.available():
            self.skip(kafka_module.available())
        broker = kafka_module.Kafka(settings)
        self.at_end(broker.remove)
        broker.start()
        return broker

    def topic(self, name):
        """A topic's name that no other story uses."""
        return f"{self.name}-{os.path.basename(self.folder)[-6:]}-{name}".replace("_", "-")

    def topics(self, kafka, events, partitions, produce=True):
        """{"…-predictions": n, "…-labels": n}, created, and filled with the events."""
        parts = events_module.by_kind(events)
        made = {}
        for kind in ("predictions", "labels"):
            name = self.topic(kind)
            kafka.create_topic(name, partitions)
            if produce and parts.get(kind):
                kafka.produce(name, parts[kind])
            made[name] = partitions
        return made

    # --- Assay ---

    def need_program(self):
        if not os.path.exists(daemon_module.PROGRAM):
            raise AssertionError(f"{daemon_module.PROGRAM} is not built: run ./dev build")

    def daemon(self, settings, name="assay"):
        """A daemon in a folder of its own, not started yet; ended with the story."""
        self.need_program()
        daemon = daemon_module.Daemon(self.path(name), settings)
        self._daemons.append(daemon)
        self.at_end(daemon.end)
        return daemon

    def replay(self, name, settings, files, expect=0):
        """`assay replay` of files into a new database; its path (or the error text, when expected)."""
        self.need_program()
        folder = self.path(name)
        os.makedirs(folder, exist_ok=True)
        settings = {key: part for key, part in settings.items() if key != "kafka"}
        with open(f"{folder}/assay.yaml", "w", encoding="utf-8") as out:
            out.write(daemon_module.yaml(settings))
        code, _, errors = daemon_module.run_program(
            "replay", "-c", "assay.yaml", *files, cwd=folder, timeout=600
        )
        equal(code, expect, f"replay said: {errors}")
        return errors if expect else os.path.join(folder, settings["storage"]["path"])

    def caught_up(self, daemon, kafka, topics, timeout=120, holes=0):
        """Waits until the database holds every event of these topics, then checks the identity.

        topics: {name: partitions}; holes: offsets at the very end that hold no event.
        """
        ends = {}
        for topic, partitions in topics.items():
            for partition, end in enumerate(kafka.ends(topic, partitions)):
                if end > 0:
                    ends[topic, partition] = end - holes

        def there():
            daemon.must_run()
            got = database.offsets(daemon.database)
            return all(got.get(place, 0) >= end for place, end in ends.items())

        try:
            kafka_module.wait_until(there, timeout, "the daemon to catch up")
        except TimeoutError as late:
            raise AssertionError(f"{late}: has {database.offsets(daemon.database)}, should have {ends}") from None
        database.check_identity(daemon.database)


def run(file, function):
    spec = importlib.util.spec_from_file_location("story_file", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    story = Story(os.path.basename(file)[:-3])
    failed = True
    try:
        getattr(module, function)(story)
        failed = False
    except Skip as skipped:
        failed = False
        print(f"skip: {skipped}")
        return SKIPPED
    finally:
        story.end(keep=failed and "CI" not in os.environ)
    return 0


if __name__ == "__main__":
    sys.modules["story"] = sys.modules["__main__"]  # stories say `from story import long`
    sys.exit(run(sys.argv[1], sys.argv[2]))
