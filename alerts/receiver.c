#include "alerts/receiver.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alerts/payload.h"
#include "common/http_out.h"
#include "common/template.h"
#include "common/text.h"

enum {
    MAX_RECEIVERS = 256,
    MAX_KEY_BYTES = 256, /* whsec_ and 64 bytes in Base64 are far less */
    DEFAULT_TIMEOUT_MS = 15000,
    MAX_TIMEOUT_MS = 60000
};

static const char *const types[] = {"webhook",      "slack", "pagerduty", "opsgenie",
                                    "alertmanager", "teams", "template"};

struct receiver_set {
    atomic_int holders; /* beside the first */
    json_t *json;
    struct part part;
    struct receiver *receivers;
    const char **names;
    size_t n;
};

const char *receiver_type_name(enum receiver_type type)
{
    return types[type];
}

/* The message names the file, never its content; part_keep'd. */
static int read_secret(struct part *part, const json_t *object, const char *key, const char **out)
{
    const char *path = NULL;
    int rc = part_text(part, object, key, &path);
    if (rc || !path)
        return rc;
    char *text = NULL;
    struct err why = {0};
    rc = config_secret_read(&text, path, &why);
    if (rc)
        return rc == -ENOMEM ? part_no_memory(part) : part_refuse(part, key, "%s", why.text);
    *out = part_keep(part, text);
    return *out ? 0 : part_no_memory(part);
}

static int read_keys(struct part *part, const json_t *object, struct receiver *receiver)
{
    const char *text = NULL;
    int rc = read_secret(part, object, "secret_file", &text);
    if (rc || !text)
        return rc;
    for (size_t n; *text; text += n + (text[n] != '\0')) {
        char line[MAX_KEY_BYTES];
        struct err why = {0};
        n = strcspn(text, "\r\n");
        if (n == 0)
            continue;
        if (receiver->n_keys == SIGN_MAX_KEYS)
            return part_refuse(part, "secret_file", "has more than %d secrets", SIGN_MAX_KEYS);
        snprintf(line, sizeof(line), "%.*s", n < sizeof(line) ? (int)n : 0, text);
        rc = sign_key_parse(&receiver->keys[receiver->n_keys], line, &why);
        OPENSSL_cleanse(line, sizeof(line));
        if (rc)
            return part_refuse(part, "secret_file", "%s", why.text);
        receiver->n_keys++;
    }
    return 0;
}

static int check_url(struct part *part, const char *key, const char *url)
{
    const char *problem = http_url_problem(url);
    if (!problem)
        return 0;
    /* a URL with a password inside is not shown */
    return strncmp(url, "http", 4) == 0 ? part_refuse(part, key, "%s", problem)
                                        : part_refuse(part, key, "\"%s\" %s", url, problem);
}

static int read_url(struct part *part, const json_t *object, struct receiver *receiver)
{
    int rc = part_text(part, object, "url", &receiver->url);
    if (rc)
        return rc;
    if (!receiver->url) /* a Slack or Teams URL is itself a secret */
        rc = read_secret(part, object, "url_file", &receiver->url);
    if (!rc && !receiver->url) {
        if (receiver->type == RECEIVER_PAGERDUTY)
            receiver->url = "https://events.pagerduty.com/v2/enqueue";
        else if (receiver->type == RECEIVER_OPSGENIE)
            receiver->url = "https://api.opsgenie.com";
        else
            rc = part_refuse(part, "url", "is missing");
    }
    return rc ? rc : check_url(part, "url", receiver->url);
}

static int read_body(struct part *part, const json_t *object, struct receiver *receiver)
{
    int rc = part_text(part, object, "body", &receiver->body);
    if (!rc)
        rc = part_text(part, object, "content_type", &receiver->content_type);
    if (!rc)
        rc = part_text(part, object, "method", &receiver->method);
    if (rc)
        return rc;
    if (!receiver->content_type)
        receiver->content_type = "application/json";
    if (!receiver->method)
        receiver->method = "POST";
    if (receiver->type != RECEIVER_TEMPLATE)
        return receiver->body ? part_refuse(part, "body", "belongs to type template") : 0;
    if (!receiver->body)
        return part_refuse(part, "body", "is missing");
    struct err why = {0};
    size_t n = 0;
    const char *const *fields = payload_fields(&n);
    return template_check(receiver->body, fields, n, &why)
               ? part_refuse(part, "body", "%s", why.text)
               : 0;
}

