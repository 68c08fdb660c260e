/*
 * The rows of a reference while its events are read: features, scores and label of each
 * prediction, for whatever is fitted on rows.
 *
 * Shape    one row an id; of predictions the first counts, of labels the last, in any order. At
 *          most ROWS_MOST rows and ROWS_MOST_CELLS values: beyond, those whose id's hash ends in
 *          one more 0 bit are kept, so that which rows are kept depends on the ids alone
 * Limits   the ROWS_FEATURES first features, the ESTIMATOR_CLASSES first classes
 * Owner    rows_new gives, rows_free takes
 * Errors   -ENOMEM
 * Threads  any, one at a time
 */
#pragma once

#include "collector/profiling.h"
#include "stats/fitted.h"

enum {
    ROWS_MOST = 65536,
    ROWS_MOST_CELLS = 4 << 20,
    ROWS_FEATURES = 256
};

struct rows;

int rows_new(struct rows **out, enum task task, const char *positive, double threshold,
             struct err *err);
void rows_free(struct rows *rows);
DEFINE_FREEP(rows)

/* `items`: the values of the event's features by slot (struct profile_item; own slots are left
   out). `sample` as metric states take it. */
int rows_prediction(struct rows *rows, struct view id, const struct sample *sample,
                    const struct profile_item *items, size_t n, struct err *err);
int rows_label(struct rows *rows, struct view id, const struct sample *sample, struct err *err);

/* `features`: by slot, their names; the reference knows what kind each is. */
int rows_fit(const struct rows *rows, const struct reference *reference,
             const struct profile_feature *features, uint32_t n_features, struct fitted **out,
             struct err *err);
