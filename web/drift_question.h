/*
 * What /drift and /distribution have in common: the model's features and the reference that its
 * configuration, or whoever loaded one, chose.
 *
 * Shape    a stored reference (file, PUT) counts; without one `reference:` of the configuration is
 *          read from stored panes: a range, another version, or what went before `before_ms`
 * Owner    drift_model_read gives, profile_model_finish takes
 */
#pragma once

#include "stats/drift_threshold.h"
#include "storage/profiles.h"
#include "web/handlers.h"

int drift_model_read(struct api_context *context, struct store *store, const char *model,
                     const char *version, int64_t before_ms, struct profile_model *out,
                     struct err *err);
/* {"id":…,"n":…,"source":…,"created":…} or null */
void write_reference(struct buf *out, const struct reference_row *row);
/* How drift of this model is decided; the defaults where it is not configured. */
struct drift_rule drift_rule_of(const struct config *config, const char *model);
