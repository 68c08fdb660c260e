#include "alerts/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/template.h"
#include "tests/test.h"

static const char data[] =
    "{\"type\":\"alert.firing\",\"at\":1700000000344,\"group\":\"oncall{model=\\\"credit\\\",}\","
    "\"group_id\":\"00ab\",\"url\":\"https://assay.example/#/models/credit?window=1h&a=1\","
    "\"summary\":\"[FIRING] auc-low: roc_auc 0.74 < 0.8\",\"alerts\":[{\"key\":\"17\",\"name\":"
    "\"auc-low\",\"status\":\"firing\",\"severity\":\"critical\",\"model\":\"credit\",\"version\":"
    "\"v3\",\"segment\":\"\",\"metric\":\"roc_auc\",\"value\":0.742,\"lower\":0.731,\"upper\":"
    "0.753,\"level\":0.8,\"n\":5120,\"since\":1700000000000,\"labels\":{\"team\":\"risk & <co>\","
    "\"on-call.1\":\"x\",\"1st\":\"y\",\"empty\":\"\"},\"annotations\":{\"runbook_url\":"
    "\"https://example.org/r\"},\"summary\":\"a & b <c>\",\"confidence\":\"95% interval 0.731 to "
    "0.753\",\"cause\":\"country=de moved, 87% of the change\",\"action\":\"rolled v4 back to "
    "v3\",\"url\":\"https://assay.example/#/models/credit?window=1h&a=1\"}],\"more\":0}";

/* `data` with some of its texts exchanged; the caller frees it. Inlined at -O3, GCC 12 takes the
   returned text for the local variable that held it. */
__attribute__((noinline)) static char *changed(const char *from, const char *to)
{
    const char *at = strstr(data, from);
    assert_non_null(at);
    char *out = NULL;
    assert_true(asprintf(&out, "%.*s%s%s", (int)(at - data), data, to, at + strlen(from)) > 0);
    return out;
}

static json_t *render_data(struct receiver receiver, const char *given, struct payload *payload)
{
    struct err err = {0};
    receiver.name = "oncall";
    int rc = payload_render(payload, &receiver, given, 1700000060000, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    json_t *body = json_loadb((const char *)payload->body.data, payload->body.size, 0, NULL);
    assert_non_null(body);
    return body;
}

static json_t *render(struct receiver receiver, struct payload *payload)
{
    return render_data(receiver, data, payload);
}

static const char *text(json_t *json, const char *path)
{
    char key[128];
    while (*path && json) {
        size_t n = strcspn(path, "/");
        snprintf(key, sizeof(key), "%.*s", (int)n, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(key))
                                   : json_object_get(json, key);
        path += n + (path[n] == '/');
    }
    return json_is_string(json) ? json_string_value(json) : "(none)";
}

static void a_webhook_carries_type_time_and_data(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_WEBHOOK}, &payload);
    assert_string_equal(text(body, "type"), "alert.firing");
    assert_string_equal(text(body, "timestamp"), "2023-11-14T22:13:20.344Z");
    assert_string_equal(text(body, "data/alerts/0/name"), "auc-low");
    json_t *kept = json_loads(data, 0, NULL);
    assert_true(json_equal(json_object_get(body, "data"), kept));
    json_decref(kept);
    json_decref(body);
    payload_finish(&payload);
}

static void alertmanager_gets_identity_in_labels_and_an_end(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_ALERTMANAGER}, &payload);
    assert_string_equal(payload.url_suffix, "/api/v2/alerts");
    assert_string_equal(text(body, "0/labels/alertname"), "auc-low");
    assert_string_equal(text(body, "0/labels/severity"), "critical");
    assert_string_equal(text(body, "0/labels/team"), "risk & <co>");
    assert_string_equal(text(body, "0/labels/value"), "(none)"); /* it changes: not identity */
    assert_string_equal(text(body, "0/startsAt"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(text(body, "0/endsAt"), "2023-11-14T22:18:20.000Z");
    assert_string_equal(text(body, "0/generatorURL"),
                        "https://assay.example/#/models/credit?window=1h&a=1");
    assert_string_equal(text(body, "0/annotations/summary"), "a & b <c>");
    assert_string_equal(text(body, "0/annotations/description"),
                        "country=de moved, 87% of the change; rolled v4 back to v3");
    assert_string_equal(text(body, "0/annotations/runbook_url"), "https://example.org/r");
    json_decref(body);
    payload_finish(&payload);
}

static void alertmanager_gets_no_label_that_it_would_refuse_the_batch_for(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_ALERTMANAGER}, &payload);
    assert_string_equal(text(body, "0/labels/on_call_1"), "x");
    assert_string_equal(text(body, "0/labels/_st"), "y");
    assert_string_equal(text(body, "0/labels/empty"), "(none)");
    assert_string_equal(text(body, "0/labels/segment"), "(none)");
    json_decref(body);
    payload_finish(&payload);
}

