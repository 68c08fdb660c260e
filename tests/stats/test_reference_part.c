/* A slice's part of a reference: its own values and bins, on the cells that its panes count on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/drift_window.h"
#include "stats/sample.h"
#include "tests/test.h"

enum {
    SLICES = 4,
    EVENTS = 12000, /* of the reference */
    NUMBER = 0,
    CATEGORY,
    N_FEATURES
};

struct world {
    struct profile_feature features[N_FEATURES];
    struct profile_layout layout;
    struct reference *whole, *parts[SLICES];
};

/* Each slice lies elsewhere, and has categories of its own beside one that all have. */
static double value_of(struct rng *rng, int slice)
{
    return 10 * slice + (slice + 1) * rng_normal(rng);
}

static uint64_t category_of(struct rng *rng, int slice)
{
    return 1 + (rng_below(rng, 4) == 0 ? 0 : 1 + (uint64_t)slice * 3 + rng_below(rng, 3));
}

static struct profile *empty(const struct world *world, enum profile_level level)
{
    struct profile *out = NULL;
    assert_int_equal(profile_new(&out, &world->layout, level, NULL), 0);
    return out;
}

static void put(struct profile *profile, double value, uint64_t category)
{
    profile_event(profile, 1);
    assert_int_equal(profile_number(profile, NUMBER, value, 1), 0);
    assert_int_equal(profile_category(profile, CATEGORY, category, 1), 0);
}

static void open_world(struct world *world, int events, uint64_t seed)
{
    *world = (struct world){0};
    for (int i = 0; i < N_FEATURES; i++)
        world->features[i] =
            (struct profile_feature){.name_id = (uint64_t)i + 5,
                                     .kind = i == NUMBER ? PROFILE_NUMERIC : PROFILE_CATEGORICAL,
                                     .min = (double)NAN,
                                     .max = (double)NAN};
    world->layout = (struct profile_layout){0, N_FEATURES, world->features};
    struct profile *all = empty(world, PROFILE_REFERENCE), *of[SLICES];
    for (int s = 0; s < SLICES; s++)
        of[s] = empty(world, PROFILE_REFERENCE);
    struct rng rng = rng_of(seed);
    for (int i = 0; i < events; i++) {
        const int slice = i % SLICES;
        const double value = value_of(&rng, slice);
        const uint64_t category = category_of(&rng, slice);
        put(all, value, category);
        put(of[slice], value, category);
    }
    assert_int_equal(reference_build(&world->whole, all, 0, NULL), 0);
    for (int s = 0; s < SLICES; s++) {
        assert_int_equal(reference_build_part(&world->parts[s], of[s], 0, world->whole, NULL), 0);
        profile_free(of[s]);
    }
    profile_free(all);
    reference_layout(world->whole, &world->layout, world->features);
}

static void close_world(struct world *world)
{
    for (int s = 0; s < SLICES; s++)
        reference_free(world->parts[s]);
    reference_free(world->whole);
}

/* A window of a slice as its panes have it: counted on the whole's grid beyond `level`'s values. */
static struct profile *window_of(const struct world *world, int slice, int n, double moved,
                                 enum profile_level level, uint64_t seed)
{
    struct profile *out = empty(world, level);
    struct rng rng = rng_of(seed);
    for (int i = 0; i < n; i++)
        put(out, value_of(&rng, slice) + moved, category_of(&rng, slice));
    return out;
}

static size_t drifted(const struct reference *reference, const struct profile *window,
                      const struct drift_rule *rule, struct drift_feature out[N_FEATURES])
{
    static struct drift_nulls *nulls;
    struct drift_summary summary;
    if (!nulls)
        assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    const struct drift_question question = {
        .nulls = nulls, .rule = rule, .reference = reference, .window = window};
    assert_int_equal(drift_window(&question, out, &summary), 0);
    return summary.n_drifted;
}

static const struct drift_rule plain = {DRIFT_AUTO, 0.01, 0.05};

static void
a_slice_that_always_differs_has_drifted_from_the_whole_and_not_from_its_part(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, EVENTS, 1);
    for (int level = PROFILE_MINUTE; level <= PROFILE_HOUR; level++) {
        for (int s = 0; s < SLICES; s++) {
            struct drift_feature out[N_FEATURES];
            struct profile *same =
                window_of(&world, s, 1000, 0, (enum profile_level)level, 70 + (uint64_t)s);
            struct profile *moved =
                window_of(&world, s, 1000, 0.6 * (s + 1), (enum profile_level)level, 90);
            assert_int_equal(drifted(world.whole, same, &plain, out), 2);
            assert_int_equal(drifted(world.parts[s], same, &plain, out), 0);
            assert_null(out[NUMBER].why);
            assert_null(out[CATEGORY].why);
            assert_true(out[CATEGORY].categorical.unseen_rate.value == 0);
            assert_int_equal(drifted(world.parts[s], moved, &plain, out), 1);
            assert_true(out[NUMBER].verdict.drifted);
            profile_free(same);
            profile_free(moved);
        }
    }
    close_world(&world);
}

