/* Experiments at work against time and the world: labels that must ripen, clocks that jump, data
   that is late, lost or missing, people who must agree. */
#include "abtest/recompute.h"
#include "storage/audit.h"
#include "tests/abtest/site.h"

static void labels_count_once_their_prediction_is_ripe_even_after_a_restart(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ACCURACY, ",\"maturity\":\"30s\"");
    feed(site, T0, 1, 1); /* event time begins */
    look(site, T0 + SECOND, 0);
    feed(site, T0 + 10 * SECOND, 400, 0);

    look(site, T0 + 12 * SECOND, 0);
    assert_int_equal(labelled(site), 0);
    restart(site);
    look(site, T0 + 39 * SECOND, 0);
    assert_int_equal(labelled(site), 1); /* the first is ripe, the others are not */
    look(site, T0 + 41 * SECOND, 0);

    assert_int_equal(labelled(site), 401);
    site_free(site);
}

static void a_hold_and_its_end_are_rows_of_the_history(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    assert_string_equal(last_of(site).verdict, "start");

    look(site, T0 + 200 * SECOND, 0);
    struct last held = last_of(site);
    assert_string_equal(held.verdict, "hold");
    assert_string_equal(held.reason, "no telemetry from either arm for 2m");
    look(site, T0 + 201 * SECOND, 0);
    assert_int_equal(last_of(site).rows, held.rows); /* told once */

    feed(site, T0 + 202 * SECOND, 100, -1);
    look(site, T0 + 203 * SECOND, 0);

    struct last freed = last_of(site);
    assert_string_equal(freed.verdict, "continue");
    assert_string_equal(freed.clock, "event");
    assert_string_equal(freed.state, "running");
    site_free(site);
}

static void events_that_were_lost_hold_the_step(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);

    feed(site, T0 + SECOND, 100, -1);
    look(site, T0 + 2 * SECOND, 7);

    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).reason, "events of this step were lost on their way in");
    site_free(site);
}

static void F39_when_nothing_comes_the_wall_clock_holds(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    struct run_now now = {T0 + SECOND, T0 + 500 * SECOND, T0 + 500 * SECOND, 0, 0};

    must(run_tick(site->run, &now, 60 * SECOND, &err), &err);
    assert_string_equal(last_of(site).verdict, "start"); /* stale_after is 2m */
    must(run_tick(site->run, &now, 121 * SECOND, &err), &err);

    struct last held = last_of(site);
    assert_string_equal(held.verdict, "hold");
    assert_string_equal(held.clock, "wall");
    assert_string_equal(held.reason, "own input is stale: the consumer lags behind");
    feed(site, T0 + 2 * SECOND, 100, -1);
    look(site, T0 + 3 * SECOND, 0);
    assert_string_equal(last_of(site).verdict, "continue");
    assert_string_equal(last_of(site).clock, "wall"); /* a replay knows of neither */
    site_free(site);
}

enum {
    DARK_MS = 121 * SECOND, /* stale_after is 2m */
    HOUR_MS = 3600 * SECOND /* max_hold */
};

/* Nothing has come since T0, and the clock on the wall says so. */
static void tick_at(struct site *site, int64_t wall_ms)
{
    struct err err = {0};
    struct run_now now = {T0 + SECOND, wall_ms, wall_ms, 0, 0};
    must(run_tick(site->run, &now, DARK_MS, &err), &err);
}

/* A kill in between starts no new hour. */
static void F39_when_nothing_comes_for_max_hold_the_wall_clock_rolls_back(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    const int64_t dark_ms = T0 + DARK_MS;
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    tick_at(site, dark_ms);
    tick_at(site, dark_ms + HOUR_MS / 2);
    must(run_reload(site->run, &err), &err);
    tick_at(site, dark_ms + HOUR_MS / 2);

    tick_at(site, dark_ms + HOUR_MS);
    assert_string_equal(last_of(site).verdict, "hold");
    tick_at(site, dark_ms + HOUR_MS + 1);

    struct last last = last_of(site);
    assert_string_equal(last.verdict, "rollback");
    assert_string_equal(last.reason, "no data");
    assert_string_equal(last.clock, "wall");
    assert_string_equal(last.state, "rolled_back");
    site_free(site);
}

/* A day that the daemon was down is no day without data. */
static void F29_only_time_that_was_watched_counts_as_silence(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    const int64_t dark_ms = T0 + DARK_MS, back_ms = dark_ms + 86400 * SECOND;
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    tick_at(site, dark_ms);
    tick_at(site, dark_ms + HOUR_MS / 2);
    must(run_reload(site->run, &err), &err);

    tick_at(site, back_ms);
    tick_at(site, back_ms + HOUR_MS / 2);
    assert_string_equal(last_of(site).verdict, "hold");
    tick_at(site, back_ms + HOUR_MS / 2 + 1);

    assert_string_equal(last_of(site).verdict, "rollback");
    assert_string_equal(last_of(site).reason, "no data");
    site_free(site);
}

