"""A gateway's manners: towards clients that are slow, hostile or gone, and upstreams that are slow,
endless or dying. No Kafka is needed for any of it.
"""

import http.client
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from daemon import configuration, run_program, yaml
from database import query
from kafka import free_port, wait_until
from model_server import Client, FlaskStyle, ModelServer, raw
from story import equal, short

CRLF = b"\r\n"


class _Echo(ModelServer):
    """Answers with what it got."""

    def answer(self, handler, body):
        return 200, {"method": handler.command, "path": handler.path, "body": body.decode("latin-1")}

    def last(self):
        return self.requests[-1]


def _start(story, upstream, **more):
    """(daemon, the gateway's URL)"""
    if isinstance(upstream, ModelServer):
        story.at_end(upstream.close)
        upstream = upstream.url
    gateway = {"listen": f"127.0.0.1:{free_port()}", "model": "credit", "upstreams": {"v3": upstream}, **more}
    daemon = story.daemon(configuration(gateway=[gateway]))
    daemon.start()
    return daemon, "http://" + gateway["listen"]


def _request(line, *headers, body=b""):
    return CRLF.join([line.encode(), *(h.encode() for h in headers), b"", b""]) + body


@short
def a_request_goes_through_as_it_is_and_so_does_the_answer(story):
    echo = _Echo()
    _, url = _start(story, echo)
    client = Client(url)

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        body = b'{"a":"\xc3\xa9"}' if method in ("POST", "PUT", "PATCH") else None
        answer = client.ask(method, "/v2/models/a%2Fb/../infer?x=%20&y=", body, {"content-type": "text/x"})

        told = answer.json()
        equal((answer.status, told["method"], told["path"]), (200, method, "/v2/models/a%2Fb/../infer?x=%20&y="))
        equal(told["body"].encode("latin-1"), body or b"")
    headers = {name.lower(): value for name, value in echo.last()[2].items()}
    equal((headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["via"]), ("127.0.0.1", "http", "1.1 assay"))
    equal(headers["host"], urllib.parse.urlsplit(echo.url).netloc)

    length = client.ask("GET", "/length").headers["content-length"]
    head = client.ask("HEAD", "/length")
    equal((head.status, head.body, int(head.headers["content-length"])), (200, b"", int(length) + 1))  # "HEAD" is longer


