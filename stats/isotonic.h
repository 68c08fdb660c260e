/*
 * Isotonic regression: the non-decreasing function nearest to labels in least squares.
 *
 * Shape    knots (x, y), x strictly and y weakly increasing; between knots a straight line, beyond
 *          the ends their values ("clip")
 * Owner    isotonic_fit and isotonic_load give, isotonic_finish takes
 * Threads  read-only once fitted
 * Source   pool adjacent violators (Barlow et al. 1972); sklearn.isotonic.IsotonicRegression
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct isotonic {
    double *x, *y;
    size_t n;
};

struct isotonic_point {
    double x, y, weight;
};

/* Sorts `points`. -ENOMEM, or -EINVAL without any point. */
int isotonic_fit(struct isotonic *out, struct isotonic_point *points, size_t n, struct err *err);
void isotonic_finish(struct isotonic *isotonic);
double isotonic_at(const struct isotonic *isotonic, double x);

void isotonic_save(const struct isotonic *isotonic, struct buf *out);
int isotonic_load(struct isotonic *out, struct reader *in, struct err *err);
