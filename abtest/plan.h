/*
 * What an experiment will need before it is started: for each step the units and the time until
 * its rates can be shown safe, and how soon harm would be found. `assay experiment plan`.
 *
 * Shape    one row a step, for one rate metric (error_rate or any share of failing units); means
 *          and scores by their own variance through stats/sample_size
 * Units    rates: fractions · units: of both arms · ms: event time at the given traffic
 * Errors   INFINITY where the answer is "never" (no concurrent control, effect on the wrong side)
 * Threads  any
 * Source   stats/sample_size: expected counts, 1.2 (harm) to 1.5 (safe) times the median
 */
#pragma once

#include "abtest/experiment.h"

struct plan_question {
    double base_rate;        /* control's, e.g. 0.02 */
    double harm_rate;        /* a rate that must be found, e.g. 0.04 */
    double units_per_second; /* new units over all arms */
};

struct plan_step {
    double weight, share;
    double safe_units;       /* until an equal treatment is shown non-inferior, or min_units */
    double harm_units;       /* until harm_rate is found */
    double safe_ms, harm_ms; /* the same as time; safe_ms is never below min_duration */
    double
        smallest_effect; /* difference visible with 80 % power at the end of the step, fixed end */
};

/* For metric `index` of the experiment; out has n_steps rows. -EINVAL: a rate outside (0, 1), or a
   metric that is none. */
int plan_rates(const struct experiment *experiment, int index, const struct plan_question *question,
               struct plan_step *out, struct err *err);
