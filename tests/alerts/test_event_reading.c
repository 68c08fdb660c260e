/* Rules on experiments and on the audit log, and those relative to the reference. */
#include <stdio.h>
#include <string.h>

#include "alerts/reading.h"
#include "stats/fitted.h"
#include "storage/audit.h"
#include "storage/change_points.h"
#include "storage/references.h"
#include "storage/transition.h"
#include "tests/lib/failing_pane.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define START (INT64_C(1700000000000) / HOUR * HOUR)

static const char yaml[] =
    "models:\n"
    "  - {name: credit, task: binary, segments: [country], reference: {version: v1}}\n"
    "  - {name: churn, task: binary, timezone: Europe/Berlin, reference: {trailing: 2h}, "
    "segments: [country], changes: {expected_run_time: 50000, segments: [country]}}\n"
    "  - {name: plain, task: binary}\n"
    "alerts:\n"
    "  - {name: rolled, experiment: any, on: rolled_back, window: 1h}\n"
    "  - {name: promoted, experiment: a, on: promoted, window: 1h}\n"
    "  - {name: step, experiment: a, on: step, window: 1h}\n"
    "  - {name: held, experiment: any, model: credit, on: held}\n"
    "  - {name: srm, experiment: a, on: srm}\n"
    "  - {name: other, experiment: b, on: rolled_back}\n"
    "  - {name: audit, audit: broken}\n"
    "  - {name: worse, model: credit, version: v2, metric: error_rate, window: 1h, above: 0.5, "
    "relative_to: reference, interval: false}\n"
    "  - {name: surely-worse, model: credit, version: v2, metric: error_rate, window: 1h, above: "
    "0.5, relative_to: reference}\n"
    "  - {name: rising, model: churn, metric: error_rate, window: 1h, above: 0.5, interval: false, "
    "relative_to: reference}\n"
    "  - {name: trending, model: churn, metric: error_rate, window: 1h, trend: increasing, points: "
    "8, "
    "false_alarm_rate: 0.01}\n"
    "  - {name: each-time, model: churn, metric: error_rate, window: 1h, trend: increasing, "
    "points: "
    "8}\n"
    "  - {name: slower, model: credit, version: v2, metric: latency_mean, window: 1h, above: 0.5, "
    "relative_to: reference}\n"
    "  - {name: slower-de, model: credit, version: v2, segment: {country: de}, metric: "
    "latency_mean, window: 1h, above: 0.5, relative_to: reference}\n"
    "  - {name: unloaded, model: plain, metric: error_rate, window: 1h, above: 0.5, relative_to: "
    "reference}\n"
    "  - {name: weekly, model: churn, metric: error_rate, window: 1h, above: 0.5, interval: false, "
    "relative_to: 7d}\n"
    "  - {name: changed, model: churn, change: any, window: 10m}\n"
    "  - {name: income, model: churn, version: v2, change: income, window: 10m}\n"
    "  - {name: changed-de, model: churn, segment: {country: de}, change: any, window: 10m}\n";

struct site {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct rule_set *rules;
    struct readings *readings;
};

static struct site *site_new(void)
{
    struct err err = {0};
    struct site *site = calloc(1, sizeof(*site));
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    must(config_parse(&site->config, "assay.yaml", yaml, strlen(yaml), &err), &err);
    must(rule_set_parse(&site->rules, site->config, &err), &err);
    must(readings_new(&site->readings, site->config, site->store, &err), &err);
    return site;
}

static void site_free(struct site *site)
{
    readings_free(site->readings);
    rule_set_free(site->rules);
    config_free(site->config);
    store_free(site->store);
    temp_free(site->temp);
    free(site);
}
DEFINE_FREEP(site)

static struct reading look(struct site *site, const char *rule, int64_t now_ms)
{
    struct err err = {0};
    struct reading reading;
    struct outside outside = {.now_ms = now_ms, .lag = 0};
    readings_start(site->readings, &outside);
    must(readings_read(site->readings, rule_set_find(site->rules, rule), &reading, &err), &err);
    return reading;
}

