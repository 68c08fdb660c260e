/* Rows of the failure matrix that concern the log and the events, on a simulated log. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/lib/faulty_vfs.h"
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

/* Panes after the whole log, undisturbed. */
static char *undisturbed(struct sim_log *log)
{
    struct collector_bench bench;
    struct temp *temp = temp_new();
    struct sim_options options = {.seed = 1, .max_batch = 4096, .ends = true};
    bench_open(&bench, temp, NULL, log, &options);
    bench_drain(&bench);
    char *panes = bench_panes(&bench);
    bench_close(&bench);
    temp_free(temp);
    return panes;
}

/* A log that is read twice: in peace, and as the test disturbs it. */
struct disturbed {
    struct sim_log log;
    struct temp *temp;
    struct collector_bench bench;
    char *expected; /* panes, read in peace */
};

static void disturbed_open(struct disturbed *d, const struct credit_log *plan,
                           const struct sim_options *options)
{
    credit_log_fill(&d->log, plan);
    d->expected = undisturbed(&d->log);
    d->temp = temp_new();
    bench_open(&d->bench, d->temp, NULL, &d->log, options);
}

/* All was read in the end, and the panes are the same to the bit. */
static void disturbed_ends_as_in_peace(struct disturbed *d)
{
    char *panes = bench_panes(&d->bench);
    assert_string_equal(d->expected, panes);
    bench_balanced(&d->bench);
    free(panes);
    free(d->expected);
    bench_close(&d->bench);
    temp_free(d->temp);
    sim_log_finish(&d->log);
}

static void F06_rebalances_in_mid_stream_change_no_window(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 1500, .n_partitions = 2, .seed = 31};
    struct sim_options options = {
        .seed = 9, .max_batch = 40, .rebalance_percent = 20, .ends = true};

    disturbed_open(&d, &plan, &options);
    bench_drain(&d.bench);

    disturbed_ends_as_in_peace(&d);
}

static void F07_a_zombie_is_fenced_and_ends_where_the_other_is(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 800, .n_partitions = 2, .seed = 41};
    struct err err = {0};
    struct sim_options options = {.seed = 2, .max_batch = 30, .ends = true};
    disturbed_open(&d, &plan, &options);
    for (int i = 0; i < 20; i++) /* it takes events, and does not commit */
        assert_int_equal(collector_step(d.bench.collector, 0, &err), COLLECTOR_WORKED);

    struct source *source = NULL; /* meanwhile another one does all of it */
    struct collector *other = NULL;
    must(sim_source_new(&source, &d.log, &plain, &err), &err);
    struct collector_options wanted = {.config = d.bench.config,
                                       .store = d.bench.store,
                                       .clock = &d.bench.clock.clock,
                                       .sources = &source,
                                       .n_sources = 1};
    must(collector_new(&other, &wanted, &err), &err);
    while (collector_step(other, 0, &err) != COLLECTOR_END) {
    }
    collector_free(other);
    source_free(source);
    must(collector_commit_now(d.bench.collector, &err), &err);
    bench_drain(&d.bench);

    struct collector_health health;
    collector_health(d.bench.collector, &health);
    assert_int_equal(health.fenced, 1);
    disturbed_ends_as_in_peace(&d);
}

static void F09_messages_delivered_twice_are_dropped_and_counted(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 600, .n_partitions = 1, .seed = 51};
    struct sim_options options = {
        .seed = 4, .max_batch = 25, .redeliver_percent = 30, .ends = true};

    disturbed_open(&d, &plan, &options);
    bench_drain(&d.bench);

    assert_in_range(sum(&d.bench, "redelivered"), 30, 300);
    disturbed_ends_as_in_peace(&d);
}

