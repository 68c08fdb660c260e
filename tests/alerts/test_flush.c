/* Who is told what, and when: messages, repeats, silences, and what an outage leaves of them. */
#include "alerts/command.h"
#include "storage/audit.h"
#include "storage/transition.h"
#include "tests/alerts/world.h"

static void a_message_says_since_when_how_sure_what_was_done_and_where_to_look(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_firing(&w, 1000);
    assert_int_equal(flush(&w, 11000), 1);

    json_t *data = newest(&w);
    const json_t *alert = json_array_get(json_object_get(data, "alerts"), 0);
    char url[256];
    int64_t end_ms = start + MINUTE;
    snprintf(url, sizeof(url),
             "http://page/#/models/credit?window=5m&metrics=error_rate&from=%lld&to=%lld",
             (long long)(end_ms - 60 * MINUTE), (long long)end_ms);
    assert_string_equal(text((json_t *)(uintptr_t)alert, "url"), url);
    assert_string_equal(text(data, "url"), url);
    assert_string_equal(text((json_t *)(uintptr_t)alert, "confidence"),
                        "95% interval 0.3094 to 0.498, all of it beyond the level, n 100");
    assert_string_equal(text((json_t *)(uintptr_t)alert, "action"),
                        "nothing rolled back: no experiment runs on the model");
    json_decref(data);
    world_end(&w);
}

static void a_message_carries_the_head_of_the_audit_log(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    char hash[2 * AUDIT_HASH_BYTES + 1];
    int64_t seq;
    const struct audit_row row = {.at_ms = start,
                                  .clock = "wall",
                                  .who = "ann",
                                  .action = "silence.create",
                                  .subject = "1",
                                  .detail = "{}"};
    world_begin(&w);
    must(commit_begin(w.store, &err), &err);
    must(commit_audit(w.store, &row, &err), &err);
    must(commit_end(w.store, &err), &err);
    must(audit_head_text(w.store, &seq, hash, &err), &err);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 1000);

    assert_int_equal(flush(&w, 11000), 1);

    json_t *data = newest(&w);
    json_t *audit = json_object_get(data, "audit");
    assert_int_equal(json_integer_value(json_object_get(audit, "seq")), seq);
    assert_string_equal(text(audit, "hash"), hash);
    json_decref(data);
    world_end(&w);
}

static void write_experiment(struct world *w, const char *name, const char *state, int64_t at_ms)
{
    struct err err = {0};
    struct experiment_row row = {
        .name = name,
        .model = "credit",
        .object = "{\"control\":\"v3\",\"treatment\":\"v4\"}",
        .state = state,
        .weight = 5,
        .since_ms = at_ms,
        .created_ms = at_ms,
        .ramp = "{}",
        .verdict = "{\"verdict\":\"rollback\",\"reason\":\"guardrail error_rate: harm\"}",
    };
    must(commit_begin(w->store, &err), &err);
    must(commit_experiment_new(w->store, &row, &err), &err);
    must(commit_end(w->store, &err), &err);
}