static void write_experiment(struct site *site, const char *verdict)
{
    struct err err = {0};
    struct experiment_row row = {.name = "a",
                                 .model = "credit",
                                 .object = "{}",
                                 .state = "running",
                                 .weight = 5,
                                 .since_ms = START - HOUR,
                                 .created_ms = START - HOUR,
                                 .ramp = "{}",
                                 .verdict = verdict};
    must(commit_begin(site->store, &err), &err);
    must(commit_experiment_new(site->store, &row, &err), &err);
    must(commit_end(site->store, &err), &err);
}

static void move(struct site *site, const char *to_state, int to_step, int64_t at_ms, int64_t seq)
{
    struct err err = {0};
    struct experiment_row row = {.name = "a",
                                 .model = "credit",
                                 .object = "{}",
                                 .state = to_state,
                                 .step = to_step,
                                 .since_ms = at_ms,
                                 .seq = seq,
                                 .ramp = "{}",
                                 .verdict = "{}"};
    struct transition_row transition = {.experiment = "a",
                                        .seq = seq,
                                        .at_ms = at_ms,
                                        .clock = "event",
                                        .who = "assay",
                                        .command = "",
                                        .verdict = "advance",
                                        .from_state = "running",
                                        .to_state = to_state,
                                        .from_step = (int)seq - 1,
                                        .to_step = to_step,
                                        .reason = "guardrail error_rate: harm",
                                        .evidence = "{}"};
    must(commit_begin(site->store, &err), &err);
    must(commit_transition(site->store, &row, &transition, &err), &err);
    must(commit_end(site->store, &err), &err);
}

static void a_transition_is_an_alarm_for_the_length_of_its_window(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    assert_string_equal(look(site, "rolled", START).why, "no such experiment is known");
    write_experiment(site, "{}");
    assert_int_equal(look(site, "rolled", START).sight, SIGHT_CLEAR);
    assert_string_equal(look(site, "rolled", START).why, "nothing of the kind happened");

    move(site, "running", 1, START, 1);
    assert_int_equal(look(site, "step", START + 1000).sight, SIGHT_BAD);
    assert_int_equal(look(site, "rolled", START + 1000).sight, SIGHT_CLEAR);

    move(site, "rolled_back", 1, START + MINUTE, 2);
    struct reading reading = look(site, "rolled", START + 2 * MINUTE);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(reading.why, "experiment a was rolled back: guardrail error_rate: harm");
    assert_string_equal(reading.experiment, "a");
    assert_int_equal(look(site, "other", START + 2 * MINUTE).sight, SIGHT_CLEAR);
    assert_int_equal(look(site, "promoted", START + 2 * MINUTE).sight, SIGHT_CLEAR);
    assert_int_equal(look(site, "rolled", START + MINUTE + HOUR).sight, SIGHT_CLEAR); /* over */
}

static void a_hold_and_a_wrong_sample_ratio_last_as_long_as_the_verdict_says(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    struct err err = {0};
    write_experiment(site, "{\"verdict\":\"hold\",\"reason\":\"no telemetry of v2\",\"srm\":"
                           "{\"status\":\"mismatch\"}}");
    assert_int_equal(look(site, "held", START).sight, SIGHT_BAD);
    assert_string_equal(look(site, "held", START).why, "experiment a holds: no telemetry of v2");
    assert_int_equal(look(site, "srm", START).sight, SIGHT_BAD);

    must(commit_begin(site->store, &err), &err);
    must(commit_experiment_look(site->store, "a", "{}",
                                "{\"verdict\":\"continue\",\"srm\":{\"status\":\"ok\"}}", &err),
         &err);
    must(commit_end(site->store, &err), &err);
    assert_int_equal(look(site, "held", START).sight, SIGHT_CLEAR);
    assert_int_equal(look(site, "srm", START).sight, SIGHT_CLEAR);
}

