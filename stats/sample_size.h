/*
 * How many units an experiment will need: power and smallest visible effect of a test with a fixed
 * end, and the units until a sequential test decides. What `assay experiment plan` prints.
 *
 * Shape    n = units of both arms together; share = treatment's part of them
 * Units    variance: of one unit's value; alpha is one-sided; power and share are fractions
 * Errors   no effect, a share outside (0, 1), a variance not above 0: INFINITY units (NaN power)
 * Threads  any
 * Source   normal approximation (Chow, Shao, Wang 2008, ch. 3); sequential figures: the smallest n
 *          at which the expected counts alone carry the evidence to 1/alpha: 1.2 (harm) to 1.5
 *          (safe) times the median of the simulations in docs/abtest.md, so on the safe side
 */
#pragma once

struct two_arms {
    double share;
    double variance_a, variance_b;
};
struct two_arms two_arms_of_rates(double rate_a, double rate_b, double share);

double sample_size_needed(const struct two_arms *arms, double effect, double alpha, double power);
double sample_size_power(const struct two_arms *arms, double effect, double alpha, double n);
double sample_size_smallest_effect(const struct two_arms *arms, double alpha, double power,
                                   double n);

/* Typical units until the conditional e-process finds rate_b harmful beyond `ratio` · rate_a. */
double sample_size_until_harm(double rate_a, double rate_b, double share, double ratio,
                              double alpha);
/* … until it shows rate_b non-inferior: below `ratio` · rate_a. */
double sample_size_until_safe(double rate_a, double rate_b, double share, double ratio,
                              double alpha);
/* … until the one-sided confidence sequence shows an effect to lie `distance` beyond its bound. */
double sample_size_until_bound(const struct two_arms *arms, double distance, double alpha,
                               double tuning);