static void F39_what_comes_in_time_ends_the_hold(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    struct run_now now = {T0 + SECOND, T0 + 121 * SECOND, T0 + 121 * SECOND, 0, 0};
    must(run_tick(site->run, &now, 121 * SECOND, &err), &err);
    feed(site, T0 + 2 * SECOND, 100, -1);
    look(site, T0 + 3 * SECOND, 0);

    now.wall_ms = now.real_ms = T0 + 7200 * SECOND;
    now.look_ms = T0 + 3 * SECOND;
    must(run_tick(site->run, &now, 7000 * SECOND, &err), &err);

    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).state, "running");
    site_free(site);
}

/* The clock is set by a day in the middle of a hold: that is no day without data. */
static void F29_a_wall_clock_that_is_set_does_not_end_a_hold(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    const int64_t dark_ms = T0 + 121 * SECOND, day_ms = 86400 * SECOND;
    feed(site, T0, 100, -1);
    look(site, T0 + SECOND, 0);
    struct run_now now = {T0 + SECOND, dark_ms, dark_ms, 0, 0};
    must(run_tick(site->run, &now, 121 * SECOND, &err), &err);

    run_clock_set(site->run, day_ms);
    now.wall_ms = now.real_ms = dark_ms + day_ms + 60 * SECOND;
    must(run_tick(site->run, &now, 181 * SECOND, &err), &err);
    assert_string_equal(last_of(site).verdict, "hold");
    now.wall_ms = now.real_ms += 3600 * SECOND;
    must(run_tick(site->run, &now, 3781 * SECOND, &err), &err);

    assert_string_equal(last_of(site).verdict, "rollback");
    site_free(site);
}

/* Event time leaps by a day: the step has lasted long enough, and nothing is known of it. */
static void F29_a_clock_that_jumps_promotes_nothing(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, ",\"noninferiority\":\"lenient\"");
    feed(site, T0, 400, -1);
    look(site, T0 + SECOND, 0);

    look(site, T0 + 86400 * SECOND, 0);
    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).state, "running");
    look(site, T0 + 5 * SECOND, 0); /* and back */

    assert_string_equal(last_of(site).state, "running");
    site_free(site);
}

