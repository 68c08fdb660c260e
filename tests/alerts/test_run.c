/* The whole room but delivery: panes in a store, a look, a flush, rows in the outbox. */
#include "alerts/run.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "alerts/command.h"
#include "alerts/keeper.h"
#include "storage/alert_rows.h"
#include "storage/outbox.h"
#include "storage/restore.h"
#include "storage/transition.h"
#include "tests/lib/failing_pane.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const int64_t start = INT64_C(28333333) * MINUTE; /* a whole minute in 2023 */

static const char yaml[] =
    "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
    "alerts:\n"
    "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: 0.2, interval: "
    "false, severity: critical, annotations: {note: 'rate {{value}}'}}\n"
    "  - {name: slow, model: credit, metric: latency_mean, window: 5m, above: 100, interval: "
    "false, inhibit: [errors]}\n"
    "  - {name: silent, model: credit, absent: 10m}\n"
    "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/', allow_private: true}]\n"
    "route: {receiver: oncall, group_by: [alertname], group_wait: 10s, group_interval: 1m, "
    "repeat_interval: 1h}\n";

struct world {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct alerts *alerts;
    int64_t series_id;
    struct states *pane;
};

static void begin_with(struct world *w, const char *text)
{
    struct err err = {0};
    w->temp = temp_new();
    w->store = temp_store(w->temp, STORE_WRITE);
    w->series_id = temp_series(w->store, "credit", "v1", "");
    must(config_parse(&w->config, "assay.yaml", text, strlen(text), &err), &err);
    must(alerts_new(&w->alerts, w->config, w->store, NULL, "http://page", &err), &err);
    alerts_set_url(w->alerts, "http://page/");
}

static void begin(struct world *w)
{
    begin_with(w, yaml);
}

static void end(struct world *w)
{
    alerts_free(w->alerts);
    config_free(w->config);
    store_free(w->store);
    temp_free(w->temp);
}

/* A minute's pane with `n` predictions, `failed` of which failed. */
static void fill(struct world *w, int64_t start_ms, int n, int failed, double latency_ms)
{
    struct err err = {0};
    struct failing_pane pane = {w->series_id, start_ms, n, failed, latency_ms};
    char counts[64];
    snprintf(counts, sizeof(counts), "{\"last_event\":%lld}", (long long)start_ms);
    must(commit_begin(w->store, &err), &err);
    failing_pane_write(w->store, &pane);
    must(commit_model_counts(w->store, "credit", counts, &err), &err);
    must(commit_end(w->store, &err), &err);
}

static void look(struct world *w, int64_t now_ms, int64_t wall_ms)
{
    struct err err = {0};
    struct outside outside = {.now_ms = now_ms, .lag = -1};
    must(alerts_look(w->alerts, &outside, wall_ms, &err), &err);
}

static int flush(struct world *w, int64_t wall_ms)
{
    struct err err = {0};
    int64_t next_ms;
    int n = alerts_flush(w->alerts, wall_ms, &next_ms, &err);
    must(n < 0 ? n : 0, &err);
    return n;
}

static int take_newest(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    *(json_t **)context = json_loads(row->data, 0, NULL);
    return 1;
}

static json_t *newest(struct world *w)
{
    json_t *data = NULL;
    assert_int_equal(outbox_read(w->store, INT64_MAX, 1, take_newest, &data, NULL), 1);
    return data;
}

static const char *text(json_t *data, const char *key)
{
    return json_string_value(json_object_get(data, key));
}

