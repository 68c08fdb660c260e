-- What carries an experiment's weight elsewhere: the newest wish of each actuator, and what came of it.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE actuations(
  actuator TEXT PRIMARY KEY,
  experiment TEXT NOT NULL,
  seq INTEGER NOT NULL,               -- of the transition that wished it
  weight REAL NOT NULL,               -- percent
  confirmed INTEGER NOT NULL,         -- 1: reality was seen to be so
  wanted_ms INTEGER NOT NULL,         -- wall clock, as all below
  next_ms INTEGER NOT NULL,           -- of the next attempt
  attempts INTEGER NOT NULL,          -- that failed since the wish or the last confirmation
  confirmed_ms INTEGER NOT NULL,
  corrections INTEGER NOT NULL,       -- how often reality was found to be otherwise
  status INTEGER NOT NULL,            -- last HTTP status; 0: none
  problem TEXT NOT NULL               -- last failure in words; '': none
) WITHOUT ROWID;
CREATE INDEX actuations_experiment ON actuations(experiment);
