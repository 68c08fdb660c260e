/*
 * A reference as a sorted list of its values: what benches draw anew for each run, and the bins that
 * a detector of changed distributions puts values into by their rank there.
 *
 * Threads  one for each list
 */
#pragma once

#include <stddef.h>

void sorted_reference_make(double *values, size_t n);
/* How many of them are not larger. */
size_t sorted_reference_upto(const double *values, size_t n, double x);
/* 0 … SHAPE_BINS - 1 */
unsigned sorted_reference_bin(const double *values, size_t n, double x);
