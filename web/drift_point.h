/*
 * One window of one feature in an answer about drift: how complete it is, what every statistic of
 * its kind says, and the verdict.
 *
 * Shape    the object of `points` in GET /models/M/drift; a statistic that the feature's kind has
 *          not, or that could not be computed, is null
 * Owner    borrows all
 * Threads  any, with a buf of its own each
 */
#pragma once

#include "common/buf.h"
#include "stats/drift_window.h"
#include "storage/profiles.h"

/* `known`: the feature in the reference; NULL: the reference does not have it. */
void drift_point_write(struct buf *out, const struct profile_point *point,
                       const struct reference_feature *known, const struct drift_feature *feature);
