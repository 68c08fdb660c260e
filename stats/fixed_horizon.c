#include "stats/fixed_horizon.h"

#include <math.h>

#include "stats/distribution.h"

static const double LN_10 = 2.302585092994045684;
static const double LN_2 = 0.693147180559945309;

static struct test_result no_evidence(double diff)
{
    return (struct test_result){.defined = false,
                                .diff = diff,
                                .se = (double)NAN,
                                .statistic = (double)NAN,
                                .dof = (double)NAN,
                                .p_two_sided = 1,
                                .p_greater = 1,
                                .p_less = 1,
                                .log10_p = 0,
                                .lower = (double)NAN,
                                .upper = (double)NAN};
}

static void fill_p(struct test_result *result)
{
    double t = result->statistic, dof = result->dof;
    result->p_greater = t_sf(t, dof);
    result->p_less = t_cdf(t, dof);
    result->p_two_sided = fmin(1, 2 * t_sf(fabs(t), dof));
    result->log10_p = fmin(0, (t_log_sf(fabs(t), dof) + LN_2) / LN_10);
}

struct test_result test_effect(const struct effect *effect, double alpha)
{
    if (!effect->defined)
        return no_evidence(effect->value);
    double se = sqrt(effect->variance), half = t_isf(alpha / 2, effect->dof) * se;
    struct test_result result = {
        .defined = true,
        .diff = effect->value,
        .se = se,
        .statistic = effect->value / se,
        .dof = effect->dof,
        .lower = effect->value - half,
        .upper = effect->value + half,
    };
    fill_p(&result);
    return result;
}

/* Wilson's interval for one proportion: what Newcombe's is made of. */
static void wilson(double n, double x, double z, double *lower, double *upper)
{
    double p = x / n, zz = z * z;
    double centre = (p + zz / (2 * n)) / (1 + zz / n);
    double half = z / (1 + zz / n) * sqrt(p * (1 - p) / n + zz / (4 * n * n));
    *lower = fmax(0, centre - half);
    *upper = fmin(1, centre + half);
}

struct proportion_test test_proportions(int64_t n_a, double x_a, int64_t n_b, double x_b,
                                        double alpha)
{
    double na = (double)n_a, nb = (double)n_b;
    double pa = x_a / na, pb = x_b / nb, pooled = (x_a + x_b) / (na + nb);
    double variance = pooled * (1 - pooled) * (1 / na + 1 / nb);
    struct proportion_test result = {no_evidence(pb - pa), (double)NAN, (double)NAN};
    if (n_a < 1 || n_b < 1 || !(variance > 0))
        return result;

    double z = normal_isf(alpha / 2);
    double half = z * sqrt(pa * (1 - pa) / na + pb * (1 - pb) / nb);
    result.z = (struct test_result){
        .defined = true,
        .diff = pb - pa,
        .se = sqrt(variance),
        .statistic = (pb - pa) / sqrt(variance),
        .dof = (double)INFINITY,
        .lower = pb - pa - half,
        .upper = pb - pa + half,
    };
    fill_p(&result.z);

    double lower_a, upper_a, lower_b, upper_b;
    wilson(na, x_a, z, &lower_a, &upper_a);
    wilson(nb, x_b, z, &lower_b, &upper_b);
    result.newcombe_lower = pb - pa - hypot(pb - lower_b, upper_a - pa);
    result.newcombe_upper = pb - pa + hypot(upper_b - pb, pa - lower_a);
    return result;
}

/* Proportions of greatest likelihood under p_b - p_a = margin: the cubic of Farrington–Manning. */
static void constrained_proportions(double na, double pa, double nb, double pb, double margin,
                                    double *qa, double *qb)
{
    double theta = na / nb;
    double a = 1 + theta, b = -(1 + theta + pb + theta * pa + margin * (theta + 2));
    double c = margin * margin + margin * (2 * pb + theta + 1) + pb + theta * pa;
    double d = -pb * margin * (1 + margin);
    double third = b / (3 * a);
    double v = third * third * third - b * c / (6 * a * a) + d / (2 * a);
    double under = third * third - c / (3 * a);
    double u = copysign(sqrt(fmax(under, 0)), v);
    double angle = u == 0 ? 1 : fmin(1, fmax(-1, v / (u * u * u)));
    double w = (acos(-1.0) + acos(angle)) / 3;
    *qb = fmin(1, fmax(0, 2 * u * cos(w) - third));
    *qa = fmin(1, fmax(0, *qb - margin));
}

struct non_inferiority test_non_inferiority(int64_t n_a, double x_a, int64_t n_b, double x_b,
                                            double margin, double alpha)
{
    double na = (double)n_a, nb = (double)n_b, pa = x_a / na, pb = x_b / nb;
    double nan_value = (double)NAN;
    struct non_inferiority result = {false, pb - pa,   nan_value, 1,        nan_value,
                                     1,     nan_value, 1,         nan_value};
    double wald = pa * (1 - pa) / na + pb * (1 - pb) / nb;
    if (n_a < 1 || n_b < 1 || !(wald > 0))
        return result;
    result.defined = true;
    result.wald_z = (pb - pa - margin) / sqrt(wald);
    result.wald_p = normal_cdf(result.wald_z);
    result.upper = pb - pa + normal_isf(alpha) * sqrt(wald);

    double qa, qb;
    constrained_proportions(na, pa, nb, pb, margin, &qa, &qb);
    result.score_z = (pb - pa - margin) / sqrt(qa * (1 - qa) / na + qb * (1 - qb) / nb);
    result.score_p = normal_cdf(result.score_z);

    double ra = (x_a + 1) / (na + 2), rb = (x_b + 1) / (nb + 2);
    double agresti = ra * (1 - ra) / (na + 2) + rb * (1 - rb) / (nb + 2);
    result.agresti_z = (rb - ra - margin) / sqrt(agresti);
    result.agresti_p = normal_cdf(result.agresti_z);
    return result;
}
