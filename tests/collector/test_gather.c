/* Values that are put side by side go into the profile as one by one, whatever the cut. */
#include <stdlib.h>

#include "collector/gather.h"
#include "tests/lib/profiled_log.h"
#include "tests/stats/same_profile.h"
#include "tests/test.h"

enum {
    AMOUNT,
    PLAN,
    MIXED,
    VECTOR,
    N_FEATURES
};

static struct profile_feature features[N_FEATURES] = {
    {.name_id = 11, .kind = PROFILE_NUMERIC, .min = -3000, .max = 3000},
    {.name_id = 12, .kind = PROFILE_CATEGORICAL, .min = NAN, .max = NAN},
    {.name_id = 13, .kind = PROFILE_AUTO, .min = NAN, .max = NAN},
    {.name_id = 14, .kind = PROFILE_EMBEDDING, .min = NAN, .max = NAN},
};
static struct profile_layout layout = {77, N_FEATURES, features};

static struct grid *grid_of_normals(void)
{
    enum {
        N = 2000
    };
    struct cell cells[N];
    struct grid *grid = NULL;
    for (int i = 0; i < N; i++)
        cells[i] = (struct cell){i - N / 2, i - N / 2, (uint64_t)(1 + i % 7)};
    assert_int_equal(grid_build(&grid, cells, N, GRID_MAX_CELLS, NULL), 0);
    return grid;
}

/* An event of numbers, categories, both in one feature, a vector, values that are struck, and of
   features that it has twice. Returns how many items. */
static size_t draw_event(struct rng *rng, struct profile_item items[8])
{
    const double x = rng_normal(rng) * 800, u = rng_uniform(rng);
    size_t n = 0;
    items[n++] = (struct profile_item){.slot = AMOUNT, .kind = VALUE_NUMBER, .number = x};
    items[n++] = (struct profile_item){
        .slot = PLAN, .kind = u < 0.5 ? VALUE_TEXT : VALUE_BOOL, .category = 1 + rng_below(rng, 9)};
    items[n++] = (struct profile_item){
        .slot = MIXED, .kind = u < 0.9 ? VALUE_NUMBER : VALUE_TEXT, .number = x * 3, .category = 5};
    if (u < 0.3)
        items[n++] = (struct profile_item){
            .slot = VECTOR, .kind = VALUE_ARRAY, .number = x * x, .mean = x, .n = 3};
    if (u < 0.2)
        items[n++] = (struct profile_item){.slot = AMOUNT, .kind = VALUE_INVALID, .n = 1};
    if (u > 0.95)
        items[n++] = (struct profile_item){.slot = AMOUNT, .kind = VALUE_NUMBER, .number = -x};
    return n;
}

static void any_cut_leaves_the_bytes_of_one_by_one(void **state)
{
    (void)state;
    struct grid *grid = grid_of_normals();
    struct rng rng = rng_of(11);
    features[AMOUNT].grid = features[MIXED].grid = grid;
    for (int cut = 1; cut <= 65; cut += 8) {
        AUTO(profile) struct profile *single = NULL, *columns = NULL;
        AUTO_FREE struct gathered *gathered = calloc(1, sizeof(*gathered));
        struct profile_item items[8];
        assert_int_equal(profile_new(&single, &layout, PROFILE_MINUTE, NULL), 0);
        assert_int_equal(profile_new(&columns, &layout, PROFILE_MINUTE, NULL), 0);
        const struct gathered_into into = {.profile = columns};
        gathered_start(gathered, N_FEATURES);
        assert_int_equal(gathered->room, GATHER_EVENTS);
        for (int i = 1; i <= 1500; i++) {
            const size_t n = draw_event(&rng, items);
            const bool taken_out = i % 40 == 0; /* what is in, that is */

            assert_int_equal(
                gathered_put(gathered, &into, &(struct features){.items = items, .n = n}), 0);
            if (i % cut == 0 || gathered_is_full(gathered) || taken_out)
                assert_int_equal(gathered_fold(gathered, &into), 0);
            if (taken_out)
                assert_int_equal(profile_take(columns, items, n, -1), 0);

            assert_int_equal(profile_take(single, items, n, 1), 0);
            if (taken_out)
                assert_int_equal(profile_take(single, items, n, -1), 0);
        }
        assert_int_equal(gathered_fold(gathered, &into), 0);
        assert_true(columns->features[AMOUNT].numeric->n_counts > 0);
        assert_true(columns->features[AMOUNT].invalid[INVALID_RANGE] > 0);
        assert_same_bytes(single, columns);
    }
    features[AMOUNT].grid = features[MIXED].grid = NULL;
    grid_free(grid);
}

