/*
 * What drift of a model is judged by: its features, the reference that its configuration, or
 * whoever loaded one, chose, and the rule. Web and alerts both ask here, so that they agree.
 *
 * Shape    a stored reference (file, PUT) counts; without one `reference:` of the configuration is
 *          read from stored panes: a range, another version, or what went before the window. With
 *          a rhythm that is the same hours of the weeks (or days) before, in the model's time zone
 *          (storage/rhythm.h), and every window has a reference of its own
 * Owner    drift_model_read gives, profile_model_finish takes
 * Errors   as in storage/profiles.h
 * Threads  that of the store
 */
#pragma once

#include "common/config.h"
#include "stats/drift_threshold.h"
#include "storage/profiles.h"

/* `config` may be NULL; version NULL: all versions; window: what is to be compared. */
int drift_model_read(struct store *store, const struct config *config, const char *model,
                     const char *version, const struct profile_span *window,
                     struct profile_model *out, struct err *err);
/*
 * The same for a slice: what its events were like in the time that is the model's reference. Of events that were loaded no slice is
 * kept, so then there is no reference: the slice of one country has drifted from all countries since it is one.
 */
struct drift_slice {
    const char *model, *version;
    const char *slice; /* NULL or "": overall, as drift_model_read */
};
int drift_model_read_slice(struct store *store, const struct config *config,
                           const struct drift_slice *slice, const struct profile_span *window,
                           struct profile_model *out, struct err *err);
/* The reference of another window, where the model's follows a rhythm; else nothing changes. */
int drift_model_move(struct store *store, const struct config *config, const char *model,
                     const struct profile_span *window, struct profile_model *out, struct err *err);
/* How drift of this model is decided; the defaults where it is not configured. */
struct drift_rule drift_rule_of(const struct config *config, const char *model);