static void F10_holes_seen_twice_are_legitimate(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "predictions", 0);
    predict(&log, at, "a", T0);
    sim_hole(&log, at, 4); /* a transaction's marks */
    predict(&log, at, "b", T0 + 1);
    sim_hole(&log, at, 1);
    predict(&log, at, "c", T0 + 2);

    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "holes"), 5);
    assert_int_equal(sum(&bench, "folded"), 3);
    assert_int_equal(sum(&bench, "lost"), 0);
    assert_int_equal(sum(&bench, "next"), 8);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F11_what_retention_took_is_counted_as_lost(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "predictions", 0);
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof(id), "p%d", i);
        predict(&log, at, id, T0 + i);
    }
    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);
    bench_close(&bench);
    for (int i = 10; i < 30; i++) {
        char id[8];
        snprintf(id, sizeof(id), "p%d", i);
        predict(&log, at, id, T0 + i);
    }
    sim_retain(&log, at, 17);

    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "lost"), 7); /* 10 … 16 */
    assert_int_equal(sum(&bench, "folded"), 23);
    assert_int_equal(sum(&bench, "holes"), 0);
    assert_int_equal(sum(&bench, "next"), 30);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void fill_anew(struct sim_log *log, int at)
{
    sim_recreate(log, at);
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof(id), "n%d", i);
        predict(log, at, id, T0 + 100 + i);
    }
}

static void F12_a_topic_made_anew_stops_or_is_read_as_configured(void **state)
{
    (void)state;
    static const char goes_on[] = "kafka:\n  brokers: x\n  group: g\n"
                                  "  topics: [{name: predictions, on_recreated: earliest}]\n"
                                  "models:\n  - {name: credit, task: binary}\n";
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "predictions", 0);
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof(id), "p%d", i);
        predict(&log, at, id, T0 + i);
    }
    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);
    bench_close(&bench);
    fill_anew(&log, at); /* has our offset too, but other messages */

    bench_open(&bench, temp, NULL, &log, &plain);
    for (int i = 0; i < 20; i++)
        assert_true(collector_step(bench.collector, 0, &err) >= 0);
    must(collector_commit_now(bench.collector, &err), &err);
    assert_int_equal(sum(&bench, "consumed"), 10);
    fake_clock_pass(&bench.clock, 1000);
    assert_true(collector_step(bench.collector, 0, &err) >= 0);
    struct collector_health health;
    collector_health(bench.collector, &health);
    assert_false(health.ready);
    assert_string_equal(health.reason, "topic predictions was made anew: stopped");
    bench_close(&bench);

    bench_open(&bench, temp, goes_on, &log, &plain);
    bench_drain(&bench);
    assert_int_equal(sum(&bench, "consumed"), 30);
    assert_int_equal(sum(&bench, "folded"), 30);
    assert_int_equal(sum(&bench, "next"), 20);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F13_a_partition_that_is_added_is_read_from_its_beginning(void **state)
{
    (void)state;
    static const char latest[] = "kafka:\n  brokers: x\n  group: g\n"
                                 "  topics: [{name: predictions, start: latest}]\n"
                                 "models:\n  - {name: credit, task: binary}\n";
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int first = sim_partition(&log, "predictions", 0);
    predict(&log, first, "before", T0);
    bench_open(&bench, temp, latest, &log, &plain);
    bench_drain(&bench);
    bench_close(&bench);
    predict(&log, first, "a", T0 + 1); /* while we are away: it is behind the offset we began at */
    bench_open(&bench, temp, latest, &log, &plain);
    bench_drain(&bench);
    assert_int_equal(sum(&bench, "consumed"), 1); /* `start: latest` */

    int second = sim_partition(&log, "predictions", 1);
    predict(&log, second, "b", T0 + 2);
    predict(&log, second, "c", T0 + 3);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "consumed"), 3);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F14_poison_is_kept_with_its_place_and_reason_and_the_flow_goes_on(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "predictions", 3);
    sim_add(&log, at, T0, "not json");
    sim_add(&log, at, T0, "{\"type\":\"prediction\",\"ts\":1,\"model\":\"credit\"}");
    sim_add(&log, at, T0, "{\"type\":\"prediction\",\"id\":\"x\",\"ts\":%lld,\"model\":\"nobody\"}",
            (long long)T0);
    sim_add(&log, at, T0,
            "{\"type\":\"prediction\",\"id\":\"y\",\"ts\":%lld,\"model\":\"credit\","
            "\"score\":NaN}",
            (long long)T0);
    predict(&log, at, "good", T0);

    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "dead_lettered"), 4);
    assert_int_equal(sum(&bench, "folded"), 1);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM dead_letter WHERE topic = "
                                          "'predictions' AND partition = 3 AND (\"offset\", "
                                          "reason) IN (VALUES(0, 'not_json'), (1, 'missing_id'), "
                                          "(2, 'unknown_model'), (3, 'not_json'))"),
                     4);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F22_labels_for_nobody_end_as_orphans(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "events", 0);
    predict(&log, at, "a", T0);
    label(&log, at, "a", T0 + HOUR + 1, 1); /* the horizon is an hour */
    label(&log, at, "unknown", T0 + HOUR + 2, 1);
    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);
    assert_int_equal(sum(&bench, "orphaned"), 1);
    assert_int_equal(sum(&bench, "waiting"), 1);

    predict(&log, at, "much later", T0 + 9 * HOUR);
    bench_drain(&bench);
    predict(&log, at, "and later", T0 + 9 * HOUR + 1);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "waiting"), 0);
    assert_int_equal(sum(&bench, "orphaned"), 2);
    assert_int_equal(model_count(&bench, "expired"), 1);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
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
    char *expected = undisturbed(&once);
    char *panes = undisturbed(&often);

    assert_string_equal(expected, panes);
    free(expected);
    free(panes);
    sim_log_finish(&once);
    sim_log_finish(&often);
}

