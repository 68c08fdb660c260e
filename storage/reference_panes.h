/*
 * References made of stored panes: read for one question, or with all that is kept of a reference,
 * so that `reference: {from, to}` outlives its panes.
 *
 * Shape    what is kept equals what a question would have read: features, each slice's part on the
 *          whole's grids (stats/reference.h), the metrics of each slice, and how scores are
 *          calibrated. Nothing that takes rows: no components, no expected errors
 * Units    ms since the epoch; spans are taken by whole minutes
 * Owner    reference_panes_make gives, range_made_finish takes
 * Errors   as in storage/series.h · -ECANCELED: stop
 * Threads  that of the store
 */
#pragma once

#include <stdatomic.h>

#include "stats/fitted.h"
#include "storage/profiles.h"

#define REFERENCE_WITHOUT_ROWS \
    "no reference of single events; load a file with `assay reference load`"

/* Takes what the panes of [from, to) or of the spans hold (span: model, version, slice, from, to,
   spans) as the model's reference; none where they hold nothing. */
int reference_panes_read(struct store *store, struct profile_model *model,
                         const struct profile_query *span, const char *source, struct err *err);

struct range_wanted {
    const char *model;
    int64_t from_ms, to_ms;
    const char *const *segments; /* keys, the configuration's */
    size_t n_segments;
    const atomic_bool *stop; /* leaves it at the next slice; NULL: never */
};

struct range_made {
    struct reference *reference; /* NULL: the panes hold nothing, or … */
    struct fitted *fitted;
    bool cut; /* … the span cuts through longer ones, whose events it would lack */
};

int reference_panes_make(struct store *store, const struct range_wanted *wanted,
                         struct range_made *out, struct err *err);
void range_made_finish(struct range_made *made);
