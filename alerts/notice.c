#include "alerts/notice.h"
#include "common/json_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    MAX_ALERTS_BYTES = 4 * 1024 * 1024,
    STATUS_BYTES = 24, /* what `"status":"resolved",` adds to an alert */
};

struct notice {
    struct buf alerts;      /* their JSON texts, as they are stored, each with its status */
    size_t n_alerts;        /* in it */
    char *name, *said, *at; /* of the first: its rule, its summary, its address */
    size_t n_firing, n_resolved;
    int64_t n_missed; /* older notifications that this one stands for */
    const char *group_key;
    const char *url;
    size_t max_bytes;
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

struct notice *notice_start(const char *group_key, const char *url, size_t max_bytes)
{
    struct notice *notice = calloc(1, sizeof(*notice));
    if (!notice)
        return NULL;
    notice->group_key = group_key;
    notice->url = url;
    notice->max_bytes = max_bytes;
    buf_init(&notice->alerts, MAX_ALERTS_BYTES);
    return notice;
}

void notice_free(struct notice *notice)
{
    if (!notice)
        return;
    buf_finish(&notice->alerts);
    free(notice->name);
    free(notice->said);
    free(notice->at);
    free(notice);
}

void notice_count(struct notice *notice, bool firing)
{
    *(firing ? &notice->n_firing : &notice->n_resolved) += 1;
}

void notice_missed(struct notice *notice, int64_t n)
{
    notice->n_missed = n;
}

static char *copy_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return strdup(text ? text : "");
}

static int keep_first(struct notice *notice, const char *alert_json)
{
    json_t *alert = json_loads(alert_json, 0, NULL);
    if (!alert)
        return -1;
    notice->name = copy_text(alert, "name");
    notice->said = copy_text(alert, "summary");
    notice->at = copy_text(alert, "url");
    json_decref(alert);
    return notice->name && notice->said && notice->at ? 0 : -1;
}

int notice_add(struct notice *notice, const char *alert_json, bool firing)
{
    size_t n = strlen(alert_json);
    struct buf *alerts = &notice->alerts;
    if (notice->n_alerts && alerts->size + n + STATUS_BYTES > notice->max_bytes)
        return NOTICE_FULL;
    notice_count(notice, firing);
    if (n < 2 || alert_json[0] != '{' || alert_json[n - 1] != '}' ||
        (!notice->n_alerts && keep_first(notice, alert_json)))
        return -1;
    buf_printf(alerts, "%s{\"status\":\"%s\"%s", notice->n_alerts ? "," : "",
               firing ? "firing" : "resolved", n > 2 ? "," : "");
    buf_bytes(alerts, alert_json + 1, n - 1);
    notice->n_alerts++;
    return buf_failed(alerts) ? -1 : 0;
}

static json_t *summary_of(const struct notice *notice)
{
    const char *said = notice->said ? notice->said : "";
    const char *status = notice->n_firing ? "FIRING" : "RESOLVED";
    char missed[80] = "";
    if (notice->n_missed)
        snprintf(missed, sizeof(missed), " (in place of %lld older notifications)",
                 (long long)notice->n_missed);
    if (notice->n_firing + notice->n_resolved == 1)
        return json_sprintf("[%s] %s: %s%s", status, notice->name ? notice->name : "", said,
                            missed);
    return json_sprintf("[%s] %zu firing, %zu resolved%s; first: %s", status, notice->n_firing,
                        notice->n_resolved, missed, said);
}

char *notice_finish(const struct notice *notice, int64_t at_ms, json_t *audit, const char **type)
{
    char id[NOTICE_ID_BYTES], all[1024] = "";
    notice_group_id(id, notice->group_key);
    *type = notice->n_firing ? "alert.firing" : "alert.resolved";
    size_t n = notice->n_firing + notice->n_resolved;
    if (n != 1 && *notice->url)
        snprintf(all, sizeof(all), "%s/#/alerts", notice->url);
    json_t *data = json_pack(
        "{s:s,s:I,s:s,s:s,s:s,s:o,s:I,s:I,s:I,s:O}", "type", *type, "at", (json_int_t)at_ms,
        "group", notice->group_key, "group_id", id, "url", n == 1 && notice->at ? notice->at : all,
        "summary", summary_of(notice), "firing", (json_int_t)notice->n_firing, "resolved",
        (json_int_t)notice->n_resolved, "more", (json_int_t)(n - notice->n_alerts), "audit", audit);
    if (data && notice->n_missed)
        json_object_set_new(data, "missed", json_integer((json_int_t)notice->n_missed));
    AUTO_FREE char *head = data ? json_print(data) : NULL;
    json_decref(data);
    if (!head)
        return NULL;
    struct buf out;
    buf_init(&out, 2 * MAX_ALERTS_BYTES);
    buf_bytes(&out, head, strlen(head) - 1); /* but its closing brace */
    buf_printf(&out, ",\"alerts\":[");
    buf_bytes(&out, notice->alerts.data, notice->alerts.size);
    buf_bytes(&out, "]}", 3); /* with its NUL */
    if (buf_failed(&out))
        buf_finish(&out);
    return (char *)out.data; /* the caller owns it now */
}
