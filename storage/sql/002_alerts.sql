-- Alerts, who is told of them, and the notifications that wait to be sent.
-- Released: never change this file; add the next number instead (a test compares it).

-- One row for each alert that is not simply inactive, and for those that lately were.
CREATE TABLE alerts(
  id TEXT PRIMARY KEY,                -- 16 hex digits: hash of the rule, its series and metric
  rule TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,              -- '': all versions
  slice TEXT NOT NULL,
  severity TEXT NOT NULL,
  phase INTEGER NOT NULL,             -- 0 inactive, 1 pending, 2 firing, 3 no data
  since_ms INTEGER NOT NULL,
  bad_since_ms INTEGER NOT NULL,
  clear_since_ms INTEGER NOT NULL,
  last_change_ms INTEGER NOT NULL,
  flap_score INTEGER NOT NULL,
  flapping INTEGER NOT NULL,
  no_data INTEGER NOT NULL,
  acked_by TEXT,
  acked_ms INTEGER,
  data TEXT NOT NULL                  -- JSON: the alert as notifications carry it
) WITHOUT ROWID;

CREATE TABLE alert_history(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  alert TEXT NOT NULL,
  event TEXT NOT NULL,                -- pending, firing, resolved, no_data, data_back, withdrawn
  at_ms INTEGER NOT NULL,
  clock TEXT NOT NULL,                -- event | wall: which clock caused it
  data TEXT NOT NULL
);
CREATE INDEX alert_history_alert ON alert_history(alert, id);

CREATE TABLE silences(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  matchers TEXT NOT NULL,             -- JSON array of texts
  starts_ms INTEGER NOT NULL,
  ends_ms INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  comment TEXT NOT NULL
);

-- A group of alerts that one receiver is told of together.
CREATE TABLE alert_groups(
  key TEXT PRIMARY KEY,
  receiver TEXT NOT NULL,
  due_ms INTEGER NOT NULL,            -- wall clock: when to tell next; -1: nothing to tell
  told_ms INTEGER NOT NULL,           -- wall clock: when it was last told; -1: never
  repeat_ms INTEGER NOT NULL,
  interval_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE alert_members(
  group_key TEXT NOT NULL,
  alert TEXT NOT NULL,
  told INTEGER NOT NULL,              -- 1: the receiver believes it fires
  untold INTEGER NOT NULL,            -- 1: it has fired since the receiver was last told
  PRIMARY KEY(group_key, alert)
) WITHOUT ROWID;

CREATE INDEX alert_members_alert ON alert_members(alert);

CREATE TABLE outbox(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL UNIQUE,
  receiver TEXT NOT NULL,
  group_key TEXT NOT NULL,            -- in order within it
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  created_ms INTEGER NOT NULL,        -- wall clock, as are the next ones
  next_ms INTEGER NOT NULL,           -- not before; only the oldest waiting row of a group counts
  attempts INTEGER NOT NULL,
  state INTEGER NOT NULL,             -- 0 waiting, 1 sent, 2 failed for good
  status INTEGER NOT NULL,            -- last HTTP status; 0: no answer
  problem TEXT NOT NULL,              -- last error in words
  done_ms INTEGER NOT NULL
);
CREATE INDEX outbox_waiting ON outbox(receiver, group_key, id) WHERE state = 0;
