"""What a service manager hears of the daemon. Row F41."""

import socket

from daemon import configuration, wait_a_moment
from kafka import wait_until
from story import equal


def _drain(said):
    said.setblocking(False)
    try:
        while said.recv(100):
            pass
    except BlockingIOError:
        pass


def _stopped(daemon):
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def F41_the_thread_that_judges_feeds_the_watchdog_and_one_that_stands_still_does_not(story):
    said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    story.at_end(said.close)
    said.bind(story.path("notify"))
    said.settimeout(60)
    daemon = story.daemon(configuration()).start(environment={"NOTIFY_SOCKET": story.path("notify")})
    equal(said.recv(100), b"READY=1")
    equal([said.recv(100) for _ in range(3)], [b"WATCHDOG=1"] * 3)

    daemon.pause()
    wait_until(lambda: _stopped(daemon), 30, "the daemon to stand still")
    _drain(said)
    wait_a_moment(1.5)
    try:
        heard = said.recv(100)
    except BlockingIOError:
        heard = None
    equal(heard, None, "of a daemon that stands still")

    daemon.resume()
    said.settimeout(60)
    equal(said.recv(100), b"WATCHDOG=1")
    daemon.terminate()
    heard = said.recv(100)
    while heard == b"WATCHDOG=1":
        heard = said.recv(100)
    equal(heard, b"STOPPING=1")
