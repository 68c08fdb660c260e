/*
 * Rows of probabilities on LAW_POINTS points of a sum, one row for each number of events so far.
 *
 * Shape    a row has room for twice the points: adding a shifted row never looks at its end, and
 *          law_rows_fold gathers what lies beyond the last point in it
 * Owner    law_rows_new gives, law_rows_free takes
 * Errors   -ENOMEM
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/drift_law.h"

struct law_rows {
    int n_rows;
    bool *used;
    float *points;
};

int law_rows_new(struct law_rows **out, int n_rows);
void law_rows_free(struct law_rows *rows);
DEFINE_FREEP(law_rows)

static inline float *law_rows_at(const struct law_rows *rows, int row)
{
    return rows->points + (size_t)row * 2 * LAW_POINTS;
}

void law_rows_clear(struct law_rows *rows);
void law_rows_start(struct law_rows *rows, int row); /* certainly there, with sum 0 */
/* Adds p × from, moved up by `shift` points, to the nearest ones. */
void law_rows_add(struct law_rows *rows, int row, const float *from, float p, double shift);
/* The same, its share of a point split between its neighbours. */
void law_rows_add_split(struct law_rows *rows, int row, const float *from, float p, double shift);
void law_rows_fold(struct law_rows *rows, int row);

/*
 * What the row says: P(sum >= point). A point stands for the sums that were put on it: half of them
 * are counted, or, where sums come in lumps, all of them and of the point below: then p is rather
 * too large than too small.
 */
enum row_reading {
    ROW_SMOOTH,
    ROW_LUMPS
};
void law_rows_survival(const struct law_rows *rows, int row, enum row_reading reading,
                       struct drift_law *out);
