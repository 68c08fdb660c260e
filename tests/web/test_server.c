/*
 * The server on real sockets: what it refuses, what it bears, what it sends with every answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/test.h"
#include "tests/web/site.h"

static struct site *started(void)
{
    struct site *site = site_new();
    struct minute minute = {.model = "credit", .version = "v3", .start_ms = SITE_START, .tp = 4};
    site_minute(site, &minute);
    site_serve(site);
    return site;
}

static int status_of(const struct site *site, const char *bytes)
{
    struct reply reply;
    site_send(site, bytes, strlen(bytes), 5000, &reply);
    int status = reply.status;
    reply_finish(&reply);
    return status;
}

static void it_is_healthy_and_ready(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct reply reply;

    site_get(site, "/-/healthy", "", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"status\":\"healthy\"}");
    reply_finish(&reply);

    site_get(site, "/-/ready", "", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"status\":\"ready\",\"reason\":null}");
    reply_finish(&reply);
}

static void not_ready(void *context, struct web_health *out)
{
    (void)context;
    snprintf(out->reason, sizeof(out->reason), "the broker is away");
}

static void a_collector_without_broker_makes_it_not_ready(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    site->commands.health = not_ready;
    site_serve(site);
    struct reply reply;

    site_get(site, "/-/ready", "", &reply);

    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body, "{\"status\":\"not_ready\",\"reason\":\"the broker is away\"}");
    assert_string_equal(reply_header(&reply, "Retry-After"), "5");
    reply_finish(&reply);
}

static void every_answer_has_the_security_headers(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    static const char *const targets[] = {"/", "/api/v1/models", "/nothing", "/-/healthy"};
    for (size_t i = 0; i < 4; i++) {
        struct reply reply;
        site_get(site, targets[i], "", &reply);
        const char *policy = reply_header(&reply, "Content-Security-Policy");
        assert_non_null(policy);
        assert_non_null(strstr(policy, "default-src 'none'"));
        assert_non_null(strstr(policy, "frame-ancestors 'none'"));
        assert_null(strstr(policy, "unsafe"));
        assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(reply_header(&reply, "Referrer-Policy"), "no-referrer");
        assert_null(reply_header(&reply, "Access-Control-Allow-Origin"));
        reply_finish(&reply);
    }
}

/* F48: what a proxy and this server could read in two ways is refused, and the connection ends. */
static void F48_ambiguous_requests_are_refused(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    static const char *const requests[] = {
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Content-Length: 3\r\n\r\n0\r\n\r\n",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        "Content-Length: 4\r\n\r\nabcd",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        "Content-Length: 3\r\n\r\nabc",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nabc",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nabc",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n"
        "\r\n0\r\n\r\n",
        "POST /api/v1/events HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n",
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n\r\nabc",
        "GET /api/v1/models HTTP/1.1\nHost: localhost\n\n",
        "GET /api/v1/models HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
        "GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET /api/v1/models HTTP/1.1\r\n\r\n",
        "GET /api/v1/models%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/models/%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/../api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /./api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/%2e%2e/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1\\models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/models/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/models/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://localhost/api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct reply reply;
        site_send(site, requests[i], strlen(requests[i]), 5000, &reply);
        if (reply.status != 400)
            print_message("request %zu: %s", i, requests[i]);
        assert_int_equal(reply.status, 400);
        assert_string_equal(reply_header(&reply, "Connection"), "close");
        reply_finish(&reply);
    }
    assert_int_equal(status_of(site, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n"
                                     "Connection: close\r\n\r\n"),
                     200);
}

static void only_our_own_host_names_are_served(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    static const struct {
        const char *host;
        int status;
    } hosts[] = {
        {"localhost", 200},
        {"localhost:8080", 200},
        {"LOCALHOST.", 200},
        {"127.0.0.1:1", 200},
        {"[::1]:9", 200},
        {"192.0.2.7", 200},
        {"evil.example", 421},
        {"localhost.evil.example", 421},
        {"127.0.0.1.nip.io", 421},
        {"localhost:80:80", 421},
        {"a b", 421},
        {"", 421},
    };
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char request[300];
        snprintf(request, sizeof(request),
                 "GET /-/healthy HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", hosts[i].host);
        int status = status_of(site, request);
        if (status != hosts[i].status)
            print_message("host %s\n", hosts[i].host);
        assert_int_equal(status, hosts[i].status);
    }
}

