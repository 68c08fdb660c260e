/*
 * Where a value lies among the reference's events: its cell is found by way of the grid, which has
 * fewer cuts and is near the caches; inside a cell the events are taken as even.
 */
#include "stats/reference.h"

#include <math.h>

/* How many cells start at or below x; those before `low` do, those from `high` on do not. Without a
   branch that cannot be foretold. */
static uint32_t search(const double *lows, uint32_t low, uint32_t high, double x)
{
    for (uint32_t n = high - low, half; n > 0; n -= half) {
        half = n - n / 2;
        low += lows[low + half - 1] <= x ? half : 0;
    }
    return low;
}

/* As search, from near where it ends: fewer cells are fetched from memory. */
static uint32_t search_from(const double *lows, uint32_t low, uint32_t high, uint32_t at, double x)
{
    enum {
        NEAR = 8
    };
    if (at < high && lows[at] <= x) {
        const uint32_t end = high - at > NEAR ? at + NEAR : high;
        while (at < end && lows[at] <= x)
            at++;
        return at == end ? search(lows, at, high, x) : at;
    }
    const uint32_t end = at - low > NEAR ? at - NEAR : low;
    while (at > end && lows[at - 1] > x)
        at--;
    return at == end ? search(lows, low, at, x) : at;
}

/* Where the cell of x is to be looked for: [low, high), best from `at`. */
struct place {
    uint32_t low, high, at;
};

/* The grid leads near it, and inside of one of the grid's cells the reference is about even. */
static struct place place_of(const struct reference_feature *feature, double x)
{
    const struct grid *grid = feature->grid;
    const uint32_t cell = grid_cell(grid, x);
    struct place place = {feature->grid_first[cell], feature->grid_first[cell + 1],
                          feature->grid_first[cell]};
    if (cell == 0 || cell == grid->n_cuts)
        return place;
    const double from = grid->cuts[cell - 1] / 2;
    const double part = (x / 2 - from) / (grid->cuts[cell] / 2 - from);
    place.at += part > 0 && part < 1 ? (uint32_t)(part * (place.high - place.low)) : 0;
    return place;
}

/* How many cells start at or below x. */
static uint32_t cells_up_to(const struct reference_feature *feature, double x)
{
    const struct place place = place_of(feature, x);
    return search_from(feature->low, place.low, place.high, place.at, x);
}

/* The share of events up to x, which lies inside a cell that is taken as even. */
static double inside(const struct reference_feature *feature, uint32_t k, double x)
{
    const struct cell cell = reference_cell(feature, k - 1);
    double part = (x / 2 - cell.low / 2) / (cell.high / 2 - cell.low / 2);
    return ((double)feature->below[k - 1] + part * (double)cell.count) / (double)feature->valid;
}

static double high_of(const struct reference_feature *feature, uint32_t i)
{
    return feature->high ? feature->high[i] : feature->low[i];
}

static double upto(const struct reference_feature *feature, uint32_t k, double x)
{
    if (k == 0)
        return 0;
    if (x >= high_of(feature, k - 1))
        return (double)feature->below[k] / (double)feature->valid;
    return inside(feature, k, x);
}

static double below(const struct reference_feature *feature, uint32_t k, double x)
{
    if (k == 0)
        return 0;
    if (x > high_of(feature, k - 1))
        return (double)feature->below[k] / (double)feature->valid;
    if (x == feature->low[k - 1])
        return (double)feature->below[k - 1] / (double)feature->valid;
    return inside(feature, k, x);
}

double reference_cdf(const struct reference_feature *feature, double x)
{
    return upto(feature, cells_up_to(feature, x), x);
}

double reference_cdf_below(const struct reference_feature *feature, double x)
{
    return below(feature, cells_up_to(feature, x), x);
}

struct reference_rank reference_rank(const struct reference_feature *feature, double x)
{
    const uint32_t k = cells_up_to(feature, x);
    return (struct reference_rank){below(feature, k, x), upto(feature, k, x)};
}

/* The value at rank k (from 0). */
static double value_at(const struct reference_feature *feature, uint64_t k)
{
    uint32_t i = 0;
    while (i + 1 < feature->n_cells && k >= feature->below[i + 1])
        i++;
    const struct cell cell = reference_cell(feature, i);
    return cell_middle(&cell);
}

double reference_quantile(const struct reference_feature *feature, double q)
{
    if (feature->valid == 0)
        return (double)NAN;
    const struct quantile_place place = quantile_place(feature->valid, q);
    return quantile_between(&place, value_at(feature, place.rank), value_at(feature, place.next));
}
