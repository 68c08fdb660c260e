#include "alerts/page_url.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

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

void page_url_model(struct buf *out, const char *url, const char *model, const char *version)
{
    if (!*url)
        return;
    buf_text(out, url);
    buf_text(out, "/#/models/");
    write_escaped(out, model);
    if (version && *version) {
        buf_text(out, "?version=");
        write_escaped(out, version);
    }
}

void page_url_alert(struct buf *out, const char *url, const struct alert_rule *rule,
                    const struct reading *reading)
{
    if (!*url)
        return;
    if (!rule->model) {
        buf_printf(out, "%s/#/alerts", url);
        return;
    }
    char window[TEXT_DURATION_BYTES], slice[512];
    int64_t length_ms = reading->end_ms - reading->start_ms;
    snprintf(slice, sizeof(slice), "%s", rule->slice ? rule->slice : "");
    char *equals = strchr(slice, '=');
    if (equals)
        *equals = ':';
    bool of_features = rule->kind == RULE_DRIFT || rule->kind == RULE_QUALITY;
    page_url_model(out, url, rule->model, NULL);
    buf_text(out, of_features ? "/drift?window=" : "?window=");
    buf_text(out, duration_print(window, rule->window_ms));
    write_param(out, "&metrics=", rule->metric);
    write_param(out, "&version=", rule->version);
    write_param(out, "&segment=", slice);
    buf_text(out, "&from=");
    buf_decimal(out, reading->start_ms - 11 * length_ms);
    buf_text(out, "&to=");
    buf_decimal(out, reading->end_ms);
}
