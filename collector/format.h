/*
 * What stands in a topic's messages, by the name that `format:` gives it: bytes → events.
 *
 * Shape    assay: the event as it is (format_assay.cc) · json: any JSON, by a mapping of pointers ·
 *          cloudevents: an event in an envelope · kserve, tfserving: requests and answers of model
 *          servers, a batch of n rows being n events. All but the first write the event in Assay's
 *          own format and let format_assay.cc read that: one place knows what a good event is
 * Owner    format_new gives, format_free takes. Topic and config must outlive it. An event lives
 *          until the next call on the same format
 * Errors   a message is taken whole or refused whole, with the reason and a detail that says where
 * Threads  one format, one thread
 * Source   shared wire facts: docs/formats.md
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/event.h"
#include "collector/header.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/err.h"

struct format;

struct format_message {
    const char *bytes; /* NULL: none */
    size_t n;
    const struct header *headers;
    size_t n_headers;
};

/* `config` tells the task of a model, which decides what a model server's number means. */
int format_new(struct format **out, const struct config_topic *topic, const struct config *config,
               struct err *err);
void format_free(struct format *format);
DEFINE_FREEP(format)

/* Does the format look at headers at all? Reading them costs, so ask only then. */
bool format_wants_headers(const struct format *format);

/*
 * The message's first event. REJECT_NONE with *n_events = 0: a good message that holds nothing to
 * count (a model server's request without its answer). `detail` as in event_decode.
 */
enum reject format_decode(struct format *format, const struct format_message *message,
                          struct event *out, size_t *n_events, const char **detail);

/* The following event of the same message; the caller counts up to n_events. */
void format_next(struct format *format, struct event *out);
