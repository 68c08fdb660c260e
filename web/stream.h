/*
 * Server-sent events: what changed, to every page that is open, as soon as it is committed.
 *
 * Shape    `id` is the change counter. Events: `window` (data in windows changed: the models with
 *          their complete_up_to), `alert` and `transition` (an alert or an experiment changed: all
 *          of them as they stand), `status` (readiness changed).
 *          One thread makes each message once, however many listen; the last 256 are kept, so
 *          that a page that reconnects with Last-Event-ID misses nothing; one that was away for
 *          longer gets a `window` event with everything
 * Owner    stream_new gives; stream_stop ends all streams; stream_free takes
 * Threads  stream_open and the reading of streams: the HTTP library's; the rest any
 */
#pragma once

#include <microhttpd.h>

#include "common/cleanup.h"
#include "web/api.h"
#include "web/web.h"

struct stream;

int stream_new(struct stream **out, const struct web_options *options,
               const struct api_options *api, struct err *err);
void stream_stop(struct stream *stream);
void stream_free(struct stream *stream);
DEFINE_FREEP(stream)

/* A response that goes on until the client leaves; `last_id` is Last-Event-ID, 0 when there is
   none; `owner` counts against max_streams_per_token. NULL: too many (429) or no memory. */
struct MHD_Response *stream_open(struct stream *stream, struct MHD_Connection *connection,
                                 uint64_t last_id, const void *owner);

int stream_count(struct stream *stream);
