/*
 * A request until it is whole. The library calls
 *
 *   passage_begin   the request line is in: the target as it came
 *   passage_step    (1) the header is in: what can be refused is refused; (2…) parts of the body;
 *                   (whole) a version is chosen and tried, and the connection suspended; (resumed)
 *                   the answer goes out
 *   passage_end     the answer is out, or the client left
 *
 * While a version is tried nobody listens to the client: that it gave up must not hide that the
 * version was slow.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "web/gateway/headers.h"
#include "web/gateway/inside.h"

void *passage_begin(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct loop *loop = context;
    struct passage *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    p->loop = loop;
    p->connection = connection;
    p->guarded = info ? info->socket_context : NULL;
    p->bare_newline = framing_line_is_bare(uri);
    p->target = strdup(uri);
    p->upstream = -1;
    buf_init(&p->head, ANSWER_HEAD_BYTES);
    buf_init(&p->answer, SIZE_MAX / 2);
    p->next = loop->passages;
    if (p->next)
        p->next->previous = p;
    loop->passages = p;
    if (p->guarded)
        guard_phase(loop->gateway->guard, p->guarded, GUARD_HEADER);
    return p;
}

void passage_end(void *context, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode code)
{
    struct loop *loop = context;
    struct passage *p = *state;
    (void)connection;
    if (!p)
        return;
    *state = NULL;
    if (p->easy || code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        atomic_fetch_add(&loop->gateway->counts.client_left, p->upstream >= 0);
    if (p->easy && !atomic_load(&loop->stopping))
        report(p, NULL, -1, false); /* it answered; how fast it would have been, nobody knows */
    upstream_abort(p);
    if (p->guarded)
        guard_phase(loop->gateway->guard, p->guarded, GUARD_IDLE);
    if (p->previous)
        p->previous->next = p->next;
    else
        loop->passages = p->next;
    if (p->next)
        p->next->previous = p->previous;
    for (struct passage **at = &loop->touched; *at; at = &(*at)->next_touched)
        if (*at == p) {
            *at = p->next_touched;
            break;
        }
    atomic_fetch_sub(&loop->gateway->body_bytes, (long long)p->body_counted);
    table_drop(p->table);
    json_decref(p->request);
    buf_finish(&p->body);
    buf_finish(&p->head);
    buf_finish(&p->answer);
    free(p->target);
    free(p);
}

void passage_resume(struct passage *p)
{
    if (!p->suspended)
        return;
    p->suspended = false;
    MHD_resume_connection(p->connection);
}

static enum MHD_Result refuse(struct passage *p, enum refusal reason, int status, const char *why)
{
    atomic_fetch_add(&p->loop->gateway->counts.refusals[reason], 1);
    p->closes = true;
    return answer_own(p, status, why);
}

static bool target_is_clean(const char *target)
{
    for (const unsigned char *c = (const unsigned char *)target; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || *c == '#')
            return false;
    return target[0] == '/';
}

/* The paths that are not sent on: whoever stands before the gateway asks how it is. */
static bool is_own_path(const char *target)
{
    return strcmp(target, "/-/healthy") == 0 || strcmp(target, "/-/ready") == 0;
}

static enum MHD_Result step_header(struct passage *p, const char *method, const char *version)
{
    struct gateway *gateway = p->loop->gateway;
    struct framing framing;
    const char *why = NULL;
    framing_read(&framing, p->connection);
    framing.bare_newline |= p->bare_newline;
    int status = framing_check(&framing, p->target, version, &why);
    if (status)
        return refuse(p, REFUSAL_FRAMING, status, why);
    if (!method_passes(method))
        return refuse(p, REFUSAL_METHOD, 501, "this method is not sent on");
    snprintf(p->method, sizeof(p->method), "%s", method);
    if (!target_is_clean(p->target))
        return refuse(p, REFUSAL_FRAMING, 400,
                      "the target must be a path, with what is not plain ASCII escaped");
    p->closes = atomic_load(&gateway->draining);
    p->table = gateway_table(gateway);
    size_t most = (size_t)p->table->settings->max_body_bytes;
    if (framing.length > (long long)most)
        return refuse(p, REFUSAL_TOO_LARGE, 413, "the body is larger than max_body");
    buf_init(&p->body, most);
    if (is_own_path(p->target)) {
        bool ready = !p->closes || p->target[3] == 'h';
        return answer_own(p, ready ? 200 : 503, ready ? "ok" : "the gateway is stopping");
    }
    guard_phase(gateway->guard, p->guarded, GUARD_BODY);
    return MHD_YES;
}

