"""An HTTP receiver that can misbehave: what on-call's side of a webhook looks like.

    receiver = Receiver(lambda request, n: 200)
    receiver.url; receiver.requests   # [(headers, body bytes)] of what was answered 2xx
"""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time


class Receiver:
    """answer(request, n) gives a status, or a callable that does what it likes with the handler."""

    def __init__(self, answer=lambda request, n: 200):
        self.attempts = []
        self.taken = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with receiver._lock:
                    n = len(receiver.attempts)
                    receiver.attempts.append((time.time(), dict(self.headers), body))
                does = answer(self, n)
                if callable(does):
                    does(self)
                    return
                if 200 <= does < 300:
                    with receiver._lock:
                        receiver.taken.append((dict(self.headers), body))
                self.send_response(does)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a reset on purpose is no news

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def bodies(self):
        with self._lock:
            return [json.loads(body) for _, body in self.taken]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def signature(secret, headers, body):
    """The header that Standard Webhooks wants for these bytes, computed independently."""
    low = {key.lower(): value for key, value in headers.items()}
    text = f"{low['webhook-id']}.{low['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
