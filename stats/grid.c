/*
 * Cuts are left-closed. "x <= e belongs left" (deciles, the last Doane edge) is the cut at the
 * next float after e; so both conventions live on one list.
 */
#include "stats/grid.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Most values of a reference came once, and whole numbers are slow to become long doubles. */
static long double times(const struct cell *cell)
{
    return cell->count == 1 ? 1 : (long double)cell->count;
}

struct cell_moments cells_moments(const struct cell *cells, size_t n)
{
    struct cell_moments out = {.min = NAN, .max = NAN, .mean = NAN, .std = NAN};
    if (n == 0)
        return out;
    out.min = cells[0].low;
    out.max = cells[n - 1].high;
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        out.n += cells[i].count;
        sum += (long double)cell_middle(&cells[i]) * times(&cells[i]);
    }
    long double mean = sum / (long double)out.n, m2 = 0, m3 = 0;
    for (size_t i = 0; i < n; i++) {
        const long double d = (long double)cell_middle(&cells[i]) - mean;
        const long double square = d * d * times(&cells[i]);
        m2 += square;
        m3 += square * d;
    }
    out.mean = (double)mean;
    out.std = (double)sqrtl(m2 / (long double)out.n);
    if (out.std > 0) {
        long double std = sqrtl(m2 / (long double)out.n);
        out.skew = (double)(m3 / (long double)out.n / (std * std * std));
    }
    return out;
}

/* The value at rank k (from 0) of the sorted cells. */
static double value_at(const struct cell *cells, size_t n, uint64_t k)
{
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        before += cells[i].count;
        if (k < before)
            return cell_middle(&cells[i]);
    }
    return cell_middle(&cells[n - 1]);
}

struct quantile_place quantile_place(uint64_t n, double q)
{
    const double at = (double)(n - 1) * q;
    const uint64_t rank = (uint64_t)at;
    return (struct quantile_place){rank, rank + 1 < n ? rank + 1 : rank, at - (double)rank};
}

/* numpy's two-sided interpolation, for the same bits */
double quantile_between(const struct quantile_place *place, double a, double b)
{
    const double t = place->part;
    return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

double cells_quantile(const struct cell *cells, size_t n, double q)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += cells[i].count;
    if (total == 0)
        return NAN;
    const struct quantile_place place = quantile_place(total, q);
    return quantile_between(&place, value_at(cells, n, place.rank), value_at(cells, n, place.next));
}

uint32_t doane_edges(const struct cell *cells, size_t n, double edges[GRID_MAX_DOANE + 1])
{
    struct cell_moments m = cells_moments(cells, n);
    double first = m.min, last = m.max, bins = 1;
    if (m.n == 0)
        return 0;
    double range = last - first, count = (double)m.n;
    if (m.n > 2 && m.std > 0 && isfinite(m.std) && isfinite(range)) {
        double sg1 = sqrt(6.0 * (count - 2) / ((count + 1.0) * (count + 3)));
        double width = range / (1.0 + log2(count) + log2(1.0 + fabs(m.skew) / sg1));
        bins = width > 0 ? ceil(range / width) : 1;
    }
    if (first == last) {
        first -= 0.5;
        last += 0.5;
    }
    uint32_t n_bins = bins < GRID_MAX_DOANE ? (uint32_t)bins : GRID_MAX_DOANE;
    double step = isfinite(last - first) ? (last - first) / n_bins : last / n_bins - first / n_bins;
    edges[0] = first + 0.0; /* a range beyond all numbers has no step */
    for (uint32_t i = 1; i < n_bins; i++)
        edges[i] = (double)i * step + first;
    edges[n_bins] = last;
    /* a range too narrow for so many floats: fewer, different edges */
    uint32_t kept = 0;
    for (uint32_t i = 1; i <= n_bins; i++) {
        if (edges[i] > edges[kept])
            edges[++kept] = edges[i];
    }
    return kept;
}