static void what_was_counted_on_the_wholes_cells_is_in_the_parts_bins_exactly(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, EVENTS, 2);
    for (int s = 0; s < SLICES; s++) {
        struct drift_feature single[N_FEATURES], counted[N_FEATURES];
        struct profile *singly = window_of(&world, s, 1200, 0.3, PROFILE_HOUR, 5);
        struct profile *on_grid = window_of(&world, s, 1200, 0.3, PROFILE_MINUTE, 5);
        assert_false(singly->features[NUMBER].numeric->overflowed);
        assert_true(on_grid->features[NUMBER].numeric->n_counts > 0);
        drifted(world.parts[s], singly, &plain, single);
        drifted(world.parts[s], on_grid, &plain, counted);
        const struct drift_numeric *a = &single[NUMBER].numeric, *b = &counted[NUMBER].numeric;
        assert_close(a->psi.value, b->psi.value, 1e-12);
        assert_close(a->js_distance.value, b->js_distance.value, 1e-12);
        assert_close(a->hellinger.value, b->hellinger.value, 1e-12);
        assert_close(a->outside_rate, b->outside_rate, 1e-12);
        assert_true(b->psi.error_bound == 0 && b->js_distance.error_bound == 0);
        assert_close(a->ks.value, b->ks.value, a->ks.error_bound + b->ks.error_bound);
        assert_true(b->ks.error_bound < 0.05);
        assert_close(a->wasserstein_norm.value, b->wasserstein_norm.value,
                     a->wasserstein_norm.error_bound + b->wasserstein_norm.error_bound);
        assert_close(a->wasserstein_beyond, b->wasserstein_beyond, 0.02 * (s + 1));
        assert_close(a->mean, b->mean, 1e-6);
        profile_free(singly);
        profile_free(on_grid);
    }
    close_world(&world);
}

static void a_category_that_only_other_slices_had_is_unseen(void **state)
{
    (void)state;
    struct world world;
    struct drift_feature out[N_FEATURES];
    open_world(&world, EVENTS, 3);
    for (int many = 0; many < 2; many++) {
        struct profile *window = empty(&world, PROFILE_MINUTE);
        struct rng rng = rng_of(4);
        for (int i = 0; i < 900; i++) /* one in nine is another slice's */
            put(window, value_of(&rng, 1), category_of(&rng, i % 9 ? 1 : 2));
        for (uint64_t i = 0; many && i < 200; i++) /* more than are kept one by one */
            put(window, value_of(&rng, 1), 1000 + i);
        assert_true((window->features[CATEGORY].categories->many != NULL) == many);
        drifted(world.parts[1], window, &plain, out);
        const double rate = out[CATEGORY].categorical.unseen_rate.value;
        if (many)
            assert_string_equal(out[CATEGORY].categorical.js_distance.why,
                                "too many categories, counted under another reference");
        else
            assert_true(rate > 60 / 900.0 && rate < 90 / 900.0);
        profile_free(window);
    }
    close_world(&world);
}

static void a_part_is_saved_without_grids_and_read_back_with_its_whole_alone(void **state)
{
    (void)state;
    struct world world, other;
    struct buf bytes, again;
    struct err err = {0};
    open_world(&world, EVENTS, 5);
    open_world(&other, EVENTS, 6);
    buf_init(&bytes, 1 << 24);
    buf_init(&again, 1 << 24);
    for (int s = 0; s < SLICES; s++) {
        struct reference *loaded = NULL;
        struct drift_feature before[N_FEATURES], after[N_FEATURES];
        struct profile *window = window_of(&world, s, 1000, 0.2, PROFILE_MINUTE, 8);
        buf_clear(&bytes);
        buf_clear(&again);
        reference_save(world.parts[s], &bytes);
        assert_int_equal(reference_load_part(&loaded, world.whole, bytes.data, bytes.size, &err),
                         0);
        reference_save(loaded, &again);
        assert_int_equal(bytes.size, again.size);
        assert_memory_equal(bytes.data, again.data, bytes.size);
        assert_true(loaded->id == world.parts[s]->id && loaded->grids == world.whole->id);
        drifted(world.parts[s], window, &plain, before);
        drifted(loaded, window, &plain, after);
        assert_true(before[NUMBER].numeric.psi.value == after[NUMBER].numeric.psi.value);
        assert_true(before[NUMBER].verdict.threshold == after[NUMBER].verdict.threshold);
        assert_true(before[CATEGORY].verdict.p_value == after[CATEGORY].verdict.p_value);
        reference_free(loaded);
        loaded = NULL;
        assert_int_equal(reference_load_part(&loaded, other.whole, bytes.data, bytes.size, &err),
                         ERR_CORRUPT);
        assert_int_equal(reference_load(&loaded, bytes.data, bytes.size, &err), ERR_CORRUPT);
        assert_null(loaded);
        profile_free(window);
    }
    buf_clear(&bytes);
    reference_save(world.whole, &bytes);
    struct reference *loaded = NULL;
    assert_int_equal(reference_load_part(&loaded, world.whole, bytes.data, bytes.size, &err),
                     ERR_CORRUPT);
    buf_finish(&bytes);
    buf_finish(&again);
    close_world(&world);
    close_world(&other);
}

