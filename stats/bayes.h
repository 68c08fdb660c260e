/*
 * Bayesian summary of two arms for people: chance to win and expected loss. Shown, never deciding:
 * a posterior is not safe under peeking.
 *
 * Shape    a = control, b = treatment, effect = b - a (or b/a - 1)
 * Errors   defined = false where the effect is; then chance_to_win is 0.5 and the rest NaN
 * Threads  any
 * Source   gbstats 0.8.0 (normal posterior, flat or normal prior on the effect); beta-binomial by
 *          Gauss–Legendre quadrature, relative error below 1e-9 for priors >= 1
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stats/effect.h"

struct normal_prior {
    double mean, variance; /* variance INFINITY or 0: flat */
};

struct bayes_summary {
    bool defined;
    double mean, sd; /* posterior of the effect */
    double chance_to_win;
    double lower, upper;                 /* credible interval at 1 - alpha */
    double loss_control, loss_treatment; /* expected loss of choosing it */
};

/* lower_is_better turns chance to win and losses round. */
struct bayes_summary bayes_normal(const struct effect *effect, const struct normal_prior *prior,
                                  bool lower_is_better, double alpha);

struct beta_summary {
    bool defined;
    double p_b_greater;
    double mean_a, mean_b;
    double loss_a, loss_b; /* expected loss of choosing it when higher is better */
};
struct beta_summary bayes_beta(int64_t n_a, double x_a, int64_t n_b, double x_b, double prior_alpha,
                               double prior_beta);
