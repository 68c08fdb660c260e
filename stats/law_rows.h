/*
 * Rows of probabilities on LAW_POINTS points of a sum, one row for each number of events so far.
 *
 * Shape    a row is made in two steps: law_rows_add_split says which rows go into it, how much of each
 *          and how far on, law_rows_set puts them together; or by law_rows_pass, from the rows that
 *          one bin's counts lead from. What lies beyond the last point is gathered there;
 *          probabilities below 1e-15, or what the caller says, at a row's ends are left out
 * Owner    law_rows_new gives, law_rows_free takes
 * Errors   -ENOMEM
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/drift_counts.h"
#include "stats/drift_law.h"

enum {
    LAW_SOURCES = 2 * COUNTS_MOST /* of one row */
};

/* What a bin's counts first, first + 1, … do: how probable each is, and the points it adds. */
struct law_ways {
    int first, n;
    float p[COUNTS_MOST];
    int shifts[COUNTS_MOST];
};

/* What goes into a row: p of another's points [begin, end), moved up by `shift` points. */
struct law_source {
    const float *points;
    int begin, end, shift;
    float p;
};

struct law_row {
    int begin, end; /* outside all is 0; end 0: nothing is in it */
    float sum;      /* of the points */
};

struct law_rows {
    int n_rows;
    struct law_row *rows;
    float *points;
    int n_sources;
    struct law_source sources[LAW_SOURCES];
};

int law_rows_new(struct law_rows **out, int n_rows);
void law_rows_free(struct law_rows *rows);
DEFINE_FREEP(law_rows)

const float *law_rows_at(struct law_rows *rows, int row); /* LAW_POINTS of them */

void law_rows_clear(struct law_rows *rows);
void law_rows_start(struct law_rows *rows, int row); /* certainly there, with sum 0 */
/* p × that row of `from` goes into the next row, moved up by `shift` points, its share of a point
   split between its neighbours. */
void law_rows_add_split(struct law_rows *rows, const struct law_rows *from, int row, double p,
                        double shift);
/* The row is what was added since the last one was set. */
void law_rows_set(struct law_rows *rows, int row);
/* The row is made of those of `from` that the ways lead from, at its ends without what is less than
   `least`; a row that leads to less in all is left out. */
void law_rows_pass(struct law_rows *into, const struct law_rows *from, const struct law_ways *ways,
                   int row, double least);
/* The same, then all of it moved up by `shift` points, split between neighbours. */
void law_rows_pass_moved(struct law_rows *into, const struct law_rows *from,
                         const struct law_ways *ways, int row, double shift, double least);

/*
 * What the row says: P(sum >= point). A point stands for the sums that were put on it: half of them
 * are counted (`off` 0), or, where sums come in lumps that rounding may have put up to `off` points
 * below where they are, all of them and of so many points below: then p is rather too large than too
 * small.
 */
enum {
    ROW_SMOOTH = 0,
    ROW_LUMPS = 1
};
void law_rows_survival(struct law_rows *rows, int row, int off, struct drift_law *out);