static void a_parts_size_has_a_bound_however_many_values_it_has(void **state)
{
    (void)state;
    struct world world;
    struct buf bytes;
    open_world(&world, 200000, 7);
    buf_init(&bytes, 1 << 24);
    for (int s = 0; s < SLICES; s++) {
        const struct reference_feature *number = reference_find(world.parts[s], 5);
        assert_true(number->n_cells <= GRID_MAX_CELLS * 2);
        assert_int_equal(number->valid, 50000);
        buf_clear(&bytes);
        reference_save(world.parts[s], &bytes);
        printf("%zu bytes of a number and a category, %u cells\n", bytes.size, number->n_cells);
        assert_true(bytes.size < 13 * 1024);
    }
    buf_finish(&bytes);
    close_world(&world);
}

/* Few windows, as a unit test must be quick: what is much too often shows. argv: a long one. */
struct play {
    int m, n, references, windows;
    enum drift_method method;
};

static double share_of_alarms(const struct play *play, enum profile_level level, uint64_t seed)
{
    const struct drift_rule rule = {play->method, 0.05, 0};
    int alarms = 0, all = 0;
    for (int r = 0; r < play->references; r++) {
        struct world world;
        open_world(&world, play->m * SLICES, seed + (uint64_t)r);
        for (int w = 0; w < play->windows; w++) {
            struct drift_feature out[N_FEATURES];
            struct profile *window = window_of(&world, r % SLICES, play->n, 0, level,
                                               seed + 7919 * (uint64_t)(r * play->windows + w + 1));
            alarms += drifted(world.parts[r % SLICES], window, &rule, out) > 0;
            all++;
            profile_free(window);
        }
        close_world(&world);
    }
    return alarms / (double)all;
}

static const enum drift_method methods[] = {DRIFT_AUTO, DRIFT_PSI, DRIFT_HELLINGER,
                                            DRIFT_WASSERSTEIN_NORM, DRIFT_CHI2};

static void a_part_calls_no_more_windows_drifted_than_promised(void **state)
{
    (void)state;
    const char *most = getenv("PART_REFERENCES");
    const int sizes[][2] = {{10, 300}, {100, 300}, {3000, 300}, {3000, 1000}};
    for (size_t k = 0; k < sizeof(methods) / sizeof(methods[0]); k++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            const struct play play = {sizes[i][0], sizes[i][1],
                                      most ? (int)strtol(most, NULL, 10) : 40, 10, methods[k]};
            const double n = play.references * play.windows;
            const double share = share_of_alarms(&play, PROFILE_MINUTE, 1000 * (i + 1));
            printf("%s: m %d, n %d: %.4f of %g windows at 0.05\n", drift_method_name(play.method),
                   play.m, play.n, share, n);
            /* the windows of a reference are not independent: four deviations of half as many */
            assert_true(share < 0.05 + 4 * sqrt(0.05 * 0.95 / n * 2));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_slice_that_always_differs_has_drifted_from_the_whole_and_not_from_its_part),
        cmocka_unit_test(what_was_counted_on_the_wholes_cells_is_in_the_parts_bins_exactly),
        cmocka_unit_test(a_category_that_only_other_slices_had_is_unseen),
        cmocka_unit_test(a_part_is_saved_without_grids_and_read_back_with_its_whole_alone),
        cmocka_unit_test(a_parts_size_has_a_bound_however_many_values_it_has),
        cmocka_unit_test(a_part_calls_no_more_windows_drifted_than_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
