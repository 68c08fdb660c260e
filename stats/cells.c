#include "stats/cells.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/sort.h"

void cells_init(struct cells *cells, uint32_t limit)
{
    *cells = (struct cells){.limit = limit};
}

void cells_finish(struct cells *cells)
{
    free(cells->keys);
    *cells = (struct cells){.limit = cells->limit};
}

enum {
    FEW_CELLS = 128 /* of a minute's pane: they have more room, as they are met with each event */
};

/* Slots for n cells at a load of at most 7/8, and never more than the limit asks for. */
static uint32_t slots_for(uint32_t n, uint32_t limit)
{
    uint32_t most = limit + (limit <= FEW_CELLS ? limit / 3 : limit / 7) + 1;
    uint32_t slots = 8;
    while (slots - slots / 8 < n)
        slots *= 2;
    return slots < most ? slots : most;
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
        uint32_t slot = cells_slot(keys, n_slots, key);
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

/*
 * Lays the cells out in an empty table with `by` more bits dropped. False: they make more than
 * `limit` cells, `more` (a key that is not there yet; 0: none) among them.
 */
static bool lay_out(const struct cells *from, uint32_t by, uint64_t more, uint32_t limit,
                    struct cells *to)
{
    memset(to->keys, 0, to->n_slots * (sizeof(uint64_t) + sizeof(uint32_t)));
    to->n_cells = 0;
    for (uint32_t i = 0; i < from->n_slots; i++) {
        if (from->keys[i] == 0)
            continue;
        uint64_t key = ((from->keys[i] - 1) >> by) + 1;
        uint32_t slot = cells_slot(to->keys, to->n_slots, key);
        if (to->keys[slot] == 0 && ++to->n_cells > limit)
            return false;
        to->keys[slot] = key;
        to->counts[slot] = add_count(to->counts[slot], from->counts[i]);
    }
    if (more == 0)
        return true;
    uint64_t key = ((more - 1) >> by) + 1;
    return to->n_cells < limit || to->keys[cells_slot(to->keys, to->n_slots, key)] != 0;
}

struct counted {
    uint64_t key;
    uint32_t count;
};
DEFINE_SORT(sort_by_key, struct counted, key)

/* Bits from the highest in which two keys differ: so many must go before they are one. */
static uint32_t bits_between(uint64_t a, uint64_t b)
{
    return 64 - (uint32_t)__builtin_clzll(a ^ b);
}

/*
 * The fewest bits to drop so that at most `limit` of the cells and one more key (0: none) differ:
 * of sorted keys neighbours are the first to meet. 0: no memory.
 */
static uint32_t fewest_bits(const struct cells *cells, uint64_t more, uint32_t limit)
{
    AUTO_FREE struct counted *items = malloc((cells->n_cells + 1) * 2 * sizeof(*items));
    uint32_t meet[65] = {0}; /* pairs by the bits between them */
    uint32_t n = 0, bits = 1;
    if (!items)
        return 0;
    for (uint32_t i = 0; i < cells->n_slots; i++)
        if (cells->keys[i])
            items[n++].key = cells->keys[i] - 1;
    if (more)
        items[n++].key = more - 1;
    sort_by_key(items, n, items + n);
    for (uint32_t i = 1; i < n; i++)
        meet[bits_between(items[i - 1].key, items[i].key)]++;
    for (n -= meet[1]; n > limit && bits < CELLS_COARSEST - cells->shift; n -= meet[bits])
        bits++;
    return bits;
}

/*
 * Drops the fewest bits with which `limit` holds for the cells and one more key (0: none). Where
 * bits were dropped before, one or two more nearly always do.
 */
static int coarsen(struct cells *cells, uint64_t more, uint32_t limit)
{
    struct cells made = {
        .limit = cells->limit, .n_slots = slots_for(limit, limit), .shift = cells->shift};
    made.keys = malloc(made.n_slots * (sizeof(uint64_t) + sizeof(uint32_t)));
    if (!made.keys)
        return -ENOMEM;
    made.counts = (uint32_t *)(void *)(made.keys + made.n_slots);
    const uint32_t most = CELLS_COARSEST - cells->shift; /* then two cells are left, one a sign */
    uint32_t by = cells->shift ? 1 : fewest_bits(cells, more, limit);
    if (by == 0) {
        free(made.keys);
        return -ENOMEM;
    }
    while (!lay_out(cells, by, more, limit, &made) && by < most)
        by++;
    made.shift += by;
    free(cells->keys);
    *cells = made;
    return 0;
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
    uint32_t slot = cells->n_slots ? cells_slot(cells->keys, cells->n_slots, key) : 0;
    if (cells->n_slots == 0 || cells->keys[slot] == 0) {
        int rc = make_room(cells, key);
        if (rc)
            return rc;
        key = (full_key >> cells->shift) + 1;
        slot = cells_slot(cells->keys, cells->n_slots, key);
        cells->n_cells += cells->keys[slot] == 0;
        cells->keys[slot] = key;
    }
    if (sign > 0)
        cells->counts[slot] = add_count(cells->counts[slot], count);
    else if (cells->counts[slot] != UINT32_MAX)
        cells->counts[slot] -= cells->counts[slot] < count ? cells->counts[slot] : (uint32_t)count;
    return 0;
}

int cells_update_slow(struct cells *cells, double value, int sign)
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
    return cells->keys[cells_slot(cells->keys, cells->n_slots, key)] == 0;
}

