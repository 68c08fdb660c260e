#include "stats/cells.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

double cells_value(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
    double value;
    memcpy(&value, &bits, sizeof(value));
    if (isfinite(value))
        return value;
    return key >> 63 ? DBL_MAX : -DBL_MAX;
}

void cells_init(struct cells *cells, uint32_t limit)
{
    *cells = (struct cells){.limit = limit};
}

void cells_finish(struct cells *cells)
{
    free(cells->keys);
    *cells = (struct cells){.limit = cells->limit};
}

/* Slots for n cells at a load of at most 7/8, and never more than the limit asks for. */
static uint32_t slots_for(uint32_t n, uint32_t limit)
{
    uint32_t most = limit + limit / 7 + 1;
    uint32_t slots = 8;
    while (slots - slots / 8 < n)
        slots *= 2;
    return slots < most ? slots : most;
}

/* Where the key is, or the free slot where it belongs. There is always a free slot. */
static inline uint32_t find_slot(const uint64_t *keys, uint32_t n_slots, uint64_t key)
{
    uint64_t hash = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    uint32_t slot = (uint32_t)((hash * n_slots) >> 32);
    while (keys[slot] != key && keys[slot] != 0)
        slot = slot + 1 == n_slots ? 0 : slot + 1;
    return slot;
}

static inline uint32_t add_count(uint32_t a, uint64_t b)
{
    return b > UINT32_MAX - a ? UINT32_MAX : a + (uint32_t)b;
}

/* Lays all cells out anew: n_slots slots, keys moved right by `by` more bits. */
static int rehash(struct cells *cells, uint32_t n_slots, uint32_t by)
{
    uint64_t *keys = calloc(n_slots, sizeof(uint64_t) + sizeof(uint32_t));
    if (!keys)
        return -ENOMEM;
    uint32_t *counts = (uint32_t *)(void *)(keys + n_slots);
    uint32_t n_cells = 0;
    for (uint32_t i = 0; i < cells->n_slots; i++) {
        if (cells->keys[i] == 0)
            continue;
        uint64_t key = ((cells->keys[i] - 1) >> by) + 1;
        uint32_t slot = find_slot(keys, n_slots, key);
        n_cells += keys[slot] == 0;
        keys[slot] = key;
        counts[slot] = add_count(counts[slot], cells->counts[i]);
    }
    free(cells->keys);
    cells->keys = keys;
    cells->counts = counts;
    cells->n_slots = n_slots;
    cells->n_cells = n_cells;
    cells->shift += by;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The smallest number of bits to drop so that at most `limit` of the n sorted keys differ. */
static uint32_t bits_to_drop(const uint64_t *keys, uint32_t n, uint32_t limit, uint32_t most)
{
    for (uint32_t by = 0; by < most; by++) {
        uint32_t different = 0;
        for (uint32_t i = 0; i < n && different <= limit; i++)
            different += i == 0 || (keys[i] - 1) >> by != (keys[i - 1] - 1) >> by;
        if (different <= limit)
            return by;
    }
    return most;
}

/* Drops bits until `limit` holds for the cells and one more key (0: none). */
static int coarsen(struct cells *cells, uint64_t more, uint32_t limit)
{
    AUTO_FREE uint64_t *keys = malloc((cells->n_cells + 1) * sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    uint32_t n = 0;
    for (uint32_t i = 0; i < cells->n_slots; i++) {
        if (cells->keys[i])
            keys[n++] = cells->keys[i];
    }
    if (more)
        keys[n++] = more;
    qsort(keys, n, sizeof(*keys), by_key);
    uint32_t by = bits_to_drop(keys, n, limit, CELLS_COARSEST - cells->shift);
    return rehash(cells, slots_for(limit, limit), by);
}

/* Makes room for a key that has no cell yet. */
static int make_room(struct cells *cells, uint64_t key)
{
    if (cells->n_cells >= cells->limit)
        return coarsen(cells, key, cells->limit);
    uint32_t n_slots = slots_for(cells->n_cells + 1, cells->limit);
    return n_slots > cells->n_slots ? rehash(cells, n_slots, 0) : 0;
}

static int add(struct cells *cells, uint64_t full_key, uint64_t count, int sign)
{
    uint64_t key = (full_key >> cells->shift) + 1;
    uint32_t slot = cells->n_slots ? find_slot(cells->keys, cells->n_slots, key) : 0;
    if (cells->n_slots == 0 || cells->keys[slot] == 0) {
        int rc = make_room(cells, key);
        if (rc)
            return rc;
        key = (full_key >> cells->shift) + 1;
        slot = find_slot(cells->keys, cells->n_slots, key);
        cells->n_cells += cells->keys[slot] == 0;
        cells->keys[slot] = key;
    }
    if (sign > 0)
        cells->counts[slot] = add_count(cells->counts[slot], count);
    else if (cells->counts[slot] != UINT32_MAX)
        cells->counts[slot] -= cells->counts[slot] < count ? cells->counts[slot] : (uint32_t)count;
    return 0;
}

int cells_update(struct cells *cells, double value, int sign)
{
    return add(cells, cells_key(value), 1, sign);
}

int cells_add(struct cells *cells, double value, uint64_t count)
{
    return add(cells, cells_key(value), count, 1);
}

int cells_merge(struct cells *into, const struct cells *from)
{
    struct cells copy = {.limit = into->limit, .shift = into->shift};
    int rc = 0;
    if (into->n_slots)
        rc = rehash(&copy, slots_for(into->n_cells, into->limit), 0);
    for (uint32_t i = 0; rc == 0 && i < into->n_slots; i++) {
        if (into->keys[i])
            rc = add(&copy, (into->keys[i] - 1) << into->shift, into->counts[i], 1);
    }
    if (rc == 0 && from->shift > copy.shift) {
        uint32_t by = from->shift - copy.shift;
        rc = rehash(&copy, copy.n_slots ? copy.n_slots : 8, by);
    }
    for (uint32_t i = 0; rc == 0 && i < from->n_slots; i++) {
        if (from->keys[i])
            rc = add(&copy, (from->keys[i] - 1) << from->shift, from->counts[i], 1);
    }
    if (rc) {
        cells_finish(&copy);
        return rc;
    }
    cells_finish(into);
    *into = copy;
    return 0;
}

bool cells_full_for(const struct cells *cells, double value)
{
    if (cells->shift != 0 || cells->n_cells < cells->limit || cells->n_slots == 0)
        return false;
    uint64_t key = cells_key(value) + 1;
    return cells->keys[find_slot(cells->keys, cells->n_slots, key)] == 0;
}

uint32_t cells_union(const struct cells *a, const struct cells *b)
{
    uint32_t n = a->n_cells;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        if (b->keys[i] && (!a->n_slots || !a->keys[find_slot(a->keys, a->n_slots, b->keys[i])]))
            n++;
    }
    return n;
}

int cells_limit(struct cells *cells, uint32_t limit)
{
    if (cells->n_cells > limit) {
        int rc = coarsen(cells, 0, limit);
        if (rc)
            return rc;
    }
    cells->limit = limit;
    return 0;
}

static int by_low(const void *a, const void *b)
{
    const struct cell *x = (const struct cell *)a, *y = (const struct cell *)b;
    return x->low < y->low ? -1 : x->low > y->low;
}

uint32_t cells_read(const struct cells *cells, struct cell *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < cells->n_slots; i++) {
        if (cells->keys[i] == 0 || cells->counts[i] == 0)
            continue;
        uint64_t low = (cells->keys[i] - 1) << cells->shift;
        uint64_t high = low + ((UINT64_C(1) << cells->shift) - 1);
        out[n++] = (struct cell){cells_value(low), cells_value(high), cells->counts[i]};
    }
    qsort(out, n, sizeof(*out), by_low);
    return n;
}

