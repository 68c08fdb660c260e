/*
 * Bounds for a fixed number of planned looks: the most powerful when the final size and the looks
 * are known beforehand. Not for a daemon that looks all the time.
 *
 * Shape    fractions[i]: share of the final information at look i, rising to at most 1;
 *          z_bounds[i]: stop when z_i is above. One-sided: for two sides hand in alpha / 2
 * Errors   -EINVAL: fractions that do not rise within (0, 1], alpha outside (0, 0.5] · -ENOMEM
 * Threads  any
 * Source   Lan, DeMets 1983, spending alpha t^power; recursion of Armitage, McPherson, Rowe 1969;
 *          as spotify-confidence 4.1.0 to 1e-3
 */
#pragma once

#include <stddef.h>

int group_sequential_bounds(const double *fractions, size_t n, double alpha, double power,
                            double *z_bounds, double *alpha_spent);
