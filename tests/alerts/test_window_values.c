/*
 * A trend's windows are kept between looks, until something is written that changes them. Each reading is compared with
 * that of somebody who keeps nothing.
 */
#include "alerts/window_values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alerts/keeper.h"
#include "alerts/reading.h"
#include "alerts/run.h"
#include "stats/estimator.h"
#include "stats/fitted.h"
#include "stats/reference.h"
#include "storage/model_settings.h"
#include "storage/references.h"
#include "storage/retention.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define DAY (24 * HOUR)
static const int64_t start = INT64_C(19675) * DAY; /* a whole day of 2023 */

static const char six_rules[] =
    "models:\n"
    "  - {name: credit, task: binary, label_horizon: 1d, metrics: [{name: net, expr: '2*tp'}]}\n"
    "  - {name: own-past, task: binary, reference: {trailing: 1d}}\n"
    "alerts:\n"
    "  - {name: right, model: credit, metric: accuracy, window: 1h, trend: increasing, points: 4}\n"
    "  - {name: v1-right, model: credit, version: v1, metric: accuracy, window: 1h, trend: "
    "increasing, points: 4}\n"
    "  - {name: daily, model: credit, metric: accuracy, window: 1d, trend: increasing, points: 3}\n"
    "  - {name: worth, model: credit, metric: net, window: 1h, trend: decreasing, points: 4}\n"
    "  - {name: expected, model: credit, metric: estimated_accuracy, window: 1h, trend: decreasing,"
    " points: 3}\n"
    "  - {name: patient, model: credit, metric: accuracy, window: 1h, trend: increasing, points: 3,"
    " mature: 0.9, mature_after: 2h}\n"
    "  - {name: past, model: own-past, metric: estimated_accuracy, window: 1h, trend: increasing,"
    " points: 3, false_alarm_rate: 0.4}\n";

struct place {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct rule_set *rules;
    struct readings *readings;
    int64_t v1;
};

static void begin_rules(struct place *place, const char *text)
{
    struct err err = {0};
    must(config_parse(&place->config, "assay.yaml", text, strlen(text), &err), &err);
    must(rule_set_parse(&place->rules, place->config, &err), &err);
    must(readings_new(&place->readings, place->config, place->store, &err), &err);
}

static void end_rules(struct place *place)
{
    readings_free(place->readings);
    rule_set_free(place->rules);
    config_free(place->config);
}

/* Of 10 events of a minute `right` were predicted rightly; of `n_labelled` that is known. */
static struct states *states_of(int right, int n_labelled, double score)
{
    const struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < 10; i++) {
        struct sample sample = {.ts_ms = start,
                                .latency_ms = 1,
                                .score = score,
                                .value = (double)NAN,
                                .label_value = (double)NAN,
                                .predicted = class_id("1", 1)};
        assert_int_equal(states_predict(states, &sample), 0);
        if (i >= n_labelled)
            continue;
        sample.label_class = class_id(i < right ? "1" : "0", 1);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    return states;
}

static void put_in(struct place *place, int64_t series, int64_t level_ms, int64_t start_ms,
                   int right, int n_labelled)
{
    struct err err = {0};
    struct buf bytes;
    AUTO(states) struct states *states = states_of(right, n_labelled, 0.9);
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    must(commit_begin(place->store, &err), &err);
    must(commit_pane(place->store, series, level_ms, start_ms, bytes.data, bytes.size, &err), &err);
    must(commit_end(place->store, &err), &err);
    buf_finish(&bytes);
}

static void put(struct place *place, int64_t start_ms, int right, int n_labelled)
{
    put_in(place, place->v1, MINUTE, start_ms, right, n_labelled);
}

/* Six hours; in each a minute's events, one more of which is right than in the hour before. */
static struct place *place_new(void)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    place->temp = temp_new();
    place->store = temp_store(place->temp, STORE_WRITE);
    place->v1 = temp_series(place->store, "credit", "v1", "");
    begin_rules(place, six_rules);
    for (int hour = 0; hour < 6; hour++)
        put(place, start + hour * HOUR, 3 + hour, 10);
    return place;
}

static void place_free(struct place *place)
{
    end_rules(place);
    store_free(place->store);
    temp_free(place->temp);
    free(place);
}
DEFINE_FREEP(place)

