/* Rows of the failure matrix that concern the log and the events, on a simulated log. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

#define T0 CREDIT_START

static const struct sim_options plain = {.seed = 5, .max_batch = 50, .ends = true};

static void predict(struct sim_log *log, int partition, const char *id, int64_t ts_ms)
{
    sim_add(log, partition, ts_ms,
            "{\"type\":\"prediction\",\"id\":\"%s\",\"ts\":%lld,\"model\":\"credit\",\"version\":"
            "\"v1\",\"score\":0.5,\"prediction\":1}",
            id, (long long)ts_ms);
}

/* Ids are the letter and the number, times T0 and the number. */
static void predict_many(struct sim_log *log, int partition, char letter, int first, int end)
{
    char id[16];
    for (int i = first; i < end; i++) {
        snprintf(id, sizeof(id), "%c%d", letter, i);
        predict(log, partition, id, T0 + i);
    }
}

static void label(struct sim_log *log, int partition, const char *id, int64_t ts_ms, int value)
{
    sim_add(log, partition, ts_ms, "{\"type\":\"label\",\"id\":\"%s\",\"ts\":%lld,\"label\":%d}",
            id, (long long)ts_ms, value);
}

static int64_t sum(struct collector_bench *bench, const char *column)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT sum(%s) FROM offsets", column);
    return bench_number(bench, sql);
}

static int64_t model_count(struct collector_bench *bench, const char *name)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT counts ->> '$.%s' FROM model_counts", name);
    return bench_number(bench, sql);
}

/* A log and who reads it; each test has one. */
struct scene {
    struct sim_log log;
    struct temp *temp;
    struct collector_bench bench;
};

static int scene_set(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->temp = temp_new();
    *state = s;
    return 0;
}

static int scene_clear(void **state)
{
    struct scene *s = *state;
    temp_free(s->temp);
    sim_log_finish(&s->log);
    free(s);
    return 0;
}

static void read_all(struct scene *s, const char *yaml)
{
    bench_open(&s->bench, s->temp, yaml, &s->log, &plain);
    bench_drain(&s->bench);
}

static void close_balanced(struct scene *s)
{
    bench_balanced(&s->bench);
    bench_close(&s->bench);
}

static void F10_holes_seen_twice_are_legitimate(void **state)
{
    struct scene *s = *state;
    int at = sim_partition(&s->log, "predictions", 0);
    predict(&s->log, at, "a", T0);
    sim_hole(&s->log, at, 4); /* a transaction's marks */
    predict(&s->log, at, "b", T0 + 1);
    sim_hole(&s->log, at, 1);
    predict(&s->log, at, "c", T0 + 2);

    read_all(s, NULL);

    assert_int_equal(sum(&s->bench, "holes"), 5);
    assert_int_equal(sum(&s->bench, "folded"), 3);
    assert_int_equal(sum(&s->bench, "lost"), 0);
    assert_int_equal(sum(&s->bench, "next"), 8);
    close_balanced(s);
}

static void F11_what_retention_took_is_counted_as_lost(void **state)
{
    struct scene *s = *state;
    int at = sim_partition(&s->log, "predictions", 0);
    predict_many(&s->log, at, 'p', 0, 10);
    read_all(s, NULL);
    bench_close(&s->bench);
    predict_many(&s->log, at, 'p', 10, 30);
    sim_retain(&s->log, at, 17);

    read_all(s, NULL);

    assert_int_equal(sum(&s->bench, "lost"), 7); /* 10 … 16 */
    assert_int_equal(sum(&s->bench, "folded"), 23);
    assert_int_equal(sum(&s->bench, "holes"), 0);
    assert_int_equal(sum(&s->bench, "next"), 30);
    close_balanced(s);
}

