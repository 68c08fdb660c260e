/*
 * One request. libmicrohttpd calls, on its one thread:
 *
 *   exchange_begin   the request line is in: the target as it came, before any decoding
 *   exchange_step    (1) the header is in: everything that can be refused is refused here;
 *                    (2…) parts of the body; (last) the request is whole
 *   exchange_end     the answer is out, or the client left
 *
 * Handlers that read the database or wait for the writer run on workers: the connection is
 * suspended until the answer is there, then exchange_step is called once more and sends it.
 */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"
#include "web/http_library.h"
#include "web/problem.h"
#include "web/prometheus_text.h"
#include "web/server.h"
#include "web/shared_answer.h"
#include "web/sign_in.h"
#include "web/unpack.h"

bool exchange_admit(struct web *web, const struct sockaddr *address)
{
    return !atomic_load(&web->stopping) && guard_admit(web->guard, address);
}

void exchange_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode code)
{
    struct web *web = context;
    http_library_guard(web->guard, connection, socket_context, code);
}

void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct web *web = context;
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->web = web;
    exchange->connection = connection;
    exchange->guarded = info ? info->socket_context : NULL;
    exchange->text = strdup(uri);
    exchange->bare_newline = framing_line_is_bare(uri);
    api_answer_init(&exchange->answer);
    buf_init(&exchange->body, UPLOAD_MAX_BYTES);
    buf_init(&exchange->gzip, 64 * 1024 * 1024);
    if (exchange->guarded)
        guard_phase(web->guard, exchange->guarded, GUARD_HEADER);
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    target_finish(&exchange->target);
    api_answer_finish(&exchange->answer);
    buf_finish(&exchange->body);
    buf_finish(&exchange->gzip);
    free(exchange->allow);
    free(exchange->text);
    free(exchange);
}

void exchange_end(void *context, struct MHD_Connection *connection, void **state,
                  enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    struct web *web = context;
    struct exchange *exchange = *state;
    if (!exchange)
        return;
    if (exchange->guarded)
        guard_phase(web->guard, exchange->guarded, GUARD_IDLE);
    pthread_mutex_lock(&web->turn);
    shared_answer_end(exchange);
    pthread_mutex_unlock(&web->turn);
    exchange_free(exchange);
    *state = NULL;
}

static bool host_listed(const struct web *web, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = web->hosts; at && *at; at += strcspn(at, "\n") + 1)
        if (strcspn(at, "\n") == n && strncasecmp(at, name, n) == 0)
            return true;
    return false;
}

static bool host_allowed(const struct web *web, const char *host)
{
    char name[256];
    if (!host)
        return true; /* HTTP/1.0: no browser */
    if (!host_name(name, sizeof(name), host))
        return false;
    return host_is_loopback(name) || host_is_address(name) || strcasecmp(name, web->host) == 0 ||
           strcasecmp(name, web->machine) == 0 || host_listed(web, name) ||
           (web->certificate_x509 && X509_check_host(web->certificate_x509, name, 0, 0, NULL) == 1);
}

