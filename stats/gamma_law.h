/*
 * A law with a given mean, variance and skewness: a gamma law, moved and where need be mirrored
 * (Pearson's type III); without skewness the normal one.
 *
 * Errors   a variance of 0: all of it lies at the mean
 * Threads  any
 * Source   Pearson 1895; skewness = 2 / √shape
 */
#pragma once

struct gamma_law {
    double mean, sd, skewness;
};

double gamma_law_cdf(const struct gamma_law *law, double x); /* P(X <= x) */
double gamma_law_sf(const struct gamma_law *law, double x);  /* P(X > x) */
double gamma_law_quantile(const struct gamma_law *law, double p);
