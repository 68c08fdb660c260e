/* Profiles and references as rows: written, merged over windows, rolled up, and damaged. */
#include "storage/profiles.h"
#include "storage/reference_panes.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "storage/retention.h"
#include "storage/series.h"
#include "tests/lib/income.h"
#include "tests/test.h"

#define START (INT64_C(1700000000000) / HOUR * HOUR)

/* A pane of n values from `first` on, with its (empty) states. */
static void write_minute(struct income *fixture, int64_t start_ms, double first, int n)
{
    struct err err = {0};
    struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    AUTO(profile)
    struct profile *profile = income_profile(fixture, PROFILE_MINUTE, first, n);
    AUTO(states) struct states *states = NULL;
    struct buf bytes, state;
    buf_init(&bytes, 1 << 20);
    buf_init(&state, 1 << 20);
    must(states_new(&states, &setup, &err), &err);
    profile_save(profile, &bytes);
    states_save(states, &state);
    must(commit_begin(fixture->store, &err), &err);
    must(commit_pane(fixture->store, fixture->series, MINUTE, start_ms, state.data, state.size,
                     &err),
         &err);
    must(commit_profile(fixture->store, fixture->series, MINUTE, start_ms, PROFILE_FEATURES,
                        bytes.data, bytes.size, &err),
         &err);
    must(commit_end(fixture->store, &err), &err);
    buf_finish(&bytes);
    buf_finish(&state);
}

struct seen {
    int n;
    uint64_t events[8];
    bool partial[8];
};

static int see(void *context, const struct profile_point *point, struct err *err)
{
    (void)err;
    struct seen *seen = context;
    assert_true(seen->n < 8);
    seen->events[seen->n] = point->profile ? point->profile->events : 0;
    seen->partial[seen->n++] = point->partial;
    return 0;
}

static size_t read_windows(struct income *fixture, int64_t from_ms, int64_t to_ms,
                           int64_t window_ms, struct seen *seen)
{
    struct err err = {0};
    struct profile_model model;
    struct profile_query query = {.model = "credit",
                                  .from_ms = from_ms,
                                  .to_ms = to_ms,
                                  .window_ms = window_ms,
                                  .level = PROFILE_HOUR};
    size_t n_damaged;
    *seen = (struct seen){0};
    must(profile_model_read(fixture->store, "credit", NULL, &model, &err), &err);
    must(profiles_each(fixture->store, &model, &query, see, seen, &n_damaged, &err), &err);
    profile_model_finish(&model);
    return n_damaged;
}

static void minutes_are_merged_into_the_windows_that_hold_them(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    struct seen seen;
    write_minute(fixture, START, 0, 10);
    write_minute(fixture, START + 59 * MINUTE, 5, 7);
    write_minute(fixture, START + 2 * HOUR, 5, 3);

    size_t n_damaged = read_windows(fixture, START, START + 3 * HOUR, HOUR, &seen);

    assert_int_equal(n_damaged, 0);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.events[0], 17);
    assert_int_equal(seen.events[1], 0);
    assert_int_equal(seen.events[2], 3);
}

/* By window: how many cells the sketch of income has. */
struct sketches {
    int n;
    uint32_t cells[4];
};

static int see_sketch(void *context, const struct profile_point *point, struct err *err)
{
    (void)err;
    struct sketches *seen = context;
    assert_true(seen->n < 4 && point->profile != NULL);
    seen->cells[seen->n++] = point->profile->features[0].numeric->cells.n_cells;
    return 0;
}

static bool nothing_is_known(void *context, uint64_t fingerprint)
{
    (void)context;
    (void)fingerprint;
    return false;
}

/* Panes that are put together need their whole sketches: the finest grid of both is found by them. */
static void only_a_pane_alone_is_read_without_what_no_comparison_looks_at(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = income_reference(fixture, 0, 1000);
    struct err err = {0};
    struct profile_model model;
    struct sketches seen = {0};
    size_t n_damaged;
    income_refer(fixture, "", reference);
    reference_layout(reference, &fixture->layout, fixture->features);
    write_minute(fixture, START, 100, 300);
    write_minute(fixture, START + HOUR, 100, 300);
    write_minute(fixture, START + HOUR + MINUTE, 200, 300);
    struct profile_query query = {.model = "credit",
                                  .from_ms = START,
                                  .to_ms = START + 2 * HOUR,
                                  .window_ms = HOUR,
                                  .level = PROFILE_HOUR,
                                  .known = nothing_is_known,
                                  .compared = true};
    must(profile_model_read(fixture->store, "credit", NULL, &model, &err), &err);

    must(profiles_each(fixture->store, &model, &query, see_sketch, &seen, &n_damaged, &err), &err);

    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.cells[0], 0);
    assert_true(seen.cells[1] > 10);
    profile_model_finish(&model);
}

