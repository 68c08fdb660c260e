#include "web/gateway/settings.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/config_keys.h"
#include "common/text.h"
#include "web/target.h"

struct reading {
    const struct config *config;
    struct gateway_settings *out;
    size_t index;
    struct err *err;
};

static int refuse(const struct reading *r, const char *key, const char *form, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(const struct reading *r, const char *key, const char *form, ...)
{
    char text[300];
    const struct config_part *part = &r->config->gateway;
    va_list arguments;
    va_start(arguments, form);
    vsnprintf(text, sizeof(text), form, arguments);
    va_end(arguments);
    return err_set(r->err, ERR_DATA, "%s:%d: gateway[%zu]%s%s: %s", r->config->path,
                   r->index < part->n_items ? part->item_lines[r->index] : part->line, r->index,
                   *key ? "." : "", key, text);
}

static int read_text(const struct reading *r, const char *key, const char **out)
{
    json_t *value = json_object_get(r->out->json, key);
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value) || json_string_length(value) == 0)
        return refuse(r, key, "must be text");
    *out = json_string_value(value);
    return 0;
}

static int read_duration(const struct reading *r, const char *key, int64_t *out, int64_t most)
{
    const char *text = NULL;
    int rc = read_text(r, key, &text);
    if (rc || !text)
        return rc;
    int64_t ms;
    if (duration_parse(&ms, text, strlen(text)) || ms < 1 || ms > most)
        return refuse(r, key, "\"%.40s\" is no duration of 1ms to %s, as 500ms or 5s", text,
                      most == 3600000 ? "1h" : "10m");
    *out = ms;
    return 0;
}

static int read_number(const struct reading *r, const char *key, int64_t *out, int64_t least,
                       int64_t most)
{
    json_t *value = json_object_get(r->out->json, key);
    if (!value)
        return 0;
    int64_t number = json_is_integer(value) ? json_integer_value(value) : least - 1;
    if (number < least || number > most)
        return refuse(r, key, "must be a whole number of %lld to %lld", (long long)least,
                      (long long)most);
    *out = number;
    return 0;
}

static int read_size(const struct reading *r, const char *key, int64_t *out, int64_t most)
{
    json_t *value = json_object_get(r->out->json, key);
    if (!value)
        return 0;
    int64_t bytes = -1;
    const char *text = json_string_value(value);
    if (json_is_integer(value))
        bytes = json_integer_value(value);
    else if (!text || size_parse(&bytes, text, strlen(text)))
        bytes = -1;
    if (bytes < 1 || bytes > most)
        return refuse(r, key, "must be a size of 1B to 1GiB, as 8MiB");
    *out = bytes;
    return 0;
}

static int read_listen(const struct reading *r)
{
    struct gateway_settings *s = r->out;
    int rc = read_text(r, "listen", &s->listen);
    if (rc)
        return rc;
    if (!s->listen)
        return refuse(r, "listen", "is needed, as 127.0.0.1:8501");
    const char *colon = strrchr(s->listen, ':');
    int64_t port = -1;
    size_t n = colon ? (size_t)(colon - s->listen) : 0;
    if (!colon || n == 0 || n >= sizeof(s->address) ||
        int_parse(&port, colon + 1, strlen(colon + 1)) || port < 0 || port > 65535)
        return refuse(r, "listen", "\"%.80s\" is no address and port, as 127.0.0.1:8501",
                      s->listen);
    memcpy(s->address, s->listen, n);
    s->address[n] = '\0';
    s->port = (int)port;
    return 0;
}

static int read_tls(const struct reading *r)
{
    json_t *tls = json_object_get(r->out->json, "tls");
    if (!tls)
        return 0;
    r->out->tls_cert = json_string_value(json_object_get(tls, "cert"));
    r->out->tls_key = json_string_value(json_object_get(tls, "key"));
    if (!r->out->tls_cert || !r->out->tls_key || json_object_size(tls) != 2)
        return refuse(r, "tls", "needs cert and key, two paths");
    return 0;
}

static int read_place(const struct reading *r, const char *key, struct place *out)
{
    static const char *const kinds[] = {"header", "cookie", "pointer"};
    json_t *value = json_object_get(r->out->json, key);
    if (!value)
        return 0;
    for (int i = 0; i < 3; i++) {
        const char *name = json_string_value(json_object_get(value, kinds[i]));
        if (!name || json_object_size(value) != 1)
            continue;
        bool fits =
            i == 2 ? pointer_is_valid(name) : *name && header_is_clean(name, strlen(name), "", 0);
        if (!fits)
            return refuse(r, key, "\"%.80s\" is no %s", name,
                          i == 2 ? "JSON pointer, as /user/id" : "name");
        *out = (struct place){(enum place_kind)(PLACE_HEADER + i), name};
        return 0;
    }
    return refuse(r, key, "must be one of {header: NAME}, {cookie: NAME} and {pointer: /PATH}");
}

