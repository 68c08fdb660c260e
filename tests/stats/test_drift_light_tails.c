/* Normal values: the smallest and the largest lie in bins that hold others, too. */
#include "stats/drift_threshold.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "tests/test.h"

enum {
    M = 2000,
    N = 1000,
    BINS = 12,
    REFERENCES = 2500,
    WINDOWS_OF_ONE = 6
};

struct world {
    struct reference_feature reference;
    struct grid grid;
    double counts[BINS + 1];
};

static int bin_of(const struct grid *grid, double x)
{
    double at = (x - grid->doane[0]) / (grid->doane[BINS] - grid->doane[0]) * BINS;
    return x == grid->doane[BINS] ? BINS - 1 : at >= 0 && at < BINS ? (int)at : BINS;
}

static void draw_reference(struct world *world, struct rng *rng)
{
    double values[M], least = INFINITY, most = -INFINITY;
    for (int i = 0; i < M; i++) {
        values[i] = rng_normal(rng);
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    memset(world->counts, 0, sizeof(world->counts));
    world->grid = (struct grid){.n_cuts = BINS, .n_doane = BINS};
    for (int i = 0; i <= BINS; i++) {
        world->grid.doane[i] = i < BINS ? least + (most - least) * i / BINS : most;
        world->grid.doane_bin[i] = (uint8_t)i;
    }
    for (int i = 0; i < M; i++)
        world->counts[bin_of(&world->grid, values[i])]++;
    world->reference = (struct reference_feature){.name_id = 1,
                                                  .kind = PROFILE_NUMERIC,
                                                  .n = M,
                                                  .valid = M,
                                                  .grid = &world->grid,
                                                  .grid_counts = world->counts};
}

static struct drift_numeric draw_window(const struct world *world, struct rng *rng)
{
    struct drift_bin bins[BINS + 1];
    for (int i = 0; i <= BINS; i++)
        bins[i] = (struct drift_bin){world->counts[i], 0};
    for (int i = 0; i < N; i++)
        bins[bin_of(&world->grid, rng_normal(rng))].window++;
    struct drift_numeric out = {.n = N};
    out.js_distance.value = drift_js(bins, BINS + 1, M, N);
    out.hellinger.value = drift_hellinger(bins, BINS + 1, M, N);
    return out;
}

static int count_small(enum drift_method method, double level)
{
    int small = 0;
    struct world world;
    struct rng rng = rng_of(6);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t i = 0; i < REFERENCES; i++) {
        draw_reference(&world, &rng);
        for (int window = 0; window < WINDOWS_OF_ONE; window++) {
            struct drift_numeric numeric = draw_window(&world, &rng);
            struct drift_subject subject = {
                .reference = &world.reference, .reference_id = 2 * i, .numeric = &numeric};
            struct drift_rule rule = {method, level, 0};
            struct drift_verdict verdict;
            assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
            small += verdict.p_value <= level;
        }
    }
    return small;
}

static void bins_that_end_at_the_outermost_values_are_rare_as_often_as_their_p_says(void **state)
{
    (void)state;
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    for (int i = 0; i < 2; i++) {
        double share = count_small(methods[i], 0.01) / (1.0 * REFERENCES * WINDOWS_OF_ONE);
        printf("%s: %.4f of windows have p <= 0.01\n", drift_method_name(methods[i]), share);
        assert_true(share > 0.01 * 0.85 && share < 0.01 * 1.1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_that_end_at_the_outermost_values_are_rare_as_often_as_their_p_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
