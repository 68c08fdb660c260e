/*
 * The configuration hands the rules over as JSON text with the line of `alerts:`. Each key is
 * looked up in one table, so that an unknown one can be answered with the near match.
 */
#include "alerts/rule.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/rule_kinds.h"
#include "common/part.h"
#include "common/text.h"
#include "stats/metric_system.h"

enum {
    MAX_RULES = 10000,
    DEFAULT_WINDOW_MS = 3600000,
    AUDIT_EVERY_MS = 10 * 60 * 1000, /* the whole chain is read each time */
};

struct rule_set {
    const struct config *config; /* only while parsing */
    json_t *json;                /* owns every string of the rules */
    struct part part;            /* owns the arrays that the rules point to */
    struct alert_rule *rules;
    const struct alert_rule **by_name; /* sorted */
    size_t n;
};

static const char *const keys[] = {
    "name",        "model",   "version",         "segment",  "metric",
    "window",      "below",   "above",           "clear",    "for",
    "trend",       "points",  "keep_firing_for", "absent",   "relative_to",
    "min_count",   "no_data", "labels",          "interval", "annotations",
    "inhibit",     "mute",    "severity",        "lag",      "mature",
    "every",       "drift",   "feature",         "quality",  "experiment",
    "on",          "audit",   "mature_after",    "change",   "false_alarm_rate",
    "certificate",
};
enum {
    N_KEYS = sizeof(keys) / sizeof(keys[0])
};

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {"info", "warning", "error", "critical"};
    return names[severity];
}

static int read_minute(struct rule_set *set, const json_t *object, const char *key, int *out)
{
    const char *text = NULL;
    int rc = part_text(&set->part, object, key, &text);
    if (rc || !text)
        return rc;
    int hour = 0, minute = 0;
    char rest = 0;
    /* two digits each hold no number that is too large: NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(text, "%2d:%2d%c", &hour, &minute, &rest) != 2 || hour < 0 || hour > 24 ||
        minute < 0 || minute > 59 || hour * 60 + minute > 1440)
        return part_refuse(&set->part, key, "\"%s\" is not a time of day such as 22:30", text);
    *out = hour * 60 + minute;
    return 0;
}

static int read_days(struct rule_set *set, const json_t *window, unsigned *out)
{
    static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    const json_t *list = json_object_get(window, "days");
    *out = 0x7f;
    if (!list)
        return 0;
    *out = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *day = json_string_value(json_array_get(list, i));
        int d = 0;
        while (d < 7 && (!day || strcmp(days[d], day) != 0))
            d++;
        if (d == 7)
            return part_refuse(&set->part, "mute",
                               "days must be of sun, mon, tue, wed, thu, fri, sat");
        *out |= 1U << d;
    }
    return *out ? 0 : part_refuse(&set->part, "mute", "days must name at least one day");
}

static int read_mute(struct rule_set *set, const json_t *object, struct alert_rule *rule)
{
    const json_t *value = json_object_get(object, "mute");
    if (!value)
        return 0;
    if (!json_is_array(value))
        return part_refuse(&set->part, "mute", "must be a list of {days, from, to}");
    struct mute_window *windows =
        part_keep(&set->part, calloc(json_array_size(value) + 1, sizeof(*windows)));
    if (!windows)
        return part_no_memory(&set->part);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *window = json_array_get(value, i);
        windows[i].to_minute = 1440;
        int rc = read_days(set, window, &windows[i].days);
        if (!rc)
            rc = read_minute(set, window, "from", &windows[i].from_minute);
        if (!rc)
            rc = read_minute(set, window, "to", &windows[i].to_minute);
        if (rc)
            return rc;
    }
    rule->mute = windows;
    rule->n_mute = json_array_size(value);
    return 0;
}

bool rule_muted(const struct alert_rule *rule, int64_t now_ms)
{
    const int64_t day_ms = INT64_C(86400000);
    int64_t day = now_ms / day_ms;
    int minute = (int)(now_ms % day_ms / 60000);
    int weekday = (int)((day + 4) % 7); /* the epoch was a Thursday */
    for (size_t i = 0; i < rule->n_mute; i++) {
        const struct mute_window *w = &rule->mute[i];
        bool today = w->days >> weekday & 1;
        bool yesterday = w->days >> ((weekday + 6) % 7) & 1;
        if (w->from_minute < w->to_minute) {
            if (today && minute >= w->from_minute && minute < w->to_minute)
                return true;
        } else if ((today && minute >= w->from_minute) || (yesterday && minute < w->to_minute)) {
            return true;
        }
    }
    return false;
}