static void a_column_widens_the_counts_that_one_event_more_would_overflow(void **state)
{
    (void)state;
    struct grid *grid = grid_of_normals();
    AUTO(profile) struct profile *single = NULL, *columns = NULL;
    double values[GATHER_EVENTS];
    assert_int_equal(profile_new(&single, &layout, PROFILE_MINUTE, NULL), 0);
    assert_int_equal(profile_new(&columns, &layout, PROFILE_MINUTE, NULL), 0);
    features[AMOUNT].grid = grid;
    for (int round = 0; round < 70000 / GATHER_EVENTS + 8; round++) {
        for (int i = 0; i < GATHER_EVENTS; i++)
            values[i] = round < 5 ? round * GATHER_EVENTS + i : 17;

        assert_int_equal(profile_number_column(columns, AMOUNT, values, GATHER_EVENTS), 0);

        for (int i = 0; i < GATHER_EVENTS; i++)
            assert_int_equal(profile_number(single, AMOUNT, values[i], 1), 0);
    }
    assert_non_null(columns->features[AMOUNT].numeric->wide);
    assert_same_bytes(single, columns);
    features[AMOUNT].grid = NULL;
    grid_free(grid);
}

static void a_feature_that_came_later_has_its_place_at_once(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL;
    AUTO_FREE struct gathered *gathered = calloc(1, sizeof(*gathered));
    const struct profile_item item = {.slot = MIXED, .kind = VALUE_NUMBER, .number = 4};
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    gathered_start(gathered, MIXED); /* when there were two features */

    const struct gathered_into into = {.profile = profile};
    assert_int_equal(gathered_put(gathered, &into, &(struct features){.items = &item, .n = 1}), 0);

    assert_int_equal(profile->features[MIXED].numeric->n, 1);
}

/* --- a log --- */

/* All states and profiles after the log, read with a commit each `every` steps (0: at the end), and
   the reference told of anew as often; malloc'd. */
static char *states_after(struct sim_log *log, size_t max_batch, int every)
{
    AUTO(temp) struct temp *temp = temp_new();
    const struct sim_options options = {
        .seed = 3, .max_batch = max_batch, .ends = true, .bounded = true};
    struct collector_bench bench;
    struct err err = {0};
    profiled_reference(temp);
    bench_open(&bench, temp, profiled_yaml, log, &options);
    for (int i = 0, rc = 0; every && rc != COLLECTOR_END; i++) {
        rc = collector_step(bench.collector, 0, &err);
        assert_true(rc >= 0);
        if (i % every == 0)
            must(collector_commit_now(bench.collector, &err), &err);
        if (i % every == every / 2)
            must(collector_references_changed(bench.collector, &err), &err);
    }
    bench_drain(&bench);
    must(collector_commit_now(bench.collector, &err), &err);
    assert_true(bench_number(&bench, "SELECT count(*) FROM profiles WHERE part = 0") > 30);
    char *states = profiled_states(&bench);
    bench_close(&bench);
    return states;
}

static void commits_anywhere_leave_the_same_states_and_profiles(void **state)
{
    (void)state;
    /* the second: 400 panes, more than gather at once */
    const int64_t steps_ms[] = {120, 1500};
    for (int i = 0; i < 2; i++) {
        struct sim_log log = {0};
        profiled_log_fill(&log, &(struct profiled_log){2000, steps_ms[i]});

        AUTO_FREE char *at_once = states_after(&log, 4096, 0);
        AUTO_FREE char *singly = states_after(&log, 1, 1);
        AUTO_FREE char *between = states_after(&log, 70, 3);

        assert_string_equal(at_once, singly);
        assert_string_equal(at_once, between);
        sim_log_finish(&log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_leaves_the_bytes_of_one_by_one),
        cmocka_unit_test(a_column_widens_the_counts_that_one_event_more_would_overflow),
        cmocka_unit_test(a_feature_that_came_later_has_its_place_at_once),
        cmocka_unit_test(commits_anywhere_leave_the_same_states_and_profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
