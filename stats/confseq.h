/*
 * Asymptotic confidence sequences: intervals and p-values that may be looked at after every event.
 *
 * Shape    they take any estimate with its variance, and `information`: how far along the
 *          experiment is. For two arms under one share that is the number of units (GrowthBook's
 *          N); over several shares it is Σ n_a n_b/(n_a + n_b), which grows as the evidence does
 * Units    alpha: probability that the truth is ever outside. `tuning` (N*) is the information at
 *          which the interval is tightest: fixed for the whole experiment, never after looking
 * Errors   a variance that is not above 0 or information <= 0 has no evidence: bounds are
 *          -INFINITY and INFINITY, log_e is 0, p is 1. An early look needs the burn-in of
 *          docs/abtest.md: the sequence is asymptotic
 * Threads  any
 * Source   Waudby-Smith et al., arXiv 2103.06476v7: two-sided eq. 9, one-sided eq. 134, rho eq.
 * 161; numbers as gbstats 0.8.0 (two-sided) and GrowthBook 8f1db44569 (one-sided)
 */
#pragma once

#include <stdbool.h>

/* rho² of eq. 161: the mixture that is tightest at `tuning`. One-sided: pass 2 alpha. */
double confseq_rho_squared(double alpha, double tuning);

struct confseq {
    double lower, upper;
    double log_e; /* evidence against 0: p = min(1, 1/E) */
    double p;
};

/* Two-sided at alpha, against "the effect is 0". */
struct confseq confseq_two_sided(double estimate, double variance, double information, double alpha,
                                 double tuning);

/* Half the width of the one-sided bounds: estimate ± this, each at alpha. */
double confseq_one_sided_width(double variance, double information, double alpha, double tuning);

/*
 * ln E against "the effect is <= bound" (evidence that it lies above): E reaches 1/alpha exactly
 * when eq. 134's lower bound passes `bound`. Between that inversion and the half-normal mixture it
 * comes from lies a supermartingale, so E may be averaged and multiplied like any e-value.
 */
double confseq_log_e_above(double estimate, double variance, double information, double alpha,
                           double tuning, double bound);

/* Always-valid p of an e-value, min(1, e^-log_e); underflows to 0 below 1e-308. */
double always_valid_p(double log_e);
