#include "alerts/notice.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/template.h"
#include "common/text.h"

struct notice {
    json_t *alerts;
    size_t n_firing, n_resolved;
    const char *group_key;
    const char *url;
    size_t n_bytes, max_bytes;
};

static void print_hash(char out[NOTICE_ID_BYTES], XXH64_hash_t hash)
{
    snprintf(out, NOTICE_ID_BYTES, "%016llx", (unsigned long long)hash);
}

void notice_id(char out[NOTICE_ID_BYTES], const struct alert_rule *rule)
{
    struct buf text;
    buf_init(&text, 16 * 1024);
    const char *const parts[] = {rule->name, rule->model, rule->version, rule->slice, rule->metric};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        buf_printf(&text, "%s\x1f", parts[i] ? parts[i] : "");
    print_hash(out, XXH3_64bits(text.data, text.size));
    buf_finish(&text);
}

void notice_group_id(char out[NOTICE_ID_BYTES], const char *group_key)
{
    print_hash(out, XXH3_64bits(group_key, strlen(group_key)));
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct part_pair *)a)->key, ((const struct part_pair *)b)->key);
}

size_t notice_labels(const struct alert_rule *rule, struct part_pair *pairs)
{
    size_t n = 0;
    pairs[n++] = (struct part_pair){"alertname", rule->name};
    pairs[n++] = (struct part_pair){"severity", severity_name(rule->severity)};
    if (rule->model)
        pairs[n++] = (struct part_pair){"model", rule->model};
    if (rule->version)
        pairs[n++] = (struct part_pair){"version", rule->version};
    if (rule->slice && *rule->slice)
        pairs[n++] = (struct part_pair){"segment", rule->slice};
    if (rule->metric)
        pairs[n++] = (struct part_pair){"metric", rule->metric};
    for (size_t i = 0; i < rule->n_labels && n < NOTICE_MAX_LABELS; i++)
        pairs[n++] = rule->labels[i];
    qsort(pairs, n, sizeof(*pairs), by_key);
    return n;
}

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static const char *lookup_field(void *context, const char *field, size_t n_field, size_t *n)
{
    const json_t *alert = context;
    static __thread char number[TEXT_NUMBER_BYTES];
    char name[96] = "";
    if (n_field >= sizeof(name))
        return NULL;
    memcpy(name, field, n_field);
    const json_t *value = json_object_get(alert, name);
    if (json_is_string(value)) {
        *n = json_string_length(value);
        return json_string_value(value);
    }
    if (!json_is_number(value))
        return NULL;
    number_print(number, round(json_number_value(value) * 1e6) / 1e6);
    *n = strlen(number);
    return number;
}

static void add_annotations(json_t *alert, const struct alert_rule *rule)
{
    json_t *annotations = json_object();
    for (size_t i = 0; i < rule->n_annotations; i++) {
        struct buf text;
        buf_init(&text, 8192);
        template_render(&text, rule->annotations[i].value, lookup_field, alert);
        json_object_set_new(annotations, rule->annotations[i].key,
                            json_stringn((const char *)text.data, text.size));
        buf_finish(&text);
    }
    json_object_set_new(alert, "annotations", annotations);
}

static json_t *label_object(const struct alert_rule *rule)
{
    struct part_pair pairs[NOTICE_MAX_LABELS];
    size_t n = notice_labels(rule, pairs);
    json_t *labels = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(labels, pairs[i].key, json_string(pairs[i].value));
    return labels;
}

