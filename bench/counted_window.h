/*
 * A window of so many values that its pane counts them on the reference's grid: made of drawn counts,
 * for what bench_calibration, bench_shifts and bench_promise have in common.
 *
 * Shape    `drawn`: whole numbers, one a cell of the grid. There are no sums of the values, and those
 *          beyond the grid's ends lie next to them: how far out they are is no evidence
 * Owner    `counts`, GRID_MAX_CELLS + 1 of them, is the caller's and lives as long as the window;
 *          cells_finish(&window->cells) takes the rest
 */
#pragma once

#include "stats/numbers.h"

void counted_window(struct numbers *out, uint32_t *counts, const double *drawn,
                    const struct grid *grid, uint64_t reference);
