#include "storage/series.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/memo.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define DAY (24 * HOUR)

enum {
    N_EVENTS = 600,
    N_VERSIONS = 3
};

/* Every point of a query against folding the very events of its window. */
static void check_points(struct store *store, const struct scored *events,
                         const struct series_query *query, int version, size_t n_expected)
{
    struct series_points points;
    struct err err = {0};
    must(series_read(store, query, &points, &err), &err);
    assert_int_equal(points.n, n_expected);
    assert_int_equal(points.n_damaged, 0);
    for (size_t i = 0; i < points.n; i++) {
        const struct series_point *point = &points.points[i];
        AUTO(states)
        struct states *expected =
            scored_states(events, N_EVENTS, version, point->start_ms, point->end_ms);
        assert_int_equal(point->end_ms - point->start_ms, query->window_ms);
        assert_int_equal(point->start_ms % query->step_ms, 0);
        assert_false(point->partial);
        same_states(point->states, expected);
    }
    series_points_free(&points);
}

static void every_window_equals_folding_its_events(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(7);
    scored_draw(events, N_EVENTS, &rng, 10 * DAY, 10 * DAY + 7 * HOUR, N_VERSIONS);
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);

    struct series_query query = {.model = "credit",
                                 .from_ms = 10 * DAY,
                                 .to_ms = 10 * DAY + 7 * HOUR,
                                 .window_ms = HOUR,
                                 .step_ms = HOUR};
    check_points(store, events, &query, -1, 7); /* tumbling, all versions */
    query.version = "v1";
    check_points(store, events, &query, 1, 7);
    query.step_ms = MINUTE; /* rolling */
    check_points(store, events, &query, 1, 6 * 60 + 1);
    query.version = NULL;
    query.step_ms = 7 * MINUTE; /* neither divides the other */
    check_points(store, events, &query, -1, 53);
    query.window_ms = 2 * MINUTE;
    query.step_ms = MINUTE; /* more empty windows than full ones */
    check_points(store, events, &query, -1, 7 * 60 - 1);
}

static void from_and_to_are_widened_to_whole_steps(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct series_points points;
    struct err err = {0};
    temp_series(store, "credit", "v1", "");

    const struct series_query query = {.model = "credit",
                                       .from_ms = 10 * HOUR + 1,
                                       .to_ms = 12 * HOUR + 1,
                                       .window_ms = HOUR,
                                       .step_ms = HOUR};
    must(series_read(store, &query, &points, &err), &err);

    assert_int_equal(points.n, 3);
    assert_int_equal(points.points[0].start_ms, 10 * HOUR);
    assert_int_equal(points.points[2].end_ms, 13 * HOUR);
    assert_null(points.points[1].states);
    assert_int_equal(points.coarsest_level_ms, MINUTE);
    series_points_free(&points);
}

/* Minutes, hours and days beside each other: the oldest day, then hours, then minutes. */
static void levels_mix_and_a_window_that_cuts_a_pane_says_so(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(8);
    struct err err = {0};
    scored_draw(events, 200, &rng, 0, DAY, 1);
    scored_draw(events + 200, 200, &rng, DAY, 2 * DAY, 1);
    scored_draw(events + 400, 200, &rng, 2 * DAY, 2 * DAY + 3 * HOUR, 1);
    scored_commit(store, events, 200, 1, DAY);
    scored_commit(store, events + 200, 200, 1, HOUR);
    scored_commit(store, events + 400, 200, 1, MINUTE);

    struct series_query query = {
        .model = "credit", .to_ms = 3 * DAY, .window_ms = DAY, .step_ms = DAY};
    check_points(store, events, &query, -1, 3);
    query.window_ms = 2 * DAY;
    check_points(store, events, &query, -1, 2);

    query = (struct series_query){.model = "credit",
                                  .from_ms = DAY,
                                  .to_ms = 2 * DAY + 3 * HOUR,
                                  .window_ms = HOUR,
                                  .step_ms = HOUR};
    check_points(store, events, &query, -1, 27);

    /* Ninety minutes by the half hour: whole hours only while there are no minutes. */
    query.window_ms = 90 * MINUTE;
    query.step_ms = 30 * MINUTE;
    struct series_points points;
    must(series_read(store, &query, &points, &err), &err);
    assert_int_equal(points.coarsest_level_ms, HOUR);
    for (size_t i = 0; i < points.n; i++) {
        const struct series_point *point = &points.points[i];
        bool cuts = (point->start_ms < 2 * DAY && point->start_ms % HOUR) ||
                    (point->end_ms < 2 * DAY && point->end_ms % HOUR);
        int64_t from = point->start_ms;
        int64_t to = point->end_ms;
        if (from < 2 * DAY)
            from = (from + HOUR - 1) / HOUR * HOUR;
        if (to < 2 * DAY)
            to = to / HOUR * HOUR;
        AUTO(states) struct states *expected = scored_states(events, N_EVENTS, -1, from, to);
        assert_int_equal(point->partial, cuts);
        same_states(point->states, expected);
    }
    series_points_free(&points);
}