static struct reading read_by(struct readings *readings, const struct place *place,
                              const char *rule, int64_t now_ms)
{
    struct err err = {0};
    struct reading reading;
    const struct outside outside = {.now_ms = now_ms};
    readings_start(readings, &outside);
    must(readings_read(readings, rule_set_find(place->rules, rule), &reading, &err), &err);
    return reading;
}

static struct reading read_at(struct place *place, const char *rule, int64_t now_ms)
{
    struct err err = {0};
    AUTO(readings) struct readings *fresh = NULL;
    must(readings_new(&fresh, place->config, place->store, &err), &err);
    struct reading expected = read_by(fresh, place, rule, now_ms);

    struct reading reading = read_by(place->readings, place, rule, now_ms);

    assert_int_equal(reading.sight, expected.sight);
    assert_string_equal(reading.why, expected.why);
    assert_string_equal(reading.confidence, expected.confidence);
    assert_memory_equal(&reading.value, &expected.value, sizeof(reading.value));
    assert_int_equal(reading.n, expected.n);
    assert_int_equal(reading.labelled, expected.labelled);
    assert_int_equal(reading.start_ms, expected.start_ms);
    assert_int_equal(reading.end_ms, expected.end_ms);
    return reading;
}

/* As no process does that keeps the rules: the store does not know of it. */
static void empty_behind_its_back(struct place *place)
{
    temp_edit(place->temp->path, "DELETE FROM panes");
}

static void windows_that_have_ended_are_not_read_again(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    struct reading first = read_at(place, "right", start + 6 * HOUR);
    assert_int_equal(first.sight, SIGHT_BAD);
    assert_string_equal(first.why, "accuracy rose each time over 4 windows, now 0.8");

    put(place, start + 6 * HOUR, 9, 10); /* of the hour that goes on */
    empty_behind_its_back(place);
    struct reading again = read_by(place->readings, place, "right", start + 6 * HOUR + 1000);
    struct reading later = read_by(place->readings, place, "right", start + 6 * HOUR + 59 * MINUTE);

    assert_string_equal(again.why, first.why);
    assert_string_equal(later.why, first.why);
    assert_int_equal(later.n, first.n);
}

static void a_step_forward_reads_the_newest_window_alone(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    read_at(place, "right", start + 5 * HOUR);

    empty_behind_its_back(place);
    put(place, start + 5 * HOUR + MINUTE, 9, 10);
    struct reading next = read_by(place->readings, place, "right", start + 6 * HOUR);

    assert_int_equal(next.sight, SIGHT_BAD);
    assert_float_equal(next.value, 0.9, 1e-12);
    assert_int_equal(next.n, 40);
}

static void a_late_event_or_label_is_seen(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    assert_int_equal(read_at(place, "right", start + 6 * HOUR).sight, SIGHT_BAD);

    put(place, start + 3 * HOUR + MINUTE, 0, 10); /* events of the third hour */
    struct reading events = read_at(place, "right", start + 6 * HOUR + 1000);
    assert_int_equal(events.sight, SIGHT_CLEAR);
    assert_int_equal(events.n, 50);

    put(place, start + 3 * HOUR + MINUTE, 10, 10); /* their labels, corrected */
    struct reading labels = read_at(place, "right", start + 6 * HOUR + 2000);
    assert_int_equal(labels.sight, SIGHT_CLEAR);
    put(place, start + 3 * HOUR + MINUTE, 7, 10);
    assert_int_equal(read_at(place, "right", start + 6 * HOUR + 3000).sight, SIGHT_BAD);

    put(place, start + 3 * HOUR + MINUTE, 7, 4); /* the same share, of fewer labels */
    assert_int_equal(read_at(place, "right", start + 6 * HOUR + 4000).labelled, 44);
}

static void another_series_changes_only_what_it_is_in(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    read_at(place, "right", start + 6 * HOUR);
    read_at(place, "v1-right", start + 6 * HOUR);
    int64_t v2 = temp_series(place->store, "credit", "v2", "");
    read_at(place, "right", start + 6 * HOUR);
    read_at(place, "v1-right", start + 6 * HOUR);

    put_in(place, v2, MINUTE, start + 4 * HOUR, 1, 10); /* the first event of a version, late */

    assert_int_equal(read_at(place, "right", start + 6 * HOUR).sight, SIGHT_CLEAR);
    assert_int_equal(read_at(place, "v1-right", start + 6 * HOUR).sight, SIGHT_BAD);
}

