/*
 * Answers as HTTP: the headers that each has, gzip, ETag, HEAD (libmicrohttpd leaves the body out),
 * and the memory of answers to equal questions.
 *
 * The memory holds whole responses, headers included, for one value of the change counter: when it
 * moves all are dropped. Everything here runs on the HTTP library's thread, but respond_compress.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>

#include "web/problem.h"
#include "web/server.h"

enum {
    COMPRESS_FROM_BYTES = 1024,
    N_REMEMBERED = 512,
    REMEMBERED_MAX_BYTES = 32 * 1024 * 1024,
};

struct remembered {
    char *key; /* target and form; NULL: free */
    char etag[40];
    size_t bytes;
    struct MHD_Response *response;
};

struct answers {
    uint64_t change; /* what all of them are answers at */
    size_t bytes;
    struct remembered items[N_REMEMBERED]; /* by hash, one each */
};

int answers_new(struct answers **out, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : err_set(err, -ENOMEM, "web: no memory for answers");
}

static void forget(struct answers *answers, struct remembered *place)
{
    if (!place->key)
        return;
    answers->bytes -= place->bytes;
    free(place->key);
    MHD_destroy_response(place->response);
    *place = (struct remembered){0};
}

static void answers_clear(struct answers *answers)
{
    for (size_t i = 0; i < N_REMEMBERED; i++)
        forget(answers, &answers->items[i]);
}

void answers_free(struct answers *answers)
{
    if (answers)
        answers_clear(answers);
    free(answers);
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value);
}

static void add_common(const struct web *web, struct MHD_Response *response)
{
    add(response, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    add(response, "X-Content-Type-Options", "nosniff");
    add(response, "X-Frame-Options", "DENY");
    add(response, "Referrer-Policy", "no-referrer");
    add(response, "Cross-Origin-Resource-Policy", "same-origin");
    add(response, "Cross-Origin-Opener-Policy", "same-origin");
    if (web->certificate)
        add(response, "Strict-Transport-Security", "max-age=31536000");
}

/* `methods` are separated by newlines. */
static void add_allow(struct MHD_Response *response, const char *methods)
{
    struct buf text;
    buf_init(&text, 1024);
    for (const char *at = methods; *at; at += *at == '\n') {
        size_t n = strcspn(at, "\n");
        buf_printf(&text, "%s%.*s", text.size ? ", " : "", (int)n, at);
        at += n;
    }
    buf_u8(&text, '\0');
    if (!buf_failed(&text))
        add(response, "Allow", (const char *)text.data);
    buf_finish(&text);
}

static void add_answer_headers(struct exchange *exchange, struct MHD_Response *response)
{
    const struct api_answer *answer = &exchange->answer;
    char text[16];
    add_common(exchange->web, response);
    add(response, "Content-Type", answer->content_type);
    add(response, "Vary", "Accept, Accept-Encoding, Authorization, Cookie");
    add(response, "Cache-Control", answer->status == 200 ? "no-cache" : "no-store");
    if (answer->status == 405)
        add_allow(response, answer->allowed);
    if (answer->location[0])
        add(response, "Location", answer->location);
    if (exchange->cookie[0]) {
        add(response, "Set-Cookie", exchange->cookie);
        OPENSSL_cleanse(exchange->cookie, sizeof(exchange->cookie));
    }
    if (answer->status == 401)
        add(response, "WWW-Authenticate", "Bearer realm=\"assay\"");
    if (answer->status == 503 || answer->retry_after_s) {
        snprintf(text, sizeof(text), "%d", answer->retry_after_s ? answer->retry_after_s : 5);
        add(response, "Retry-After", text);
    }
    if (exchange->closes)
        add(response, "Connection", "close");
}

void respond_compress(struct exchange *exchange)
{
    const struct buf *plain = &exchange->answer.body;
    if (!exchange->takes_gzip || plain->size < COMPRESS_FROM_BYTES)
        return;
    z_stream stream = {0};
    int level = plain->size > 512 * 1024 ? 1 : 5;
    if (deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    size_t bound = deflateBound(&stream, plain->size);
    unsigned char *to = buf_reserve(&exchange->gzip, bound);
    if (to) {
        stream.next_in = plain->data;
        stream.avail_in = (uInt)plain->size;
        stream.next_out = to;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
            exchange->gzip.size = stream.total_out;
    }
    deflateEnd(&stream);
}

/* Does If-None-Match name this tag (weak or strong, or `*`)? */
static bool matches_etag(struct exchange *exchange, const char *etag)
{
    const char *given =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "If-None-Match");
    return given && (strcmp(given, "*") == 0 || strstr(given, etag));
}

static enum MHD_Result queue(struct exchange *exchange, int status, struct MHD_Response *response)
{
    guard_phase(exchange->web->guard, exchange->guarded, GUARD_ANSWER);
    return MHD_queue_response(exchange->connection, (unsigned)status, response);
}

static enum MHD_Result respond_not_modified(struct exchange *exchange, const char *etag)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_common(exchange->web, response);
    add(response, "ETag", etag);
    add(response, "Vary", "Accept, Accept-Encoding, Authorization, Cookie");
    add(response, "Cache-Control", "no-cache");
    enum MHD_Result result = queue(exchange, 304, response);
    MHD_destroy_response(response);
    return result;
}

static struct remembered *place_of(struct answers *answers, const struct exchange *exchange,
                                   char *key, size_t n)
{
    int size = snprintf(key, n, "%d%d %s", exchange->csv, exchange->takes_gzip, exchange->text);
    if (size < 0 || (size_t)size >= n)
        return NULL;
    return &answers->items[XXH3_64bits(key, (size_t)size) % N_REMEMBERED];
}

