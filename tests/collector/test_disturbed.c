/* The log read under faults: what is stored in the end is what reading it in peace leaves, to the
   bit. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/test.h"

static const struct sim_options plain = {.seed = 5, .max_batch = 50, .ends = true};

static int64_t sum(struct collector_bench *bench, const char *column)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT sum(%s) FROM offsets", column);
    return bench_number(bench, sql);
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
    d->expected = bench_undisturbed(&d->log);
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

/* So many steps, each so long after the one before. */
static void step_often(struct disturbed *d, int n, int64_t pause_ms)
{
    struct err err = {0};
    for (int i = 0; i < n; i++) {
        fake_clock_pass(&d->bench.clock, pause_ms);
        if (collector_step(d->bench.collector, 0, &err) < 0)
            fail_msg("%s", err.text);
    }
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

static void F31_a_full_disk_stops_taking_and_goes_on_without_loss(void **state)
{
    (void)state;
    struct disturbed d = {0};
    const struct credit_log plan = {.n_predictions = 600, .n_partitions = 1, .seed = 61};
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct err err = {0};
    disturbed_open(&d, &plan, &plain);
    step_often(&d, 5, 0);

    faulty_fail(faulty, FAULTY_WRITE, 1, ENOSPC, true);
    struct collector_health health;
    step_often(&d, 50, 300);
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
    step_often(&d, 5, 0);

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
    step_often(&d, 100, 500);
    collector_health(d.bench.collector, &health);
    assert_string_equal(health.reason,
                        "the disk is full: nothing is taken, and the consumer group was left");
    assert_true(sim_source_is_away(d.bench.source));

    faulty_fail(faulty, 0, 0, 0, false);
    fake_clock_pass(&d.bench.clock, 2000);
    step_often(&d, 5, 0);
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
    disturbed_open(&d, &plan, &plain);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(d.temp->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL), 0);

    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    step_often(&d, 4, 1100);
    collector_health(d.bench.collector, &health);
    assert_string_equal(health.reason, "another program holds the database: nothing is taken");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    fake_clock_pass(&d.bench.clock, 1100);
    bench_drain(&d.bench);

    sqlite3_close(other);
    disturbed_ends_as_in_peace(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F06_rebalances_in_mid_stream_change_no_window),
        cmocka_unit_test(F07_a_zombie_is_fenced_and_ends_where_the_other_is),
        cmocka_unit_test(F09_messages_delivered_twice_are_dropped_and_counted),
        cmocka_unit_test(F31_a_full_disk_stops_taking_and_goes_on_without_loss),
        cmocka_unit_test(F18_a_commit_blocked_for_60_s_leaves_the_group_and_comes_back),
        cmocka_unit_test(F18_another_program_s_lock_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