static void a_version_that_comes_with_its_first_events_is_seen(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    read_at(place, "right", start + 6 * HOUR);

    put_in(place, temp_series(place->store, "credit", "v2", ""), MINUTE, start + 4 * HOUR, 1, 10);

    assert_int_equal(read_at(place, "right", start + 6 * HOUR).sight, SIGHT_CLEAR);
}

static void what_retention_takes_away_is_gone(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    static const int64_t keep_ms[] = {HOUR, DAY, 2 * DAY};
    struct retention_done done;
    struct err err = {0};
    for (int day = 3; day < 6; day++)
        put_in(place, place->v1, DAY, start + day * DAY, day, 10);
    assert_int_equal(read_at(place, "daily", start + 6 * DAY).sight, SIGHT_BAD);

    for (int i = 0; i < 9; i++)
        must(retention_step(place->store, keep_ms, start + 7 * DAY, 50, &done, &err), &err);

    assert_int_equal(read_at(place, "daily", start + 6 * DAY + 1000).sight, SIGHT_NO_DATA);
}

static void what_a_commit_did_not_keep_is_not_kept_here(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    struct err err = {0};
    struct buf bytes;
    AUTO(states) struct states *states = states_of(0, 10, 0.9);
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    must(commit_begin(place->store, &err), &err);
    must(commit_pane(place->store, place->v1, MINUTE, start + 4 * HOUR, bytes.data, bytes.size,
                     &err),
         &err);
    buf_finish(&bytes);
    assert_int_equal(read_by(place->readings, place, "right", start + 6 * HOUR).sight, SIGHT_CLEAR);

    commit_rollback(place->store);

    assert_int_equal(read_at(place, "right", start + 6 * HOUR).sight, SIGHT_BAD);
}

static void a_reload_evaluates_by_the_new_configuration(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    struct err err = {0};
    char *text = strdup(six_rules);
    char *formula = strstr(text, "2*tp");
    AUTO(config) struct config *again = NULL;
    AUTO(alerts) struct alerts *alerts = NULL; /* ends first: it reads `again` */
    const struct outside outside = {.now_ms = start + 6 * HOUR, .wall_ms = start + 6 * HOUR};
    put(place, start + 5 * HOUR, 1, 10);
    put(place, start + 4 * HOUR, 2, 10);
    put(place, start + 3 * HOUR, 3, 10);
    put(place, start + 2 * HOUR, 4, 10);
    must(alerts_new(&alerts, place->config, place->store, NULL, NULL, &err), &err);
    must(alerts_look(alerts, &outside, &err), &err);
    assert_int_equal(alert_named(alerts, "worth")->state.phase, ALERT_FIRING);

    formula[0] = '0';
    must(config_parse(&again, "assay.yaml", text, strlen(text), &err), &err);
    must(alerts_reload(alerts, again, start + 6 * HOUR, &err), &err);
    must(alerts_look(alerts, &outside, &err), &err);

    assert_int_not_equal(alert_named(alerts, "worth")->state.phase, ALERT_FIRING);
    free(text);
}

/* A reference in which `right` of ten events of that score came true. */
static void load_reference(struct place *place, int right, int64_t id)
{
    struct err err = {0};
    struct profile_feature feature = {.name_id = 1, .min = (double)NAN, .max = (double)NAN};
    struct profile_layout layout = {0, 1, &feature};
    AUTO(profile) struct profile *profile = NULL;
    AUTO(reference) struct reference *reference = NULL;
    AUTO(states) struct states *states = states_of(right, 10, 0.9);
    for (int i = 0; i < 400; i++) {
        AUTO(states) struct states *more = states_of(right, 10, 0.9);
        assert_int_equal(states_merge(states, more), 0);
    }
    must(profile_new(&profile, &layout, PROFILE_REFERENCE, &err), &err);
    profile_event(profile, 1);
    assert_int_equal(profile_number(profile, 0, (double)id, 1), 0);
    must(reference_build(&reference, profile, 0, &err), &err);
    reference->fitted = calloc(1, sizeof(*reference->fitted));
    must(estimator_of_states(&reference->fitted->estimator, states, (uint64_t)id, &err), &err);
    must(commit_begin(place->store, &err), &err);
    must(commit_reference(place->store, "credit", "", reference, "api", 1, &err), &err);
    must(commit_end(place->store, &err), &err);
}

