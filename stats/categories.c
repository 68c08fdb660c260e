#include "stats/categories.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: spreads what ids share */

static inline uint32_t find_slot(const uint64_t *ids, uint32_t n_slots, uint64_t id)
{
    uint64_t hash = (id * GOLDEN) >> 32;
    uint32_t slot = (uint32_t)((hash * n_slots) >> 32);
    while (ids[slot] != id && ids[slot] != 0)
        slot = slot + 1 == n_slots ? 0 : slot + 1;
    return slot;
}

static uint32_t slots_for(uint32_t n, uint32_t limit)
{
    uint32_t most = limit + limit / 7 + 1;
    uint32_t slots = 8;
    while (slots - slots / 8 < n)
        slots *= 2;
    return slots < most ? slots : most;
}

static inline void count(uint32_t *counter, uint64_t by, int sign)
{
    if (sign > 0)
        *counter = by > UINT32_MAX - *counter ? UINT32_MAX : *counter + (uint32_t)by;
    else
        *counter = by > *counter ? 0 : *counter - (uint32_t)by;
}

struct category_bins {
    uint32_t n_bins, n_slots;
    uint64_t *ids;
    uint8_t *bins; /* behind the ids, in the same block */
};

static int by_size(const void *a, const void *b)
{
    const struct category *x = (const struct category *)a, *y = (const struct category *)b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

int category_bins_new(struct category_bins **out, const struct category *categories, size_t n,
                      struct err *err)
{
    if (n > UINT32_MAX / 4)
        return err_set(err, -EINVAL, "categories: %zu categories are too many", n);
    AUTO(category_bins) struct category_bins *bins = calloc(1, sizeof(*bins));
    AUTO_FREE struct category *sorted = malloc((n + 1) * sizeof(*sorted));
    if (!bins || !sorted)
        return err_set(err, -ENOMEM, "categories: no memory for %zu categories", n);
    bins->n_slots = (uint32_t)n * 2 + 1;
    bins->ids = calloc(bins->n_slots, sizeof(uint64_t) + 1);
    if (!bins->ids)
        return err_set(err, -ENOMEM, "categories: no memory for %zu categories", n);
    bins->bins = (uint8_t *)(bins->ids + bins->n_slots);
    if (n)
        memcpy(sorted, categories, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_size);
    bins->n_bins = n < CATEGORIES_TRACKED ? (uint32_t)n : CATEGORIES_TRACKED;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = find_slot(bins->ids, bins->n_slots, sorted[i].id);
        if (bins->ids[slot] == sorted[i].id)
            continue;
        bins->ids[slot] = sorted[i].id;
        bins->bins[slot] = (uint8_t)(i < bins->n_bins ? i : bins->n_bins);
    }
    *out = bins;
    bins = NULL; /* the caller owns it now */
    return 0;
}

void category_bins_free(struct category_bins *bins)
{
    if (!bins)
        return;
    free(bins->ids);
    free(bins);
}

uint32_t category_bins_count(const struct category_bins *bins)
{
    return bins->n_bins;
}

int category_bin(const struct category_bins *bins, uint64_t id)
{
    if (id == 0)
        return -1;
    uint32_t slot = find_slot(bins->ids, bins->n_slots, id);
    return bins->ids[slot] == id ? bins->bins[slot] : -1;
}

void categories_init(struct categories *categories, uint32_t limit)
{
    *categories = (struct categories){.limit = limit};
}

static void many_free(struct categories_many *many)
{
    if (many)
        free(many->tracked);
    free(many);
}

void categories_finish(struct categories *categories)
{
    free(categories->ids);
    many_free(categories->many);
    *categories = (struct categories){.limit = categories->limit};
}

/* Counted on the bins of that reference; 0: on none. NULL: no memory. */
static struct categories_many *many_new(uint64_t reference)
{
    struct categories_many *many = calloc(1, sizeof(*many));
    if (!many || reference == 0)
        return many;
    many->reference = reference;
    many->tracked = calloc(CATEGORIES_TRACKED + 1, sizeof(*many->tracked));
    if (many->tracked)
        return many;
    many_free(many);
    return NULL;
}

