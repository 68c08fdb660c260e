"""The real program under test: started, asked, paused, killed and started again.

    daemon = Daemon(folder, configuration(brokers=kafka.brokers, topics=[…]))
    daemon.start()                      # serve, and wait for /-/ready
    daemon.get("/api/v1/models")        # JSON
    daemon.kill9(); daemon.start()
"""

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from kafka import ROOT, free_port, undivided, wait_until

BUILD = os.environ.get("ASSAY_BUILD", "build")
PROGRAM = os.path.join(ROOT, BUILD, "cli", "assay")


def models(task="binary", name="credit", **more):
    """One model as the configuration lists it."""
    model = {"name": name, "task": task, "label_horizon": "7d", "segments": ["country"], **more}
    if task == "binary":
        model.setdefault("positive", 1)
    return [model]


def configuration(brokers=None, topics=(), group="assay", kafka=None, **sections):
    """A configuration as nested values; a section given here replaces the default one."""
    made = {"storage": {"path": "assay.db"}, "http": {"listen": f"127.0.0.1:{free_port()}"}, "models": models()}
    if brokers:
        listed = [t if isinstance(t, dict) else {"name": t, "format": "assay"} for t in topics]
        made["kafka"] = {"brokers": brokers, "group": group, "topics": listed, **(kafka or {})}
    made.update(sections)
    return made


def yaml(value):
    """JSON is YAML's flow style: what the daemon reads is plain text like a person's."""
    return "".join(f"{key}: {json.dumps(part)}\n" for key, part in value.items())


class AssayError(Exception):
    """An answer that is an error: .status and .body (problem+json)."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.body = body


def run_program(*arguments, cwd=None, data=b"", timeout=120, environment=None):
    """(exit code, standard output, standard error) of one `assay …`."""
    done = subprocess.run(
        [PROGRAM, *arguments],
        input=data,
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


class Daemon:
    """One `assay serve` in a folder of its own; the configuration can be changed between starts."""

    def __init__(self, folder, settings):
        self.folder = folder
        self.settings = settings
        self.process = None
        self.log_path = os.path.join(folder, "assay.log")
        os.makedirs(folder, exist_ok=True)

    @property
    def url(self):
        return "http://" + self.settings["http"]["listen"]

    @property
    def database(self):
        return os.path.join(self.folder, self.settings["storage"]["path"])

    def write_configuration(self):
        """Whole at any moment: a daemon may be reading it again."""
        path = os.path.join(self.folder, "assay.yaml")
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(yaml(self.settings))
        os.replace(path + ".new", path)
        return path

    def start(self, *options, wait=True, environment=None, program=PROGRAM):
        path = self.write_configuration()
        with open(self.log_path, "ab") as log, undivided():
            self.process = subprocess.Popen(
                [program, "serve", "-c", path, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        def ready():
            self.must_run()
            return self.is_ready()

        wait_until(ready, timeout, "/-/ready")

    def wait_answering(self, timeout=60):
        def healthy():
            self.must_run()
            try:
                return self.request("GET", "/-/healthy")[0] == 200
            except OSError:
                return False

        wait_until(healthy, timeout, "/-/healthy")

    def is_ready(self):
        try:
            return self.request("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def must_run(self):
        if self.process.poll() is not None:
            raise AssertionError(f"assay ended with code {self.process.returncode}:\n{self.log()[-3000:]}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    # --- signals ---

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, timeout=30):
        """SIGTERM: drain, commit, leave. Returns the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def hangup(self):
        self.process.send_signal(signal.SIGHUP)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        if self.running():
            self.resume()
            self.kill9()

    # --- asking ---

    def request(self, method, path, body=None, headers=None, timeout=30):
        """(status, text); an error status is an answer like any other."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        if data is not None and not asked.has_header("Content-type"):
            asked.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(asked, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def get(self, path):
        status, text = self.request("GET", path)
        if status != 200:
            raise AssayError(status, text)
        return json.loads(text)

    def post(self, path, body):
        status, text = self.request("POST", path, body)
        if status >= 300:
            raise AssayError(status, text)
        return json.loads(text) if text else None

    def own_metrics(self):
        """/metrics as {"name": sum over its label sets, 'name{a="b"}': value}."""
        status, text = self.request("GET", "/metrics")
        if status != 200:
            raise AssayError(status, text)
        found = {}
        for line in text.splitlines():
            match = re.match(r"^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)", line)
            if match:
                name, labels, value = match.groups()
                found[name] = found.get(name, 0.0) + float(value)
                if labels:
                    found[name + labels] = float(value)
        return found

    def own(self, name):
        """One of the daemon's own figures by the end of its name: own("broker_up")."""
        found = self.own_metrics()
        for known in (f"assay_{name}", f"assay_{name}_total"):
            if known in found:
                return found[known]
        ends = sorted(k for k in found if "{" not in k and (k.endswith(f"_{name}") or k.endswith(f"_{name}_total")))
        assert len(ends) == 1, f"{name}: {ends or sorted(k for k in found if '{' not in k)}"
        return found[ends[0]]

    def points(self, model, metrics, window, start, end, segment=None, version="*", step=None):
        """{(version, metric, start): point} of a series request."""
        asked = {"metric": ",".join(metrics), "window": window, "step": step or window, "from": start, "to": end}
        asked |= {"version": version} if version else {}
        asked |= {"segment": segment} if segment else {}
        path = f"/api/v1/models/{urllib.parse.quote(model, safe='')}/metrics?{urllib.parse.urlencode(asked)}"
        return _points(self.get(path))

    def memory_bytes(self):
        """What the process holds in memory now (resident)."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024


class Offline:
    """The same questions to a database that no daemon runs on, by `assay query`."""

    def __init__(self, database):
        self.database = database

    def query(self, what, *options):
        code, out, errors = run_program("query", "--db", self.database, what, *options)
        assert code == 0, f"query {what} {options}: {errors}"
        return json.loads(out)

    def points(self, model, metrics, window, start, end, segment=None, version="*", step=None):
        options = ["--model", model, "--metric", ",".join(metrics), "--window", window, "--step", step or window]
        options += ["--from", str(start), "--to", str(end)]
        if version:
            options += ["--version", version]
        if segment:
            options += ["--segment", segment]
        return _points(self.query("metrics", *options))


def _points(answer):
    return {
        (series.get("version"), series["metric"], point["start"]): point
        for series in answer["series"]
        for point in series["points"]
    }


def wait_a_moment(seconds):
    """For stories in which nothing must happen: there is no event to wait for."""
    time.sleep(seconds)
