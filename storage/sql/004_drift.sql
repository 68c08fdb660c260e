-- Feature profiles of the panes, and the references that windows are compared with.
-- Released: never change this file; add the next number instead (a test compares it).

-- Keyed like panes. Labels come late and touch old minutes, so they have a small row of their own.
CREATE TABLE profiles(
  key INTEGER NOT NULL,               -- storage/pane_key.h
  part INTEGER NOT NULL,              -- 0 features, score and prediction; 1 the label
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL,                -- stats/profile.h
  PRIMARY KEY(key, part)
);

-- The newest of a model and version counts; older ones stay, for panes that counted on their grids.
CREATE TABLE reference_states(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL,
  version TEXT NOT NULL,              -- '': every version without one of its own
  id TEXT NOT NULL,                   -- 16 hex digits: XXH64 of the bytes
  source TEXT NOT NULL,               -- file, panes …
  created_ms INTEGER NOT NULL,        -- wall clock
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL                 -- stats/reference.h
);
CREATE INDEX reference_states_model ON reference_states(model, version, seq);