static void alertmanager_is_told_the_same_end_in_each_repeat_of_a_resolved_alert(void **state)
{
    (void)state;
    struct payload payload;
    AUTO_FREE char *resolved =
        changed("\"status\":\"firing\"", "\"status\":\"resolved\",\"over\":1700000031000");
    json_t *body =
        render_data((struct receiver){.type = RECEIVER_ALERTMANAGER}, resolved, &payload);
    assert_string_equal(text(body, "0/endsAt"), "2023-11-14T22:13:51.000Z");
    json_decref(body);
    payload_finish(&payload);

    AUTO_FREE char *late =
        changed("\"status\":\"firing\"", "\"status\":\"resolved\",\"over\":1699999999000");
    body = render_data((struct receiver){.type = RECEIVER_ALERTMANAGER}, late, &payload);
    assert_string_equal(text(body, "0/startsAt"), "2023-11-14T22:13:18.999Z"); /* before its end */
    json_decref(body);
    payload_finish(&payload);
}

static void pagerduty_triggers_with_a_key_that_its_resolve_repeats(void **state)
{
    (void)state;
    struct payload payload;
    struct receiver receiver = {.type = RECEIVER_PAGERDUTY, .token = "R0UT1NG"};
    json_t *body = render(receiver, &payload);
    assert_string_equal(text(body, "event_action"), "trigger");
    assert_string_equal(text(body, "routing_key"), "R0UT1NG");
    assert_string_equal(text(body, "dedup_key"), "assay/00ab");
    assert_string_equal(text(body, "client"), "Assay");
    assert_string_equal(text(body, "client_url"),
                        "https://assay.example/#/models/credit?window=1h&a=1");
    assert_string_equal(text(body, "payload/summary"), "[FIRING] auc-low: roc_auc 0.74 < 0.8");
    assert_string_equal(text(body, "payload/source"), "credit");
    assert_string_equal(text(body, "payload/severity"), "critical");
    assert_string_equal(text(body, "payload/timestamp"), "2023-11-14T22:13:20.344Z");
    assert_string_equal(text(body, "payload/component"), "credit");
    assert_string_equal(text(body, "payload/group"), "v3");
    assert_string_equal(text(body, "payload/class"), "roc_auc");
    assert_string_equal(text(body, "payload/custom_details/alerts/0/cause"),
                        "country=de moved, 87% of the change");
    assert_string_equal(text(body, "links/0/href"),
                        "https://assay.example/#/models/credit?window=1h&a=1");
    assert_string_equal(text(body, "links/1/href"), "https://example.org/r");
    json_decref(body);
    payload_finish(&payload);

    AUTO_FREE char *resolved = changed("alert.firing", "alert.resolved");
    body = render_data(receiver, resolved, &payload);
    assert_int_equal(json_object_size(body), 3);
    assert_string_equal(text(body, "event_action"), "resolve");
    assert_string_equal(text(body, "dedup_key"), "assay/00ab");
    json_decref(body);
    payload_finish(&payload);
}

static void pagerduty_gets_a_rollback_as_an_incident_and_a_step_as_a_change(void **state)
{
    (void)state;
    struct payload payload;
    struct receiver receiver = {.type = RECEIVER_PAGERDUTY,
                                .token = "R0UT1NG",
                                .url = "https://events.eu.pagerduty.com/v2/enqueue"};
    AUTO_FREE char *rolled = changed("alert.firing", "experiment.rolled_back");
    json_t *body = render_data(receiver, rolled, &payload);
    assert_string_equal(text(body, "event_action"), "trigger");
    assert_string_equal(payload.url, "");
    json_decref(body);
    payload_finish(&payload);

    AUTO_FREE char *step = changed("alert.firing", "experiment.step");
    char *severity = strstr(step, "critical");
    assert_non_null(severity);
    memcpy(severity, "info\",\"x", 8);
    severity[8] = '"'; /* "severity":"info","x" … keeps its length */
    AUTO_FREE char *info = NULL;
    assert_true(asprintf(&info, "%.*s:1%s", (int)(severity - step) + 9, step, severity + 9) > 0);
    body = render_data(receiver, info, &payload);
    assert_string_equal(payload.url, "https://events.eu.pagerduty.com/v2/change/enqueue");
    assert_string_equal(text(body, "event_action"), "(none)");
    assert_string_equal(text(body, "payload/summary"), "[FIRING] auc-low: roc_auc 0.74 < 0.8");
    assert_string_equal(text(body, "payload/source"), "assay");
    json_decref(body);
    payload_finish(&payload);
}