bool respond_cached(struct exchange *exchange, enum MHD_Result *result)
{
    struct answers *answers = exchange->web->answers;
    char key[TARGET_MAX_BYTES + 8];
    if (answers->change != exchange->change) {
        answers_clear(answers);
        answers->change = exchange->change;
    }
    struct remembered *place = place_of(answers, exchange, key, sizeof(key));
    if (!place || !place->key || strcmp(place->key, key) != 0)
        return false;
    *result = matches_etag(exchange, place->etag) ? respond_not_modified(exchange, place->etag)
                                                  : queue(exchange, 200, place->response);
    return true;
}

/* Keeps the response when nothing has changed since before its handler read anything; the newer of
   two questions that share a place stays. True: it is the memory's now. */
static bool remember(struct exchange *exchange, struct MHD_Response *response, const char *etag,
                     size_t size)
{
    struct answers *answers = exchange->web->answers;
    char key[TARGET_MAX_BYTES + 8];
    struct remembered *place = place_of(answers, exchange, key, sizeof(key));
    if (!place || answers->change != exchange->change || exchange->closes)
        return false;
    forget(answers, place);
    if (answers->bytes + size > REMEMBERED_MAX_BYTES)
        return false;
    place->key = strdup(key);
    if (!place->key)
        return false;
    snprintf(place->etag, sizeof(place->etag), "%s", etag);
    place->bytes = size;
    place->response = response;
    answers->bytes += size;
    return true;
}

enum MHD_Result respond_answer(struct exchange *exchange)
{
    struct api_answer *answer = &exchange->answer;
    bool gzip = exchange->gzip.size > 0;
    struct buf *body = gzip ? &exchange->gzip : &answer->body;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    size_t size = body->size;
    uint64_t hash = XXH3_64bits(answer->body.data, answer->body.size);
    body->data = NULL; /* the response owns it now */
    body->size = body->capacity = 0;

    char etag[40];
    snprintf(etag, sizeof(etag), "\"%016llx%s\"", (unsigned long long)hash, gzip ? "-gz" : "");
    bool get = exchange->route && strcmp(exchange->route->method, "GET") == 0;
    bool flags = exchange->route && strncmp(exchange->route->pattern, "/ofrep/", 7) == 0;
    bool tagged = (get || flags) && answer->status == 200; /* OFREP's clients poll by POST */
    add_answer_headers(exchange, response);
    if (gzip)
        add(response, "Content-Encoding", "gzip");
    if (tagged)
        add(response, "ETag", etag);
    enum MHD_Result result;
    if (tagged && matches_etag(exchange, etag))
        result = respond_not_modified(exchange, etag);
    else
        result = queue(exchange, answer->status, response);
    bool cached = tagged && exchange->route->kind == ROUTE_CACHED;
    if (!cached || !remember(exchange, response, etag, size))
        MHD_destroy_response(response);
    return result;
}

enum MHD_Result respond_problem(struct exchange *exchange, int status, const char *detail)
{
    exchange->answer.status = status;
    problem_write(&exchange->answer, detail);
    return respond_answer(exchange);
}

enum MHD_Result respond_asset(struct exchange *exchange, const struct asset *asset)
{
    char etag[40];
    bool gzip = exchange->takes_gzip && asset->gzip;
    union {
        const void *borrowed;
        void *untouched;
    } bytes = {gzip ? asset->gzip : asset->plain};
    size_t size = gzip ? asset->gzip_size : asset->plain_size;
    snprintf(etag, sizeof(etag), "\"%s%s\"", asset->etag, gzip ? "-gz" : "");
    if (matches_etag(exchange, etag))
        return respond_not_modified(exchange, etag);
    bool from_disk = !asset->gzip; /* its bytes only live until the next call */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size, bytes.untouched, from_disk ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_common(exchange->web, response);
    add(response, "Content-Type", asset->content_type);
    add(response, "Cache-Control", "no-cache");
    add(response, "Vary", "Accept-Encoding");
    add(response, "ETag", etag);
    if (gzip)
        add(response, "Content-Encoding", "gzip");
    enum MHD_Result result = queue(exchange, 200, response);
    MHD_destroy_response(response);
    return result;
}

/* What tells one token's streams from another's; NULL: nobody was asked. */
static const void *owner_of(const struct exchange *exchange)
{
    const struct token *token = exchange->token;
    return token ? (const void *)(uintptr_t)(XXH3_64bits(token->sha256, 32) | 1) : NULL;
}

enum MHD_Result respond_stream(struct exchange *exchange)
{
    const char *last =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Last-Event-ID");
    struct MHD_Response *response =
        strcmp(exchange->method, "HEAD") == 0
            ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
            : stream_open(exchange->web->stream, exchange->connection,
                          last ? strtoull(last, NULL, 10) : 0, owner_of(exchange));
    if (!response) {
        exchange->answer.retry_after_s = 10;
        return respond_problem(exchange, 429, "too many event streams are open");
    }
    add_common(exchange->web, response);
    add(response, "Content-Type", "text/event-stream");
    add(response, "Cache-Control", "no-store");
    add(response, "X-Accel-Buffering", "no"); /* a proxy passes each message on at once */
    guard_phase(exchange->web->guard, exchange->guarded, GUARD_STREAM);
    enum MHD_Result result = MHD_queue_response(exchange->connection, 200, response);
    MHD_destroy_response(response);
    return result;
}
