-- Detectors of changes by the event, what waits for their next look, and the changes they found.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE change_detectors(
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL,                 -- metric, feature
  name TEXT NOT NULL,
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL,                -- stats/change_stream.h
  PRIMARY KEY(model, version, kind, name)
) WITHOUT ROWID;

-- One row: events that are folded but belong to a look that is still to come.
CREATE TABLE change_waiting(
  id INTEGER PRIMARY KEY CHECK(id = 0),
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL                 -- collector/changing.c
);

CREATE TABLE change_points(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  at_ms INTEGER NOT NULL,             -- event time of the look that found it
  began_ms INTEGER NOT NULL,          -- event time of the first event after the change
  direction TEXT NOT NULL,            -- up, down, shape
  mean_before REAL,                   -- NULL: there is no mean
  mean_after REAL,
  run INTEGER NOT NULL,               -- events since the detector began
  n_after INTEGER NOT NULL,           -- of them since the change
  expected REAL NOT NULL,             -- events between false alarms, as asked
  statistic REAL NOT NULL,
  threshold REAL NOT NULL
);
CREATE INDEX change_points_model ON change_points(model, at_ms);
