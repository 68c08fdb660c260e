/*
 * Counts of categories by id, exact up to a limit; beyond it what a bounded memory can say without
 * depending on the order of events.
 *
 * Shape    up to `limit` different ids: every count exact. Beyond (overflowed): where there is a
 *          reference exact counts of its categories (`tracked`, the largest first, the rest of them together,
 *          and what the reference never saw), exact counts of the 32 smallest ids (ids are hashes,
 *          so that is a fair sample of the categories, and their spread estimates how many there
 *          are), and a heavy-hitters sketch: 8 buckets, each with its total and one counter for
 *          each of 24 bits of the id, so that an id with more than half of a bucket is spelled out
 * Rules    the same bits whatever the order and the split; sign -1 takes an event out exactly (its
 *          id stays known, with count 0)
 * Owner    categories_init gives nothing away, categories_finish takes what grew
 * Errors   -ENOMEM: nothing was changed
 * Threads  one at a time
 * Source   sample of ids: bottom-k / KMV (Beyer et al. 2007, eq. 3 of the unbiased estimator) ·
 *          bits: group testing, Cormode, Muthukrishnan 2005
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

enum {
    CATEGORIES_TRACKED = 127, /* of the reference, by their own count; the next bin is the rest */
    CATEGORIES_KEPT = 32,
    CATEGORIES_BUCKETS = 8,
    CATEGORIES_BITS = 24
};

struct category {
    uint64_t id; /* class_id of its text, never 0 */
    uint64_t count;
};

/*
 * The categories of a reference: which bin an id belongs to. Bins 0 … n_bins - 1 are the largest
 * categories (ties: the smaller id first), bin n_bins all others that the reference saw.
 */
struct category_bins;
int category_bins_new(struct category_bins **out, const struct category *categories, size_t n,
                      struct err *err);
void category_bins_free(struct category_bins *bins);
DEFINE_FREEP(category_bins)
uint32_t category_bins_count(const struct category_bins *bins); /* n_bins, without "the rest" */
/* The bin of an id, -1 when the reference never saw it. */
int category_bin(const struct category_bins *bins, uint64_t id);

struct categories {
    uint64_t n; /* events */
    uint64_t *ids;
    uint32_t *counts; /* behind the ids, in the same block */
    uint32_t n_slots, n_ids;
    uint32_t limit;
    struct categories_many *many; /* NULL: not overflowed */
};

/* What is known of a stream with too many categories. */
struct categories_many {
    uint64_t reference; /* the id of the bins that `tracked` counts on; 0: none */
    uint64_t unseen;    /* events of ids that the reference never saw */
    uint32_t *tracked;  /* by bin, the rest behind them; NULL: no reference */
    uint32_t heavy[CATEGORIES_BUCKETS][CATEGORIES_BITS + 1]; /* [0]: total of the bucket */
    uint32_t n_kept;
    uint32_t kept_counts[CATEGORIES_KEPT];
    uint64_t kept_ids[CATEGORIES_KEPT]; /* sorted */
};

void categories_init(struct categories *categories, uint32_t limit);
void categories_finish(struct categories *categories);

/* `bins` (NULL: none) with its reference id is only asked once the limit is passed. */
int categories_update(struct categories *categories, uint64_t id, int sign,
                      const struct category_bins *bins, uint64_t reference);
int categories_merge(struct categories *into, const struct categories *from,
                     const struct category_bins *bins, uint64_t reference);

bool categories_has(const struct categories *categories, uint64_t id); /* known, with count 0 too */
/* The counts of the reference's categories are given up, with their memory. */
void categories_untrack(struct categories *categories);

/* Known ids with their counts (0 too), sorted by id; `out` has room for categories_known. */
size_t categories_known(const struct categories *categories);
size_t categories_read(const struct categories *categories, struct category *out);
/* How many different ids: exact, or the KMV estimate (±18%) once overflowed. */
double categories_distinct(const struct categories *categories);

/* Whether `id` may be a heavy hitter, and then at most how many events it has; 0: it is none. */
uint64_t categories_heavy(const struct categories *categories, uint64_t id);

void categories_save(const struct categories *categories, struct buf *out);
int categories_load(struct categories *categories, struct reader *in, struct err *err);
size_t categories_bytes(const struct categories *categories);
