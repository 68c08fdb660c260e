/*
 * Signing a browser in, on real sockets: the cookie, what a change needs beside it, how sessions
 * end, and what is read again while the server runs.
 */
#include "web/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/test.h"
#include "tests/web/site.h"

/* by sha256sum of the text in the comment */
/* clang-format off */
#define SHA_READ "aacb0b575020df5ae74a4b28174ad2e998236b1218c3e39f7de44025ccde7502" /* read-me */
#define SHA_OPERATE "4ca3a604362d1448b9ec81b8d1048ee8856890d6ea25d7e716084567b7f9ac73" /* run-it */
/* clang-format on */

static const char both[] = "viewer:read:" SHA_READ ":never\nann:operate:" SHA_OPERATE ":never\n";

struct place {
    struct site *site;
    char tokens[200];
    char cookie[200]; /* "Cookie: …\r\n" */
    char csrf[SESSION_ID_BYTES];
};

static void write_tokens(struct place *place, const char *text)
{
    FILE *out = fopen(place->tokens, "we");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    chmod(place->tokens, 0600);
}

static char acked_by[65];

static int ack(void *context, const char *action, const char *subject, const char *body,
               const char *who, struct buf *answer, struct err *err)
{
    (void)context;
    (void)action;
    (void)subject;
    (void)body;
    (void)answer;
    (void)err;
    snprintf(acked_by, sizeof(acked_by), "%s", who ? who : "nobody");
    return 0;
}

static struct place *place_new(void)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    place->site = site_new();
    snprintf(place->tokens, sizeof(place->tokens), "%s/tokens.txt", place->site->temp->directory);
    write_tokens(place, both);
    place->site->config.http.tokens = place->tokens;
    place->site->commands.alert = ack;
    acked_by[0] = '\0';
    site_serve(place->site);
    return place;
}

static void place_freep(struct place **p)
{
    site_free((*p)->site);
    free(*p);
}
#define PLACE __attribute__((cleanup(place_freep))) struct place *

/* Sends a request of one's own making; the caller finishes the reply. */
static void ask(const struct place *place, const char *line, const char *headers, const char *body,
                struct reply *reply)
{
    char text[2000];
    int n = snprintf(text, sizeof(text),
                     "%s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n%s"
                     "Content-Length: %zu\r\n\r\n%s",
                     line, place->site->port, headers, strlen(body), body);
    site_send(place->site, text, (size_t)n, 5000, reply);
}

static int status_of(const struct place *place, const char *line, const char *headers)
{
    struct reply reply;
    ask(place, line, headers, "", &reply);
    int status = reply.status;
    reply_finish(&reply);
    return status;
}

static void sign_in(struct place *place, const char *token)
{
    char body[100];
    struct reply reply;
    snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
    ask(place, "POST /api/v1/session", "", body, &reply);
    assert_int_equal(reply.status, 200);
    const char *set = reply_header(&reply, "Set-Cookie");
    assert_non_null(set);
    snprintf(place->cookie, sizeof(place->cookie), "Cookie: %.*s\r\n", (int)strcspn(set, ";"), set);
    const char *csrf = strstr(reply.body, "\"csrf\":\"");
    assert_non_null(csrf);
    snprintf(place->csrf, sizeof(place->csrf), "%.64s", csrf + 8);
    reply_finish(&reply);
}

static void the_cookie_is_for_us_alone_and_the_token_is_not_in_it(void **state)
{
    (void)state;
    PLACE place = place_new();
    struct reply reply;
    char name[60];

    ask(place, "POST /api/v1/session", "", "{\"token\":\"run-it\"}", &reply);

    const char *set = reply_header(&reply, "Set-Cookie");
    snprintf(name, sizeof(name), "__Host-assay-%d=", place->site->port);
    assert_memory_equal(set, name, strlen(name));
    assert_int_equal(strcspn(set + strlen(name), ";"), 64);
    assert_non_null(strstr(set, "; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict"));
    assert_null(strstr(set, "run-it"));
    assert_non_null(strstr(reply.body, "\"name\":\"ann\",\"scopes\":[\"read\",\"operate\"]"));
    assert_string_equal(reply_header(&reply, "Cache-Control"), "no-cache");
    reply_finish(&reply);
}

