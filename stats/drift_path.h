/*
 * The law of the Wasserstein distance: of the area between a window's distribution function and
 * the reference's, as a path over the groups of values.
 *
 * Shape    up to LAW_EXACT_EVENTS events: (events so far, area so far) by convolution, every path.
 *          Beyond: the same for a Brownian bridge, which does not know n; what a skewed feature
 *          adds to its tail at n is drift_path_skewness. Between two groups the gap goes on as a
 *          Brownian path does
 * Units    stats/drift_law.h
 * Threads  any
 * Source   the distance as an area: Vallender 1974 · in the far tail the path is a shift of the
 *          mean, so that a mean's law at n gives the correction; that one by the rate functions of
 *          both means and of the variance, to the second order in sqrt(1/n + 1/m) (of one sample it
 *          is Hall 1987, "Edgeworth expansion for Student's t statistic under minimal moment
 *          conditions", the terms of the highest powers of t)
 */
#pragma once

#include "stats/drift_law.h"

int drift_path_law(struct drift_law *out, const struct law_question *question, double total);

/*
 * The mean of n values against that of m others, in their standard deviation. That one is the m
 * values' own: where they are skewed it goes with their mean, and on the side where both are small
 * differences are further out. Of heavy tails a sample's moments say less than those of the law.
 */
struct drift_path_mean {
    double m, n;
    double skew, kurtosis; /* of the m values; the latter above a normal law's */
    double heavy;          /* 0: light tails, moments are the law's; to 1 */
    double peaked;         /* fourth moment above 3 and what the skewness goes with; 0: it is not */
    bool counted; /* the law is that of n events given the reference: Student's t is in it, but for
                      what skewness adds */
};

/* What t would be were the standard deviation known: Student's t, of fewer degrees the more skewed
   the values of a heavy tail are. */
double drift_path_of_known_std(double t, const struct drift_path_mean *mean);
/* ln of how much more probable the mean is further off than t than a normal one; never below 0. */
double drift_path_skewness(double t, const struct drift_path_mean *mean);