static void estimates_are_those_of_the_reference_that_counts_now(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    load_reference(place, 8, 1);
    double first = read_at(place, "expected", start + 6 * HOUR).value;

    load_reference(place, 5, 2);
    double replaced = read_at(place, "expected", start + 6 * HOUR + 1000).value;

    assert_float_equal(first, 0.8, 0.02);
    assert_float_equal(replaced, 0.5, 0.02);
}

static void estimates_follow_the_panes_that_are_their_reference(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    struct err err = {0};
    const int64_t id = temp_series(place->store, "own-past", "v1", "");
    must(commit_begin(place->store, &err), &err);
    must(commit_model_settings(place->store, &place->config->models[1], &err), &err);
    must(commit_end(place->store, &err), &err);
    for (int minute = 0; minute < 40; minute++)
        put_in(place, id, MINUTE, start + minute * MINUTE, 8, 10);
    for (int hour = 3; hour < 7; hour++)
        put_in(place, id, MINUTE, start + hour * HOUR, 9, 10);
    double first = read_at(place, "past", start + 6 * HOUR).value;

    for (int minute = 0; minute < 40; minute++) /* long before the windows */
        put_in(place, id, MINUTE, start + minute * MINUTE, 5, 10);
    double changed = read_at(place, "past", start + 6 * HOUR + 1000).value;
    /* with the windows the stretch before them moves, and what each of them is expected to be */
    double moved = read_at(place, "past", start + 7 * HOUR).value;

    assert_float_equal(first, 0.8, 0.02);
    assert_float_equal(changed, 0.5, 0.02);
    assert_true(isfinite(moved));
}

static void a_rule_that_waits_for_labels_keeps_both_stretches(void **state)
{
    (void)state;
    AUTO(place) struct place *place = place_new();
    put(place, start + 5 * HOUR, 8, 2); /* its labels are not in: the hours before are judged */
    struct reading before = read_at(place, "patient", start + 6 * HOUR);
    assert_int_equal(before.end_ms, start + 4 * HOUR);
    assert_int_equal(before.sight, SIGHT_BAD);

    put(place, start + 3 * HOUR, 0, 10);
    struct reading late = read_at(place, "patient", start + 6 * HOUR + 1000);
    assert_int_equal(late.end_ms, start + 4 * HOUR);
    assert_int_equal(late.sight, SIGHT_CLEAR);

    put(place, start + 5 * HOUR, 8, 10);
    assert_int_equal(read_at(place, "patient", start + 6 * HOUR + 2000).end_ms, start + 6 * HOUR);
}

static void rules_beyond_the_rows_are_read_each_time(void **state)
{
    (void)state;
    enum {
        N = WINDOW_ROWS + 3
    };
    AUTO(place) struct place *place = place_new();
    char *text = calloc(N + 1, 128);
    size_t n = (size_t)sprintf(text, "models: [{name: credit, task: binary}]\nalerts:\n");
    for (int i = 0; i < N; i++)
        n += (size_t)sprintf(text + n,
                             " - {name: r%d, model: credit, metric: accuracy, window: 1h, "
                             "trend: increasing, points: 4}\n",
                             i);
    end_rules(place);
    begin_rules(place, text);
    for (int i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof(name), "r%d", i);
        read_by(place->readings, place, name, start + 6 * HOUR);
    }

    put(place, start + 4 * HOUR, 1, 10);

    assert_int_equal(read_at(place, "r0", start + 6 * HOUR).sight, SIGHT_CLEAR);
    assert_int_equal(read_at(place, "r258", start + 6 * HOUR).sight, SIGHT_CLEAR);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_that_have_ended_are_not_read_again),
        cmocka_unit_test(a_step_forward_reads_the_newest_window_alone),
        cmocka_unit_test(a_late_event_or_label_is_seen),
        cmocka_unit_test(another_series_changes_only_what_it_is_in),
        cmocka_unit_test(a_version_that_comes_with_its_first_events_is_seen),
        cmocka_unit_test(what_retention_takes_away_is_gone),
        cmocka_unit_test(what_a_commit_did_not_keep_is_not_kept_here),
        cmocka_unit_test(a_reload_evaluates_by_the_new_configuration),
        cmocka_unit_test(estimates_are_those_of_the_reference_that_counts_now),
        cmocka_unit_test(estimates_follow_the_panes_that_are_their_reference),
        cmocka_unit_test(a_rule_that_waits_for_labels_keeps_both_stretches),
        cmocka_unit_test(rules_beyond_the_rows_are_read_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