static void a_cookie_reads_and_a_wrong_one_does_not(void **state)
{
    (void)state;
    PLACE place = place_new();
    char wrong[200];
    sign_in(place, "read-me");

    assert_int_equal(status_of(place, "GET /api/v1/models", place->cookie), 200);
    assert_int_equal(status_of(place, "GET /api/v1/models", ""), 401);
    snprintf(wrong, sizeof(wrong), "%s", place->cookie);
    char *last = wrong + strlen(wrong) - 3;
    *last = *last == '0' ? '1' : '0';
    assert_int_equal(status_of(place, "GET /api/v1/models", wrong), 401);
    assert_int_equal(status_of(place, "GET /api/v1/dead-letters", place->cookie), 403);
}

static void a_change_needs_our_origin_and_the_secret(void **state)
{
    (void)state;
    PLACE place = place_new();
    sign_in(place, "run-it");
    char own[100], secret[120], headers[600];
    const char *const change = "POST /api/v1/alerts/a/ack";
    snprintf(own, sizeof(own), "Origin: http://localhost:%d\r\n", place->site->port);
    snprintf(secret, sizeof(secret), "X-Assay-CSRF: %s\r\n", place->csrf);

    assert_int_equal(status_of(place, change, place->cookie), 403);
    snprintf(headers, sizeof(headers), "%s%s", place->cookie, own);
    assert_int_equal(status_of(place, change, headers), 403);
    snprintf(headers, sizeof(headers), "%s%s", place->cookie, secret);
    assert_int_equal(status_of(place, change, headers), 403);
    /* Another port of this machine is another origin, though it gets the same cookies. */
    snprintf(headers, sizeof(headers), "%s%sOrigin: http://localhost:1\r\n", place->cookie, secret);
    assert_int_equal(status_of(place, change, headers), 403);
    snprintf(headers, sizeof(headers), "%s%sX-Assay-CSRF: %064d\r\n", place->cookie, own, 0);
    assert_int_equal(status_of(place, change, headers), 403);
    assert_string_equal(acked_by, "");

    snprintf(headers, sizeof(headers), "%s%s%s", place->cookie, own, secret);
    assert_int_equal(status_of(place, change, headers), 200);
    assert_string_equal(acked_by, "ann");
    /* A token in the header is no browser's doing: it needs neither. */
    assert_int_equal(status_of(place, change, "Authorization: Bearer run-it\r\n"), 200);
}

static void a_session_ends_by_signing_out_and_after_twelve_hours(void **state)
{
    (void)state;
    PLACE place = place_new();
    char headers[600];
    sign_in(place, "read-me");
    snprintf(headers, sizeof(headers), "%sOrigin: http://localhost:%d\r\nX-Assay-CSRF: %s\r\n",
             place->cookie, place->site->port, place->csrf);
    struct reply reply;

    ask(place, "DELETE /api/v1/session", headers, "", &reply);

    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply_header(&reply, "Set-Cookie"), "=; Path=/; Max-Age=0"));
    reply_finish(&reply);
    assert_int_equal(status_of(place, "GET /api/v1/models", place->cookie), 401);

    sign_in(place, "read-me");
    place->site->now_ms += SESSION_HOURS * HOUR - 1;
    assert_int_equal(status_of(place, "GET /api/v1/models", place->cookie), 200);
    place->site->now_ms += 1;
    assert_int_equal(status_of(place, "GET /api/v1/models", place->cookie), 401);
}

static void tokens_that_are_read_again_count_at_once(void **state)
{
    (void)state;
    PLACE place = place_new();
    struct err err = {0};
    sign_in(place, "read-me");
    assert_int_equal(status_of(place, "GET /api/v1/models", "Authorization: Bearer run-it\r\n"),
                     200);

    write_tokens(place, "ann:operate:" SHA_OPERATE ":never\n");
    must(web_reload(place->site->web, &place->site->config, &err), &err);

    assert_int_equal(status_of(place, "GET /api/v1/models", place->cookie), 401);
    assert_int_equal(status_of(place, "GET /api/v1/models", "Authorization: Bearer read-me\r\n"),
                     401);
    assert_int_equal(status_of(place, "GET /api/v1/models", "Authorization: Bearer run-it\r\n"),
                     200);

    write_tokens(place, "nonsense\n");
    assert_int_equal(web_reload(place->site->web, &place->site->config, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "tokens.txt:1: not name:scopes:sha256:expiry"));
    assert_int_equal(status_of(place, "GET /api/v1/models", "Authorization: Bearer run-it\r\n"),
                     200);
    place->site->config.http.tokens = NULL;
    assert_int_equal(web_reload(place->site->web, &place->site->config, &err), ERR_USAGE);
    assert_string_equal(err.text, "http.tokens: doing without them needs a restart");
}

