#include "abtest/actuator.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/experiment.h"
#include "common/http_out.h"
#include "common/template.h"
#include "common/text.h"

enum {
    MAX_ACTUATORS = 64,
    DEFAULT_TIMEOUT_MS = 5000,
    MAX_TIMEOUT_MS = 60000,
    DEFAULT_RECONCILE_MS = 10000,
    MIN_RECONCILE_MS = 1000,
    MAX_FIELD_BYTES = 3 * 256 + 1
};

static const char *const types[] = {"http", "file"};
static const char *const fields[] = {
    "weight",     "control_weight", "share",   "control_share", "weight_bp", "control_weight_bp",
    "experiment", "model",          "control", "treatment",     "seq"};

struct actuator_set {
    json_t *json;
    struct part part;
    struct actuator *actuators;
    size_t n;
};

/* --- reading --- */

static int check_template(struct part *part, const char *key, const char *text)
{
    struct err why = {0};
    return text && template_check(text, fields, sizeof(fields) / sizeof(fields[0]), &why)
               ? part_refuse(part, key, "%s", why.text)
               : 0;
}

static int read_template(struct part *part, const json_t *object, const char *key, const char **out)
{
    int rc = part_text(part, object, key, out);
    return rc ? rc : check_template(part, key, *out);
}

static int read_text(struct part *part, const json_t *object, struct actuator *a)
{
    const char *key = a->type == ACTUATOR_HTTP ? "body" : "template";
    const char *other = a->type == ACTUATOR_HTTP ? "template" : "body";
    int rc = read_template(part, object, key, &a->text);
    if (!rc && !a->text)
        rc = read_template(part, object, other, &a->text);
    if (!rc && !a->text)
        rc = part_refuse(part, key, "is missing");
    if (!rc)
        rc = read_template(part, object, "at_zero", &a->at_zero);
    if (!rc)
        rc = read_template(part, object, "at_full", &a->at_full);
    return rc;
}

static int read_url(struct part *part, const json_t *object, const char *key, const char **out)
{
    int rc = read_template(part, object, key, out);
    const char *problem = !rc && *out ? http_url_problem(*out) : NULL;
    return problem ? part_refuse(part, key, "%s", problem) : rc;
}

static int read_confirm(struct part *part, const json_t *object, struct actuator *a)
{
    static const char *const keys[] = {"url", "pointer", "equals"};
    const json_t *confirm = json_object_get(object, "confirm");
    if (!confirm)
        return 0;
    struct part inner = *part;
    size_t n = strlen(inner.where);
    snprintf(inner.where + n, sizeof(inner.where) - n, ".confirm");
    a->confirm.pointer = "";
    a->confirm.equals = "{{weight}}";
    int rc = json_is_object(confirm) ? part_keys(&inner, confirm, keys, 3)
                                     : part_refuse(part, "confirm", "must be {url, pointer}");
    if (!rc)
        rc = read_url(&inner, confirm, "url", &a->confirm.url);
    if (!rc && !a->confirm.url)
        rc = part_refuse(&inner, "url", "is missing");
    if (!rc)
        rc = part_text(&inner, confirm, "pointer", &a->confirm.pointer);
    if (!rc && *a->confirm.pointer && *a->confirm.pointer != '/')
        rc = part_refuse(&inner, "pointer", "\"%s\" is no JSON pointer such as /spec/weight",
                         a->confirm.pointer);
    return rc ? rc : read_template(&inner, confirm, "equals", &a->confirm.equals);
}

static int read_place(struct part *part, const json_t *object, struct actuator *a)
{
    static const char *const methods[] = {"PUT", "PATCH", "POST"};
    int method = 0;
    int rc = part_word(part, object, "method", methods, 3, &method);
    a->method = methods[method];
    if (!rc)
        rc = read_url(part, object, "url", &a->url);
    if (!rc)
        rc = part_text(part, object, "path", &a->path);
    if (!rc)
        rc = part_text(part, object, "notify_pid", &a->notify_pid);
    if (rc)
        return rc;
    if (a->type == ACTUATOR_HTTP)
        return !a->url         ? part_refuse(part, "url", "is missing")
               : a->path       ? part_refuse(part, "path", "belongs to type file")
               : a->notify_pid ? part_refuse(part, "notify_pid", "belongs to type file")
                               : 0;
    return !a->path          ? part_refuse(part, "path", "is missing")
           : *a->path != '/' ? part_refuse(part, "path", "\"%s\" must be absolute", a->path)
           : a->url          ? part_refuse(part, "url", "belongs to type http")
                             : 0;
}

