/*
 * Looks that share a durable transaction decide and leave what looks with commits of their own do,
 * whatever happens in between.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "collector/loop.h"
#include "storage/outbox.h"
#include "tests/collector/decider.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

static void print_rows(struct collector_bench *bench, const char *sql, struct buf *out)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(store_db(bench->store), sql, -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        buf_printf(out, "%s\n", sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

/* All that must not depend on when it became durable; malloc'd. */
static char *left_behind(struct collector_bench *bench)
{
    struct buf text;
    char *panes = bench_panes(bench);
    buf_init(&text, (size_t)64 << 20);
    buf_printf(&text, "%s", panes);
    free(panes);
    print_rows(bench, "SELECT seq || ' ' || at_ms || ' ' || detail || ' ' || hex(hash) FROM audit",
               &text);
    print_rows(bench, "SELECT id || ' ' || group_key FROM outbox", &text);
    print_rows(
        bench,
        "SELECT topic || ' ' || partition || ' ' || next || ' ' || consumed || ' ' || folded "
        "FROM offsets ORDER BY topic, partition",
        &text);
    buf_u8(&text, 0);
    assert_false(buf_failed(&text));
    return (char *)text.data; /* the caller owns it now */
}

static char *finish(struct collector_bench *bench)
{
    struct err err = {0};
    bench_drain(bench);
    bench_balanced(bench);
    must(collector_commit_now(bench->collector, &err), &err);
    char *left = left_behind(bench);
    bench_close(bench);
    return left;
}

/* In peace, each look in a commit of its own. */
static char *look_by_look(struct sim_log *log)
{
    struct collector_bench bench;
    struct decider decider = {0};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, true);
    char *left = finish(&bench);
    assert_int_equal(decider.n_durable, decider.n_looks);
    assert_in_range(decider.n_looks, 50, 10000);
    return left;
}

static void looks_that_share_leave_what_looks_apart_leave(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 8; seed++) {
        struct collector_bench bench;
        struct decider decider = {0};
        struct sim_options options = decider_options;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.max_batch = seed * seed * seed;
        decider_open(&bench, &decider, temp, log, &options, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
        assert_in_range(decider.n_durable, 1, decider.n_looks / 10);
    }
}

static void looks_that_are_written_beside_the_reading_leave_the_same(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 6; seed++) {
        struct collector_bench bench;
        struct decider decider = {.lends = true};
        struct sim_options options = decider_options;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.max_batch = seed * seed * seed;
        decider_open(&bench, &decider, temp, log, &options, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
        assert_in_range(decider.n_durable, 1, decider.n_looks / 10);
        assert_int_equal(decider.decided, decider.settled);
    }
}

static void what_is_sent_to_the_disk_beside_the_reading_is_the_same(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 8; seed++) {
        struct collector_bench bench;
        struct decider decider = {.much = 3, .lends = seed % 2 == 0};
        struct sim_options options = decider_options;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.max_batch = seed * seed * seed;
        options.rebalance_percent = seed > 5 ? 20 : 0;
        decider_open(&bench, &decider, temp, log, &options, false);
        struct err err = {0};
        int rc = COLLECTOR_WORKED;
        while (rc != COLLECTOR_END) { /* a commit is due again and again */
            rc = collector_step(bench.collector, 0, &err);
            assert_true(rc >= 0);
            fake_clock_pass(&bench.clock, 200);
        }
        AUTO_FREE char *left = finish(&bench);
        const char *panes_end = strstr(expected, "\n1 ");
        assert_memory_equal(left, expected, (size_t)(panes_end - expected));
        assert_int_equal(decider.decided, decider.settled);
    }
}

static void step_until_the_disk_is_full(struct collector_bench *bench,
                                        const struct decider *decider)
{
    struct collector_health health = {0};
    struct err err = {0};
    for (int i = 0; i < 1000 && !health.degraded; i++) {
        assert_true(collector_step(bench->collector, 0, &err) >= 0);
        fake_clock_pass(&bench->clock, 100);
        collector_health(bench->collector, &health);
    }
    assert_true(health.degraded);
    assert_int_equal(decider->n_undone, 1);
    assert_int_equal(decider->decided, decider->settled);
    assert_int_equal(bench_number(bench, "SELECT count(*) FROM audit"), decider->settled);
}

static char *finish_with_room(struct collector_bench *bench, struct decider *decider)
{
    decider->fails_at = 0;
    faulty_fail(decider->faulty, 0, 0, 0, false);
    return finish(bench);
}

