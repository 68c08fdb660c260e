"""What really splits the traffic, over HTTP: it keeps a weight, answers what it is told to, and can
be changed behind the daemon's back.

    switch = TrafficSwitch()
    switch.weight; switch.script = [500, 409, "hang"]   # for the next changes; then 200
    switch.script = ["late"]; switch.obey()             # does as it was told only then
    switch.script = [0.3]                               # does so after 0.3 s
"""

import http.server
import json
import threading
import time


class TrafficSwitch:
    def __init__(self, weight=None):
        self.weight = weight
        self.script = []
        self.read_script = []
        self.changes = []  # (method, path, headers, body) of all that came
        self._lock = threading.Lock()
        self._obeys = threading.Event()
        self._under_way = 0
        switch = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self, status, body=b"{}"):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                with switch._lock:
                    does = switch.read_script.pop(0) if switch.read_script else 200
                    body = json.dumps({"spec": {"rules": [{"refs": [{"weight": None if switch.weight is None else 100 - switch.weight}, {"weight": switch.weight}]}]}})
                self._answer(does, body.encode())

            def do_PATCH(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with switch._lock:
                    switch._under_way += 1
                try:
                    self._change(body)
                finally:
                    with switch._lock:
                        switch._under_way -= 1

            def _change(self, body):
                with switch._lock:
                    switch.changes.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                    does = switch.script.pop(0) if switch.script else 200
                if does == "hang":
                    time.sleep(30)
                    return
                if does == "late":
                    switch._obeys.wait(60)
                    does = 200
                if isinstance(does, float):
                    time.sleep(does)
                    does = 200
                if does == 200:
                    with switch._lock:
                        switch.weight = json.loads(body)["weight"]
                self._answer(does, b'{"message":"as the script says"}')

            do_PUT = do_POST = do_PATCH

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def bodies(self):
        with self._lock:
            return [json.loads(body) for _, _, _, body in self.changes]

    def idle(self):
        """Has all that was asked for been done?"""
        with self._lock:
            return self._under_way == 0

    def obey(self):
        self._obeys.set()

    def close(self):
        self._obeys.set()
        self._server.shutdown()
        self._server.server_close()
