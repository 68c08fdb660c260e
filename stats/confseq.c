#include "stats/confseq.h"

#include <math.h>

static const double LN_2 = 0.693147180559945309;

double confseq_rho_squared(double alpha, double tuning)
{
    double a = -2 * log(alpha);
    return (a + log(a + 1)) / tuning;
}

double always_valid_p(double log_e)
{
    return log_e <= 0 ? 1 : exp(-log_e);
}

static bool no_evidence(double variance, double information)
{
    return !(variance > 0) || !isfinite(variance) || !(information > 0);
}

struct confseq confseq_two_sided(double estimate, double variance, double information, double alpha,
                                 double tuning)
{
    if (no_evidence(variance, information) || !isfinite(estimate))
        return (struct confseq){-(double)INFINITY, (double)INFINITY, 0, 1};
    double grown = information * confseq_rho_squared(alpha, tuning);
    double half = sqrt(variance * 2 * (grown + 1) / grown * log(sqrt(grown + 1) / alpha));
    double log_e = estimate * estimate / variance * grown / (2 * (grown + 1)) - 0.5 * log1p(grown);
    return (struct confseq){estimate - half, estimate + half, log_e, always_valid_p(log_e)};
}

double confseq_one_sided_width(double variance, double information, double alpha, double tuning)
{
    if (no_evidence(variance, information))
        return (double)INFINITY;
    double grown = information * confseq_rho_squared(2 * alpha, tuning);
    return sqrt(variance * 2 * (grown + 1) / grown * log1p(sqrt(grown + 1) / (2 * alpha)));
}

double confseq_log_e_above(double estimate, double variance, double information, double alpha,
                           double tuning, double bound)
{
    if (no_evidence(variance, information) || !isfinite(estimate))
        return 0;
    double grown = information * confseq_rho_squared(2 * alpha, tuning);
    double z = (estimate - bound) / sqrt(variance);
    if (z <= 0)
        return -(double)INFINITY;
    double q = z * z * grown / (2 * (grown + 1));
    double log_expm1 = q > 30 ? q + log1p(-exp(-q)) : log(expm1(q));
    return LN_2 + log_expm1 - 0.5 * log1p(grown);
}
