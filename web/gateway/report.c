/* A try becomes its prediction event, or one for each of its rows: all of them have the request's
 * unit, because the request was assigned as a whole. What is sent on to control keeps the request's own id for
 * the answer that the client gets: labels belong to that one. */
#include <stdio.h>
#include <string.h>

#include "web/gateway/event.h"
#include "web/gateway/inside.h"

enum {
    EVENT_MAX_BYTES = 256 * 1024 /* what the collector takes */
};

static bool is_counted(const struct passage *p)
{
    const struct gateway_settings *s = p->table->settings;
    for (size_t i = 0; i < s->n_methods; i++)
        if (strcmp(s->methods[i], p->method) == 0)
            return true;
    return false;
}

static json_t *answer_of(const struct passage *p, const char *error)
{
    bool looks = p->looks && !error && !p->encoded && p->dropped == 0 && p->answer.size > 0 &&
                 p->answer.size <= LOOK_MAX_BYTES;
    return looks ? json_loadb((const char *)p->answer.data, p->answer.size, JSON_DECODE_ANY, NULL)
                 : NULL;
}

static void emit(struct passage *p, struct event_facts *facts)
{
    const struct gateways_options *options = &p->loop->gateway->all->options;
    struct gateway_counts *counts = &p->loop->gateway->counts;
    struct buf event;
    buf_init(&event, EVENT_MAX_BYTES);
    event_write(&event, facts);
    if (buf_failed(&event)) { /* too many features: the try itself still counts */
        facts->request = NULL;
        facts->answer = NULL;
        buf_clear(&event);
        event_write(&event, facts);
    }
    bool sent = !buf_failed(&event) && options->emit(options->context, facts->settings->topic,
                                                     facts->id, event.data, event.size);
    atomic_fetch_add(sent ? &counts->events : &counts->events_lost, 1);
    buf_finish(&event);
}

void report(struct passage *p, const char *error, int64_t latency_us, bool given_up)
{
    const struct gateway_settings *s = p->table->settings;
    if (!is_counted(p) || !p->loop->gateway->all->options.emit)
        return;
    char id[UNIT_MAX_BYTES + 16];
    json_t *answer = answer_of(p, error);
    int rows = event_rows(s, p->request);
    bool has_unit = p->has_unit || p->resent || given_up || rows > 0;
    for (int row = rows > 0 ? 0 : -1; row < rows; row++) {
        struct event_facts facts = {
            .settings = s,
            .id = id,
            .unit = has_unit ? p->unit : NULL,
            .ts_ms = p->ts_ms,
            .version = s->upstreams[p->upstream].version,
            .error = error,
            .latency_us = latency_us,
            .request = p->request,
            .answer = answer,
            .row = row,
        };
        int n = snprintf(id, sizeof(id), "%s%s", p->id, given_up ? "~1" : "");
        if (row >= 0)
            snprintf(id + n, sizeof(id) - (size_t)n, "/%d", row);
        emit(p, &facts);
        if (rows == 0)
            break;
    }
    json_decref(answer);
}