/* What may be cut in the midst of a character still becomes JSON. */
static json_t *sentence(const char *text)
{
    size_t n = text_fit(text, strlen(text));
    if (text_is_utf8(text, n))
        return json_stringn(text, n);
    char plain[512];
    size_t i = 0;
    for (; i < n && i < sizeof(plain) - 1; i++)
        plain[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    return json_stringn(plain, i);
}

static void write_escaped(struct buf *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_u8(out, (uint8_t)*text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

static void write_param(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf(out, "&%s=", name);
    write_escaped(out, value);
}

json_t *notice_model_url(const char *url, const char *model, const char *version)
{
    if (!*url)
        return json_string("");
    struct buf out;
    buf_init(&out, 16 * 1024);
    buf_printf(&out, "%s/#/models/", url);
    write_escaped(&out, model);
    if (version && *version) {
        buf_printf(&out, "?version=");
        write_escaped(&out, version);
    }
    json_t *text = buf_failed(&out) ? NULL : json_stringn((const char *)out.data, out.size);
    buf_finish(&out);
    return text;
}

/* The page's own address of the model, version, slice and window (web/ui/alerts_list.js). */
static json_t *page_url(const struct alert_rule *rule, const struct reading *reading,
                        const char *url)
{
    if (!*url)
        return json_string("");
    if (!rule->model)
        return json_sprintf("%s/#/alerts", url);
    char window[TEXT_DURATION_BYTES], slice[512];
    int64_t length_ms = reading->end_ms - reading->start_ms;
    snprintf(slice, sizeof(slice), "%s", rule->slice ? rule->slice : "");
    char *equals = strchr(slice, '=');
    if (equals)
        *equals = ':';
    struct buf out;
    buf_init(&out, 16 * 1024);
    buf_printf(&out, "%s/#/models/", url);
    write_escaped(&out, rule->model);
    bool of_features = rule->kind == RULE_DRIFT || rule->kind == RULE_QUALITY;
    buf_printf(&out, "%s?window=%s", of_features ? "/drift" : "",
               duration_print(window, rule->window_ms));
    write_param(&out, "metrics", rule->metric);
    write_param(&out, "version", rule->version);
    write_param(&out, "segment", slice);
    buf_printf(&out, "&from=%lld&to=%lld", (long long)(reading->start_ms - 11 * length_ms),
               (long long)reading->end_ms);
    json_t *text = buf_failed(&out) ? NULL : json_stringn((const char *)out.data, out.size);
    buf_finish(&out);
    return text ? text : json_string("");
}

static json_t *confidence(const struct alert_rule *rule, const struct reading *reading)
{
    if (reading->confidence[0] || !isfinite(reading->value))
        return sentence(reading->confidence);
    if (!isfinite(reading->lower) || !isfinite(reading->upper))
        return reading->n > 0 ? json_sprintf("no interval is known; n %lld", (long long)reading->n)
                              : json_string("");
    bool whole = rule->relative_to == RELATIVE_NONE &&
                 (rule->above ? reading->lower > rule->level : reading->upper < rule->level);
    return json_sprintf("95%% interval %.4g to %.4g%s, n %lld", reading->lower, reading->upper,
                        whole ? ", all of it beyond the level" : "", (long long)reading->n);
}

char *notice_alert(const struct alert_rule *rule, const struct notice_facts *facts)
{
    static const struct background unknown = {.cause = "", .action = ""};
    const struct background *background = facts->background ? facts->background : &unknown;
    const struct reading *reading = facts->reading;
    char id[NOTICE_ID_BYTES];
    notice_id(id, rule);
    json_t *alert =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:o,s:o}", "key", id,
                  "name", rule->name, "severity", severity_name(rule->severity), "model",
                  rule->model ? rule->model : "", "version", rule->version ? rule->version : "",
                  "segment", rule->slice ? rule->slice : "", "metric",
                  rule->metric ? rule->metric : "", "value", number_or_null(reading->value),
                  "lower", number_or_null(reading->lower), "upper", number_or_null(reading->upper),
                  "level", number_or_null(rule->level), "n", (json_int_t)reading->n, "labelled",
                  (json_int_t)reading->labelled, "since", (json_int_t)facts->state->bad_since_ms,
                  "url", page_url(rule, reading, facts->url), "labels", label_object(rule));
    if (!alert)
        return NULL;
    json_object_set_new(alert, "window",
                        json_pack("{s:I,s:I}", "start", (json_int_t)reading->start_ms, "end",
                                  (json_int_t)reading->end_ms));
    if (rule->relative_to != RELATIVE_NONE) /* level and value are changes, not values */
        json_object_set_new(alert, "relative", json_true());
    if (facts->over_ms >= 0)
        json_object_set_new(alert, "over", json_integer((json_int_t)facts->over_ms));
    json_object_set_new(alert, "flapping", json_boolean(facts->state->flapping));
    json_t *why = sentence(reading->why);
    const char *about = rule->model ? rule->model : rule->kind == RULE_LAG ? "collector" : "Assay";
    json_object_set_new(alert, "summary",
                        json_sprintf("%s%s%s%s%s: %s", about, rule->version ? " " : "",
                                     rule->version ? rule->version : "",
                                     rule->slice && *rule->slice ? " " : "",
                                     rule->slice ? rule->slice : "", json_string_value(why)));
    json_decref(why);
    json_object_set_new(alert, "confidence", confidence(rule, reading));
    json_object_set_new(alert, "cause", sentence(background->cause));
    json_object_set_new(alert, "action", sentence(background->action));
    add_annotations(alert, rule);
    char *text = json_dumps(alert, JSON_COMPACT);
    json_decref(alert);
    return text;
}

struct notice *notice_start(const char *group_key, const char *url, size_t max_bytes)
{
    struct notice *notice = calloc(1, sizeof(*notice));
    if (!notice)
        return NULL;
    notice->group_key = group_key;
    notice->url = url;
    notice->max_bytes = max_bytes;
    notice->alerts = json_array();
    return notice;
}

void notice_count(struct notice *notice, bool firing)
{
    *(firing ? &notice->n_firing : &notice->n_resolved) += 1;
}

int notice_add(struct notice *notice, const char *alert_json, bool firing)
{
    size_t n_bytes = strlen(alert_json) + 24; /* with the status that is added */
    if (json_array_size(notice->alerts) && notice->n_bytes + n_bytes > notice->max_bytes)
        return NOTICE_FULL;
    notice_count(notice, firing);
    notice->n_bytes += n_bytes;
    json_t *alert = json_loads(alert_json, 0, NULL);
    if (!alert)
        return -1;
    json_object_set_new(alert, "status", json_string(firing ? "firing" : "resolved"));
    return json_array_append_new(notice->alerts, alert);
}

char *notice_finish(struct notice *notice, int64_t at_ms, const char **type)
{
    char id[NOTICE_ID_BYTES];
    notice_group_id(id, notice->group_key);
    *type = notice->n_firing ? "alert.firing" : "alert.resolved";
    size_t n = notice->n_firing + notice->n_resolved;
    const json_t *first = json_array_get(notice->alerts, 0);
    const char *said = json_string_value(json_object_get(first, "summary"));
    const char *name = json_string_value(json_object_get(first, "name"));
    const char *url = json_string_value(json_object_get(first, "url"));
    char all[1024] = "";
    if (n != 1 && *notice->url)
        snprintf(all, sizeof(all), "%s/#/alerts", notice->url);
    url = n == 1 ? url : all;
    json_t *summary = n == 1 ? json_sprintf("[%s] %s: %s", notice->n_firing ? "FIRING" : "RESOLVED",
                                            name ? name : "", said ? said : "")
                             : json_sprintf("[%s] %zu firing, %zu resolved; first: %s",
                                            notice->n_firing ? "FIRING" : "RESOLVED",
                                            notice->n_firing, notice->n_resolved, said ? said : "");
    json_t *data = json_pack(
        "{s:s,s:I,s:s,s:s,s:s,s:o,s:I,s:I,s:I,s:O}", "type", *type, "at", (json_int_t)at_ms,
        "group", notice->group_key, "group_id", id, "url", url ? url : "", "summary", summary,
        "firing", (json_int_t)notice->n_firing, "resolved", (json_int_t)notice->n_resolved, "more",
        (json_int_t)(n - json_array_size(notice->alerts)), "alerts", notice->alerts);
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
    json_decref(data);
    json_decref(notice->alerts);
    free(notice);
    return text;
}
