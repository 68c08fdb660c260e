/*
 * The inside of weighing: what weigh.c (deciding) and weigh_show.c (figures for people) share. Nobody
 * else includes this.
 *
 * Owner    everything is borrowed for the call
 * Threads  any
 */
#pragma once

#include "abtest/weigh.h"

struct weighing {
    const struct experiment *experiment;
    const struct evidence *evidence;
    const struct experiment_metric *metric;
    struct measure measure;
    int index, step;
    double tuning; /* information at which the sequence is tightest */
};

struct weighing weighing_of(const struct experiment *experiment, const struct evidence *evidence,
                            int metric, int step);
/* Of an arm's own metric with SIDE_NONE; else as the question about it reads the arm. */
struct ratio_estimate weighing_estimate(const struct weighing *w, int step, enum arm_served arm,
                                        enum failure_side side, double theta);
/* Which way is worse: a share beyond a quantile is of the bad side as it is. */
double weighing_sign(const struct weighing *w);

/* The steps that may speak about b - factor · a: both arms burnt in, variances floored. */
struct strata {
    int n;
    enum failure_side side;
    double factor;
    struct ratio_estimate a[EXPERIMENT_MAX_STEPS], b[EXPERIMENT_MAX_STEPS];
};

/*
 * A covariate is taken off the difference, b - factor · a - theta (x_b - x_a): its part is 0 in the
 * mean whatever the factor, because the arms were drawn from the same units.
 */
void weighing_strata(const struct weighing *w, enum failure_side side, double factor,
                     struct strata *out);

/* b - factor · a, summed over strata with weights that do not look at the outcome. */
struct contrast {
    double value, variance, information;
};

struct contrast weighing_contrast(const struct strata *strata);
