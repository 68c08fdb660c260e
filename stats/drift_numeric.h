/*
 * A window's numbers against the reference's: PSI, Jensen–Shannon, Kolmogorov–Smirnov,
 * Wasserstein, Hellinger.
 *
 * Shape    exact where the window holds single values (and the reference too); PSI, JS and
 *          Hellinger are also exact where it was counted on the reference's grid. Otherwise each
 *          value has the bound that its cells prove, and the window's exact mean: what lies to
 *          one side of the reference is the difference of the means
 * Units    wasserstein: those of the feature; wasserstein_norm: standard deviations of the
 *          reference (ddof 0)
 * Errors   a reference without values, a window without values, a constant reference (for
 *          wasserstein_norm): no value, and why
 * Threads  any
 * Source   psi: contract §4 (deciles, right-closed) · js_distance, hellinger: NannyML 0.13 on
 *          Doane's bins and one for all outside · ks, ks_p: scipy.stats.ks_2samp · wasserstein:
 *          scipy.stats.wasserstein_distance. NannyML's own Wasserstein counts one row too many
 *          (shared notes) and is not followed
 */
#pragma once

#include "stats/drift.h"
#include "stats/reference.h"

struct drift_numeric_input {
    const struct reference_feature *reference;
    uint64_t reference_id; /* that the grid goes by: struct reference's `grids` */
    const struct numbers *window;
    /* the grid of window->reference where that is an older one and known; NULL: the sketch */
    const struct grid *older_grid;
    uint64_t ks_steps; /* for exact p-values, stats/kolmogorov.h; 0: asymptotic */
    /* put single values on the grid first: ten times as fast, with the grid's error_bound on ks and
       wasserstein; for answers over very many features and windows */
    bool coarse;
};

struct drift_numeric {
    uint64_t n;
    struct drift_value psi, js_distance, ks, wasserstein, wasserstein_norm, hellinger;
    double ks_p; /* NaN where ks is not defined */
    double mean, std;
    double wasserstein_beyond; /* its part beyond the reference's smallest and largest value */
    double outside_rate;       /* share beyond the reference's smallest and largest value */
    double moments_bound;
};

/* -ENOMEM, else 0; what is not defined says so in `out`. */
int drift_numeric(const struct drift_numeric_input *input, struct drift_numeric *out);

/* Bins of a window as PSI (deciles) and JS (Doane and outside) use them; room for
   GRID_DECILES and GRID_MAX_DOANE + 1. */
size_t drift_decile_bins(const struct reference_feature *reference, const struct cell *cells,
                         size_t n, struct drift_bin *bins);
size_t drift_doane_bins(const struct reference_feature *reference, const struct cell *cells,
                        size_t n, struct drift_bin *bins);
