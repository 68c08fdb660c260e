/*
 * What a model's features looked like when all was well: the distributions that windows are
 * compared with.
 *
 * Shape    one reference_feature for each feature that had events. Numbers: up to 16,384 single
 *          values (beyond: as many cells), their moments, and the grid that new panes count on.
 *          Categories: counts by id, and the bins that new panes count on. Embeddings: the norm as
 *          numbers, mean and projection of the mean vector
 * Id       XXH64 of the saved bytes: equal contents, equal id. Panes carry the id of the reference
 *          on whose grid they counted; compared with another reference they are read from their
 *          sketch, and every value then has an error_bound
 * Slices   a slice's part of a reference has values and counts of its own on the whole's grid cells,
 *          because that is what the slice's panes count on. Its Doane bins and deciles are its own,
 *          with their edges at the nearest cuts (stats/grid.h), and so are its categories' bins: a
 *          pane of too many categories counted on the whole's, and cannot be compared with a part
 * Use      fold the events into a profile of PROFILE_REFERENCE (or merge stored panes into one),
 *          then reference_build. reference_layout hands grids and bins to a layout for new panes
 * Owner    reference_build and reference_load give, reference_free takes. Layouts made from a
 *          reference borrow from it
 * Errors   ERR_DATA: no events · ERR_CORRUPT from load
 * Threads  read-only once built
 */
#pragma once

#include <stdatomic.h>

#include "stats/area_groups.h"
#include "stats/profile.h"
#include "stats/reference_parts.h"

enum {
    REFERENCE_MAX_ROWS = CATEGORIES_TRACKED + 1,
    REFERENCE_PART_VALUES = 2048 /* of a slice's feature; beyond: counts of the grid's cells */
};

/* The mean of an embedding's vectors, in the buckets of stats/projection.h. */
struct reference_vector {
    uint64_t n; /* 0: it was not kept */
    uint32_t shortest, longest;
    double mean[PROJECTION_BUCKETS];
    /* as mean_vector_variances gives them */
    uint32_t n_variances;
    double variances[PROJECTION_BUCKETS];
};

struct reference_rank {
    double below, upto; /* shares */
};

struct reference_feature {
    uint64_t name_id;
    enum profile_kind kind; /* never PROFILE_AUTO */
    uint64_t n;             /* events asked for it */
    uint64_t valid, missing, n_invalid;

    /* numbers, and norms of embeddings */
    double *low, *high; /* of the sorted cells; high NULL: each is a single value */
    uint64_t *below;    /* events below cell i; below[n_cells] = all */
    uint32_t n_cells;
    bool exact;           /* every cell is a single value */
    double slack, spread; /* largest share of an inexact cell; mean half width of all */
    double std_off;       /* root of the mean squared half width: how far off the std may be */
    double cell_share;    /* Σ share² of the grid's cells that hold more than one value */
    struct cell_moments moments;
    struct grid *grid;
    bool part; /* of a slice: the grid's cells are the whole's */
    /* on the grid's cells: events; area under (F - F at the cell's start), in shares × units */
    double *grid_counts, *grid_areas;
    uint32_t *grid_first; /* cells that start below a cell of the grid; after the last: all */
    struct reference_parts parts;
    struct area_groups *area;

    /* categories */
    struct category *categories; /* sorted by id */
    uint32_t n_categories;
    bool partial; /* more categories than are kept: nothing can be called unseen */
    struct category_bins *bins;
    uint64_t bin_counts[REFERENCE_MAX_ROWS]; /* the last: all beyond the largest 127 */
    /* of the largest of many, what as many events would bring once more (stats/expected_counts.h);
       0: what they brought */
    double bin_expected[CATEGORIES_TRACKED];
    uint32_t n_once, n_twice; /* where there are more than the largest: categories seen so often */
    /* where each bin stands among the next events, as shares of as many as come once more: the
       largest of many in their order, few by id. What is missing from 1 was never seen */
    struct reference_rank bin_ranks[REFERENCE_MAX_ROWS];
    double seen_upto;

    /* embeddings */
    double mean;
    uint32_t dimensions;
    struct reference_vector vector;
};

struct fitted;

struct reference {
    atomic_uint sharers; /* owners beside the first */
    uint64_t id;
    uint64_t grids; /* id of the reference whose grids it has: its own, a slice's the whole's */
    uint64_t events;
    uint32_t n_features;
    struct reference_feature *features; /* sorted by name_id */
    struct fitted *fitted; /* of a reference just made from events; NULL: none. Stored beside */
};

/* Features without a value have no reference; without any it has none. only_present: name_id of @label (0: none), whose absent values are not missing. */
int reference_build(struct reference **out, const struct profile *profile, uint64_t only_present,
                    struct err *err);
/* A slice's part of `whole`, which its features are a part of. `profile`: on a layout of the whole's
   kinds, with no grid. ERR_CORRUPT: the whole lacks a feature. */
int reference_build_part(struct reference **out, const struct profile *profile,
                         uint64_t only_present, const struct reference *whole, struct err *err);
void reference_free(struct reference *reference); /* the last owner's frees it */
/* One owner more; any thread may be that. */
struct reference *reference_share(const struct reference *reference);
size_t reference_bytes(const struct reference *reference); /* of memory, about */
DEFINE_FREEP(reference)

const struct reference_feature *reference_find(const struct reference *reference,
                                               uint64_t name_id); /* NULL: not in it */
/* Puts kind (where AUTO), grid and bins of the reference into the layout's features. */
void reference_layout(const struct reference *reference, struct profile_layout *layout,
                      struct profile_feature *features);

void reference_save(const struct reference *reference, struct buf *out);
/* How many events those are of, by their first bytes alone; 0: they are none of ours. */
uint64_t reference_saved_events(const void *bytes, size_t n);
int reference_load(struct reference **out, const void *bytes, size_t n, struct err *err);
/* A slice's part, saved by reference_save. ERR_CORRUPT: or of another whole. */
int reference_load_part(struct reference **out, const struct reference *whole, const void *bytes,
                        size_t n, struct err *err);
/* As reference_load, of bytes that the caller has checked himself, what follows from those of each
   feature shared out to the crew. */
int reference_load_by(struct crew *crew, struct reference **out, const void *bytes, size_t n,
                      struct err *err);

static inline struct cell reference_cell(const struct reference_feature *feature, uint32_t i)
{
    const double low = feature->low[i];
    return (struct cell){low, feature->high ? feature->high[i] : low,
                         feature->below[i + 1] - feature->below[i]};
}
/* As cells_quantile. */
double reference_quantile(const struct reference_feature *feature, double q);

/* Share of the reference at or below x, and below x. An inexact cell is taken as even. */
double reference_cdf(const struct reference_feature *feature, double x);
double reference_cdf_below(const struct reference_feature *feature, double x);
/* Both in one. */
struct reference_rank reference_rank(const struct reference_feature *feature, double x);