static void a_points_revision_grows_when_a_pane_in_it_changes(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct scored events[2] = {{.ts_ms = 0, .score = 0.5}, {.ts_ms = 5 * MINUTE, .score = 0.25}};
    struct err err = {0};
    const struct series_query query = {
        .model = "credit", .to_ms = HOUR, .window_ms = HOUR, .step_ms = HOUR};
    struct series_points before;
    struct series_points after;
    scored_commit(store, events, 2, 1, MINUTE);
    must(series_read(store, &query, &before, &err), &err);

    events[0].labelled = true;
    scored_commit(store, events, 1, 1, MINUTE);
    must(series_read(store, &query, &after, &err), &err);

    assert_int_equal(before.points[0].revision, 2);
    assert_int_equal(after.points[0].revision, 3);
    assert_int_equal(states_labelled(after.points[0].states), 1);
    series_points_free(&before);
    series_points_free(&after);
}

static void F34_a_damaged_pane_is_left_out_and_the_rest_lives(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct scored events[2] = {{.ts_ms = 0, .score = 0.5}, {.ts_ms = 5 * MINUTE, .score = 0.25}};
    struct err err = {0};
    const struct series_query query = {
        .model = "credit", .to_ms = HOUR, .window_ms = HOUR, .step_ms = HOUR};
    struct series_points points;
    void *bytes;
    size_t n;
    scored_commit(store, events, 2, 1, MINUTE);
    temp_run(store, "UPDATE panes SET state = substr(state, 1, length(state) - 1) || "
                    "x'00' WHERE start_ms = 0");

    must(series_read(store, &query, &points, &err), &err);

    assert_int_equal(points.n_damaged, 1);
    assert_int_equal(states_count(points.points[0].states), 1);
    assert_int_equal(series_pane(store, 1, MINUTE, 0, &bytes, &n, &err), SERIES_DAMAGED);
    assert_int_equal(series_pane(store, 1, MINUTE, MINUTE, &bytes, &n, &err), SERIES_NONE);
    must(series_pane(store, 1, MINUTE, 5 * MINUTE, &bytes, &n, &err), &err);
    assert_true(n > 0);
    free(bytes);
    series_points_free(&points);
}

/* Questions that blocks of each level answer: whole blocks, short ones, windows that slide. */
static void check_with_blocks(struct store *store, const struct scored *events)
{
    static const struct {
        int64_t window_ms, step_ms;
        size_t n;
    } asked[] = {{DAY, DAY, 50},      {50 * DAY, 50 * DAY, 1}, {HOUR, HOUR, 1200},
                 {3 * DAY, DAY, 48},  {6 * HOUR, HOUR, 1195},  {7 * DAY, 7 * DAY, 7},
                 {DAY, 12 * HOUR, 99}};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        const struct series_query query = {.model = "credit",
                                           .to_ms = 50 * DAY / asked[i].step_ms * asked[i].step_ms,
                                           .window_ms = asked[i].window_ms,
                                           .step_ms = asked[i].step_ms};
        check_points(store, events, &query, -1, asked[i].n);
    }
}

static void a_cache_of_merged_panes_changes_no_answer(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(memo) struct memo *memo = NULL;
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(9);
    struct err err = {0};
    must(memo_new(&memo, &err), &err);
    store_lend_memo(store, memo);
    scored_draw(events, N_EVENTS / 2, &rng, 0, 50 * DAY, N_VERSIONS);
    scored_draw(events + N_EVENTS / 2, N_EVENTS / 2, &rng, 49 * DAY, 50 * DAY, N_VERSIONS);
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);

    check_with_blocks(store, events); /* read and kept … */
    check_with_blocks(store, events); /* … and recalled */
    for (size_t i = 0; i < N_EVENTS; i += 7)
        events[i].labelled = events[i].positive = true;
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);
    check_with_blocks(store, events); /* late labels have changed their blocks */
}

/* As rules ask at each look: one window that ends at any minute, and moves on. */
static void check_one_window_after_another(struct store *store, const struct scored *events)
{
    static const int64_t windows_ms[] = {5 * MINUTE, HOUR, 6 * HOUR};
    for (size_t i = 0; i < sizeof(windows_ms) / sizeof(windows_ms[0]); i++) {
        for (int64_t end_ms = 9 * HOUR; end_ms <= 9 * HOUR + 25 * MINUTE; end_ms += MINUTE) {
            const struct series_query query = {.model = "credit",
                                               .from_ms = end_ms - windows_ms[i],
                                               .to_ms = end_ms,
                                               .window_ms = windows_ms[i],
                                               .step_ms = MINUTE};
            check_points(store, events, &query, -1, 1);
        }
    }
}