static void a_message_says_what_the_newest_experiment_on_the_model_came_to(void **state)
{
    (void)state;
    static const struct {
        const char *state, *action;
    } rows[] = {
        {"draft", "nothing rolled back: no experiment runs on the model"},
        {"running", "not rolled back: experiment b is running with v4 at 5%"},
        {"promoted", "nothing rolled back: experiment b promoted v4 at 2023-11-14T22:12:40.000Z"},
        {"rolled_back", "rolled v4 back to v3 at 2023-11-14T22:12:40.000Z (experiment b: "
                        "guardrail error_rate: harm)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w = {0};
        world_begin(&w);
        if (i > 0)
            write_experiment(&w, "a", "promoted", start - 60 * MINUTE);
        write_experiment(&w, "b", rows[i].state, start - MINUTE + 40000);
        fill(&w, start, 100, 40, 10);
        look(&w, start + 30000, 1000);
        assert_int_equal(flush(&w, 11000), 1);
        json_t *data = newest(&w);
        json_t *alert = json_array_get(json_object_get(data, "alerts"), 0);
        assert_string_equal(text(alert, "action"), rows[i].action);
        json_decref(data);
        world_end(&w);
    }
}

static void what_still_fires_is_repeated(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_firing(&w, 0);
    assert_int_equal(flush(&w, 10000), 1);
    assert_int_equal(flush(&w, 10000 + HOUR - 1), 0);
    assert_int_equal(flush(&w, 10000 + HOUR), 1);
    world_end(&w);
}

static void what_somebody_looks_after_is_not_repeated(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    world_begin_firing(&w, 0);
    assert_int_equal(flush(&w, 10000), 1);
    json_t *data = newest(&w);
    const char *id = text(json_array_get(json_object_get(data, "alerts"), 0), "key");
    struct actor ann = {"ann", 20000};
    must(alerts_ack(w.store, id, "{}", &ann, alerts_receivers(w.alerts), &err), &err);
    json_decref(data);

    assert_int_equal(flush(&w, 10000 + HOUR), 0);

    fill(&w, start + MINUTE, 10000, 0, 10);
    look(&w, start + 90000, 2 * HOUR);
    assert_int_equal(flush(&w, 2 * HOUR), 1); /* its end is told all the same */
    world_end(&w);
}

static const char alertmanager[] =
    "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
    "alerts:\n"
    "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: 0.2, interval: "
    "false}\n"
    "receivers: [{name: am, type: alertmanager, url: 'http://127.0.0.1:1/', allow_private: true}]\n"
    "route: {receiver: am, group_wait: 0s, group_interval: 0s, repeat_interval: 4h}\n";

static int mark_sent(void *context, const struct outbox_row *row, struct err *err)
{
    struct outbox_attempt sent = {
        .id = row->id, .state = OUTBOX_SENT, .status = 200, .problem = ""};
    return commit_outbox_attempt(context, &sent, err);
}

static void send_all(struct world *w)
{
    struct err err = {0};
    must(commit_begin(w->store, &err), &err);
    must(outbox_due(w->store, INT64_MAX, 1000, mark_sent, w->store, &err), &err);
    must(commit_end(w->store, &err), &err);
}

static void alertmanager_hears_every_minute_what_fires_and_five_more_what_ended(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_with(&w, alertmanager);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    assert_int_equal(flush(&w, 0), 1);
    send_all(&w);
    assert_int_equal(flush(&w, MINUTE - 1), 0);
    assert_int_equal(flush(&w, MINUTE), 1);
    assert_int_equal(flush(&w, 2 * MINUTE), 0); /* the last one still waits: it says the same */
    send_all(&w);
    assert_int_equal(flush(&w, 3 * MINUTE), 1);
    send_all(&w);

    fill(&w, start + MINUTE, 10000, 0, 10);
    look(&w, start + 90000, 3 * MINUTE + 1000); /* resolved now */
    int told = 0;
    for (int64_t at_ms = 3 * MINUTE + 1000; at_ms < 20 * MINUTE; at_ms += 1000) {
        int n = flush(&w, at_ms);
        told += n;
        if (!n)
            continue;
        json_t *data = newest(&w);
        json_t *alert = json_array_get(json_object_get(data, "alerts"), 0);
        assert_string_equal(text(alert, "status"), "resolved");
        assert_int_equal(json_integer_value(json_object_get(alert, "over")), 3 * MINUTE + 1000);
        json_decref(data);
        send_all(&w);
    }
    assert_int_equal(told, 5); /* at once, and each minute for less than five */

    fill(&w, start + 6 * MINUTE, 100, 90, 10);
    look(&w, start + 6 * MINUTE + 30000, 20 * MINUTE);
    assert_int_equal(flush(&w, 20 * MINUTE), 1); /* again: news */
    world_end(&w);
}

static int count_alerts(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    int64_t *counts = context; /* rows, alerts, more, largest row */
    json_t *data = json_loads(row->data, 0, NULL);
    counts[0]++;
    counts[1] += (int64_t)json_array_size(json_object_get(data, "alerts"));
    counts[2] += json_integer_value(json_object_get(data, "more"));
    if ((int64_t)strlen(row->data) > counts[3])
        counts[3] = (int64_t)strlen(row->data);
    json_decref(data);
    return 0;
}

static char *many_rules(const char *receivers)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_printf(&out, "models: [{name: credit, task: binary, label_horizon: 1h}]\nalerts:\n");
    for (int i = 0; i < 600; i++)
        buf_printf(&out,
                   "  - {name: e%d, model: credit, metric: error_rate, window: 5m, above: 0.2, "
                   "interval: false}\n",
                   i);
    buf_printf(&out, "%s", receivers);
    buf_u8(&out, 0);
    return (char *)out.data;
}

