/*
 * What was fitted on the rows of a reference, and its metrics, beside it in the database.
 *
 * Shape    it belongs to one row of reference_states, and is found as that is: the newest of the
 *          version, else of the model. One made of stored panes has no more than panes tell: the
 *          calibration and the metrics (storage/reference_panes.h)
 * Owner    estimator_read, fitted_read and reference_states_read give; estimator_free, fitted_free
 *          and states_free take
 * Errors   as in storage/store.h. Damaged bytes are no error: the estimator then says so
 *          (ESTIMATOR_DAMAGED), and what is damaged of `fitted` is missing with the reason
 * Threads  commit_fitted: the writer's, in a commit · the others: that of the store
 */
#pragma once

#include "stats/fitted.h"
#include "storage/store.h"

/* Beside the reference that was committed last, in the same transaction. */
int commit_fitted(struct store *store, int64_t reference_seq, const struct fitted *fitted,
                  struct err *err);

/* *out NULL: the reference has none, or there is no reference. version NULL: the model's. */
int estimator_read(struct store *store, const char *model, const char *version,
                   struct estimator **out, struct err *err);
/* The same with everything that folding needs. */
int fitted_read(struct store *store, const char *model, const char *version, struct fitted **out,
                struct err *err);
/* The components alone, for judging windows; *out NULL: there are none, `why` (of n bytes) says
   why when that is known. */
int components_read(struct store *store, const char *model, const char *version,
                    struct multivariate **out, char *why, size_t n, struct err *err);

enum {
    REFERENCE_PART_NAME = 640 /* bytes; a slice has up to 513 */
};
/* One row of what belongs to a reference. */
int commit_reference_part(struct store *store, int64_t seq, const char *part,
                          const struct buf *bytes, const char *why, struct err *err);

struct reference_mark {
    int64_t seq;     /* grows with each; 0: there is none */
    int64_t span_ms; /* of the panes that it was made of; 0: of events */
    char id[17], source[16];
};
/* Which reference was loaded last for the version, else for the model. */
int reference_newest(struct store *store, const char *model, const char *version,
                     struct reference_mark *out, struct err *err);
/* The states of one slice ("" for all) of that reference; *out NULL: it has no events of it. */
int reference_states_read(struct store *store, int64_t seq, const char *slice,
                          const struct metric_setup *setup, struct states **out, struct err *err);