static void F31_a_disk_that_is_full_at_what_was_sent_to_it_loses_nothing(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct collector_bench bench;
    struct decider decider = {.much = 3, .fails_at = 9, .faulty = faulty};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, false);

    step_until_the_disk_is_full(&bench, &decider);

    AUTO_FREE char *left = finish_with_room(&bench, &decider);
    assert_string_equal(left, expected);
}

static void rebalances_between_looks_that_share_change_nothing(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 6; seed++) {
        struct collector_bench bench;
        struct decider decider = {0};
        struct sim_options options = decider_options;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.rebalance_percent = options.redeliver_percent = 20;
        decider_open(&bench, &decider, temp, log, &options, false);
        bench_drain(&bench);
        bench_balanced(&bench);
        AUTO_FREE char *left = left_behind(&bench);
        bench_close(&bench);
        const char *panes_end = strstr(expected, "\n1 ");
        assert_memory_equal(left, expected, (size_t)(panes_end - expected));
        assert_int_equal(decider.decided, decider.settled);
    }
}

static void killed_between_looks_that_share_all_is_taken_again(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    int lost = 0;
    for (int steps = 3; steps < 60; steps += 4) {
        struct collector_bench bench;
        struct decider decider = {0};
        struct err err = {0};
        AUTO(temp) struct temp *temp = temp_new();
        decider_open(&bench, &decider, temp, log, &decider_options, false);
        for (int i = 0; i < steps; i++) {
            assert_true(collector_step(bench.collector, 0, &err) >= 0);
            fake_clock_pass(&bench.clock, 90);
        }
        lost += decider.decided > decider.settled;
        bench_crash(&bench);

        decider_open(&bench, &decider, temp, log, &decider_options, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
    }
    assert_in_range(lost, 3, 100);
}

/* One look fails in the middle of what it writes: all that shares with it goes, and comes again. */
static void a_look_that_fails_takes_back_those_that_share_with_it(void **state)
{
    static const int failures[] = {-ENOMEM, ERR_FULL, -ECANCELED, -EBUSY};
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (size_t i = 0; i < 2 * sizeof(failures) / sizeof(failures[0]); i++) {
        struct collector_bench bench;
        struct decider decider = {
            .fails_at = 23, .fails_with = failures[i / 2], .lends = i % 2 == 1};
        AUTO(temp) struct temp *temp = temp_new();
        decider_open(&bench, &decider, temp, log, &decider_options, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
        assert_int_equal(decider.n_undone, 1);
    }
}

static void a_look_that_can_never_be_written_ends_the_round(void **state)
{
    struct sim_log *log = *state;
    struct collector_bench bench;
    struct decider decider = {.fails_at = 23, .fails_with = ERR_IO};
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, false);

    int rc = 0;
    while (rc >= 0 && rc != COLLECTOR_END)
        rc = collector_step(bench.collector, 0, &err);

    assert_int_equal(rc, ERR_IO);
    assert_string_equal(err.text, "this look fails");
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM audit"), decider.settled);
    bench_crash(&bench);
}

static void F31_a_disk_that_is_full_at_the_third_shared_look_loses_nothing(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct collector_bench bench;
    struct decider decider = {.fails_at = 3, .faulty = faulty};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, false);

    step_until_the_disk_is_full(&bench, &decider);
    assert_in_range(decider.settled, 0, 2);

    AUTO_FREE char *left = finish_with_room(&bench, &decider);
    assert_string_equal(left, expected);
}

/* With commits of their own, looks wait for room as the collector does. */
static void F31_a_look_without_room_for_its_decision_is_taken_again(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);
    struct collector_bench bench;
    struct decider decider = {.fails_at = 30, .fails_with = ERR_FULL};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, true);

    AUTO_FREE char *left = finish(&bench);

    assert_string_equal(left, expected);
    assert_int_equal(decider.n_undone, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_that_share_leave_what_looks_apart_leave),
        cmocka_unit_test(looks_that_are_written_beside_the_reading_leave_the_same),
        cmocka_unit_test(what_is_sent_to_the_disk_beside_the_reading_is_the_same),
        cmocka_unit_test(F31_a_disk_that_is_full_at_what_was_sent_to_it_loses_nothing),
        cmocka_unit_test(rebalances_between_looks_that_share_change_nothing),
        cmocka_unit_test(killed_between_looks_that_share_all_is_taken_again),
        cmocka_unit_test(a_look_that_fails_takes_back_those_that_share_with_it),
        cmocka_unit_test(a_look_that_can_never_be_written_ends_the_round),
        cmocka_unit_test(F31_a_disk_that_is_full_at_the_third_shared_look_loses_nothing),
        cmocka_unit_test(F31_a_look_without_room_for_its_decision_is_taken_again),
    };
    return cmocka_run_group_tests(tests, decider_fill_log, decider_drop_log);
}
