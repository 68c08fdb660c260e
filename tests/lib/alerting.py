"""What stories of alerts share: rules and receivers in a configuration, harm and its end as events."""

import socket
import struct
import time

from daemon import configuration
from events import prediction
from receiver import Receiver
from story import equal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def now():
    return int(time.time() * 1000)


def rules(**more):
    rule = {"name": "errors", "model": "credit", "metric": "error_rate", "window": "5m", "above": 0.2}
    return [{**rule, "interval": False, "severity": "critical", **more}]


def settings(story, receiver, alerts=None, **more):
    secret = story.path("hook.key")
    with open(secret, "w", encoding="utf-8") as out:
        out.write(SECRET + "\n")
    hook = {"name": "oncall", "type": "webhook", "url": receiver.url, "secret_file": secret, "allow_private": True}
    return configuration(
        alerts=alerts or rules(),
        receivers=[{**hook, **more}],
        route={"receiver": "oncall", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"},
    )


def receiver(story, answer=lambda request, n: 200):
    made = Receiver(answer)
    story.at_end(made.close)
    return made


def predictions(prefix, n, failed, at=None):
    at = at or now() - 1000
    return [
        prediction(f"{prefix}{i}", at + i, score=0.9, prediction=1, **({"error": "down"} if i < failed else {}))
        for i in range(n)
    ]


def later(prefix, at):
    """An event beyond the second, so that its look is taken."""
    return [prediction(prefix, at, score=0.9, prediction=1)]


def post(daemon, events):
    status, text = daemon.request("POST", "/api/v1/events", "\n".join(event.value for event in events).encode())
    equal(status, 200, text)


def harm(daemon, prefix="p"):
    at = now() - 3000
    post(daemon, predictions(prefix, 20, 20, at) + later(prefix + "later", at + 2000))


def heal(daemon, prefix="h"):
    at = now() - 1500
    post(daemon, predictions(prefix, 400, 0, at) + later(prefix + "later", at + 1400))


def reset(handler):
    """The connection ends with a TCP reset in the middle of everything."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
