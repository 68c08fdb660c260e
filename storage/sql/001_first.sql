-- Models, their series, panes of metric states, pending predictions and Kafka offsets.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE models(
  name TEXT NOT NULL PRIMARY KEY,
  task TEXT NOT NULL,
  positive TEXT NOT NULL,             -- binary: text of the positive class
  threshold REAL NOT NULL,
  label_horizon_ms INTEGER NOT NULL
);

CREATE TABLE series(
  id INTEGER PRIMARY KEY CHECK(id > 0 AND id < 268435456),
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  slice TEXT NOT NULL,                -- '' overall, else 'country=de'
  UNIQUE(model, slice, version)
);

-- key = (series_id << 35) + (level << 33) + start_ms / level_ms, level 0 minute, 1 hour, 2 day:
-- one B-tree for lookups and for scans of a series along time (storage/pane_key.h).
CREATE TABLE panes(
  key INTEGER PRIMARY KEY,
  series_id INTEGER NOT NULL,
  level_ms INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  stale INTEGER NOT NULL,             -- 1: pane_values is older than state
  hash INTEGER NOT NULL,              -- XXH3-64 of state, seeded with key
  state BLOB NOT NULL
);
CREATE INDEX panes_stale ON panes(key) WHERE stale = 1;

-- Computed values of a pane for readers that cannot read states: {"metric": [value, lower, upper,
-- error_bound], …}; refreshed by the writer in idle time.
CREATE TABLE pane_values(
  key INTEGER PRIMARY KEY,
  n INTEGER NOT NULL,
  labelled INTEGER NOT NULL,
  json TEXT NOT NULL
);

CREATE TABLE names(
  model TEXT NOT NULL,
  kind TEXT NOT NULL,
  id INTEGER NOT NULL,                -- 64 bits, as signed
  text TEXT NOT NULL,
  PRIMARY KEY(model, kind, id)
) WITHOUT ROWID;

CREATE TABLE offsets(
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  next INTEGER NOT NULL,              -- the offset that will be read next
  first INTEGER NOT NULL,
  consumed INTEGER NOT NULL,
  folded INTEGER NOT NULL,
  duplicate INTEGER NOT NULL,
  dead_lettered INTEGER NOT NULL,
  late INTEGER NOT NULL,
  orphaned INTEGER NOT NULL,
  waiting INTEGER NOT NULL,
  redelivered INTEGER NOT NULL,
  holes INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  newest_ts_ms INTEGER NOT NULL,
  last_offset INTEGER NOT NULL,
  last_timestamp_ms INTEGER NOT NULL,
  last_hash INTEGER NOT NULL,
  rejects TEXT NOT NULL,              -- JSON array, by enum reject
  hash INTEGER NOT NULL,              -- XXH3-64 of the row: what a flipped bit would spoil
  PRIMARY KEY(topic, partition)
) WITHOUT ROWID;

CREATE TABLE pending(
  key INTEGER PRIMARY KEY,            -- (segment << 31) + seq
  segment INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  hash INTEGER NOT NULL,              -- XXH3-64 of bytes, seeded with key
  bytes BLOB NOT NULL
);

CREATE TABLE dead_letter(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT,
  payload BLOB NOT NULL,              -- the first 4 KiB
  sent INTEGER NOT NULL DEFAULT 0     -- 1: the dead-letter topic has it
);
CREATE INDEX dead_letter_unsent ON dead_letter(id) WHERE sent = 0;

CREATE TABLE model_counts(
  model TEXT PRIMARY KEY,
  counts TEXT NOT NULL                -- JSON object, name → integer
) WITHOUT ROWID;

CREATE TABLE versions(
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  facts TEXT NOT NULL,                -- JSON object as registered
  PRIMARY KEY(model, version)
) WITHOUT ROWID;

CREATE TABLE facts(
  key TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

-- What follows is for people with an SQLite client: docs/sql.md.

-- json_each on one element, not json_extract: that one is refused under trusted_schema=OFF.
CREATE VIEW metric_values AS
SELECT s.model, s.version, s.slice, p.level_ms, p.start_ms, j.key AS metric,
       (SELECT e.value FROM json_each(j.value, '$[0]') AS e) AS value,
       (SELECT e.value FROM json_each(j.value, '$[1]') AS e) AS lower,
       (SELECT e.value FROM json_each(j.value, '$[2]') AS e) AS upper,
       (SELECT e.value FROM json_each(j.value, '$[3]') AS e) AS error_bound,
       v.n, v.labelled
FROM panes AS p
JOIN series AS s ON s.id = p.series_id
JOIN pane_values AS v ON v.key = p.key, json_each(v.json) AS j;

CREATE VIEW model_list AS
SELECT m.name AS model, m.task, m.positive, m.threshold, m.label_horizon_ms,
       (SELECT count(DISTINCT version) FROM series AS s WHERE s.model = m.name) AS versions,
       (SELECT count(DISTINCT slice) FROM series AS s WHERE s.model = m.name) AS slices,
       c.counts
FROM models AS m LEFT JOIN model_counts AS c ON c.model = m.name;

CREATE VIEW version_list AS
SELECT model, version, max(facts) AS facts
FROM (SELECT model, version, facts FROM versions
      UNION ALL SELECT DISTINCT model, version, NULL FROM series)
GROUP BY model, version;

CREATE VIEW rejected_events AS
SELECT id, reason, detail, topic, partition, "offset", at_ms, CAST(payload AS TEXT) AS payload, sent
FROM dead_letter;

CREATE VIEW partition_counts AS
SELECT topic, partition, next, first, consumed, folded, duplicate, dead_lettered, late, orphaned,
       waiting, redelivered, holes, lost, newest_ts_ms,
       consumed = folded + duplicate + dead_lettered + late + orphaned + waiting AS balanced
FROM offsets;