static void what_is_rolled_up_shows_the_same_by_the_hour_and_is_partial_by_the_minute(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    static const int64_t keep_ms[3] = {2 * HOUR, 48 * HOUR, 96 * HOUR};
    struct err err = {0};
    struct retention_done done;
    struct seen seen;
    void *bytes = NULL;
    size_t n;
    write_minute(fixture, START, 0, 10);
    write_minute(fixture, START + MINUTE, 5, 7);

    must(retention_step(fixture->store, keep_ms, START + 10 * HOUR, 1000, &done, &err), &err);

    assert_int_equal(profile_pane(fixture->store, fixture->series, MINUTE, START, PROFILE_FEATURES,
                                  &bytes, &n, &err),
                     SERIES_NONE);
    assert_int_equal(read_windows(fixture, START, START + HOUR, HOUR, &seen), 0);
    assert_int_equal(seen.events[0], 17);
    assert_false(seen.partial[0]);
    assert_int_equal(read_windows(fixture, START + 2 * MINUTE, START + 4 * MINUTE, MINUTE, &seen),
                     0);
    assert_int_equal(seen.events[0], 0);
    assert_true(seen.partial[0]);
}

static void a_damaged_profile_is_left_out_and_counted(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    struct seen seen;
    write_minute(fixture, START, 0, 10);
    write_minute(fixture, START + MINUTE, 5, 7);
    temp_run(fixture->store, "UPDATE profiles SET bytes = zeroblob(length(bytes)) WHERE "
                             "key = (SELECT min(key) FROM profiles)");

    size_t n_damaged = read_windows(fixture, START, START + HOUR, HOUR, &seen);

    assert_int_equal(n_damaged, 1);
    assert_int_equal(seen.events[0], 7);
}

static void a_range_of_panes_serves_as_reference(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    struct err err = {0};
    struct profile_model model;
    struct profile_query span = {.model = "credit", .from_ms = START, .to_ms = START + 2 * MINUTE};
    write_minute(fixture, START, 0, 10);
    write_minute(fixture, START + MINUTE, 5, 7);
    write_minute(fixture, START + 2 * MINUTE, 5, 90);
    must(profile_model_read(fixture->store, "credit", NULL, &model, &err), &err);
    assert_null(model.reference.reference);

    must(reference_panes_read(fixture->store, &model, &span, "range", &err), &err);

    assert_non_null(model.reference.reference);
    assert_int_equal(model.reference.reference->events, 17);
    assert_string_equal(model.reference.source, "range");
    assert_int_equal(model.layout.reference, model.reference.reference->id);
    profile_model_finish(&model);
}

/* The id of the reference that the span's panes make; *same: it is the very one of `other`. */
static uint64_t id_of_span(struct income *fixture, const struct profile_query *span,
                           const struct reference *other, bool *same)
{
    struct err err = {0};
    struct profile_model model;
    must(profile_model_read(fixture->store, "credit", NULL, &model, &err), &err);
    must(reference_panes_read(fixture->store, &model, span, "range", &err), &err);
    assert_non_null(model.reference.reference);
    uint64_t id = model.reference.reference->id;
    *same = model.reference.reference == other;
    profile_model_finish(&model);
    return id;
}

static void a_reference_of_panes_is_made_once_for_as_long_as_they_stay_the_same(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    struct err err = {0};
    struct profile_model first;
    struct profile_query span = {.model = "credit", .from_ms = START, .to_ms = START + 5 * MINUTE};
    struct profile_query shorter = span;
    bool same;
    shorter.to_ms = START + MINUTE;
    write_minute(fixture, START, 0, 10);
    write_minute(fixture, START + MINUTE, 5, 7);
    must(profile_model_read(fixture->store, "credit", NULL, &first, &err), &err);
    must(reference_panes_read(fixture->store, &first, &span, "range", &err), &err);
    uint64_t before = first.reference.reference->id;

    assert_int_equal(id_of_span(fixture, &span, first.reference.reference, &same), before);
    assert_true(same);
    write_minute(fixture, START + 9 * MINUTE, 50, 3); /* beyond the span */
    assert_int_equal(id_of_span(fixture, &span, first.reference.reference, &same), before);
    assert_true(same);
    assert_true(id_of_span(fixture, &shorter, first.reference.reference, &same) != before);
    assert_false(same);
    write_minute(fixture, START + 2 * MINUTE, 50, 3); /* a pane more */
    uint64_t after = id_of_span(fixture, &span, first.reference.reference, &same);
    assert_true(after != before);
    assert_false(same);
    write_minute(fixture, START + 2 * MINUTE, 50, 4); /* the same pane, written anew */
    assert_true(id_of_span(fixture, &span, first.reference.reference, &same) != after);
    profile_model_finish(&first);
}

