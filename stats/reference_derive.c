#include "stats/reference_derive.h"

#include "stats/expected_counts.h"
#include "stats/four.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static void index_cells(struct reference_feature *feature)
{
    const struct grid *grid = feature->grid;
    uint32_t cell = 0;
    for (uint32_t at = 1; at <= grid->n_cuts; at++) {
        while (cell < feature->n_cells && feature->low[cell] < grid->cuts[at - 1])
            cell++;
        feature->grid_first[at] = cell;
    }
    feature->grid_first[grid->n_cuts + 1] = feature->n_cells;
}

/* Each event adds to F from its value to the grid cell's end. Four sums, which do not wait for each
   other. */
static double area_to_end(const double *low, const uint64_t *below, uint32_t n, double end,
                          double per_event)
{
    four sums = {0};
    uint32_t i = 0;
    if (below[n] - below[0] == n) /* each came once */
        for (; i + LANES <= n; i += LANES)
            sums += (end - four_read(low + i)) * per_event;
    for (; i < n; i++)
        sums[0] += (end - low[i]) * ((double)(below[i + 1] - below[i]) * per_event);
    return four_sum(sums);
}

/* Single values: those between two cuts are known already. */
static void measure_values(struct reference_feature *feature)
{
    const struct grid *grid = feature->grid;
    const uint32_t *first = feature->grid_first;
    const uint64_t *below = feature->below;
    for (uint32_t at = 0; at <= grid->n_cuts; at++) {
        const uint32_t from = first[at], n = first[at + 1] - from;
        feature->grid_counts[at] = (double)(below[from + n] - below[from]);
        if (at < grid->n_cuts)
            feature->grid_areas[at] = area_to_end(feature->low + from, below + from, n,
                                                  grid->cuts[at], 1 / (double)feature->valid);
    }
}

static void measure_cells(struct reference_feature *feature, const struct cell *cells)
{
    const struct grid *grid = feature->grid;
    uint32_t at = 0; /* both lists are sorted */
    for (uint32_t i = 0; i < feature->n_cells; i++) {
        const double middle = cell_middle(&cells[i]), count = (double)cells[i].count;
        while (at < grid->n_cuts && grid->cuts[at] <= middle)
            at++;
        feature->grid_counts[at] += count;
        if (at < grid->n_cuts)
            feature->grid_areas[at] += count / (double)feature->valid * (grid->cuts[at] - middle);
    }
}

/* Counts and areas on the grid's own cells, so that a window on the grid is compared in one go. */
static void measure_grid(struct reference_feature *feature, const struct cell *cells)
{
    if (feature->exact)
        measure_values(feature);
    else
        measure_cells(feature, cells);
}

static int keep_cells(struct reference_feature *feature, const struct cell *cells)
{
    const uint32_t n = feature->n_cells;
    uint64_t below = 0;
    bool exact = true;
    feature->low = malloc((n + 1) * sizeof(*feature->low));
    feature->below = malloc((n + 1) * sizeof(*feature->below));
    if (!feature->low || !feature->below)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        exact &= cells[i].low == cells[i].high;
        feature->low[i] = cells[i].low;
        feature->below[i] = below;
        below += cells[i].count;
    }
    feature->below[n] = feature->valid = below;
    feature->exact = exact;
    feature->high = exact ? NULL : malloc((n + 1) * sizeof(*feature->high));
    if (!exact && !feature->high)
        return -ENOMEM;
    for (uint32_t i = 0; !exact && i < n; i++)
        feature->high[i] = cells[i].high;
    return 0;
}

