/* PagerDuty, Opsgenie and Alertmanager: programs that deduplicate and page by themselves. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "alerts/payload_forms.h"
#include "common/text.h"

enum {
    PAGERDUTY_SUMMARY = 1024, /* characters */
    OPSGENIE_MESSAGE = 130,
    OPSGENIE_DESCRIPTION = 15000,
    STAYS_MS = 4 * 60 * 1000, /* Alertmanager: 4 × the time between two sends */
};

static bool is_experiment(const json_t *data)
{
    return strncmp(form_text(data, "type"), "experiment.", strlen("experiment.")) == 0;
}

static bool is_acknowledged(const json_t *data)
{
    return strcmp(form_text(data, "type"), "alert.acknowledged") == 0;
}

static json_t *pagerduty_links(const json_t *data)
{
    const struct {
        const char *text, *href;
    } links[] = {{"Dashboard", form_text(data, "url")},
                 {"Runbook", form_runbook(form_first_alert(data))}};
    json_t *out = json_array();
    for (size_t i = 0; i < 2; i++) {
        if (*links[i].href)
            json_array_append_new(
                out, json_pack("{s:s,s:s}", "href", links[i].href, "text", links[i].text));
    }
    return out;
}

/* Steps and promotions are news, not incidents: PagerDuty calls them change events. */
static json_t *pagerduty_change(struct payload *out, const json_t *data,
                                const struct receiver *receiver)
{
    static const char tail[] = "/v2/enqueue";
    char time[TEXT_TIME_BYTES];
    const char *at = form_time(data, "at", time);
    size_t n = strlen(receiver->url), n_tail = sizeof(tail) - 1;
    if (n >= n_tail && strcmp(receiver->url + n - n_tail, tail) == 0)
        snprintf(out->url, sizeof(out->url), "%.*s/v2/change/enqueue", (int)(n - n_tail),
                 receiver->url);
    const char *summary = form_text(data, "summary");
    return json_pack("{s:s,s:{s:s%,s:s,s:s},s:o}", "routing_key", receiver->token, "payload",
                     "summary", summary, form_fit(summary, PAGERDUTY_SUMMARY), "timestamp",
                     at ? at : "", "source", "assay", "links", pagerduty_links(data));
}

json_t *form_pagerduty(struct payload *out, json_t *data, const struct receiver *receiver)
{
    const json_t *alert = form_first_alert(data);
    const char *severity = *form_text(alert, "severity") ? form_text(alert, "severity") : "info";
    if (is_experiment(data) && strcmp(severity, "info") == 0)
        return pagerduty_change(out, data, receiver);
    char dedup[256];
    snprintf(dedup, sizeof(dedup), "assay/%s", form_text(data, "group_id"));
    if (form_is_resolved(data) || is_acknowledged(data))
        return json_pack("{s:s,s:s,s:s}", "routing_key", receiver->token, "event_action",
                         form_is_resolved(data) ? "resolve" : "acknowledge", "dedup_key", dedup);
    char time[TEXT_TIME_BYTES];
    const char *at = form_time(data, "at", time), *summary = form_text(data, "summary");
    json_t *body =
        json_pack("{s:s,s:s,s:s,s:s,s:{s:s%,s:s,s:s,s:s,s:s,s:s,s:s,s:O},s:o}", "routing_key",
                  receiver->token, "event_action", "trigger", "dedup_key", dedup, "client", "Assay",
                  "payload", "summary", summary, form_fit(summary, PAGERDUTY_SUMMARY), "source",
                  *form_text(alert, "model") ? form_text(alert, "model") : "assay", "severity",
                  severity, "timestamp", at ? at : "", "component", form_text(alert, "model"),
                  "group", form_text(alert, "version"), "class", form_text(alert, "metric"),
                  "custom_details", data, "links", pagerduty_links(data));
    if (body && *form_text(data, "url"))
        json_object_set_new(body, "client_url", json_string(form_text(data, "url")));
    return body;
}

static json_t *opsgenie_details(const json_t *data, const json_t *alert)
{
    static const char *const keys[] = {"model",      "version", "segment", "metric",
                                       "confidence", "cause",   "action"};
    json_t *details = json_object();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (*form_text(alert, keys[i]))
            json_object_set_new(details, keys[i], json_string(form_text(alert, keys[i])));
    }
    if (*form_text(data, "url"))
        json_object_set_new(details, "dashboard", json_string(form_text(data, "url")));
    if (*form_runbook(alert))
        json_object_set_new(details, "runbook", json_string(form_runbook(alert)));
    return details;
}

/* What a person reads under the message: each alert's lines. */
static json_t *opsgenie_description(const json_t *data)
{
    struct buf text;
    buf_init(&text, 256 * 1024);
    size_t i;
    json_t *alert;
    json_array_foreach(json_object_get(data, "alerts"), i, alert)
    {
        static const char *const lines[] = {"summary", "confidence", "cause", "action", "url"};
        for (size_t l = 0; l < sizeof(lines) / sizeof(lines[0]); l++) {
            if (*form_text(alert, lines[l]))
                buf_printf(&text, "%s\n", form_text(alert, lines[l]));
        }
    }
    buf_u8(&text, 0);
    const char *all = text.data ? (const char *)text.data : "";
    json_t *out = json_stringn(all, form_fit(all, OPSGENIE_DESCRIPTION));
    buf_finish(&text);
    return out;
}

