"""Receivers that lie, drown, redirect or sit where they must not: an attempt costs its time-out, and nothing else."""

import json
import os
import ssl
import subprocess
import threading
import time

import alerting
from daemon import configuration, run_program
from kafka import wait_until
from receiver import Receiver
from story import equal


def _try(story, receivers, name):
    """What `assay alert test NAME` says without a daemon: (exit code, answer or None, what went wrong)."""
    path = story.path("assay.yaml")
    with open(path, "w", encoding="utf-8") as out:
        json.dump(configuration(receivers=receivers), out)
    code, out, errors = run_program("alert", "test", name, "-c", path, "--json")
    return code, json.loads(out) if out.strip() else None, errors.strip()


def metadata_and_private_addresses_are_refused_in_every_spelling(story):
    receiver = alerting.receiver(story)
    port = receiver.url.split(":")[2].split("/")[0]
    private = [
        f"http://127.0.0.1:{port}/", f"http://localhost:{port}/", f"http://2130706433:{port}/", f"http://0x7f.1:{port}/",
        f"http://[::ffff:127.0.0.1]:{port}/", f"http://[::1]:{port}/", "http://10.0.0.1/", "http://192.168.1.1/",
        "http://[fd00::1]/",
    ]
    never = [
        "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://2852039166/",
        "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://0.0.0.0/", "http://224.0.0.1/",
    ]
    hooks = [{"name": f"r{i}", "type": "webhook", "url": url, "timeout": "2s"} for i, url in enumerate(private)]
    hooks += [{"name": f"n{i}", "type": "webhook", "url": url, "allow_private": True, "timeout": "2s"} for i, url in enumerate(never)]
    for hook in hooks:
        code, answer, errors = _try(story, hooks, hook["name"])
        equal((code, answer["status"]), (74, None), hook["url"])
        assert "the address is private or reserved" in errors, (hook["url"], errors)
    equal(receiver.attempts, [])


def a_body_that_is_no_object_asks_for_no_test(story):
    receiver = alerting.receiver(story)
    hook = {"name": "oncall", "type": "webhook", "url": receiver.url, "allow_private": True}
    daemon = story.daemon(configuration(models=[{"name": "credit", "task": "binary"}], receivers=[hook])).start()

    for body in (b"\0", b"{}\0{}", b"nonsense", b"[]"):
        status, text = daemon.request("POST", "/api/v1/receivers/oncall/test", body)
        equal((status, "the body is no JSON object" in text), (400, True), (body, text))
    status, text = daemon.request("POST", "/api/v1/receivers/oncall/test", b'{"reason":54}')
    equal((status, "reason is no text" in text), (400, True), text)
    equal(receiver.attempts, [])
    for body in (b"", b"{}", b'{"reason":"before the night"}'):
        equal(daemon.request("POST", "/api/v1/receivers/oncall/test", body)[0], 200)
    equal(len(receiver.attempts), 3)


def a_redirect_is_a_failure_and_is_not_followed(story):
    inside = alerting.receiver(story)

    def redirect(handler):
        handler.send_response(302)
        handler.send_header("location", inside.url)
        handler.send_header("content-length", "0")
        handler.end_headers()

    outside = alerting.receiver(story, lambda request, n: redirect)
    daemon = story.daemon(alerting.settings(story, outside))
    daemon.start()
    alerting.harm(daemon)

    def failed():
        rows = daemon.get("/api/v1/deliveries")["items"]
        return rows and rows[0]["state"] == "failed" and rows[0]

    wait_until(failed, 20, "the failure")
    equal((failed()["status"], len(outside.attempts), inside.attempts), (302, 1, []))


def ten_megabytes_of_answer_are_not_read(story):
    done = threading.Event()

    def huge(handler):
        handler.send_response(200)
        handler.send_header("content-length", str(10 << 20))
        handler.end_headers()
        sent = 0
        try:
            while sent < 10 << 20:
                sent += handler.wfile.write(b"x" * 65536)
        except OSError:
            pass
        huge.sent = sent
        done.set()

    receiver = alerting.receiver(story, lambda request, n: huge)
    hook = {"name": "oncall", "type": "webhook", "url": receiver.url, "allow_private": True}
    code, answer, errors = _try(story, [hook], "oncall")
    equal((code, answer["status"], errors), (0, 200, ""))
    equal(len(answer["answer"]), 16384)
    assert done.wait(20) and huge.sent < 8 << 20, f"the connection was closed after {huge.sent} bytes"


