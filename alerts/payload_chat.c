/* Slack (Block Kit in an attachment, which gives the colour bar) and Microsoft Teams (Adaptive
 * Card): what a person reads, with the links. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alerts/payload_forms.h"
#include "common/text.h"

enum {
    MAX_SHOWN = 10, /* alerts in one message: Slack takes 50 blocks */
    SLACK_HEADER = 150,
    SLACK_SECTION = 2900, /* its limit is 3,000 characters; room for "…" */
};

/* Slack's mrkdwn gives a meaning to & < > only. */
static void slack_escape(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_printf(out, "&amp;");
        else if (*text == '<')
            buf_printf(out, "&lt;");
        else if (*text == '>')
            buf_printf(out, "&gt;");
        else
            buf_u8(out, (uint8_t)*text);
    }
}

/* A link's URL may hold neither the closing > nor the | before its text. */
static void slack_link(struct buf *out, const char *url, const char *text)
{
    if (!*url || url[strcspn(url, "<>| ")]) {
        slack_escape(out, text);
        return;
    }
    buf_u8(out, '<');
    slack_escape(out, url);
    buf_u8(out, '|');
    slack_escape(out, text);
    buf_u8(out, '>');
}

static json_t *slack_text(const char *type, const char *text, size_t n)
{
    return json_pack("{s:s,s:s%}", "type", type, "text", text, n);
}

static void slack_line(struct buf *text, const char *title, const char *said)
{
    if (!*said)
        return;
    buf_printf(text, "\n*%s* ", title);
    slack_escape(text, said);
}

static json_t *slack_section(const json_t *alert)
{
    char since[TEXT_TIME_BYTES];
    struct buf text;
    buf_init(&text, 64 * 1024);
    buf_printf(&text, "%s *", form_is_firing(alert) ? "[FIRING]" : "[RESOLVED]");
    slack_link(&text, form_text(alert, "url"), form_text(alert, "name"));
    buf_printf(&text, "* ");
    slack_escape(&text, form_text(alert, "summary"));
    slack_line(&text, "How sure:", form_text(alert, "confidence"));
    slack_line(&text, "Cause:", form_text(alert, "cause"));
    slack_line(&text, "Assay did:", form_text(alert, "action"));
    if (form_time(alert, "since", since))
        buf_printf(&text, "\n*Since* <!date^%" PRId64 "^{date_short} {time}|%s>",
                   (int64_t)json_integer_value(json_object_get(alert, "since")) / 1000, since);
    buf_u8(&text, 0);
    const char *all = text.data ? (const char *)text.data : "";
    json_t *section = json_pack("{s:s,s:o}", "type", "section", "text",
                                slack_text("mrkdwn", all, form_fit(all, SLACK_SECTION)));
    buf_finish(&text);
    return section;
}

static void slack_button(json_t *elements, const char *text, const char *url)
{
    if (*url)
        json_array_append_new(elements,
                              json_pack("{s:s,s:o,s:s}", "type", "button", "text",
                                        slack_text("plain_text", text, strlen(text)), "url", url));
}

static json_t *slack_blocks(const json_t *data)
{
    json_t *blocks = json_array();
    const json_t *first = form_first_alert(data);
    const char *model = form_text(first, "model");
    char header[1024];
    snprintf(header, sizeof(header), "%s %.400s%s%.400s", form_is_firing(first) ? "🔥" : "✅",
             form_text(first, "name"), *model ? " · " : "", model);
    json_array_append_new(
        blocks, json_pack("{s:s,s:o}", "type", "header", "text",
                          slack_text("plain_text", header, form_fit(header, SLACK_HEADER))));
    const json_t *alerts = json_object_get(data, "alerts");
    size_t i;
    json_t *each;
    json_array_foreach((json_t *)(uintptr_t)alerts, i, each)
    {
        if (i < MAX_SHOWN)
            json_array_append_new(blocks, slack_section(each));
    }
    json_int_t more = json_integer_value(json_object_get(data, "more"));
    more += i > MAX_SHOWN ? (json_int_t)(i - MAX_SHOWN) : 0;
    if (more > 0)
        json_array_append_new(blocks, json_pack("{s:s,s:[{s:s,s:o}]}", "type", "context",
                                                "elements", "type", "mrkdwn", "text",
                                                json_sprintf("and %lld more", (long long)more)));
    json_t *elements = json_array();
    slack_button(elements, "Dashboard", form_text(data, "url"));
    slack_button(elements, "Runbook", form_runbook(first));
    if (json_array_size(elements))
        json_array_append_new(blocks,
                              json_pack("{s:s,s:O}", "type", "actions", "elements", elements));
    json_decref(elements);
    return blocks;
}

json_t *form_slack(const json_t *data)
{
    static const char *const colours[][2] = {
        {"critical", "#d1242f"}, {"error", "#bc4c00"}, {"warning", "#bf8700"}, {"info", "#0969da"}};
    const char *colour = "#1a7f37"; /* resolved */
    const json_t *alert = form_first_alert(data);
    for (size_t i = 0; i < 4 && form_is_firing(alert); i++) {
        if (strcmp(colours[i][0], form_text(alert, "severity")) == 0)
            colour = colours[i][1];
    }
    return json_pack("{s:s,s:[{s:s,s:o}]}", "text", form_text(data, "summary"), "attachments",
                     "color", colour, "blocks", slack_blocks(data));
}

static void teams_fact(json_t *facts, const char *title, const char *value)
{
    if (*value)
        json_array_append_new(facts, json_pack("{s:s,s:s}", "title", title, "value", value));
}

static json_t *teams_alert(const json_t *alert)
{
    char since[TEXT_TIME_BYTES];
    json_t *facts = json_array();
    teams_fact(facts, form_text(alert, "name"), form_text(alert, "summary"));
    if (form_time(alert, "since", since))
        teams_fact(facts, "Since", since);
    teams_fact(facts, "How sure", form_text(alert, "confidence"));
    teams_fact(facts, "Cause", form_text(alert, "cause"));
    teams_fact(facts, "Assay did", form_text(alert, "action"));
    return json_pack("{s:s,s:o}", "type", "FactSet", "facts", facts);
}

static void teams_action(json_t *actions, const char *title, const char *url)
{
    if (*url)
        json_array_append_new(actions, json_pack("{s:s,s:s,s:s}", "type", "Action.OpenUrl", "title",
                                                 title, "url", url));
}

json_t *form_teams(const json_t *data)
{
    json_t *body = json_array();
    json_array_append_new(body, json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "TextBlock", "size",
                                          "Medium", "weight", "Bolder", "text",
                                          form_text(data, "summary"), "wrap", 1));
    size_t i;
    json_t *alert;
    json_array_foreach(json_object_get(data, "alerts"), i, alert)
    {
        if (i < MAX_SHOWN)
            json_array_append_new(body, teams_alert(alert));
    }
    json_t *actions = json_array();
    teams_action(actions, "Dashboard", form_text(data, "url"));
    teams_action(actions, "Runbook", form_runbook(form_first_alert(data)));
    return json_pack("{s:s,s:[{s:s,s:{s:s,s:s,s:s,s:o,s:o}}]}", "type", "message", "attachments",
                     "contentType", "application/vnd.microsoft.card.adaptive", "content", "$schema",
                     "http://adaptivecards.io/schemas/adaptive-card.json", "type", "AdaptiveCard",
                     "version", "1.4", "body", body, "actions", actions);
}