static void an_alert_is_told_after_its_group_wait_and_again_when_it_ends(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 1000);

    assert_int_equal(flush(&w, 1000), 0); /* group_wait */
    assert_int_equal(flush(&w, 11000), 1);
    json_t *data = newest(&w);
    json_t *alert = json_array_get(json_object_get(data, "alerts"), 0);
    assert_string_equal(text(data, "type"), "alert.firing");
    assert_string_equal(text(data, "summary"),
                        "[FIRING] errors: credit: error_rate 0.4 (0.3094 to 0.498) > 0.2 over 5m, "
                        "n 100");
    assert_string_equal(text(json_object_get(alert, "annotations"), "note"), "rate 0.4");
    assert_int_equal(json_integer_value(json_object_get(alert, "since")), start + 30000);
    json_decref(data);
    assert_int_equal(flush(&w, 12000), 0); /* told once */

    fill(&w, start + MINUTE, 10000, 0, 10);
    look(&w, start + 90000, 20000);
    assert_int_equal(flush(&w, 20000), 0); /* group_interval */
    assert_int_equal(flush(&w, 71000), 1);
    data = newest(&w);
    assert_string_equal(text(data, "type"), "alert.resolved");
    json_decref(data);
    end(&w);
}

static int64_t stored_look(struct world *w)
{
    int64_t look_ms = -1;
    struct err err = {0};
    assert_true(restore_fact(w->store, COMMIT_LOOK, &look_ms, &err) >= 0);
    return look_ms;
}

/* After a crash looks go on with the one whose outcome is stored: none is decided twice. */
static void what_a_look_came_to_is_stored_together_with_the_look(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    fill(&w, start, 100, 0, 10);

    look(&w, start + 30000, 1000);
    assert_int_equal(stored_look(&w), -1); /* nothing came of it */
    fill(&w, start, 100, 40, 10);
    look(&w, start + 60000, 2000);

    assert_int_equal(stored_look(&w), start + 60000);
    look(&w, start + 90000, 3000);
    assert_int_equal(stored_look(&w), start + 60000);
    end(&w);
}

static void a_message_says_since_when_how_sure_what_was_done_and_where_to_look(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 1000);
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
    end(&w);
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
        begin(&w);
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
        end(&w);
    }
}

static void what_still_fires_is_repeated(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    assert_int_equal(flush(&w, 10000), 1);
    assert_int_equal(flush(&w, 10000 + HOUR - 1), 0);
    assert_int_equal(flush(&w, 10000 + HOUR), 1);
    end(&w);
}

static void what_somebody_looks_after_is_not_repeated(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
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
    end(&w);
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
    begin_with(&w, alertmanager);
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
    end(&w);
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
        begin_with(&w, i == 0 ? people : program);
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
        end(&w);
    }
}

static void a_rule_that_is_gone_after_a_restart_ends_its_alert(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    assert_int_equal(flush(&w, 10000), 1);
    alerts_free(w.alerts);
    config_free(w.config);
    static const char less[] =
        "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
        "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/'}]\n"
        "route: {receiver: oncall}\n";
    must(config_parse(&w.config, "assay.yaml", less, strlen(less), &err), &err);
    must(alerts_new(&w.alerts, w.config, w.store, NULL, "", &err), &err);

    must(alerts_close_removed(w.alerts, 2 * MINUTE, &err), &err);
    must(alerts_close_removed(w.alerts, 3 * MINUTE, &err), &err); /* once is enough */

    assert_int_equal(flush(&w, 4 * MINUTE), 1);
    json_t *data = newest(&w);
    assert_string_equal(text(data, "type"), "alert.resolved");
    assert_non_null(strstr(text(data, "summary"), "its rule was removed from the configuration"));
    json_decref(data);
    assert_int_equal(flush(&w, 2 * HOUR), 0);
    end(&w);
}

