/*
 * Counts of bins drawn by the million: what the laws of drift statistics are made of.
 *
 * Shape    each bin is Poisson with its own mean. Given their sum they are the multinomial counts
 *          that are meant; as the statistics are of shares and divided by (1/n + 1/m), the sum's
 * own spread leaves their law as it is once n is some dozens. Means below 64: inversion from a
 *          table with a guide; above: the normal with its skewness (Cornish, Fisher), off by less
 *          than 1e-3 in p
 * Cost     3 to 6 ns a count
 * Owner    both structs are plain
 * Threads  any, once made
 * Source   guide tables: Chen, Asau 1974; Devroye 1986, ch. III.2
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/rng.h"
#include "stats/drift.h"

enum {
    DRAW_NORMALS = 4096,
    DRAW_ENTROPIES = 8192,
    DRAW_GUIDES = 64,
    DRAW_MOST = 160 /* values of a tabulated bin: P(more | mean 64) < 1e-15 */
};

struct draw_tables {
    float normals[DRAW_NORMALS + 1];     /* quantiles; the ends are not used */
    float entropies[DRAW_ENTROPIES + 1]; /* 1 - H(r), bits */
};

struct draw_bin {
    double mean, root;              /* root 0: tabulated */
    uint32_t upper[DRAW_MOST];      /* P(X <= k) · 2^32 */
    uint8_t guide[DRAW_GUIDES + 1]; /* where to begin, by the first 6 bits */
};

void draw_tables_init(struct draw_tables *tables);
void draw_bin_init(struct draw_bin *bin, double mean);
double draw_bin(const struct draw_bin *bin, const struct draw_tables *tables, struct rng *rng);

/* The square of drift_js, to 1e-7. */
double draw_js(const struct draw_tables *tables, const struct drift_bin *bins, size_t n_bins,
               double n_reference, double n_window);