static int read_url(const struct reading *r, const char *version, const char *url, char **out)
{
    bool http = url && (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
    const char *host = http ? strstr(url, "://") + 3 : "";
    size_t n = strcspn(host, "/");
    bool clean = n > 0 && !memchr(host, '@', n) && !strpbrk(host, "?#");
    for (const char *c = host; *c; c++)
        clean &= *c > ' ' && *c < 0x7f;
    if (!clean)
        return refuse(r, "upstreams", "%.80s: \"%.200s\" is no address, as http://127.0.0.1:9001",
                      version, url ? url : "");
    *out = strdup(url);
    if (!*out)
        return err_set(r->err, -ENOMEM, "gateway: no memory for an upstream");
    for (size_t end = strlen(*out); (*out)[end - 1] == '/'; end--)
        (*out)[end - 1] = '\0';
    return 0;
}

static int read_upstream(const struct reading *r, const char *version, json_t *value)
{
    struct gateway_settings *s = r->out;
    if (!*version || strlen(version) > VERSION_MAX_BYTES ||
        !header_is_clean("x", 1, version, strlen(version)))
        return refuse(r, "upstreams", "\"%.80s\" is no version", version);
    struct upstream *up = &s->upstreams[s->n_upstreams++];
    up->version = version;
    if (json_is_string(value))
        return read_url(r, version, json_string_value(value), &up->base);
    const char *key;
    json_t *part;
    json_object_foreach(value, key, part)
    {
        if (strcmp(key, "path") == 0)
            up->path = json_string_value(part);
        else if (strcmp(key, "url") != 0)
            return refuse(r, "upstreams", "%.80s.%.80s: unknown key; known are url and path",
                          version, key);
    }
    if (json_object_get(value, "path") &&
        (!up->path || up->path[0] != '/' || strpbrk(up->path, " \t\r\n?#")))
        return refuse(r, "upstreams", "%.80s.path: must begin with / and have no ? and no blanks",
                      version);
    return read_url(r, version, json_string_value(json_object_get(value, "url")), &up->base);
}

static int read_upstreams(const struct reading *r)
{
    json_t *map = json_object_get(r->out->json, "upstreams");
    size_t n = json_object_size(map);
    if (n < 1 || n > UPSTREAMS_MAX)
        return refuse(r, "upstreams", "must have 1 to %d versions with their addresses",
                      UPSTREAMS_MAX);
    const char *version, *standard = NULL;
    json_t *value;
    int rc = 0;
    json_object_foreach(map, version, value)
    {
        rc = read_upstream(r, version, value);
        if (rc)
            return rc;
    }
    rc = read_text(r, "default", &standard);
    if (!rc && standard) {
        r->out->standard = upstream_find(r->out, standard);
        if (r->out->standard < 0)
            return refuse(r, "default", "\"%.80s\" is not among the upstreams", standard);
    }
    return rc;
}

static int read_fields(const struct reading *r, json_t *event, const char *key, struct fields *out)
{
    json_t *value = json_object_get(event, key);
    char path[40];
    snprintf(path, sizeof(path), "event.%s", key);
    if (!value)
        return 0;
    if (json_is_string(value)) {
        out->pointer = json_string_value(value);
        return pointer_is_valid(out->pointer)
                   ? 0
                   : refuse(r, path, "\"%.80s\" is no JSON pointer", out->pointer);
    }
    size_t n = json_object_size(value);
    if (n < 1 || n > FIELDS_MAX)
        return refuse(r, path, "must be a JSON pointer, or 1 to %d names with one each",
                      FIELDS_MAX);
    out->items = calloc(n, sizeof(*out->items));
    if (!out->items)
        return err_set(r->err, -ENOMEM, "gateway: no memory for %s", path);
    const char *name;
    json_t *pointer;
    json_object_foreach(value, name, pointer)
    {
        const char *text = json_string_value(pointer);
        if (!text || !pointer_is_valid(text))
            return refuse(r, path, "%.80s: must be a JSON pointer, as /instances/0/%.40s", name,
                          name);
        out->items[out->n++] = (struct field){name, text};
    }
    return 0;
}

static int read_event_key(const struct reading *r, const char *key, json_t *value)
{
    struct gateway_settings *s = r->out;
    const struct {
        const char *key;
        const char **pointer; /* NULL: read_fields reads it */
    } known[] = {{"features", NULL},   {"segment", NULL},      {"prediction", &s->prediction},
                 {"score", &s->score}, {"scores", &s->scores}, {"rows", &s->rows}};
    const size_t n = sizeof(known) / sizeof(*known);
    size_t i = 0;
    while (i < n && strcmp(known[i].key, key) != 0)
        i++;
    if (i == n)
        return refuse(r, "event",
                      "%.80s: unknown key; known are features, segment, prediction, score, scores "
                      "and rows",
                      key);
    if (!known[i].pointer)
        return 0;
    const char *text = json_string_value(value);
    if (!text || !pointer_is_valid(text))
        return refuse(r, "event", "%s: must be a JSON pointer into the %s", key,
                      known[i].pointer == &s->rows ? "request" : "answer");
    *known[i].pointer = text;
    return 0;
}

static int read_event(const struct reading *r)
{
    struct gateway_settings *s = r->out;
    json_t *event = json_object_get(s->json, "event"), *value;
    const char *key;
    int rc = 0;
    if (!event)
        return 0;
    if (!json_is_object(event))
        return refuse(r, "event", "must be a map");
    json_object_foreach(event, key, value)
    {
        rc = rc ? rc : read_event_key(r, key, value);
    }
    if (!rc)
        rc = read_fields(r, event, "features", &s->features);
    return rc ? rc : read_fields(r, event, "segment", &s->segment);
}

static int read_methods(const struct reading *r)
{
    struct gateway_settings *s = r->out;
    json_t *list = json_object_get(s->json, "methods"), *item;
    size_t i;
    if (!list) {
        s->methods[s->n_methods++] = "POST";
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) > 4)
        return refuse(r, "methods", "must be a list of GET, POST, PUT and PATCH");
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (!text || (strcmp(text, "GET") != 0 && strcmp(text, "POST") != 0 &&
                      strcmp(text, "PUT") != 0 && strcmp(text, "PATCH") != 0))
            return refuse(r, "methods", "must be a list of GET, POST, PUT and PATCH");
        s->methods[s->n_methods++] = text;
    }
    return 0;
}