static int read_segment(struct rule_set *set, const json_t *object, struct alert_rule *rule)
{
    rule->slice = "";
    const json_t *segment = json_object_get(object, "segment");
    if (!segment)
        return 0;
    if (!json_is_object(segment) || json_object_size(segment) != 1)
        return part_refuse(&set->part, "segment", "must be one pair such as {country: de}");
    void *first = json_object_iter((json_t *)(uintptr_t)segment);
    const char *value = json_string_value(json_object_iter_value(first));
    if (!value)
        return part_refuse(&set->part, "segment", "%s must be text", json_object_iter_key(first));
    char *slice = NULL;
    if (asprintf(&slice, "%s=%s", json_object_iter_key(first), value) < 0 ||
        !part_keep(&set->part, slice))
        return part_no_memory(&set->part);
    rule->slice = slice;
    return 0;
}

static int read_timing(struct rule_set *set, const json_t *object, struct alert_rule *rule)
{
    static const char *const policies[] = {"keep", "alert", "ignore"};
    static const char *const severities[] = {"info", "warning", "error", "critical"};
    int policy = NO_DATA_KEEP, severity = SEVERITY_WARNING;
    int rc = part_duration(&set->part, object, "for", &rule->timing.for_ms);
    if (!rc)
        rc = part_duration(&set->part, object, "keep_firing_for", &rule->timing.keep_firing_for_ms);
    if (!rc)
        rc = part_word(&set->part, object, "no_data", policies, 3, &policy);
    if (!rc)
        rc = part_word(&set->part, object, "severity", severities, 4, &severity);
    rule->timing.no_data = (enum no_data_policy)policy;
    rule->severity = (enum severity)severity;
    return rc;
}

static int read_limits(struct rule_set *set, const json_t *object, struct alert_rule *rule)
{
    bool given = false;
    bool of_hosts = rule->metric && system_metric_is(rule->metric);
    double min_count = of_hosts ? 0 : 1; /* hosts speak of themselves without predictions too */
    int rc = part_number(&set->part, object, "min_count", &min_count, &given);
    if (!rc && ((given && min_count < 1) || min_count != floor(min_count)))
        return part_refuse(&set->part, "min_count", "%g is not a whole number above 0", min_count);
    rule->min_count = (int64_t)min_count;
    if (!rc)
        rc = part_number(&set->part, object, "mature", &rule->mature_share, &given);
    if (!rc && !(rule->mature_share >= 0 && rule->mature_share <= 1))
        return part_refuse(&set->part, "mature", "%g is not in 0..1", rule->mature_share);
    if (!rc)
        rc = part_duration(&set->part, object, "mature_after", &rule->mature_ms);
    if (!rc && rule->mature_ms % 60000)
        return part_refuse(&set->part, "mature_after", "must be whole minutes");
    rule->interval = true; /* where the metric has one */
    return rc ? rc : part_flag(&set->part, object, "interval", &rule->interval);
}

static int read_rule(struct rule_set *set, const json_t *object, struct alert_rule *rule)
{
    if (!json_is_object(object))
        return part_refuse(&set->part, "", "must be a map");
    int rc = part_keys(&set->part, object, keys, N_KEYS);
    if (!rc)
        rc = part_text(&set->part, object, "name", &rule->name);
    if (!rc && !rule->name)
        return part_refuse(&set->part, "", "needs `name`");
    if (!rc)
        rc = part_text(&set->part, object, "model", &rule->model);
    if (!rc)
        rc = part_text(&set->part, object, "version", &rule->version);
    if (!rc)
        rc = part_text(&set->part, object, "metric", &rule->metric);
    rule->window_ms = DEFAULT_WINDOW_MS;
    if (!rc)
        rc = part_duration(&set->part, object, "window", &rule->window_ms);
    if (!rc && (rule->window_ms <= 0 || rule->window_ms % 60000))
        return part_refuse(&set->part, "window", "must be whole minutes");
    rule->every_ms = json_object_get(object, "audit") ? AUDIT_EVERY_MS : 1000;
    if (!rc)
        rc = part_duration(&set->part, object, "every", &rule->every_ms);
    if (!rc && (rule->every_ms <= 0 || rule->every_ms % 1000))
        return part_refuse(&set->part, "every", "must be whole seconds");
    if (!rc)
        rc = read_segment(set, object, rule);
    if (!rc)
        rc = read_timing(set, object, rule);
    if (!rc)
        rc = read_limits(set, object, rule);
    if (!rc)
        rc = rule_check_segment(&set->part, set->config, rule);
    if (!rc)
        rc = rule_read_kind(&set->part, set->config, object, rule);
    if (!rc)
        rc = part_pairs(&set->part, object, "labels", &rule->labels, &rule->n_labels);
    if (!rc)
        rc =
            part_pairs(&set->part, object, "annotations", &rule->annotations, &rule->n_annotations);
    if (!rc)
        rc = part_names(&set->part, object, "inhibit", &rule->inhibit, &rule->n_inhibit);
    return rc ? rc : read_mute(set, object, rule);
}

