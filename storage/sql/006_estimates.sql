-- What was fitted on the rows of a reference, so that windows can be judged before their labels come.
-- Released: never change this file; add the next number instead (a test compares it).

CREATE TABLE reference_models(
  reference INTEGER NOT NULL,         -- reference_states.seq
  part TEXT NOT NULL,                 -- estimator, loss, components
  hash INTEGER NOT NULL,
  bytes BLOB NOT NULL,                -- stats/estimator.h, estimate_dle.h, drift_multivariate.h
  why TEXT NOT NULL,                  -- no bytes: why it could not be fitted
  PRIMARY KEY(reference, part)
);