static struct categories_many *many_copy(const struct categories_many *many)
{
    struct categories_many *copy = many_new(many->reference);
    if (!copy)
        return NULL;
    uint32_t *tracked = copy->tracked;
    if (tracked)
        memcpy(tracked, many->tracked, (CATEGORIES_TRACKED + 1) * sizeof(*tracked));
    *copy = *many;
    copy->tracked = tracked;
    return copy;
}

static void many_untrack(struct categories_many *many)
{
    free(many->tracked);
    many->tracked = NULL;
    many->reference = many->unseen = 0;
}

void categories_untrack(struct categories *categories)
{
    if (categories->many)
        many_untrack(categories->many);
}

bool categories_has(const struct categories *categories, uint64_t id)
{
    return categories->n_slots &&
           categories->ids[find_slot(categories->ids, categories->n_slots, id)] == id;
}

static int resize(struct categories *categories, uint32_t n_slots)
{
    uint64_t *ids = calloc(n_slots, sizeof(uint64_t) + sizeof(uint32_t));
    if (!ids)
        return -ENOMEM;
    uint32_t *counts = (uint32_t *)(void *)(ids + n_slots);
    for (uint32_t i = 0; i < categories->n_slots; i++) {
        if (categories->ids[i] == 0)
            continue;
        uint32_t slot = find_slot(ids, n_slots, categories->ids[i]);
        ids[slot] = categories->ids[i];
        counts[slot] = categories->counts[i];
    }
    free(categories->ids);
    categories->ids = ids;
    categories->counts = counts;
    categories->n_slots = n_slots;
    return 0;
}

/* Adds to the sample of the smallest ids; it is exact for those that stay. */
static void keep(struct categories_many *many, uint64_t id, uint64_t by, int sign)
{
    uint32_t at = many->n_kept;
    while (at > 0 && many->kept_ids[at - 1] >= id)
        at--;
    if (at < many->n_kept && many->kept_ids[at] == id) {
        count(&many->kept_counts[at], by, sign);
        return;
    }
    if (at == CATEGORIES_KEPT)
        return;
    uint32_t n = many->n_kept < CATEGORIES_KEPT ? many->n_kept++ : CATEGORIES_KEPT - 1;
    for (uint32_t i = n; i > at; i--) {
        many->kept_ids[i] = many->kept_ids[i - 1];
        many->kept_counts[i] = many->kept_counts[i - 1];
    }
    many->kept_ids[at] = id;
    many->kept_counts[at] = 0;
    count(&many->kept_counts[at], by, sign);
}

static void many_add(struct categories_many *many, uint64_t id, uint64_t by, int sign,
                     const struct category_bins *bins)
{
    uint32_t *heavy = many->heavy[(id * GOLDEN) >> 61];
    count(&heavy[0], by, sign);
    for (int bit = 0; bit < CATEGORIES_BITS; bit++) {
        if (id >> bit & 1)
            count(&heavy[1 + bit], by, sign);
    }
    if (many->n_kept < CATEGORIES_KEPT || id <= many->kept_ids[CATEGORIES_KEPT - 1])
        keep(many, id, by, sign);
    if (many->reference == 0)
        return;
    int bin = category_bin(bins, id);
    if (bin >= 0)
        count(&many->tracked[bin], by, sign);
    else if (sign > 0)
        many->unseen += by;
    else
        many->unseen -= many->unseen < by ? many->unseen : by;
}

/* From exact counts to what is kept beyond the limit. */
static int overflow(struct categories *categories, const struct category_bins *bins,
                    uint64_t reference)
{
    struct categories_many *many = many_new(bins ? reference : 0);
    if (!many)
        return -ENOMEM;
    for (uint32_t i = 0; i < categories->n_slots; i++) {
        if (categories->ids[i])
            many_add(many, categories->ids[i], categories->counts[i], 1, bins);
    }
    free(categories->ids);
    categories->ids = NULL;
    categories->counts = NULL;
    categories->n_slots = categories->n_ids = 0;
    categories->many = many;
    return 0;
}

