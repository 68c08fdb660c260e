/*
 * A sparse histogram on a logarithmic grid: any finite numbers, counts that add up in any order
 * and can be taken out again.
 *
 * Shape    a bin is the sign, the exponent and the first `bits` bits of the mantissa of a double:
 *          2^bits bins for each power of two, so a value is known to 2^-(bits + 1) of itself
 *          (bits = 7: 0.4%). 0 is a bin of its own. With `exact_single` a bin also sums the bits
 *          that were cut off, so that a bin of one value knows it exactly
 * Owner    histogram_init gives nothing away; histogram_finish takes
 * Errors   histogram_room: -ENOMEM, nothing changed; after it one add cannot fail
 * Threads  one at a time
 * Source   the bins of HdrHistogram and DDSketch's fast mapping: linear inside a power of two
 */
#pragma once

#include "stats/bins.h"
#include "stats/quantile.h"

struct histogram {
    struct bins bins; /* count [, sum of the bits cut off modulo 2^64] */
    uint8_t bits;
};

void histogram_init(struct histogram *h, int bits, bool exact_single);
void histogram_finish(struct histogram *h);
static inline int histogram_room(struct histogram *h)
{
    return bins_room(&h->bins, 1);
}
/* x is finite; sign +1 or -1. */
void histogram_add(struct histogram *h, double x, int sign);

/* The coarser of two grids wins. */
int histogram_room_merge(struct histogram *into, const struct histogram *from);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Wider bins, as if every value had been added to them in the first place. */
void histogram_coarsen(struct histogram *h, int bits);

void histogram_save(const struct histogram *h, struct buf *out);
/* `h` keeps its choice of exact_single, which is not saved. */
int histogram_load(struct histogram *h, struct reader *in, struct err *err);

/* The bins that hold something, ascending, in memory for free(). */
int histogram_spans(const struct histogram *h, struct span **out, size_t *n);
