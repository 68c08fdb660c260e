"""Traffic that follows an experiment: each unit is served by the version that its bucket says.

The bucket is contract §6 written down a second time, in plain Python: XXH64 with seed 0.
"""

import random

from events import prediction

_MASK = (1 << 64) - 1
_P = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def _rotate(x, n):
    return ((x << n) | (x >> (64 - n))) & _MASK


def _round(lane, value):
    return _rotate((lane + value * _P[1]) & _MASK, 31) * _P[0] & _MASK


def xxh64(data):
    n, at = len(data), 0
    if n >= 32:
        lanes = [(_P[0] + _P[1]) & _MASK, _P[1], 0, -_P[0] & _MASK]
        while at + 32 <= n:
            for i in range(4):
                lanes[i] = _round(lanes[i], int.from_bytes(data[at + 8 * i : at + 8 * i + 8], "little"))
            at += 32
        h = sum(_rotate(lane, turn) for lane, turn in zip(lanes, (1, 7, 12, 18))) & _MASK
        for lane in lanes:
            h = ((h ^ _round(0, lane)) * _P[0] + _P[3]) & _MASK
    else:
        h = _P[4]
    h = (h + n) & _MASK
    while at + 8 <= n:
        h = (_rotate(h ^ _round(0, int.from_bytes(data[at : at + 8], "little")), 27) * _P[0] + _P[3]) & _MASK
        at += 8
    if at + 4 <= n:
        h = (_rotate(h ^ (int.from_bytes(data[at : at + 4], "little") * _P[0] & _MASK), 23) * _P[1] + _P[2]) & _MASK
        at += 4
    for byte in data[at:]:
        h = _rotate(h ^ (byte * _P[4] & _MASK), 11) * _P[0] & _MASK
    for shift, factor in ((33, _P[1]), (29, _P[2])):
        h = (h ^ (h >> shift)) * factor & _MASK
    return h ^ (h >> 32)


def bucket(salt, unit):
    return (xxh64(f"{salt}\x1f{unit}".encode()) >> 11) / 2**53


class Traffic:
    """seconds(…) gives the next seconds of predictions at a weight; the same seed, the same events."""

    def __init__(self, experiment, start, rates=(0.02, 0.02), per_second=50, seed=1):
        self.experiment = experiment
        self.now = start
        self.rates = rates  # failures of (control, treatment)
        self.per_second = per_second
        self.random = random.Random(seed)
        self.n = 0

    def seconds(self, n, weight):
        made = []
        for _ in range(n * self.per_second):
            unit = f"u{self.n}"
            treated = bucket(self.experiment["salt"], unit) < weight / 100
            failed = self.random.random() < self.rates[treated]
            version = self.experiment["treatment" if treated else "control"]
            error = {"error": "boom"} if failed else {"score": 0.9, "prediction": 1}
            ts = self.now + (self.n % self.per_second) * 1000 // self.per_second
            made.append(prediction(f"e{self.n}", ts, self.experiment["model"], version, unit=unit, latency_ms=5, **error))
            self.n += 1
            if self.n % self.per_second == 0:
                self.now += 1000
        return made
