/* Whether a window's mean error is one of the reference's. */
#include <math.h>

#include "stats/drift_multivariate.h"
#include "stats/gamma_law.h"

/* The rest of the promise is kept back for what the approximation leaves open, as for features. */
#define KEPT 0.8
/* … and as much less of a skewness of 1: heavy tails are more than skewed, as windows of 50 see. */
#define KEPT_BACK_SKEWNESS 0.7
/* A reference's mean error varies more than that of as many independent rows, because components, scales and categories'
   counts were made of them (1.2 to 1.5 times, bench_estimates, four kinds of streams), and what is left of how much better
   they are rebuilt is 0.5% of a standard deviation. Where rows are few for so many features, which components they give
   is chance: with 10 features that have nothing in common and 200 rows the share called was 0.10 where 0.05 is asked
   without that part, 0.03 with it. */
#define REFERENCE_PART 2.6
#define REFERENCE_PART_FEATURES 40

#define HEAVY 1.0    /* a mean's skewness, beyond which its law says little of what lies below */
#define ROUNDED 1e-6 /* of an error that is rounding alone, on average */

/* Of the mean of n errors, the reference's own mean being one of as many as it has. */
static struct gamma_law law_of(const struct multivariate *model, double n)
{
    const double m = model->n_reference;
    const double part = REFERENCE_PART + REFERENCE_PART_FEATURES * model->n_features / m;
    const double both = 1 / n + part / m;
    return (struct gamma_law){.mean = model->reference_mean,
                              .sd = sqrt(model->reference_variance * both),
                              .skewness = model->reference_skewness * (1 / (n * n) - 1 / (m * m)) /
                                          pow(both, 1.5)};
}

/* Where all the reference's errors are one and the same: how probable is it that the events of a window that have others
   are all in the window, and none in the reference? As many as that makes its sums, at least (Cauchy–Schwarz). What
   earlier versions rounded is no other error. */
static double p_of_others(const struct multivariate *model,
                          const struct multivariate_window *window)
{
    const double n = (double)window->n, mean = model->reference_mean;
    const double sum = fixed_result(&window->sum, MULTIVARIATE_SCALE);
    const double off = sum - n * mean;
    const double square =
        fixed_result(&window->square, MULTIVARIATE_SCALE) - 2 * mean * sum + n * mean * mean;
    if (fabs(off) <= ROUNDED * n || square <= 0)
        return 1;
    return pow(n / (n + model->n_reference), fmin(fmax(off * off / square, 1), n));
}

struct multivariate_drift multivariate_result(const struct multivariate *model,
                                              const struct multivariate_window *window,
                                              double false_alarm_rate)
{
    double none = (double)NAN;
    if (window->n <= 0)
        return (struct multivariate_drift){none, none, none, none, false};
    const double n = (double)window->n;
    const double value = fixed_result(&window->sum, MULTIVARIATE_SCALE) / n;
    const struct gamma_law law = law_of(model, n);
    const double less = KEPT_BACK_SKEWNESS * fmin(fabs(law.skewness), 1);
    const double rate = false_alarm_rate * (KEPT - less);
    /* Of heavy tails most windows lack the few events that make the mean: fewer of those say nothing. */
    const bool heavy = law.skewness > HEAVY;
    double p = 2 * gamma_law_sf(&law, value);
    if (!heavy)
        p = fmin(p, 2 * gamma_law_cdf(&law, value));
    if (law.sd <= 0)
        p = p_of_others(model, window);
    return (struct multivariate_drift){value, heavy ? 0 : gamma_law_quantile(&law, rate / 2),
                                       gamma_law_quantile(&law, 1 - rate / 2), fmin(p, 1),
                                       p <= rate};
}
