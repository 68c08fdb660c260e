/*
 * Which 32nd part of a reference's numbers a value ranks in, where that can be told at once: quicker
 * than its rank, and of a size that stays in the cache for all features of a model together.
 *
 * Shape    part k begins within the cell that holds rank k / 32: below that cell a value is in an
 *          earlier part, above it in this one or a later one. Within it the rank itself decides,
 *          and where equals are many, their order
 * Units    those of the feature
 * Threads  read-only once made
 */
#pragma once

#include <stdint.h>

#include "stats/cells.h"

enum {
    REFERENCE_PARTS = 32,
    PARTS_BUCKETS = 256,
    PARTS_SEVERAL = REFERENCE_PARTS /* the rank is needed */
};

struct reference_parts {
    double start, scale; /* bucket (x - start) × scale: parts that begin before it */
    double low[REFERENCE_PARTS], high[REFERENCE_PARTS]; /* where part i + 1 begins; last: nowhere */
    uint8_t first[PARTS_BUCKETS];
};

/* `below`: events below each of the sorted cells, and of all. There must be one. */
void reference_parts_make(struct reference_parts *parts, const struct cell *cells,
                          const uint64_t *below, uint32_t n_cells);

static inline uint32_t reference_parts_bucket(const struct reference_parts *parts, double x)
{
    double at = (x - parts->start) * parts->scale;
    at = at > 0 ? at : 0;
    return (uint32_t)(at < PARTS_BUCKETS - 1 ? at : PARTS_BUCKETS - 1);
}

/* Of a finite value: 0 … 31, or PARTS_SEVERAL. */
static inline unsigned reference_part(const struct reference_parts *parts, double x)
{
    unsigned part = parts->first[reference_parts_bucket(parts, x)];
    while (x > parts->high[part])
        part++;
    return x < parts->low[part] ? part : PARTS_SEVERAL;
}