static double after(double x)
{
    double next = nextafter(x, INFINITY);
    return isfinite(next) ? next : x;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct cut_list {
    double cuts[4 * GRID_MAX_CELLS];
    uint32_t n;
};

static void cut_at(struct cut_list *list, double x)
{
    if (isfinite(x) && list->n < 4 * GRID_MAX_CELLS)
        list->cuts[list->n++] = x + 0.0;
}

#define ENOUGH 0.01 /* of a cut */

/* The cells' values as points of a line, of about equal mass: all from `start` to `end`. */
struct block {
    double start, end, mass, root; /* root: of mass × width */
};

enum {
    N_BLOCKS = 4096,
    BY_MASS = 250, /* a cell's mass is at most 1 in so many, as far as there are cuts for it */
    HALVINGS = 60
};

static size_t blocks_of(struct block *blocks, const struct cell *cells, size_t n, double total)
{
    size_t n_blocks = 0;
    double mass = 0, start = cells[0].low;
    for (size_t i = 0; i < n; i++) {
        mass += (double)cells[i].count;
        if (mass * N_BLOCKS < total && i + 1 < n)
            continue;
        const double width = cells[i].high / 2 - start / 2;
        const double root = sqrt(mass / total) * sqrt(width > 0 ? width : 0);
        blocks[n_blocks++] = (struct block){start, cells[i].high, mass / total, root};
        mass = 0;
        start = cells[i].high;
    }
    return n_blocks;
}

/* Whether single values come twice, or more often, on average. */
static bool come_again(const struct cell *cells, size_t n, double total)
{
    bool again = total >= 2 * (double)n;
    for (size_t i = 0; again && i < n; i++)
        again = cells[i].low == cells[i].high;
    return again;
}

/* How many cuts a block gets: enough for its mass, and what its root asks for. */
static double cuts_of(const struct block *block, double by_mass, double by_root)
{
    const double mass = by_mass * block->mass, root = by_root * block->root;
    return mass > root ? mass : root; /* fmax, which also knows NaN, is a call */
}

/* As many cuts for each root as there are in all. 0 where the roots say nothing. */
static double by_root_for(const struct block *blocks, size_t n, double by_mass, double n_cuts)
{
    double roots = 0;
    for (size_t i = 0; i < n; i++)
        roots += blocks[i].root;
    if (!(roots > 0) || !isfinite(roots))
        return 0;
    double low = 0, high = n_cuts / roots; /* at `high` the roots alone take all */
    double sum = 0;
    for (int step = 0; step < HALVINGS && !(sum <= n_cuts && n_cuts - sum < ENOUGH); step++) {
        const double middle = (low + high) / 2;
        sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += cuts_of(&blocks[i], by_mass, middle);
        *(sum > n_cuts ? &high : &low) = middle;
    }
    return low;
}

/*
 * k cuts within a block: the last behind its end, the others evenly before. Values that come again
 * are steps of what is counted or rounded: nothing lies between them, so that one gets its own cell.
 */
static void cut_block(struct cut_list *list, const struct block *block, uint32_t k, bool again)
{
    if (again && k > 1)
        cut_at(list, block->end);
    for (uint32_t i = 1; !again && i < k; i++) {
        const double part = (double)i / k;
        cut_at(list, block->start * (1 - part) + block->end * part);
    }
    if (k)
        cut_at(list, after(block->end));
}

/*
 * A cell hides at most its mass from KS and half its width times its mass from Wasserstein. The sum
 * of these is least where the cuts are as sqrt(mass × width); what that leaves with too much mass for
 * KS gets its cuts by mass, and all others share what is left.
 */
static int cut_by_mass(struct cut_list *list, const struct cell *cells, size_t n, uint32_t n_cuts,
                       double total)
{
    AUTO_FREE struct block *blocks = malloc(N_BLOCKS * 2 * sizeof(*blocks));
    if (!blocks)
        return -ENOMEM;
    const size_t n_blocks = blocks_of(blocks, cells, n, total);
    double by_mass = fmin(BY_MASS, 0.4 * n_cuts);
    const double by_root = by_root_for(blocks, n_blocks, by_mass, n_cuts);
    const bool again = come_again(cells, n, total);
    by_mass = by_root > 0 ? by_mass : n_cuts;
    double cumulated = 0, cut = 0;
    for (size_t i = 0; i < n_blocks; i++) {
        cumulated += cuts_of(&blocks[i], by_mass, by_root);
        const double upto = floor(cumulated);
        cut_block(list, &blocks[i], (uint32_t)(upto - cut), again);
        cut = upto;
    }
    return 0;
}

/* Few values: each one a cell, and the gaps between them, of which the wide ones are cut. */
static void cut_gaps(struct cut_list *list, const struct cell *cells, size_t n, uint32_t n_cuts,
                     double total)
{
    double roots = 0, cumulated = 0, cut = 0;
    for (size_t i = 0; i < n; i++) {
        cut_at(list, cells[i].low);
        cut_at(list, after(cells[i].high));
        const double gap = i ? cells[i].low / 2 - cells[i - 1].high / 2 : 0;
        roots += sqrt(gap);
    }
    const double by_root = roots > 0 && isfinite(roots) && !come_again(cells, n, total)
                               ? (n_cuts - 2 * (double)n) / roots
                               : 0;
    for (size_t i = 1; i < n; i++) {
        cumulated += by_root * sqrt(cells[i].low / 2 - cells[i - 1].high / 2);
        const double upto = floor(cumulated);
        const uint32_t k = (uint32_t)(upto - cut);
        for (uint32_t j = 1; j <= k; j++) {
            const double part = (double)j / (k + 1);
            cut_at(list, cells[i - 1].high * (1 - part) + cells[i].low * part);
        }
        cut = upto;
    }
}

/* The bin of x, not below `bin`: of what lies outside of all bins, it is n_doane. */
static uint32_t doane_bin_from(const struct grid *grid, uint32_t bin, double x)
{
    if (grid->n_doane == 0 || x < grid->doane[0] || x > grid->doane[grid->n_doane])
        return grid->n_doane;
    while (bin + 1 < grid->n_doane && grid->doane[bin + 1] <= x)
        bin++;
    return bin;
}

static uint32_t decile_bin_from(const struct grid *grid, uint32_t bin, double x)
{
    while (bin < grid->n_deciles && grid->deciles[bin] < x)
        bin++;
    return bin;
}

/* The bins of each cell and the buckets to look in: all that follows from cuts and edges. */
static void derive(struct grid *grid)
{
    uint32_t doane = 0, decile = 0;
    for (uint32_t i = 0; i <= grid->n_cuts; i++) {
        double low, high;
        grid_bounds(grid, i, &low, &high);
        double x = i == 0 ? high : low; /* the first cell has no low end of its own */
        const uint32_t bin = doane_bin_from(grid, doane, x);
        doane = bin < grid->n_doane ? bin : doane;
        decile = decile_bin_from(grid, decile, x);
        grid->doane_bin[i] = (uint8_t)bin;
        grid->decile_bin[i] = (uint8_t)decile;
        grid->one_value[i] = i > 0 && i < grid->n_cuts && low == high;
    }
    double width = grid->n_cuts ? grid->cuts[grid->n_cuts - 1] - grid->cuts[0] : 0;
    grid->start = grid->n_cuts ? grid->cuts[0] : 0;
    grid->scale = width > 0 && isfinite(width) ? GRID_BUCKETS / width : 0;
    if (!isfinite(grid->scale))
        grid->scale = 0;
    grid->cuts[grid->n_cuts] = (double)NAN;
    uint32_t cut = 0;
    for (uint32_t b = 0; b < GRID_BUCKETS; b++) {
        grid->first[b] = (uint16_t)cut;
        while (cut < grid->n_cuts) {
            double at = (grid->cuts[cut] - grid->start) * grid->scale;
            at = at > 0 ? at : 0;
            uint32_t bucket = (uint32_t)(at < GRID_BUCKETS - 1 ? at : GRID_BUCKETS - 1);
            if (bucket > b)
                break;
            cut++;
        }
    }
    grid->first[GRID_BUCKETS] = (uint16_t)grid->n_cuts;
}

/* 2^-32 of the spread: sums stay exact in 128 bits and no value loses more than 1e-10 of it. */
static void fix_point(struct grid *grid, const struct cell *cells, size_t n)
{
    struct cell_moments m = cells_moments(cells, n);
    double spread = m.std > 0 ? m.std : fabs(m.mean);
    grid->origin = isfinite(m.mean) ? m.mean : 0;
    if (!isfinite(spread) || n == 0)
        return;
    int exponent = 0;
    frexp(spread > 0 ? spread : 1, &exponent);
    grid->unit = ldexp(1, exponent - 32);
    grid->per_unit = 1 / grid->unit;
}

int grid_build(struct grid **out, const struct cell *cells, size_t n, uint32_t max_cells,
               struct err *err)
{
    AUTO(grid) struct grid *grid = calloc(1, sizeof(*grid));
    AUTO_FREE struct cut_list *list = calloc(1, sizeof(*list));
    if (!grid || !list)
        return err_set(err, -ENOMEM, "grid: no memory");
    fix_point(grid, cells, n);
    grid->n_doane = doane_edges(cells, n, grid->doane);
    for (uint32_t i = 0; n && i <= grid->n_doane; i++)
        cut_at(list, i == grid->n_doane ? after(grid->doane[i]) : grid->doane[i]);
    for (int i = 1; n && i < GRID_DECILES; i++) {
        double edge = cells_quantile(cells, n, i * (1.0 / GRID_DECILES));
        if (grid->n_deciles && edge <= grid->deciles[grid->n_deciles - 1])
            continue;
        grid->deciles[grid->n_deciles++] = edge;
        cut_at(list, after(edge));
    }

    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)cells[i].count;
    uint32_t room = max_cells - 1 - list->n;
    if (n * 2 <= room)
        cut_gaps(list, cells, n, room, total);
    else if (cut_by_mass(list, cells, n, room, total))
        return err_set(err, -ENOMEM, "grid: no memory");
    qsort(list->cuts, list->n, sizeof(double), by_value);
    for (uint32_t i = 0; i < list->n; i++) {
        if (grid->n_cuts == 0 || list->cuts[i] > grid->cuts[grid->n_cuts - 1])
            grid->cuts[grid->n_cuts++] = list->cuts[i];
    }
    derive(grid);
    *out = grid;
    grid = NULL; /* the caller owns it now */
    return 0;
}

