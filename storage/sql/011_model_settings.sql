-- What the configuration says of a model beyond `models`, for readers that have no configuration:
-- its own metrics, what drift is measured against and how it is judged.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE model_settings(
  model TEXT PRIMARY KEY,
  settings TEXT NOT NULL              -- an item of `models:` in assay.yaml, as JSON
) WITHOUT ROWID;
