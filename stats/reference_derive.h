/*
 * What follows from a reference's values, made anew when it is built and when it is loaded: nothing of
 * it is saved. Of numbers the counts and areas on the grid's cells, moments and equal parts; of
 * categories the bins, what the largest are expected to bring, and their places in [0, 1].
 *
 * Shape    of one feature; each once
 * Units    counts in events; places and spread in shares
 * Owner    the feature, also after an error: reference_free
 * Errors   -ENOMEM
 * Threads  different features at once
 */
#pragma once

#include "stats/reference.h"

/* From n_cells cells and the grid. The cells are the caller's: less is kept of them. */
int reference_derive_numbers(struct reference_feature *feature, const struct cell *cells);
/* From categories, n_categories and valid. */
int reference_derive_categories(struct reference_feature *feature, struct err *err);
