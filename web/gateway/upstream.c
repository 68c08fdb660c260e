/*
 * The try of one version. A request that may not be done twice is never sent twice: curl would
 * send it again by itself over a new connection when a kept one turns out to be dead, so its body
 * comes through a reader that cannot go back, unless the request is idempotent.
 *
 *   refused                          → control, when it was the treatment's
 *   timed out, `idempotent: true`    → control, when it was the treatment's
 *   anything else                    → 502, 504 or 503 to the client
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "web/gateway/headers.h"
#include "web/gateway/inside.h"

enum {
    LINE_MAX_BYTES = HEADER_MAX_BYTES + 16,
    URL_MAX_BYTES = TARGET_MAX_BYTES + 4096,
    IDLE_UPSTREAM_S = 30, /* a kept connection older than this is not used again */
};

/* --- what is sent --- */

struct lines {
    struct passage *p;
    const char *nominated;
    bool no_encoding; /* the answer is to be looked into */
    bool has_type, has_accept, has_proto, has_host, has_id;
    const char *forwarded;
    bool failed;
};

static void add_line(struct lines *to, const char *name, const char *value)
{
    char stack[512];
    size_t n = strlen(name) + strlen(value) + 3;
    char *line = n <= sizeof(stack) ? stack : malloc(n);
    struct curl_slist *made = NULL;
    if (line) {
        /* curl's way to send a header without a value is "Name;" */
        snprintf(line, n, *value ? "%s: %s" : "%s;%s", name, value);
        made = curl_slist_append(to->p->lines, line);
    }
    if (made)
        to->p->lines = made;
    to->failed |= !made;
    if (line != stack)
        free(line);
}

static enum MHD_Result take_line(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct lines *to = context;
    (void)kind;
    value = value ? value : "";
    if (strcasecmp(name, "X-Forwarded-For") == 0)
        to->forwarded = value;
    if (!request_header_passes(name, to->nominated) ||
        (to->no_encoding && strcasecmp(name, "Accept-Encoding") == 0))
        return MHD_YES;
    to->has_type |= strcasecmp(name, "Content-Type") == 0;
    to->has_accept |= strcasecmp(name, "Accept") == 0;
    to->has_id |= strcasecmp(name, "X-Request-Id") == 0;
    add_line(to, name, value);
    return MHD_YES;
}

static const char *client_address(const struct passage *p, char out[INET6_ADDRSTRLEN])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(p->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    out[0] = '\0';
    if (info && info->client_addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, info->client_addr, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, out, INET6_ADDRSTRLEN);
    } else if (info && info->client_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, info->client_addr, sizeof(v6));
        inet_ntop(AF_INET6, &v6.sin6_addr, out, INET6_ADDRSTRLEN);
    }
    return out;
}

static void add_own_lines(struct lines *to, const char *version)
{
    struct passage *p = to->p;
    char address[INET6_ADDRSTRLEN], chain[1024];
    client_address(p, address);
    bool fits = to->forwarded && strlen(to->forwarded) < sizeof(chain) - INET6_ADDRSTRLEN - 2;
    snprintf(chain, sizeof(chain), "%s%s%s", fits ? to->forwarded : "", fits ? ", " : "", address);
    add_line(to, "X-Forwarded-For", chain);
    const char *proto =
        MHD_lookup_connection_value(p->connection, MHD_HEADER_KIND, "X-Forwarded-Proto");
    const char *host =
        MHD_lookup_connection_value(p->connection, MHD_HEADER_KIND, "X-Forwarded-Host");
    if (!host)
        host = MHD_lookup_connection_value(p->connection, MHD_HEADER_KIND, "Host");
    add_line(to, "X-Forwarded-Proto",
             proto                           ? proto
             : p->loop->gateway->certificate ? "https"
                                             : "http");
    if (host)
        add_line(to, "X-Forwarded-Host", host);
    add_line(to, "Via", "1.1 assay");
    add_line(to, "X-Assay-Version", version);
    if (!to->has_id)
        add_line(to, "X-Request-Id", p->id);
    static const char *const without[] = {"Expect:", "Accept:", "Content-Type:"};
    for (int i = 0; i < 3; i++) { /* what curl would add of itself */
        if ((i == 1 && to->has_accept) || (i == 2 && to->has_type))
            continue;
        struct curl_slist *made = curl_slist_append(p->lines, without[i]);
        p->lines = made ? made : p->lines;
        to->failed |= !made;
    }
}