static void F12_a_topic_made_anew_stops_or_is_read_as_configured(void **state)
{
    static const char goes_on[] = "kafka:\n  brokers: x\n  group: g\n"
                                  "  topics: [{name: predictions, on_recreated: earliest}]\n"
                                  "models:\n  - {name: credit, task: binary}\n";
    struct scene *s = *state;
    struct err err = {0};
    int at = sim_partition(&s->log, "predictions", 0);
    predict_many(&s->log, at, 'p', 0, 10);
    read_all(s, NULL);
    bench_close(&s->bench);
    sim_recreate(&s->log, at); /* has our offset too, but other messages */
    predict_many(&s->log, at, 'n', 100, 120);

    bench_open(&s->bench, s->temp, NULL, &s->log, &plain);
    for (int i = 0; i < 20; i++)
        assert_true(collector_step(s->bench.collector, 0, &err) >= 0);
    must(collector_commit_now(s->bench.collector, &err), &err);
    assert_int_equal(sum(&s->bench, "consumed"), 10);
    fake_clock_pass(&s->bench.clock, 1000);
    assert_true(collector_step(s->bench.collector, 0, &err) >= 0);
    struct collector_health health;
    collector_health(s->bench.collector, &health);
    assert_false(health.ready);
    assert_string_equal(health.reason, "topic predictions was made anew: stopped");
    bench_close(&s->bench);

    read_all(s, goes_on);
    assert_int_equal(sum(&s->bench, "consumed"), 30);
    assert_int_equal(sum(&s->bench, "folded"), 30);
    assert_int_equal(sum(&s->bench, "next"), 20);
    close_balanced(s);
}

static void F13_a_partition_that_is_added_is_read_from_its_beginning(void **state)
{
    static const char latest[] = "kafka:\n  brokers: x\n  group: g\n"
                                 "  topics: [{name: predictions, start: latest}]\n"
                                 "models:\n  - {name: credit, task: binary}\n";
    struct scene *s = *state;
    int first = sim_partition(&s->log, "predictions", 0);
    predict(&s->log, first, "before", T0);
    read_all(s, latest);
    bench_close(&s->bench);
    /* while we are away: it is behind the offset we began at */
    predict(&s->log, first, "a", T0 + 1);
    read_all(s, latest);
    assert_int_equal(sum(&s->bench, "consumed"), 1); /* `start: latest` */

    int second = sim_partition(&s->log, "predictions", 1);
    predict(&s->log, second, "b", T0 + 2);
    predict(&s->log, second, "c", T0 + 3);
    bench_drain(&s->bench);

    assert_int_equal(sum(&s->bench, "consumed"), 3);
    close_balanced(s);
}

static void F14_poison_is_kept_with_its_place_and_reason_and_the_flow_goes_on(void **state)
{
    struct scene *s = *state;
    int at = sim_partition(&s->log, "predictions", 3);
    sim_add(&s->log, at, T0, "not json");
    sim_add(&s->log, at, T0, "{\"type\":\"prediction\",\"ts\":1,\"model\":\"credit\"}");
    sim_add(&s->log, at, T0,
            "{\"type\":\"prediction\",\"id\":\"x\",\"ts\":%lld,\"model\":\"nobody\"}",
            (long long)T0);
    sim_add(&s->log, at, T0,
            "{\"type\":\"prediction\",\"id\":\"y\",\"ts\":%lld,\"model\":\"credit\","
            "\"score\":NaN}",
            (long long)T0);
    predict(&s->log, at, "good", T0);

    read_all(s, NULL);

    assert_int_equal(sum(&s->bench, "dead_lettered"), 4);
    assert_int_equal(sum(&s->bench, "folded"), 1);
    assert_int_equal(bench_number(&s->bench,
                                  "SELECT count(*) FROM dead_letter WHERE topic = "
                                  "'predictions' AND partition = 3 AND (\"offset\", "
                                  "reason) IN (VALUES(0, 'not_json'), (1, 'missing_id'), "
                                  "(2, 'unknown_model'), (3, 'not_json'))"),
                     4);
    close_balanced(s);
}

static void F22_labels_for_nobody_end_as_orphans(void **state)
{
    struct scene *s = *state;
    int at = sim_partition(&s->log, "events", 0);
    predict(&s->log, at, "a", T0);
    label(&s->log, at, "a", T0 + HOUR + 1, 1); /* the horizon is an hour */
    label(&s->log, at, "unknown", T0 + HOUR + 2, 1);
    read_all(s, NULL);
    assert_int_equal(sum(&s->bench, "orphaned"), 1);
    assert_int_equal(sum(&s->bench, "waiting"), 1);

    predict(&s->log, at, "much later", T0 + 9 * HOUR);
    bench_drain(&s->bench);
    predict(&s->log, at, "and later", T0 + 9 * HOUR + 1);
    bench_drain(&s->bench);

    assert_int_equal(sum(&s->bench, "waiting"), 0);
    assert_int_equal(sum(&s->bench, "orphaned"), 2);
    assert_int_equal(model_count(&s->bench, "expired"), 1);
    close_balanced(s);
}

