/*
 * Tokens: the file's lines, who may what, and that nothing is open by default: each route of the
 * table is tried with each scope and with none.
 */
#include "web/token.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/test.h"
#include "tests/web/site.h"
#include "web/routes.h"
#include "web/token_new.h"

/* by sha256sum of the text in the comment */
/* clang-format off */
#define SHA_READ "aacb0b575020df5ae74a4b28174ad2e998236b1218c3e39f7de44025ccde7502" /* read-me */
#define SHA_INGEST "daba2f8e95672bedbdb1da02a8c783b0cb2693f8ffbceaca93e187f22b917b16" /* feed-me */
#define SHA_OPERATE "4ca3a604362d1448b9ec81b8d1048ee8856890d6ea25d7e716084567b7f9ac73" /* run-it */
#define SHA_ADMIN "9482d060183ea93c13472574b76f43f21b6559c11eb7b8ed04e6037ae108fbbe" /* rule-it */
#define SHA_OLD "69e383ee523f5fef30242502a0fd297d597b8c8ccf27117220718fb65e195e10" /* was-it */
/* clang-format on */

static const char file[] = "# who: what\n"
                           "viewer:read:" SHA_READ ":never\n"
                           "feeder:ingest:" SHA_INGEST ":\r\n"
                           "pipeline:operate:" SHA_OPERATE ":2024-01-01T00:00:00Z\n"
                           "root:admin:" SHA_ADMIN ":\n"
                           "gone:admin:" SHA_OLD ":1700000000000\n";

static void a_token_is_found_by_its_text_until_it_expires(void **state)
{
    (void)state;
    AUTO(tokens) struct tokens *tokens = NULL;
    struct err err = {0};
    must(tokens_parse(&tokens, "t", file, sizeof(file) - 1, &err), &err);

    assert_int_equal(tokens_count(tokens), 5);
    assert_string_equal(tokens_find(tokens, "read-me", 7, SITE_START)->name, "viewer");
    assert_string_equal(tokens_find(tokens, "feed-me", 7, SITE_START)->name, "feeder");
    assert_null(tokens_find(tokens, "read-m", 6, SITE_START));
    assert_null(tokens_find(tokens, "", 0, SITE_START));
    assert_null(tokens_find(tokens, "was-it", 6, SITE_START));
    assert_string_equal(tokens_find(tokens, "run-it", 6, INT64_C(1704067199999))->name, "pipeline");
    assert_null(tokens_find(tokens, "run-it", 6, INT64_C(1704067200000)));
}

static void a_new_token_opens_what_its_line_says(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_BYTES], other[TOKEN_TEXT_BYTES], line[TOKEN_LINE_BYTES];
    struct err err = {0};
    must(token_new_line(other, line, "ci", "read", INT64_MAX, &err), &err);
    must(token_new_line(text, line, "ci", "ingest,operate", SITE_START, &err), &err);
    AUTO(tokens) struct tokens *tokens = NULL;
    must(tokens_parse(&tokens, "t", line, strlen(line), &err), &err);

    const struct token *token = tokens_find(tokens, text, strlen(text), SITE_START - 1);

    assert_string_not_equal(text, other);
    assert_int_equal(strlen(text), 6 + 43);
    assert_null(strstr(line, text + 6));
    assert_non_null(token);
    assert_string_equal(token->name, "ci");
    assert_true(token_allows(token, SCOPE_INGEST) && token_allows(token, SCOPE_OPERATE));
    assert_false(token_allows(token, SCOPE_ADMIN));
    assert_null(tokens_find(tokens, other, strlen(other), SITE_START - 1));
    assert_null(tokens_find(tokens, text, strlen(text), SITE_START));
}

static void a_token_that_the_file_would_refuse_is_not_made(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "read"},    {"a:b", "read"}, {"a\nb", "read"},
        {"ci", "write"}, {"ci", ""},      {"ci", "read:x"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[TOKEN_TEXT_BYTES], line[TOKEN_LINE_BYTES];
        struct err err = {0};
        assert_int_equal(token_new_line(text, line, bad[i][0], bad[i][1], INT64_MAX, &err),
                         ERR_USAGE);
    }
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"viewer:read\n", "t:1: not name:scopes:sha256:expiry"},
        {"\n:read:" SHA_READ ":\n", "t:2: name: must have 1 to 64 bytes"},
        {"v:write:" SHA_READ ":\n",
         "t:1: scopes of v: must be some of read, ingest, operate, admin, separated by commas"},
        {"v::" SHA_READ ":\n",
         "t:1: scopes of v: must be some of read, ingest, operate, admin, separated by commas"},
        {"v:read:abc:\n", "t:1: sha256 of v: must be 64 hexadecimal digits"},
        {"v:read:" SHA_READ ":soon\n", "t:1: expiry of v: must be a time (RFC 3339) or never"},
        {"# nobody\n", "t: no token in it; make one with `assay token new`"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tokens *tokens = NULL;
        struct err err = {0};
        assert_int_equal(tokens_parse(&tokens, "t", bad[i].text, strlen(bad[i].text), &err),
                         ERR_USAGE);
        assert_string_equal(err.text, bad[i].message);
        assert_null(tokens);
    }
}