/* Where events go: the topic named, or the first that Assay itself reads as they are. */
static int read_topic(const struct reading *r)
{
    struct gateway_settings *s = r->out;
    const struct config_kafka *kafka = &r->config->kafka;
    int rc = read_text(r, "topic", &s->topic);
    if (rc)
        return rc;
    if (s->topic && !kafka->brokers)
        return refuse(r, "topic", "there is no kafka.brokers to send to");
    for (size_t i = 0; !s->topic && kafka->brokers && i < kafka->n_topics; i++)
        if (strcmp(kafka->topics[i].format, "assay") == 0)
            s->topic = kafka->topics[i].name;
    if (!s->topic && kafka->brokers)
        return refuse(r, "topic", "none of kafka.topics has the format assay; name a topic here");
    return 0;
}

static int read_keys(const struct reading *r)
{
    const char *known[32];
    const size_t n = config_gateway.n_keys;
    assert(n <= sizeof(known) / sizeof(*known));
    for (size_t i = 0; i < n; i++)
        known[i] = config_gateway.keys[i].name;
    const char *key;
    json_t *value;
    json_object_foreach(r->out->json, key, value)
    {
        size_t i = 0;
        while (i < n && strcmp(known[i], key) != 0)
            i++;
        const char *near = i == n ? text_near(key, known, n) : NULL;
        if (i == n)
            return refuse(r, key, "unknown key%s%s%s", near ? "; did you mean " : "",
                          near ? near : "", near ? "?" : "");
    }
    value = json_object_get(r->out->json, "idempotent");
    if (value && !json_is_boolean(value))
        return refuse(r, "idempotent", "must be true or false");
    r->out->idempotent = json_is_true(value);
    return 0;
}

static int read_limits(const struct reading *r)
{
    struct gateway_settings *s = r->out;
    int rc = read_duration(r, "timeout", &s->timeout_ms, 3600000);
    if (!rc)
        rc = read_duration(r, "drain", &s->drain_ms, 600000);
    if (!rc)
        rc = read_size(r, "max_body", &s->max_body_bytes, 1 << 30);
    if (!rc)
        rc = read_number(r, "max_concurrent", &s->max_concurrent, 1, 100000);
    if (!rc)
        rc = read_number(r, "connections", &s->connections, 1, 100000);
    if (!rc)
        rc = read_number(r, "threads", &s->threads, 1, 64);
    return rc ? rc : read_number(r, "error_status", &s->error_status, 400, 600);
}

