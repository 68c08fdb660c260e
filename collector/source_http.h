/*
 * Events that come by POST: a log of its own ("@http", partition 0) whose offsets count what was
 * ever taken. Who posts waits until the commit that holds his events.
 *
 * Shape    a body is one JSON object, an array of them, or JSON lines; each is an item
 * Owner    source_http_new gives; its close() frees. Close it after the collector, and after every
 *          source_http_ingest has come back (source_http_stop sees to that)
 * Errors   from ingest: -ETIMEDOUT when it was not durable in time (it may be later: events carry
 *          ids, so sending again is safe), -ECANCELED once stopped
 * Threads  ingest and stop: any; the rest: the collector's
 */
#pragma once

#include "collector/source.h"
#include "common/buf.h"
#include "common/clock.h"

enum {
    SOURCE_HTTP_BUSY = 1,  /* too much waits already: answer 429 */
    SOURCE_HTTP_EMPTY = 2, /* the body holds no item, and is no empty array: answer 422 */
    SOURCE_HTTP_MANY = 3,  /* more items than are taken at a time, err says how many: answer 413 */
};

int source_http_new(struct source **out, const struct clock *clock, struct err *err);

/*
 * Takes the items of a body, waits until they are durable, and writes
 * {"accepted":N,"duplicates":N,"rejected":[{"index":I,"reason":"…","detail":"…"},…]}.
 * 0, or one of the outcomes above.
 */
int source_http_ingest(struct source *source, const char *body, size_t n, struct buf *answer,
                       struct err *err);

/* Whoever waits gets -ECANCELED, and so does everyone later. */
void source_http_stop(struct source *source);