static int by_name(const void *a, const void *b)
{
    const struct alert_rule *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order ? order : (*x > *y) - (*x < *y);
}

/* Refusals from here on are about this rule. */
static struct part *about(struct rule_set *set, const struct alert_rule *rule)
{
    size_t i = (size_t)(rule - set->rules);
    snprintf(set->part.where, sizeof(set->part.where), "alerts[%zu]", i);
    set->part.line = set->config->alerts.item_lines[i];
    return &set->part;
}

/* Names are unique, and `inhibit` names rules that exist: checked when all are read. */
static int check_names(struct rule_set *set)
{
    set->by_name = calloc(set->n + 1, sizeof(*set->by_name));
    if (!set->by_name)
        return part_no_memory(&set->part);
    for (size_t i = 0; i < set->n; i++)
        set->by_name[i] = &set->rules[i];
    qsort(set->by_name, set->n, sizeof(*set->by_name), by_name);
    for (size_t i = 1; i < set->n; i++) {
        if (strcmp(set->by_name[i - 1]->name, set->by_name[i]->name) == 0)
            return part_refuse(about(set, set->by_name[i]), "name", "\"%s\" is there twice",
                               set->by_name[i]->name);
    }
    for (size_t i = 0; i < set->n; i++) {
        const struct alert_rule *rule = &set->rules[i];
        for (size_t j = 0; j < rule->n_inhibit; j++) {
            if (!rule_set_find(set, rule->inhibit[j]))
                return part_refuse(about(set, rule), "inhibit", "no rule is named \"%s\"",
                                   rule->inhibit[j]);
        }
    }
    return 0;
}

int rule_set_parse(struct rule_set **out, const struct config *config, struct err *err)
{
    AUTO(rule_set) struct rule_set *set = calloc(1, sizeof(*set));
    if (!set)
        return err_set(err, -ENOMEM, "alerts: no memory");
    set->config = config;
    set->part = (struct part){.path = config->path, .line = config->alerts.line, .err = err};

    json_error_t why;
    set->json = json_loads(config->alerts.json, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_array(set->json))
        return err_set(err, ERR_DATA, "%s:%d: alerts: must be a list of rules", config->path,
                       config->alerts.line);
    size_t n = json_array_size(set->json);
    if (n > MAX_RULES)
        return err_set(err, ERR_DATA, "%s:%d: alerts: %zu rules are more than %d", config->path,
                       config->alerts.line, n, MAX_RULES);
    set->rules = calloc(n + 1, sizeof(*set->rules));
    if (!set->rules)
        return err_set(err, -ENOMEM, "alerts: no memory for %zu rules", n);
    for (; set->n < n; set->n++) {
        snprintf(set->part.where, sizeof(set->part.where), "alerts[%zu]", set->n);
        set->part.line = config->alerts.item_lines[set->n];
        int rc = read_rule(set, json_array_get(set->json, set->n), &set->rules[set->n]);
        if (rc)
            return rc;
    }
    int rc = check_names(set);
    if (rc)
        return rc;
    set->config = NULL;
    set->part.err = NULL;
    *out = set; /* the caller owns it now */
    set = NULL;
    return 0;
}

void rule_set_free(struct rule_set *set)
{
    if (!set)
        return;
    part_finish(&set->part);
    free(set->by_name);
    free(set->rules);
    json_decref(set->json);
    free(set);
}

size_t rule_set_count(const struct rule_set *set)
{
    return set->n;
}

const struct alert_rule *rule_set_at(const struct rule_set *set, size_t index)
{
    return &set->rules[index];
}

const struct alert_rule *rule_set_find(const struct rule_set *set, const char *name)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(set->by_name[middle]->name, name);
        if (order == 0)
            return set->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