/* An experiment of the same file must find both of its versions here. */
static int check_experiments(const struct reading *r)
{
    const struct gateway_settings *s = r->out;
    json_t *list = json_loads(r->config->experiments.json, 0, NULL), *item;
    size_t i;
    int rc = 0;
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *model = json_string_value(json_object_get(item, "model"));
        bool named = s->experiment && name && strcmp(name, s->experiment) == 0;
        bool meant = !s->experiment && model && strcmp(model, s->model) == 0;
        if (named && model && strcmp(model, s->model) != 0)
            rc = refuse(r, "experiment", "%.80s is about model %.80s, not %.80s", name, model,
                        s->model);
        for (int arm = 0; !rc && (named || meant) && arm < 2; arm++) {
            const char *version =
                json_string_value(json_object_get(item, arm ? "treatment" : "control"));
            if (version && upstream_find(s, version) < 0)
                rc = refuse(r, "upstreams", "%s %.80s of experiment %.80s is missing",
                            arm ? "treatment" : "control", version, name ? name : "");
        }
        if (rc)
            break;
    }
    json_decref(list);
    return rc;
}

static int read_item(const struct reading *r)
{
    struct gateway_settings *s = r->out;
    if (!json_is_object(s->json))
        return refuse(r, "", "must be a map");
    int rc = read_keys(r);
    if (!rc)
        rc = read_listen(r);
    if (!rc)
        rc = read_tls(r);
    if (!rc)
        rc = read_text(r, "ca", &s->ca);
    if (!rc)
        rc = read_text(r, "model", &s->model);
    if (!rc && !s->model)
        return refuse(r, "model", "is needed: whose versions are served");
    if (!rc)
        rc = read_text(r, "experiment", &s->experiment);
    if (!rc)
        rc = read_place(r, "unit", &s->unit);
    if (!rc)
        rc = read_place(r, "id", &s->id);
    if (!rc)
        rc = read_upstreams(r);
    if (!rc)
        rc = read_limits(r);
    if (!rc)
        rc = read_methods(r);
    if (!rc)
        rc = read_event(r);
    if (!rc)
        rc = read_topic(r);
    return rc ? rc : check_experiments(r);
}

static int add_item(struct gateway_list *out, const struct config *config, json_t *json,
                    struct err *err)
{
    struct gateway_settings *s = calloc(1, sizeof(*s));
    struct reading r = {config, s, out->n, err};
    if (!s)
        return err_set(err, -ENOMEM, "gateway: no memory for its settings");
    atomic_init(&s->references, 1);
    s->json = json_incref(json);
    s->timeout_ms = 5000;
    s->drain_ms = 10000;
    s->max_body_bytes = 8 << 20;
    s->max_concurrent = 256;
    s->connections = 1000;
    s->threads = 2;
    s->error_status = 400;
    out->items[out->n++] = s;
    int rc = read_item(&r);
    for (size_t i = 0; !rc && i + 1 < out->n; i++)
        if (s->port && strcmp(out->items[i]->listen, s->listen) == 0)
            rc = refuse(&r, "listen", "%.80s is taken by gateway[%zu]", s->listen, i);
    return rc;
}

int gateway_settings_read(struct gateway_list *out, const struct config *config, struct err *err)
{
    *out = (struct gateway_list){.n = 0};
    json_t *list = json_loads(config->gateway.json, 0, NULL), *item;
    size_t i;
    int rc = 0;
    if (json_array_size(list) > GATEWAYS_MAX)
        rc = err_set(err, ERR_DATA, "%s:%d: gateway: more than %d", config->path,
                     config->gateway.line, GATEWAYS_MAX);
    json_array_foreach(list, i, item)
    {
        if (!rc)
            rc = add_item(out, config, item, err);
    }
    json_decref(list);
    if (rc)
        gateway_list_finish(out);
    return rc;
}

void gateway_list_finish(struct gateway_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        settings_drop(list->items[i]);
    *list = (struct gateway_list){.n = 0};
}

struct gateway_settings *settings_take(struct gateway_settings *settings)
{
    atomic_fetch_add(&settings->references, 1);
    return settings;
}

void settings_drop(struct gateway_settings *settings)
{
    if (!settings || atomic_fetch_sub(&settings->references, 1) > 1)
        return;
    for (size_t i = 0; i < settings->n_upstreams; i++)
        free(settings->upstreams[i].base);
    free(settings->features.items);
    free(settings->segment.items);
    json_decref(settings->json);
    free(settings);
}

int upstream_find(const struct gateway_settings *settings, const char *version)
{
    for (size_t i = 0; i < settings->n_upstreams; i++)
        if (strcmp(settings->upstreams[i].version, version) == 0)
            return (int)i;
    return -1;
}
