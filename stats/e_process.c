/*
 * All in logarithms: a clearly better treatment drives the incomplete beta below 1e-308 while ln E
 * is a mild -8.6, and the logarithm of a value that underflowed would poison the sum over steps.
 */
#include "stats/e_process.h"

#include <math.h>
#include <stdbool.h>

#include "stats/distribution.h"

enum {
    BISECTIONS = 200 /* down to neighbouring doubles */
};

double e_process_theta(double share, double ratio)
{
    return share * ratio / (share * ratio + 1 - share);
}

/* ln of x ln theta + y ln(1 - theta), where 0 · ln 0 is 0. */
static double log_coin(double x, double log_theta, double y, double log_rest)
{
    return (x > 0 ? x * log_theta : 0) + (y > 0 ? y * log_rest : 0);
}

static bool no_evidence(struct failures failures, double share, double ratio, double concentration)
{
    return failures.treatment < 0 || failures.control < 0 ||
           failures.treatment + failures.control == 0 || !(share > 0 && share < 1) ||
           !(ratio > 0) || !isfinite(ratio) || !(concentration > 0) || !isfinite(concentration);
}

double e_process_harm(struct failures failures, double share, double ratio, double concentration)
{
    if (no_evidence(failures, share, ratio, concentration))
        return 0;
    double x = (double)failures.treatment, y = (double)failures.control;
    double theta = e_process_theta(share, ratio), rest = (1 - share) / (share * ratio + 1 - share);
    double a = concentration * theta, b = concentration * rest;
    return log_beta(a + x, b + y) - log_beta(a, b) + beta_log_sf(theta, a + x, b + y) -
           beta_log_sf(theta, a, b) - log_coin(x, log(theta), y, log(rest));
}

double e_process_safe(struct failures failures, double share, double ratio, double concentration)
{
    struct failures mirrored = {failures.control, failures.treatment};
    return ratio > 0 ? e_process_harm(mirrored, 1 - share, 1 / ratio, concentration) : 0;
}

double e_process_growth(double theta, double theta0)
{
    double one = theta > 0 ? theta * log(theta / theta0) : 0;
    double other = theta < 1 ? (1 - theta) * log((1 - theta) / (1 - theta0)) : 0;
    return one + other;
}

/* ln of the mixture over all p against p itself; convex in p, 0 or less near s/n. */
static double log_mixture(double s, double f, double p)
{
    return log_beta(1 + s, 1 + f) - log_coin(s, log(p), f, log1p(-p));
}

static double solve_bound(double s, double f, double outside, double inside, double threshold)
{
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = 0.5 * (outside + inside);
        if (middle == outside || middle == inside)
            break;
        if (log_mixture(s, f, middle) >= threshold)
            outside = middle;
        else
            inside = middle;
    }
    return outside;
}

double rate_lower_bound(int64_t failures, int64_t trials, double alpha)
{
    if (failures <= 0 || trials < failures)
        return 0;
    double s = (double)failures, f = (double)(trials - failures);
    return solve_bound(s, f, 0, s / (s + f), -log(alpha));
}

double rate_upper_bound(int64_t failures, int64_t trials, double alpha)
{
    if (trials <= 0 || failures < 0 || failures >= trials)
        return 1;
    double s = (double)failures, f = (double)(trials - failures);
    return solve_bound(s, f, 1, s / (s + f), -log(alpha));
}

double e_process_limit(int64_t failures, int64_t trials, double limit)
{
    if (trials <= 0 || failures < 0 || failures > trials || !(limit > 0 && limit < 1))
        return 0;
    double s = (double)failures, f = (double)(trials - failures);
    return log_mixture(s, f, limit) + beta_log_sf(limit, 1 + s, 1 + f) - log1p(-limit);
}