static void F23_a_label_corrected_many_times_is_as_if_only_the_last_had_come(void **state)
{
    (void)state;
    struct sim_log once = {0}, often = {0};
    for (int k = 0; k < 2; k++) {
        struct sim_log *log = k ? &often : &once;
        int at = sim_partition(log, "events", 0);
        for (int i = 0; i < 50; i++) {
            char id[8];
            snprintf(id, sizeof(id), "p%d", i);
            predict(log, at, id, T0 + i * 1000);
            for (int turn = k ? 0 : 4; turn < 5; turn++)
                label(log, at, id, T0 + i * 1000 + 100 + turn, (i + turn) % 2);
        }
    }
    char *expected = bench_undisturbed(&once);
    char *panes = bench_undisturbed(&often);

    assert_string_equal(expected, panes);
    free(expected);
    free(panes);
    sim_log_finish(&once);
    sim_log_finish(&often);
}

static void F25_F26_events_from_the_future_and_from_before_all_windows_open_none(void **state)
{
    struct scene *s = *state;
    int at = sim_partition(&s->log, "events", 0);
    predict(&s->log, at, "now", T0);
    sim_add(&s->log, at, T0,
            "{\"type\":\"prediction\",\"id\":\"f\",\"ts\":%lld,\"model\":\"credit\"}",
            (long long)T0 + 5 * MINUTE + 1);
    sim_add(&s->log, at, T0,
            "{\"type\":\"prediction\",\"id\":\"e\",\"ts\":%lld,\"model\":\"credit\"}",
            (long long)T0 + 5 * MINUTE);
    predict(&s->log, at, "old", T0 - 500 * 24 * HOUR);

    read_all(s, NULL);

    assert_int_equal(sum(&s->bench, "dead_lettered"), 1);
    assert_int_equal(
        bench_number(&s->bench, "SELECT count(*) FROM dead_letter WHERE reason = 'future'"), 1);
    assert_int_equal(sum(&s->bench, "late"), 1);
    assert_int_equal(bench_number(&s->bench, "SELECT count(DISTINCT start_ms) FROM panes"), 2);
    close_balanced(s);
}

static void F27_a_label_days_later_changes_the_window_of_its_prediction(void **state)
{
    static const char week[] = "models:\n  - {name: credit, task: binary, label_horizon: 7d}\n";
    struct scene *s = *state;
    int at = sim_partition(&s->log, "events", 0);
    predict(&s->log, at, "a", T0);
    for (int day = 1; day <= 5; day++) {
        char id[8];
        snprintf(id, sizeof(id), "d%d", day);
        predict(&s->log, at, id, T0 + day * 24 * HOUR);
    }
    read_all(s, week);
    bench_close(&s->bench); /* the pane is out of memory, and its minute is an hour by now */
    label(&s->log, at, "a", T0 + 5 * 24 * HOUR + 1, 1);

    read_all(s, week);

    assert_int_equal(sum(&s->bench, "folded"), 7);
    assert_int_equal(model_count(&s->bench, "joined"), 1);
    assert_int_equal(model_count(&s->bench, "pending"), 5);
    assert_int_equal(bench_number(&s->bench,
                                  "SELECT count(*) FROM panes WHERE level_ms = 3600000 AND "
                                  "revision > 1"),
                     1);
    close_balanced(s);
}

