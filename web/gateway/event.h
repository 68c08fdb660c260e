/*
 * The prediction event of one request, or of one row of it, in contract §1's words.
 *
 * Rows     where the settings name a list of rows, `*` in a pointer stands for the row's number, and
 *          the event's id is the request's with `/` and that number behind it
 * Shape    {"type":"prediction","id":…,"ts":…,"model":…,"version":…,"unit":…,"latency_ms":…, …};
 *          a failed one has `error` and neither latency nor prediction
 * Units    latency_us: microseconds; -1: not known
 * Owner    the facts are borrowed
 * Errors   a pointer that finds nothing, or what no event may hold there (an object as a feature,
 *          a score outside 0..1), leaves its member out: a client's body never spoils the event
 * Threads  any
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/buf.h"
#include "web/gateway/settings.h"

enum {
    EVENT_MAX_ROWS = 1000 /* of one request; what has more is one prediction */
};

struct event_facts {
    const struct gateway_settings *settings;
    const char *id;
    const char *unit; /* NULL: the id is it */
    int64_t ts_ms;    /* when the version was chosen: the event belongs to that step */
    const char *version;
    const char *error; /* NULL: it worked */
    int64_t latency_us;
    json_t *request, *answer; /* NULL: not JSON, or not looked at */
    int row;                  /* -1: the request is one prediction */
};

/* So many events the request is; 0: it is one prediction, without rows. */
int event_rows(const struct gateway_settings *settings, json_t *request);

void event_write(struct buf *out, const struct event_facts *facts);
