-- The units an experiment has seen, as segments: each commit appends what is new, and now and then
-- all of them become one segment again. (Until then they stood in experiment_evidence.)
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE experiment_units(
  experiment TEXT NOT NULL,
  n INTEGER NOT NULL,                 -- in the order of writing; a later segment's word counts
  bytes BLOB NOT NULL,
  PRIMARY KEY(experiment, n)
) WITHOUT ROWID;