static void units_of_one_bucket_hold_for_the_arm_that_is_silent(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    for (int s = 0; s < 300; s++) {
        site->next_unit = 0; /* always the same */
        feed(site, T0 + s * SECOND, 1, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    struct last last = last_of(site);

    assert_string_equal(last.verdict, "hold");
    assert_non_null(strstr(last.reason, "no telemetry from"));
    assert_string_equal(last.state, "running");
    site_free(site);
}

static void a_metric_without_variance_holds_and_says_so(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ACCURACY, "");
    for (int s = 0; s < 62; s++) {
        feed(site, T0 + s * SECOND, 40, 1); /* every label agrees */
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    struct last last = last_of(site);

    assert_string_equal(last.verdict, "hold");
    assert_string_equal(last.reason, "accuracy: no variance: all observations are equal so far");
    site_free(site);
}

static void without_traffic_it_waits_and_says_nothing_false(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    struct run_now now = {T0, T0 + 9999 * SECOND, T0 + 9999 * SECOND, 0, 0};

    must(run_tick(site->run, &now, 9999 * SECOND, &err), &err);

    assert_string_equal(last_of(site).verdict, "start");
    assert_true(run_active(site->run));
    site_free(site);
}

static void an_approval_is_waited_for_and_each_decision_can_be_computed_again(void **state)
{
    (void)state;
    struct site *site = site_new(HALF ",{\"weight\":100,\"min_duration\":\"1m\",\"approval\":true}",
                                 ERRORS, ",\"noninferiority\":\"lenient\",\"holdback\":5");
    struct err err = {0};
    struct recompute_counts counts;
    int s = 0;
    for (; s < 70; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    assert_string_equal(last_of(site).reason, "step 1 (95%) waits for approval");

    struct run_order order = {"e", "approve", -1, "fine by me", ""};
    struct run_actor now = person;
    now.watermark_ms = T0 + s * SECOND;
    must(run_command(site->run, &order, &now, &err), &err);
    for (; s < 150; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
        if (!run_active(site->run))
            break;
    }

    assert_string_equal(last_of(site).state, "promoted");
    must(audit_verify(site->store, &err), &err);
    must(recompute_all(site->store, &counts, &err), &err);
    assert_int_equal(counts.same, 3); /* hold, advance, promote */
    assert_int_equal(counts.other, 0);
    site_free(site);
}

static void commit(struct site *site, bool take_back)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(run_in_commit(site->run, site->store, T0, &err), &err);
    if (take_back)
        commit_rollback(site->store);
    else
        must(commit_end(site->store, &err), &err);
}

static int count_segment(void *context, int64_t n, const void *bytes, size_t size, struct err *err)
{
    (void)bytes;
    (void)err;
    int64_t *sums = context;
    sums[0] = n;
    sums[1] += (int64_t)size;
    return 0;
}

static void units_are_appended_and_a_commit_that_was_taken_back_loses_none(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    feed(site, T0, 1, -1);
    look(site, T0 + SECOND, 0);
    feed(site, T0 + 10 * SECOND, 300, -1);
    commit(site, false);
    feed(site, T0 + 11 * SECOND, 100, -1);
    commit(site, true);
    feed(site, T0 + 12 * SECOND, 100, -1);
    commit(site, false);
    feed(site, T0 + 13 * SECOND, 10, -1);
    commit(site, false);

    int64_t sums[2] = {0, 0};
    must(experiment_units_read(site->store, "e", count_segment, sums, &err), &err);
    assert_in_range(sums[1], 511 * 10, 511 * 14); /* 501 whole and 10 more, some 12 bytes each */
    restart(site);
    look(site, T0 + 20 * SECOND, 0);
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *units = json_object_get(json, "units");
    assert_int_equal(json_integer_value(json_object_get(units, "control")) +
                         json_integer_value(json_object_get(units, "treatment")),
                     511);
    json_decref(json);
    site_free(site);
}

static int take_detail(void *context, const struct audit_row *row, struct err *err)
{
    (void)err;
    char **detail = context;
    if (strcmp(row->action, "experiment.hold") == 0 && !*detail)
        *detail = strdup(row->detail);
    return 0;
}

/* What recompute says of the row's detail after a change of it. */
static void changed(const char *detail, const char *path, const char *key, json_t *value, int rc,
                    const char *said)
{
    struct err err = {0};
    json_t *json = json_loads(detail, 0, NULL);
    json_object_set_new(*path ? json_object_get(json, path) : json, key, value);
    char *text = json_dumps(json, JSON_COMPACT);

    assert_int_equal(recompute_detail(text, &err), rc);
    if (rc < 0)
        assert_string_equal(err.text, said);
    free(text);
    json_decref(json);
}

static void a_decision_that_does_not_follow_from_its_evidence_is_found(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    char *detail = NULL;
    feed(site, T0, 400, -1);
    look(site, T0 + SECOND, 0);
    look(site, T0 + 200 * SECOND, 0);
    must(audit_read(site->store, 0, 100, take_detail, &detail, &err), &err);
    assert_non_null(detail);
    assert_int_equal(recompute_detail(detail, &err), 0);

    changed(detail, "verdict", "reason", json_string("all is well"), ERR_CORRUPT,
            "its evidence gives another verdict than it says (reason differs)");
    changed(detail, "verdict", "crossovers", json_integer(1), ERR_CORRUPT,
            "its evidence gives another verdict than it says (crossovers differs)");
    changed(detail, "object", "stale_after", json_string("1h"), ERR_CORRUPT,
            "its evidence gives another verdict than it says (verdict differs)");
    changed(detail, "", "situation", json_string("Ag=="), ERR_CORRUPT,
            "audit row: the situation is damaged");
    changed(detail, "evidence", "data", json_string("AAAA"), ERR_CORRUPT,
            "its evidence cannot be inflated");
    changed(detail, "", "engine", json_integer(0), RECOMPUTE_OTHER, "");
    assert_int_equal(recompute_detail("{\"reason\":\"lunch\"}", &err), RECOMPUTE_NOTHING);
    free(detail);
    site_free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_count_once_their_prediction_is_ripe_even_after_a_restart),
        cmocka_unit_test(a_hold_and_its_end_are_rows_of_the_history),
        cmocka_unit_test(events_that_were_lost_hold_the_step),
        cmocka_unit_test(F39_when_nothing_comes_the_wall_clock_holds),
        cmocka_unit_test(F39_when_nothing_comes_for_max_hold_the_wall_clock_rolls_back),
        cmocka_unit_test(F29_only_time_that_was_watched_counts_as_silence),
        cmocka_unit_test(F39_what_comes_in_time_ends_the_hold),
        cmocka_unit_test(F29_a_wall_clock_that_is_set_does_not_end_a_hold),
        cmocka_unit_test(F29_a_clock_that_jumps_promotes_nothing),
        cmocka_unit_test(units_of_one_bucket_hold_for_the_arm_that_is_silent),
        cmocka_unit_test(a_metric_without_variance_holds_and_says_so),
        cmocka_unit_test(without_traffic_it_waits_and_says_nothing_false),
        cmocka_unit_test(an_approval_is_waited_for_and_each_decision_can_be_computed_again),
        cmocka_unit_test(units_are_appended_and_a_commit_that_was_taken_back_loses_none),
        cmocka_unit_test(a_decision_that_does_not_follow_from_its_evidence_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
