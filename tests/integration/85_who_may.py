"""Who may: tokens, certificates and host names are read again at SIGHUP, and every change that the API
takes is in the audit log with the name of the token it came by.
"""

import hashlib
import http.client
import json
import os
import ssl
import subprocess
import warnings

from daemon import configuration
from kafka import wait_until
from story import equal, short

TOKEN = "a-token-of-this-story"


def _line(name, scopes, token=TOKEN):
    return f"{name}:{scopes}:{hashlib.sha256(token.encode()).hexdigest()}:never\n"


def _write_tokens(path, *lines):
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(lines)
    os.chmod(path, 0o600)


def _make_certificate(folder, cert, key, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", os.path.join(folder, key), "-out", os.path.join(folder, cert), "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name},DNS:localhost"],
        check=True, capture_output=True,
    )
    os.chmod(os.path.join(folder, key), 0o600)


def _connect(port):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    connection.connect()
    return connection


def _shown(connection):
    return hashlib.sha256(connection.sock.getpeercert(binary_form=True)).hexdigest()


def _ask(connection, path, **headers):
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}", **headers})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@short
def a_new_certificate_is_served_without_a_restart_and_a_bad_one_is_not(story):
    folder = story.path("tls")
    os.makedirs(folder)
    _make_certificate(folder, "cert.pem", "key.pem", "first.example")
    tokens = os.path.join(folder, "tokens.txt")
    _write_tokens(tokens, _line("ann", "read"))
    settings = configuration()
    settings["http"].update({"tls": {"cert": os.path.join(folder, "cert.pem"), "key": os.path.join(folder, "key.pem")}, "tokens": tokens})
    daemon = story.daemon(settings)
    port = int(settings["http"]["listen"].rsplit(":", 1)[1])
    daemon.start(wait=False)

    def answers():
        daemon.must_run()
        try:
            return _ask(_connect(port), "/-/ready") == 200
        except OSError:
            return False

    wait_until(answers, 30, "TLS answers")
    old = _connect(port)
    first = _shown(old)
    equal(_ask(old, "/api/v1/models"), 200)

    _make_certificate(folder, "cert.pem", "key.pem", "second.example")
    daemon.hangup()
    wait_until(lambda: _shown(_connect(port)) != first, 20, "the new certificate")
    new = _connect(port)
    second = _shown(new)
    equal(_ask(new, "/api/v1/models", Host="second.example"), 200, "its names are ours now")
    equal(_ask(old, "/api/v1/models"), 200, "an open connection goes on")

    _make_certificate(folder, "cert.pem", "other.pem", "third.example")  # the key of another
    daemon.hangup()
    wait_until(lambda: "the old configuration stays" in daemon.log(), 20, "the refusal")
    equal(_shown(_connect(port)), second, "what does not fit is not taken")
    equal(_ask(_connect(port), "/api/v1/models"), 200)
    equal(daemon.terminate(), 0)


@short
def every_change_is_in_the_audit_log_with_the_name_of_its_token(story):
    tokens = story.path("tokens.txt")
    _write_tokens(tokens, _line("ann", "operate,ingest,admin"), _line("viewer", "read", "another-token"))
    settings = configuration()
    settings["http"]["tokens"] = tokens
    daemon = story.daemon(settings)
    daemon.start()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    event = json.dumps({"type": "prediction", "id": "a", "ts": 1700000000000, "model": "credit", "version": "v1", "score": 0.5})
    experiment = {"name": "e", "model": "credit", "control": "v1", "treatment": "v2", "metrics": [{"metric": "error_rate", "margin_relative": 0.5}]}
    silence = {"matchers": ['model="credit"'], "duration": "1h", "comment": "quiet"}
    changes = [
        ("PUT", "/api/v1/models/credit/versions/v1", {"notes": "first"}, "version.set"),
        ("PUT", "/api/v1/models/credit/reference", event.encode(), "reference.set"),
        ("DELETE", "/api/v1/models/credit/references/{reference}", None, "reference.forget"),
        ("POST", "/api/v1/experiments", experiment, "experiment.create"),
        ("POST", "/api/v1/experiments/e/start", {"reason": "go"}, "experiment.start"),
        ("POST", "/api/v1/experiments/e/rollback", {"reason": "no"}, "experiment.rollback"),
        ("POST", "/api/v1/silences", silence, "silence.create"),
    ]
    reference = ""
    for method, path, body, _ in changes:
        path = path.replace("{reference}", reference)
        status, text = daemon.request(method, path, body, {"Authorization": "Bearer another-token"})
        equal(status, 403, path)
        status, text = daemon.request(method, path, body, bearer)
        assert status < 300, (path, status, text)
        reference = json.loads(text).get("id", "") if path.endswith("/reference") else reference

    status, text = daemon.request("GET", "/api/v1/audit", headers=bearer)

    equal(status, 200)
    rows = json.loads(text)["items"]
    equal([(row["action"], row["who"]) for row in rows], [(action, "ann") for *_, action in changes])
    equal(rows[0]["detail"], {"version": "v1", "facts": {"notes": "first"}})
    equal(rows[1]["subject"], "credit")
    assert TOKEN not in text and TOKEN not in daemon.log(), "the token is nowhere"
