#include "storage/retention.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/commit.h"
#include "storage/series.h"
#include "storage/values.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define DAY (24 * HOUR)

enum {
    N_EVENTS = 900,
    N_VERSIONS = 2
};

static const int64_t keep_ms[3] = {2 * HOUR, 2 * DAY, 4 * DAY};

static int64_t count_panes(struct store *store, int64_t level_ms)
{
    char sql[80];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM panes WHERE level_ms = %" PRId64, level_ms);
    return temp_number(store, sql);
}

/* Steps until nothing is left; returns how many it took. */
static int run_retention(struct store *store, int64_t now_ms, int budget,
                         struct retention_done *total)
{
    struct err err = {0};
    struct retention_done done;
    int steps = 0;
    *total = (struct retention_done){0};
    do {
        must(retention_step(store, keep_ms, now_ms, budget, &done, &err), &err);
        total->n_merged += done.n_merged;
        total->n_deleted += done.n_deleted;
        total->n_damaged += done.n_damaged;
        assert_true(++steps < 10000);
    } while (done.more);
    return steps;
}

/* The pane as stored, against the events folded right into it (coarsened from the start). */
static void check_pane(struct store *store, const struct scored *events, int version,
                       int64_t series, int64_t level_ms, int64_t start_ms)
{
    struct err err = {0};
    AUTO_FREE void *bytes = NULL;
    size_t n;
    AUTO(states)
    struct states *fine = scored_states(events, N_EVENTS, version, start_ms, start_ms + level_ms);
    int rc = series_pane(store, series, level_ms, start_ms, &bytes, &n, &err);
    if (!fine) {
        assert_int_equal(rc, SERIES_NONE);
        return;
    }
    must(rc, &err);
    AUTO(states) struct states *expected = NULL;
    AUTO(states) struct states *got = NULL;
    must(states_new(&expected, states_setup(fine), &err), &err);
    states_coarsen(expected);
    assert_int_equal(states_merge(expected, fine), 0);
    must(states_load(&got, states_setup(fine), bytes, n, &err), &err);
    same_states(got, expected);
}

static void minutes_become_hours_and_hours_days_with_the_same_bits(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(3);
    struct retention_done done;
    scored_draw(events, N_EVENTS, &rng, 10 * DAY, 13 * DAY, N_VERSIONS);
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);
    int64_t series[N_VERSIONS] = {temp_series(store, "credit", "v0", ""),
                                  temp_series(store, "credit", "v1", "")};
    int64_t n_minutes = count_panes(store, MINUTE);

    int steps = run_retention(store, 13 * DAY, 50, &done);

    /* kept: minutes from 12 d 22 h, hours from 11 d, the day 10 */
    assert_true(steps > 10);
    assert_int_equal(retention_boundary(store, MINUTE), 13 * DAY - 2 * HOUR);
    assert_int_equal(retention_boundary(store, HOUR), 11 * DAY);
    assert_int_equal(retention_level(store, 13 * DAY - HOUR), MINUTE);
    assert_int_equal(retention_level(store, 13 * DAY - 3 * HOUR), HOUR);
    assert_int_equal(retention_level(store, 11 * DAY - 1), DAY);
    assert_int_equal(retention_level(store, 9 * DAY - 1), 0);
    assert_int_equal(count_panes(store, DAY), N_VERSIONS);
    assert_int_equal(count_panes(store, HOUR), N_VERSIONS * (2 * 24 - 2));
    assert_true(count_panes(store, MINUTE) < n_minutes / 10);
    for (int v = 0; v < N_VERSIONS; v++) {
        check_pane(store, events, v, series[v], DAY, 10 * DAY);
        for (int64_t start = 11 * DAY; start < 13 * DAY - 2 * HOUR; start += HOUR)
            check_pane(store, events, v, series[v], HOUR, start);
    }
}

static void nothing_is_lost_to_readers_at_any_step(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(4);
    struct err err = {0};
    const struct series_query query = {.model = "credit",
                                       .from_ms = 10 * DAY,
                                       .to_ms = 13 * DAY,
                                       .window_ms = DAY,
                                       .step_ms = DAY};
    scored_draw(events, N_EVENTS, &rng, 10 * DAY, 13 * DAY, N_VERSIONS);
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);
    int64_t revision = 0;
    struct retention_done done = {.more = true};

    for (int i = 0; done.more; i++) {
        struct series_points points;
        int64_t n = 0;
        int64_t revisions = 0;
        must(series_read(store, &query, &points, &err), &err);
        for (size_t k = 0; k < points.n; k++) {
            n += states_count(points.points[k].states);
            revisions += points.points[k].revision;
        }
        series_points_free(&points);
        assert_int_equal(n, N_EVENTS);
        assert_true(i == 0 || revisions == revision); /* no label came: nothing to look at again */
        revision = revisions;
        must(retention_step(store, keep_ms, 13 * DAY, 30, &done, &err), &err);
    }
}

