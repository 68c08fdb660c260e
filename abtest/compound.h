/*
 * Metrics that are no ratio of two sums: what an event adds to their tally, and the value of its
 * totals. Formulas of ratios (`100*tp - 20*fp`), r2, and what needs every class: macro and weighted
 * averages, balanced accuracy, kappa, mcc, mean_iou, dice; ece.
 *
 * Shape    one compound for each metric of kind MEASURE_TALLY or MEASURE_AREAS (terms alone);
 *          read-only afterwards
 *          In a formula tp, fp, tn, fn stand for their share of the labelled predictions, so that
 *          arms of different size compare; any metric that is a ratio of sums may stand in it
 * Owner    compound_new gives, compound_free takes; texts are copied
 * Errors   ERR_DATA: the formula's column and what is wrong
 * Threads  any, after compound_new
 * Source   the same definitions as stats/metric_multiclass.h, metric_regression.h and
 *          metric_segmentation.h; a test holds them against each other
 */
#pragma once

#include "abtest/measure.h"
#include "abtest/tally.h"
#include "common/cleanup.h"

enum {
    COMPOUND_MAX_OPERANDS = 16,
    COMPOUND_MAX_TERMS = TALLY_MAX_COLUMNS
};

struct compound;

/* `formula`: the metric's `expr`, or NULL. */
int compound_new(struct compound **out, const struct measure *measure, const char *formula,
                 struct err *err);
void compound_free(struct compound *compound);
DEFINE_FREEP(compound)

/* What one event adds; 0: nothing. */
size_t compound_terms(const struct compound *compound, const struct observation *observation,
                      struct tally_term out[COMPOUND_MAX_TERMS]);
/* Are its keys to be told apart by the half of the units: 2 key + (0 or 1)? */
bool compound_halved(const struct compound *compound);
/* Does it count per unit? */
bool compound_counts_units(const struct compound *compound);

/* Both estimate one value. Where no estimate is right in the mean (ece), they err to either side:
   in the mean BOUND_UPPER is not below the value and BOUND_LOWER not above it. */
enum compound_bound {
    BOUND_UPPER,
    BOUND_LOWER
};
struct tally_function compound_function(const struct compound *compound, enum compound_bound bound);
