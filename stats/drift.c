#include "stats/drift.h"

#include <math.h>

#include "stats/four.h"

struct drift_value drift_defined(double value, double error_bound)
{
    if (!isfinite(value))
        return drift_none("beyond the range of numbers");
    return (struct drift_value){value, isfinite(error_bound) ? error_bound : HUGE_VAL, NULL};
}

/* Shares of four bins from the i-th on; behind the last one they are 0. */
struct shares {
    four reference, window;
};

FOUR_INLINE struct shares shares_of(const struct drift_bin *bins, size_t n_bins, size_t i,
                                    struct shares per_share)
{
    struct shares out = {{0}, {0}};
    if (i + LANES <= n_bins) {
        const four first = four_read(&bins[i].reference),
                   second = four_read(&bins[i + 2].reference);
        out = (struct shares){__builtin_shufflevector(first, second, 0, 2, 4, 6),
                              __builtin_shufflevector(first, second, 1, 3, 5, 7)};
    }
    for (size_t lane = 0; i + LANES > n_bins && i + lane < n_bins; lane++) {
        out.reference[lane] = bins[i + lane].reference;
        out.window[lane] = bins[i + lane].window;
    }
    return (struct shares){out.reference / per_share.reference, out.window / per_share.window};
}

FOUR_INLINE double psi_by(const struct drift_bin *bins, size_t n_bins, struct shares n)
{
    const four least = four_of(PSI_FLOOR);
    four sum = {0};
    for (size_t i = 0; i < n_bins; i += LANES) {
        const struct shares here = shares_of(bins, n_bins, i, n);
        const four a = four_choose(here.reference > least, here.reference, least);
        const four b = four_choose(here.window > least, here.window, least);
        sum += (b - a) * four_log(b / a);
    }
    return four_sum(sum);
}

/* An empty side's logarithm is finite, and 0 times it is 0. */
FOUR_INLINE double js_by(const struct drift_bin *bins, size_t n_bins, struct shares n)
{
    four sum = {0};
    for (size_t i = 0; i < n_bins; i += LANES) {
        const struct shares here = shares_of(bins, n_bins, i, n);
        const four p = here.reference, q = here.window, both = (p + q) / 2;
        const four middle = four_choose(both > 0, both, four_of(1));
        sum += p * four_log(p / middle) + q * four_log(q / middle);
    }
    return four_sum(sum);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static double psi_avx2(const struct drift_bin *bins, size_t n_bins,
                                                       const struct shares *n)
{
    return psi_by(bins, n_bins, *n);
}

__attribute__((target("avx2"))) static double js_avx2(const struct drift_bin *bins, size_t n_bins,
                                                      const struct shares *n)
{
    return js_by(bins, n_bins, *n);
}
#endif

double drift_psi(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window)
{
    const struct shares n = {four_of(n_reference), four_of(n_window)};
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return psi_avx2(bins, n_bins, &n);
#endif
    return psi_by(bins, n_bins, n);
}

double drift_js(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window)
{
    const struct shares n = {four_of(n_reference), four_of(n_window)};
    double sum;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        sum = js_avx2(bins, n_bins, &n);
    else
#endif
        sum = js_by(bins, n_bins, n);
    return sqrt(fmax(sum / 2 / log(2), 0));
}

double drift_hellinger(const struct drift_bin *bins, size_t n_bins, double n_reference,
                       double n_window)
{
    double sum = 0;
    for (size_t i = 0; i < n_bins; i++) {
        double d = sqrt(bins[i].reference / n_reference) - sqrt(bins[i].window / n_window);
        sum += d * d;
    }
    return sqrt(sum / 2);
}

double drift_l_infinity(const struct drift_bin *bins, size_t n_bins, double n_reference,
                        double n_window)
{
    double most = 0;
    for (size_t i = 0; i < n_bins; i++)
        most = fmax(most, fabs(bins[i].reference / n_reference - bins[i].window / n_window));
    return most;
}

double drift_chi2(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window,
                  double *dof)
{
    double total = n_reference + n_window;
    size_t used = 0;
    for (size_t i = 0; i < n_bins; i++)
        used += bins[i].reference + bins[i].window > 0;
    *dof = used > 0 ? (double)used - 1 : 0;
    double sum = 0;
    for (size_t i = 0; i < n_bins; i++) {
        double both = bins[i].reference + bins[i].window;
        if (!(both > 0))
            continue;
        double expected[2] = {both * n_reference / total, both * n_window / total};
        double observed[2] = {bins[i].reference, bins[i].window};
        for (int k = 0; k < 2; k++) {
            double d = fabs(observed[k] - expected[k]);
            if (used == 2)
                d -= fmin(0.5, d);
            sum += d * d / expected[k];
        }
    }
    return used > 1 ? sum : 0;
}