static void F28_hostile_names_end_in_other_or_are_refused(void **state)
{
    static const char limited[] = "models:\n  - {name: credit, task: binary, segments: [country]}\n"
                                  "auto_models: {task: binary, max: 5}\n"
                                  "limits: {models: 1000, slices: 10, categories: 20}\n";
    struct scene *s = *state;
    int at = sim_partition(&s->log, "events", 0);
    for (int i = 0; i < 3000; i++)
        sim_add(&s->log, at, T0,
                "{\"type\":\"prediction\",\"id\":\"h%d\",\"ts\":%lld,\"model\":\"%s\",\"version\":"
                "\"v%d\",\"score\":0.5,\"prediction\":\"c%d\",\"segment\":{\"country\":\"x%d\"}}",
                i, (long long)T0,
                i % 2   ? "credit"
                : i % 4 ? "m1"
                        : "credit",
                i, i, i);
    for (int i = 0; i < 100; i++)
        sim_add(&s->log, at, T0,
                "{\"type\":\"prediction\",\"id\":\"m%d\",\"ts\":%lld,\"model\":\"m%d\"}", i,
                (long long)T0, i);

    read_all(s, limited);

    assert_int_equal(bench_number(&s->bench, "SELECT count(*) FROM models"), 6);
    assert_int_equal(bench_number(&s->bench, "SELECT count(*) FROM dead_letter WHERE reason = "
                                             "'too_many_models'"),
                     95);
    /* overall, ten countries, __other__ */
    assert_int_equal(
        bench_number(&s->bench, "SELECT count(DISTINCT slice) FROM series WHERE model = 'credit'"),
        12);
    assert_int_equal(
        bench_number(&s->bench,
                     "SELECT count(DISTINCT version) FROM series WHERE model = 'credit'"),
        1001);
    assert_in_range(
        bench_number(&s->bench,
                     "SELECT count(*) FROM names WHERE model = 'credit' AND kind = 'class'"),
        20, 21);
    close_balanced(s);
}

static void F19_one_hot_partition_lags_and_the_others_do_not(void **state)
{
    struct scene *s = *state;
    struct err err = {0};
    int hot = sim_partition(&s->log, "predictions", 0),
        cool = sim_partition(&s->log, "predictions", 1);
    char id[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof(id), "h%d", i);
        predict(&s->log, hot, id, T0 + i);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        predict(&s->log, cool, id, T0 + i);
    }
    bench_open(&s->bench, s->temp, NULL, &s->log, &plain);
    static const char of_cool[] =
        "SELECT coalesce((SELECT next FROM offsets WHERE partition = 1), 0)";
    static const char of_hot[] =
        "SELECT coalesce((SELECT next FROM offsets WHERE partition = 0), 0)";

    while (bench_number(&s->bench, of_cool) < 500) {
        fake_clock_pass(&s->bench.clock, 300);
        assert_true(collector_step(s->bench.collector, 0, &err) >= 0);
    }

    int64_t hot_then = bench_number(&s->bench, of_hot);
    assert_in_range(hot_then, 1, 5000); /* as many batches, not the whole of it */
    for (int i = 0; i < 10; i++)        /* and what comes to the other meanwhile is there at once */
        predict(&s->log, cool, (snprintf(id, sizeof(id), "later%d", i), id), T0 + 600 + i);
    for (int i = 0; i < 20; i++) {
        fake_clock_pass(&s->bench.clock, 300);
        assert_true(collector_step(s->bench.collector, 0, &err) >= 0);
    }
    assert_int_equal(bench_number(&s->bench, of_cool), 510);
    assert_in_range(bench_number(&s->bench, of_hot), hot_then + 1, 10000);
    bench_drain(&s->bench);
    assert_int_equal(bench_number(&s->bench, of_hot), 20000);
    close_balanced(s);
}

#define on_a_log(test) cmocka_unit_test_setup_teardown(test, scene_set, scene_clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_a_log(F10_holes_seen_twice_are_legitimate),
        on_a_log(F11_what_retention_took_is_counted_as_lost),
        on_a_log(F12_a_topic_made_anew_stops_or_is_read_as_configured),
        on_a_log(F13_a_partition_that_is_added_is_read_from_its_beginning),
        on_a_log(F14_poison_is_kept_with_its_place_and_reason_and_the_flow_goes_on),
        on_a_log(F22_labels_for_nobody_end_as_orphans),
        cmocka_unit_test(F23_a_label_corrected_many_times_is_as_if_only_the_last_had_come),
        on_a_log(F25_F26_events_from_the_future_and_from_before_all_windows_open_none),
        on_a_log(F27_a_label_days_later_changes_the_window_of_its_prediction),
        on_a_log(F28_hostile_names_end_in_other_or_are_refused),
        on_a_log(F19_one_hot_partition_lags_and_the_others_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