static void F48_sizes_have_limits(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    size_t n = 0, room = 300000;
    AUTO_FREE char *text = malloc(room);
    assert_non_null(text);

    n = (size_t)snprintf(text, room, "GET /%09000d HTTP/1.1\r\nHost: localhost\r\n\r\n", 0);
    struct reply reply;
    site_send(site, text, n, 5000, &reply);
    assert_int_equal(reply.status, 414);
    reply_finish(&reply);

    n = (size_t)snprintf(text, room,
                         "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nX: %040000d\r\n\r\n", 0);
    site_send(site, text, n, 5000, &reply);
    assert_int_equal(reply.status, 431);
    reply_finish(&reply);

    n = (size_t)snprintf(text, room,
                         "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nX: %0200000d\r\n\r\n", 0);
    site_send(site, text, n, 5000, &reply);
    assert_int_equal(reply.status, 431);
    reply_finish(&reply);

    const char put[] = "PUT /api/v1/models/m/versions/v HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Length: 300000\r\nExpect: 100-continue\r\n\r\n";
    site_send(site, put, sizeof(put) - 1, 5000, &reply);
    assert_int_equal(reply.status, 413);
    reply_finish(&reply);

    const char post[] = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n";
    site_send(site, post, sizeof(post) - 1, 5000, &reply);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.body, "larger than 8 MiB"));
    reply_finish(&reply);

    /* A reference is many events. */
    const char reference[] = "PUT /api/v1/models/m/reference HTTP/1.1\r\nHost: localhost\r\n"
                             "Content-Length: 70000000\r\nExpect: 100-continue\r\n\r\n";
    site_send(site, reference, sizeof(reference) - 1, 5000, &reply);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.body, "larger than 64 MiB"));
    reply_finish(&reply);
}

/* Answered while it still sends, it would find the connection broken and no answer. */
static void whoever_sends_too_much_without_asking_is_told_once_it_is_in(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct buf text;
    buf_init(&text, 64 << 20);
    buf_printf(&text, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
                      "Content-Length: 9000000\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 9; i++)
        buf_printf(&text, "%01000000d", 0);
    struct reply reply;

    site_send(site, (const char *)text.data, text.size, 5000, &reply);

    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.body, "larger than 8 MiB"));
    reply_finish(&reply);
    buf_finish(&text);
}

static void send_packed(struct site *site, const char *encoding, const void *body, size_t n,
                        struct reply *reply)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_printf(&text,
               "PUT /api/v1/models/m/versions/v HTTP/1.1\r\nHost: localhost\r\n"
               "Content-Encoding: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
               encoding, n);
    buf_bytes(&text, body, n);
    site_send(site, (const char *)text.data, text.size, 5000, reply);
    buf_finish(&text);
}

static size_t pack(unsigned char *out, size_t room, const void *bytes, size_t n)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)bytes,
                       .avail_in = (uInt)n,
                       .next_out = out,
                       .avail_out = (uInt)room};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static int put_nothing(void *context, const char *model, const char *version, const char *facts,
                       const char *who, struct err *err)
{
    (void)context, (void)model, (void)version, (void)facts, (void)who, (void)err;
    return 0;
}