void cells_save(const struct cells *cells, struct buf *out)
{
    AUTO_FREE uint64_t *keys = malloc((cells->n_cells + 1) * sizeof(*keys));
    if (!keys) {
        out->failed = true;
        return;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < cells->n_slots; i++) {
        if (cells->keys[i])
            keys[n++] = cells->keys[i];
    }
    qsort(keys, n, sizeof(*keys), by_key);
    buf_u8(out, (uint8_t)cells->shift);
    buf_varint(out, n);
    uint64_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        buf_varint(out, keys[i] - before);
        buf_varint(out, cells->counts[find_slot(cells->keys, cells->n_slots, keys[i])]);
        before = keys[i];
    }
}

int cells_load(struct cells *cells, struct reader *in, struct err *err)
{
    uint32_t shift = reader_u8(in);
    uint64_t n = reader_varint(in);
    if (reader_failed(in) || shift > CELLS_COARSEST || n > reader_left(in))
        return err_set(err, ERR_CORRUPT, "cells: shift %u and %llu cells do not fit", shift,
                       (unsigned long long)n);
    struct cells loaded = {.limit = cells->limit, .shift = shift};
    uint64_t key = 0;
    int rc = n ? rehash(&loaded,
                        slots_for((uint32_t)n, cells->limit > n ? cells->limit : (uint32_t)n), 0)
               : 0;
    loaded.shift = shift;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        uint64_t step = reader_varint(in);
        uint64_t count = reader_varint(in);
        if (reader_failed(in) || step == 0 || key + step < key || count > UINT32_MAX ||
            ((key + step - 1) << shift) >> shift != key + step - 1) {
            cells_finish(&loaded);
            return err_set(err, ERR_CORRUPT, "cells: cell %llu is damaged", (unsigned long long)i);
        }
        key += step;
        rc = add(&loaded, (key - 1) << shift, count, 1);
    }
    if (rc) {
        cells_finish(&loaded);
        return err_set(err, rc, "cells: no memory for %llu cells", (unsigned long long)n);
    }
    cells_finish(cells);
    *cells = loaded;
    return 0;
}