static void
six_hundred_at_once_are_one_page_for_people_and_all_of_them_for_alertmanager(void **state)
{
    (void)state;
    AUTO_FREE char *people =
        many_rules("receivers: [{name: r, type: webhook, url: 'http://127.0.0.1:1/'}]\n"
                   "route: {receiver: r, group_wait: 0s}\n");
    AUTO_FREE char *program =
        many_rules("receivers: [{name: r, type: alertmanager, url: 'http://127.0.0.1:1/'}]\n"
                   "route: {receiver: r, group_wait: 0s}\n");
    for (int i = 0; i < 2; i++) {
        struct world w = {0};
        int64_t counts[4] = {0};
        world_begin_with(&w, i == 0 ? people : program);
        fill(&w, start, 100, 40, 10);
        look(&w, start + 30000, 0);
        assert_int_equal(flush(&w, 0), 1);
        assert_int_equal(outbox_read(w.store, INT64_MAX, 1000, count_alerts, counts, NULL), 0);
        assert_int_equal(counts[1] + counts[2], 600);
        if (i == 0) {
            assert_int_equal(counts[0], 1);
            assert_true(counts[1] >= 10);
            assert_true(counts[3] < 20000);
        } else {
            assert_true(counts[0] > 1);
            assert_int_equal(counts[2], 0);
        }
        world_end(&w);
    }
}

static void a_silence_holds_the_telling_back_and_not_the_state(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    struct buf answer;
    world_begin(&w);
    buf_init(&answer, 4096);
    struct actor ann = {"ann", 0};
    must(alerts_silence(w.store,
                        "{\"matchers\":[\"alertname=errors\"],\"duration\":\"30m\","
                        "\"comment\":\"known\"}",
                        &ann, &answer, &err),
         &err);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    assert_int_equal(flush(&w, 10000), 0);
    assert_int_equal(flush(&w, 29 * MINUTE), 0);
    assert_int_equal(flush(&w, 31 * MINUTE), 1); /* it fires still when the silence ends */
    buf_finish(&answer);
    world_end(&w);
}

static void a_silence_may_come_in_alertmanagers_words(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    struct buf answer;
    world_begin(&w);
    buf_init(&answer, 4096);
    struct actor operator= {"grafana", 0};
    must(alerts_silence(
             w.store,
             "{\"id\":\"\",\"matchers\":[{\"name\":\"alertname\",\"value\":\"err.*\",\"isRegex\":"
             "true,"
             "\"isEqual\":true},{\"name\":\"severity\",\"value\":\"info\",\"isRegex\":false,"
             "\"isEqual\":false}],\"startsAt\":\"1970-01-01T00:05:00.000Z\","
             "\"endsAt\":\"1970-01-01T00:30:00.000Z\",\"createdBy\":\"ann\",\"comment\":\"known\"}",
             &operator, & answer, &err),
         &err);
    buf_u8(&answer, 0);
    assert_non_null(
        strstr((const char *)answer.data,
               "\"matchers\":[\"alertname=~\\\"err.*\\\"\",\"severity!=\\\"info\\\"\"],"
               "\"starts\":300000,\"ends\":1800000,\"created_by\":\"ann via grafana\""));

    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 6 * MINUTE);
    assert_int_equal(flush(&w, 7 * MINUTE), 0);
    assert_int_equal(flush(&w, 31 * MINUTE), 1); /* it fires still when the silence ends */
    buf_finish(&answer);
    world_end(&w);
}

