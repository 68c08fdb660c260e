-- References made of stored panes, kept before the panes are merged or gone.
-- Released: never change this file; add the next number instead (a test compares it).

ALTER TABLE reference_states ADD COLUMN from_ms INTEGER;  -- event time of the panes; NULL: it was made of events
ALTER TABLE reference_states ADD COLUMN to_ms INTEGER;