/* A summary of `n` times é, which is two bytes long. */
static char *with_long_summary(size_t n)
{
    AUTO_FREE char *long_one = calloc(1, 2 * n + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(long_one + 2 * i, "é", 2);
    return changed("[FIRING] auc-low: roc_auc 0.74 < 0.8", long_one);
}

static void a_summary_is_cut_at_a_character_and_never_in_its_midst(void **state)
{
    (void)state;
    struct payload payload;
    AUTO_FREE char *long_one = with_long_summary(3000);
    json_t *body = render_data((struct receiver){.type = RECEIVER_PAGERDUTY, .token = "k"},
                               long_one, &payload);
    assert_int_equal(strlen(text(body, "payload/summary")), 2 * 1024);
    json_decref(body);
    payload_finish(&payload);

    body =
        render_data((struct receiver){.type = RECEIVER_OPSGENIE, .token = "k"}, long_one, &payload);
    assert_int_equal(strlen(text(body, "message")), 2 * 130);
    json_decref(body);
    payload_finish(&payload);
}

static void slack_escapes_only_its_three_characters(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_SLACK}, &payload);
    assert_string_equal(text(body, "text"), "[FIRING] auc-low: roc_auc 0.74 < 0.8");
    assert_string_equal(text(body, "attachments/0/color"), "#d1242f");
    assert_string_equal(text(body, "attachments/0/blocks/0/type"), "header");
    assert_string_equal(text(body, "attachments/0/blocks/0/text/text"), "🔥 auc-low · credit");
    assert_string_equal(
        text(body, "attachments/0/blocks/1/text/text"),
        "[FIRING] *<https://assay.example/#/models/credit?window=1h&amp;a=1|auc-low>* a &amp; b "
        "&lt;c&gt;\n*How sure:* 95% interval 0.731 to 0.753\n*Cause:* country=de moved, 87% of "
        "the change\n*Assay did:* rolled v4 back to v3\n*Since* "
        "<!date^1700000000^{date_short} {time}|2023-11-14T22:13:20.000Z>");
    assert_string_equal(text(body, "attachments/0/blocks/2/elements/0/url"),
                        "https://assay.example/#/models/credit?window=1h&a=1");
    assert_string_equal(text(body, "attachments/0/blocks/2/elements/1/url"),
                        "https://example.org/r");
    json_decref(body);
    payload_finish(&payload);
}

static void slack_is_told_of_a_crowd_within_its_limits(void **state)
{
    (void)state;
    struct payload payload;
    json_t *crowd = json_loads(data, 0, NULL);
    json_t *alerts = json_object_get(crowd, "alerts");
    json_t *first = json_array_get(alerts, 0);
    char *wide = with_long_summary(3500);
    json_t *other = json_loads(wide, 0, NULL);
    json_object_set(first, "summary", json_object_get(other, "summary"));
    json_object_set(first, "name", json_object_get(other, "summary"));
    for (int i = 0; i < 49; i++)
        json_array_append(alerts, first);
    json_object_set_new(crowd, "more", json_integer(100));
    AUTO_FREE char *given = json_dumps(crowd, 0);

    json_t *body = render_data((struct receiver){.type = RECEIVER_SLACK}, given, &payload);

    const json_t *blocks =
        json_object_get(json_array_get(json_object_get(body, "attachments"), 0), "blocks");
    assert_int_equal(json_array_size(blocks), 13); /* header, 10 alerts, "more", buttons */
    assert_true(strlen(text(body, "attachments/0/blocks/0/text/text")) <= 4 + 2 * 150);
    assert_true(strlen(text(body, "attachments/0/blocks/1/text/text")) <= 2 * 3000);
    assert_string_equal(text(body, "attachments/0/blocks/11/elements/0/text"), "and 140 more");
    json_decref(body);
    json_decref(crowd);
    json_decref(other);
    free(wide);
    payload_finish(&payload);
}

