#include "alerts/payload.h"

#include <string.h>

#include "alerts/template.h"
#include "tests/test.h"

static const char data[] =
    "{\"type\":\"alert.firing\",\"at\":1700000000344,\"group\":\"oncall{model=\\\"credit\\\",}\","
    "\"group_id\":\"00ab\",\"url\":\"https://assay.example/#/models/"
    "credit\",\"summary\":\"[FIRING] "
    "auc-low: roc_auc 0.74 < 0.8\",\"alerts\":[{\"key\":\"17\",\"name\":\"auc-low\",\"status\":"
    "\"firing\",\"severity\":\"critical\",\"model\":\"credit\",\"version\":\"v3\",\"segment\":"
    "\"\",\"metric\":\"roc_auc\",\"value\":0.742,\"lower\":0.731,\"upper\":0.753,\"level\":0.8,"
    "\"n\":5120,\"since\":1700000000000,\"labels\":{\"team\":\"risk & <co>\"},\"annotations\":"
    "{\"runbook_url\":\"https://example.org/r\"},\"summary\":\"a & b <c>\",\"url\":"
    "\"https://assay.example/a\"}],\"more\":0}";

static json_t *render(struct receiver receiver, struct payload *payload)
{
    struct err err = {0};
    receiver.name = "oncall";
    assert_int_equal(payload_render(payload, &receiver, data, 1700000060000, &err), 0);
    json_t *body = json_loadb((const char *)payload->body.data, payload->body.size, 0, NULL);
    assert_non_null(body);
    return body;
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
    assert_string_equal(text(body, "payload/severity"), "critical");
    json_decref(body);
    payload_finish(&payload);
}

static void slack_escapes_only_its_three_characters(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_SLACK}, &payload);
    assert_string_equal(text(body, "attachments/0/color"), "#d1242f");
    assert_string_equal(text(body, "attachments/0/blocks/0/text/text"),
                        "[FIRING] *auc-low* a &amp; b &lt;c&gt;");
    json_decref(body);
    payload_finish(&payload);
}

static void teams_and_opsgenie_get_their_own_forms(void **state)
{
    (void)state;
    struct payload payload;
    json_t *body = render((struct receiver){.type = RECEIVER_TEAMS}, &payload);
    assert_string_equal(text(body, "attachments/0/content/type"), "AdaptiveCard");
    json_decref(body);
    payload_finish(&payload);

    body = render((struct receiver){.type = RECEIVER_OPSGENIE, .token = "k"}, &payload);
    assert_string_equal(text(body, "priority"), "P1");
    assert_string_equal(text(body, "alias"), "00ab");
    assert_string_equal(payload.url_suffix, "/v2/alerts");
    json_decref(body);
    payload_finish(&payload);
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
        cmocka_unit_test(slack_escapes_only_its_three_characters),
        cmocka_unit_test(teams_and_opsgenie_get_their_own_forms),
        cmocka_unit_test(a_free_body_is_filled_in),
        cmocka_unit_test(an_unknown_field_is_found_before_anything_runs),
        cmocka_unit_test(damaged_json_is_an_error_and_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