static const char *header(struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

/* 0, or the status: who asks, and may they? */
static int check_caller(struct exchange *exchange, const char *host, const char **why)
{
    struct web *web = exchange->web;
    enum scope scope = exchange->route->scope;
    int status = caller_find(exchange, host, why);
    if (status || !web->tokens)
        return status;
    if (exchange->token) {
        exchange->answer.retry_after_s = guard_rate_token(web->guard, exchange->token->sha256);
        *why = "too many requests with this token";
        if (exchange->answer.retry_after_s)
            return 429;
    }
    if (scope == SCOPE_NONE)
        return 0;
    if (!exchange->token) {
        *why = "a token is needed: Authorization: Bearer …";
        return 401;
    }
    if (!token_allows(exchange->token, scope)) {
        *why = "this token has not the scope that this needs";
        snprintf(exchange->answer.allowed, sizeof(exchange->answer.allowed), "%s",
                 scope_name(scope));
        return 403;
    }
    return 0;
}

static const char *too_large(const struct exchange *exchange)
{
    return exchange->body_limit == UPLOAD_MAX_BYTES   ? "the body is larger than 64 MiB; gzip it"
           : exchange->body_limit == INGEST_MAX_BYTES ? "the body is larger than 8 MiB"
                                                      : "the body is larger than 256 KiB";
}

/* A reference is told from its first bytes: it is a file, gzipped or not. */
static bool takes_encoding(struct exchange *exchange)
{
    const char *encoding = header(exchange, "Content-Encoding");
    if (!encoding || strcasecmp(encoding, "identity") == 0)
        return true;
    bool gzip = strcasecmp(encoding, "gzip") == 0;
    exchange->packed = gzip && exchange->body_limit != UPLOAD_MAX_BYTES;
    return gzip;
}

static int check_body(struct exchange *exchange, const struct framing *scan, const char **why)
{
    const struct route *route = exchange->route;
    bool events = route && route->body && strcmp(route->body, "Events") == 0;
    exchange->body_limit = route && route->kind == ROUTE_UPLOAD ? UPLOAD_MAX_BYTES
                           : events                             ? INGEST_MAX_BYTES
                                                                : BODY_MAX_BYTES;
    if (!takes_encoding(exchange)) {
        *why = "Content-Encoding: gzip is understood, or none";
        return 415;
    }
    bool takes = route && (route->body || strcmp(route->method, "GET") != 0);
    if (!takes && (scan->length > 0 || scan->n_encoding)) {
        *why = "no body is taken here";
        return 400;
    }
    if (scan->length <= (long long)exchange->body_limit)
        return 0;
    /* Whoever sends it without asking first hears of it only once it is sent: it is let in, and
       dropped. */
    exchange->too_large = scan->length <= DROPPED_MAX_BYTES && !header(exchange, "Expect");
    if (exchange->too_large)
        return 0;
    *why = too_large(exchange);
    return 413;
}

static bool is_page_path(const char *path)
{
    return strncmp(path, "/api/", 5) != 0 && strncmp(path, "/-/", 3) != 0;
}

/* A file of the page, found by its undecoded path: their names need no escaping. */
static enum MHD_Result step_asset(struct exchange *exchange, bool *found)
{
    char path[256];
    size_t n = strcspn(exchange->text, "?");
    *found = n < sizeof(path);
    if (!*found)
        return MHD_NO;
    memcpy(path, exchange->text, n);
    path[n] = '\0';
    bool get = strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
    const struct asset *asset =
        get && is_page_path(path) ? assets_find(exchange->web->assets, path) : NULL;
    *found = asset != NULL;
    return asset ? respond_asset(exchange, asset) : MHD_NO;
}

/* Finds the route; true when the answer (a file or a refusal) is already on its way. */
static bool step_route(struct exchange *exchange, enum MHD_Result *result)
{
    struct err err = {0};
    if (target_parse(&exchange->target, exchange->text, &err)) {
        exchange->closes = true;
        *result = respond_problem(exchange, 400, err.text);
        return true;
    }
    int rc =
        routes_find(&exchange->route, exchange->method, &exchange->target, &exchange->answer, &err);
    if (rc == ROUTE_UNKNOWN) {
        bool found;
        *result = step_asset(exchange, &found);
        if (!found)
            *result = respond_problem(exchange, 404, err.text);
        return true;
    }
    if (rc == ROUTE_METHOD) {
        *result = respond_problem(exchange, 405, err.text);
        return true;
    }
    return false;
}

/* The header is in. MHD_YES with nothing queued: go on with the body. */
static enum MHD_Result step_header(struct exchange *exchange, const char *version)
{
    struct web *web = exchange->web;
    struct framing scan;
    atomic_fetch_add(&web->n_requests, 1);
    framing_read(&scan, exchange->connection);
    scan.bare_newline |= exchange->bare_newline;
    const char *why = NULL;
    int status = framing_check(&scan, exchange->text, version, &why);
    if (status) {
        exchange->closes = true;
        return respond_problem(exchange, status, why);
    }
    if (!host_allowed(web, scan.host))
        return respond_problem(exchange, 421,
                               "this host name is not served here; use the address, localhost or "
                               "the machine's name");
    exchange->answer.retry_after_s = guard_rate(web->guard, exchange->guarded);
    if (exchange->answer.retry_after_s)
        return respond_problem(exchange, 429, "too many requests from this address");

    const char *accept = header(exchange, "Accept");
    const char *encoding = header(exchange, "Accept-Encoding");
    exchange->csv = accept && strstr(accept, "text/csv");
    exchange->prometheus = prometheus_text_wanted(accept);
    exchange->takes_gzip = encoding && strstr(encoding, "gzip") && !strstr(encoding, "gzip;q=0");
    enum MHD_Result result;
    if (step_route(exchange, &result))
        return result;
    status = check_caller(exchange, scan.host, &why);
    if (status)
        return respond_problem(exchange, status, why);
    status = check_body(exchange, &scan, &why);
    if (status) {
        exchange->closes = true;
        return respond_problem(exchange, status, why);
    }
    guard_phase(web->guard, exchange->guarded, GUARD_BODY);
    return MHD_YES;
}

static enum MHD_Result step_body(struct exchange *exchange, const char *upload, size_t *size)
{
    if (exchange->body.size + *size > exchange->body_limit)
        exchange->too_large = true;
    if (exchange->too_large)
        exchange->body_dropped += *size;
    else
        buf_bytes(&exchange->body, upload, *size);
    *size = 0;
    /* Refused once it is in; a client that sends on and on is cut off. */
    return exchange->body_dropped > DROPPED_MAX_BYTES ? MHD_NO : MHD_YES;
}

static void answer(struct exchange *exchange, struct api_context *context)
{
    struct api_request request = {
        .method = exchange->method,
        .target = exchange->text,
        .body = exchange->body.data ? (const char *)exchange->body.data : "",
        .body_size = exchange->body.size,
        .who = exchange->token ? exchange->token->name : NULL,
        .csv = exchange->csv && exchange->route->csv,
        .prometheus = exchange->prometheus,
    };
    struct err err = {.text = "no memory to answer"};
    exchange->answer.status = context ? 0 : 500;
    int rc = context ? api_call(context, &request, &exchange->answer, &err) : -1;
    if (rc < 0)
        problem_write(&exchange->answer, err.text);
    exchange->answered = true;
}

static void run_on_worker(struct job *job, struct api_context *context)
{
    struct exchange *exchange = (struct exchange *)job;
    answer(exchange, context);
    respond_compress(exchange);
    MHD_resume_connection(exchange->connection);
}

/* The request is whole. */
static enum MHD_Result step_whole(struct exchange *exchange)
{
    struct web *web = exchange->web;
    if (exchange->too_large)
        return respond_problem(exchange, 413, too_large(exchange));
    guard_phase(web->guard, exchange->guarded, GUARD_WORKING);
    int status = exchange->packed ? unpack_gzip(&exchange->body, exchange->body_limit) : 0;
    if (status)
        return respond_problem(exchange, status,
                               status == 413   ? too_large(exchange)
                               : status == 400 ? "the body is not whole gzip"
                                               : "no memory to unpack the body");
    if (exchange->route->kind == ROUTE_STREAM)
        return respond_stream(exchange);
    if (exchange->route->kind == ROUTE_SESSION) {
        sign_in_answer(exchange);
        return respond_answer(exchange);
    }
    if (exchange->route->kind == ROUTE_QUICK) {
        answer(exchange, web->quick);
        return respond_answer(exchange);
    }
    enum MHD_Result result;
    if (exchange->route->kind == ROUTE_CACHED) {
        exchange->change = changes_now(web->options.changes);
        if (respond_cached(exchange, &result))
            return result;
        if (shared_answer_wait(exchange))
            return MHD_YES;
    }
    exchange->job.run = run_on_worker;
    MHD_suspend_connection(exchange->connection);
    bool waits_for_writer =
        exchange->route->kind == ROUTE_INGEST || exchange->route->kind == ROUTE_UPLOAD;
    struct work *work = waits_for_writer                      ? web->ingest
                        : exchange->route->kind == ROUTE_WAIT ? web->waiters
                                                              : web->readers;
    if (!work_put(work, &exchange->job)) {
        MHD_resume_connection(exchange->connection);
        exchange->answer.status = 429;
        exchange->answer.retry_after_s = 1;
        problem_write(&exchange->answer, "too many requests wait already");
        exchange->answered = true;
    } else if (exchange->route->kind == ROUTE_CACHED) {
        shared_answer_lead(exchange);
    }
    return MHD_YES;
}

static enum MHD_Result step(struct exchange *exchange, const char *method, const char *version,
                            const char *upload, size_t *upload_size)
{
    if (!exchange->checked) {
        exchange->checked = true;
        exchange->method = method;
        return step_header(exchange, version);
    }
    if (*upload_size > 0)
        return step_body(exchange, upload, upload_size);
    if (!exchange->answered)
        return step_whole(exchange);
    enum MHD_Result result = respond_answer(exchange);
    shared_answer_end(exchange);
    return result;
}

enum MHD_Result exchange_step(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct web *web = context;
    (void)connection;
    (void)url;
    struct exchange *exchange = *state;
    if (!exchange || !exchange->guarded || !exchange->text)
        return MHD_NO; /* no memory for it: the connection ends */
    pthread_mutex_lock(&web->turn);
    enum MHD_Result result = step(exchange, method, version, upload, upload_size);
    pthread_mutex_unlock(&web->turn);
    return result;
}