static void write_audit_rows(struct site *site, int n)
{
    struct err err = {0};
    for (int i = 0; i < n; i++) {
        struct audit_row row = {.at_ms = i,
                                .clock = "wall",
                                .who = "ann",
                                .action = "silence.create",
                                .subject = "1",
                                .detail = "{}"};
        must(commit_begin(site->store, &err), &err);
        must(commit_audit(site->store, &row, &err), &err);
        must(commit_end(site->store, &err), &err);
    }
}

static void a_changed_row_of_the_audit_log_is_an_alarm_that_names_it(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    write_audit_rows(site, 3);
    assert_int_equal(look(site, "audit", START).sight, SIGHT_CLEAR);

    temp_edit(site->temp->path, "UPDATE audit SET who = 'bob' WHERE seq = 2");

    struct reading reading = look(site, "audit", START);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(reading.why,
                        "audit: row 2 (silence.create 1) was changed, or the one before it");
    write_audit_rows(site, 1); /* and the alarm can be written: the store goes on */
}

static void fill(struct site *site, int64_t series_id, int64_t start_ms, int failed)
{
    struct err err = {0};
    struct failing_pane pane = {series_id, start_ms, 100, failed, 1};
    must(commit_begin(site->store, &err), &err);
    failing_pane_write(site->store, &pane);
    must(commit_end(site->store, &err), &err);
}

static void a_change_against_a_version_that_is_the_reference(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    int64_t v1 = temp_series(site->store, "credit", "v1", "");
    int64_t v2 = temp_series(site->store, "credit", "v2", "");
    fill(site, v1, START, 10);
    fill(site, v2, START, 14);
    assert_int_equal(look(site, "worse", START + MINUTE).sight, SIGHT_CLEAR); /* +40% */

    fill(site, v2, START + MINUTE, 30);
    struct reading reading = look(site, "worse", START + 2 * MINUTE);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_float_equal(reading.compared, 0.1, 1e-12);
    assert_string_equal(reading.why, "error_rate 0.22, +120.0% against 0.1 in the reference");
    assert_string_equal(reading.reference.source, "version");
    assert_int_equal(reading.reference.n, 100);
}

/* Twice as many of a hundred may be chance; of thousands it is not. */
static void a_relative_change_is_bad_once_its_whole_interval_is(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    int64_t v1 = temp_series(site->store, "credit", "v1", "");
    int64_t v2 = temp_series(site->store, "credit", "v2", "");
    fill(site, v1, START, 10);
    fill(site, v2, START, 22);

    struct reading few = look(site, "surely-worse", START + MINUTE);
    assert_int_equal(few.sight, SIGHT_BETWEEN);
    assert_float_equal(few.change, 1.2, 1e-12);
    assert_true(few.change_lower < 0.5 && few.change_upper > 2);

    for (int minute = 1; minute < 30; minute++) {
        fill(site, v1, START + minute * MINUTE, 10);
        fill(site, v2, START + minute * MINUTE, 22);
    }
    struct reading many = look(site, "surely-worse", START + 30 * MINUTE);
    assert_int_equal(many.sight, SIGHT_BAD);
    assert_float_equal(many.change, 1.2, 1e-12);
    assert_true(many.change_lower > 0.5 && many.change_upper < 2);
    assert_non_null(strstr(many.confidence, "all of it beyond the level, n 3000"));
}

static void a_change_against_the_time_just_before(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    int64_t id = temp_series(site->store, "churn", "v1", "");
    assert_int_equal(look(site, "rising", START + MINUTE).sight, SIGHT_NO_DATA);
    fill(site, id, START - 2 * HOUR, 10);
    fill(site, id, START - HOUR, 20);
    fill(site, id, START + 4 * HOUR, 10);
    fill(site, id, START + 2 * HOUR, 1); /* two hours before the window's hour */
    struct reading reading = look(site, "rising", START + 4 * HOUR + MINUTE);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_float_equal(reading.compared, 0.01, 1e-12);
}

