/*
 * What every drift statistic answers: a value, how far it may be off, or why there is none; and
 * the sums over shares that numbers and categories have in common.
 *
 * Shape    value NaN: not defined (JSON null), `why` says why · error_bound 0: exact. The true
 *          value then lies within value ± error_bound
 * Threads  any
 * Source   contract §4, Drift. PSI: shares floored at 1e-4 · Jensen–Shannon distance: base 2, the
 *          root (NannyML; scipy.spatial.distance.jensenshannon) · Hellinger: NannyML
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct drift_value {
    double value;
    double error_bound;
    const char *why; /* static text; NULL when the value is defined */
};

static inline struct drift_value drift_none(const char *why)
{
    return (struct drift_value){(double)__builtin_nanf(""), 0, why};
}
/* A value that left the numbers is none: "beyond the range of numbers". */
struct drift_value drift_defined(double value, double error_bound);

/* One bin: events of the reference and of the window. */
struct drift_bin {
    double reference, window;
};

#define PSI_FLOOR 1e-4

double drift_psi(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window);
double drift_js(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window);
double drift_hellinger(const struct drift_bin *bins, size_t n_bins, double n_reference,
                       double n_window);
double drift_l_infinity(const struct drift_bin *bins, size_t n_bins, double n_reference,
                        double n_window);

/*
 * Pearson's statistic on the 2 × n_bins table (Yates' correction with two bins), as
 * scipy.stats.chi2_contingency; empty bins are left out. *dof: one less than the bins left.
 */
double drift_chi2(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window,
                  double *dof);
