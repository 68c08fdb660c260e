/*
 * A session's cookie is sent by the browser whoever made the request, so a change needs two more
 * things that another site's page cannot give: the session's own secret in a header, and an Origin
 * that is ours. Ports share cookies, hence the port in the cookie's name.
 *
 * The cookie has the prefix __Host- and is Secure also without TLS: browsers take a loopback
 * address for secure. Elsewhere signing in without TLS is refused; a token in the header works.
 */
#include "web/sign_in.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "web/problem.h"

enum {
    FAILURES_A_MINUTE = 10
};

static const char *header(struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static const char *bearer(struct exchange *exchange)
{
    const char *value = header(exchange, "Authorization");
    if (!value)
        return header(exchange, "X-API-Key"); /* as OFREP's clients may send it */
    if (strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    value += 7;
    return value + strspn(value, " ");
}

static void cookie_name(const struct web *web, char out[40])
{
    snprintf(out, 40, "__Host-assay-%d", web->port);
}

static const char *cookie(struct exchange *exchange)
{
    char name[40];
    cookie_name(exchange->web, name);
    return MHD_lookup_connection_value(exchange->connection, MHD_COOKIE_KIND, name);
}

bool caller_is_foreign(struct exchange *exchange, const char *host)
{
    const char *site = header(exchange, "Sec-Fetch-Site");
    if (site && strcmp(site, "cross-site") == 0)
        return true;
    const char *origin = header(exchange, "Origin");
    if (!origin)
        return false;
    const char *name = strstr(origin, "://");
    return !name || !host || strcasecmp(name + 3, host) != 0;
}

/* A change by cookie: the session's secret, and an origin that is ours. */
static bool is_own_change(struct exchange *exchange, const struct session *session,
                          const char *host)
{
    const char *given = header(exchange, "X-Assay-CSRF");
    return header(exchange, "Origin") && !caller_is_foreign(exchange, host) && given &&
           strlen(given) == strlen(session->csrf) &&
           CRYPTO_memcmp(given, session->csrf, strlen(given)) == 0;
}

static void take_token(struct exchange *exchange, const struct token *token)
{
    if (!token)
        return;
    exchange->token_copy = *token;
    exchange->token = &exchange->token_copy;
}

int caller_find(struct exchange *exchange, const char *host, const char **why)
{
    struct web *web = exchange->web;
    bool changes = strcmp(exchange->route->method, "GET") != 0;
    const char *text = bearer(exchange), *id = text ? NULL : cookie(exchange);
    int64_t now_ms = clock_wall_ms(web->clock);
    if (!text && changes && caller_is_foreign(exchange, host)) {
        *why = "the request comes from a page of another origin";
        return 403;
    }
    if (!web->tokens ||
        (exchange->route->scope == SCOPE_NONE && exchange->route->kind != ROUTE_SESSION))
        return 0;
    if (text) {
        take_token(exchange, tokens_find(web->tokens, text, strlen(text), now_ms));
        int wait_s = exchange->token
                         ? 0
                         : guard_rate_failures(web->guard, exchange->guarded, FAILURES_A_MINUTE);
        exchange->answer.retry_after_s = wait_s;
        *why = "too many tokens that are not known; wait a little";
        return wait_s ? 429 : 0;
    }
    const struct session *session = id ? sessions_find(web->sessions, id, now_ms) : NULL;
    if (!session)
        return 0;
    bool signs_in =
        exchange->route->kind == ROUTE_SESSION && strcmp(exchange->route->method, "POST") == 0;
    if (changes && !signs_in && !is_own_change(exchange, session, host)) {
        *why = "a change by cookie needs the header X-Assay-CSRF of GET /api/v1/session and our "
               "own Origin";
        return 403;
    }
    take_token(exchange, tokens_find_digest(web->tokens, session->token_sha256, now_ms));
    return 0;
}

/* {"tokens":…,"name":…,"scopes":[…],"csrf":…,"expires":…} */
static void write_session(struct exchange *exchange, const struct session *session)
{
    struct buf *out = &exchange->answer.body;
    const struct token *token = exchange->token;
    out_open(out, '{');
    out_key_bool(out, "tokens", exchange->web->tokens != NULL);
    out_key_string(out, "name", token ? token->name : NULL);
    out_key(out, "scopes");
    out_open(out, '[');
    for (unsigned scope = SCOPE_READ; scope <= SCOPE_ADMIN; scope *= 2)
        if (!exchange->web->tokens || token_allows(token, (enum scope)scope))
            if (!exchange->web->tokens || token)
                out_string(out, scope_name((enum scope)scope));
    out_close(out, ']');
    out_key_string(out, "csrf", token && session ? session->csrf : NULL);
    out_key_time(out, "expires", token && session ? session->expires_ms : -1);
    out_close(out, '}');
    exchange->answer.content_type = "application/json";
    exchange->answer.status = 200;
}

static void refuse(struct exchange *exchange, int status, const char *why)
{
    exchange->answer.status = status;
    problem_write(&exchange->answer, why);
}

static bool may_keep_cookie(const struct exchange *exchange, const char *host)
{
    char name[256];
    return exchange->web->certificate ||
           (host && host_name(name, sizeof(name), host) && host_is_loopback(name));
}

/* The token of the body {"token": "…"}; its text is wiped. */
static const struct token *token_given(struct exchange *exchange)
{
    json_t *body = json_loadb(exchange->body.data ? (const char *)exchange->body.data : "",
                              exchange->body.size, JSON_REJECT_DUPLICATES, NULL);
    json_t *given = json_object_get(body, "token");
    const struct token *token = NULL;
    if (json_is_string(given)) {
        token = tokens_find(exchange->web->tokens, json_string_value(given),
                            json_string_length(given), clock_wall_ms(exchange->web->clock));
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(given), json_string_length(given));
    }
    json_decref(body);
    if (exchange->body.data)
        OPENSSL_cleanse(exchange->body.data, exchange->body.size);
    return token;
}

static void sign_in(struct exchange *exchange)
{
    struct web *web = exchange->web;
    char id[SESSION_ID_BYTES], name[40];
    struct err err = {0};
    int64_t now_ms = clock_wall_ms(web->clock);
    if (!web->tokens) {
        refuse(exchange, 409, "this server asks for no tokens: there is nothing to sign in to");
        return;
    }
    if (!may_keep_cookie(exchange, header(exchange, "Host"))) {
        refuse(exchange, 409,
               "signing in needs TLS (http.tls) or a loopback address: a browser keeps the "
               "session's cookie only there");
        return;
    }
    const struct token *token = token_given(exchange);
    if (!token) {
        int wait_s = guard_rate_failures(web->guard, exchange->guarded, FAILURES_A_MINUTE);
        exchange->answer.retry_after_s = wait_s;
        refuse(exchange, wait_s ? 429 : 401,
               wait_s ? "too many tokens that are not known; wait a little"
                      : "this token is not known, or has expired");
        return;
    }
    if (sessions_open(web->sessions, token, now_ms, id, &err)) {
        refuse(exchange, 500, err.text);
        return;
    }
    cookie_name(web, name);
    snprintf(exchange->cookie, sizeof(exchange->cookie),
             "%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Strict", name, id,
             SESSION_HOURS * 3600);
    take_token(exchange, token);
    write_session(exchange, sessions_find(web->sessions, id, now_ms));
    OPENSSL_cleanse(id, sizeof(id));
}

static void sign_out(struct exchange *exchange)
{
    char name[40];
    const char *id = cookie(exchange);
    if (id)
        sessions_close(exchange->web->sessions, id);
    cookie_name(exchange->web, name);
    snprintf(exchange->cookie, sizeof(exchange->cookie),
             "%s=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict", name);
    exchange->token = NULL;
    write_session(exchange, NULL);
}

void sign_in_answer(struct exchange *exchange)
{
    const char *method = exchange->route->method, *id = cookie(exchange);
    exchange->answered = true;
    if (strcmp(method, "POST") == 0)
        sign_in(exchange);
    else if (strcmp(method, "DELETE") == 0)
        sign_out(exchange);
    else
        write_session(exchange, id ? sessions_find(exchange->web->sessions, id,
                                                   clock_wall_ms(exchange->web->clock))
                                   : NULL);
}
