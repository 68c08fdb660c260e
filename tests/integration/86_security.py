"""Lines of docs/security.md that need the whole program: what it may do, what it keeps, what it says."""

import hashlib
import json
import os
import re
import socket
import stat
import subprocess

import alerting
from daemon import configuration, run_program
from events import label, prediction
from kafka import ROOT, wait_until
from story import equal

START = 1700000400000
TOKEN = "a-token-that-nobody-may-see"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def _tokens(story, scopes="read,ingest,operate,admin"):
    path = story.path("tokens.txt")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"ann:{scopes}:{hashlib.sha256(TOKEN.encode()).hexdigest()}:never\n")
    os.chmod(path, 0o600)
    return path


def _threads(pid):
    """{field: the values of all threads} of /proc."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as status:
            for line in status:
                name, _, value = line.partition(":")
                found.setdefault(name, set()).add(value.strip())
    return found


def S01_root_keeps_no_power_but_low_ports(story):
    if os.geteuid() != 0:
        story.skip("only root has powers to give up")
    daemon = story.daemon(configuration())
    daemon.start()

    threads = _threads(daemon.process.pid)

    low_ports = 1 << 10
    for field in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        for mask in threads[field]:
            equal(int(mask, 16) & ~low_ports, 0, field)
    equal(threads["NoNewPrivs"], {"1"})
    with open(f"/proc/{daemon.process.pid}/limits", encoding="ascii") as limits:
        core = next(line for line in limits if line.startswith("Max core file size"))
    equal(core.split()[4:6], ["0", "0"])


def _expired_certificate(folder):
    """One that ended years ago: openssl only makes those as an authority with a little database."""
    key, cert = os.path.join(folder, "old.key"), os.path.join(folder, "old.pem")
    with open(os.path.join(folder, "ca.cnf"), "w", encoding="utf-8") as out:
        out.write(
            f"[ca]\ndefault_ca=c\n[c]\ndatabase={folder}/index\nserial={folder}/serial\nnew_certs_dir={folder}\n"
            "default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n"
            "[e]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:true\n[req]\ndistinguished_name=n\n[n]\n"
        )
    for name, text in (("index", ""), ("serial", "01\n")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            out.write(text)
    config = ["-config", os.path.join(folder, "ca.cnf"), "-batch"]
    request = os.path.join(folder, "old.csr")
    for command in (
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=old", *config],
        ["ca", "-selfsign", "-keyfile", key, "-in", request, "-out", cert, "-notext", *config]
        + ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


def S10_an_expired_certificate_is_refused_and_its_end_is_told(story):
    cert, key = _expired_certificate(story.folder)
    settings = configuration()
    port = settings["http"]["listen"].rsplit(":", 1)[1]
    settings["http"].update({"tls": {"cert": cert, "key": key}, "tokens": _tokens(story)})
    settings["receivers"] = [
        {"name": "self", "type": "webhook", "url": f"https://127.0.0.1:{port}/", "ca_file": cert, "allow_private": True}
    ]
    daemon = story.daemon(settings)
    daemon.start(wait=False)

    def metrics():
        daemon.must_run()
        asked = ["curl", "-sk", "-H", f"Authorization: Bearer {TOKEN}", f"https://127.0.0.1:{port}/metrics"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    wait_until(lambda: "assay_tls_certificate_expiry_timestamp_seconds" in metrics(), 30, "/metrics over TLS")
    # 2020-02-01T00:00:00Z
    assert "\nassay_tls_certificate_expiry_timestamp_seconds 1580515200\n" in metrics()
    code, _, errors = run_program("alert", "test", "self", "-c", os.path.join(daemon.folder, "assay.yaml"))
    equal(code, 74)
    assert "certificate" in errors and "expired" in errors, errors


def S10_a_rule_tells_of_a_certificate_that_ends_soon(story):
    cert, key = _expired_certificate(story.folder)
    settings = configuration(alerts=[{"name": "tls-ends", "certificate": "14d"}])
    url = "https://" + settings["http"]["listen"]
    settings["http"].update({"tls": {"cert": cert, "key": key}, "tokens": _tokens(story)})
    daemon = story.daemon(settings)
    daemon.start(wait=False)

    def curl(path, *options):
        daemon.must_run()
        asked = ["curl", "-sk", "-H", f"Authorization: Bearer {TOKEN}", *options, url + path]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    event = prediction("p", START, score=0.9).value
    wait_until(lambda: '"accepted":1' in curl("/api/v1/events", "-d", event), 30, "an event over TLS")
    wait_until(lambda: '"tls-ends"' in curl("/api/v1/alerts"), 30, "the alert")
    items = json.loads(curl("/api/v1/alerts"))["items"]
    equal([(item["rule"], item["state"]) for item in items], [("tls-ends", "firing")])
    assert "ended at 2020-02-01T00:00:00" in json.dumps(items), items


def S10_the_alerting_rules_fire_before_a_certificate_ends(story):
    rules = os.path.join(ROOT, "deploy", "prometheus", "assay-rules.yml")
    test = {
        "rule_files": [rules],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    # the test's time begins at 0: ten days and twenty days from then
                    {"series": 'assay_tls_certificate_expiry_timestamp_seconds{instance="soon"}', "values": "864000x10"},
                    {"series": 'assay_tls_certificate_expiry_timestamp_seconds{instance="late"}', "values": "1728000x10"},
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "5m",
                        "alertname": "AssayCertificateExpires",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "warning", "instance": "soon"},
                                "exp_annotations": {
                                    "summary": "The certificate of Assay ends in less than 14 days; replace it and send SIGHUP"
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    path = story.path("rules-test.yml")
    with open(path, "w", encoding="utf-8") as out:
        json.dump(test, out)
    for command in (["check", "rules", rules], ["test", "rules", path]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        equal(done.returncode, 0, done.stdout + done.stderr)


def S11_no_secret_is_in_anything_that_is_said(story):
    receiver = alerting.receiver(story)
    settings = alerting.settings(story, receiver)
    settings["http"]["tokens"] = _tokens(story)
    settings["receivers"].append({"name": "page", "type": "slack", "url_file": story.path("hook.url")})
    settings["kafka"] = {
        "brokers": "127.0.0.1:1",
        "group": "g",
        "topics": [{"name": "t", "format": "assay"}],
        "properties": {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u",
                       "sasl.password": "${KAFKA_CANARY}"},
    }
    with open(story.path("hook.url"), "w", encoding="utf-8") as out:
        out.write(receiver.url + "canary-of-slack\n")
    canaries = [TOKEN, alerting.SECRET.removeprefix("whsec_"), "canary-of-slack", "canary-of-kafka"]
    environment = {"KAFKA_CANARY": "canary-of-kafka"}
    daemon = story.daemon(settings)
    config = daemon.write_configuration()
    said = list(run_program("check", config, environment=environment)[1:])

    daemon.start(wait=False, environment=environment)
    daemon.wait_answering()
    alerting_event = prediction("a", START, score=0.5).value.encode()
    for method, path, body, headers in (
        ("GET", "/api/v1/system", None, ADMIN), ("GET", "/metrics", None, ADMIN), ("GET", "/-/ready", None, {}),
        ("GET", "/api/v1/audit", None, ADMIN), ("GET", "/api/v1/deliveries", None, ADMIN), ("GET", "/api/v1/models", None, {}),
        ("POST", "/api/v1/receivers/page/test", b"{}", ADMIN), ("POST", "/api/v1/receivers/oncall/test", b"{}", ADMIN),
        ("POST", "/api/v1/events", alerting_event, ADMIN), ("GET", f"/api/v1/models?{TOKEN[:8]}", None, ADMIN),
        ("GET", "/api/v1/session", None, ADMIN),
    ):
        status, text = daemon.request(method, path, body, headers)
        assert status, path
        said.append(text)
    daemon.hangup()
    wait_until(lambda: len(daemon.log().splitlines()) > 1, 20, "a line of the log")
    with open(f"/proc/{daemon.process.pid}/cmdline", encoding="utf-8") as line:
        said.append(line.read())
    daemon.terminate()
    said.append(daemon.log())
    with open(daemon.database, "rb") as database:
        said.append(database.read().decode("latin-1"))

    assert len(receiver.attempts) >= 1, "the receiver was told"
    for canary in canaries:
        for text in said:
            assert canary not in text, (canary, text[max(0, text.find(canary) - 200) :][:400])


def S12_of_an_event_only_numbers_are_kept(story):
    settings = configuration(storage={"path": "assay.db", "dead_letter_payload": "masked"})
    settings["models"][0]["features"] = {"income": {"type": "numeric"}, "city": {"type": "categorical"}}
    settings["http"]["tokens"] = _tokens(story, "ingest,read")
    daemon = story.daemon(settings)
    daemon.start(wait=False)
    daemon.wait_answering()
    events = [
        prediction(f"request-of-{i}", START + i, unit=f"person-{i}", score=0.5, features={"income": 51234.5 + i, "city": "berlin"})
        for i in range(50)
    ]
    events += [label(f"request-of-{i}", START + 100, 1) for i in range(40)]
    refused = b'{"type":"prediction","id":"Erika 4711","model":7}'
    for body in ("\n".join(event.value for event in events).encode(), refused):
        equal(daemon.request("POST", "/api/v1/events", body, ADMIN)[0], 200)

    status, _ = daemon.request("GET", "/api/v1/dead-letters", headers=ADMIN)
    equal(status, 403, "what was refused is for admins")
    _tokens(story, "admin")
    daemon.hangup()
    wait_until(lambda: daemon.request("GET", "/api/v1/dead-letters", headers=ADMIN)[0] == 200, 20, "the new scope")
    letters = json.loads(daemon.request("GET", "/api/v1/dead-letters", headers=ADMIN)[1])["items"]
    equal([letter["payload"] for letter in letters], ['{"xxxx":"xxxxxxxxxx","xx":"xxxxx 9999","xxxxx":9}'])

    daemon.terminate()
    stored = b""
    for name in os.listdir(daemon.folder):
        if name.startswith("assay.db"):
            with open(os.path.join(daemon.folder, name), "rb") as file:
                stored += file.read()
    assert b"credit" in stored, "the database was read"
    for word in (b"person-", b"request-of-", b"Erika", b"51234.5"):
        assert word not in stored, word


def S13_files_are_for_their_owner_alone(story):
    daemon = story.daemon(configuration())
    old = os.umask(0)  # what is made must not rest on a careful umask
    try:
        daemon.start()
        equal(daemon.request("POST", "/api/v1/events", prediction("a", START, score=0.5).value.encode())[0], 200)
        copy, tokens = story.path("copy.db"), story.path("made.txt")
        equal(run_program("backup", "--db", daemon.database, copy)[0], 0)
        equal(run_program("token", "new", "ann", "read", "--file", tokens)[0], 0)
    finally:
        os.umask(old)

    made = [os.path.join(daemon.folder, name) for name in os.listdir(daemon.folder) if name.startswith("assay.db")]
    assert len(made) >= 3, made  # the database, its WAL and what goes with it
    for path in [*made, copy, tokens]:
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)


def S13_control_characters_cannot_forge_a_line_of_the_log(story):
    settings = configuration()
    settings["receivers"] = [{"name": "away", "type": "webhook", "url": "http://127.0.0.1:1/", "allow_private": True}]
    settings["route"] = {"receiver": "away", "group_wait": "0s"}
    settings["models"][0]["name"] = "credit\n2026-01-01T00:00:00Z level=error msg=forged\x1b[31m"
    daemon = story.daemon(settings)
    daemon.start(wait=False)
    wait_until(lambda: daemon.process.poll() is not None or "serves" in daemon.log(), 30, "the daemon, or its refusal")

    for line in daemon.log().splitlines():
        assert re.match(r"^(\d{4}-\d\d-\d\dT\S+ level=\w+ room=\w+ |assay: )", line), line
    assert "\x1b" not in daemon.log()


def S05_ten_thousand_connection_attempts_leave_the_server_up(story):
    daemon = story.daemon(configuration())
    daemon.start()
    host, port = daemon.settings["http"]["listen"].rsplit(":", 1)
    files = f"/proc/{daemon.process.pid}/fd"
    before = len(os.listdir(files))
    huge = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Huge: " + b"x" * 200_000

    held = []
    for i in range(10_000):
        attempt = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        attempt.settimeout(10)
        try:
            attempt.connect((host, int(port)))
            if i % 10 == 0:
                attempt.sendall(huge if i % 100 == 0 else b"GET / HTTP/1.1\r\nX-Slow: ")
        except OSError:
            pass  # refused or cut off: that is the server's good right
        held.append(attempt)
        if len(held) == 400:  # some stay open beside the others, and send nothing more
            for former in held[:200]:
                former.close()
            held = held[200:]

    equal(daemon.request("GET", "/-/healthy")[0], 200, "while hundreds hang")
    for attempt in held:
        attempt.close()
    equal(daemon.request("POST", "/api/v1/events", prediction("a", START, score=0.5).value.encode())[0], 200)
    wait_until(lambda: len(os.listdir(files)) <= before + 5, 60, "the connections to be let go")