static void a_silence_that_has_not_begun_holds_nothing(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    struct buf answer;
    world_begin(&w);
    buf_init(&answer, 4096);
    struct actor ann = {"ann", 0};
    must(alerts_silence(w.store,
                        "{\"matchers\":[\"alertname=errors\"],\"startsAt\":300000,"
                        "\"duration\":\"30m\",\"comment\":\"known\"}",
                        &ann, &answer, &err),
         &err);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);

    assert_int_equal(flush(&w, 10000), 1);

    buf_finish(&answer);
    world_end(&w);
}

static void what_is_silenced_in_a_group_that_is_told_is_told_later(void **state)
{
    (void)state;
    static const char one_group[] =
        "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
        "alerts:\n"
        "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: 0.2, interval: "
        "false}\n"
        "  - {name: slow, model: credit, metric: latency_mean, window: 5m, above: 100, interval: "
        "false}\n"
        "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/'}]\n"
        "route: {receiver: oncall, group_by: [model], group_wait: 0s, group_interval: 1m}\n";
    struct world w = {0};
    struct err err = {0};
    struct buf answer;
    struct actor actor = {"anna", 0};
    buf_init(&answer, 4096);
    world_begin_with(&w, one_group);
    must(alerts_silence(w.store,
                        "{\"matchers\":[\"alertname=\\\"slow\\\"\"],\"duration\":\"10m\","
                        "\"comment\":\"known\"}",
                        &actor, &answer, &err),
         &err);
    fill(&w, start, 100, 40, 500);
    look(&w, start + 30000, 0);

    assert_int_equal(flush(&w, 0), 1);
    json_t *first = newest(&w);
    assert_int_equal(flush(&w, 11 * MINUTE), 1); /* the silence has ended */
    json_t *later = newest(&w);

    assert_int_equal(json_array_size(json_object_get(first, "alerts")), 1);
    assert_non_null(strstr(text(first, "summary"), "errors"));
    assert_int_equal(json_array_size(json_object_get(later, "alerts")), 2);
    json_decref(first);
    json_decref(later);
    buf_finish(&answer);
    world_end(&w);
}

static int list_states(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    char *text = context;
    size_t n = strlen(text);
    snprintf(text + n, 400 - n, "%s %s; ", outbox_state_name(row->state), row->type);
    return 0;
}

/* The metric's minute is bad or good, a look and a flush follow. */
static void turn(struct world *w, int64_t minute, int failed, double latency_ms)
{
    int64_t at_ms = start + minute * MINUTE;
    fill(w, at_ms, 100, failed, latency_ms);
    look(w, at_ms + 30000, minute * MINUTE);
    flush(w, minute * MINUTE + 30000);
}

static void F46_after_days_of_outage_old_pairs_are_one_summary(void **state)
{
    (void)state;
    static const char flapping[] =
        "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
        "alerts:\n"
        "  - {name: errors, model: credit, metric: error_rate, window: 1m, above: 0.2, interval: "
        "false}\n"
        "  - {name: slow, model: credit, metric: latency_mean, window: 1m, above: 100, interval: "
        "false}\n"
        "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/'}]\n"
        "route: {receiver: oncall, group_by: [model], group_wait: 0s, group_interval: 0s, "
        "repeat_interval: 1000h}\n";
    struct world w = {0};
    char states[400] = "";
    world_begin_with(&w, flapping);

    turn(&w, 0, 40, 10); /* errors fire: the head, which is tried again and again */
    turn(&w, 1, 0, 10);
    turn(&w, 2, 0, 500); /* slow fires, and ends */
    turn(&w, 3, 0, 10);
    turn(&w, 300, 40, 10); /* hours later errors fire once more … */
    json_t *again = newest(&w);
    turn(&w, 301, 0, 10); /* … and end: all of it is over */

    json_t *data = newest(&w);
    assert_int_equal(outbox_read(w.store, INT64_MAX, 100, list_states, states, NULL), 0);
    assert_string_equal(states, "waiting alert.resolved; waiting alert.firing; failed "
                                "alert.resolved; failed alert.firing; failed alert.resolved; "
                                "waiting alert.firing; ");
    assert_null(json_object_get(again, "missed"));
    assert_int_equal(json_integer_value(json_object_get(data, "missed")), 3);
    assert_int_equal(json_array_size(json_object_get(data, "alerts")), 2); /* slow's end as well */
    assert_int_equal(json_integer_value(json_object_get(data, "resolved")), 2);
    assert_non_null(strstr(text(data, "summary"), "(in place of 3 older notifications)"));
    json_decref(again);
    json_decref(data);
    world_end(&w);
}