static void teams_gets_a_card_with_facts_and_links(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_TEAMS}, &payload);
    assert_string_equal(text(body, "type"), "message");
    assert_string_equal(text(body, "attachments/0/contentType"),
                        "application/vnd.microsoft.card.adaptive");
    assert_string_equal(text(body, "attachments/0/content/type"), "AdaptiveCard");
    assert_string_equal(text(body, "attachments/0/content/body/0/text"),
                        "[FIRING] auc-low: roc_auc 0.74 < 0.8");
    assert_string_equal(text(body, "attachments/0/content/body/1/facts/1/value"),
                        "2023-11-14T22:13:20.000Z");
    assert_string_equal(text(body, "attachments/0/content/body/1/facts/3/value"),
                        "country=de moved, 87% of the change");
    assert_string_equal(text(body, "attachments/0/content/body/1/facts/4/value"),
                        "rolled v4 back to v3");
    assert_string_equal(text(body, "attachments/0/content/actions/0/url"),
                        "https://assay.example/#/models/credit?window=1h&a=1");
    assert_string_equal(text(body, "attachments/0/content/actions/1/url"), "https://example.org/r");
    json_decref(body);
    payload_finish(&payload);
}

static void opsgenie_opens_by_alias_and_closes_it(void **state)
{
    (void)state;
    struct payload payload;
    struct receiver receiver = {.type = RECEIVER_OPSGENIE, .token = "k"};
    json_t *body = render(receiver, &payload);
    assert_string_equal(payload.url_suffix, "/v2/alerts");
    assert_string_equal(text(body, "message"), "[FIRING] auc-low: roc_auc 0.74 < 0.8");
    assert_string_equal(text(body, "alias"), "00ab");
    assert_string_equal(text(body, "priority"), "P1");
    assert_string_equal(text(body, "entity"), "credit");
    assert_string_equal(text(body, "details/cause"), "country=de moved, 87% of the change");
    assert_string_equal(text(body, "details/runbook"), "https://example.org/r");
    assert_string_equal(text(body, "details/dashboard"),
                        "https://assay.example/#/models/credit?window=1h&a=1");
    assert_string_equal(text(body, "description"),
                        "a & b <c>\n95% interval 0.731 to 0.753\ncountry=de moved, 87% of the "
                        "change\nrolled v4 back to v3\n"
                        "https://assay.example/#/models/credit?window=1h&a=1\n");
    json_decref(body);
    payload_finish(&payload);

    AUTO_FREE char *resolved = changed("alert.firing", "alert.resolved");
    body = render_data(receiver, resolved, &payload);
    assert_string_equal(payload.url_suffix, "/v2/alerts/00ab/close?identifierType=alias");
    assert_string_equal(text(body, "source"), "Assay");
    json_decref(body);
    payload_finish(&payload);
}

static void without_an_address_of_the_page_there_are_no_empty_links(void **state)
{
    (void)state;
    static const enum receiver_type types[] = {RECEIVER_SLACK, RECEIVER_PAGERDUTY,
                                               RECEIVER_OPSGENIE, RECEIVER_TEAMS,
                                               RECEIVER_ALERTMANAGER};
    json_t *bare = json_loads(data, 0, NULL);
    json_t *alert = json_array_get(json_object_get(bare, "alerts"), 0);
    json_object_set_new(bare, "url", json_string(""));
    json_object_set_new(alert, "url", json_string(""));
    json_object_clear(json_object_get(alert, "annotations"));
    AUTO_FREE char *given = json_dumps(bare, 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct payload payload;
        json_t *body =
            render_data((struct receiver){.type = types[i], .token = "k"}, given, &payload);
        json_object_del(json_object_get(body, "payload"), "custom_details"); /* as it is stored */
        AUTO_FREE char *said = json_dumps(body, JSON_COMPACT);
        assert_null(strstr(said, "rl\":\"\""));
        assert_null(strstr(said, "href\":\"\""));
        json_decref(body);
        payload_finish(&payload);
    }
    json_decref(bare);
}

static void a_free_body_is_filled_in(void **state)
{
    (void)state;
    struct payload payload;
    struct receiver receiver = {.name = "x",
                                .type = RECEIVER_TEMPLATE,
                                .method = "PUT",
                                .content_type = "text/plain",
                                .body = "{{ name }}={{value}} {{labels.team}} {{status}}"};
    assert_int_equal(payload_render(&payload, &receiver, data, 0, NULL), 0);
    assert_int_equal(payload.body.size, strlen("auc-low=0.742 risk & <co> firing"));
    assert_memory_equal(payload.body.data, "auc-low=0.742 risk & <co> firing", payload.body.size);
    assert_string_equal(payload.method, "PUT");
    payload_finish(&payload);
}