@short
def headers_of_one_connection_and_our_own_are_not_passed_on(story):
    echo = _Echo()
    echo.behave = lambda handler: lambda h: h.give(
        200, b"{}", [("Connection", "x-private"), ("X-Private", "1"), ("X-Assay-Version", "lie"), ("Keep-Alive", "timeout=5"),
                     ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Via", "1.0 inner"), ("X-Kept", "yes")])  # fmt: skip
    _, url = _start(story, echo)

    answer = Client(url).ask("POST", "/predict", b"{}", {
        "Connection": "keep-alive, X-Secret", "X-Secret": "s", "TE": "trailers", "Upgrade": "websocket",
        "Proxy-Authorization": "Basic x", "X-Assay-Version": "v9", "x_assay_version": "v9", "X-Forwarded-For": "10.1.1.1",
        "Authorization": "Bearer mine", "X-Kept": "yes"})  # fmt: skip

    seen = {name.lower(): value for name, value in echo.last()[2].items()}
    for gone in ("x-secret", "te", "upgrade", "proxy-authorization", "x_assay_version", "connection"):
        assert gone not in seen, f"{gone} was passed on: {seen}"
    equal((seen["x-assay-version"], seen["x-forwarded-for"]), ("v3", "10.1.1.1, 127.0.0.1"))
    equal((seen["authorization"], seen["x-kept"]), ("Bearer mine", "yes"))
    equal(answer.version, "v3")
    names = [name.lower() for name, _ in answer.all_headers]
    equal((names.count("set-cookie"), names.count("x-assay-version"), names.count("via")), (2, 1, 1))
    assert "x-private" not in names and "keep-alive" not in names and answer.headers["x-kept"] == "yes"


@short
def what_could_be_read_in_two_ways_is_refused_and_goes_nowhere(story):
    echo = _Echo()
    daemon, url = _start(story, echo, max_body="1KiB")
    post = "POST /predict HTTP/1.1"
    inner = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    cases = [
        (b"400", _request(post, "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + inner)),
        (b"400", _request(post, "Host: x", "Content-Length: 0", "Content-Length: 36", body=inner)),
        (b"400", _request(post, "Host: x", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
        (b"400", _request(post, "Host: x", "Content-Length: +5", body=b"hello")),
        (b"400", b"GET /a HTTP/1.1\nHost: x\r\n\r\n"),
        (b"400", _request("GET /a HTTP/1.1", "Host: x", "X-A: 1\x01")),
        (b"400", _request("GET /a HTTP/1.1", "Host: x", "Host: y")),
        (b"400", _request("GET http://169.254.169.254/latest HTTP/1.1", "Host: x")),
        (b"400", _request("OPTIONS * HTTP/1.1", "Host: x")),
        (b"501", _request("CONNECT db:5432 HTTP/1.1", "Host: x")),
        (b"501", _request("TRACE / HTTP/1.1", "Host: x")),
        (b"413", _request(post, "Host: x", "Content-Length: 1025", body=b"x" * 1025)),
        (b"413", _request(post, "Host: x", "Transfer-Encoding: chunked", body=b"800\r\n" + b"x" * 0x800 + b"\r\n0\r\n\r\n")),
        (b"431", _request("GET /a HTTP/1.1", "Host: x", *(f"X-{i}: {'y' * 4000}" for i in range(10)))),
    ]

    for status, request in cases:
        got = raw(url, request)

        equal(got[9:12], status, f"{request[:120]!r} was answered {got[:200]!r}")
        assert b"HTTP/1.1 200" not in got, f"what follows {request[:80]!r} was taken for a request"
    equal(echo.requests, [])
    assert daemon.own("gateway_refused") >= len(cases) - 2  # the HTTP library refuses two by itself


@short
def chunked_bodies_and_those_that_wait_for_leave_arrive_whole(story):
    echo = _Echo()
    _, url = _start(story, echo)

    chunks = b"3;x=y\r\nabc\r\n5\r\nde\r\nf\r\n0\r\nX-Trailer: 1\r\n\r\n"
    got = raw(url, _request("POST /p HTTP/1.1", "Host: x", "Connection: close", "Transfer-Encoding: chunked", body=chunks))
    equal(got[9:12], b"200", got)
    equal(echo.last()[3], b"abcde\r\nf")
    equal({k.lower(): v for k, v in echo.last()[2].items()}["content-length"], "8")

    at = urllib.parse.urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as s:
        s.sendall(_request("POST /p HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 3"))
        equal(s.recv(100)[:21], b"HTTP/1.1 100 Continue")
        s.sendall(b"xyz")
        equal(s.recv(100)[9:12], b"200")
    equal(echo.last()[3], b"xyz")


def _chunks(handler, parts):
    handler.send_response(200)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for part in parts:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))


def long_answers_pass_whole_and_endless_ones_end_with_the_timeout(story):
    echo = _Echo()
    daemon, url = _start(story, echo, timeout="2s")
    client = Client(url)
    big = bytes(range(256)) * 40960  # 10 MiB
    gate = threading.Event()

    echo.behave = lambda handler: lambda h: h.give(200, big)
    answer = client.ask("GET", "/big")
    equal((answer.status, len(answer.body), answer.body == big), (200, len(big), True))
    equal(answer.headers["content-length"], str(len(big)))

    def in_two_parts(handler):
        _chunks(handler, [b"first"])
        gate.wait(1.5)
        handler.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    echo.behave = lambda handler: in_two_parts
    client.connection.request("GET", "/stream")
    response = client.connection.getresponse()
    equal(response.read1(5), b"first", "the first part is there before the second was sent")
    gate.set()
    equal(response.read(), b"second")

    def for_ever(handler):
        _chunks(handler, [b"x" * 1000])
        while True:
            handler.wfile.write(b"3e8\r\n" + b"y" * 1000 + b"\r\n")
            time.sleep(0.01)

    echo.behave = lambda handler: for_ever
    got = raw(url, _request("GET /endless HTTP/1.1", "Host: x"), timeout=20)
    assert got.startswith(b"HTTP/1.1 200") and not got.endswith(b"0\r\n\r\n"), "an answer that was cut must not look whole"

    def dies(handler):
        handler.send_response(200)
        handler.send_header("content-length", "100")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)
        handler.close_connection = True

    echo.behave = lambda handler: dies
    equal(raw(url, _request("GET /dies HTTP/1.1", "Host: x", "Connection: close"))[9:12], b"502")
    found = daemon.own_metrics()
    ours = [value for name, value in found.items() if name.startswith("assay_gateway_errors_total{") and "timeout" in name]
    equal(ours, [1.0])
    echo.behave = None
    equal(Client(url).ask("GET", "/after").status, 200)


def a_client_that_does_not_read_holds_up_its_own_upstream_only(story):
    echo = _Echo()
    daemon, url = _start(story, echo, timeout="30s")
    sent = []

    def much(handler):
        handler.send_response(200)
        handler.send_header("content-length", str(400 << 20))
        handler.end_headers()
        for _ in range(400):
            handler.wfile.write(b"x" * (1 << 20))
            sent.append(1)

    echo.behave = lambda handler: much if handler.path == "/much" else None
    before = daemon.memory_bytes()
    at = urllib.parse.urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as slow:
        slow.sendall(_request("GET /much HTTP/1.1", "Host: x"))
        equal(slow.recv(12)[9:12], b"200")
        wait_until(lambda: len(sent) > 0, 10, "the answer to begin")
        for _ in range(20):
            equal(Client(url).ask("GET", "/quick").status, 200)
    assert len(sent) < 100, "the upstream was let run ahead"
    assert daemon.memory_bytes() - before < 40 << 20, "the answer piled up in memory"


@short
def more_than_a_version_may_have_at_once_is_told_to_come_again(story):
    slow = _Echo()
    release = threading.Event()
    story.at_end(release.set)
    slow.behave = lambda handler: release.wait(20) and None
    daemon, url = _start(story, slow, max_concurrent=2)
    waiting = [threading.Thread(target=lambda: Client(url).ask("GET", "/slow"), daemon=True) for _ in range(2)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: slow.count() == 2, 10, "two requests under way")

    answer = Client(url).ask("GET", "/third")

    equal((answer.status, answer.headers["retry-after"], answer.version), (503, "1", "v3"))
    equal(answer.json()["detail"], "as many requests as may be are under way to this version")
    equal(daemon.own("gateway_in_flight"), 2)
    release.set()
    for thread in waiting:
        thread.join(10)
    equal(Client(url).ask("GET", "/fourth").status, 200)


@short
def its_own_paths_say_how_it_is(story):
    echo = _Echo()
    _, url = _start(story, echo)

    equal([Client(url).ask("GET", p).status for p in ("/-/healthy", "/-/ready")], [200, 200])
    equal(echo.requests, [])
    equal(Client(url).ask("GET", "/-/other").status, 200)
    equal(echo.last()[1], "/-/other")


def what_is_under_way_ends_before_the_daemon_does(story):
    slow = _Echo()
    slow.behave = lambda handler: time.sleep(1) if handler.path == "/slow" else None
    daemon, url = _start(story, slow)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(Client(url).ask("GET", "/slow")), daemon=True)
    thread.start()
    wait_until(lambda: slow.count() == 1, 10, "the request to be under way")

    code = daemon.terminate()

    thread.join(10)
    equal((code, [a.status for a in answers]), (0, [200]))
    try:
        Client(url).ask("GET", "/late")
        raise AssertionError("nobody should listen any more")
    except ConnectionRefusedError:
        pass


def a_reload_takes_new_upstreams_and_refuses_what_is_off(story):
    old, new = _Echo(), _Echo()
    story.at_end(new.close)
    daemon, url = _start(story, old)
    client = Client(url)
    client.ask("GET", "/1")
    gateway = daemon.settings["gateway"][0]

    gateway["upstreams"] = {"v3": new.url}
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: "configuration read again" in daemon.log(), 10, "the reload")
    wait_until(lambda: client.ask("GET", "/2").status == 200 and new.count() > 0, 10, "the new upstream")

    n = new.count()
    gateway["upstreams"] = {"v3": "ftp://nowhere"}
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: 'is no address' in daemon.log(), 10, "the refusal")
    gateway["upstreams"] = {"v3": old.url}
    gateway["listen"] = f"127.0.0.1:{free_port()}"
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: "addresses change with a restart only" in daemon.log(), 10, "the refusal")
    equal(client.ask("GET", "/3").status, 200)
    equal(new.count(), n + 1, "the former settings stay")