static int read_times(struct part *part, const json_t *object, struct actuator *a)
{
    a->timeout_ms = DEFAULT_TIMEOUT_MS;
    a->reconcile_ms = DEFAULT_RECONCILE_MS;
    int rc = part_duration(part, object, "timeout", &a->timeout_ms);
    if (!rc && (a->timeout_ms < 100 || a->timeout_ms > MAX_TIMEOUT_MS))
        rc = part_refuse(part, "timeout", "must be in 100ms..60s");
    if (!rc)
        rc = part_duration(part, object, "reconcile", &a->reconcile_ms);
    if (!rc && a->reconcile_ms < MIN_RECONCILE_MS)
        rc = part_refuse(part, "reconcile", "must be at least 1s");
    return rc;
}

static int read_actuator(struct part *part, const json_t *object, struct actuator *a)
{
    static const char *const keys[] = {
        "name",          "experiment",   "type",      "url",        "method",
        "path",          "body",         "template",  "at_zero",    "at_full",
        "headers",       "content_type", "proxy",     "token_file", "ca_file",
        "allow_private", "timeout",      "reconcile", "confirm",    "notify_pid",
    };
    int type = 0;
    int rc = json_is_object(object) ? part_keys(part, object, keys, sizeof(keys) / sizeof(keys[0]))
                                    : part_refuse(part, "", "must be an object");
    if (!rc)
        rc = part_text(part, object, "name", &a->name);
    if (!rc)
        rc = part_text(part, object, "experiment", &a->experiment);
    if (!rc && (!a->name || !a->experiment))
        rc = part_refuse(part, a->name ? "experiment" : "name", "is missing");
    if (!rc)
        rc = part_word(part, object, "type", types, N_ACTUATOR_TYPES, &type);
    a->type = (enum actuator_type)type;
    if (!rc)
        rc = read_place(part, object, a);
    if (!rc)
        rc = read_text(part, object, a);
    if (!rc)
        rc = part_pairs(part, object, "headers", &a->headers, &a->n_headers);
    a->content_type = "application/json";
    const struct {
        const char *key;
        const char **at;
    } texts[] = {{"content_type", &a->content_type},
                 {"token_file", &a->token_file},
                 {"proxy", &a->proxy},
                 {"ca_file", &a->ca_file}};
    for (size_t i = 0; !rc && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = part_text(part, object, texts[i].key, texts[i].at);
    if (!rc)
        rc = part_flag(part, object, "allow_private", &a->allow_private);
    if (!rc)
        rc = read_times(part, object, a);
    return rc ? rc : read_confirm(part, object, a);
}

int actuator_set_parse(struct actuator_set **out, const struct config *config, struct err *err)
{
    AUTO(actuator_set) struct actuator_set *set = calloc(1, sizeof(*set));
    if (!set)
        return err_set(err, -ENOMEM, "actuators: no memory");
    set->part = (struct part){
        .path = config->path, .line = config->actuators.line, .where = "actuators", .err = err};
    set->json = json_loads(config->actuators.json, JSON_REJECT_DUPLICATES, NULL);
    size_t n = json_array_size(set->json);
    if (!json_is_array(set->json) || n > MAX_ACTUATORS)
        return part_refuse(&set->part, "", "must be a list of at most %d", MAX_ACTUATORS);
    set->actuators = calloc(n + 1, sizeof(*set->actuators));
    if (!set->actuators)
        return part_no_memory(&set->part);
    for (size_t i = 0; i < n; i++) {
        snprintf(set->part.where, sizeof(set->part.where), "actuators[%zu]", i);
        set->part.line = i < config->actuators.n_items ? config->actuators.item_lines[i]
                                                       : config->actuators.line;
        int rc = read_actuator(&set->part, json_array_get(set->json, i), &set->actuators[i]);
        for (size_t k = 0; !rc && k < i; k++)
            if (strcmp(set->actuators[k].name, set->actuators[i].name) == 0)
                rc = part_refuse(&set->part, "name", "\"%s\" is there twice",
                                 set->actuators[i].name);
        if (rc)
            return rc;
        set->n++;
    }
    set->part.err = NULL;
    *out = set; /* the caller owns it now */
    set = NULL;
    return 0;
}

void actuator_set_free(struct actuator_set *set)
{
    if (!set)
        return;
    part_finish(&set->part);
    free(set->actuators);
    json_decref(set->json);
    free(set);
}

size_t actuator_set_count(const struct actuator_set *set)
{
    return set ? set->n : 0;
}

const struct actuator *actuator_set_at(const struct actuator_set *set, size_t index)
{
    return &set->actuators[index];
}

/* --- writing --- */

enum place {
    IN_JSON,
    IN_URL,
    IN_FILE
};

struct rendering {
    const struct actuator_wish *wish;
    enum place place;
    char field[MAX_FIELD_BYTES]; /* of the last lookup */
    const char *refused;         /* a name that cannot stand there */
};

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("._:@+-", c));
}

