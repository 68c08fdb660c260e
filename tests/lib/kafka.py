"""A real Apache Kafka for tests: one KRaft node on loopback, with its data in a folder that goes.

    with Kafka() as kafka:
        kafka.create_topic("predictions", partitions=3)
        kafka.produce("predictions", [("id-1", '{"type":"prediction"}')])
        lines = kafka.consume("predictions", n=1)

The jars come from `./dev setup`. The first start of a tree formats a data folder and writes an
archive of loaded classes; later starts copy the one and map the other, and take a second.
Topics are made and grown by a few bytes of Kafka's own protocol (no JVM start each); events are
written and read by kcat, the foreign client.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, ".cache", "kafka")
CLUSTER_ID = "AssayTestsAssayTests00"
# A topic's first batch may be refused and sent again: without this it then lies behind the second.
IN_ORDER = ["-X", "enable.idempotence=true"]
PORTS_FROM = 10240


def top_port():
    """Where the ports begin that the system gives to whoever connects."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as given:
        return max(int(given.read().split()[0]), 2 * PORTS_FROM)


def _ports():
    """The ports that free_port() gives, from a random one on, round and round.

    They lie below top_port(), so that nobody's outgoing connection takes one between the asking and the
    listening, nor while a broker is down. ASSAY_PORTS ("20000-25000") is what the
    runner leaves to one of the stories that it runs at a time.
    """
    first, end = map(int, os.environ.get("ASSAY_PORTS", f"{PORTS_FROM}-{top_port()}").split("-"))
    at = random.SystemRandom().randrange(first, end)
    while True:
        yield at
        at = at + 1 if at + 1 < end else first


_next_port = _ports()


def free_port():
    for port in _next_port:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass  # somebody listens there, or has just done so


def available():
    """None, or why there is no Kafka here."""
    if not os.path.isdir(os.path.join(CACHE, "libs")):
        return "Kafka's jars are not in .cache/kafka/libs: run ./dev setup"
    for program in ("java", "kcat"):
        if not shutil.which(program):
            return f"{program} is not installed: run ./dev setup"
    return None


class KafkaError(Exception):
    pass