def a_gateway_that_is_off_is_refused_by_file_line_and_key(story):
    good = {"listen": "127.0.0.1:1", "model": "credit", "upstreams": {"v3": "http://a:1", "v4": "http://b:2"}}
    experiment = {"name": "e", "model": "credit", "control": "v3", "treatment": "v5"}
    experiment["metrics"] = [{"metric": "error_rate", "role": "guardrail", "margin_relative": 0.5}]
    cases = [
        ({"listen": "8501"}, "gateway[0].listen: \"8501\" is no address and port"),
        ({"upstreams": {}}, "gateway[0].upstreams: must have 1 to 16 versions"),
        ({"upstreams": {"v3": "a:1"}}, "gateway[0].upstreams: v3: \"a:1\" is no address, as http://"),
        ({"upstreams": {"v3": "http://me:pw@a"}}, "is no address"),
        ({"upstreams": {"v3": {"url": "http://a", "pth": "/x"}}}, "v3.pth: unknown key; known are url and path"),
        ({"unit": {"header": "a", "cookie": "b"}}, "gateway[0].unit: must be one of {header: NAME}"),
        ({"unit": {"pointer": "user"}}, "gateway[0].unit: \"user\" is no JSON pointer"),
        ({"timeout": "5"}, "gateway[0].timeout: \"5\" is no duration"),
        ({"default": "v9"}, "gateway[0].default: \"v9\" is not among the upstreams"),
        ({"idempotant": True}, "gateway[0].idempotant: unknown key; did you mean idempotent?"),
        ({"event": {"scor": "/a"}}, "gateway[0].event: scor: unknown key"),
        ({"topic": "t"}, "gateway[0].topic: there is no kafka.brokers to send to"),
        ({"threads": 0}, "gateway[0].threads: must be a whole number of 1 to 64"),
        ({"experiment": "e"}, "gateway[0].upstreams: treatment v5 of experiment e is missing"),
    ]

    for change, text in cases:
        settings = configuration(gateway=[{**good, **change}], experiments=[experiment] if "experiment" in change else [])
        with open(story.path("assay.yaml"), "w", encoding="utf-8") as out:
            out.write(yaml(settings))
        code, _, errors = run_program("check", story.path("assay.yaml"))
        equal(code, 65, f"{change}: {errors}")
        assert text in errors and "assay.yaml:4: " in errors, f"{change}: {errors}"


