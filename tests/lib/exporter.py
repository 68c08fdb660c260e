"""Prometheus endpoints under control: good ones, one that hangs, one that never ends, …

    exporter = Exporter({"/node": lambda n: "node_memory_MemTotal_bytes 5\\n"})   # n: the n-th request
    exporter.url + "/hang", "/stream", "/huge", "/redirect", "/broken" misbehave as they are called
"""

import gzip
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HUGE = 9 << 20  # bytes, over what is read of an answer


class Exporter:
    def __init__(self, pages):
        self.pages = pages
        self.asked = Counter()
        self.headers = {}
        self.stopping = threading.Event()
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                try:
                    exporter._answer(self)
                except OSError:  # the other side had enough
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # all targets connect at once

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, request):
        path = request.path.partition("?")[0]
        self.asked[path] += 1
        self.headers[path] = request.headers
        if path in self.pages:
            body = self.pages[path](self.asked[path]).encode()
            packed = "gzip" in request.headers.get("Accept-Encoding", "")
            self._send(request, gzip.compress(body) if packed else body, packed)
        elif path == "/hang":
            self.stopping.wait(60)
        elif path == "/stream":
            self._stream(request)
        elif path == "/huge":
            self._send(request, gzip.compress(b"nv_gpu_utilization 1\n" * (HUGE // 21 + 1)), True)
        elif path == "/redirect":
            request.send_response(302)
            request.send_header("Location", "/node")
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            self._send(request, b"it is broken", False, 500)

    def _send(self, request, body, packed, status=200):
        request.send_response(status)
        request.send_header("Content-Type", "text/plain; version=0.0.4")
        if packed:
            request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _stream(self, request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        line = b"nv_gpu_utilization 1\n"
        while not self.stopping.is_set():
            request.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(0.05)
