-- What waits for a look is written in pieces: a commit adds what is new.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE change_waiting_pieces(
  seq INTEGER PRIMARY KEY,
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL                 -- collector/waiting_bytes.h
);
INSERT INTO change_waiting_pieces SELECT 1, hash, bytes FROM change_waiting;
DROP TABLE change_waiting;
ALTER TABLE change_waiting_pieces RENAME TO change_waiting;
