#include "stats/bayes.h"

#include <math.h>

#include "stats/distribution.h"

enum {
    PANELS = 64,
    NODES = 8
};

struct bayes_summary bayes_normal(const struct effect *effect, const struct normal_prior *prior,
                                  bool lower_is_better, double alpha)
{
    double nan_value = (double)NAN;
    if (!effect->defined)
        return (struct bayes_summary){false,     nan_value, nan_value, 0.5,
                                      nan_value, nan_value, nan_value, nan_value};
    double mean = effect->value, variance = effect->variance;
    if (prior && prior->variance > 0 && isfinite(prior->variance)) {
        double precision = 1 / effect->variance + 1 / prior->variance;
        mean = (effect->value / effect->variance + prior->mean / prior->variance) / precision;
        variance = 1 / precision;
    }
    double sd = sqrt(variance), t = mean / sd, half = normal_isf(alpha / 2) * sd;
    double gain = sd * normal_pdf(t) + mean * normal_cdf(t); /* E[max(effect, 0)] */
    double loss = sd * normal_pdf(t) - mean * normal_sf(t);  /* E[max(-effect, 0)] */
    return (struct bayes_summary){
        .defined = true,
        .mean = mean,
        .sd = sd,
        .chance_to_win = lower_is_better ? normal_sf(t) : normal_cdf(t),
        .lower = mean - half,
        .upper = mean + half,
        .loss_control = lower_is_better ? loss : gain,
        .loss_treatment = lower_is_better ? gain : loss,
    };
}

struct beta {
    double a, b;
};

static double beta_mean(struct beta p)
{
    return p.a / (p.a + p.b);
}

/* E[max(p - x, 0)] of a beta variable. */
static double beta_excess(struct beta p, double x)
{
    return fmax(0, beta_mean(p) * beta_sf(x, p.a + 1, p.b) - x * beta_sf(x, p.a, p.b));
}

struct beta_summary bayes_beta(int64_t n_a, double x_a, int64_t n_b, double x_b, double prior_alpha,
                               double prior_beta)
{
    static const double node[NODES / 2] = {0.1834346424956498, 0.5255324099163290,
                                           0.7966664774136267, 0.9602898564975363};
    static const double weight[NODES / 2] = {0.3626837833783620, 0.3137066458778873,
                                             0.2223810344533745, 0.1012285362903763};
    struct beta a = {x_a + prior_alpha, (double)n_a - x_a + prior_beta};
    struct beta b = {x_b + prior_alpha, (double)n_b - x_b + prior_beta};
    struct beta_summary result = {false, 0.5, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (!(a.a > 0 && a.b > 0 && b.a > 0 && b.b > 0))
        return result;

    result = (struct beta_summary){true, 0, beta_mean(a), beta_mean(b), 0, 0};
    double from = beta_quantile(1e-16, b.a, b.b), to = beta_quantile(1 - 1e-15, b.a, b.b);
    double norm = log_beta(b.a, b.b), width = (to - from) / PANELS;
    for (int panel = 0; panel < PANELS; panel++) {
        double centre = from + (panel + 0.5) * width;
        for (int k = 0; k < NODES; k++) {
            double x = centre + (k % 2 ? 0.5 : -0.5) * width * node[k / 2];
            double log_density = (b.a - 1) * log(x) + (b.b - 1) * log1p(-x) - norm;
            double mass = 0.5 * width * weight[k / 2] * exp(log_density);
            result.p_b_greater += mass * beta_cdf(x, a.a, a.b);
            result.loss_b += mass * beta_excess(a, x);
        }
    }
    /* E(b - a)+ = E(a - b)+ + E b - E a */
    result.loss_a = fmax(0, result.loss_b + result.mean_b - result.mean_a);
    return result;
}
