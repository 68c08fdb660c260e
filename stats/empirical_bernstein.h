/*
 * A confidence sequence for the mean of values in [0, 1], exact at any n, one arm: the
 * predictable-mixture empirical-Bernstein bound. An oracle for the asymptotic ones, and the
 * interval of choice for a handful of bounded scores.
 *
 * Shape    update with each value in the order of arrival (the bound depends on the order); the
 *          state is a few numbers. lower and upper are running intersections
 * Units    fractions
 * Errors   a value outside [0, 1] is cut to it
 * Threads  one at a time
 * Source   Waudby-Smith, Ramdas 2023, Theorem 2; confseq 70b1ef3, predmix_empbern_twosided_cs
 */
#pragma once

#include <stdint.h>

struct empirical_bernstein {
    double alpha;
    double truncation; /* largest bet, 1/2 by default */
    int64_t n;
    double sum, squares; /* Σx, Σ(x - mean so far)² */
    double sum_bets, sum_bet_values;
    double cost_lower, cost_upper;
    double lower, upper;
};

void empirical_bernstein_init(struct empirical_bernstein *eb, double alpha, double truncation);
void empirical_bernstein_update(struct empirical_bernstein *eb, double value);