def an_answer_byte_by_byte_ends_with_the_time_out_and_is_tried_again(story):
    def dripping(handler):
        try:
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 600:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(0.2)
        except OSError:
            pass

    receiver = alerting.receiver(story, lambda request, n: dripping if n == 0 else 200)
    daemon = story.daemon(alerting.settings(story, receiver, timeout="1s"))
    daemon.start()
    alerting.harm(daemon)
    wait_until(lambda: receiver.taken, 30, "the second attempt")
    first, second = receiver.attempts[0], receiver.attempts[1]
    equal(first[1]["webhook-id"], second[1]["webhook-id"])
    assert 1.0 <= second[0] - first[0] < 6.0, second[0] - first[0]


class _TlsReceiver(Receiver):
    """The same over TLS, with a certificate for `names`."""

    def __init__(self, folder, name, names, days=2):
        super().__init__()
        self.certificate = os.path.join(folder, f"{name}.pem")
        key = os.path.join(folder, f"{name}.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.certificate]
            + ["-days", str(days), "-subj", "/CN=test", "-addext", f"subjectAltName={names}"],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http://", "https://")


def a_certificate_that_does_not_fit_is_refused_and_one_that_does_is_taken(story):
    good = _TlsReceiver(story.folder, "good", "IP:127.0.0.1")
    other = _TlsReceiver(story.folder, "other", "DNS:elsewhere.example")
    for receiver in (good, other):
        story.at_end(receiver.close)

    def hook(name, receiver, ca=None):
        made = {"name": name, "type": "webhook", "url": receiver.url, "allow_private": True}
        return {**made, **({"ca_file": ca} if ca else {})}

    hooks = [
        hook("selfsigned", good), hook("wrongname", other, other.certificate), hook("wrongca", good, other.certificate),
        hook("right", good, good.certificate),
    ]
    for name, words in (("selfsigned", "certificate"), ("wrongname", "match"), ("wrongca", "certificate")):
        code, answer, errors = _try(story, hooks, name)
        equal((code, answer["status"]), (74, None), name)
        assert words in errors.lower(), (name, errors)
    code, answer, errors = _try(story, hooks, "right")
    equal((code, answer["status"], errors), (0, 200, ""))
    equal((len(good.taken), len(other.taken)), (1, 0))


def check_names_what_is_wrong_with_rules_receivers_and_templates(story):
    def said(**sections):
        path = story.path("wrong.yaml")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(configuration(**sections), out, indent=1)
        code, _, errors = run_program("check", path)
        equal(code, 65, errors)
        return errors.strip()

    rule = {"name": "a", "model": "credit", "metric": "roc_auc", "below": 0.8}
    hook = {"name": "oncall", "type": "template", "url": "https://example.org", "body": "{{valeu}}"}
    assert "alerts[0].metric: metric 'roc_acu' is unknown; did you mean 'roc_auc'?" in said(alerts=[{**rule, "metric": "roc_acu"}])
    assert 'alerts[0].model: "credt" is not configured; did you mean credit?' in said(alerts=[{**rule, "model": "credt"}])
    assert "alerts[0].annotations.note: {{vlaue}} is no field; did you mean {{value}}?" in said(
        alerts=[{**rule, "annotations": {"note": "now {{vlaue}}"}}]
    )
    assert "receivers[0].body: {{valeu}} is no field; did you mean {{value}}?" in said(receivers=[hook])
    assert 'no receiver is named "onkall"; did you mean oncall?' in said(
        receivers=[{**hook, "body": "x"}], route={"receiver": "onkall"}
    )

    model = {"name": "credit", "task": "binary"}
    assert "models[0].metrics[1]: metric 'worth': expr: column 5: metric 'tpp' is unknown; did you mean 'tp'?" in said(
        models=[{**model, "metrics": [{"name": "net", "expr": "100*tp"}, {"name": "worth", "expr": "100*tpp"}]}]
    )
    assert "models[0].reference.file: cannot read" in said(models=[{**model, "reference": {"file": "nobody.jsonl"}}])
    for property, value, why in (
        ("fetch.min.bytez", "5", "No such configuration property"), ("fetch.min.bytes", "abc", "Invalid value"),
    ):
        kafka = {"properties": {property: value}}
        assert f"kafka.properties.{property}: {why}" in said(brokers="localhost:9092", topics=["a"], kafka=kafka)