static void F25_F26_events_from_the_future_and_from_before_all_windows_open_none(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "events", 0);
    predict(&log, at, "now", T0);
    sim_add(&log, at, T0, "{\"type\":\"prediction\",\"id\":\"f\",\"ts\":%lld,\"model\":\"credit\"}",
            (long long)T0 + 5 * MINUTE + 1);
    sim_add(&log, at, T0, "{\"type\":\"prediction\",\"id\":\"e\",\"ts\":%lld,\"model\":\"credit\"}",
            (long long)T0 + 5 * MINUTE);
    predict(&log, at, "old", T0 - 500 * 24 * HOUR);

    bench_open(&bench, temp, NULL, &log, &plain);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "dead_lettered"), 1);
    assert_int_equal(
        bench_number(&bench, "SELECT count(*) FROM dead_letter WHERE reason = 'future'"), 1);
    assert_int_equal(sum(&bench, "late"), 1);
    assert_int_equal(bench_number(&bench, "SELECT count(DISTINCT start_ms) FROM panes"), 2);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F27_a_label_days_later_changes_the_window_of_its_prediction(void **state)
{
    (void)state;
    static const char week[] = "models:\n  - {name: credit, task: binary, label_horizon: 7d}\n";
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "events", 0);
    predict(&log, at, "a", T0);
    for (int day = 1; day <= 5; day++) {
        char id[8];
        snprintf(id, sizeof(id), "d%d", day);
        predict(&log, at, id, T0 + day * 24 * HOUR);
    }
    bench_open(&bench, temp, week, &log, &plain);
    bench_drain(&bench);
    bench_close(&bench); /* the pane is out of memory, and its minute is an hour by now */
    label(&log, at, "a", T0 + 5 * 24 * HOUR + 1, 1);

    bench_open(&bench, temp, week, &log, &plain);
    bench_drain(&bench);

    assert_int_equal(sum(&bench, "folded"), 7);
    assert_int_equal(model_count(&bench, "joined"), 1);
    assert_int_equal(model_count(&bench, "pending"), 5);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM panes WHERE level_ms = 3600000 AND "
                                          "revision > 1"),
                     1);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F28_hostile_names_end_in_other_or_are_refused(void **state)
{
    (void)state;
    static const char limited[] = "models:\n  - {name: credit, task: binary, segments: [country]}\n"
                                  "auto_models: {task: binary, max: 5}\n"
                                  "limits: {models: 1000, slices: 10, categories: 20}\n";
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "events", 0);
    for (int i = 0; i < 3000; i++)
        sim_add(&log, at, T0,
                "{\"type\":\"prediction\",\"id\":\"h%d\",\"ts\":%lld,\"model\":\"%s\",\"version\":"
                "\"v%d\",\"score\":0.5,\"prediction\":\"c%d\",\"segment\":{\"country\":\"x%d\"}}",
                i, (long long)T0,
                i % 2   ? "credit"
                : i % 4 ? "m1"
                        : "credit",
                i, i, i);
    for (int i = 0; i < 100; i++)
        sim_add(&log, at, T0,
                "{\"type\":\"prediction\",\"id\":\"m%d\",\"ts\":%lld,\"model\":\"m%d\"}", i,
                (long long)T0, i);

    bench_open(&bench, temp, limited, &log, &plain);
    bench_drain(&bench);

    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM models"), 6);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM dead_letter WHERE reason = "
                                          "'too_many_models'"),
                     95);
    /* overall, ten countries, __other__ */
    assert_int_equal(
        bench_number(&bench, "SELECT count(DISTINCT slice) FROM series WHERE model = 'credit'"),
        12);
    assert_int_equal(
        bench_number(&bench, "SELECT count(DISTINCT version) FROM series WHERE model = 'credit'"),
        1001);
    assert_in_range(
        bench_number(&bench,
                     "SELECT count(*) FROM names WHERE model = 'credit' AND kind = 'class'"),
        20, 21);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void F31_a_full_disk_stops_taking_and_goes_on_without_loss(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 600, .n_partitions = 1, .seed = 61};
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct err err = {0};
    disturbed_open(&d, &plan, &plain);
    for (int i = 0; i < 5; i++)
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);

    faulty_fail(faulty, FAULTY_WRITE, 1, ENOSPC, true);
    struct collector_health health;
    for (int i = 0; i < 50; i++) {
        fake_clock_pass(&d.bench.clock, 300);
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);
    }
    collector_health(d.bench.collector, &health);
    assert_true(health.degraded);
    assert_false(health.ready);
    assert_string_equal(health.reason, "the disk is full: nothing is taken");
    int64_t consumed = health.totals.consumed;
    fake_clock_pass(&d.bench.clock, 300);
    assert_int_equal(collector_step(d.bench.collector, 0, &err), 0);
    collector_health(d.bench.collector, &health);
    assert_int_equal(health.totals.consumed, consumed);

    faulty_fail(faulty, 0, 0, 0, false);
    bench_drain(&d.bench);
    collector_health(d.bench.collector, &health);
    assert_false(health.degraded);
    disturbed_ends_as_in_peace(&d);
}

