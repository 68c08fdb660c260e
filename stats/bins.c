#include "stats/bins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "stats/sort.h"

enum {
    MIN_INDEX_BITS = 3,
    MAX_INDEX_BITS = 31,
    PACKED_BITS = 6,   /* of one byte: all columns, when they are small and not negative */
    NOT_PACKED = 0x40, /* the columns follow as zigzag varints */
};

static size_t stride_of(const struct bins *bins)
{
    return 1 + (size_t)bins->width;
}

static uint32_t place_of(uint64_t key, int index_bits)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - index_bits));
}

static uint32_t capacity_of(int index_bits)
{
    return (uint32_t)((UINT64_C(3) << index_bits) / 4);
}

void bins_finish(struct bins *bins)
{
    free(bins->rows);
    bins_init(bins, bins->width);
}

static void index_rows(struct bins *bins)
{
    const uint32_t mask = (uint32_t)((UINT64_C(1) << bins->index_bits) - 1);
    for (uint32_t row = 0; row < bins->n; row++) {
        const uint64_t key = (uint64_t)bins->rows[row * stride_of(bins)];
        uint32_t place = place_of(key, bins->index_bits);
        while (bins->index[place])
            place = (place + 1) & mask;
        bins->index[place] = row + 1;
    }
}

int bins_grow(struct bins *bins, uint32_t n)
{
    int bits = bins->index_bits ? bins->index_bits : MIN_INDEX_BITS;
    while (capacity_of(bits) < (uint64_t)bins->n + n)
        if (++bits > MAX_INDEX_BITS)
            return -ENOMEM;
    const uint32_t capacity = capacity_of(bits);
    const size_t row_bytes = stride_of(bins) * sizeof(*bins->rows);
    const size_t index_bytes = sizeof(*bins->index) << bits;
    int64_t *rows = malloc(capacity * row_bytes + index_bytes);
    if (!rows)
        return -ENOMEM;

    if (bins->n)
        memcpy(rows, bins->rows, bins->n * row_bytes);
    free(bins->rows);
    bins->rows = rows;
    bins->index = (uint32_t *)(rows + capacity * stride_of(bins));
    bins->capacity = capacity;
    bins->index_bits = (uint8_t)bits;
    memset(bins->index, 0, index_bytes);
    index_rows(bins);
    return 0;
}

int64_t *bins_at(struct bins *bins, uint64_t key)
{
    const size_t stride = stride_of(bins);
    const uint32_t mask = (uint32_t)((UINT64_C(1) << bins->index_bits) - 1);
    uint32_t place = place_of(key, bins->index_bits);
    for (; bins->index[place]; place = (place + 1) & mask) {
        int64_t *row = bins->rows + (bins->index[place] - 1) * stride;
        if ((uint64_t)row[0] == key)
            return row + 1;
    }
    int64_t *row = bins->rows + bins->n * stride;
    memset(row, 0, stride * sizeof(*row));
    row[0] = (int64_t)key;
    bins->index[place] = ++bins->n;
    return row + 1;
}

const int64_t *bins_find(const struct bins *bins, uint64_t key)
{
    if (bins->n == 0)
        return NULL;
    const uint32_t mask = (uint32_t)((UINT64_C(1) << bins->index_bits) - 1);
    uint32_t place = place_of(key, bins->index_bits);
    for (; bins->index[place]; place = (place + 1) & mask) {
        const int64_t *row = bins->rows + (bins->index[place] - 1) * stride_of(bins);
        if ((uint64_t)row[0] == key)
            return row + 1;
    }
    return NULL;
}

static bool is_absent(const int64_t *columns, int width)
{
    for (int i = 0; i < width; i++)
        if (columns[i])
            return false;
    return true;
}

/* Wraps instead of overflowing: a column may be a sum modulo 2^64. */
static void add_columns(int64_t *into, const int64_t *from, int width)
{
    for (int i = 0; i < width; i++)
        into[i] = (int64_t)((uint64_t)into[i] + (uint64_t)from[i]);
}

void bins_merge(struct bins *into, const struct bins *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const int64_t *row = from->rows + i * stride_of(from);
        if (!is_absent(row + 1, from->width))
            add_columns(bins_at(into, (uint64_t)row[0]), row + 1, from->width);
    }
}