static void a_late_label_goes_into_the_hour_and_meets_its_minutes(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(5);
    struct err err = {0};
    struct retention_done done;
    scored_draw(events, N_EVENTS, &rng, 0, 3 * HOUR, 1);
    scored_commit(store, events, N_EVENTS / 2, 1, MINUTE);
    must(retention_step(store, keep_ms, 5 * HOUR, 1, &done, &err), &err); /* begun, not done */
    assert_true(done.more);

    /* What comes late is folded into hours, while minutes of them are still to be rolled up. */
    for (int64_t hour = 0; hour < 3 * HOUR; hour += HOUR) {
        AUTO_FREE void *bytes = NULL;
        size_t n;
        AUTO(states)
        struct states *late =
            scored_states(events + N_EVENTS / 2, N_EVENTS / 2, -1, hour, hour + HOUR);
        AUTO(states) struct states *pane = NULL;
        struct buf buf;
        assert_int_equal(retention_level(store, hour), HOUR);
        if (series_pane(store, 1, HOUR, hour, &bytes, &n, &err) == SERIES_NONE) {
            must(states_new(&pane, states_setup(late), &err), &err);
            states_coarsen(pane);
        } else {
            must(states_load(&pane, states_setup(late), bytes, n, &err), &err);
        }
        assert_int_equal(states_merge(pane, late), 0);
        buf_init(&buf, 1 << 24);
        states_save(pane, &buf);
        must(commit_begin(store, &err), &err);
        assert_int_equal(commit_pane(store, 1, MINUTE, hour, "x", 1, &err), -EINVAL);
        assert_non_null(strstr(err.text, "are rolled up"));
        must(commit_pane(store, 1, HOUR, hour, buf.data, buf.size, &err), &err);
        must(commit_end(store, &err), &err);
        buf_finish(&buf);
    }
    run_retention(store, 5 * HOUR, 10, &done);

    assert_int_equal(count_panes(store, MINUTE), 0);
    for (int64_t hour = 0; hour < 3 * HOUR; hour += HOUR)
        check_pane(store, events, -1, 1, HOUR, hour);
}

static void days_beyond_the_last_retention_go_with_their_values(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(6);
    struct err err = {0};
    struct retention_done done;
    scored_draw(events, N_EVENTS, &rng, 0, 6 * DAY, 1);
    scored_commit(store, events, N_EVENTS, 1, DAY);
    must(values_refresh(store, 100, NULL, &err), &err);

    run_retention(store, 8 * DAY + HOUR, 1, &done);

    assert_int_equal(done.n_deleted, 4); /* days 0 to 3; days 4 and 5 are kept */
    assert_int_equal(count_panes(store, DAY), 2);
    assert_int_equal(retention_boundary(store, DAY), 4 * DAY);
    temp_run(store, "SELECT 1");
    run_retention(store, 8 * DAY + 2 * HOUR, 1, &done);
    assert_int_equal(done.n_deleted, 0);
}

static void F34_an_hour_with_a_damaged_minute_stays_as_it_is_and_the_rest_goes_on(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(7);
    struct retention_done done;
    scored_draw(events, N_EVENTS, &rng, 0, 3 * HOUR, 1);
    scored_commit(store, events, N_EVENTS, 1, MINUTE);
    temp_run(store, "UPDATE panes SET hash = hash + 1 WHERE start_ms = 3660000");

    run_retention(store, 5 * HOUR, 20, &done);

    assert_int_equal(done.n_damaged, 1);
    assert_int_equal(count_panes(store, MINUTE), 60);
    check_pane(store, events, -1, 1, HOUR, 0);
    check_pane(store, events, -1, 1, HOUR, 2 * HOUR);
    run_retention(store, 6 * DAY, 20, &done); /* until it is older than anything is kept */
    assert_int_equal(count_panes(store, MINUTE), 0);
}

static void a_walk_over_many_series_pauses_too(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct scored event = {.ts_ms = 0, .version = 199, .score = 0.5};
    struct err err = {0};
    struct retention_done done;
    for (int version = 0; version < 199; version++) { /* young panes: only looked at */
        char name[16];
        snprintf(name, sizeof(name), "v%d", version);
        int64_t series = temp_series(store, "credit", name, "");
        must(commit_begin(store, &err), &err);
        must(commit_pane(store, series, MINUTE, 4 * HOUR, "x", 1, &err), &err);
        must(commit_end(store, &err), &err);
    }
    scored_commit(store, &event, 1, 200, MINUTE);

    int steps = run_retention(store, 5 * HOUR, 1, &done);

    assert_true(steps > 199 / 16);
    assert_int_equal(done.n_merged, 1);
    assert_int_equal(count_panes(store, HOUR), 1);
}

static void nothing_is_due_while_everything_is_young(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct scored event = {.ts_ms = 0, .score = 0.5};
    struct err err = {0};
    struct retention_done done;
    scored_commit(store, &event, 1, 1, MINUTE);

    must(retention_step(store, keep_ms, INT64_MIN, 10, &done, &err), &err);
    must(retention_step(store, keep_ms, 2 * HOUR, 10, &done, &err), &err);

    assert_int_equal(done.n_merged, 0);
    assert_int_equal(count_panes(store, MINUTE), 1);
    must(retention_step(store, keep_ms, 3 * HOUR, 10, &done, &err), &err);
    assert_int_equal(done.n_merged, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minutes_become_hours_and_hours_days_with_the_same_bits),
        cmocka_unit_test(nothing_is_lost_to_readers_at_any_step),
        cmocka_unit_test(a_late_label_goes_into_the_hour_and_meets_its_minutes),
        cmocka_unit_test(days_beyond_the_last_retention_go_with_their_values),
        cmocka_unit_test(F34_an_hour_with_a_damaged_minute_stays_as_it_is_and_the_rest_goes_on),
        cmocka_unit_test(a_walk_over_many_series_pauses_too),
        cmocka_unit_test(nothing_is_due_while_everything_is_young),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
