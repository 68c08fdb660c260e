-- A reference may be taken back: then what `reference:` of the configuration names counts.
-- Released: never change this file; add the next number instead (a test compares it).

ALTER TABLE reference_states ADD COLUMN withdrawn_ms INTEGER;  -- wall clock; NULL: it counts
