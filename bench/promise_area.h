/*
 * References and windows of exponential values for wasserstein_norm, drawn as the daemon would hold
 * them: the part of the distance that counts as evidence, between the reference's ends.
 *
 * Shape    area_reference draws a reference and puts its grid, counts and moments into a feature;
 *          area_window draws a window against it and gives its distance in the reference's std.
 *          Up to AREA_SINGLE events values are drawn in their order; beyond, as counts on the
 *          cells of the grid that grid_build makes of the reference, of which the 300 largest values
 *          and every 12th of the others are drawn, and what lies between only as sums of cells
 * Owner    area_play_new gives, area_play_free takes; the feature's grid, its counts, areas and
 *          groups are the play's
 * Errors   NULL: no memory
 * Threads  a play belongs to one thread
 * Source   Rényi 1953: spacings of ordered exponential values are independent
 */
#pragma once

#include "bench/variates.h"
#include "stats/reference.h"

enum {
    AREA_REFERENCE = 10000, /* values */
    AREA_SINGLE = 1300
};

struct area_play;
struct area_play *area_play_new(int n);
void area_play_free(struct area_play *play);

void area_reference(struct area_play *play, struct rng *rng, struct reference_feature *out);
double area_window(struct area_play *play, struct rng *rng, const struct reference_feature *ref);