static int read_receiver(struct part *part, const json_t *object, struct receiver *receiver)
{
    static const char *const keys[] = {
        "name",       "type",         "url",     "url_file",         "secret_file",
        "token_file", "proxy",        "ca_file", "allow_private",    "timeout",
        "body",       "content_type", "method",  "routing_key_file", "api_key_file",
    };
    int type = RECEIVER_WEBHOOK;
    receiver->timeout_ms = DEFAULT_TIMEOUT_MS;
    int rc = part_keys(part, object, keys, sizeof(keys) / sizeof(keys[0]));
    if (!rc)
        rc = part_text(part, object, "name", &receiver->name);
    if (!rc && !receiver->name)
        rc = part_refuse(part, "", "needs `name`");
    if (!rc)
        rc = part_word(part, object, "type", types, N_RECEIVER_TYPES, &type);
    receiver->type = (enum receiver_type)type;
    if (!rc)
        rc = read_url(part, object, receiver);
    if (!rc)
        rc = part_text(part, object, "proxy", &receiver->proxy);
    if (!rc)
        rc = part_text(part, object, "ca_file", &receiver->ca_file);
    if (!rc)
        rc = part_flag(part, object, "allow_private", &receiver->allow_private);
    if (!rc)
        rc = part_duration(part, object, "timeout", &receiver->timeout_ms);
    if (!rc && (receiver->timeout_ms < 1000 || receiver->timeout_ms > MAX_TIMEOUT_MS))
        rc = part_refuse(part, "timeout", "must be in 1s..60s");
    if (!rc)
        rc = read_keys(part, object, receiver);
    static const char *const token_keys[] = {"token_file", "routing_key_file", "api_key_file"};
    for (size_t i = 0; i < 3 && !rc; i++)
        rc = read_secret(part, object, token_keys[i], &receiver->token);
    bool needs_token = receiver->type == RECEIVER_PAGERDUTY || receiver->type == RECEIVER_OPSGENIE;
    if (!rc && needs_token && !receiver->token)
        rc =
            part_refuse(part, "", "needs `%s`",
                        receiver->type == RECEIVER_PAGERDUTY ? "routing_key_file" : "api_key_file");
    return rc ? rc : read_body(part, object, receiver);
}

int receiver_set_parse(struct receiver_set **out, const struct config *config, struct err *err)
{
    AUTO(receiver_set) struct receiver_set *set = calloc(1, sizeof(*set));
    if (!set)
        return err_set(err, -ENOMEM, "receivers: no memory");
    set->part = (struct part){
        .path = config->path, .line = config->receivers.line, .where = "receivers", .err = err};
    json_error_t why;
    set->json = json_loads(config->receivers.json, JSON_REJECT_DUPLICATES, &why);
    size_t n = json_array_size(set->json);
    if (!json_is_array(set->json) || n > MAX_RECEIVERS)
        return part_refuse(&set->part, "", "must be a list of at most %d", MAX_RECEIVERS);
    set->receivers = calloc(n + 1, sizeof(*set->receivers));
    set->names = calloc(n + 1, sizeof(*set->names));
    if (!set->receivers || !set->names)
        return part_no_memory(&set->part);
    for (size_t i = 0; i < n; i++) {
        snprintf(set->part.where, sizeof(set->part.where), "receivers[%zu]", i);
        set->part.line = config->receivers.item_lines[i];
        struct receiver *receiver = &set->receivers[i];
        int rc = read_receiver(&set->part, json_array_get(set->json, i), receiver);
        if (rc)
            return rc;
        if (receiver_set_find(set, receiver->name))
            return part_refuse(&set->part, "name", "\"%s\" is there twice", receiver->name);
        set->names[i] = receiver->name;
        set->n++;
    }
    set->part.err = NULL;
    *out = set; /* the caller owns it now */
    set = NULL;
    return 0;
}

struct receiver_set *receiver_set_hold(struct receiver_set *set)
{
    atomic_fetch_add(&set->holders, 1);
    return set;
}

void receiver_set_free(struct receiver_set *set)
{
    if (!set || atomic_fetch_sub(&set->holders, 1) > 0)
        return;
    for (size_t i = 0; set->receivers && i < set->n; i++) {
        for (size_t k = 0; k < set->receivers[i].n_keys; k++)
            sign_key_wipe(&set->receivers[i].keys[k]);
    }
    for (size_t i = 0; i < set->part.n_memory; i++)
        OPENSSL_cleanse(set->part.memory[i], strlen(set->part.memory[i]));
    part_finish(&set->part);
    free(set->receivers);
    free(set->names);
    json_decref(set->json);
    free(set);
}

size_t receiver_set_count(const struct receiver_set *set)
{
    return set->n;
}

const struct receiver *receiver_set_at(const struct receiver_set *set, size_t index)
{
    return &set->receivers[index];
}

const struct receiver *receiver_set_find(const struct receiver_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->receivers[i].name, name) == 0)
            return &set->receivers[i];
    }
    return NULL;
}

const char *const *receiver_set_names(const struct receiver_set *set)
{
    return set->names;
}
