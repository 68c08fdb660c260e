/*
 * Laws of a feature's values for simulations: smooth ones, skewed ones, heavy tails, two humps, and
 * values that come in grains (two decimals, whole numbers), so that many are equal.
 *
 * Shape    a law of grain g gives the nearest multiple of g to what the smooth law gives; 0: smooth
 * Threads  any; one generator, one thread
 * Source   Student's t with three degrees of freedom: Johnson, Kotz, Balakrishnan 1995, ch. 28
 */
#pragma once

#include <stddef.h>

#include "common/rng.h"

struct value_law {
    const char *name;
    double grain;
    double (*draw)(struct rng *rng);
    double (*below)(double x); /* of the smooth law */
};

const struct value_law *value_law_find(const char *name); /* NULL: no such law */
void value_law_names(char *out, size_t size);             /* "exponential|normal|…" */

double value_law_draw(const struct value_law *law, struct rng *rng);
double value_law_below(const struct value_law *law, double x);  /* P(value < x) */
double value_law_at(const struct value_law *law, double share); /* that has it below */