void bins_rekey(struct bins *bins, bins_map *map, void *context)
{
    if (bins->n == 0)
        return;
    const size_t stride = stride_of(bins);
    const uint32_t n = bins->n;
    memset(bins->index, 0, sizeof(*bins->index) << bins->index_bits);
    bins->n = 0;
    /* Row i is read before row n <= i is written. */
    for (uint32_t i = 0; i < n; i++) {
        int64_t columns[BINS_MAX_WIDTH];
        memcpy(columns, bins->rows + i * stride + 1, bins->width * sizeof(columns[0]));
        uint64_t key = (uint64_t)bins->rows[i * stride];
        if (is_absent(columns, bins->width))
            continue;
        map(context, &key, columns);
        add_columns(bins_at(bins, key), columns, bins->width);
    }
}

DEFINE_SORT(sort_rows, struct bins_row, key)

int bins_sorted(const struct bins *bins, struct bins_row **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    if (bins->n == 0)
        return 0;
    struct bins_row *rows = malloc((size_t)bins->n * 2 * sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    for (uint32_t i = 0; i < bins->n; i++) {
        const int64_t *row = bins->rows + i * stride_of(bins);
        if (!is_absent(row + 1, bins->width))
            rows[(*n)++] = (struct bins_row){(uint64_t)row[0], row + 1};
    }
    sort_rows(rows, *n, rows + bins->n);
    *out = rows; /* the caller owns it now */
    return 0;
}

static void save_columns(const int64_t *columns, int width, struct buf *out)
{
    const int bits = PACKED_BITS / width;
    uint8_t packed = 0;
    for (int i = 0; i < width; i++) {
        if (columns[i] < 0 || columns[i] >> bits) {
            buf_u8(out, NOT_PACKED);
            for (int j = 0; j < width; j++)
                buf_zigzag(out, columns[j]);
            return;
        }
        packed |= (uint8_t)(columns[i] << (i * bits));
    }
    buf_u8(out, packed);
}

void bins_save_rows(const struct bins_row *rows, size_t n, int n_columns, struct buf *out)
{
    buf_varint(out, n);
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        buf_varint(out, rows[i].key - before);
        before = rows[i].key;
        save_columns(rows[i].columns, n_columns, out);
    }
}

void bins_save(const struct bins *bins, struct buf *out)
{
    AUTO_FREE struct bins_row *rows = NULL;
    size_t n;
    if (bins_sorted(bins, &rows, &n))
        out->failed = true;
    else
        bins_save_rows(rows, n, bins->width, out);
}

static void load_columns(int64_t *columns, int width, struct reader *in)
{
    const int bits = PACKED_BITS / width;
    const uint8_t packed = reader_u8(in);
    for (int i = 0; i < width; i++)
        columns[i] =
            packed == NOT_PACKED ? reader_zigzag(in) : packed >> (i * bits) & ((1 << bits) - 1);
    if (packed > NOT_PACKED)
        in->failed = true;
}

int bins_load(struct bins *bins, int width, struct reader *in, struct err *err)
{
    return bins_load_columns(bins, width, width, in, err);
}

int bins_load_columns(struct bins *bins, int width, int n_columns, struct reader *in,
                      struct err *err)
{
    bins_init(bins, width);
    const uint64_t n = reader_varint(in);
    if (reader_failed(in) || n > reader_left(in) / 2) /* a row takes two bytes or more */
        return err_set(err, ERR_CORRUPT, "state: a table says more rows than it has bytes");
    if (n == 0)
        return 0;
    if (bins_room(bins, (uint32_t)n))
        return err_set(err, -ENOMEM, "state: no memory for a table of %llu rows",
                       (unsigned long long)n);

    uint64_t key = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t step = reader_varint(in);
        if (reader_failed(in) || (i > 0 && step == 0) || key + step < key)
            return err_set(err, ERR_CORRUPT, "state: the keys of a table do not ascend");
        key += step;
        int64_t *columns = bins_at(bins, key);
        load_columns(columns, n_columns, in);
        if (reader_failed(in) || is_absent(columns, n_columns))
            return err_set(err, ERR_CORRUPT, "state: a table has a row that is no row");
    }
    return 0;
}