uint32_t cells_union(const struct cells *a, const struct cells *b)
{
    uint32_t n = a->n_cells;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        if (b->keys[i] && (!a->n_slots || !a->keys[cells_slot(a->keys, a->n_slots, b->keys[i])]))
            n++;
    }
    return n;
}

int cells_limit(struct cells *cells, uint32_t limit)
{
    const uint32_t most = slots_for(limit, limit);
    int rc = 0;
    if (cells->n_cells > limit)
        rc = coarsen(cells, 0, limit);
    else if (cells->n_slots > most)
        rc = rehash(cells, most, 0);
    if (rc == 0)
        cells->limit = limit;
    return rc;
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
    AUTO_FREE struct counted *items = malloc((cells->n_cells + 1) * 2 * sizeof(*items));
    if (!items) {
        out->failed = true;
        return;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < cells->n_slots; i++) {
        if (cells->keys[i])
            items[n++] = (struct counted){cells->keys[i], cells->counts[i]};
    }
    sort_by_key(items, n, items + n);
    buf_u8(out, (uint8_t)cells->shift);
    buf_varint(out, n);
    uint64_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        buf_varint(out, items[i].key - before);
        buf_varint(out, items[i].count);
        before = items[i].key;
    }
}

/* The next saved cell; false: it is damaged. Keys rise. */
static bool read_cell(struct reader *in, uint32_t shift, struct counted *last)
{
    uint64_t key = last->key + reader_varint(in), count = reader_varint(in);
    if (reader_failed(in) || key <= last->key || count > UINT32_MAX ||
        ((key - 1) << shift) >> shift != key - 1)
        return false;
    *last = (struct counted){key, (uint32_t)count};
    return true;
}

static int read_head(struct reader *in, uint32_t *shift, uint64_t *n, struct err *err)
{
    *shift = reader_u8(in);
    *n = reader_varint(in);
    if (reader_failed(in) || *shift > CELLS_COARSEST || *n > reader_left(in))
        return err_set(err, ERR_CORRUPT, "cells: shift %u and %llu cells do not fit", *shift,
                       (unsigned long long)*n);
    return 0;
}

static int damaged(struct cells *loaded, uint64_t i, struct err *err)
{
    cells_finish(loaded);
    return err_set(err, ERR_CORRUPT, "cells: cell %llu is damaged", (unsigned long long)i);
}

uint32_t cells_saved(struct reader in)
{
    uint32_t shift;
    uint64_t n;
    return read_head(&in, &shift, &n, NULL) || n > UINT32_MAX / 2 ? 0 : (uint32_t)n;
}

void cells_skip(struct reader *in)
{
    (void)reader_u8(in);
    uint64_t n = reader_varint(in);
    reader_skip_varints(in, n > reader_left(in) ? UINT64_MAX : 2 * n);
}

int cells_load_outside(struct cells *cells, double from, double to, struct reader *in,
                       struct err *err)
{
    const uint64_t first = cells_key(from), last = cells_key(to);
    struct cells loaded = {.limit = cells->limit};
    struct counted cell = {0};
    uint64_t n;
    int rc = read_head(in, &loaded.shift, &n, err);
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        if (!read_cell(in, loaded.shift, &cell))
            return damaged(&loaded, i, err);
        uint64_t low = (cell.key - 1) << loaded.shift;
        uint64_t high = low + ((UINT64_C(1) << loaded.shift) - 1);
        if (low >= first && high < last)
            continue; /* nearly all */
        if (add(&loaded, low, cell.count, 1))
            rc = err_set(err, -ENOMEM, "cells: no memory for those at the ends");
    }
    if (rc) {
        cells_finish(&loaded);
        return rc;
    }
    cells_finish(cells);
    *cells = loaded;
    return 0;
}

int cells_load(struct cells *cells, struct reader *in, struct err *err)
{
    uint32_t shift;
    uint64_t n;
    int rc = read_head(in, &shift, &n, err);
    if (rc)
        return rc;
    struct cells loaded = {.limit = cells->limit, .shift = shift};
    struct counted cell = {0};
    rc = n ? rehash(&loaded, slots_for((uint32_t)n, cells->limit > n ? cells->limit : (uint32_t)n),
                    0)
           : 0;
    loaded.shift = shift;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        if (!read_cell(in, shift, &cell))
            return damaged(&loaded, i, err);
        if (n > loaded.limit) { /* saved under a larger one */
            rc = add(&loaded, (cell.key - 1) << shift, cell.count, 1);
            continue;
        }
        uint32_t slot = cells_slot(loaded.keys, loaded.n_slots, cell.key);
        loaded.keys[slot] = cell.key;
        loaded.counts[slot] = cell.count;
        loaded.n_cells++;
    }
    if (rc) {
        cells_finish(&loaded);
        return err_set(err, rc, "cells: no memory for %llu cells", (unsigned long long)n);
    }
    cells_finish(cells);
    *cells = loaded;
    return 0;
}
