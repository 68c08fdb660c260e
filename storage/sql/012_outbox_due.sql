-- What the postman asks for each round, and what it sleeps by, stands in the index: bodies of
-- messages are read when they are sent.
-- Released: never change this file; add the next number instead (a test compares it).

DROP INDEX outbox_waiting;
CREATE INDEX outbox_waiting ON outbox(receiver, group_key, id, next_ms, attempts, created_ms, state)
  WHERE state = 0;
