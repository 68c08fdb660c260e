/*
 * What waits for a look as bytes, beside the offsets.
 *
 * Shape    0 and the number of the form; streams by name, in the order of their numbers; then the
 *          events, each with what it says of its streams. The first form had no slices and began
 *          with the streams; in the second an event was told again for each of its streams
 * Owner    nothing is kept
 * Errors   ERR_CORRUPT: the bytes are damaged · -ENOMEM; what storage gives
 * Threads  one
 */
#pragma once

#include "collector/changing_streams.h"
#include "collector/waiting_events.h"
#include "common/buf.h"

/* All must have their places. */
void waiting_save(const struct waiting_events *waiting, const struct watched_streams *streams,
                  struct buf *out);
/* Adds to `waiting`; what is of a stream that is watched no longer, or not in that way, is left out. */
int waiting_load(struct waiting_events *waiting, struct watched_streams *streams,
                 struct models *models, const void *bytes, size_t n, struct err *err);
