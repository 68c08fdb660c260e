/*
 * Tests for a sample whose size was fixed beforehand and that is looked at once: what a pipeline
 * may use that tests offline. A daemon that looks all the time uses stats/confseq and
 * stats/e_process instead.
 *
 * Shape    a = control, b = treatment; diff = b - a
 * Units    proportions are fractions; alpha: two-sided error of the intervals
 * Errors   defined = false (zero variance, an empty arm): every p is 1, z and intervals are NaN
 * Threads  any
 * Source   pooled z, Newcombe 1998 method 10, Farrington–Manning 1990, Agresti–Caffo 2000 as in
 *          statsmodels 0.15; Welch's t as in SciPy 1.17. Upper tails are computed as such: no p
 *          saturates at 1e-16, and below 1e-300 log10_p goes on
 */
#pragma once

#include "stats/effect.h"

struct test_result {
    bool defined;
    double diff, se;
    double statistic; /* z or t */
    double dof;       /* INFINITY for z */
    double p_two_sided, p_greater, p_less;
    double log10_p; /* of p_two_sided */
    double lower, upper;
};

/* t test (dof from the effect) of "no effect", with its interval; serves Welch, ratios, CUPED. */
struct test_result test_effect(const struct effect *effect, double alpha);

struct proportion_test {
    struct test_result z; /* pooled; lower, upper: Wald (unpooled) */
    double newcombe_lower, newcombe_upper;
};
struct proportion_test test_proportions(int64_t n_a, double x_a, int64_t n_b, double x_b,
                                        double alpha);

/* H0: b - a >= margin (lower is better). For "higher is better" swap the arms. */
struct non_inferiority {
    bool defined;
    double diff;
    double wald_z, wald_p;
    double score_z, score_p;     /* Farrington–Manning */
    double agresti_z, agresti_p; /* Agresti–Caffo */
    double upper;                /* one-sided Wald bound of the difference at 1 - alpha */
};
struct non_inferiority test_non_inferiority(int64_t n_a, double x_a, int64_t n_b, double x_b,
                                            double margin, double alpha);
