#include "stats/drift.h"

#include <math.h>

struct drift_value drift_defined(double value, double error_bound)
{
    if (!isfinite(value))
        return drift_none("beyond the range of numbers");
    return (struct drift_value){value, isfinite(error_bound) ? error_bound : HUGE_VAL, NULL};
}

double drift_psi(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window)
{
    double sum = 0;
    for (size_t i = 0; i < n_bins; i++) {
        double a = fmax(bins[i].reference / n_reference, PSI_FLOOR);
        double b = fmax(bins[i].window / n_window, PSI_FLOOR);
        sum += (b - a) * log(b / a);
    }
    return sum;
}

double drift_js(const struct drift_bin *bins, size_t n_bins, double n_reference, double n_window)
{
    double sum = 0;
    for (size_t i = 0; i < n_bins; i++) {
        double p = bins[i].reference / n_reference, q = bins[i].window / n_window;
        double middle = (p + q) / 2;
        sum += (p > 0 ? p * log(p / middle) : 0) + (q > 0 ? q * log(q / middle) : 0);
    }
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
