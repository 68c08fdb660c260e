/*
 * Many p-values at once: Bonferroni, Holm (chance of any false alarm) and Benjamini–Hochberg
 * (share of false alarms among the alarms).
 *
 * Shape    out[i] is the adjusted p of p[i], in the order given; reject when out[i] <= alpha.
 *          out may be p itself
 * Errors   -ENOMEM. A NaN in p is "no test": it stays NaN and is not counted among the tests
 * Threads  any
 * Source   Holm 1979; Benjamini, Hochberg 1995; statsmodels multipletests
 */
#pragma once

#include <stddef.h>

enum fdr_method {
    FDR_BONFERRONI,
    FDR_HOLM,
    FDR_BENJAMINI_HOCHBERG
};

int fdr_adjust(const double *p, size_t n, enum fdr_method method, double *out);
