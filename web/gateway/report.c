/* A try becomes its prediction event. What is sent on to control keeps the request's own id for
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

void report(struct passage *p, const char *error, int64_t latency_us, bool given_up)
{
    const struct gateway_settings *s = p->table->settings;
    const struct gateways_options *options = &p->loop->gateway->all->options;
    struct gateway_counts *counts = &p->loop->gateway->counts;
    if (!is_counted(p) || !options->emit)
        return;
    char id[UNIT_MAX_BYTES + 8];
    snprintf(id, sizeof(id), "%s%s", p->id, given_up ? "~1" : "");
    bool looks = p->looks && !error && !p->encoded && p->dropped == 0 && p->answer.size > 0 &&
                 p->answer.size <= LOOK_MAX_BYTES;
    json_t *answer =
        looks ? json_loadb((const char *)p->answer.data, p->answer.size, JSON_DECODE_ANY, NULL)
              : NULL;
    struct event_facts facts = {
        .settings = s,
        .id = id,
        .unit = p->has_unit || p->resent || given_up ? p->unit : NULL,
        .ts_ms = p->ts_ms,
        .version = s->upstreams[p->upstream].version,
        .error = error,
        .latency_us = latency_us,
        .request = p->request,
        .answer = answer,
    };
    struct buf event;
    buf_init(&event, EVENT_MAX_BYTES);
    event_write(&event, &facts);
    if (buf_failed(&event)) { /* too many features: the try itself still counts */
        facts.request = NULL;
        facts.answer = NULL;
        buf_clear(&event);
        event_write(&event, &facts);
    }
    bool sent = !buf_failed(&event) &&
                options->emit(options->context, s->topic, id, event.data, event.size);
    atomic_fetch_add(sent ? &counts->events : &counts->events_lost, 1);
    buf_finish(&event);
    json_decref(answer);
}