static void a_body_may_be_gzip_and_nothing_else(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    site->commands.put_version = put_nothing;
    site->config.auto_models.task = "binary"; /* no event has come, and some model's may */
    site_serve(site);
    unsigned char packed[65536];
    struct reply reply;
    size_t n = pack(packed, sizeof(packed), "{\"note\":\"x\"}", 12);

    send_packed(site, "gzip", packed, n, &reply);
    assert_int_equal(reply.status, 400);
    assert_non_null(strstr(reply.body, "note: no such fact"));
    reply_finish(&reply);
    send_packed(site, "gzip", packed, n - 3, &reply);
    assert_int_equal(reply.status, 400);
    assert_non_null(strstr(reply.body, "the body is not whole gzip"));
    reply_finish(&reply);
    send_packed(site, "br", packed, n, &reply);
    assert_int_equal(reply.status, 415);
    reply_finish(&reply);

    AUTO_FREE char *large = calloc(1, 10 << 20);
    assert_non_null(large);
    n = pack(packed, sizeof(packed), large, 10 << 20);
    send_packed(site, "gzip", packed, n, &reply);
    assert_int_equal(reply.status, 413);
    reply_finish(&reply);
}

static void a_chunked_body_beyond_the_limit_is_refused_once_it_is_in(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct buf text;
    buf_init(&text, 64 << 20);
    buf_printf(&text, "PUT /api/v1/models/m/versions/v HTTP/1.1\r\nHost: localhost\r\n"
                      "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 8; i++) {
        buf_printf(&text, "%x\r\n%065535d\r\n", 65535, 0);
    }
    buf_printf(&text, "0\r\n\r\n");
    struct reply reply;

    site_send(site, (const char *)text.data, text.size, 5000, &reply);

    assert_int_equal(reply.status, 413);
    reply_finish(&reply);
    buf_finish(&text);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct reply reply;
    const char request[] = "DELETE /api/v1/models HTTP/1.1\r\nHost: localhost\r\n"
                           "Connection: close\r\n\r\n";

    site_send(site, request, sizeof(request) - 1, 5000, &reply);

    assert_int_equal(reply.status, 405);
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD");
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/problem+json");
    reply_finish(&reply);
}

static void an_unknown_path_is_told_the_near_one(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct reply reply;

    site_get(site, "/api/v1/model", "", &reply);

    assert_int_equal(reply.status, 404);
    assert_non_null(strstr(reply.body, "did you mean /api/v1/models?"));
    reply_finish(&reply);
}

static void equal_answers_are_not_sent_twice(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct reply first, second;
    char header[200];

    site_get(site, "/api/v1/models/credit/metrics", "", &first);
    assert_int_equal(first.status, 200);
    snprintf(header, sizeof(header), "If-None-Match: %s\r\n", reply_header(&first, "ETag"));
    site_get(site, "/api/v1/models/credit/metrics", header, &second);
    assert_int_equal(second.status, 304);
    assert_int_equal(second.body_size, 0);
    reply_finish(&second);

    struct minute minute = {
        .model = "credit", .version = "v3", .start_ms = SITE_START + MINUTE, .tp = 4};
    site_minute(site, &minute);
    site_get(site, "/api/v1/models/credit/metrics", header, &second);
    assert_int_equal(second.status, 200);
    assert_true(second.body_size > 0);
    reply_finish(&first);
    reply_finish(&second);
}

static void large_answers_are_gzipped_for_who_takes_it(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct reply plain, packed;
    site_get(site, "/api/v1/models/credit/metrics", "", &plain);
    site_get(site, "/api/v1/models/credit/metrics", "Accept-Encoding: gzip\r\n", &packed);

    assert_null(reply_header(&plain, "Content-Encoding"));
    assert_string_equal(reply_header(&packed, "Content-Encoding"), "gzip");
    assert_true(packed.body_size < plain.body_size / 2);
    AUTO_FREE char *text = calloc(1, plain.body_size + 1);
    z_stream stream = {.next_in = packed.text.data + (packed.body - (char *)packed.text.data),
                       .avail_in = (uInt)packed.body_size,
                       .next_out = (unsigned char *)text,
                       .avail_out = (uInt)plain.body_size};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    assert_string_equal(text, plain.body);
    reply_finish(&plain);
    reply_finish(&packed);
}