static void an_inhibited_rule_waits_for_the_other(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin(&w);
    fill(&w, start, 100, 40, 500); /* failing and slow */
    look(&w, start + 30000, 0);
    assert_int_equal(flush(&w, 10000), 1); /* "errors" alone */
    json_t *data = newest(&w);
    assert_string_equal(text(json_array_get(json_object_get(data, "alerts"), 0), "name"), "errors");
    json_decref(data);
    world_end(&w);
}

static void bad_silences_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *text;
    } rows[] = {
        {"[]", "silence: must be a JSON object"},
        {"{\"matchers\":[],\"duration\":\"1h\",\"comment\":\"x\"}",
         "matchers: must be a list of 1 to 32 texts"},
        {"{\"matchers\":[\"a=~(\"],\"duration\":\"1h\",\"comment\":\"x\"}", NULL},
        {"{\"matchers\":[\"a=b\"],\"comment\":\"x\"}", "needs `duration` or `until`"},
        {"{\"matchers\":[\"a=b\"],\"duration\":\"1h\"}", "comment: say why, in at most 1000 bytes"},
        {"{\"matchers\":[\"a=b\"],\"until\":5,\"comment\":\"x\"}",
         "the silence would already have ended"},
        {"{\"matcher\":[\"a=b\"]}", "silence: unknown key \"matcher\""},
        {"{\"matchers\":[{\"name\":\"a\"}],\"endsAt\":9000,\"comment\":\"x\"}",
         "matchers[0]: needs `name` and `value`, two texts"},
        {"{\"matchers\":[{\"name\":\"a\",\"value\":\"b\",\"isRegex\":1}],\"endsAt\":9000,"
         "\"comment\":\"x\"}",
         "matchers[0]: `isRegex` and `isEqual` must be true or false"},
        {"{\"matchers\":[\"a=b\"],\"startsAt\":\"soon\",\"endsAt\":9000,\"comment\":\"x\"}",
         "startsAt: \"soon\" is not a time"},
        {"{\"matchers\":[\"a=b\"],\"startsAt\":9000,\"endsAt\":8000,\"comment\":\"x\"}",
         "the silence would already have ended"},
    };
    struct world w = {0};
    world_begin(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        struct actor ann = {"ann", 1000};
        assert_int_equal(alerts_silence(w.store, rows[i].body, &ann, NULL, &err), ERR_DATA);
        if (rows[i].text)
            assert_string_equal(err.text, rows[i].text);
    }
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_says_since_when_how_sure_what_was_done_and_where_to_look),
        cmocka_unit_test(a_message_carries_the_head_of_the_audit_log),
        cmocka_unit_test(a_message_says_what_the_newest_experiment_on_the_model_came_to),
        cmocka_unit_test(what_still_fires_is_repeated),
        cmocka_unit_test(what_somebody_looks_after_is_not_repeated),
        cmocka_unit_test(alertmanager_hears_every_minute_what_fires_and_five_more_what_ended),
        cmocka_unit_test(
            six_hundred_at_once_are_one_page_for_people_and_all_of_them_for_alertmanager),
        cmocka_unit_test(a_silence_holds_the_telling_back_and_not_the_state),
        cmocka_unit_test(a_silence_may_come_in_alertmanagers_words),
        cmocka_unit_test(a_silence_that_has_not_begun_holds_nothing),
        cmocka_unit_test(what_is_silenced_in_a_group_that_is_told_is_told_later),
        cmocka_unit_test(F46_after_days_of_outage_old_pairs_are_one_summary),
        cmocka_unit_test(an_inhibited_rule_waits_for_the_other),
        cmocka_unit_test(bad_silences_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
