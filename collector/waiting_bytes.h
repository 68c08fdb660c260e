/*
 * What waits for a look as bytes, beside the offsets.
 *
 * Shape    pieces, of what came between two commits each. A piece is 0 and the number of the form;
 *          how many streams the pieces before it name, and by name those with the next numbers; then
 *          the events, each with what it says of its streams. The first form had no slices and began
 *          with the streams; in the second an event was told again for each of its streams; up to
 *          the third all was one piece
 * Owner    waiting_loading_finish frees
 * Errors   ERR_CORRUPT: the bytes are damaged · -ENOMEM; what storage gives
 * Threads  one
 */
#pragma once

#include "collector/changing_streams.h"
#include "collector/waiting_events.h"
#include "common/buf.h"

/* How much pieces hold already. */
struct waiting_saved {
    size_t n_rows, n_streams;
};
/* A piece of what is behind that. All must have their places. */
void waiting_save(const struct waiting_events *waiting, const struct watched_streams *streams,
                  const struct waiting_saved *saved, struct buf *out);

struct waiting_loading {
    struct waiting_events *waiting;
    struct watched_streams *watched;
    struct models *models;
    struct watched_stream **streams; /* by the number that they had; NULL: not watched any more */
    size_t n_streams, capacity;
};
/* Adds the next piece to `waiting`; what is of a stream that is watched no longer, or not in that
   way, is left out. */
int waiting_load(struct waiting_loading *loading, const void *bytes, size_t n, struct err *err);
void waiting_loading_finish(struct waiting_loading *loading);
