/*
 * The law of Σ w_i Z_i² with independent standard normal Z_i: the squared length of a normal vector
 * whose variances along its axes are w_i.
 *
 * Shape    the saddlepoint approximation: relative error below 3% in the upper tail, whatever the
 *          weights; a single weight is chi-squared itself
 * Errors   weights are positive, at most 32 of them, largest first
 * Threads  any
 * Source   Kuonen, "Saddlepoint approximations for distributions of quadratic forms in normal
 *          variables", Biometrika 86, 1999 (Lugannani and Rice's formula)
 */
#pragma once

#include <stdint.h>

double chi2_sum_sf(const double *weights, uint32_t n, double x); /* P(sum >= x) */
double chi2_sum_isf(const double *weights, uint32_t n, double p);
