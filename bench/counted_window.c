#include "bench/counted_window.h"

#include <math.h>

enum {
    ENOUGH_CELLS = 128 /* of what lies beyond the grid's ends */
};

void counted_window(struct numbers *out, uint32_t *counts, const double *drawn,
                    const struct grid *grid, uint64_t reference)
{
    const uint32_t last = grid->n_cuts;
    uint64_t n = 0;
    for (uint32_t i = 0; i <= last; i++) {
        counts[i] = (uint32_t)drawn[i];
        n += counts[i];
    }
    *out = (struct numbers){.n = n,
                            .reference = reference,
                            .wide = counts,
                            .n_counts = last + 1,
                            .n_far = n, /* there are no sums */
                            .overflowed = true};
    cells_init(&out->cells, ENOUGH_CELLS);
    for (uint32_t i = 0; i < counts[0]; i++)
        cells_update(&out->cells, nextafter(grid->cuts[0], -(double)INFINITY), 1);
    for (uint32_t i = 0; i < counts[last]; i++)
        cells_update(&out->cells, nextafter(grid->cuts[last - 1], (double)INFINITY), 1);
}