/* A reference whose events took so long; its one feature is their number. */
static void load_reference(struct site *site, const char *version, double latency_ms)
{
    struct err err = {0};
    struct profile_feature feature = {.name_id = 1, .min = (double)NAN, .max = (double)NAN};
    struct profile_layout layout = {0, 1, &feature};
    AUTO(profile) struct profile *profile = NULL;
    AUTO(reference) struct reference *reference = NULL;
    const struct metric_setup setup = {.task = TASK_BINARY};
    struct sample sample = {.latency_ms = latency_ms, .score = 0.5, .value = NAN};
    must(profile_new(&profile, &layout, PROFILE_REFERENCE, &err), &err);
    profile_event(profile, 1);
    assert_int_equal(profile_number(profile, 0, latency_ms, 1), 0);
    must(reference_build(&reference, profile, 0, &err), &err);
    reference->fitted = calloc(1, sizeof(*reference->fitted));
    reference->fitted->estimator = calloc(1, sizeof(*reference->fitted->estimator));
    reference->fitted->metrics = calloc(1, sizeof(*reference->fitted->metrics));
    reference->fitted->metrics[0].slice = strdup("");
    reference->fitted->n_metrics = 1;
    must(states_new(&reference->fitted->metrics[0].states, &setup, &err), &err);
    assert_int_equal(states_predict(reference->fitted->metrics[0].states, &sample), 0);
    must(commit_begin(site->store, &err), &err);
    must(commit_reference(site->store, "credit", version, reference, "api", 1, &err), &err);
    must(commit_end(site->store, &err), &err);
}

static void a_change_against_the_events_that_were_loaded_last(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    fill(site, temp_series(site->store, "credit", "v2", ""), START, 10); /* 1 ms each */
    fill(site, temp_series(site->store, "credit", "v2", "country=de"), START, 10);

    load_reference(site, "", 0.5); /* outranks the version that the configuration names */
    struct reading reading = look(site, "slower", START + MINUTE);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_float_equal(reading.compared, 0.5, 1e-12);
    assert_string_equal(reading.reference.source, "api");
    assert_int_equal(strlen(reading.reference.id), 16);
    reading = look(site, "slower-de", START + MINUTE);
    assert_int_equal(reading.sight, SIGHT_NO_DATA);
    assert_string_equal(reading.why, "the reference holds no event of the segment");

    load_reference(site, "v2", 0.9); /* the version's own outranks the model's, at once */
    reading = look(site, "slower", START + MINUTE);
    assert_int_equal(reading.sight, SIGHT_CLEAR);
    assert_float_equal(reading.compared, 0.9, 1e-12);
}

static void without_a_reference_it_says_how_to_load_one(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    fill(site, temp_series(site->store, "plain", "v1", ""), START, 10);

    struct reading reading = look(site, "unloaded", START + MINUTE);

    assert_int_equal(reading.sight, SIGHT_NO_DATA);
    assert_string_equal(reading.why, "the model has no reference yet: `assay reference load`");
}

static void a_trend_that_falters_once_is_one_by_mann_kendall_alone(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    static const int failed[] = {2, 4, 7, 6, 9, 12, 13, 15, 15, 14, 15, 14, 13, 15, 14};
    int64_t id = temp_series(site->store, "churn", "v1", "");
    for (int i = 0; i < 15; i++)
        fill(site, id, START + i * HOUR, failed[i]);

    struct reading reading = look(site, "trending", START + 8 * HOUR);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(
        reading.why,
        "error_rate rises by 0.01845 a window (0.015 to 0.02333) over 8 windows, now 0.15");
    assert_string_equal(reading.confidence, "p 0.00099 (Mann–Kendall); of series without a trend "
                                            "0.01 are called so");
    assert_int_equal(look(site, "each-time", START + 8 * HOUR).sight, SIGHT_CLEAR);
    assert_string_equal(look(site, "each-time", START + 8 * HOUR).confidence,
                        "without a trend 8 windows do so by chance once in 40320 times");
    assert_int_equal(look(site, "trending", START + 15 * HOUR).sight, SIGHT_CLEAR);
}

