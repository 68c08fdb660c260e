#include "alerts/page_url.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "storage/drift_components.h"

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void write_escaped(struct buf *out, const char *text)
{
    while (*text) {
        size_t n = 0;
        while (is_plain(text[n]))
            n++;
        buf_bytes(out, text, n);
        text += n;
        if (*text)
            buf_printf(out, "%%%02X", (unsigned char)*text++);
    }
}

static void write_param(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_text(out, name);
    write_escaped(out, value);
}

void page_url_release(struct buf *out, const char *url, const char *experiment)
{
    if (!*url)
        return;
    buf_text(out, url);
    buf_text(out, "/#/releases");
    if (*experiment)
        buf_text(out, "/");
    write_escaped(out, experiment);
}

static const char *experiment_of(const struct alert_rule *rule, const struct reading *reading)
{
    bool any = strcmp(rule->experiment, "any") == 0;
    return reading->experiment[0] ? reading->experiment : any ? "" : rule->experiment;
}

/* As the Drift page names its rows. */
static const char *row_of(const char *feature)
{
    return is_of_components(feature) ? "all features together" : feature;
}

static bool shows_features(const struct alert_rule *rule)
{
    return rule->kind == RULE_DRIFT || rule->kind == RULE_QUALITY;
}

/* The page of the model that shows it, with what is to be looked at there; windows and slices are
   the same on both. */
static void write_page(struct buf *out, const struct alert_rule *rule)
{
    char window[TEXT_DURATION_BYTES];
    buf_text(out, "/#/models/");
    write_escaped(out, rule->model);
    buf_text(out, shows_features(rule) ? "/drift?window=" : "?window=");
    buf_text(out, duration_print(window, rule->window_ms));
    if (rule->kind == RULE_QUALITY)
        buf_text(out, rule->quality == QUALITY_MISSING ? "&statistic=missing_rate"
                                                       : "&statistic=invalid_rate");
    write_param(out, "&metrics=", rule->metric);
    write_param(out, "&feature=", row_of(rule->feature));
    write_param(out, "&version=", rule->version);
}

static void write_model(struct buf *out, const struct alert_rule *rule,
                        const struct reading *reading)
{
    char slice[512];
    int64_t length_ms = reading->end_ms - reading->start_ms;
    snprintf(slice, sizeof(slice), "%s", rule->slice ? rule->slice : "");
    char *equals = strchr(slice, '=');
    if (equals)
        *equals = ':';
    write_page(out, rule);
    write_param(out, "&segment=", slice);
    buf_text(out, "&from=");
    buf_decimal(out, reading->start_ms - 11 * length_ms);
    buf_text(out, "&to=");
    buf_decimal(out, reading->end_ms);
    if (shows_features(rule)) {
        buf_text(out, "&at=");
        buf_decimal(out, reading->start_ms);
    }
}

void page_url_alert(struct buf *out, const char *url, const struct alert_rule *rule,
                    const struct reading *reading)
{
    if (!*url)
        return;
    if (rule->kind == RULE_EXPERIMENT) {
        page_url_release(out, url, experiment_of(rule, reading));
        return;
    }
    buf_text(out, url);
    if (rule->model)
        write_model(out, rule, reading);
    else
        buf_text(out, rule->kind == RULE_LAG ? "/#/system" : "/#/alerts");
}