static struct site *guarded_site(void)
{
    struct site *site = site_new();
    static char path[200];
    snprintf(path, sizeof(path), "%s/tokens.txt", site->temp->directory);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fputs(file, out);
    fclose(out);
    chmod(path, 0600);
    site->config.http.tokens = path;
    site_serve(site);
    return site;
}

static int ask(const struct site *site, const struct route *route, const char *token)
{
    char request[1024], path[200];
    size_t n = 0;
    for (const char *c = route->pattern; *c; c++) { /* {model} becomes x */
        if (*c == '{') {
            path[n++] = 'x';
            c = strchr(c, '}');
        } else {
            path[n++] = *c;
        }
    }
    path[n] = '\0';
    snprintf(request, sizeof(request),
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%s"
             "Content-Length: 0\r\n\r\n",
             route->method, path, token ? "Authorization: Bearer " : "", token ? token : "",
             token ? "\r\n" : "");
    struct reply reply;
    site_send(site, request, strlen(request), route->kind == ROUTE_STREAM ? 200 : 5000, &reply);
    int status = reply.status;
    reply_finish(&reply);
    return status;
}

static void each_route_lets_in_its_scope_and_no_other(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = guarded_site();
    static const struct {
        const char *text;
        unsigned scopes;
    } tokens[] = {
        {"read-me", SCOPE_READ},
        {"feed-me", SCOPE_INGEST},
        {"rule-it", SCOPE_READ | SCOPE_INGEST | SCOPE_OPERATE | SCOPE_ADMIN},
    };
    size_t n;
    const struct route *routes = routes_table(&n);
    assert_true(n > 10);
    for (size_t i = 0; i < n; i++) {
        if (routes[i].kind == ROUTE_SESSION)
            continue; /* tests/web/test_sign_in.c */
        int open = ask(site, &routes[i], NULL);
        assert_true(routes[i].scope == SCOPE_NONE ? open == 200 : open == 401);
        for (size_t k = 0; k < 3; k++) {
            bool may = routes[i].scope == SCOPE_NONE || (tokens[k].scopes & routes[i].scope);
            int status = ask(site, &routes[i], tokens[k].text);
            if ((status == 403) == may || status == 401)
                print_message("%s %s with %s: %d\n", routes[i].method, routes[i].pattern,
                              tokens[k].text, status);
            assert_int_equal(status == 403, !may);
            assert_int_not_equal(status, 401);
        }
    }
}

static void guessing_is_slowed_down(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = guarded_site();
    struct reply reply;
    for (int i = 0; i < 10; i++) {
        site_get(site, "/api/v1/models", "Authorization: Bearer wrong\r\n", &reply);
        assert_int_equal(reply.status, 401);
        assert_string_equal(reply_header(&reply, "WWW-Authenticate"), "Bearer realm=\"assay\"");
        assert_null(strstr(reply.body, "wrong"));
        reply_finish(&reply);
    }

    site_get(site, "/api/v1/models", "Authorization: Bearer wrong\r\n", &reply);
    assert_int_equal(reply.status, 429);
    assert_string_equal(reply_header(&reply, "Retry-After"), "7");
    reply_finish(&reply);

    site_get(site, "/api/v1/models", "Authorization: Bearer read-me\r\n", &reply);
    assert_int_equal(reply.status, 200);
    reply_finish(&reply);
}

static void a_file_that_others_may_write_to_is_refused(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    char path[200], text[300];
    struct tokens *tokens = NULL;
    struct err err = {0};
    snprintf(path, sizeof(path), "%s/tokens.txt", temp->directory);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fputs(file, out);
    fclose(out);
    chmod(path, 0620);

    assert_int_equal(tokens_read(&tokens, path, &err), ERR_USAGE);

    snprintf(text, sizeof(text), "%s: others may write to it; chmod 600 it first", path);
    assert_string_equal(err.text, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_by_its_text_until_it_expires),
        cmocka_unit_test(a_new_token_opens_what_its_line_says),
        cmocka_unit_test(a_token_that_the_file_would_refuse_is_not_made),
        cmocka_unit_test(a_bad_line_is_named),
        cmocka_unit_test(each_route_lets_in_its_scope_and_no_other),
        cmocka_unit_test(guessing_is_slowed_down),
        cmocka_unit_test(a_file_that_others_may_write_to_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