static void the_newest_reference_counts_and_a_versions_own_before_it(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *first = income_reference(fixture, 0, 100);
    AUTO(reference) struct reference *second = income_reference(fixture, 10, 100);
    AUTO(reference) struct reference *own = income_reference(fixture, 20, 100);
    struct err err = {0};
    struct reference_row row;
    bool known;
    income_refer(fixture, "", first);
    income_refer(fixture, "", second);
    income_refer(fixture, "v2", own);

    must(reference_row_read(fixture->store, "credit", "v1", &row, &err), &err);
    assert_int_equal(row.reference->id, second->id);
    assert_string_equal(row.source, "file");
    assert_int_equal(row.created_ms, 7);
    reference_row_finish(&row);
    must(reference_row_read(fixture->store, "credit", "v2", &row, &err), &err);
    assert_int_equal(row.reference->id, own->id);
    reference_row_finish(&row);
    must(reference_known(fixture->store, "credit", first->id, &known, &err), &err);
    assert_true(known);
    must(reference_known(fixture->store, "credit", first->id + 1, &known, &err), &err);
    assert_false(known);
}

static void a_reference_just_set_is_not_read_back(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = income_reference(fixture, 0, 100);
    struct err err = {0};
    struct reference_row row;

    income_refer(fixture, "", reference);

    must(reference_row_read(fixture->store, "credit", "v1", &row, &err), &err);
    assert_ptr_equal(row.reference, reference);
    reference_row_finish(&row);
    AUTO(store) struct store *other = temp_store(fixture->temp, STORE_READ);
    must(reference_row_read(other, "credit", "v1", &row, &err), &err);
    assert_ptr_not_equal(row.reference, reference);
    assert_int_equal(row.reference->id, reference->id);
    reference_row_finish(&row);
}

static int pages_read(struct store *store)
{
    int hits, misses, most;
    sqlite3_db_status(store_db(store), SQLITE_DBSTATUS_CACHE_HIT, &hits, &most, 1);
    sqlite3_db_status(store_db(store), SQLITE_DBSTATUS_CACHE_MISS, &misses, &most, 1);
    return hits + misses;
}

/* They are MiBs, and every question about drift asks for the reference. */
static void the_bytes_of_a_reference_in_memory_are_not_read(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = income_reference(fixture, 0, 100);
    struct err err = {0};
    struct reference_row row;
    income_refer(fixture, "", reference);
    temp_run(fixture->store, "UPDATE reference_states SET bytes = zeroblob(4000000)");
    (void)pages_read(fixture->store);

    must(reference_row_read(fixture->store, "credit", NULL, &row, &err), &err);

    assert_ptr_equal(row.reference, reference);
    assert_true(pages_read(fixture->store) < 50); /* of a thousand */
    reference_row_finish(&row);
}

static void a_damaged_reference_is_refused_by_name(void **state)
{
    (void)state;
    AUTO(income) struct income *fixture = income_new();
    AUTO(reference) struct reference *reference = income_reference(fixture, 0, 100);
    struct err err = {0};
    struct reference_row row;
    income_refer(fixture, "", reference);
    temp_run(fixture->store, "UPDATE reference_states SET bytes = zeroblob(100)");
    AUTO(store) struct store *reader = temp_store(fixture->temp, STORE_READ);

    int rc = reference_row_read(reader, "credit", NULL, &row, &err);

    assert_int_equal(rc, ERR_CORRUPT);
    assert_string_equal(err.text, "model credit: its reference is damaged; load it again with "
                                  "`assay reference load`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minutes_are_merged_into_the_windows_that_hold_them),
        cmocka_unit_test(only_a_pane_alone_is_read_without_what_no_comparison_looks_at),
        cmocka_unit_test(what_is_rolled_up_shows_the_same_by_the_hour_and_is_partial_by_the_minute),
        cmocka_unit_test(a_damaged_profile_is_left_out_and_counted),
        cmocka_unit_test(a_range_of_panes_serves_as_reference),
        cmocka_unit_test(a_reference_of_panes_is_made_once_for_as_long_as_they_stay_the_same),
        cmocka_unit_test(a_reference_just_set_is_not_read_back),
        cmocka_unit_test(the_newest_reference_counts_and_a_versions_own_before_it),
        cmocka_unit_test(the_bytes_of_a_reference_in_memory_are_not_read),
        cmocka_unit_test(a_damaged_reference_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
