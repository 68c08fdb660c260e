"""What a story of tests/integration is given, and how one is run: story.py FILE FUNCTION.

Exit code 0 passed, 77 skipped (the reason is the last line), else failed.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import traceback

import kafka as kafka_module

SKIPPED = 77


class Skip(Exception):
    pass


def long(function):
    """Marks a story that takes a minute or more (the runner reads the mark from the source)."""
    return function


def equal(got, expected, what=""):
    assert got == expected, f"{what}\n     got {got!r}\nexpected {expected!r}"


class Story:
    """A temporary folder, names of its own on the shared broker, and an end that cleans up."""

    def __init__(self, name):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="assay-story-")
        self._at_end = []
        self._kafka = None

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