static int add(struct categories *categories, uint64_t id, uint64_t by, int sign,
               const struct category_bins *bins, uint64_t reference)
{
    if (!categories->many) {
        uint32_t slot =
            categories->n_slots ? find_slot(categories->ids, categories->n_slots, id) : 0;
        if (categories->n_slots && categories->ids[slot] == id) {
            count(&categories->counts[slot], by, sign);
            return 0;
        }
        int rc = 0;
        if (categories->n_ids >= categories->limit)
            rc = overflow(categories, bins, reference);
        else if (slots_for(categories->n_ids + 1, categories->limit) > categories->n_slots)
            rc = resize(categories, slots_for(categories->n_ids + 1, categories->limit));
        if (rc)
            return rc;
    }
    if (categories->many) {
        /* counted on another reference's bins: those can no longer be told */
        if (categories->many->reference && (!bins || categories->many->reference != reference))
            many_untrack(categories->many);
        many_add(categories->many, id, by, sign, bins);
        return 0;
    }
    uint32_t slot = find_slot(categories->ids, categories->n_slots, id);
    categories->ids[slot] = id;
    categories->n_ids++;
    count(&categories->counts[slot], by, sign);
    return 0;
}

int categories_update(struct categories *categories, uint64_t id, int sign,
                      const struct category_bins *bins, uint64_t reference)
{
    int rc = add(categories, id, 1, sign, bins, reference);
    if (rc == 0)
        categories->n = sign > 0 ? categories->n + 1 : categories->n - (categories->n > 0);
    return rc;
}

static void merge_many(struct categories_many *into, const struct categories_many *from)
{
    if (into->reference != from->reference)
        many_untrack(into);
    else
        into->unseen += from->unseen;
    for (int i = 0; into->tracked && i <= CATEGORIES_TRACKED; i++)
        count(&into->tracked[i], from->tracked[i], 1);
    for (int b = 0; b < CATEGORIES_BUCKETS; b++) {
        for (int i = 0; i <= CATEGORIES_BITS; i++)
            count(&into->heavy[b][i], from->heavy[b][i], 1);
    }
    for (uint32_t i = 0; i < from->n_kept; i++)
        keep(into, from->kept_ids[i], from->kept_counts[i], 1);
}

int categories_merge(struct categories *into, const struct categories *from,
                     const struct category_bins *bins, uint64_t reference)
{
    struct categories copy = *into;
    copy.ids = NULL;
    copy.counts = NULL;
    copy.many = NULL;
    copy.n_slots = copy.n_ids = 0;
    int rc = 0;
    if (into->many) {
        copy.many = many_copy(into->many);
        rc = copy.many ? 0 : -ENOMEM;
    }
    for (uint32_t i = 0; rc == 0 && i < into->n_slots; i++) {
        if (into->ids[i])
            rc = add(&copy, into->ids[i], into->counts[i], 1, bins, reference);
    }
    for (uint32_t i = 0; rc == 0 && i < from->n_slots; i++) {
        if (from->ids[i])
            rc = add(&copy, from->ids[i], from->counts[i], 1, bins, reference);
    }
    if (rc == 0 && from->many) {
        bool same = bins && from->many->reference == reference;
        if (!copy.many)
            rc = overflow(&copy, same ? bins : NULL, reference);
        if (rc == 0)
            merge_many(copy.many, from->many);
    }
    if (rc) {
        categories_finish(&copy);
        return rc;
    }
    copy.n = into->n + from->n;
    categories_finish(into);
    *into = copy;
    return 0;
}

size_t categories_known(const struct categories *categories)
{
    return categories->many ? categories->many->n_kept : categories->n_ids;
}