static void escape(struct rendering *r, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;
    for (const char *c = name; *c && at + 7 < sizeof(r->field); c++) {
        bool plain = is_plain(*c) && !(r->place == IN_URL && strchr("+@:", *c));
        bool control = (unsigned char)*c < ' ';
        if (plain || (r->place == IN_JSON && !control && *c != '"' && *c != '\\')) {
            r->field[at++] = *c;
        } else if (r->place == IN_URL) {
            r->field[at++] = '%';
            r->field[at++] = digits[(unsigned char)*c >> 4];
            r->field[at++] = digits[(unsigned char)*c & 15];
        } else if (r->place == IN_FILE) {
            r->refused = name;
        } else {
            at += (size_t)snprintf(r->field + at, sizeof(r->field) - at, "\\u%04X",
                                   (unsigned)(unsigned char)*c);
        }
    }
    r->field[at] = '\0';
}

static const char *look_up(void *context, const char *field, size_t n_field, size_t *n)
{
    struct rendering *r = context;
    const struct actuator_wish *w = r->wish;
    long bp = lround(w->weight * 100);
    char name[32] = "";
    memcpy(name, field, n_field < sizeof(name) ? n_field : sizeof(name) - 1);
    if (strcmp(name, "weight") == 0)
        snprintf(r->field, sizeof(r->field), "%.10g", w->weight);
    else if (strcmp(name, "control_weight") == 0)
        snprintf(r->field, sizeof(r->field), "%.10g", 100 - w->weight);
    else if (strcmp(name, "share") == 0)
        snprintf(r->field, sizeof(r->field), "%.10g", w->weight / 100);
    else if (strcmp(name, "control_share") == 0)
        snprintf(r->field, sizeof(r->field), "%.10g", 1 - w->weight / 100);
    else if (strcmp(name, "weight_bp") == 0)
        snprintf(r->field, sizeof(r->field), "%ld", bp);
    else if (strcmp(name, "control_weight_bp") == 0)
        snprintf(r->field, sizeof(r->field), "%ld", 10000 - bp);
    else if (strcmp(name, "seq") == 0)
        snprintf(r->field, sizeof(r->field), "%lld", (long long)w->seq);
    else
        escape(r, strcmp(name, "experiment") == 0 ? w->experiment
                  : strcmp(name, "model") == 0    ? w->model
                  : strcmp(name, "control") == 0  ? w->control
                                                  : w->treatment);
    *n = strlen(r->field);
    return r->field;
}

