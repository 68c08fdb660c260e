-- Changes are looked for in slices, too.
-- Released: never change this file; add the next number instead (a test compares it).

ALTER TABLE change_points ADD COLUMN slice TEXT NOT NULL DEFAULT '';  -- '' overall, else 'country=de'

CREATE TABLE change_detectors_of_slices(
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  slice TEXT NOT NULL,                -- '' overall, else 'country=de'
  kind TEXT NOT NULL,                 -- metric, feature
  name TEXT NOT NULL,
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL,                -- stats/change_stream.h
  PRIMARY KEY(model, version, slice, kind, name)
) WITHOUT ROWID;
INSERT INTO change_detectors_of_slices
  SELECT model, version, '', kind, name, hash, bytes FROM change_detectors;
DROP TABLE change_detectors;
ALTER TABLE change_detectors_of_slices RENAME TO change_detectors;