static int by_id(const void *a, const void *b)
{
    const struct category *x = (const struct category *)a, *y = (const struct category *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

size_t categories_read(const struct categories *categories, struct category *out)
{
    size_t n = 0;
    if (categories->many) {
        for (; n < categories->many->n_kept; n++)
            out[n] =
                (struct category){categories->many->kept_ids[n], categories->many->kept_counts[n]};
        return n;
    }
    for (uint32_t i = 0; i < categories->n_slots; i++) {
        if (categories->ids[i])
            out[n++] = (struct category){categories->ids[i], categories->counts[i]};
    }
    qsort(out, n, sizeof(*out), by_id);
    return n;
}

double categories_distinct(const struct categories *categories)
{
    const struct categories_many *many = categories->many;
    if (!many)
        return categories->n_ids;
    if (many->n_kept < CATEGORIES_KEPT)
        return many->n_kept;
    double share = (double)many->kept_ids[CATEGORIES_KEPT - 1] / 18446744073709551616.0;
    return (CATEGORIES_KEPT - 1) / share;
}

uint64_t categories_heavy(const struct categories *categories, uint64_t id)
{
    if (!categories->many)
        return 0;
    const uint32_t *heavy = categories->many->heavy[(id * GOLDEN) >> 61];
    uint64_t most = heavy[0];
    for (int bit = 0; bit < CATEGORIES_BITS; bit++) {
        uint64_t agree = id >> bit & 1 ? heavy[1 + bit] : heavy[0] - heavy[1 + bit];
        if (agree < most)
            most = agree;
    }
    return most > heavy[0] / 2 ? most : 0;
}

void categories_save(const struct categories *categories, struct buf *out)
{
    size_t n = categories_known(categories);
    AUTO_FREE struct category *known = malloc((n + 1) * sizeof(*known));
    if (!known) {
        out->failed = true;
        return;
    }
    categories_read(categories, known);
    buf_varint(out, categories->n);
    buf_u8(out, categories->many ? 1 : 0);
    buf_varint(out, n);
    for (size_t i = 0; i < n; i++) {
        buf_u64(out, known[i].id);
        buf_varint(out, known[i].count);
    }
    const struct categories_many *many = categories->many;
    if (!many)
        return;
    for (int b = 0; b < CATEGORIES_BUCKETS; b++) {
        for (int i = 0; i <= CATEGORIES_BITS; i++)
            buf_varint(out, many->heavy[b][i]);
    }
    buf_u64(out, many->reference);
    if (many->reference == 0)
        return;
    buf_varint(out, many->unseen);
    for (int i = 0; i <= CATEGORIES_TRACKED; i++)
        buf_varint(out, many->tracked[i]);
}

static int load_many(struct categories_many *many, struct reader *in)
{
    for (int b = 0; b < CATEGORIES_BUCKETS; b++) {
        for (int i = 0; i <= CATEGORIES_BITS; i++)
            many->heavy[b][i] = (uint32_t)reader_varint(in);
    }
    many->reference = reader_u64(in);
    if (many->reference == 0)
        return 0;
    many->tracked = calloc(CATEGORIES_TRACKED + 1, sizeof(*many->tracked));
    if (!many->tracked)
        return -ENOMEM;
    many->unseen = reader_varint(in);
    for (int i = 0; i <= CATEGORIES_TRACKED; i++)
        many->tracked[i] = (uint32_t)reader_varint(in);
    return 0;
}

int categories_load(struct categories *categories, struct reader *in, struct err *err)
{
    struct categories loaded = {.limit = categories->limit};
    uint64_t events = reader_varint(in);
    bool many = reader_u8(in) != 0;
    uint64_t n = reader_varint(in);
    if (reader_failed(in) || n > reader_left(in) / 9 || (many && n > CATEGORIES_KEPT) ||
        n > UINT32_MAX / 4)
        return err_set(err, ERR_CORRUPT, "categories: %llu categories do not fit",
                       (unsigned long long)n);
    if (many && !(loaded.many = calloc(1, sizeof(*loaded.many))))
        return err_set(err, -ENOMEM, "categories: no memory");
    if (n > loaded.limit) /* written under a larger limit: keep it whole */
        loaded.limit = (uint32_t)n;
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        uint64_t id = reader_u64(in);
        uint64_t events_of_id = reader_varint(in);
        if (many)
            keep(loaded.many, id, events_of_id, 1);
        else if (id)
            rc = add(&loaded, id, events_of_id, 1, NULL, 0);
    }
    if (many && rc == 0)
        rc = load_many(loaded.many, in);
    if (rc == 0 && reader_failed(in))
        rc = err_set(err, ERR_CORRUPT, "categories: the bytes end early");
    else if (rc)
        err_set(err, rc, "categories: no memory for %llu categories", (unsigned long long)n);
    if (rc) {
        categories_finish(&loaded);
        return rc;
    }
    loaded.n = events;
    loaded.limit = categories->limit;
    categories_finish(categories);
    *categories = loaded;
    return 0;
}

size_t categories_bytes(const struct categories *categories)
{
    const struct categories_many *many = categories->many;
    return categories->n_slots * (sizeof(uint64_t) + sizeof(uint32_t)) +
           (many ? sizeof(*many) : 0) +
           (many && many->tracked ? (CATEGORIES_TRACKED + 1) * sizeof(*many->tracked) : 0);
}