/* The cut nearest to x, of those from `from` on. */
static uint32_t nearest_cut(const struct grid *grid, double x, uint32_t from)
{
    uint32_t at = grid_cell(grid, x); /* cuts[at - 1] <= x < cuts[at] */
    if (at == grid->n_cuts || (at > 0 && x - grid->cuts[at - 1] < grid->cuts[at] - x))
        at--;
    return at > from ? at : from;
}

/* What lies below the cut, closed. */
static double before(double cut)
{
    return nextafter(cut, -INFINITY);
}

/* Doane's edges; none where the whole has no two cuts. */
static void part_doane(struct grid *grid, const struct cell *cells, size_t n)
{
    double edges[GRID_MAX_DOANE + 1];
    const uint32_t n_bins = doane_edges(cells, n, edges);
    const uint32_t first = grid_cell(grid, cells[0].low);
    const uint32_t above = grid_cell(grid, cells[n - 1].high); /* the first cut above */
    const uint32_t last = above < grid->n_cuts ? above : grid->n_cuts - 1;
    uint32_t at = first ? first - 1 : 0;
    grid->n_doane = 0;
    if (grid->n_cuts < 2 || last <= at)
        return;
    grid->doane[0] = grid->cuts[at];
    for (uint32_t i = 1; i < n_bins; i++) {
        const uint32_t next = nearest_cut(grid, edges[i], at);
        if (next == at || next >= last)
            continue;
        at = next;
        grid->doane[++grid->n_doane] = grid->cuts[at];
    }
    grid->doane[++grid->n_doane] = before(grid->cuts[last]);
}

