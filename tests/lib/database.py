"""Reading Assay's database from outside, as any SQLite client could, and comparing two of them."""

import hashlib
import sqlite3

COUNTS = "consumed folded duplicate dead_lettered late orphaned waiting redelivered holes lost"


def query(path, sql, *values):
    """Rows of a read-only question; never writes, never checkpoints."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def offsets(path):
    """{(topic, partition): next}; {} while there is no database yet."""
    try:
        return {(t, p): n for t, p, n in query(path, "SELECT topic, partition, next FROM offsets")}
    except sqlite3.OperationalError:
        return {}


def totals(path):
    """The partitions' counters summed, by name."""
    names = COUNTS.split()
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in names)
    return dict(zip(names, query(path, f"SELECT {sums} FROM offsets")[0]))


def check_identity(path):
    """Promise 1, for each partition: every event is somewhere, and every offset is accounted for."""
    rows = query(path, f"SELECT topic, partition, next, first, {', '.join(COUNTS.split())} FROM offsets")
    for topic, partition, after, first, *values in rows:
        c = dict(zip(COUNTS.split(), values))
        told = c["folded"] + c["duplicate"] + c["dead_lettered"] + c["late"] + c["orphaned"] + c["waiting"]
        place = f"{topic}/{partition}: {c}, first {first}, next {after}"
        assert c["consumed"] == told, f"consumed is not the sum of its parts at {place}"
        assert after - first == c["consumed"] + c["holes"] + c["lost"], f"offsets are missing at {place}"


def panes(path):
    """{(model, version, slice, level, start): state}."""
    sql = """SELECT s.model, s.version, s.slice, p.level_ms, p.start_ms, p.state
             FROM panes AS p JOIN series AS s ON s.id = p.series_id"""
    return {tuple(row[:5]): bytes(row[5]) for row in query(path, sql)}


def fingerprint(path):
    """One line for all panes: equal lines, equal bits."""
    digest = hashlib.sha256()
    for key, state in sorted(panes(path).items()):
        digest.update(repr(key).encode() + state)
    return digest.hexdigest()


def check_same_windows(got_path, expected_path):
    """Every stored window of the one equals that of the other, bit for bit."""
    got, expected = panes(got_path), panes(expected_path)
    assert expected, f"{expected_path} has no window at all"
    missing = sorted(set(expected) - set(got))
    more = sorted(set(got) - set(expected))
    differ = sorted(key for key in expected if key in got and got[key] != expected[key])
    assert not (missing or more or differ), (
        f"{len(expected)} windows: {len(missing)} missing {missing[:3]}, {len(more)} too many {more[:3]}, "
        f"{len(differ)} differ {differ[:3]}"
    )


def check_sound(path):
    """SQLite's own check finds nothing."""
    answer = query(path, "PRAGMA integrity_check")
    assert answer == [("ok",)], answer