json_t *form_opsgenie(struct payload *out, const json_t *data)
{
    const json_t *alert = form_first_alert(data);
    const char *group = form_text(data, "group_id");
    if (form_is_resolved(data) || is_acknowledged(data)) {
        snprintf(out->url_suffix, sizeof(out->url_suffix), "/v2/alerts/%s/%s?identifierType=alias",
                 group, form_is_resolved(data) ? "close" : "acknowledge");
        return json_pack("{s:s,s:s}", "source", "Assay", "note", form_text(data, "summary"));
    }
    static const char *const priorities[][2] = {
        {"critical", "P1"}, {"error", "P2"}, {"warning", "P3"}, {"info", "P5"}};
    const char *priority = "P3";
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(priorities[i][0], form_text(alert, "severity")) == 0)
            priority = priorities[i][1];
    }
    const char *message = form_text(data, "summary");
    snprintf(out->url_suffix, sizeof(out->url_suffix), "/v2/alerts");
    return json_pack("{s:s%,s:s,s:o,s:s,s:s,s:s,s:o}", "message", message,
                     form_fit(message, OPSGENIE_MESSAGE), "alias", group, "description",
                     opsgenie_description(data), "entity", form_text(alert, "model"), "source",
                     "Assay", "priority", priority, "details", opsgenie_details(data, alert));
}

/* Alertmanager refuses a whole batch for one label name that is not [a-zA-Z_][a-zA-Z0-9_]*. */
static void set_label(json_t *labels, const char *name, const char *value)
{
    char plain[128];
    size_t n = 0;
    for (; name[n] && n < sizeof(plain) - 1; n++)
        plain[n] = isalpha((unsigned char)name[n]) || (n && isdigit((unsigned char)name[n]))
                       ? name[n]
                       : '_';
    plain[n] = '\0';
    if (n && *value)
        json_object_set_new(labels, plain, json_string(value));
}

/* All texts of `from`. */
static void set_labels(json_t *labels, json_t *from)
{
    const char *name;
    json_t *value;
    json_object_foreach(from, name, value)
    {
        if (json_is_string(value))
            set_label(labels, name, json_string_value(value));
    }
}

static json_t *alertmanager_labels(const json_t *alert)
{
    static const char *const identity[][2] = {{"alertname", "name"},    {"model", "model"},
                                              {"version", "version"},   {"segment", "segment"},
                                              {"severity", "severity"}, {"metric", "metric"}};
    json_t *labels = json_object();
    set_labels(labels, json_object_get(alert, "labels"));
    for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++)
        set_label(labels, identity[i][0], form_text(alert, identity[i][1]));
    return labels;
}

/* Values that change belong here: labels are the alert's identity. */
static json_t *alertmanager_annotations(const json_t *alert)
{
    static const char *const keys[] = {"summary", "cause", "action", "confidence"};
    json_t *annotations = json_object();
    set_labels(annotations, json_object_get(alert, "annotations"));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        set_label(annotations, keys[i], form_text(alert, keys[i]));
    json_object_set_new(annotations, "description",
                        json_sprintf("%s%s%s", form_text(alert, "cause"),
                                     *form_text(alert, "cause") ? "; " : "",
                                     form_text(alert, "action")));
    return annotations;
}

/*
 * A firing alert carries an end that the next send moves on, so that it ends by itself when nobody
 * sends any more. The end of a resolved one is when it was resolved, the same in each repeat.
 */
static json_t *alertmanager_alert(const json_t *alert, int64_t now_ms)
{
    const json_t *since = json_object_get(alert, "since"), *over = json_object_get(alert, "over");
    int64_t ends_ms = now_ms + STAYS_MS;
    if (!form_is_firing(alert))
        ends_ms = json_is_integer(over) ? json_integer_value(over) : now_ms;
    int64_t starts_ms = json_is_integer(since) ? json_integer_value(since) : now_ms;
    if (starts_ms > ends_ms || starts_ms < 0)
        starts_ms = ends_ms - 1;
    char starts[TEXT_TIME_BYTES], ends[TEXT_TIME_BYTES];
    json_t *out = json_pack("{s:o,s:o,s:s,s:s}", "labels", alertmanager_labels(alert),
                            "annotations", alertmanager_annotations(alert), "startsAt",
                            time_print(starts, starts_ms), "endsAt", time_print(ends, ends_ms));
    if (out && *form_text(alert, "url"))
        json_object_set_new(out, "generatorURL", json_string(form_text(alert, "url")));
    return out;
}

json_t *form_alertmanager(struct payload *out, const json_t *data, int64_t now_ms)
{
    json_t *body = json_array();
    size_t i;
    json_t *alert;
    snprintf(out->url_suffix, sizeof(out->url_suffix), "/api/v2/alerts");
    json_array_foreach(json_object_get(data, "alerts"), i, alert)
    {
        json_array_append_new(body, alertmanager_alert(alert, now_ms));
    }
    return body;
}
