/*
 * How many of a window's events one bin gets when nothing drifted.
 *
 * Shape    values first, first + stride, … with their probabilities, which add up to 1. Either
 *          negative binomial (bins are independent until their sum is known: `rest` 0) or
 *          beta-binomial (this bin alone, their sum known: `rest` is the other bins' weight).
 *          stride is 1 up to COUNTS_MOST events; of more events, bins that expect
 *          25 or more have at most COUNTS_ENOUGH values. Behind the last one p is 0 up to a multiple
 *          of 4
 * Owner    plain
 * Threads  any
 * Source   Johnson, Kemp, Kotz 2005, ch. 5.1 and 6.2.2
 */
#pragma once

enum {
    COUNTS_MOST = 136,
    COUNTS_ENOUGH = 24 /* where the law is smooth: three every two standard deviations */
};

struct count_law {
    double weight, total; /* Dirichlet's: of this bin, of all */
    double rest;          /* total - weight; 0: the negative binomial */
    double n;
};

struct counts {
    double mean, sd;
    double first, stride;
    int n_values;
    double p[COUNTS_MOST];
};

void counts_of(struct counts *out, const struct count_law *law);
