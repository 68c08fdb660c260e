/*
 * P-values of the two-sample Kolmogorov–Smirnov statistic.
 *
 * Shape    d = sup |F - G| of samples of n and m values; p = P(D >= d) when both come from one
 *          continuous distribution (with ties: never too small)
 * Errors   n or m 0 gives 1; NaN gives NaN
 * Threads  any
 * Source   exact: recursion over lattice paths, Hodges 1958, as scipy.stats.ks_2samp ("exact", up
 *          to 10,000 values a side). Otherwise the one-sample law at round(nm / (n + m)), as
 *          scipy's "asymp": Smirnov's finite sum in the tail (Birnbaum, Tingey 1951, eq. 3.0),
 *          Pelz, Good 1976 (eq. 6 to 9) in the body
 */
#pragma once

#include <stdint.h>

enum {
    KS_EXACT_VALUES = 10000 /* scipy's limit for exact p-values */
};

/*
 * As scipy's method "auto" while at most `max_steps` of the recursion are needed (one is about
 * 3 ns), else the asymptotic value. 0: quick, never exact, the tail within 1% of itself.
 */
double ks_two_sample_p_auto(double d, uint64_t n, uint64_t m, uint64_t max_steps);

/* P(D_n >= d) of the one-sample statistic; n may be a fraction. _quick: in at most 200 terms, the
   tail within 1% of itself. */
double ks_one_sample_sf(double d, double n);
double ks_one_sample_sf_quick(double d, double n);
