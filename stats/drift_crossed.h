/*
 * The errors of a reference's rows under components that were not made of them: cross-validation.
 * A model's own rows are rebuilt better than others, by far so where features are many or have
 * little to do with each other, and a category that few rows have is never new among them.
 *
 * Shape    numbers are standardised as by all rows: only what the model looks for is not to know a
 *          row. Rows are dealt at random, the same way each time, into four parts: each part is rebuilt
 *          by what the other three make of themselves. How much worse that is gets smaller with
 *          more rows; halves say how fast
 * Cost     five times that of fitting the components
 * Errors   -ENOMEM; ERR_DATA: in some part nothing varies
 * Threads  any
 * Source   Stone 1974, Cross-validatory choice and assessment of statistical predictions
 */
#pragma once

#include "stats/drift_multivariate.h"

enum {
    CROSSED_PARTS = 4,
    CROSSED_FEWEST = 20 /* rows: of fewer, parts are no samples */
};

/* What rows are that a model was not made of, beside those that it was made of. */
struct crossed {
    double worse; /* by how much more their mean error is */
    double wider; /* how many times the variance of their errors is */
};

/* errors: one for each of the n rows that `whole` was fitted on, CROSSED_FEWEST at least. */
int crossed_errors(const struct multivariate *whole, const struct row_value *rows, size_t n,
                   double *errors, struct crossed *out, struct err *err);

/* In which of so many parts each of n rows is. */
void crossed_deal(size_t n, uint32_t parts, uint32_t *part);