static void half_of_a_trends_windows_have_data(void **state)
{
    (void)state;
    const struct alert_rule rule = {
        .points = 24, .trend_rate = 0.01, .decreasing = true, .metric = "error_rate"};
    struct reading reading = {.sight = SIGHT_NO_DATA};
    struct err err = {0};
    double values[24];
    for (int i = 0; i < 24; i++)
        values[i] = i < 13 ? (double)NAN : i;

    assert_int_equal(reading_judge_trend(&rule, values, 11, &reading, &err), 0);
    assert_int_equal(reading.sight, SIGHT_NO_DATA);
    assert_string_equal(reading.why, "11 of 24 windows have data, too few");

    values[0] = 0;
    assert_int_equal(reading_judge_trend(&rule, values, 12, &reading, &err), 0);
    assert_int_equal(reading.sight, SIGHT_CLEAR); /* they rise */
}

/* As of a shop that is closed at night. */
static void a_window_without_data_ends_no_trend(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    int64_t id = temp_series(site->store, "churn", "v1", "");
    for (int i = 0; i < 8; i++)
        if (i != 3)
            fill(site, id, START + i * HOUR, 2 + 2 * i);

    struct reading reading = look(site, "trending", START + 8 * HOUR);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(reading.why, "error_rate rises by 0.02 a window (0.02 to 0.02) over 8 "
                                     "windows, now 0.16 (7 have data)");
    assert_int_equal(reading.n, 700);
    assert_int_equal(look(site, "each-time", START + 8 * HOUR).sight, SIGHT_NO_DATA);

    reading = look(site, "trending", START + 9 * HOUR); /* the newest has none */
    assert_int_equal(reading.sight, SIGHT_NO_DATA);
    assert_string_equal(reading.why, "0 predictions in the window, 1 are needed");
    fill(site, id, START + 12 * HOUR, 20);
    reading = look(site, "trending", START + 13 * HOUR);
    assert_int_equal(reading.sight, SIGHT_NO_DATA);
    assert_string_equal(reading.why, "4 of 8 windows have data, too few");
}

static void last_week_is_the_same_hour_by_the_models_clock(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    int64_t id = temp_series(site->store, "churn", "v1", "");
    const int64_t noon = INT64_C(1698926400000); /* 2023-11-02T12:00Z, 13:00 in Berlin */
    fill(site, id, noon - 7 * 24 * HOUR - 90 * MINUTE,
         10); /* in the hour before 13:00 summer time */
    fill(site, id, noon - 7 * 24 * HOUR - 30 * MINUTE, 40); /* 168 hours before the window */
    fill(site, id, noon - 30 * MINUTE, 20);

    struct reading reading = look(site, "weekly", noon);

    assert_float_equal(reading.compared, 0.1, 1e-12);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(reading.why, "error_rate 0.2, +100.0% against 0.1 before");
}

static const struct change_reference learned = {
    .source = "learned", .n = 5000, .from_ms = START - 2 * HOUR, .to_ms = START - HOUR};
static const struct change_reference loaded = {
    .source = "api", .id = "00c0ffee00c0ffee", .n = 6000, .created_ms = START};
static const struct change_reference unknown = {0};

static void write_change(struct site *site, const char *version, const char *slice,
                         const char *name, int64_t at_ms, double before, double after,
                         const struct change_reference *compared)
{
    struct err err = {0};
    const struct change_row row = {.key = {"churn", version, slice, "metric", name},
                                   .at_ms = at_ms,
                                   .began_ms = at_ms - 5000,
                                   .direction = "up",
                                   .mean_before = before,
                                   .mean_after = after,
                                   .run = 9000,
                                   .n_after = 40,
                                   .expected = 50000,
                                   .statistic = 3,
                                   .threshold = 2,
                                   .reference = *compared};
    must(commit_begin(site->store, &err), &err);
    must(commit_change_point(site->store, &row, at_ms - HOUR, &err), &err);
    must(commit_end(site->store, &err), &err);
}

