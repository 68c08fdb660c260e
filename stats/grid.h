/*
 * The fixed cells of one numeric feature, cut from its reference: fine enough that Doane bins,
 * PSI deciles, KS and Wasserstein can all be read from one count a cell.
 *
 * Shape    sorted cuts c_0 < c_1 < …; cell i holds c_{i-1} <= x < c_i, the first and the last
 *          cell are open. Every Doane edge and every decile is a cut, so that PSI, JS and
 *          Hellinger are exact. The others go where Wasserstein's bound is least, by sqrt(mass × width),
 *          with enough by mass alone that no cell hides more than 1/250 of it from KS. The gaps
 *          between few values are cut, too, but where values come again (whole numbers, decimals)
 * Units    those of the feature
 * Owner    grid_build and grid_load give, grid_free takes; a grid may be shared by many profiles
 * Threads  read-only once built
 * Source   numpy.histogram_bin_edges("doane"), numpy.quantile (linear); PSI bins are right-closed,
 *          Doane bins left-closed but for the last (contract §4, Drift)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "stats/cells.h"

enum {
    GRID_MAX_CELLS = 640,  /* 2 bytes each in a minute pane */
    GRID_NORM_CELLS = 384, /* of embeddings: their panes have the mean vector beside the grid */
    GRID_MAX_DOANE = 96,   /* bins; numpy gives fewer than 64 below 1e9 values */
    GRID_DECILES = 10,
    GRID_BUCKETS = 1024
};

struct grid {
    uint32_t n_cuts; /* cells: n_cuts + 1 */
    uint32_t n_doane;
    uint32_t n_deciles;               /* inner edges, equal ones merged */
    double cuts[GRID_MAX_CELLS];      /* behind them NaN, which is <= nothing */
    double doane[GRID_MAX_DOANE + 1]; /* n_doane + 1 edges */
    double deciles[GRID_DECILES];
    uint8_t doane_bin[GRID_MAX_CELLS + 1];  /* cell → 0 … n_doane - 1, n_doane: outside */
    uint8_t decile_bin[GRID_MAX_CELLS + 1]; /* cell → 0 … n_deciles */
    bool one_value[GRID_MAX_CELLS + 1];     /* a cell that only one number can be in */
    /* fixed point for exact sums: u = (x - origin) / unit; unit is a power of two, 0: none */
    double origin, unit, per_unit;
    /* where to look for x: bucket (x - start) × scale holds cuts [first[b], first[b + 1]) */
    double start, scale;
    uint16_t first[GRID_BUCKETS + 1];
};

/* Sorted cells with counts; their n, mean and so on as numpy would give them. */
struct cell_moments {
    uint64_t n;
    double mean, std; /* std: ddof 0 */
    double min, max;
    double skew; /* 0 where std is 0 */
};
struct cell_moments cells_moments(const struct cell *cells, size_t n);

/* numpy.quantile(…, q), linear; cells stand for their middle. NaN when there are none. */
double cells_quantile(const struct cell *cells, size_t n, double q);
/* The two values, by rank from 0, that a quantile of n > 0 lies between, and how far on its way. */
struct quantile_place {
    uint64_t rank, next;
    double part;
};
struct quantile_place quantile_place(uint64_t n, double q);
double quantile_between(const struct quantile_place *place, double a, double b);

/* Doane's edges as numpy gives them, at most GRID_MAX_DOANE bins; returns the number of bins. */
uint32_t doane_edges(const struct cell *cells, size_t n, double edges[GRID_MAX_DOANE + 1]);

/* n may be 0: then a grid of one cell. max_cells: at most GRID_MAX_CELLS, at least 128. */
int grid_build(struct grid **out, const struct cell *cells, size_t n, uint32_t max_cells,
               struct err *err);
/* The same cells and fixed point for a part of what the grid was made of: bins of the part's own
   values, their edges at the grid's nearest cuts, so that what was counted on the grid is in one of
   them exactly. */
int grid_build_part(struct grid **out, const struct grid *whole, const struct cell *cells, size_t n,
                    struct err *err);
void grid_free(struct grid *grid);
DEFINE_FREEP(grid)

/* The rest of a crowded bucket: cuts[low - 1] <= x. */
uint32_t grid_cell_within(const struct grid *grid, double x, uint32_t low, uint32_t high);
/* The cell of a finite value: how many cuts are <= x. Three steps without a branch settle nearly
   every bucket; where a bucket ends need not be asked, as the next cut is above x. */
static inline uint32_t grid_cell(const struct grid *grid, double x)
{
    double at = (x - grid->start) * grid->scale;
    at = at > 0 ? at : 0;
    uint32_t bucket = (uint32_t)(at < GRID_BUCKETS - 1 ? at : GRID_BUCKETS - 1);
    uint32_t low = grid->first[bucket];
    low += grid->cuts[low] <= x;
    low += grid->cuts[low] <= x;
    low += grid->cuts[low] <= x;
    return __builtin_expect(grid->cuts[low] <= x, 0)
               ? grid_cell_within(grid, x, low + 1, grid->first[bucket + 1])
               : low;
}
/* The values a cell can hold: [*low, *high], ±DBL_MAX at the ends. */
void grid_bounds(const struct grid *grid, uint32_t cell, double *low, double *high);

void grid_save(const struct grid *grid, struct buf *out);
int grid_load(struct grid **out, struct reader *in, struct err *err);
void grid_skip(struct reader *in); /* past a saved one */