static void F18_a_commit_blocked_for_60_s_leaves_the_group_and_comes_back(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 600, .n_partitions = 2, .seed = 18};
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct collector_health health;
    struct err err = {0};
    disturbed_open(&d, &plan, &plain);
    for (int i = 0; i < 5; i++)
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);

    faulty_fail(faulty, FAULTY_WRITE, 1, ENOSPC, true);
    bool left_early = false;
    int steps = 0;
    do {
        fake_clock_pass(&d.bench.clock, 500);
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);
        collector_health(d.bench.collector, &health);
        left_early |= !health.degraded && sim_source_is_away(d.bench.source);
    } while (!sim_source_is_away(d.bench.source) && ++steps < 1000);
    assert_false(left_early);
    assert_in_range(steps, 118, 126); /* half a second each, after the first refusal */
    for (int i = 0; i < 100; i++) {
        fake_clock_pass(&d.bench.clock, 500);
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);
    }
    collector_health(d.bench.collector, &health);
    assert_string_equal(health.reason,
                        "the disk is full: nothing is taken, and the consumer group was left");
    assert_true(sim_source_is_away(d.bench.source));

    faulty_fail(faulty, 0, 0, 0, false);
    fake_clock_pass(&d.bench.clock, 2000);
    for (int i = 0; i < 5; i++)
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);
    assert_false(sim_source_is_away(d.bench.source));
    bench_drain(&d.bench);
    collector_health(d.bench.collector, &health);
    assert_true(health.ready);
    disturbed_ends_as_in_peace(&d);
}