static int status_for_host(const struct place *place, const char *host)
{
    char text[300];
    struct reply reply;
    int n = snprintf(text, sizeof(text),
                     "GET /-/healthy HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
    site_send(place->site, text, (size_t)n, 5000, &reply);
    int status = reply.status;
    reply_finish(&reply);
    return status;
}

static void a_name_is_served_once_it_is_listed(void **state)
{
    (void)state;
    PLACE place = place_new();
    static const char *const hosts[] = {"assay.example", "other.example"};
    struct err err = {0};
    assert_int_equal(status_for_host(place, "assay.example"), 421);

    place->site->config.http.hosts = hosts;
    place->site->config.http.n_hosts = 2;
    place->site->config.http.public_url = "https://public.example:8443/assay";
    must(web_reload(place->site->web, &place->site->config, &err), &err);

    assert_int_equal(status_for_host(place, "Assay.Example:1234"), 200);
    assert_int_equal(status_for_host(place, "other.example"), 200);
    assert_int_equal(status_for_host(place, "public.example"), 200);
    assert_int_equal(status_for_host(place, "assay.example.evil"), 421);
    assert_int_equal(status_for_host(place, "assay"), 421);
}

static void a_browser_far_away_without_tls_is_told_why_it_cannot_sign_in(void **state)
{
    (void)state;
    PLACE place = place_new();
    const char body[] = "{\"token\":\"read-me\"}";
    char text[400];
    struct reply reply;
    int n = snprintf(text, sizeof(text),
                     "POST /api/v1/session HTTP/1.1\r\nHost: 192.0.2.7\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     strlen(body), body);

    site_send(place->site, text, (size_t)n, 5000, &reply);

    assert_int_equal(reply.status, 409);
    assert_non_null(strstr(reply.body, "signing in needs TLS (http.tls) or a loopback address"));
    reply_finish(&reply);
}

static void guesses_are_counted(void **state)
{
    (void)state;
    PLACE place = place_new();
    struct reply reply;
    const char *const bad[] = {"{\"token\":\"wrong\"}", "{}", "[]", "not JSON", "{\"token\":7}"};
    for (int i = 0; i < 10; i++) {
        ask(place, "POST /api/v1/session", "", bad[i % 5], &reply);
        assert_int_equal(reply.status, 401);
        assert_null(reply_header(&reply, "Set-Cookie"));
        assert_null(strstr(reply.body, "wrong"));
        reply_finish(&reply);
    }
    ask(place, "POST /api/v1/session", "", "{\"token\":\"wrong\"}", &reply);
    assert_int_equal(reply.status, 429);
    reply_finish(&reply);
}

static void the_oldest_session_makes_room(void **state)
{
    (void)state;
    AUTO(sessions) struct sessions *sessions = NULL;
    struct err err = {0};
    struct token token = {.name = "ann", .sha256 = {1, 2, 3}};
    char first[SESSION_ID_BYTES], id[SESSION_ID_BYTES];
    must(sessions_new(&sessions, &err), &err);
    must(sessions_open(sessions, &token, 1000, first, &err), &err);

    for (int i = 0; i < 255; i++)
        must(sessions_open(sessions, &token, 2000 + i, id, &err), &err);

    assert_non_null(sessions_find(sessions, first, 3000));
    must(sessions_open(sessions, &token, 4000, id, &err), &err);
    assert_null(sessions_find(sessions, first, 4000));
    assert_memory_equal(sessions_find(sessions, id, 4000)->token_sha256, token.sha256, 32);
    assert_null(sessions_find(sessions, "", 4000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cookie_is_for_us_alone_and_the_token_is_not_in_it),
        cmocka_unit_test(a_cookie_reads_and_a_wrong_one_does_not),
        cmocka_unit_test(a_change_needs_our_origin_and_the_secret),
        cmocka_unit_test(a_session_ends_by_signing_out_and_after_twelve_hours),
        cmocka_unit_test(tokens_that_are_read_again_count_at_once),
        cmocka_unit_test(a_name_is_served_once_it_is_listed),
        cmocka_unit_test(a_browser_far_away_without_tls_is_told_why_it_cannot_sign_in),
        cmocka_unit_test(guesses_are_counted),
        cmocka_unit_test(the_oldest_session_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
