/*
 * References and windows of made-up values in even bins between the reference's smallest and largest
 * value, which lie at the outer ends: Doane's bins as tests of false alarms play them.
 *
 * Shape    a window's values beyond the ends go to one bin more, the last
 * Owner    none is allocated; a world must not move once it was drawn
 */
#pragma once

#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "stats/drift_threshold.h"
#include "tests/test.h"

enum {
    EVEN_BINS_MOST = 20,
    EVEN_BINS_MOST_VALUES = 5000
};

struct even_bins {
    size_t n_bins, m, n;                /* m values of the reference, n of a window */
    double (*value)(struct rng *rng);   /* of both */
    struct reference_feature reference; /* what was drawn last */
    struct grid grid;
    double counts[EVEN_BINS_MOST + 1];
};

static inline size_t even_bin_of(const struct even_bins *world, double x)
{
    const double *ends = world->grid.doane, n = (double)world->n_bins;
    double at = (x - ends[0]) / (ends[world->n_bins] - ends[0]) * n;
    if (x == ends[world->n_bins])
        return world->n_bins - 1;
    return at >= 0 && at < n ? (size_t)at : world->n_bins;
}

static inline void even_bins_draw(struct even_bins *world, struct rng *rng)
{
    double values[EVEN_BINS_MOST_VALUES], least = INFINITY, most = -INFINITY;
    const size_t n = world->n_bins, m = world->m;
    for (size_t i = 0; i < m; i++) {
        values[i] = world->value(rng);
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    memset(world->counts, 0, sizeof(world->counts));
    world->grid = (struct grid){.n_cuts = (uint32_t)n, .n_doane = (uint32_t)n};
    for (size_t i = 0; i <= n; i++) {
        world->grid.doane[i] = i < n ? least + (most - least) * (double)i / (double)n : most;
        world->grid.doane_bin[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < m; i++)
        world->counts[even_bin_of(world, values[i])]++;
    world->reference = (struct reference_feature){.name_id = 1,
                                                  .kind = PROFILE_NUMERIC,
                                                  .n = m,
                                                  .valid = m,
                                                  .grid = &world->grid,
                                                  .grid_counts = world->counts};
}

/* Its js_distance and hellinger. */
static inline struct drift_numeric even_bins_window(const struct even_bins *world, struct rng *rng)
{
    const size_t n_bins = world->n_bins + 1;
    struct drift_bin bins[EVEN_BINS_MOST + 1];
    for (size_t i = 0; i < n_bins; i++)
        bins[i] = (struct drift_bin){world->counts[i], 0};
    for (size_t i = 0; i < world->n; i++)
        bins[even_bin_of(world, world->value(rng))].window++;
    struct drift_numeric out = {.n = world->n};
    out.js_distance.value = drift_js(bins, n_bins, (double)world->m, (double)world->n);
    out.hellinger.value = drift_hellinger(bins, n_bins, (double)world->m, (double)world->n);
    return out;
}

/* The p of that reference's window; laws of different references must not be mixed up: `id`. */
static inline double even_bins_p(struct drift_nulls *nulls, const struct even_bins *world,
                                 uint64_t id, const struct drift_numeric *numeric,
                                 enum drift_method method, double level)
{
    const struct drift_subject subject = {
        .reference = &world->reference, .reference_id = 2 * id, .numeric = numeric};
    const struct drift_rule rule = {method, level, 0};
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
    return verdict.p_value;
}