static void F18_another_program_s_lock_is_waited_for(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 300, .n_partitions = 1, .seed = 19};
    struct collector_health health;
    struct err err = {0};
    disturbed_open(&d, &plan, &plain);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(d.temp->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL), 0);

    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 4; i++) {
        fake_clock_pass(&d.bench.clock, 1100);
        assert_true(collector_step(d.bench.collector, 0, &err) >= 0);
    }
    collector_health(d.bench.collector, &health);
    assert_string_equal(health.reason, "another program holds the database: nothing is taken");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    fake_clock_pass(&d.bench.clock, 1100);
    bench_drain(&d.bench);

    sqlite3_close(other);
    disturbed_ends_as_in_peace(&d);
}

static void F19_one_hot_partition_lags_and_the_others_do_not(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    int hot = sim_partition(&log, "predictions", 0), cool = sim_partition(&log, "predictions", 1);
    char id[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof(id), "h%d", i);
        predict(&log, hot, id, T0 + i);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        predict(&log, cool, id, T0 + i);
    }
    bench_open(&bench, temp, NULL, &log, &plain);
    static const char of_cool[] =
        "SELECT coalesce((SELECT next FROM offsets WHERE partition = 1), 0)";
    static const char of_hot[] =
        "SELECT coalesce((SELECT next FROM offsets WHERE partition = 0), 0)";

    while (bench_number(&bench, of_cool) < 500) {
        fake_clock_pass(&bench.clock, 300);
        assert_true(collector_step(bench.collector, 0, &err) >= 0);
    }

    int64_t hot_then = bench_number(&bench, of_hot);
    assert_in_range(hot_then, 1, 5000); /* as many batches, not the whole of it */
    for (int i = 0; i < 10; i++)        /* and what comes to the other meanwhile is there at once */
        predict(&log, cool, (snprintf(id, sizeof(id), "later%d", i), id), T0 + 600 + i);
    for (int i = 0; i < 20; i++) {
        fake_clock_pass(&bench.clock, 300);
        assert_true(collector_step(bench.collector, 0, &err) >= 0);
    }
    assert_int_equal(bench_number(&bench, of_cool), 510);
    assert_in_range(bench_number(&bench, of_hot), hot_then + 1, 10000);
    bench_drain(&bench);
    assert_int_equal(bench_number(&bench, of_hot), 20000);
    bench_balanced(&bench);
    bench_close(&bench);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F06_rebalances_in_mid_stream_change_no_window),
        cmocka_unit_test(F07_a_zombie_is_fenced_and_ends_where_the_other_is),
        cmocka_unit_test(F09_messages_delivered_twice_are_dropped_and_counted),
        cmocka_unit_test(F10_holes_seen_twice_are_legitimate),
        cmocka_unit_test(F11_what_retention_took_is_counted_as_lost),
        cmocka_unit_test(F12_a_topic_made_anew_stops_or_is_read_as_configured),
        cmocka_unit_test(F13_a_partition_that_is_added_is_read_from_its_beginning),
        cmocka_unit_test(F14_poison_is_kept_with_its_place_and_reason_and_the_flow_goes_on),
        cmocka_unit_test(F22_labels_for_nobody_end_as_orphans),
        cmocka_unit_test(F23_a_label_corrected_many_times_is_as_if_only_the_last_had_come),
        cmocka_unit_test(F25_F26_events_from_the_future_and_from_before_all_windows_open_none),
        cmocka_unit_test(F27_a_label_days_later_changes_the_window_of_its_prediction),
        cmocka_unit_test(F28_hostile_names_end_in_other_or_are_refused),
        cmocka_unit_test(F18_a_commit_blocked_for_60_s_leaves_the_group_and_comes_back),
        cmocka_unit_test(F18_another_program_s_lock_is_waited_for),
        cmocka_unit_test(F19_one_hot_partition_lags_and_the_others_do_not),
        cmocka_unit_test(F31_a_full_disk_stops_taking_and_goes_on_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
