#include "stats/expected_counts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/drift_threshold.h"
#include "tests/stats/category_world.h"

/* --- what the largest would bring once more --- */

static int by_count(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void of_many_alike_the_largest_are_expected_to_be_as_the_others(void **state)
{
    (void)state;
    struct rng rng = rng_of(1);
    static uint64_t counts[300];
    static double expected[300];
    for (int i = 0; i < 6000; i++)
        counts[rng_below(&rng, 300)]++;
    qsort(counts, 300, sizeof(counts[0]), by_count);

    assert_int_equal(expected_counts(expected, counts, 300), 0);

    double seen = 0, sum = 0;
    for (int i = 200; i < 300; i++) {
        seen += (double)counts[i] / 100;
        sum += expected[i] / 100;
    }
    assert_true(seen > 23);
    assert_true(fabs(sum - 20) < 0.5);
}

static void what_stands_apart_keeps_what_it_brought(void **state)
{
    (void)state;
    uint64_t counts[] = {1, 1, 1, 2, 100, 1000, 50000, 3000000000};
    double expected[8];

    assert_int_equal(expected_counts(expected, counts, 8), 0);

    for (int i = 4; i < 8; i++)
        assert_true(fabs(expected[i] / (double)counts[i] - 1) < 0.03);
    assert_int_equal(expected_counts(expected, counts, 0), 0);
}

/* --- alarms --- */

/* What a window of n events has otherwise: so many of them are of one category. */
struct change {
    int n;
    uint64_t category;
};

static const enum drift_method methods[] = {DRIFT_JS, DRIFT_PSI, DRIFT_HELLINGER, DRIFT_CHI2,
                                            DRIFT_L_INFINITY};
enum {
    N_METHODS = sizeof(methods) / sizeof(methods[0])
};

struct playing {
    const struct category_world *world;
    const struct reference *reference;
    struct drift_nulls *nulls;
    struct rng *rng;
};

/* p of one window by each method. */
static void play(const struct playing *playing, int n, struct change change, double *p)
{
    const struct reference *reference = playing->reference;
    const struct reference_feature *known = &reference->features[CATEGORY_WORLD_FEATURE];
    struct categories window;
    struct drift_categorical categorical;
    categories_init(&window, 1024);
    for (int i = 0; i < n; i++) {
        const uint64_t category =
            i < change.n ? change.category : category_world_draw(playing->world, playing->rng);
        assert_int_equal(categories_update(&window, category, 1, known->bins, reference->id), 0);
    }
    assert_int_equal(drift_categorical(known, reference->id, &window, &categorical), 0);
    categories_finish(&window);
    for (size_t i = 0; i < N_METHODS; i++) {
        const struct drift_rule rule = {methods[i], 0.01, 0};
        const struct drift_subject subject = {
            .reference = known, .reference_id = reference->id, .categorical = &categorical};
        struct drift_verdict verdict;
        assert_int_equal(drift_judge(playing->nulls, &rule, &subject, 1, &verdict), 0);
        assert_true(verdict.threshold > 0);
        p[i] = verdict.p_value;
    }
}

static void of_many_categories_alarms_are_as_seldom_as_promised(void **state)
{
    (void)state;
    static struct category_world worlds[] = {
        {.name = "300 alike", .n = 300},
        {.name = "2,000 alike", .n = 2000},
        {.name = "100,000 alike", .n = CATEGORY_WORLD_MOST},
        {.name = "5,000 falling", .n = 5000, .fall = 1},
        {.name = "5,000 falling slowly", .n = 5000, .fall = 0.5}};
    static const int sizes[][2] = {{3000, 300}, {5000, 5000}, {20000, 2000}};
    enum {
        N_WORLDS = sizeof(worlds) / sizeof(worlds[0]),
        N_SIZES = sizeof(sizes) / sizeof(sizes[0]),
        WINDOWS = 4
    };
    const char *more = getenv("ASSAY_REFERENCES"); /* for figures */
    const int references = more ? atoi(more) : 10;
    struct drift_nulls *nulls = NULL;
    struct rng rng = rng_of(7);
    double all[N_METHODS] = {0};
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (size_t row = 0; row < N_WORLDS * N_SIZES; row++) {
        struct category_world *world = &worlds[row / N_SIZES];
        const int *size = sizes[row % N_SIZES];
        double alarms[N_METHODS] = {0};
        world->m = size[0];
        category_world_lay_out(world);
        for (int r = 0; r < references; r++) {
            struct reference *reference = category_world_reference(world, &rng);
            const struct playing playing = {world, reference, nulls, &rng};
            for (int i = 0; i < WINDOWS; i++) {
                double p[N_METHODS];
                play(&playing, size[1], (struct change){0}, p);
                for (size_t k = 0; k < N_METHODS; k++)
                    alarms[k] += p[k] <= 0.0085;
            }
            reference_free(reference);
        }
        printf("%-22s %6d / %6d ", world->name, size[1], size[0]);
        for (size_t k = 0; k < N_METHODS; k++) {
            printf(" %.4f", alarms[k] / (references * WINDOWS));
            assert_true(alarms[k] <= 0.1 * references * WINDOWS);
            all[k] += alarms[k] / (references * WINDOWS);
        }
        printf("\n");
    }
    drift_nulls_free(nulls);
    for (size_t k = 0; k < N_METHODS; k++)
        assert_true(all[k] / (N_WORLDS * N_SIZES) <= 0.01);
}

static void what_many_categories_lose_or_get_is_called(void **state)
{
    (void)state;
    static struct category_world world = {.n = 5000, .fall = 1, .m = 20000};
    struct drift_nulls *nulls = NULL;
    struct rng rng = rng_of(8);
    double p[N_METHODS];
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    category_world_lay_out(&world);
    struct reference *reference = category_world_reference(&world, &rng);
    const struct playing playing = {&world, reference, nulls, &rng};
    const uint64_t first = category_world_id(0), never = 1;

    play(&playing, 2000, (struct change){200, first}, p);
    for (size_t k = 0; k < N_METHODS; k++)
        assert_true(p[k] < 0.0001);
    play(&playing, 2000, (struct change){200, never}, p);
    for (size_t k = 0; k < N_METHODS; k++)
        assert_true(p[k] < 0.0001);

    reference_free(reference);
    drift_nulls_free(nulls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_alike_the_largest_are_expected_to_be_as_the_others),
        cmocka_unit_test(what_stands_apart_keeps_what_it_brought),
        cmocka_unit_test(of_many_categories_alarms_are_as_seldom_as_promised),
        cmocka_unit_test(what_many_categories_lose_or_get_is_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
