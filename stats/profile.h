/*
 * The feature profile of one pane: for every feature (and @score, @prediction, @label) what drift,
 * data quality and the two histograms of a chart need, in a few hundred bytes.
 *
 * Shape    a profile has one slot for each feature of its layout; a slot has a part for numbers,
 *          one for categories and one for embeddings, made when the first such value comes.
 *          Numbers: single values while at most 96 differ (hour: 1300), nothing lost; beyond
 *          that exact counts on the reference's grid (stats/grid.h) tagged with the reference's
 *          id, a coarser log-linear sketch that needs no reference (stats/cells.h), and sums in
 *          fixed point. Categories: stats/categories.h. Embeddings: the norm as a number, the sum
 *          of means, and the mean vector (stats/mean_vector.h)
 * Rules    a state does not depend on the order of events nor on how they were split over merged
 *          parts; sign -1 takes out exactly what 1 put in. Merging panes that were counted on
 *          different references' grids keeps the sketch alone
 * Missing  every event counts once with profile_event; what a feature did not get is missing. For
 *          @label call profile_present instead of relying on that: it is only asked when labelled
 * Kinds    a declared kind makes other values invalid (type); PROFILE_AUTO keeps each in its part,
 *          so a feature that changes type in mid-stream has several, and the larger one is compared
 * Memory   measured by profile_bytes: <= 2 KB a (feature, minute pane), <= 24 KB an hour pane,
 *          whatever kinds there are: numbers keep less beside others (stats/profile_room.c); a
 *          cell with more than 65,535 events in a minute widens the counts (+1.3 KB)
 * Owner    profile_new and profile_load give, profile_free takes; the layout is borrowed and must
 *          live as long
 * Errors   -ENOMEM from an update: nothing was changed. ERR_CORRUPT from load: the checksum
 * Threads  one at a time
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/crew.h"
#include "stats/categories.h"
#include "stats/grid.h"
#include "stats/mean_vector.h"
#include "stats/numbers.h"

enum profile_kind {
    PROFILE_AUTO,
    PROFILE_NUMERIC,
    PROFILE_CATEGORICAL,
    PROFILE_EMBEDDING
};
const char *profile_kind_name(enum profile_kind kind); /* "numeric" … */

enum profile_invalid {
    INVALID_TYPE,     /* type: another kind than declared */
    INVALID_RANGE,    /* range: below min or above max */
    INVALID_CATEGORY, /* category: not among the allowed values */
    INVALID_NUMBER,   /* not_finite: "NaN", "Infinity" */
    N_INVALID
};
const char *profile_invalid_name(enum profile_invalid reason);

struct profile_feature {
    uint64_t name_id; /* class_id of its name; names its slot in saved bytes */
    enum profile_kind kind;
    double min, max;         /* NaN: no bound */
    const uint64_t *allowed; /* category ids, sorted; NULL: any */
    uint32_t n_allowed;
    const struct grid *grid;          /* of the reference; NULL: none */
    const struct category_bins *bins; /* of the reference; NULL: none */
};

struct profile_layout {
    uint64_t reference; /* id of the reference that grids and bins belong to; 0: none */
    uint32_t n_features;
    const struct profile_feature *features;
};

struct embedding_state {
    struct numbers norm;
    int64_t mean;               /* Σ of the vectors' means, in 2^-20 */
    uint32_t dimensions;        /* of the vectors; the largest seen */
    struct mean_vector *vector; /* NULL: given up, for many texts beside it */
};

struct feature_state {
    struct numbers *numeric;
    struct categories *categories;
    struct embedding_state *embedding;
    uint64_t present; /* events that had the feature at all, valid or not */
    uint64_t invalid[N_INVALID];
};

struct profile {
    const struct profile_layout *layout;
    enum profile_level level;
    uint32_t n_features;
    uint64_t events;
    struct feature_state *features;
};

int profile_new(struct profile **out, const struct profile_layout *layout, enum profile_level level,
                struct err *err);
void profile_free(struct profile *profile);
DEFINE_FREEP(profile)

/* Slots for features that the layout was given since; they count as missing so far. */
int profile_fit(struct profile *profile);

/* One prediction more (or, sign -1, less). Then one of the calls below for each feature it has. */
static inline void profile_event(struct profile *profile, int sign)
{
    profile->events += (uint64_t)(int64_t)sign;
}

int profile_number(struct profile *profile, uint32_t index, double value, int sign);
int profile_category(struct profile *profile, uint32_t index, uint64_t class_id, int sign);
/* Values of many events that had the feature: as one by one with sign 1, but what they need of memory
   is near after the first of them. -ENOMEM: some of them are in. */
int profile_number_column(struct profile *profile, uint32_t index, const double *values, size_t n);
int profile_category_column(struct profile *profile, uint32_t index, const uint64_t *class_ids,
                            size_t n);
/* An array as decoded. */
struct embedding {
    double norm, mean;
    const double *projected; /* PROJECTION_BUCKETS; NULL: only norm and mean are known */
    uint32_t dimensions;
};
int profile_embedding(struct profile *profile, uint32_t index, const struct embedding *value,
                      int sign);
void profile_invalid(struct profile *profile, uint32_t feature, enum profile_invalid reason,
                     int sign);

/* Same features in the same order; -EINVAL otherwise. `into` may be of a coarser level. */
int profile_merge(struct profile *into, const struct profile *from);

/* Counts of one feature. */
struct profile_quality {
    uint64_t n;       /* events that were asked for the feature */
    uint64_t valid;   /* values in the distribution */
    uint64_t missing; /* absent or null */
    uint64_t invalid[N_INVALID];
    uint64_t n_invalid;
    enum profile_kind kind; /* of the part that is compared */
};
/* `only_present`: @label, for which an absent value means "not labelled", not "missing". */
struct profile_quality profile_quality(const struct profile *profile, uint32_t feature,
                                       bool only_present);

/* Canonical bytes: equal contents, equal bytes; features by name_id, so a layout may grow. */
void profile_save(const struct profile *profile, struct buf *out);
/* Features that the layout does not have (any more) are skipped. */
int profile_load(struct profile **out, const struct profile_layout *layout,
                 enum profile_level level, const void *bytes, size_t n, struct err *err);
/* The same of bytes that the caller has checked himself, the features shared out to the crew;
   compared: with the layout's reference and for nothing else (numbers_load_compared). */
int profile_load_by(struct crew *crew, struct profile **out, const struct profile_layout *layout,
                    enum profile_level level, bool compared, const void *bytes, size_t n,
                    struct err *err);

size_t profile_bytes(const struct profile *profile, uint32_t feature);
