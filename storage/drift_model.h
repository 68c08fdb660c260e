/*
 * What drift of a model is judged by: its features, the reference that its configuration, or
 * whoever loaded one, chose, and the rule. Web and alerts both ask here, so that they agree.
 *
 * Shape    a stored reference (file, PUT) counts; without one `reference:` of the configuration is
 *          read from stored panes: a range, another version, or what went before the window. With
 *          a rhythm that is the same hours of the weeks (or days) before, in the model's time zone
 *          (storage/rhythm.h), and every window has a reference of its own
 * Slices   a slice is compared with the same slice of that reference: what was loaded keeps each
 *          value of the segment keys (storage/reference_slices.h), and of stored panes the slice's
 *          own are read. One that has none is compared with nothing, and no_reference says why: the
 *          events of one country have drifted from all countries' since there is one
 * Owner    drift_model_read gives, profile_model_finish takes
 * Errors   as in storage/profiles.h
 * Threads  that of the store
 */
#pragma once

#include "common/config.h"
#include "stats/drift_threshold.h"
#include "storage/profiles.h"

struct drift_slice {
    const char *model;
    const char *version; /* NULL: all versions */
    const char *slice;   /* NULL or "": everything */
};
/* `config` may be NULL; window: what is to be compared. */
int drift_model_read(struct store *store, const struct config *config, const struct drift_slice *of,
                     const struct profile_span *window, struct profile_model *out, struct err *err);
/* Another version or slice of a model that was read: its features stay as they are. */
int drift_model_turn(struct store *store, const struct config *config, const struct drift_slice *of,
                     const struct profile_span *window, struct profile_model *model,
                     struct err *err);
/* The reference of another window, where it follows a rhythm; else nothing changes. */
int drift_model_move(struct store *store, const struct config *config, const char *model,
                     const struct profile_span *window, struct profile_model *out, struct err *err);
/* How drift of this model is decided; the defaults where it is not configured. */
struct drift_rule drift_rule_of(const struct config *config, const char *model);
