-- What each change was compared with.
-- Released: never change this file; add the next number instead (a test compares it).

ALTER TABLE change_points ADD COLUMN reference TEXT NOT NULL DEFAULT '';  -- id of a loaded one, else ''
ALTER TABLE change_points ADD COLUMN reference_source TEXT NOT NULL DEFAULT '';  -- file, api, learned; '': from before this was kept
ALTER TABLE change_points ADD COLUMN reference_n INTEGER NOT NULL DEFAULT 0;  -- its events
ALTER TABLE change_points ADD COLUMN reference_created_ms INTEGER;  -- of a loaded one, wall clock
ALTER TABLE change_points ADD COLUMN reference_from_ms INTEGER;  -- learned: event time of its first event; NULL: not known
ALTER TABLE change_points ADD COLUMN reference_to_ms INTEGER;  -- of its last
