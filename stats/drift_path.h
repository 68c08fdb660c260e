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
 *          mean, so that a mean's law at n gives the correction
 */
#pragma once

#include "stats/drift_law.h"

int drift_path_law(struct drift_law *out, const struct law_question *question, double total);

/*
 * ln of how much more probable a mean of n values further off than t is than a normal one, for
 * values of that skewness against m others; never below 0.
 */
double drift_path_skewness(double t, double skew, double m, double n);