class KafkaClient:
    """What any test asks of a broker, wherever it was started."""

    def __init__(self, port):
        self.port = port
        self.brokers = f"127.0.0.1:{port}"

    # --- the few administrative requests, in Kafka's wire format ---

    def _request(self, api_key, version, body, timeout=20):
        header = struct.pack(">hhih", api_key, version, 7, 5) + b"tests"
        payload = header + body
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            s.sendall(struct.pack(">i", len(payload)) + payload)
            size = struct.unpack(">i", _exactly(s, 4))[0]
            return _exactly(s, size)[4:]

    def create_topic(self, name, partitions=1, config=None):
        """CreateTopics v2; waits until every partition can be written to."""
        configs = b"".join(_string(k) + _string(str(v)) for k, v in (config or {}).items())
        topic = _string(name) + struct.pack(">ihi", partitions, 1, 0)
        topic += struct.pack(">i", len(config or {})) + configs
        answer = self._request(19, 2, struct.pack(">i", 1) + topic + struct.pack(">i?", 15000, False))
        code = struct.unpack(">h", answer[4 + 4 + 2 + len(name) :][:2])[0]
        if code not in (0, 36):  # 36: it exists
            raise KafkaError(f"CreateTopics {name}: error {code}")
        self._wait_for_leaders(name, partitions)

    def add_partitions(self, name, total):
        """CreatePartitions v0: the topic has `total` partitions from now on."""
        topic = _string(name) + struct.pack(">ii", total, -1)
        answer = self._request(37, 0, struct.pack(">i", 1) + topic + struct.pack(">i?", 15000, False))
        code = struct.unpack(">h", answer[4 + 4 + 2 + len(name) :][:2])[0]
        if code:
            raise KafkaError(f"CreatePartitions {name}: error {code}")
        self._wait_for_leaders(name, total)

    def delete_topic(self, name):
        """DeleteTopics v1; waits until it is gone."""
        answer = self._request(20, 1, struct.pack(">i", 1) + _string(name) + struct.pack(">i", 15000))
        code = struct.unpack(">h", answer[4 + 4 + 2 + len(name) :][:2])[0]
        if code:
            raise KafkaError(f"DeleteTopics {name}: error {code}")
        wait_until(lambda: not self._leaders(name), 15, f"topic {name} to go")

    def deny_topic(self, name, principal):
        """CreateAcls v1: this principal may do nothing with the topic."""
        # resource topic, literal; from any host, any operation, denied
        acl = struct.pack(">b", 2) + _string(name) + struct.pack(">b", 3)
        acl += _string(principal) + _string("*") + struct.pack(">bb", 2, 2)
        answer = self._request(30, 1, struct.pack(">i", 1) + acl)
        code = struct.unpack(">h", answer[4 + 4 :][:2])[0]
        if code:
            raise KafkaError(f"CreateAcls {name}: error {code}")

    def delete_records(self, name, partition, before):
        """DeleteRecords v0: the log of the partition begins at offset `before` from now on."""
        body = struct.pack(">i", 1) + _string(name)
        body += struct.pack(">iiq", 1, partition, before) + struct.pack(">i", 15000)
        answer = self._request(21, 0, body)
        # throttle, 1 topic, its name, 1 partition: index, low watermark, error
        low, code = struct.unpack(">qh", answer[4 + 4 + 2 + len(name) + 4 + 4 :][:10])
        if code or low != before:
            raise KafkaError(f"DeleteRecords {name}/{partition}: error {code}, low {low}")

    def _leaders(self, name):
        """Metadata v1: how many partitions of the topic have a leader."""
        answer = self._request(3, 1, struct.pack(">i", 1) + _string(name))
        at = 4
        for _ in range(struct.unpack(">i", answer[:4])[0]):  # brokers: id, host, port, rack
            at += 4
            at += 2 + struct.unpack(">h", answer[at : at + 2])[0]
            at += 4
            at += 2 + max(0, struct.unpack(">h", answer[at : at + 2])[0])
        at += 4 + 4  # controller, number of topics
        code = struct.unpack(">h", answer[at : at + 2])[0]
        at += 2
        at += 2 + struct.unpack(">h", answer[at : at + 2])[0] + 1
        count = struct.unpack(">i", answer[at : at + 4])[0]
        at += 4
        leaders = 0
        for _ in range(count):
            error, _, leader, replicas = struct.unpack(">hiii", answer[at : at + 14])
            at += 14 + 4 * replicas
            at += 4 + 4 * struct.unpack(">i", answer[at : at + 4])[0]
            leaders += error == 0 and leader >= 0
        return 0 if code else leaders

    def _wait_for_leaders(self, name, partitions):
        wait_until(lambda: self._leaders(name) >= partitions, 15, f"leaders of {name}")

    # --- events, by kcat ---

    def produce(self, topic, events, partition=None, transaction=None, properties=()):
        """Writes (key, value) pairs in order; the key alone chooses the partition unless one is given.

        A `transaction` id writes them in one transaction, which leaves a hole in the offsets.
        """
        command = ["kcat", "-P", "-b", self.brokers, "-t", topic, "-K", "\\x1f", "-X", "linger.ms=5"]
        command += ["-X", "compression.codec=lz4", *IN_ORDER]
        if partition is not None:
            command += ["-p", str(partition)]
        if transaction:
            command += ["-X", f"transactional.id={transaction}"]
        for item in properties:
            command += ["-X", item]
        lines = "".join(f"{key}\x1f{value}\n" for key, value in events)
        self._run(command, lines.encode(), f"produce to {topic}")

    def produce_bytes(self, topic, payload, key="", partition=None, headers=()):
        """One message of any bytes, newlines included."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(payload)
            file.flush()
            command = ["kcat", "-P", "-b", self.brokers, "-t", topic, "-k", key]
            if partition is not None:
                command += ["-p", str(partition)]
            for name, value in headers:
                command += ["-H", f"{name}={value}"]
            self._run(command + [file.name], b"", f"produce to {topic}")

    def producer(self, topic):
        """A writer that stays open: .send([(key, value)…]), .close() when all is to be in the log."""
        return Producer(self.brokers, topic)

    def member(self, group, topics, properties=()):
        """Another consumer in the group, reading on until .leave() or .kill()."""
        return Member(self.brokers, group, topics, properties)

    def consume(self, topic, n=None, partition=None, form="%s\\n", timeout=30):
        """What lies in the topic, as lines of kcat's format; the first n, or up to the end."""
        command = ["kcat", "-C", "-q", "-b", self.brokers, "-t", topic, "-o", "beginning", "-f", form]
        command += ["-c", str(n)] if n is not None else ["-e"]
        if partition is not None:
            command += ["-p", str(partition)]
        return self._run(command, b"", f"consume {topic}", timeout).decode().splitlines()

    def ends(self, topic, partitions):
        """Each partition's high watermark."""
        command = ["kcat", "-Q", "-b", self.brokers]
        for partition in range(partitions):
            command += ["-t", f"{topic}:{partition}:-1"]
        ends = {}
        for line in self._run(command, b"", f"offsets of {topic}").decode().splitlines():
            place, offset = line.split("offset")
            ends[int(place[place.index("[") + 1 : place.index("]")])] = int(offset)
        return [ends[p] for p in range(partitions)]

    @staticmethod
    def _run(command, data, what, timeout=60):
        done = subprocess.run(command, input=data, capture_output=True, timeout=timeout, check=False)
        if done.returncode:
            raise KafkaError(f"{what}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


class Producer:
    def __init__(self, brokers, topic):
        command = ["kcat", "-P", "-b", brokers, "-t", topic, "-K", "\\x1f", "-X", "linger.ms=5", "-T", *IN_ORDER]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def send(self, events):
        self.process.stdin.write("".join(f"{key}\x1f{value}\n" for key, value in events).encode())
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        if self.process.wait(60):
            raise KafkaError(f"kcat ended with code {self.process.returncode}")


class Member:
    """A kcat in a consumer group; what it reads it drops, what it does with the group counts."""

    def __init__(self, brokers, group, topics, properties=()):
        command = ["kcat", "-b", brokers, "-X", "partition.assignment.strategy=range"]
        for item in ("session.timeout.ms=6000", "auto.offset.reset=earliest", *properties):
            command += ["-X", item]
        command += ["-G", group, *topics]
        self.log = tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log
        )

    def wait_assigned(self, timeout=60):
        """Until the group gave it partitions."""

        def assigned():
            with open(self.log.name, encoding="utf-8", errors="replace") as log:
                return "assigned: " in log.read()

        wait_until(assigned, timeout, "a second member to be given partitions")

    def leave(self):
        """In order: the group hears of it at once. Offsets it read are committed in its name."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def kill(self):
        self.process.kill()
        self.process.wait()


class _Ending:
    """Whether SIGTERM has to wait, and whether one does."""

    waits = False
    came = False


def _end(*_):
    if not _Ending.waits:
        sys.exit(143)
    _Ending.came = True


def end_with_what_was_started():
    """From now on SIGTERM (a `timeout`) ends this program as an exception does, and with it brokers and daemons."""
    signal.signal(signal.SIGTERM, _end)


@contextlib.contextmanager
def undivided():
    """What is started in it is known to who started it before SIGTERM ends this program, so that it can be ended, too."""
    _Ending.waits = True
    try:
        yield
    finally:
        _Ending.waits = False
    if _Ending.came:
        sys.exit(143)


class Kafka(KafkaClient):
    """A broker of the test's own: start, stop, kill, start again on the same data and port."""

    def __init__(self, settings=None, heap="512m"):
        super().__init__(free_port())
        self.settings = settings or {}
        self.heap = heap
        self.folder = None
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:  # also what ends this program while it waits
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def start(self, wait=True):
        if not self.folder:
            self.folder = tempfile.mkdtemp(prefix="assay-kafka-")
            os.mkdir(f"{self.folder}/tmp")
            self._write_properties()
            self._format()
        command = ["java"] + self._jvm() + ["kafka.Kafka", f"{self.folder}/server.properties"]
        with open(f"{self.folder}/broker.log", "ab") as log, undivided():
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout=60):
        def ready():
            if self.process.poll() is not None:
                raise KafkaError(f"Kafka ended with code {self.process.returncode}:\n{self.log_tail()}")
            try:
                self._leaders("__none_of_this_name")
                return True
            except (OSError, KafkaError):
                return False

        wait_until(ready, timeout, "Kafka to answer")

    def stop(self):
        """An orderly stop; the data stays."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._keep_archive()

    def kill(self):
        """kill -9; the data stays."""
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill() if os.path.exists(f"{CACHE}/kafka.jsa") else self.stop()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self):
        with open(f"{self.folder}/broker.log", encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def _jvm(self):
        options = [f"-Xmx{self.heap}", "-Xms128m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto"]
        # a killed broker leaves the libraries that it unpacked
        options += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", f"-Djava.io.tmpdir={self.folder}/tmp"]
        if os.path.exists(f"{CACHE}/kafka.jsa"):
            options += [f"-XX:SharedArchiveFile={CACHE}/kafka.jsa", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        else:
            options += [f"-XX:ArchiveClassesAtExit={self.folder}/kafka.jsa"]
        return options + ["-cp", f"{CACHE}/libs/*"]

    def _keep_archive(self):
        if os.path.exists(f"{self.folder}/kafka.jsa") and not os.path.exists(f"{CACHE}/kafka.jsa"):
            unfinished = f"{CACHE}/kafka.jsa.{os.getpid()}"
            shutil.copy(f"{self.folder}/kafka.jsa", unfinished)
            os.rename(unfinished, f"{CACHE}/kafka.jsa")

    def _write_properties(self):
        controller = free_port()
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": f"{self.folder}/data",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "auto.create.topics.enable": "false",
            "controlled.shutdown.enable": "false",
            "group.min.session.timeout.ms": 1000,
            "broker.session.timeout.ms": 1000,  # or a killed broker is remembered for 9 s
            "broker.heartbeat.interval.ms": 200,
            "log.cleaner.enable": "false",
            "log.retention.check.interval.ms": 1000,
            "file.delete.delay.ms": 100,
            "delete.topic.enable": "true",
            "message.max.bytes": 2000000,
        }
        settings.update(self.settings)
        with open(f"{self.folder}/server.properties", "w", encoding="utf-8") as out:
            for key, value in settings.items():
                out.write(f"{key}={value}\n")

    def _format(self):
        """A formatted data folder holds no port and no path: one is made a tree, others are copies."""
        kept = f"{CACHE}/formatted"
        if not os.path.isdir(kept):
            command = ["java", "-Xshare:auto", "-cp", f"{CACHE}/libs/*", "kafka.tools.StorageTool", "format"]
            command += ["-t", CLUSTER_ID, "-c", f"{self.folder}/server.properties"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise KafkaError(f"StorageTool format: {done.stdout}{done.stderr}")
            unfinished = f"{kept}.{os.getpid()}"
            shutil.copytree(f"{self.folder}/data", unfinished)
            try:
                os.rename(unfinished, kept)
            except OSError:  # somebody else was first
                shutil.rmtree(unfinished)
        else:
            shutil.copytree(kept, f"{self.folder}/data")


def _string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def _exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise OSError("the broker closed the connection")
        data += more
    return data


def patience():
    """How many times as long as on a quiet machine something may take, now."""
    return 1 + os.getloadavg()[0] / (os.cpu_count() or 1)


def wait_until(true, seconds, what):
    """Polls until true() is; the time is only a guard against waiting for ever (a loaded machine has more).

    Asked before the first event, a daemon says 404 (no such model yet) or 503 (not ready): that is "not yet".
    """
    end = time.monotonic() + seconds * patience()
    last = None
    while True:
        try:
            if true():
                return
        except Exception as error:
            if getattr(error, "status", None) not in (404, 503):
                raise
            last = error
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain for {what}" + (f"; last: {last}" if last else ""))
        time.sleep(0.02)
