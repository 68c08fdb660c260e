/* `assay alert`: what fires, what happened, silences, acknowledgement, and a receiver put to test.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/deliver.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/json_print.h"
#include "web/api.h"

static const char usage[] =
    "usage: assay alert list [--state all] | rules | history [--alert ID] [--limit N] | silences | "
    "deliveries | silence MATCHER… (--duration 2h | --until T) --comment WHY | unsilence ID | "
    "ack ID | again DELIVERY | test RECEIVER [-c FILE] [--url U] [--token-file F] [--json]";

struct words {
    struct client client;
    const char *config;
    const char *state, *alert, *limit, *duration, *until, *comment;
    bool json;
};

static const char *path_of(struct buf *out, const char *first, const char *second,
                           const char *third, const struct api_param *params, size_t n_params)
{
    const char *parts[] = {first, second, third};
    buf_printf(out, "/api/v1");
    for (size_t i = 0; i < 3; i++) {
        if (parts[i])
            api_target_segment(out, parts[i]);
    }
    for (size_t i = 0; i < n_params; i++) {
        if (params[i].value)
            api_target_param(out, params[i].name, params[i].value);
    }
    buf_u8(out, 0);
    return buf_failed(out) ? "/" : (const char *)out->data;
}

static int ask(const struct words *words, const char *method, const char *path, const char *body,
               struct err *err)
{
    struct client_request request = {.method = method, .path = path, .body = body, .timeout_s = 60};
    return client_print(&words->client, &request, err);
}

static int show(const struct words *words, const char *what, struct err *err)
{
    const struct api_param params[] = {
        {"state", words->state}, {"alert", words->alert}, {"limit", words->limit}};
    bool below = strcmp(what, "history") == 0 || strcmp(what, "rules") == 0;
    struct buf path;
    buf_init(&path, 16384);
    const char *text = path_of(&path, below || strcmp(what, "list") == 0 ? "alerts" : what,
                               below ? what : NULL, NULL, params, 3);
    int rc = ask(words, "GET", text, NULL, err);
    buf_finish(&path);
    return rc;
}

static int change(const struct words *words, const char *word, const char *id, struct err *err)
{
    static const struct {
        const char *word, *method, *first, *third;
    } rows[] = {{"ack", "POST", "alerts", "ack"},
                {"again", "POST", "deliveries", "again"},
                {"unsilence", "DELETE", "silences", NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].word, word) != 0)
            continue;
        struct buf path;
        buf_init(&path, 16384);
        const char *text = path_of(&path, rows[i].first, id, rows[i].third, NULL, 0);
        int rc = ask(words, rows[i].method, text, rows[i].third ? "{}" : NULL, err);
        buf_finish(&path);
        return rc;
    }
    return err_set(err, ERR_USAGE, "%s", usage);
}

static int silence(const struct words *words, const struct arguments *given, struct err *err)
{
    json_t *matchers = json_array();
    for (int i = 1; i < given->n; i++)
        json_array_append_new(matchers, json_string(given->words[i]));
    json_t *body = json_pack("{s:o}", "matchers", matchers);
    const char *const pairs[][2] = {
        {"duration", words->duration}, {"until", words->until}, {"comment", words->comment}};
    for (size_t i = 0; i < 3; i++) {
        if (pairs[i][1])
            json_object_set_new(body, pairs[i][0], json_string(pairs[i][1]));
    }
    AUTO_FREE char *text = body ? json_print(body) : NULL;
    json_decref(body);
    return text ? ask(words, "POST", "/api/v1/silences", text, err)
                : err_set(err, ERR_USAGE, "a matcher or the comment is not UTF-8");
}

/* With -c the message goes out from here; without, from the daemon, as real ones do. */
static int send_test(const struct words *words, const char *receiver, struct buf *answer,
                     struct err *err)
{
    if (words->config) {
        AUTO(config) struct config *config = NULL;
        AUTO(receiver_set) struct receiver_set *receivers = NULL;
        int rc = config_read(&config, words->config, err);
        if (!rc)
            rc = receiver_set_parse(&receivers, config, err);
        if (rc)
            return rc;
        const char *url = config->http.public_url ? config->http.public_url : "";
        return deliver_test(receivers, receiver, url, clock_system(), answer, err);
    }
    struct buf path;
    long status;
    buf_init(&path, 16384);
    struct client_request request = {
        .method = "POST",
        .path = path_of(&path, "receivers", receiver, "test", NULL, 0),
        .body = "{}",
        .timeout_s = 90,
    };
    int rc = client_call(&words->client, &request, &status, answer, err);
    if (!rc && status >= 400)
        rc = client_refused((const char *)answer->data, answer->size, status, err);
    buf_finish(&path);
    return rc;
}

static int tell_test(const char *text, size_t n, bool as_json, struct err *err)
{
    json_t *json = json_loadb(text, n, 0, NULL);
    const json_t *status = json_object_get(json, "status");
    const char *receiver = json_string_value(json_object_get(json, "receiver"));
    const char *problem = json_string_value(json_object_get(json, "problem"));
    const char *answer = json_string_value(json_object_get(json, "answer"));
    json_int_t code = json_integer_value(status);
    if (as_json)
        printf("%.*s\n", (int)n, text);
    else if (json_is_integer(status))
        printf("%s: HTTP %lld after %lld ms\n%s%s", receiver ? receiver : "", (long long)code,
               (long long)json_integer_value(json_object_get(json, "ms")), answer ? answer : "",
               answer && *answer ? "\n" : "");
    int rc = 0;
    if (!json)
        rc = err_set(err, ERR_IO, "the daemon's answer is not JSON");
    else if (code < 200 || code >= 300)
        rc = err_set(err, ERR_IO, "receiver %s did not take it: %s", receiver ? receiver : "",
                     problem ? problem : "no answer came");
    json_decref(json);
    return rc;
}

static int test_receiver(const struct words *words, const char *receiver, struct err *err)
{
    struct buf answer;
    buf_init(&answer, 1 << 20);
    int rc = send_test(words, receiver, &answer, err);
    if (!rc)
        rc = tell_test((const char *)answer.data, answer.size, words->json, err);
    buf_finish(&answer);
    return rc;
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

static int run(const struct words *words, const struct arguments *given, struct err *err)
{
    static const char *const shown[] = {"list", "rules", "history", "silences", "deliveries"};
    const char *word = given->n > 0 ? given->words[0] : "";
    if (given->n == 1 && is_one_of(word, shown, 5))
        return show(words, word, err);
    if (given->n >= 2 && strcmp(word, "silence") == 0)
        return silence(words, given, err);
    if (given->n == 2 && strcmp(word, "test") == 0)
        return test_receiver(words, given->words[1], err);
    if (given->n == 2)
        return change(words, word, given->words[1], err);
    return err_set(err, ERR_USAGE, "%s", usage);
}

int command_alert(int argc, char **argv)
{
    struct words w = {0};
    const struct option_row rows[] = {
        {.name = "url", .value = &w.client.url},
        {.name = "token-file", .value = &w.client.token_file},
        {.name = "config", .letter = 'c', .value = &w.config},
        {.name = "state", .value = &w.state},
        {.name = "alert", .value = &w.alert},
        {.name = "limit", .value = &w.limit},
        {.name = "duration", .value = &w.duration},
        {.name = "until", .value = &w.until},
        {.name = "comment", .value = &w.comment},
        {.name = "json", .flag = &w.json},
    };
    struct err err = {0};
    struct arguments given;
    if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), argc, argv, &given, &err) ||
        run(&w, &given, &err))
        return fail(&err);
    return 0;
}
