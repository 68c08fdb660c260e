-- Experiments, their transitions, and the audit log that everything which changes something enters.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE experiments(
  name TEXT PRIMARY KEY,
  model TEXT NOT NULL,
  object TEXT NOT NULL,               -- JSON of contract §4, with its defaults
  state TEXT NOT NULL,                -- draft, running, paused, promoted, rolled_back
  step INTEGER NOT NULL,
  weight REAL NOT NULL,               -- percent
  since_ms INTEGER NOT NULL,          -- of the state and step
  seq INTEGER NOT NULL,               -- number of transitions: compare-and-set
  applying INTEGER NOT NULL,          -- 1: an actuator has not confirmed the weight
  created_ms INTEGER NOT NULL,
  ramp TEXT NOT NULL,                 -- JSON: the state machine's own state
  verdict TEXT NOT NULL               -- JSON: the last verdict, {} before the first look
) WITHOUT ROWID;

-- What is known of each arm and step: changes with every commit, so it stands apart.
CREATE TABLE experiment_evidence(
  name TEXT PRIMARY KEY,
  bytes BLOB NOT NULL
);

CREATE TABLE transitions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  clock TEXT NOT NULL,                -- event | wall: which clock caused it
  who TEXT NOT NULL,                  -- "engine", or a token's name
  command TEXT NOT NULL,              -- idempotency key of a person's command, or ''
  verdict TEXT NOT NULL,              -- advance, promote, rollback, hold, pause, …
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  from_step INTEGER NOT NULL,
  to_step INTEGER NOT NULL,
  from_weight REAL NOT NULL,
  to_weight REAL NOT NULL,
  reason TEXT NOT NULL,
  evidence TEXT NOT NULL,             -- JSON from which the verdict can be recomputed
  UNIQUE(experiment, seq)
);
CREATE INDEX transitions_command ON transitions(experiment, command) WHERE command <> '';

CREATE TABLE audit(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  clock TEXT NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,               -- JSON
  hash BLOB NOT NULL                  -- SHA-256 over the former row's hash and this row
);
