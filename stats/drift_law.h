/*
 * How a drift statistic is distributed when nothing drifted, computed rather than drawn.
 *
 * Shape    the reference's counts are given; the window's n events fall on its bins with the shares
 *          that such a reference leaves possible: Dirichlet with the counts as weights, so the
 *          window is Dirichlet-multinomial, as independent negative binomials are once their sum
 *          is known. Its variance is share × (1/n + 1/m): the reference's own noise is in it.
 *          psi, js, hellinger, chi2 are sums over bins:
 *          · up to LAW_EXACT_EVENTS events by convolution over (events so far, sum so far); js of
 *            windows that fill many bins by its saddlepoint (stats/drift_saddle)
 *          · beyond, bins of few events by convolution; the others by their exact cumulants, less
 *            the one direction that the fixed sum takes away (Pearson type III, three cumulants);
 *            a bin of more than half the weight by its own law given the sum (beta-binomial)
 *          l_infinity: the bins' exact tails added up (Bonferroni) · wasserstein: the path of
 *          F - G over the groups, again by convolution; beyond LAW_EXACT_EVENTS a Brownian bridge
 * Units    statistics are scaled so that n hardly matters: psi / (1/n + 1/m), squares of the
 *          distances / (1/n + 1/m), chi2 as it is, l_infinity and wasserstein / sqrt(1/n + 1/m)
 * Errors   -ENOMEM
 * Threads  any
 * Source   predictive law of order statistics' spacings: Wilks 1962, ch. 7.7 and 8.7; Pearson III:
 *          Johnson, Kotz, Balakrishnan 1994, ch. 17.2
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LAW_POINTS = 256,
    LAW_EXACT_EVENTS = 128
};

enum drift_statistic {
    LAW_PSI,
    LAW_JS,
    LAW_HELLINGER,
    LAW_L_INFINITY,
    LAW_CHI2,
    LAW_WASSERSTEIN /* bins in the order of the values, with `steps` between them */
};

struct law_question {
    enum drift_statistic statistic;
    const double *counts;  /* of the reference */
    const double *weights; /* Dirichlet's, about the counts */
    const double *steps;   /* LAW_WASSERSTEIN: distance of bin i + 1 from bin i, in std */
    size_t n_bins;
    double unseen; /* Dirichlet's weight of what the reference lacks; 0: nothing can be unseen */
    double m, n;
    double prior;               /* more of each weight, */
    double prior_ends;          /* … of the first and the last one instead, */
    const double *prior_shares; /* … times this; NULL: none */
    const double *sparse;       /* how much of `prior` a bin among empty ones does without, */
    double sparse_part;         /* … times this */
    bool fine_ends;             /* LAW_WASSERSTEIN: much of the variance is that of few values */
};

struct drift_law {
    double step;
    bool smooth;                    /* without lumps: laws of near sizes lie on both sides of it */
    float log_survival[LAW_POINTS]; /* ln P(statistic >= i step), falling */
};

int drift_law_make(struct drift_law *out, const struct law_question *question);

/* ln P(statistic >= t); beyond the last point on with its slope. */
double drift_law_log_p(const struct drift_law *law, double t);
/* The t with that; not below 0. */
double drift_law_quantile(const struct drift_law *law, double log_p);
