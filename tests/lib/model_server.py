"""Model servers and a client for them: what stands behind and before a gateway.

    v3 = FlaskStyle(lambda row: 0.2)
    v4 = TfServingStyle("credit", lambda row: 0.3)
    v4.behave = lambda handler: 500            # a status, or a callable that answers itself
    answer = Client(url).post("/predict", {"income": 1}, {"x-user": "u1"})
"""

import http.client
import http.server
import json
import socket
import threading
import urllib.parse

from kafka import free_port


class ModelServer:
    """HTTP/1.1 with kept connections; `requests` holds (method, path, headers, body) of all."""

    server_name = "model"

    def __init__(self, port=0):
        self.requests = []
        self.behave = None
        self._lock = threading.Lock()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = model.server_name
            disable_nagle_algorithm = True

            def _all(self):
                body = self._body()
                with model._lock:
                    model.requests.append((self.command, self.path, dict(self.headers), body))
                does = model.behave(self) if model.behave else None
                if does is None:
                    status, made = model.answer(self, body)
                elif callable(does):
                    does(self)
                    return
                else:
                    status, made = does, {"error": f"made to answer {does}"}
                self.give(status, json.dumps(made).encode())

            def _body(self):
                if self.headers.get("transfer-encoding", "").lower() == "chunked":
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("content-length", 0)))

            def give(self, status, body, headers=()):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _all

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # clients that leave are no news

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, handler, body):
        raise NotImplementedError

    def count(self):
        with self._lock:
            return len(self.requests)

    def close(self):
        """The port is closed from now on: connections are refused."""
        self._server.shutdown()
        self._server.server_close()


class FlaskStyle(ModelServer):
    """POST /predict {"income": …} → {"prediction": 0 or 1, "score": …}, as a small Flask app does."""

    server_name = "Werkzeug/3.1.3"

    def __init__(self, score, port=0):
        self.score = score
        super().__init__(port)

    def answer(self, handler, body):
        if urllib.parse.urlsplit(handler.path).path != "/predict":
            return 404, {"error": "not found"}
        if handler.command != "POST":
            return 405, {"error": "method not allowed"}
        score = self.score(json.loads(body))
        return 200, {"prediction": int(score >= 0.5), "score": score}


class TfServingStyle(ModelServer):
    """POST /v1/models/M:predict {"instances": [row]} → {"predictions": [[score]]}."""

    server_name = "tensorflow_serving"

    def __init__(self, model, score, port=0):
        self.model = model
        self.score = score
        super().__init__(port)

    def answer(self, handler, body):
        path = urllib.parse.urlsplit(handler.path).path
        if path == f"/v1/models/{self.model}":
            return 200, {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
        if path != f"/v1/models/{self.model}:predict":
            return 404, {"error": f"Malformed request: {handler.command} {path}"}
        rows = json.loads(body)["instances"]
        return 200, {"predictions": [[self.score(row)] for row in rows]}


def closed_port():
    """An address whose connections are refused."""
    return f"http://127.0.0.1:{free_port()}"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.all_headers = response.getheaders()
        self.body = response.read()

    @property
    def version(self):
        return self.headers.get("x-assay-version")

    def json(self):
        return json.loads(self.body)


class Client:
    """One kept connection."""

    def __init__(self, url, timeout=20):
        at = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.connection.request(method, path, data, headers or {})
            if self.connection.sock:
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Answer(self.connection.getresponse())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def post(self, path, body, headers=None):
        return self.ask("POST", path, body, {"content-type": "application/json", **(headers or {})})


def raw(url, request, timeout=10, until=b""):
    """Sends bytes as they are; what came back until the end, a time-out or `until`."""
    at = urllib.parse.urlsplit(url)
    got = b""
    with socket.create_connection((at.hostname, at.port), timeout=timeout) as s:
        s.sendall(request)
        try:
            while part := s.recv(65536):
                got += part
                if until and until in got:
                    break
        except OSError:
            pass
    return got