static bool make_lines(struct passage *p, const struct upstream *up)
{
    struct lines to = {
        .p = p,
        .nominated = MHD_lookup_connection_value(p->connection, MHD_HEADER_KIND, "Connection"),
        .no_encoding = p->looks,
    };
    curl_slist_free_all(p->lines);
    p->lines = NULL;
    MHD_get_connection_values(p->connection, MHD_HEADER_KIND, take_line, &to);
    add_own_lines(&to, up->version);
    return !to.failed;
}

static size_t give_body(char *out, size_t size, size_t n, void *context)
{
    struct passage *p = context;
    size_t left = p->body.size - p->body_given, room = size * n;
    size_t take = left < room ? left : room;
    if (take)
        memcpy(out, p->body.data + p->body_given, take);
    p->body_given += take;
    return take;
}

/* --- what comes back --- */

static void take_status(struct passage *p, const char *line, size_t n)
{
    char copy[64];
    int status = 0;
    snprintf(copy, sizeof(copy), "%.*s", (int)(n < 60 ? n : 60), line);
    const char *blank = strchr(copy, ' ');
    if (blank)
        status = (int)strtol(blank, NULL, 10);
    buf_clear(&p->head);
    p->status = status;
    p->chunked = p->encoded = false;
}

static size_t take_head(char *line, size_t size, size_t n, void *context)
{
    struct passage *p = context;
    n *= size;
    if (p->head_is_whole)
        return n; /* trailers: HTTP/1.1 clients need not be told them */
    size_t whole = n;
    while (n && (line[n - 1] == '\r' || line[n - 1] == '\n'))
        n--;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        take_status(p, line, n);
        return whole;
    }
    if (n == 0) {
        p->head_is_whole = p->status >= 200;
        return whole;
    }
    const char *colon = memchr(line, ':', n);
    if (!colon || line[0] == ' ' || line[0] == '\t')
        return whole;
    const char *value = colon + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    size_t name_size = (size_t)(colon - line), value_size = (size_t)(end - value);
    if (memchr(line, '\0', n))
        return 0;
    p->chunked |= name_size == 17 && strncasecmp(line, "Transfer-Encoding", 17) == 0;
    p->encoded |= name_size == 16 && strncasecmp(line, "Content-Encoding", 16) == 0 &&
                  strncasecmp(value, "identity", 8) != 0;
    buf_bytes(&p->head, line, name_size);
    buf_u8(&p->head, 0);
    buf_bytes(&p->head, value, value_size);
    buf_u8(&p->head, 0);
    return buf_failed(&p->head) ? 0 : whole;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
    struct passage *p = context;
    n *= size;
    if (p->answered && p->answer.size - p->sent > AHEAD_MAX_BYTES) {
        p->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    buf_bytes(&p->answer, bytes, n);
    if (buf_failed(&p->answer))
        return 0;
    loop_touch(p->loop, p);
    return n;
}

void upstream_unpause(struct passage *p)
{
    if (!p->paused || !p->easy || p->answer.size - p->sent > AHEAD_MAX_BYTES / 4)
        return;
    p->paused = false;
    curl_easy_pause(p->easy, CURLPAUSE_CONT);
}

/* --- one try --- */

static void set_body(struct passage *p)
{
    CURL *easy = p->easy;
    const struct gateway_settings *s = p->table->settings;
    bool safe = s->idempotent || strcmp(p->method, "POST") != 0;
    bool has = p->body.size > 0 || strcmp(p->method, "POST") == 0 ||
               strcmp(p->method, "PUT") == 0 || strcmp(p->method, "PATCH") == 0;
    if (strcmp(p->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (has) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->body.size);
        if (safe || p->body.size == 0)
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                             p->body.size ? (const char *)p->body.data : "");
        p->body_given = 0;
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy, CURLOPT_READDATA, p);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, p->method);
}

static void set_connection(struct passage *p)
{
    CURL *easy = p->easy;
    long timeout_ms = (long)p->table->settings->timeout_ms;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, p->lines);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_UPSTREAM_S);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (p->table->settings->ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, p->table->settings->ca);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L * 1024);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, p);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, p);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, p);
    p->reason[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p->reason);
}

static bool begin(struct passage *p, const struct upstream *up)
{
    char url[URL_MAX_BYTES];
    const char *query = up->path ? strchr(p->target, '?') : NULL;
    int n = snprintf(url, sizeof(url), "%s%s%s", up->base, up->path ? up->path : p->target,
                     query ? query : "");
    if (n < 0 || (size_t)n >= sizeof(url) || !make_lines(p, up))
        return false;
    p->easy = loop_handle(p->loop);
    if (!p->easy)
        return false;
    set_connection(p);
    set_body(p);
    if (curl_easy_setopt(p->easy, CURLOPT_URL, url) == CURLE_OK &&
        curl_multi_add_handle(p->loop->multi, p->easy) == CURLM_OK)
        return true;
    loop_give_back(p->loop, p->easy);
    p->easy = NULL;
    return false;
}

