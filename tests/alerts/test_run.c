/* Looks and reloads: what an alert is then, and what is kept of it. */
#include "alerts/keeper.h"
#include "storage/restore.h"
#include "tests/alerts/world.h"

static void an_alert_is_told_after_its_group_wait_and_again_when_it_ends(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_firing(&w, 1000);

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
    world_end(&w);
}

static void a_number_that_is_not_known_is_a_dash_in_words(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_with(&w, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                         "alerts:\n"
                         "  - {name: busy, model: credit, metric: count, window: 5m, above: 20, "
                         "annotations: {note: 'now {{value}} ({{lower}} to {{upper}})'}}\n"
                         "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/', "
                         "allow_private: true}]\n"
                         "route: {receiver: oncall, group_wait: 0s}\n");
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 1000);

    assert_int_equal(flush(&w, 1000), 1);

    json_t *data = newest(&w);
    json_t *alert = json_array_get(json_object_get(data, "alerts"), 0);
    assert_string_equal(text(json_object_get(alert, "annotations"), "note"), "now 100 (– to –)");
    json_decref(data);
    world_end(&w);
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
    world_begin(&w);
    fill(&w, start, 100, 0, 10);

    look(&w, start + 30000, 1000);
    assert_int_equal(stored_look(&w), -1); /* nothing came of it */
    fill(&w, start, 100, 40, 10);
    look(&w, start + 60000, 2000);

    assert_int_equal(stored_look(&w), start + 60000);
    look(&w, start + 90000, 3000);
    assert_int_equal(stored_look(&w), start + 60000);
    world_end(&w);
}

static void a_rule_that_is_gone_after_a_restart_ends_its_alert(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    world_begin_firing(&w, 0);
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
    world_end(&w);
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
    world_begin_with(&w, patient);
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
    world_end(&w);
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
    world_begin_with(&w, labels);
    fill_labelled(&w, start, 50);
    look(&w, start + 30000, 0);
    assert_int_equal(atomic_load(&w.alerts->by_phase[ALERT_FIRING]), 0); /* half of the labels */

    look(&w, start + 10 * MINUTE + 30000, 0); /* ten minutes later, the two that know a time */
    assert_int_equal(atomic_load(&w.alerts->by_phase[ALERT_FIRING]), 2);
    assert_int_equal(alert_find(w.alerts, w.alerts->alerts[0].id)->state.phase, ALERT_INACTIVE);

    fill_labelled(&w, start + 20 * MINUTE, 90);
    look(&w, start + 20 * MINUTE + 30000, 0); /* 90% are in at once: the share judges */
    assert_int_equal(w.alerts->alerts[0].state.phase, ALERT_FIRING);
    world_end(&w);
}

static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    world_begin_firing(&w, 0);
    alerts_free(w.alerts); /* killed between the look and the flush */
    must(alerts_new(&w.alerts, w.config, w.store, NULL, "", &err), &err);
    look(&w, start + 31000, 1000); /* still firing: not a second alert */
    assert_int_equal(flush(&w, 10000), 1);
    assert_int_equal(flush(&w, 10000 + MINUTE), 0);
    world_end(&w);
}

static void restart(struct world *w)
{
    struct err err = {0};
    alerts_free(w->alerts);
    must(alerts_new(&w->alerts, w->config, w->store, NULL, "", &err), &err);
}

static void a_restart_knows_since_when_it_is_clear(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_with(&w, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                         "alerts:\n"
                         "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: "
                         "0.2, interval: false, keep_firing_for: 2m}\n");
    fill(&w, start, 100, 40, 10);
    look(&w, start + 30000, 0);
    fill(&w, start + MINUTE, 10000, 0, 10);
    look(&w, start + 2 * MINUTE, 0); /* clear, and no row of history */
    restart(&w);
    const struct alert_state *alert = &w.alerts->alerts[0].state;
    assert_int_equal(alert->phase, ALERT_FIRING);
    look(&w, start + 4 * MINUTE - 1000, 0);
    assert_int_equal(alert->phase, ALERT_FIRING);

    look(&w, start + 4 * MINUTE, 0);

    assert_int_equal(alert->phase, ALERT_INACTIVE);
    world_end(&w);
}

static void a_rule_is_judged_at_multiples_of_its_every_also_after_a_restart(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_with(&w, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                         "alerts:\n"
                         "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: "
                         "0.2, interval: false, every: 1m}\n");
    fill(&w, start, 100, 40, 10);
    assert_int_equal(alerts_next_look(w.alerts, start + 1000, start), start + MINUTE);
    look(&w, start + 30000, 0);
    restart(&w);
    look(&w, start + 31000, 0);
    assert_int_equal(w.alerts->alerts[0].state.phase, ALERT_INACTIVE);

    look(&w, start + MINUTE, 0);

    assert_int_equal(w.alerts->alerts[0].state.phase, ALERT_FIRING);
    world_end(&w);
}

