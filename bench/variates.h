/*
 * Random counts and shares for simulations, beside the numbers of common/rng.h.
 *
 * Shape    every function draws from the given generator: a seed replays them
 * Threads  one generator, one thread
 * Source   gamma: Marsaglia, Tsang 2000, with their squeeze · binomial: inversion below 10 expected
 *          successes (Kachitvichyanukul, Schmeiser 1988, BINV), BTRS above (Hörmann 1993)
 */
#pragma once

#include <stddef.h>

#include "common/rng.h"

double gamma_variate(struct rng *rng, double shape);          /* scale 1; shape > 0 */
double binomial_variate(struct rng *rng, double n, double p); /* n whole; 0 outside n, p > 0 */
/* n events on bins of those shares, which need not add up to 1. */
void multinomial_variate(struct rng *rng, const double *shares, size_t n_bins, double n,
                         double *out);
