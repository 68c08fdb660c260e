/*
 * How long a CUSUM of zeros and ones runs before it reaches its limit: the whole curve over limits.
 *
 * Shape    curve[h - 1] = expected events from 0 until the sum max(0, S + hit) or max(0, S - miss)
 *          reaches h; a hit has probability p
 * Errors   -ENOMEM
 * Threads  any
 * Source   Brook, Evans, "An approach to the probability distribution of cusum run length", 1972.
 *          One elimination gives every limit: the system of limit h is the leading block of that
 *          of h + 1, so both triangular solutions only grow
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Fills `curve` up to limit `n`, or until the run is longer than `enough`; *filled of them. */
int run_length_curve(double p, uint32_t hit, uint32_t miss, double enough, double *curve, size_t n,
                     size_t *filled, struct err *err);