static enum MHD_Result step_body(struct passage *p, const char *upload, size_t *size)
{
    atomic_llong *all = &p->loop->gateway->body_bytes;
    if (p->body.size + *size > p->body.limit)
        p->too_large = true;
    if (p->too_large || p->no_room) {
        p->body_dropped += *size;
    } else if (atomic_fetch_add(all, (long long)*size) > BODIES_MAX_BYTES) {
        atomic_fetch_sub(all, (long long)*size);
        p->no_room = true;
    } else {
        buf_bytes(&p->body, upload, *size);
        p->body_counted += *size;
    }
    *size = 0;
    /* Refused once it is in; a client that sends on and on is cut off. */
    return p->body_dropped > p->body.limit + (1 << 20) ? MHD_NO : MHD_YES;
}

static const char *header(const struct passage *p, const char *name)
{
    return MHD_lookup_connection_value(p->connection, MHD_HEADER_KIND, name);
}

/* The text at a place, in `out`; false: there is none that may be a unit. */
static bool place_read(const struct passage *p, const struct place *place, char *out, size_t room)
{
    const char *value;
    int n = -1;
    switch (place->kind) {
    case PLACE_HEADER:
        value = header(p, place->name);
        n = value && strlen(value) < room ? snprintf(out, room, "%s", value) : -1;
        break;
    case PLACE_COOKIE:
        value = header(p, "Cookie");
        n = value ? cookie_get(value, place->name, out, room) : -1;
        break;
    case PLACE_POINTER:
        n = scalar_text(pointer_get(p->request, place->name), out, room);
        break;
    case PLACE_NONE:
        break;
    }
    return n > 0 && header_value_is_clean(out);
}

/* 32 hex digits that no other request has: a counter through a keyed mix. */
static void id_make(struct passage *p)
{
    struct gateways *all = p->loop->gateway->all;
    uint64_t n = (uint64_t)atomic_fetch_add(&all->next_id, 1);
    uint64_t mixed = XXH64(&n, sizeof(n), all->id_salt);
    snprintf(p->id, sizeof(p->id), "%016" PRIx64 "%016" PRIx64, all->id_salt, mixed);
}

static void read_who(struct passage *p)
{
    const struct gateway_settings *s = p->table->settings;
    const struct place request_id = {PLACE_HEADER, "x-request-id"};
    bool looks = s->unit.kind == PLACE_POINTER || s->id.kind == PLACE_POINTER || s->rows ||
                 s->features.pointer || s->features.n || s->segment.pointer || s->segment.n;
    if (looks && p->body.size > 0 && p->body.size <= LOOK_MAX_BYTES)
        p->request = json_loadb((const char *)p->body.data, p->body.size, JSON_DECODE_ANY, NULL);
    const struct place *id = s->id.kind != PLACE_NONE ? &s->id : &request_id;
    if (!place_read(p, id, p->id, ID_MAX_BYTES + 1))
        id_make(p);
    p->has_unit = place_read(p, &s->unit, p->unit, sizeof(p->unit));
    if (!p->has_unit)
        snprintf(p->unit, sizeof(p->unit), "%s", p->id);
}

/* The request is whole. */
static enum MHD_Result step_whole(struct passage *p)
{
    struct gateway *gateway = p->loop->gateway;
    p->whole = true;
    if (p->too_large)
        return refuse(p, REFUSAL_TOO_LARGE, 413, "the body is larger than max_body");
    if (p->no_room || buf_failed(&p->body))
        return answer_own(p, 503, "no memory for the request");
    guard_phase(gateway->guard, p->guarded, GUARD_WORKING);
    table_drop(p->table);
    p->table = gateway_table(gateway); /* as it is now, however long the body took */
    p->looks =
        p->table->settings->prediction || p->table->settings->score || p->table->settings->scores;
    read_who(p);
    p->ts_ms = clock_wall_ms(gateway->all->clock);
    p->choice = table_choose(p->table, p->unit, strlen(p->unit));
    upstream_try(p, p->choice.upstream);
    if (passage_may_answer(p))
        return answer_queue(p);
    p->suspended = true;
    MHD_suspend_connection(p->connection);
    return MHD_YES;
}

enum MHD_Result passage_step(void *context, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *upload,
                             size_t *upload_size, void **state)
{
    struct passage *p = *state;
    (void)context;
    (void)connection;
    (void)url;
    if (!p || !p->guarded || !p->target)
        return MHD_NO; /* no memory for it: the connection ends */
    if (!p->checked) {
        p->checked = true;
        return step_header(p, method, version);
    }
    if (*upload_size > 0)
        return step_body(p, upload, upload_size);
    if (!p->whole)
        return step_whole(p);
    if (passage_may_answer(p))
        return answer_queue(p);
    p->suspended = true;
    MHD_suspend_connection(p->connection);
    return MHD_YES;
}