static void head_has_the_header_and_no_body(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct reply reply;
    const char request[] = "HEAD /api/v1/models HTTP/1.1\r\nHost: localhost\r\n"
                           "Connection: close\r\n\r\n";

    site_send(site, request, sizeof(request) - 1, 5000, &reply);

    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/json");
    assert_int_equal(reply.body_size, 0);
    reply_finish(&reply);
}

static void a_change_from_a_foreign_page_is_refused(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    assert_int_equal(status_of(site, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
                                     "Origin: http://evil.example\r\nConnection: close\r\n"
                                     "Content-Length: 2\r\n\r\n{}"),
                     403);
    assert_int_equal(status_of(site, "POST /api/v1/events HTTP/1.1\r\nHost: localhost:8080\r\n"
                                     "Origin: http://localhost:9090\r\nConnection: close\r\n"
                                     "Content-Length: 2\r\n\r\n{}"),
                     403);
}

/* F48: fifty slow ones of an address make room for the next, so that a quick one always gets in. */
static void F48_slow_connections_cannot_keep_a_quick_one_out(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    enum {
        N_SLOW = 300
    };
    int slow[N_SLOW];
    for (int i = 0; i < N_SLOW; i++) {
        slow[i] = site_connect(site);
        send(slow[i], "GET /", 5, MSG_NOSIGNAL);
    }

    for (int i = 0; i < 20; i++)
        assert_int_equal(status_of(site, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n"
                                         "Connection: close\r\n\r\n"),
                         200);

    struct reply reply;
    site_get(site, "/metrics", "", &reply);
    assert_non_null(strstr(reply.body, "assay_http_connections_evicted_total "));
    reply_finish(&reply);
    for (int i = 0; i < N_SLOW; i++)
        close(slow[i]);
}

static void an_open_address_needs_tls_and_tokens(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    struct web_options options = {
        .config = &site->config, .store_path = site->temp->path, .changes = site->changes};
    struct web *web = NULL;
    struct err err = {0};
    site->config.http.address = "0.0.0.0";

    assert_int_equal(web_start(&web, &options, &err), ERR_USAGE);
    assert_string_equal(err.text,
                        "http.listen: 0.0.0.0 can be reached from other machines, which needs "
                        "http.tls and http.tokens; or say http.insecure: true");
    assert_null(web);

    site->config.http.insecure = true;
    must(web_start(&web, &options, &err), &err);
    web_stop(web);
}

static void a_port_that_is_taken_is_named(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = started();
    struct web_options options = {
        .config = &site->config, .store_path = site->temp->path, .changes = site->changes};
    struct web *web = NULL;
    struct err err = {0};
    char text[200];
    site->config.http.port = site->port;

    assert_int_equal(web_start(&web, &options, &err), ERR_USAGE);

    snprintf(text, sizeof(text),
             "http.listen: 127.0.0.1:%d: Address already in use; is another assay running? choose "
             "another port",
             site->port);
    assert_string_equal(err.text, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_healthy_and_ready),
        cmocka_unit_test(a_collector_without_broker_makes_it_not_ready),
        cmocka_unit_test(every_answer_has_the_security_headers),
        cmocka_unit_test(F48_ambiguous_requests_are_refused),
        cmocka_unit_test(only_our_own_host_names_are_served),
        cmocka_unit_test(F48_sizes_have_limits),
        cmocka_unit_test(whoever_sends_too_much_without_asking_is_told_once_it_is_in),
        cmocka_unit_test(a_body_may_be_gzip_and_nothing_else),
        cmocka_unit_test(a_chunked_body_beyond_the_limit_is_refused_once_it_is_in),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(an_unknown_path_is_told_the_near_one),
        cmocka_unit_test(equal_answers_are_not_sent_twice),
        cmocka_unit_test(large_answers_are_gzipped_for_who_takes_it),
        cmocka_unit_test(head_has_the_header_and_no_body),
        cmocka_unit_test(a_change_from_a_foreign_page_is_refused),
        cmocka_unit_test(F48_slow_connections_cannot_keep_a_quick_one_out),
        cmocka_unit_test(an_open_address_needs_tls_and_tokens),
        cmocka_unit_test(a_port_that_is_taken_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
