-- What was known of an experiment as it went on: its intervals as they narrow, for people.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE experiment_looks(
  experiment TEXT NOT NULL,
  at_ms INTEGER NOT NULL,             -- event time of the look
  step INTEGER NOT NULL,
  weight REAL NOT NULL,               -- percent, when it was looked
  detail TEXT NOT NULL,               -- JSON: units, sample ratio, intervals
  PRIMARY KEY(experiment, at_ms)
) WITHOUT ROWID;

CREATE INDEX audit_subject ON audit(subject, seq);
