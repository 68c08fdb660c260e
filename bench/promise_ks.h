/*
 * References and windows of uniform values for KS, whose law does not depend on that of the values.
 *
 * Shape    up to KS_SINGLE events the largest gap of single values in their order; beyond, that at
 *          the ends of 640 cells of equal mass of the reference. Those are drawn in 64 groups
 *          first: where no group's path can well reach `screen` (with less than 1e-7, as a Brownian
 *          bridge between its ends), the largest gap at their ends stands for the window
 * Units    shares
 * Owner    ks_play_new gives, ks_play_free takes
 * Errors   NULL: no memory
 * Threads  a play belongs to one thread
 * Source   a bridge's chance to reach a level: Doob 1949
 */
#pragma once

#include "bench/variates.h"

enum {
    KS_REFERENCE = 10000, /* values */
    KS_SINGLE = 1300
};

struct ks_play;
struct ks_play *ks_play_new(int n);
void ks_play_free(struct ks_play *play);

void ks_reference(struct ks_play *play, struct rng *rng);
/* Exact from `screen` on; infinite: always. */
double ks_window(struct ks_play *play, struct rng *rng, double screen);