static void a_change_by_the_event_is_an_alarm_for_the_length_of_its_window(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    struct reading reading = look(site, "changed", START);
    assert_int_equal(reading.sight, SIGHT_CLEAR);
    assert_string_equal(reading.why, "nothing changed");
    write_change(site, "v1", "", "error_rate", START, 0.02, 0.1, &learned);

    reading = look(site, "changed", START);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(reading.why, "error_rate of version v1 changed at about "
                                     "2023-11-14T21:59:55.000Z from 0.02 to 0.1, found after 40 "
                                     "events, compared with the 5000 events until "
                                     "2023-11-14T21:00:00.000Z");
    assert_string_equal(reading.reference.source, "learned");
    assert_int_equal(reading.reference.n, 5000);
    assert_true(reading.reference.from_ms == learned.from_ms);
    assert_false(reading.reference.of_slice);
    assert_string_equal(reading.confidence,
                        "without a change one alarm in 50000 events is expected of each stream");
    assert_int_equal(look(site, "income", START).sight, SIGHT_CLEAR);
    assert_int_equal(look(site, "changed", START + 10 * MINUTE - 1000).sight, SIGHT_BAD);
    assert_int_equal(look(site, "changed", START + 10 * MINUTE).sight, SIGHT_CLEAR);

    write_change(site, "v2", "", "income", START + HOUR, (double)NAN, (double)NAN, &loaded);
    write_change(site, "v1", "", "accuracy", START + HOUR, 0.9, 0.8, &learned);
    reading = look(site, "income", START + HOUR);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_non_null(
        strstr(reading.why, "after 40 events, compared with reference 00c0ffee00c0ffee"));
    assert_string_equal(reading.reference.id, "00c0ffee00c0ffee");
    assert_string_equal(reading.reference.source, "api");
    reading = look(site, "changed", START + HOUR);
    assert_non_null(strstr(reading.why, "accuracy of version v1"));
    assert_non_null(strstr(reading.why, "; 2 changes in all"));
}

static void a_change_in_a_slice_is_an_alarm_of_the_rule_that_names_it(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    write_change(site, "v1", "country=fr", "error_rate", START, 0.02, 0.1, &unknown);
    assert_int_equal(look(site, "changed-de", START).sight, SIGHT_CLEAR);
    write_change(site, "v1", "country=de", "error_rate", START, 0.02, 0.1, &unknown);

    struct reading reading = look(site, "changed-de", START);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_string_equal(reading.why, "error_rate in country:de of version v1 changed at about "
                                     "2023-11-14T21:59:55.000Z from 0.02 to 0.1, found after 40 "
                                     "events");
    assert_int_equal(look(site, "changed", START).sight, SIGHT_CLEAR); /* the whole did not */
    assert_false(reading.reference.of_slice);

    write_change(site, "v1", "country=de", "error_rate", START + MINUTE, 0.1, 0.2, &learned);
    reading = look(site, "changed-de", START + MINUTE);
    assert_string_equal(reading.reference.source, "learned");
    assert_true(reading.reference.of_slice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transition_is_an_alarm_for_the_length_of_its_window),
        cmocka_unit_test(a_hold_and_a_wrong_sample_ratio_last_as_long_as_the_verdict_says),
        cmocka_unit_test(a_change_in_a_slice_is_an_alarm_of_the_rule_that_names_it),
        cmocka_unit_test(a_changed_row_of_the_audit_log_is_an_alarm_that_names_it),
        cmocka_unit_test(a_change_against_the_events_that_were_loaded_last),
        cmocka_unit_test(without_a_reference_it_says_how_to_load_one),
        cmocka_unit_test(a_change_against_a_version_that_is_the_reference),
        cmocka_unit_test(a_relative_change_is_bad_once_its_whole_interval_is),
        cmocka_unit_test(a_change_against_the_time_just_before),
        cmocka_unit_test(a_trend_that_falters_once_is_one_by_mann_kendall_alone),
        cmocka_unit_test(a_window_without_data_ends_no_trend),
        cmocka_unit_test(half_of_a_trends_windows_have_data),
        cmocka_unit_test(last_week_is_the_same_hour_by_the_models_clock),
        cmocka_unit_test(a_change_by_the_event_is_an_alarm_for_the_length_of_its_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