static void assert_filled(struct receiver receiver, const char *given, const char *expected)
{
    struct payload payload;
    assert_int_equal(payload_render(&payload, &receiver, given, 0, NULL), 0);
    assert_int_equal(payload.body.size, strlen(expected));
    assert_memory_equal(payload.body.data, expected, payload.body.size);
    payload_finish(&payload);
}

static void a_free_body_of_json_stays_json_whatever_is_filled_in(void **state)
{
    (void)state;
    struct receiver receiver = {.name = "x",
                                .type = RECEIVER_TEMPLATE,
                                .method = "POST",
                                .content_type = "application/json",
                                .body = "{\"is\":{{value}},\"from\":{{lower}},\"{{cause}}\":1}"};
    AUTO_FREE char *given = changed("\"lower\":0.731", "\"lower\":null");
    AUTO_FREE char *quoted = changed("country=de moved", "\\\"de\\\"\\n\\\\ moved");

    assert_filled(receiver, given,
                  "{\"is\":0.742,\"from\":null,\"country=de moved, 87% of the change\":1}");
    assert_filled(receiver, quoted,
                  "{\"is\":0.742,\"from\":0.731,\"\\\"de\\\"\\n\\\\ moved, 87% of the change\":1}");
    receiver.body =
        "{\"a \\\"\":\"{{cause}}: {{value}} ({{lower}} to {{upper}})\",\"lower\":{{lower}},"
        "\"labelled\":{{labelled}}}";
    AUTO_FREE char *both = changed("\"lower\":0.731", "\"segment\":\"\\\"\\\\\",\"lower\":null");
    assert_filled(
        receiver, both,
        "{\"a \\\"\":\"country=de moved, 87% of the change: 0.742 (– to 0.753)\",\"lower\":null,"
        "\"labelled\":null}");
    receiver.body = "[\"{{segment}}\",{{lower}},\"{{lower}}\"]";
    assert_filled(receiver, both, "[\"\\\"\\\\\",null,\"–\"]");
    receiver.content_type = "text/plain";
    receiver.body = "{{value}} ({{lower}} to {{upper}}) {{segment}}.";
    assert_filled(receiver, given, "0.742 (– to 0.753) .");
}

static void an_unknown_field_is_found_before_anything_runs(void **state)
{
    (void)state;
    struct err err = {0};
    size_t n;
    const char *const *fields = payload_fields(&n);
    assert_int_equal(template_check("{{valeu}}", fields, n, &err), ERR_USAGE);
    assert_string_equal(err.text, "{{valeu}} is no field; did you mean {{value}}?");
    assert_int_equal(template_check("{{value", fields, n, &err), ERR_USAGE);
    assert_string_equal(err.text, "{{ without }}");
    assert_int_equal(template_check("{{labels.team}} {{ value }}", fields, n, &err), 0);
}

static void damaged_json_is_an_error_and_not_a_crash(void **state)
{
    (void)state;
    struct payload payload;
    struct err err = {0};
    struct receiver receiver = {.name = "x"};
    assert_int_equal(payload_render(&payload, &receiver, "{\"a\":", 0, &err), ERR_DATA);
    payload_finish(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_webhook_carries_type_time_and_data),
        cmocka_unit_test(alertmanager_gets_identity_in_labels_and_an_end),
        cmocka_unit_test(pagerduty_triggers_with_a_key_that_its_resolve_repeats),
        cmocka_unit_test(alertmanager_gets_no_label_that_it_would_refuse_the_batch_for),
        cmocka_unit_test(alertmanager_is_told_the_same_end_in_each_repeat_of_a_resolved_alert),
        cmocka_unit_test(pagerduty_gets_a_rollback_as_an_incident_and_a_step_as_a_change),
        cmocka_unit_test(a_summary_is_cut_at_a_character_and_never_in_its_midst),
        cmocka_unit_test(slack_escapes_only_its_three_characters),
        cmocka_unit_test(slack_is_told_of_a_crowd_within_its_limits),
        cmocka_unit_test(teams_gets_a_card_with_facts_and_links),
        cmocka_unit_test(opsgenie_opens_by_alias_and_closes_it),
        cmocka_unit_test(without_an_address_of_the_page_there_are_no_empty_links),
        cmocka_unit_test(a_free_body_is_filled_in),
        cmocka_unit_test(a_free_body_of_json_stays_json_whatever_is_filled_in),
        cmocka_unit_test(an_unknown_field_is_found_before_anything_runs),
        cmocka_unit_test(damaged_json_is_an_error_and_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