static void part_deciles(struct grid *grid, const struct cell *cells, size_t n)
{
    grid->n_deciles = 0;
    for (int i = 1; grid->n_cuts && i < GRID_DECILES; i++) {
        const double edge = cells_quantile(cells, n, i * (1.0 / GRID_DECILES));
        const double at = before(grid->cuts[nearest_cut(grid, after(edge), 0)]);
        if (grid->n_deciles == 0 || at > grid->deciles[grid->n_deciles - 1])
            grid->deciles[grid->n_deciles++] = at;
    }
}

int grid_build_part(struct grid **out, const struct grid *whole, const struct cell *cells, size_t n,
                    struct err *err)
{
    struct grid *grid = malloc(sizeof(*grid));
    if (!grid)
        return err_set(err, -ENOMEM, "grid: no memory");
    *grid = *whole;
    if (n) {
        part_doane(grid, cells, n);
        part_deciles(grid, cells, n);
        derive(grid);
    }
    *out = grid;
    return 0;
}

void grid_free(struct grid *grid)
{
    free(grid);
}

uint32_t grid_cell_within(const struct grid *grid, double x, uint32_t low, uint32_t high)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (grid->cuts[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void grid_bounds(const struct grid *grid, uint32_t cell, double *low, double *high)
{
    *low = cell == 0 ? -DBL_MAX : grid->cuts[cell - 1];
    *high = cell == grid->n_cuts ? DBL_MAX : nextafter(grid->cuts[cell], -INFINITY);
}

void grid_save(const struct grid *grid, struct buf *out)
{
    buf_double(out, grid->origin);
    buf_double(out, grid->unit);
    buf_varint(out, grid->n_doane);
    for (uint32_t i = 0; grid->n_doane && i <= grid->n_doane; i++)
        buf_double(out, grid->doane[i]);
    buf_varint(out, grid->n_deciles);
    for (uint32_t i = 0; i < grid->n_deciles; i++)
        buf_double(out, grid->deciles[i]);
    buf_varint(out, grid->n_cuts);
    for (uint32_t i = 0; i < grid->n_cuts; i++)
        buf_double(out, grid->cuts[i]);
}

static bool load_sorted(struct reader *in, double *out, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        out[i] = reader_double(in);
        if (!isfinite(out[i]) || (i && out[i] <= out[i - 1]))
            return false;
    }
    return !reader_failed(in);
}

static void skip_doubles(struct reader *in, uint64_t n)
{
    (void)reader_bytes(in, (n < UINT32_MAX ? n : UINT32_MAX) * sizeof(double));
}

void grid_skip(struct reader *in)
{
    skip_doubles(in, 2); /* origin, unit */
    const uint64_t n_doane = reader_varint(in);
    skip_doubles(in, n_doane ? n_doane + 1 : 0);
    skip_doubles(in, reader_varint(in));
    skip_doubles(in, reader_varint(in));
}

int grid_load(struct grid **out, struct reader *in, struct err *err)
{
    AUTO(grid) struct grid *grid = calloc(1, sizeof(*grid));
    if (!grid)
        return err_set(err, -ENOMEM, "grid: no memory");
    grid->origin = reader_double(in);
    grid->unit = reader_double(in);
    grid->per_unit = grid->unit > 0 ? 1 / grid->unit : 0;
    bool fine = isfinite(grid->origin) && isfinite(grid->unit) && grid->unit >= 0;
    uint64_t n_doane = reader_varint(in);
    fine = fine && n_doane <= GRID_MAX_DOANE &&
           load_sorted(in, grid->doane, n_doane ? n_doane + 1 : 0);
    uint64_t n_deciles = fine ? reader_varint(in) : 0;
    fine = fine && n_deciles < GRID_DECILES && load_sorted(in, grid->deciles, n_deciles);
    uint64_t n_cuts = fine ? reader_varint(in) : 0;
    fine = fine && n_cuts < GRID_MAX_CELLS && load_sorted(in, grid->cuts, n_cuts);
    if (!fine)
        return err_set(err, ERR_CORRUPT, "grid: its edges are damaged");
    grid->n_doane = (uint32_t)n_doane;
    grid->n_deciles = (uint32_t)n_deciles;
    grid->n_cuts = (uint32_t)n_cuts;
    derive(grid);
    *out = grid;
    grid = NULL; /* the caller owns it now */
    return 0;
}