static void the_windows_of_rules_are_put_together_from_blocks_that_have_not_changed(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(memo) struct memo *memo = NULL;
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(11);
    struct err err = {0};
    must(memo_new(&memo, &err), &err);
    store_lend_memo(store, memo);
    scored_draw(events, N_EVENTS, &rng, 3 * HOUR, 9 * HOUR + 30 * MINUTE, N_VERSIONS);
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);

    check_one_window_after_another(store, events); /* read and kept … */
    check_one_window_after_another(store, events); /* … and recalled */
    for (size_t i = 0; i < N_EVENTS; i += 7)
        events[i].labelled = events[i].positive = true;
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);
    check_one_window_after_another(store, events); /* late labels have changed their blocks */
}

/* Reads an hour of twenty minutes, of which the first has flipped bits, twice. */
static void check_damaged_hour(struct store *store, size_t n_damaged, int64_t n)
{
    struct err err = {0};
    const struct series_query query = {
        .model = "credit", .to_ms = HOUR, .window_ms = HOUR, .step_ms = HOUR};
    for (int i = 0; i < 2; i++) {
        struct series_points points;
        must(series_read(store, &query, &points, &err), &err);
        assert_int_equal(points.n_damaged, n_damaged);
        assert_int_equal(states_count(points.points[0].states), n);
        assert_int_equal(points.points[0].revision, n);
        series_points_free(&points);
    }
}

static void a_block_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(memo) struct memo *before = NULL;
    AUTO(memo) struct memo *after = NULL;
    struct scored events[20] = {0};
    struct err err = {0};
    for (int i = 0; i < 20; i++)
        events[i] = (struct scored){.ts_ms = i * MINUTE, .score = 0.5};
    scored_commit(store, events, 20, 1, MINUTE);
    must(memo_new(&before, &err), &err);
    must(memo_new(&after, &err), &err);

    store_lend_memo(store, before);
    check_damaged_hour(store, 0, 20);
    temp_run(store, "UPDATE panes SET state = substr(state, 1, length(state) - 1) || "
                    "x'00' WHERE start_ms = 0");
    check_damaged_hour(store, 0, 20); /* recalled: the damaged bytes are not needed */
    store_lend_memo(store, after);
    check_damaged_hour(store, 1, 19);
}