static void answer_ourselves(struct passage *p, int status, const char *text)
{
    p->ended = true;
    p->own_status = status;
    p->own_text = text;
    passage_resume(p);
}

void upstream_try(struct passage *p, int upstream)
{
    const struct gateway_settings *s = p->table->settings;
    struct tally *tally = p->table->tallies[upstream];
    p->upstream = upstream;
    if (atomic_fetch_add(&tally->in_flight, 1) >= (int)s->max_concurrent) {
        atomic_fetch_sub(&tally->in_flight, 1);
        atomic_fetch_add(&tally->failures[FAILURE_OVERLOADED], 1);
        atomic_fetch_add(&tally->by_class[0], 1);
        report(p, "overloaded", -1, false);
        answer_ourselves(p, 503, "as many requests as may be are under way to this version");
        return;
    }
    if (begin(p, &s->upstreams[upstream]))
        return;
    atomic_fetch_sub(&tally->in_flight, 1);
    answer_ourselves(p, 503, "no memory to send the request on");
}

static enum failure failure_of(struct passage *p, CURLcode code)
{
    long number = 0;
    if (code == CURLE_OK && p->status < 200)
        return FAILURE_CONNECTION; /* 101 and the like, which nobody asked for */
    if (code == CURLE_OK)
        return p->status >= p->table->settings->error_status ? FAILURE_STATUS : FAILURE_NONE;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return FAILURE_TIMEOUT;
    curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &number);
    return code == CURLE_COULDNT_CONNECT && number == ECONNREFUSED ? FAILURE_REFUSED
                                                                   : FAILURE_CONNECTION;
}

static void let_go(struct passage *p)
{
    curl_multi_remove_handle(p->loop->multi, p->easy);
    loop_give_back(p->loop, p->easy);
    p->easy = NULL;
    curl_slist_free_all(p->lines);
    p->lines = NULL;
    atomic_fetch_sub(&p->table->tallies[p->upstream]->in_flight, 1);
}

void upstream_abort(struct passage *p)
{
    if (p->easy)
        let_go(p);
}

static bool goes_to_control(const struct passage *p, enum failure failure)
{
    const struct route_table *table = p->table;
    bool may =
        failure == FAILURE_REFUSED || (failure == FAILURE_TIMEOUT && table->settings->idempotent);
    return may && p->choice.treated && !p->resent && !p->answered &&
           table->control != table->treatment && !atomic_load(&p->loop->stopping);
}

static const char *failure_text(const struct passage *p, enum failure failure, char *out, size_t n)
{
    switch (failure) {
    case FAILURE_REFUSED:
        return "connection refused";
    case FAILURE_TIMEOUT:
        return "timeout";
    case FAILURE_STATUS:
        snprintf(out, n, "HTTP %d", p->status);
        return out;
    case FAILURE_CONNECTION:
        snprintf(out, n, "connection: %.200s", p->reason[0] ? p->reason : "it ended");
        return out;
    default:
        return NULL;
    }
}

void upstream_done(struct passage *p, CURLcode code)
{
    struct tally *tally = p->table->tallies[p->upstream];
    enum failure failure = failure_of(p, code);
    curl_off_t us = 0;
    char text[256];
    curl_easy_getinfo(p->easy, CURLINFO_TOTAL_TIME_T, &us);
    const char *error = failure_text(p, failure, text, sizeof(text));
    let_go(p);
    atomic_fetch_add(&tally->failures[failure], 1);
    bool whole = failure == FAILURE_NONE || failure == FAILURE_STATUS;
    atomic_fetch_add(&tally->by_class[whole && p->status < 600 ? p->status / 100 : 0], 1);
    if (whole)
        tally_latency(tally, us);
    bool again = goes_to_control(p, failure);
    report(p, error, us, again);
    if (again) {
        atomic_fetch_add(&tally->resends, 1);
        p->resent = true;
        p->status = 0;
        p->head_is_whole = false;
        buf_clear(&p->head);
        buf_clear(&p->answer);
        upstream_try(p, p->table->control);
        return;
    }
    if (!whole && !p->answered) {
        bool late = failure == FAILURE_TIMEOUT;
        answer_ourselves(p, late ? 504 : 502,
                         late ? "the version did not answer in time"
                              : "the version could not be reached or broke off");
        return;
    }
    p->ended = true;
    p->broken = !whole;
    passage_resume(p);
}
