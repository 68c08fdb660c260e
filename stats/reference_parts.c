#include "stats/reference_parts.h"

#include <math.h>

/* Buckets ascend with values, rounded or not: what begins in an earlier bucket begins before x. */
static void fill_buckets(struct reference_parts *parts)
{
    const double span = parts->high[REFERENCE_PARTS - 2] - parts->low[0];
    parts->start = parts->low[0];
    parts->scale = span > 0 ? PARTS_BUCKETS / span : 0; /* too wide or too narrow: one bucket */
    if (!isfinite(parts->scale))
        parts->scale = 0;
    unsigned part = 0;
    for (uint32_t bucket = 0; bucket < PARTS_BUCKETS; bucket++) {
        while (part < REFERENCE_PARTS - 1 &&
               reference_parts_bucket(parts, parts->high[part]) < bucket)
            part++;
        parts->first[bucket] = (uint8_t)part;
    }
}

/* The first cell, of those from `from` on, up to which there are `part` 32nds of all events. */
static uint32_t cell_of_rank(const uint64_t *below, uint32_t from, uint32_t n_cells, uint64_t part)
{
    const uint64_t least = part * below[n_cells];
    uint32_t upto = n_cells - 1;
    while (from < upto) {
        const uint32_t middle = from + (upto - from) / 2;
        if (below[middle + 1] * REFERENCE_PARTS < least)
            from = middle + 1;
        else
            upto = middle;
    }
    return from;
}

void reference_parts_make(struct reference_parts *parts, const struct cell *cells,
                          const uint64_t *below, uint32_t n_cells)
{
    uint32_t at = 0;
    for (uint64_t part = 1; part < REFERENCE_PARTS; part++) {
        at = cell_of_rank(below, at, n_cells, part);
        parts->low[part - 1] = cells[at].low;
        parts->high[part - 1] = cells[at].high;
    }
    parts->low[REFERENCE_PARTS - 1] = parts->high[REFERENCE_PARTS - 1] = (double)INFINITY;
    fill_buckets(parts);
}