static void an_unknown_model_is_told_with_the_near_one(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct series_points points;
    struct series_query query = {
        .model = "credti", .to_ms = HOUR, .window_ms = HOUR, .step_ms = HOUR};
    temp_series(store, "credit", "v1", "");

    assert_int_equal(series_read(store, &query, &points, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no model \"credti\"; did you mean \"credit\"?");
    query.model = "weather";
    assert_int_equal(series_read(store, &query, &points, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no model \"weather\" among the 1 known");
}

static void windows_that_cannot_be_are_refused(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct series_points points;
    struct series_query query = {
        .model = "credit", .to_ms = HOUR, .window_ms = 90000, .step_ms = MINUTE};
    temp_series(store, "credit", "v1", "");

    assert_int_equal(series_read(store, &query, &points, &err), ERR_USAGE);
    assert_string_equal(err.text, "window 90000 ms, step 60000 ms: both must be whole minutes");
    query = (struct series_query){"credit", NULL, NULL, 0, HOUR, MINUTE, HOUR, false};
    assert_int_equal(series_read(store, &query, &points, &err), ERR_USAGE);
    assert_string_equal(err.text, "step 3600000 ms is longer than the window of 60000 ms");
    query = (struct series_query){"credit", NULL, NULL, 0, 400 * DAY, MINUTE, MINUTE, false};
    assert_int_equal(series_read(store, &query, &points, &err), ERR_USAGE);
    assert_string_equal(err.text, "576000 points: at most 20000; take a longer step");
    query = (struct series_query){"credit", NULL, NULL, HOUR, 0, MINUTE, MINUTE, false};
    assert_int_equal(series_read(store, &query, &points, &err), ERR_USAGE);
    assert_string_equal(err.text, "from 3600000 is after to 0");
    query = (struct series_query){"credit", NULL, NULL, 0, INT64_MAX, MINUTE, MINUTE, false};
    assert_int_equal(series_read(store, &query, &points, &err), ERR_USAGE);
    query = (struct series_query){"credit", NULL, NULL, 0, DAY, 14 * DAY, MINUTE, false};
    assert_int_equal(series_read(store, &query, &points, &err), ERR_USAGE);
    assert_string_equal(err.text, "a window of 20160 steps: at most 10080; take a longer step");
}

static int64_t count_clock(void *context)
{
    return ++*(int64_t *)context;
}

static void F36_a_read_that_takes_too_long_ends(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    static struct scored events[N_EVENTS];
    struct rng rng = rng_of(9);
    struct err err = {0};
    int64_t now = 0;
    const struct clock clock = {&now, count_clock, count_clock}; /* each look is 1 ms later */
    struct series_points points;
    struct series_query query = {
        .model = "credit", .to_ms = 10 * HOUR, .window_ms = MINUTE, .step_ms = MINUTE};
    scored_draw(events, N_EVENTS, &rng, 0, 10 * HOUR, N_VERSIONS);
    scored_commit(store, events, N_EVENTS, N_VERSIONS, MINUTE);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);

    store_limit_reads(reader, &clock, 0);
    assert_int_equal(series_read(reader, &query, &points, &err), -ETIME);
    assert_non_null(strstr(err.text, "took longer than 0 ms; ask for less"));
    store_limit_reads(reader, &clock, 1000);
    must(series_read(reader, &query, &points, &err), &err);
    assert_int_equal(points.n, 600);
    series_points_free(&points);
}

static void complete_up_to_comes_from_the_facts(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    int64_t complete;
    int64_t labels;

    must(series_complete(store, "credit", &complete, &labels, &err), &err);
    assert_int_equal(complete, -1);
    assert_int_equal(labels, -1);
    must(commit_begin(store, &err), &err);
    must(commit_fact(store, "watermark_ms", 5000, &err), &err);
    must(commit_fact(store, "labels_complete_ms/credit", 4000, &err), &err);
    must(commit_end(store, &err), &err);
    must(series_complete(store, "credit", &complete, &labels, &err), &err);
    assert_int_equal(complete, 5000);
    assert_int_equal(labels, 4000);
}

static int join_list(void *context, const struct series_known *series, struct err *err)
{
    (void)err;
    char *out = context;
    sprintf(out + strlen(out), "%s/%s:%d-%d ", series->version, series->slice,
            (int)(series->first_ms / MINUTE), (int)(series->last_ms / MINUTE));
    return 0;
}

static int join_versions(void *context, const char *version, const char *facts, struct err *err)
{
    (void)err;
    char *out = context;
    sprintf(out + strlen(out), "%s=%s ", version, facts ? facts : "-");
    return 0;
}

static void versions_and_slices_are_listed_with_their_extent(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char text[256] = "";
    int64_t overall = temp_series(store, "credit", "v1", "");
    temp_series(store, "credit", "v2", "country=de");
    must(commit_begin(store, &err), &err);
    must(commit_pane(store, overall, HOUR, HOUR, "x", 1, &err), &err);
    must(commit_pane(store, overall, MINUTE, 3 * HOUR, "x", 1, &err), &err);
    must(commit_version(store, "credit", "v3", "{\"code_version\":\"a1\"}", &err), &err);
    must(commit_end(store, &err), &err);

    must(series_list(store, "credit", NULL, NULL, join_list, text, &err), &err);
    assert_string_equal(text, "v1/:60-181 v2/country=de:0-0 ");
    text[0] = '\0';
    must(series_list(store, "credit", NULL, "country=de", join_list, text, &err), &err);
    assert_string_equal(text, "v2/country=de:0-0 ");
    text[0] = '\0';
    must(versions_each(store, "credit", join_versions, text, &err), &err);
    assert_string_equal(text, "v1=- v2=- v3={\"code_version\":\"a1\"} ");
    assert_int_equal(series_list(store, "credits", NULL, NULL, join_list, text, &err),
                     ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_window_equals_folding_its_events),
        cmocka_unit_test(from_and_to_are_widened_to_whole_steps),
        cmocka_unit_test(levels_mix_and_a_window_that_cuts_a_pane_says_so),
        cmocka_unit_test(a_points_revision_grows_when_a_pane_in_it_changes),
        cmocka_unit_test(F34_a_damaged_pane_is_left_out_and_the_rest_lives),
        cmocka_unit_test(a_cache_of_merged_panes_changes_no_answer),
        cmocka_unit_test(the_windows_of_rules_are_put_together_from_blocks_that_have_not_changed),
        cmocka_unit_test(a_block_is_kept_whole_or_not_at_all),
        cmocka_unit_test(an_unknown_model_is_told_with_the_near_one),
        cmocka_unit_test(windows_that_cannot_be_are_refused),
        cmocka_unit_test(F36_a_read_that_takes_too_long_ends),
        cmocka_unit_test(complete_up_to_comes_from_the_facts),
        cmocka_unit_test(versions_and_slices_are_listed_with_their_extent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
