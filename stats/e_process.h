/*
 * The conditional e-process: has the treatment's failure rate passed r times the control's? Exact
 * at any number of events, at any look.
 *
 * Each failing unit is a coin that falls on the treatment with probability theta0 = w r/(w r + 1 -
 * w) when the rates stand exactly r : 1. E is the likelihood ratio of a Beta mixture cut to the
 * alternative; under the null it is a supermartingale, so P(ever E >= 1/alpha) <= alpha (Ville).
 *
 * Shape    x, y: failing units in treatment and control, each unit once in the whole experiment;
 *          w: treatment's share of the compared units in that step. Steps multiply: add log_e
 * Units    logarithms are natural; shares are fractions in (0, 1)
 * Errors   a share of 0 or 1, or no failures at all: log_e is 0 (no evidence). Never NaN
 * Threads  any
 * Source   Lindon, Malek, NeurIPS 2022 (two arms), made one-sided; mixture Beta(k theta0,
 *          k(1 - theta0)), k = 20 by the measurements in docs/abtest.md
 */
#pragma once

#include <stdint.h>

#define E_PROCESS_CONCENTRATION 20.0

struct failures {
    int64_t treatment;
    int64_t control;
};

/* ln E against "the rate ratio is <= r": evidence of harm. */
double e_process_harm(struct failures failures, double share, double ratio, double concentration);

/* ln E against "the rate ratio is >= r": evidence of non-inferiority, the mirror. */
double e_process_safe(struct failures failures, double share, double ratio, double concentration);

/* theta0 = w r/(w r + 1 - w). */
double e_process_theta(double share, double ratio);

/* Kullback–Leibler divergence of a coin theta from a coin theta0: growth of ln E a failure. */
double e_process_growth(double theta, double theta0);

/*
 * A rate's time-uniform bounds from s failures in n trials: the smallest (largest) p whose
 * beta-binomial mixture B(1 + s, 1 + f)/(p^s (1 - p)^f) stays below 1/alpha. 0 (1) without trials.
 */
double rate_lower_bound(int64_t failures, int64_t trials, double alpha);
double rate_upper_bound(int64_t failures, int64_t trials, double alpha);

/* ln E against "the rate is <= limit" (one sample, uniform mixture cut to p > limit). */
double e_process_limit(int64_t failures, int64_t trials, double limit);
