#include "storage/alert_rows.h"
#include "storage/outbox.h"
#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

#define DAY INT64_C(86400000)

static void put_history(struct store *store, int64_t at_ms)
{
    struct err err = {0};
    const struct alert_event_row row = {
        .alert = "a", .event = "firing", .at_ms = at_ms, .clock = "event", .data = "{}"};
    must(commit_begin(store, &err), &err);
    must(commit_alert_event(store, &row, NULL, &err), &err);
    must(commit_end(store, &err), &err);
}

/* One letter more; `state` OUTBOX_WAITING: it was never settled. */
static void put_letter(struct store *store, int64_t id, enum outbox_state state, int64_t at_ms)
{
    struct err err = {0};
    const struct outbox_row row = {
        .receiver = "oncall", .group_key = "g", .type = "alert.firing", .data = "{}"};
    const struct outbox_attempt attempt = {id, state, 0, 200, "", at_ms};
    must(commit_begin(store, &err), &err);
    must(commit_outbox(store, &row, &err), &err);
    if (state != OUTBOX_WAITING)
        must(commit_outbox_attempt(store, &attempt, &err), &err);
    must(commit_end(store, &err), &err);
}

/* History by event time, as long as windows of a day (400 d); letters by the wall clock, as long as
   windows of an hour (35 d). */
static void what_was_told_long_ago_goes_with_the_windows_of_its_time(void **state)
{
    (void)state;
    struct sim_log log = {0};
    const struct credit_log plan = {.n_predictions = 50, .n_partitions = 1, .seed = 4};
    const struct sim_options options = {.seed = 1, .ends = true, .bounded = true};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    credit_log_fill(&log, &plan);
    bench_open(&bench, temp, NULL, &log, &options);
    int64_t wall_ms = bench.clock.wall_ms;
    put_history(bench.store, CREDIT_START - 401 * DAY);
    put_history(bench.store, CREDIT_START - 399 * DAY);
    put_letter(bench.store, 1, OUTBOX_SENT, wall_ms - 36 * DAY);
    put_letter(bench.store, 2, OUTBOX_FAILED, wall_ms - 36 * DAY);
    put_letter(bench.store, 3, OUTBOX_WAITING, 0);
    put_letter(bench.store, 4, OUTBOX_SENT, wall_ms - 34 * DAY);

    bench_drain(&bench);

    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM alert_history"), 1);
    assert_int_equal(bench_number(&bench, "SELECT min(at_ms) FROM alert_history"),
                     CREDIT_START - 399 * DAY);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM outbox"), 2);
    assert_int_equal(bench_number(&bench, "SELECT min(id) FROM outbox"), 3);
    bench_close(&bench);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_long_ago_goes_with_the_windows_of_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