/* A gap of years would otherwise be judged second by second before the next event is taken. */
static void where_nothing_happens_rules_are_judged_until_nothing_can_change(void **state)
{
    (void)state;
    struct world w = {0};
    world_begin_with(&w, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                         "alerts:\n"
                         "  - {name: silent, model: credit, absent: 10h, for: 1h}\n"
                         "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: "
                         "0.2, relative_to: 7d, every: 1m}\n");
    const int64_t hour = 60 * MINUTE;

    assert_int_equal(alerts_next_look(w.alerts, start, start), start + 1000);
    assert_int_equal(alerts_next_look(w.alerts, start + 11 * hour, start),
                     start + 11 * hour + 1000);
    assert_int_equal(alerts_next_look(w.alerts, start + 24 * hour, start),
                     start + 24 * hour + MINUTE);
    assert_int_equal(alerts_next_look(w.alerts, start + 168 * hour, start),
                     start + 168 * hour + MINUTE);
    assert_int_equal(alerts_next_look(w.alerts, start + 172 * hour, start), 0);
    assert_int_equal(alerts_next_look(w.alerts, start + 172 * hour, start + 172 * hour),
                     start + 172 * hour + 1000);
    world_end(&w);
}

static void silence_is_told_by_the_wall_clock(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    world_begin(&w);
    fill(&w, start, 100, 0, 10);
    look(&w, start + 30000, 0);
    struct outside later = {.now_ms = start + 11 * MINUTE, .lag = -1, .wall_ms = 11 * MINUTE};
    must(alerts_tick(w.alerts, &later, &err), &err);
    assert_int_equal(flush(&w, 12 * MINUTE), 1);
    json_t *data = newest(&w);
    assert_string_equal(text(data, "summary"),
                        "[FIRING] silent: credit: no event for 660 s, 10m are allowed");
    json_decref(data);
    world_end(&w);
}

static void the_end_of_our_certificate_is_told_by_the_wall_clock(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    world_begin_with(&w, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                         "alerts: [{name: tls, certificate: 14d}]\n"
                         "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/'}]\n"
                         "route: {receiver: oncall, group_wait: 0s}\n");
    const int64_t day_ms = 24 * HOUR, end_ms = INT64_C(1700000000000);
    struct outside outside = {.now_ms = start, .lag = -1, .certificate_end_ms = end_ms};
    outside.wall_ms = end_ms - 14 * day_ms;
    must(alerts_look(w.alerts, &outside, &err), &err);
    assert_int_equal(w.alerts->alerts[0].state.phase, ALERT_INACTIVE);

    outside.wall_ms += 1000;
    must(alerts_tick(w.alerts, &outside, &err), &err);
    assert_int_equal(flush(&w, outside.wall_ms), 1);
    json_t *data = newest(&w);
    assert_string_equal(text(data, "summary"),
                        "[FIRING] tls: Assay: the certificate that is served ends at "
                        "2023-11-14T22:13:20.000Z; replace it 14d before, and send SIGHUP");
    json_decref(data);

    outside.certificate_end_ms += 365 * day_ms; /* replaced */
    outside.now_ms += 1000;
    must(alerts_look(w.alerts, &outside, &err), &err);
    assert_int_equal(w.alerts->alerts[0].state.phase, ALERT_INACTIVE);
    world_end(&w);
}

static int take_clock(void *context, const struct alert_event_row *row, struct err *err)
{
    (void)err;
    snprintf(context, 64, "%s %s", row->event, row->clock);
    return 1;
}

static void assert_newest_event(struct world *w, size_t rule, const char *expected)
{
    struct err err = {0};
    char found[64] = "";
    const char *id = w->alerts->alerts[rule].id;
    assert_int_equal(alert_history_read(w->store, id, INT64_MAX, 1, take_clock, found, &err), 1);
    assert_string_equal(found, expected);
}

static void history_says_which_clock_caused_it_also_at_a_look(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    world_begin_with(&w, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                         "alerts:\n"
                         "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: "
                         "0.2, interval: false}\n"
                         "  - {name: behind, lag: 1000}\n"
                         "  - {name: tls, certificate: 14d}\n");
    fill(&w, start, 100, 40, 10);
    const struct outside outside = {
        .now_ms = start + 30000, .wall_ms = 2000, .lag = 1001, .certificate_end_ms = 1000};

    must(alerts_look(w.alerts, &outside, &err), &err);

    assert_newest_event(&w, 0, "firing event");
    assert_newest_event(&w, 1, "firing wall");
    assert_newest_event(&w, 2, "firing wall");
    world_end(&w);
}

static void rules_are_listed_with_their_levels_also_those_that_never_fired(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    world_begin_firing(&w, 0);

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
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_is_told_after_its_group_wait_and_again_when_it_ends),
        cmocka_unit_test(a_number_that_is_not_known_is_a_dash_in_words),
        cmocka_unit_test(what_a_look_came_to_is_stored_together_with_the_look),
        cmocka_unit_test(a_rule_that_is_gone_after_a_restart_ends_its_alert),
        cmocka_unit_test(a_reload_keeps_what_memory_alone_knows),
        cmocka_unit_test(labels_that_are_not_in_yet_are_waited_for_by_share_or_by_time),
        cmocka_unit_test(a_restart_forgets_nothing),
        cmocka_unit_test(a_restart_knows_since_when_it_is_clear),
        cmocka_unit_test(a_rule_is_judged_at_multiples_of_its_every_also_after_a_restart),
        cmocka_unit_test(where_nothing_happens_rules_are_judged_until_nothing_can_change),
        cmocka_unit_test(silence_is_told_by_the_wall_clock),
        cmocka_unit_test(the_end_of_our_certificate_is_told_by_the_wall_clock),
        cmocka_unit_test(history_says_which_clock_caused_it_also_at_a_look),
        cmocka_unit_test(rules_are_listed_with_their_levels_also_those_that_never_fired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