static void a_reload_keeps_what_memory_alone_knows(void **state)
{
    (void)state;
    static const char patient[] =
        "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
        "alerts:\n"
        "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: 0.2, interval: "
        "false, keep_firing_for: 2m}\n"
        "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/'}]\n"
        "route: {receiver: oncall, group_wait: 0s, group_interval: 0s}\n";
    struct world w = {0};
    struct err err = {0};
    begin_with(&w, patient);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    fill(&w, start + MINUTE, 10000, 0, 10);
    look(&w, start + 2 * MINUTE, 1000); /* clear since here: no row says so */
    AUTO(config) struct config *again = NULL;
    must(config_parse(&again, "assay.yaml", patient, strlen(patient), &err), &err);

    must(alerts_reload(w.alerts, again, 2000, &err), &err);

    assert_int_equal(flush(&w, 3000), 1);
    look(&w, start + 4 * MINUTE - 1000, 4000);
    assert_int_equal(flush(&w, 5000), 0);
    look(&w, start + 4 * MINUTE, 6000);
    assert_int_equal(flush(&w, 7000), 1);
    json_t *data = newest(&w);
    assert_string_equal(text(data, "type"), "alert.resolved");
    json_decref(data);
    end(&w);
}

/* A minute of 100 predictions, all wrong, of which `labelled` have their label. */
static void fill_labelled(struct world *w, int64_t start_ms, int labelled)
{
    struct err err = {0};
    struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    AUTO(states) struct states *states = NULL;
    must(states_new(&states, &setup, &err), &err);
    for (int i = 0; i < 100; i++) {
        struct sample sample = {.ts_ms = start_ms,
                                .latency_ms = 1,
                                .score = 0.9,
                                .value = (double)NAN,
                                .label_value = (double)NAN,
                                .predicted = class_id("1", 1),
                                .label_class = class_id("0", 1)};
        assert_int_equal(states_predict(states, &sample), 0);
        if (i < labelled)
            assert_int_equal(states_label(states, &sample, 1), 0);
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    must(commit_begin(w->store, &err), &err);
    must(commit_pane(w->store, w->series_id, MINUTE, start_ms, bytes.data, bytes.size, &err), &err);
    must(commit_end(w->store, &err), &err);
    buf_finish(&bytes);
}

static void labels_that_are_not_in_yet_are_waited_for_by_share_or_by_time(void **state)
{
    (void)state;
    static const char labels[] =
        "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
        "alerts:\n"
        "  - {name: share, model: credit, metric: accuracy, window: 1m, below: 0.5, mature: 0.8}\n"
        "  - {name: time, model: credit, metric: accuracy, window: 1m, below: 0.5, mature_after: "
        "10m}\n"
        "  - {name: either, model: credit, metric: accuracy, window: 1m, below: 0.5, mature: 0.8, "
        "mature_after: 10m}\n";
    struct world w = {0};
    begin_with(&w, labels);
    fill_labelled(&w, start, 50);
    look(&w, start + 30000, 0);
    assert_int_equal(atomic_load(&w.alerts->by_phase[ALERT_FIRING]), 0); /* half of the labels */

    look(&w, start + 10 * MINUTE + 30000, 0); /* ten minutes later, the two that know a time */
    assert_int_equal(atomic_load(&w.alerts->by_phase[ALERT_FIRING]), 2);
    assert_int_equal(alert_find(w.alerts, w.alerts->alerts[0].id)->state.phase, ALERT_INACTIVE);

    fill_labelled(&w, start + 20 * MINUTE, 90);
    look(&w, start + 20 * MINUTE + 30000, 0); /* 90% are in at once: the share judges */
    assert_int_equal(w.alerts->alerts[0].state.phase, ALERT_FIRING);
    end(&w);
}

static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    alerts_free(w.alerts); /* killed between the look and the flush */
    must(alerts_new(&w.alerts, w.config, w.store, NULL, "", &err), &err);
    look(&w, start + 31000, 1000); /* still firing: not a second alert */
    assert_int_equal(flush(&w, 10000), 1);
    assert_int_equal(flush(&w, 10000 + MINUTE), 0);
    end(&w);
}

static void a_silence_holds_the_telling_back_and_not_the_state(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    struct buf answer;
    begin(&w);
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
    end(&w);
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
    begin_with(&w, one_group);
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
    end(&w);
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
    begin_with(&w, flapping);

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
    end(&w);
}

