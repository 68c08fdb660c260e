/*
 * What drift of a model is judged by: its features, the reference that its configuration, or
 * whoever loaded one, chose, and the rule. Web and alerts both ask here, so that they agree.
 *
 * Shape    a stored reference (file, PUT) counts; without one `reference:` of the configuration is
 *          read from stored panes: a range, another version, or what went before `before_ms`
 * Owner    drift_model_read gives, profile_model_finish takes
 * Errors   as in storage/profiles.h
 * Threads  that of the store
 */
#pragma once

#include "common/config.h"
#include "stats/drift_threshold.h"
#include "storage/profiles.h"

/* `config` may be NULL; version NULL: all versions. */
int drift_model_read(struct store *store, const struct config *config, const char *model,
                     const char *version, int64_t before_ms, struct profile_model *out,
                     struct err *err);
/* How drift of this model is decided; the defaults where it is not configured. */
struct drift_rule drift_rule_of(const struct config *config, const char *model);
