/*
 * Keys: ORIGIN + magnitude for x >= 0, ORIGIN - magnitude for x < 0, where magnitude is the
 * double's bits without the sign, shifted right by 52 - bits. So keys ascend with the values, and
 * a coarser grid's keys come from a finer one's by a shift of the magnitude.
 */
#include "stats/histogram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static const uint64_t origin = UINT64_C(1) << 63;
static const uint64_t magnitude_mask = ~(UINT64_C(1) << 63);

void histogram_init(struct histogram *h, int bits, bool exact_single)
{
    bins_init(&h->bins, exact_single ? 2 : 1);
    h->bits = (uint8_t)bits;
}

void histogram_finish(struct histogram *h)
{
    bins_finish(&h->bins);
}

void histogram_add(struct histogram *h, double x, int sign)
{
    uint64_t value;
    memcpy(&value, &x, sizeof(value));
    const int shift = 52 - h->bits;
    const uint64_t magnitude = (value & magnitude_mask) >> shift;
    int64_t *columns = bins_at(&h->bins, value >> 63 ? origin - magnitude : origin + magnitude);
    columns[0] += sign;
    if (h->bins.width == 2) {
        const int64_t cut = (int64_t)(value & ((UINT64_C(1) << shift) - 1));
        columns[1] = (int64_t)((uint64_t)columns[1] + (uint64_t)(sign > 0 ? cut : -cut));
    }
}

struct coarser {
    int width, from_bits, to_bits;
};

static void coarser_bin(void *context, uint64_t *key, int64_t *columns)
{
    const struct coarser *c = context;
    const int shift = c->from_bits - c->to_bits;
    const bool negative = *key < origin;
    const uint64_t magnitude = negative ? origin - *key : *key - origin;
    *key = negative ? origin - (magnitude >> shift) : origin + (magnitude >> shift);
    if (c->width == 2) {
        /* The bits that the key loses are cut off each of the bin's values. */
        const uint64_t lost = (magnitude & ((UINT64_C(1) << shift) - 1)) << (52 - c->from_bits);
        columns[1] = (int64_t)((uint64_t)columns[1] + lost * (uint64_t)columns[0]);
    }
}

void histogram_coarsen(struct histogram *h, int bits)
{
    if (bits >= h->bits)
        return;
    struct coarser c = {h->bins.width, h->bits, bits};
    bins_rekey(&h->bins, coarser_bin, &c);
    h->bits = (uint8_t)bits;
}

int histogram_room_merge(struct histogram *into, const struct histogram *from)
{
    return bins_room(&into->bins, from->bins.n);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    histogram_coarsen(into, from->bits);
    if (from->bits == into->bits) {
        bins_merge(&into->bins, &from->bins);
        return;
    }
    struct coarser c = {into->bins.width, from->bits, into->bits};
    for (uint32_t i = 0; i < from->bins.n; i++) {
        const int64_t *row = from->bins.rows + i * (1 + (size_t)from->bins.width);
        uint64_t key = (uint64_t)row[0];
        int64_t columns[BINS_MAX_WIDTH];
        memcpy(columns, row + 1, from->bins.width * sizeof(columns[0]));
        coarser_bin(&c, &key, columns);
        int64_t *to = bins_at(&into->bins, key);
        for (int j = 0; j < into->bins.width; j++)
            to[j] = (int64_t)((uint64_t)to[j] + (uint64_t)columns[j]);
    }
}

void histogram_save(const struct histogram *h, struct buf *out)
{
    buf_u8(out, h->bits);
    bins_save(&h->bins, out);
}

int histogram_load(struct histogram *h, struct reader *in, struct err *err)
{
    const uint8_t bits = reader_u8(in);
    if (bits > 52)
        return err_set(err, ERR_CORRUPT, "state: a histogram of %d bits", bits);
    h->bits = bits;
    return bins_load(&h->bins, h->bins.width, in, err);
}

static double value_of(uint64_t magnitude, bool negative)
{
    /* Above the largest double lies infinity: the span ends at the largest. */
    const uint64_t largest = UINT64_C(0x7fefffffffffffff);
    if (magnitude > largest)
        magnitude = largest;
    double value;
    memcpy(&value, &magnitude, sizeof(value));
    return negative ? -value : value;
}

static struct span span_of(const struct histogram *h, const struct bins_row *row)
{
    const int shift = 52 - h->bits;
    const bool negative = row->key < origin;
    const uint64_t magnitude = negative ? origin - row->key : row->key - origin;
    const int64_t n = row->columns[0];
    if (h->bins.width == 2 && n == 1) {
        const double exact = value_of((magnitude << shift) + (uint64_t)row->columns[1], negative);
        return (struct span){exact, exact, n};
    }
    const double near = value_of(magnitude << shift, negative);
    /* The bin at 0 would reach up to 2^-1022 and is taken as 0. */
    const double far = magnitude ? value_of((magnitude + 1) << shift, negative) : 0;
    return negative ? (struct span){far, near, n} : (struct span){near, far, n};
}

int histogram_spans(const struct histogram *h, struct span **out, size_t *n)
{
    *out = NULL;
    AUTO_FREE struct bins_row *rows = NULL;
    int rc = bins_sorted(&h->bins, &rows, n);
    if (rc || *n == 0)
        return rc;
    struct span *spans = malloc(*n * sizeof(*spans));
    if (!spans)
        return -ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < *n; i++)
        if (rows[i].columns[0] > 0)
            spans[used++] = span_of(h, &rows[i]);
    *n = used;
    *out = spans; /* the caller owns it now */
    return 0;
}
