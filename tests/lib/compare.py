"""The daemon's answers against the oracle's, window by window, value by value."""

import json

from oracle import Oracle

WINDOWS = {60_000: "1m", 3_600_000: "1h", 86_400_000: "1d"}
COUNTS = {"count", "tp", "fp", "tn", "fn"}


def oracle_of(models, events):
    """The oracle that has heard these events; what a stream made bad on purpose it leaves out."""
    oracle = Oracle(models)
    for event in events:
        if not event.key.startswith("bad-"):
            oracle.add(json.loads(event.value))
    return oracle


def check_against_oracle(daemon, oracle, window_ms=3_600_000, leave_out=()):
    """Every window that should be there shows what it should; returns how many values agreed.

    Counts are exact, other values agree to 1e-9 relative, sketched ones within their own
    error_bound, which must itself be small.
    """
    windows = oracle.windows(window_ms)
    assert windows, "the oracle has no window"
    wrong, compared = [], 0
    for model in sorted({key[0] for key in windows}):
        for slice_ in sorted({key[2] for key in windows if key[0] == model}):
            mine = {k: w for k, w in windows.items() if k[0] == model and k[2] == slice_}
            expected = {k: w.metrics() for k, w in mine.items()}
            names = sorted({n for m in expected.values() for n in m if n != "labelled"} - set(leave_out))
            starts = [k[3] for k in mine]
            got = daemon.points(
                model,
                names,
                WINDOWS[window_ms],
                min(starts),
                max(starts) + window_ms,
                segment=slice_.replace("=", ":") or None,
            )
            for (_, version, _, start), values in sorted(expected.items()):
                for name in names:
                    point = got.get((version, name, start))
                    place = f"{model}/{version}/{slice_ or 'all'} {start} {name}"
                    fault = fault_of(point, name, values)
                    compared += 1
                    if fault:
                        wrong.append(f"{place}: {fault}")
    assert not wrong, f"{len(wrong)} of {compared} values are wrong:\n" + "\n".join(wrong[:20])
    return compared


def fault_of(point, name, values):
    """What is wrong with one point, or None."""
    if point is None:
        return "no point"
    if point["n"] != values["count"]:
        return f"n {point['n']}, expected {values['count']}"
    if point["labelled"] != values["labelled"]:
        return f"labelled {point['labelled']}, expected {values['labelled']}"
    expected, got = values.get(name), point["value"]
    if expected is None:
        return None  # where a metric is undefined the libraries differ; the unit tests say ours
    if got is None:
        return f"null, expected {expected!r}"
    if name in COUNTS:
        return None if got == expected else f"{got!r}, expected {expected!r}"
    bound = point.get("error_bound") or 0
    if bound > 2e-3:
        return f"error_bound {bound} is too wide"
    if abs(got - expected) > bound + 1e-9 * max(1, abs(expected)):
        return f"{got!r}, expected {expected!r} within {bound}"
    return None
