#include "stats/srm.h"

#include <math.h>

#include "stats/distribution.h"

struct srm_chi2 srm_chi_squared(const int64_t *counts, const double *shares, size_t n)
{
    struct srm_chi2 result = {0, 0, 1};
    double units = 0, share = 0;
    size_t arms = 0;
    for (size_t i = 0; i < n; i++) {
        if (shares[i] > 0) {
            units += (double)counts[i];
            share += shares[i];
            arms++;
        } else if (counts[i] > 0) {
            return (struct srm_chi2){(double)INFINITY, 0, 0};
        }
    }
    if (arms < 2 || !(units > 0))
        return result;
    for (size_t i = 0; i < n; i++) {
        if (!(shares[i] > 0))
            continue;
        double expected = units * shares[i] / share;
        double distance = (double)counts[i] - expected;
        result.chi2 += distance * distance / expected;
    }
    result.dof = (double)(arms - 1);
    result.p = chi2_sf(result.chi2, result.dof);
    return result;
}

/*
 * Arm by arm: given the units so far, how many fall into the next arm is beta-binomial under the
 * mixture and binomial under the intended shares; the logarithms of the ratios add up.
 */
double srm_log_bayes_factor(const int64_t *counts, const double *shares, size_t n,
                            double concentration)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        if (shares[i] > 0)
            total += shares[i];
        else if (counts[i] > 0)
            return (double)INFINITY;
    }
    if (!(total > 0) || !(concentration > 0))
        return 0;
    double log_bf = 0, share = 0, units = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(shares[i] > 0))
            continue;
        double mine = shares[i] / total, x = (double)counts[i];
        if (share > 0) {
            double a = concentration * mine, b = concentration * share;
            log_bf += log_beta(a + x, b + units) - log_beta(a, b);
            log_bf -= x * log(mine / (mine + share)) + units * log(share / (mine + share));
        }
        share += mine;
        units += x;
    }
    return log_bf;
}
