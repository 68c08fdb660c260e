/*
 * What the slices of a model were like when all was well: each value of its segment keys gets a part
 * of the reference, so that a slice's windows are compared with the same slice.
 *
 * Shape    slices by number, as collector/models.h gives them: values beyond `limits.slices` of a
 *          key are `__other__`, missing ones `__none__`. A label counts where its prediction does
 * Size     a feature of a slice keeps at most REFERENCE_PART_VALUES values (stats/reference.h), some
 *          13 KB as saved; all slices together FITTED_SLICE_BYTES: those of fewest events are then
 *          only named
 * Owner    reference_slices_new gives, reference_slices_free takes; the layouts are borrowed
 * Errors   -ENOMEM
 * Threads  any, one at a time
 */
#pragma once

#include "collector/profiling.h"
#include "stats/fitted.h"

struct reference_slices;

int reference_slices_new(struct reference_slices **out, const struct profiling *profiling,
                         struct err *err);
void reference_slices_free(struct reference_slices *slices);
DEFINE_FREEP(reference_slices)

/* One prediction's values into its slices. */
int reference_slices_prediction(struct reference_slices *slices, const uint16_t *numbers,
                                uint32_t n, const struct profile_item *items, size_t n_items,
                                struct err *err);
/* A label's into the slice of its prediction; `item`: as profile_label_items gives it. */
int reference_slices_label(struct reference_slices *slices, uint32_t number,
                           const struct profile_item *item, struct err *err);

/* Parts of `whole` for each slice, into its `fitted`; `names`: of slices, by number. Called once. */
int reference_slices_finish(struct reference_slices *slices, const struct reference *whole,
                            char *const *names, struct err *err);
