/* Windows larger than their reference: equal bins, some of which the reference left empty. */
#include "tests/stats/even_bins.h"

enum {
    M = 500,
    LARGER = 5, /* times M: a window */
    WINDOWS = 6000
};

static double exponential(struct rng *rng)
{
    return rng_exponential(rng, 1);
}

/* How many windows of as many references have p <= 0.05 by js_distance and by hellinger. */
static void count_small(int small[2])
{
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    struct even_bins world = {.n_bins = 15, .m = M, .n = LARGER * M, .value = exponential};
    struct rng rng = rng_of(5);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t window = 0; window < WINDOWS; window++) {
        even_bins_draw(&world, &rng);
        struct drift_numeric numeric = even_bins_window(&world, &rng);
        for (int i = 0; i < 2; i++)
            small[i] += even_bins_p(nulls, &world, window, &numeric, methods[i], 0.1) <= 0.05;
    }
}

static void a_window_larger_than_its_reference_is_rare_as_often_as_its_p_says(void **state)
{
    (void)state;
    int small[2] = {0, 0};

    count_small(small);

    for (int i = 0; i < 2; i++) /* the rate's 0.85 are left for what is above 1 here */
        assert_in_range(small[i], WINDOWS * 0.05 * 0.94, WINDOWS * 0.05 / 0.85);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_larger_than_its_reference_is_rare_as_often_as_its_p_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