def without_kafka_events_come_in_as_if_posted_and_the_last_ones_too(story):
    echo = _Echo()
    daemon, url = _start(story, echo, unit={"header": "x-user"}, event={"features": ""})
    client = Client(url)
    for n in range(300):
        equal(client.post("/predict", {"income": n}, {"x-user": f"u{n}"}).status, 200)
    wait_until(lambda: daemon.get("/api/v1/models/credit")["predictions"] == 300, 20, "the events")
    echo.behave = lambda handler: time.sleep(0.7)
    last = threading.Thread(target=lambda: client.post("/predict", {"income": 1}), daemon=True)
    last.start()
    wait_until(lambda: echo.count() == 301, 10, "the last request")

    equal(daemon.terminate(), 0)

    last.join(10)
    rows = query(daemon.database, "SELECT sum(folded) FROM offsets")
    equal(rows, [(301,)])


def it_speaks_tls_and_checks_that_of_its_upstreams(story):
    names = ("key.pem", "cert.pem", "other.pem", "other-key.pem")
    key, cert, other, other_key = (story.path(name) for name in names)
    for k, c in ((key, cert), (other_key, other)):
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        made += ["-keyout", k, "-out", c, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(made, check=True, capture_output=True)
    inner = {"listen": f"127.0.0.1:{free_port()}", "model": "credit", "tls": {"cert": cert, "key": key}}
    echo = _Echo()
    story.at_end(echo.close)
    inner["upstreams"] = {"v3": echo.url}
    secure = "https://" + inner["listen"]
    trusting = {"listen": f"127.0.0.1:{free_port()}", "model": "credit", "upstreams": {"v3": secure}, "ca": cert}
    strict = {"listen": f"127.0.0.1:{free_port()}", "model": "credit", "upstreams": {"v3": secure}, "ca": other}
    daemon = story.daemon(configuration(gateway=[inner, trusting, strict]))
    daemon.start()

    context = ssl.create_default_context(cafile=cert)
    direct = http.client.HTTPSConnection("localhost", int(secure.rsplit(":", 1)[1]), context=context, timeout=10)
    direct.request("GET", "/direct")
    equal(direct.getresponse().status, 200)
    equal({n.lower(): v for n, v in echo.last()[2].items()}["x-forwarded-proto"], "https")
    through = Client("http://" + trusting["listen"]).ask("GET", "/through")
    equal((through.status, echo.last()[1]), (200, "/through"))
    equal(Client("http://" + strict["listen"]).ask("GET", "/refused").status, 502)
    equal(echo.count(), 2)