int reference_derive_numbers(struct reference_feature *feature, const struct cell *cells)
{
    feature->grid_counts = calloc(feature->grid->n_cuts + 1, sizeof(double));
    feature->grid_areas = calloc(feature->grid->n_cuts + 1, sizeof(double));
    feature->grid_first = calloc(feature->grid->n_cuts + 2, sizeof(*feature->grid_first));
    feature->area = calloc(1, sizeof(*feature->area));
    if (!feature->grid_counts || !feature->grid_areas || !feature->grid_first || !feature->area ||
        keep_cells(feature, cells))
        return -ENOMEM;
    index_cells(feature);
    if (feature->valid)
        reference_parts_make(&feature->parts, cells, feature->below, feature->n_cells);
    for (uint32_t i = 0; i < feature->n_cells && !feature->exact; i++) {
        const struct cell *cell = &cells[i];
        double share = (double)cell->count / (double)feature->valid;
        const double half = cell->high / 2 - cell->low / 2;
        feature->spread += share * half;
        feature->std_off += share * half * half;
        if (cell->low < cell->high && share > feature->slack)
            feature->slack = share;
    }
    feature->std_off = sqrt(feature->std_off);
    feature->moments = cells_moments(cells, feature->n_cells);
    measure_grid(feature, cells);
    const struct grid *grid = feature->grid;
    for (uint32_t i = 0; i <= grid->n_cuts; i++) {
        double share = feature->grid_counts[i] / (double)feature->valid;
        feature->cell_share += grid->one_value[i] ? 0 : share * share;
    }
    area_groups_make(feature->area, grid, feature->grid_counts, feature->grid_areas, feature->valid,
                     feature->moments.std);
    return 0;
}

static int by_count(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Only where some were chosen: few categories have a bin each, however often they came. */
static int expect_largest(struct reference_feature *feature, struct err *err)
{
    const uint32_t n = feature->n_categories, n_bins = category_bins_count(feature->bins);
    if (feature->partial || n <= n_bins)
        return 0;
    AUTO_FREE uint64_t *counts = malloc(n * sizeof(*counts));
    AUTO_FREE double *expected = malloc(n * sizeof(*expected));
    if (!counts || !expected)
        return err_set(err, -ENOMEM, "reference: no memory");
    for (uint32_t i = 0; i < n; i++) {
        counts[i] = feature->categories[i].count;
        feature->n_once += counts[i] == 1;
        feature->n_twice += counts[i] == 2;
    }
    qsort(counts, n, sizeof(*counts), by_count);
    if (expected_counts(expected, counts, n))
        return err_set(err, -ENOMEM, "reference: no memory");
    for (uint32_t bin = 0; bin < n_bins; bin++) {
        const uint64_t *at =
            bsearch(&feature->bin_counts[bin], counts, n, sizeof(*counts), by_count);
        feature->bin_expected[bin] = at ? expected[at - counts] : 0;
    }
    return 0;
}

/* An order that the counts have no part in: by them, what came often by chance would stand together. */
static void rank_few(struct reference_feature *feature)
{
    const double all = (double)feature->valid;
    double below = 0;
    for (uint32_t i = 0; i < feature->n_categories; i++) {
        const double upto = below + (double)feature->categories[i].count;
        const int bin = category_bin(feature->bins, feature->categories[i].id);
        feature->bin_ranks[bin] = (struct reference_rank){below / all, upto / all};
        below = upto;
    }
    feature->seen_upto = 1;
}

/* Beside the largest there is what all others will bring, and the unseen: as much as came once. */
static void rank_many(struct reference_feature *feature)
{
    const double all = (double)feature->valid;
    const uint32_t n = category_bins_count(feature->bins);
    double below = 0;
    for (uint32_t i = 0; i < n; i++) {
        const double expected = feature->bin_expected[i];
        const double upto = below + (expected > 0 ? expected : (double)feature->bin_counts[i]);
        feature->bin_ranks[i] = (struct reference_rank){below / all, upto / all};
        below = upto;
    }
    feature->seen_upto =
        feature->partial ? 1 : fmin(fmax(1 - feature->n_once / (all + 1), below / all), 1);
    feature->bin_ranks[n] = (struct reference_rank){below / all, feature->seen_upto};
}

static void rank_bins(struct reference_feature *feature)
{
    if (feature->partial || feature->n_categories > CATEGORIES_TRACKED)
        rank_many(feature);
    else
        rank_few(feature);
}

int reference_derive_categories(struct reference_feature *feature, struct err *err)
{
    int rc = category_bins_new(&feature->bins, feature->categories, feature->n_categories, err);
    uint64_t known = 0;
    for (uint32_t i = 0; rc == 0 && i < feature->n_categories; i++) {
        int bin = category_bin(feature->bins, feature->categories[i].id);
        if (bin >= 0)
            feature->bin_counts[bin] += feature->categories[i].count;
        known += feature->categories[i].count;
    }
    feature->partial = known < feature->valid;
    if (rc == 0 && feature->partial)
        feature->bin_counts[category_bins_count(feature->bins)] += feature->valid - known;
    rc = rc ? rc : expect_largest(feature, err);
    if (rc == 0)
        rank_bins(feature);
    return rc;
}
