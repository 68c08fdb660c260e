/*
 * Back to the client: a short answer as a whole, a long or unending one while it comes in. Then
 * the reader takes what is there and suspends the connection when there is nothing; the upstream
 * is stopped while the client is too far behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"
#include "web/gateway/headers.h"
#include "web/gateway/inside.h"
#include "web/problem.h"

enum {
    BLOCK_BYTES = 32 * 1024 /* of an answer that goes out while it comes in */
};

static void add_ours(const struct passage *p, struct MHD_Response *response)
{
    if (p->upstream >= 0) {
        MHD_add_response_header(response, "x-assay-version",
                                p->table->settings->upstreams[p->upstream].version);
        MHD_add_response_header(response, "x-assay-id", p->id);
    }
    MHD_add_response_header(response, "Via", "1.1 assay");
    if (p->closes)
        MHD_add_response_header(response, "Connection", "close");
}

static enum MHD_Result queue(struct passage *p, int status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    add_ours(p, response);
    enum MHD_Result result = MHD_queue_response(p->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    p->answered = true;
    return result;
}

enum MHD_Result answer_own(struct passage *p, int status, const char *text)
{
    struct buf body;
    buf_init(&body, 4096);
    if (status == 200) {
        buf_printf(&body, "%s\n", text);
    } else {
        buf_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
                   problem_title(status), status);
        json_text(&body, text, strlen(text));
        buf_printf(&body, "}\n");
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.size, body.data, MHD_RESPMEM_MUST_COPY);
    buf_finish(&body);
    if (response)
        MHD_add_response_header(response, "Content-Type",
                                status == 200 ? "text/plain" : "application/problem+json");
    if (response && status == 503)
        MHD_add_response_header(response, "Retry-After", "1");
    p->ended = true;
    if (p->guarded)
        guard_phase(p->loop->gateway->guard, p->guarded, GUARD_ANSWER);
    return queue(p, status, response);
}

/* Walks over name and value of the upstream's header. */
static bool next_line(const struct passage *p, size_t *at, const char **name, const char **value)
{
    if (*at >= p->head.size)
        return false;
    *name = (const char *)p->head.data + *at;
    *value = *name + strlen(*name) + 1;
    *at += (size_t)(*value - *name) + strlen(*value) + 1;
    return true;
}

static const char *find_line(const struct passage *p, const char *wanted)
{
    const char *name, *value;
    for (size_t at = 0; next_line(p, &at, &name, &value);)
        if (strcasecmp(name, wanted) == 0)
            return value;
    return NULL;
}

static void pass_lines(const struct passage *p, struct MHD_Response *response)
{
    const char *name, *value, *nominated = find_line(p, "Connection");
    for (size_t at = 0; next_line(p, &at, &name, &value);) {
        if (!answer_header_passes(name, nominated) || !header_value_is_clean(value))
            continue;
        char copy[1024];
        bool tabs = strchr(value, '\t') && strlen(value) < sizeof(copy);
        if (tabs) { /* the library takes none */
            snprintf(copy, sizeof(copy), "%s", value);
            for (char *c = copy; *c; c++)
                if (*c == '\t')
                    *c = ' ';
        }
        MHD_add_response_header(response, name, tabs ? copy : value);
    }
}

/* -1: the upstream does not say. */
static int64_t length_of(const struct passage *p)
{
    const char *value = p->chunked ? NULL : find_line(p, "Content-Length");
    int64_t n;
    return value && int_parse(&n, value, strlen(value)) == 0 && n >= 0 ? n : -1;
}

static ssize_t give_answer(void *context, uint64_t position, char *out, size_t room)
{
    struct passage *p = context;
    (void)position;
    size_t left = p->answer.size - p->sent;
    if (left == 0 && p->ended)
        return p->broken ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    if (left == 0) {
        p->suspended = true;
        MHD_suspend_connection(p->connection);
        return 0;
    }
    size_t n = left < room ? left : room;
    memcpy(out, p->answer.data + p->sent, n);
    p->sent += n;
    size_t kept = p->looks && !p->dropped ? LOOK_MAX_BYTES : 0;
    if (p->answer.size > kept && p->sent > AHEAD_MAX_BYTES / 2) {
        /* too long to be looked into, or of no interest: what went out is let go */
        memmove(p->answer.data, p->answer.data + p->sent, p->answer.size - p->sent);
        p->answer.size -= p->sent;
        p->dropped += p->sent;
        p->sent = 0;
    }
    upstream_unpause(p);
    return (ssize_t)n;
}

/* HEAD and 304 say how long the body would be, and have none. */
static ssize_t give_nothing(void *context, uint64_t position, char *out, size_t room)
{
    (void)context;
    (void)position;
    (void)out;
    (void)room;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

enum MHD_Result answer_queue(struct passage *p)
{
    struct guard *guard = p->loop->gateway->guard;
    if (p->own_status)
        return answer_own(p, p->own_status, p->own_text);
    int64_t length = length_of(p);
    bool bodiless = strcmp(p->method, "HEAD") == 0 || p->status == 304;
    struct MHD_Response *response;
    if (bodiless && length > 0)
        response = MHD_create_response_from_callback((uint64_t)length, 1024, give_nothing, p, NULL);
    else if (p->ended)
        response =
            MHD_create_response_from_buffer(p->answer.size, p->answer.data, MHD_RESPMEM_PERSISTENT);
    else
        response = MHD_create_response_from_callback(
            length >= 0 ? (uint64_t)length : MHD_SIZE_UNKNOWN, BLOCK_BYTES, give_answer, p, NULL);
    if (response)
        pass_lines(p, response);
    guard_phase(guard, p->guarded, p->ended ? GUARD_ANSWER : GUARD_STREAM);
    return queue(p, p->status, response);
}