static void an_inhibited_rule_waits_for_the_other(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    fill(&w, start, 100, 40, 500); /* failing and slow */
    look(&w, start + 30000, 0);
    assert_int_equal(flush(&w, 10000), 1); /* "errors" alone */
    json_t *data = newest(&w);
    assert_string_equal(text(json_array_get(json_object_get(data, "alerts"), 0), "name"), "errors");
    json_decref(data);
    end(&w);
}

static void silence_is_told_by_the_wall_clock(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    begin(&w);
    fill(&w, start, 100, 0, 10);
    look(&w, start + 30000, 0);
    struct outside later = {.now_ms = start + 11 * MINUTE, .lag = -1};
    must(alerts_tick(w.alerts, &later, 11 * MINUTE, &err), &err);
    assert_int_equal(flush(&w, 12 * MINUTE), 1);
    json_t *data = newest(&w);
    assert_string_equal(text(data, "summary"),
                        "[FIRING] silent: credit: no event for 660 s, 10m are allowed");
    json_decref(data);
    end(&w);
}

static void rules_are_listed_with_their_levels_also_those_that_never_fired(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    begin(&w);
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);

    must(alerts_list_rules(w.alerts, &out, &err), &err);

    json_t *answer = json_loadb((const char *)out.data, out.size, 0, NULL);
    json_t *items = json_object_get(answer, "items");
    json_t *errors = json_array_get(items, 0), *silent = json_array_get(items, 2);
    assert_int_equal(json_array_size(items), 3);
    assert_string_equal(text(errors, "name"), "errors");
    assert_string_equal(text(errors, "kind"), "level");
    assert_string_equal(text(errors, "state"), "firing");
    assert_true(json_number_value(json_object_get(errors, "above")) == 0.2);
    assert_true(json_is_null(json_object_get(errors, "below")));
    assert_int_equal(json_integer_value(json_object_get(errors, "window")), 5 * MINUTE);
    assert_string_equal(text(silent, "kind"), "absent");
    assert_string_equal(text(silent, "state"), "inactive");
    assert_true(json_is_null(json_object_get(silent, "above")));
    json_decref(answer);
    buf_finish(&out);
    end(&w);
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
    };
    struct world w = {0};
    begin(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        struct actor ann = {"ann", 1000};
        assert_int_equal(alerts_silence(w.store, rows[i].body, &ann, NULL, &err), ERR_DATA);
        if (rows[i].text)
            assert_string_equal(err.text, rows[i].text);
    }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_is_told_after_its_group_wait_and_again_when_it_ends),
        cmocka_unit_test(what_a_look_came_to_is_stored_together_with_the_look),
        cmocka_unit_test(a_message_says_since_when_how_sure_what_was_done_and_where_to_look),
        cmocka_unit_test(a_message_says_what_the_newest_experiment_on_the_model_came_to),
        cmocka_unit_test(what_still_fires_is_repeated),
        cmocka_unit_test(what_somebody_looks_after_is_not_repeated),
        cmocka_unit_test(alertmanager_hears_every_minute_what_fires_and_five_more_what_ended),
        cmocka_unit_test(
            six_hundred_at_once_are_one_page_for_people_and_all_of_them_for_alertmanager),
        cmocka_unit_test(a_rule_that_is_gone_after_a_restart_ends_its_alert),
        cmocka_unit_test(a_reload_keeps_what_memory_alone_knows),
        cmocka_unit_test(labels_that_are_not_in_yet_are_waited_for_by_share_or_by_time),
        cmocka_unit_test(a_restart_forgets_nothing),
        cmocka_unit_test(a_silence_holds_the_telling_back_and_not_the_state),
        cmocka_unit_test(what_is_silenced_in_a_group_that_is_told_is_told_later),
        cmocka_unit_test(F46_after_days_of_outage_old_pairs_are_one_summary),
        cmocka_unit_test(an_inhibited_rule_waits_for_the_other),
        cmocka_unit_test(silence_is_told_by_the_wall_clock),
        cmocka_unit_test(rules_are_listed_with_their_levels_also_those_that_never_fired),
        cmocka_unit_test(bad_silences_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