static int render(const struct actuator *a, const char *text, enum place place,
                  const struct actuator_wish *wish, struct buf *out, struct err *err)
{
    struct rendering r = {.wish = wish, .place = place};
    template_render(out, text, look_up, &r);
    if (r.refused)
        return err_set(err, ERR_DATA, "actuator %s: \"%s\" cannot stand in a file", a->name,
                       r.refused);
    return buf_failed(out) ? err_set(err, -ENOMEM, "actuator %s: its text is too long", a->name)
                           : 0;
}

int actuator_render_url(const struct actuator *a, const struct actuator_wish *wish, struct buf *out,
                        struct err *err)
{
    int rc = render(a, a->url, IN_URL, wish, out, err);
    buf_u8(out, 0);
    return rc;
}

int actuator_render_confirm_url(const struct actuator *a, const struct actuator_wish *wish,
                                struct buf *out, struct err *err)
{
    int rc = render(a, a->confirm.url, IN_URL, wish, out, err);
    buf_u8(out, 0);
    return rc;
}

int actuator_render_text(const struct actuator *a, const struct actuator_wish *wish,
                         struct buf *out, struct err *err)
{
    const char *text = wish->weight <= 0 && a->at_zero     ? a->at_zero
                       : wish->weight >= 100 && a->at_full ? a->at_full
                                                           : a->text;
    return render(a, text, a->type == ACTUATOR_FILE ? IN_FILE : IN_JSON, wish, out, err);
}

/* --- confirming --- */

/* RFC 6901. NULL: nothing is there. */
static const json_t *follow(const json_t *at, const char *pointer)
{
    while (at && *pointer == '/') {
        char token[256];
        size_t n = 0;
        pointer++;
        while (*pointer && *pointer != '/' && n + 1 < sizeof(token)) {
            char c = *pointer++;
            if (c == '~' && (*pointer == '0' || *pointer == '1'))
                c = *pointer++ == '0' ? '~' : '/';
            token[n++] = c;
        }
        token[n] = '\0';
        if (json_is_array(at)) {
            char *end;
            unsigned long i = strtoul(token, &end, 10);
            at = n > 0 && *end == '\0' && token[0] != '-' ? json_array_get(at, i) : NULL;
        } else {
            at = json_object_get(at, token);
        }
    }
    return at;
}

static bool same_number(const char *a, const char *b)
{
    char *a_end, *b_end;
    double x = strtod(a, &a_end), y = strtod(b, &b_end);
    return a_end != a && b_end != b && *a_end == '\0' && *b_end == '\0' &&
           fabs(x - y) <= 1e-9 * fmax(1, fmax(fabs(x), fabs(y)));
}

static void put_found(char found[64], const json_t *value)
{
    if (json_is_string(value))
        snprintf(found, 64, "%.63s", json_string_value(value));
    else if (json_is_number(value))
        snprintf(found, 64, "%.10g", json_number_value(value));
    else
        snprintf(found, 64, "%s",
                 !value                  ? "nothing"
                 : json_is_true(value)   ? "true"
                 : json_is_false(value)  ? "false"
                 : json_is_null(value)   ? "null"
                 : json_is_object(value) ? "an object"
                                         : "a list");
}

bool actuator_confirms(const struct actuator *a, const struct actuator_wish *wish,
                       const char *answer, size_t n, char found[64])
{
    struct buf wanted;
    struct err err = {0};
    json_t *json = json_loadb(answer, n, JSON_DECODE_ANY, NULL);
    buf_init(&wanted, 4096);
    int rc = render(a, a->confirm.equals, IN_JSON, wish, &wanted, &err);
    buf_u8(&wanted, 0);
    if (json || *a->confirm.pointer) {
        put_found(found, follow(json, a->confirm.pointer));
    } else { /* plain text: without the blanks around it */
        while (n && strchr(" \r\n\t", answer[n - 1]))
            n--;
        snprintf(found, 64, "%.*s", (int)(n < 63 ? n : 63), answer);
    }
    bool same = !rc && !buf_failed(&wanted) &&
                (strcmp(found, (const char *)wanted.data) == 0 ||
                 same_number(found, (const char *)wanted.data));
    json_decref(json);
    buf_finish(&wanted);
    return same;
}
