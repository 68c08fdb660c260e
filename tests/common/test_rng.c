#include "common/rng.h"

#include "tests/test.h"

static void equal_seeds_give_equal_series(void **state)
{
    (void)state;
    struct rng a = rng_of(1234567);
    /* SplitMix64's published first outputs for this seed. */
    assert_true(rng_u64(&a) == UINT64_C(6457827717110365317));
    assert_true(rng_u64(&a) == UINT64_C(3203168211198807973));
    assert_true(rng_u64(&a) == UINT64_C(9817491932198370423));
}

static void the_distributions_have_their_means(void **state)
{
    (void)state;
    struct rng rng = rng_of(7);
    double uniform = 0, normal = 0, square = 0, exponential = 0, below = 0;
    const int n = 200000;
    for (int i = 0; i < n; i++) {
        uniform += rng_uniform(&rng);
        double z = rng_normal(&rng);
        normal += z;
        square += z * z;
        exponential += rng_exponential(&rng, 3.0);
        below += (double)rng_below(&rng, 5);
    }
    assert_float_equal(uniform / n, 0.5, 0.005);
    assert_float_equal(normal / n, 0.0, 0.01);
    assert_float_equal(square / n, 1.0, 0.02);
    assert_float_equal(exponential / n, 3.0, 0.05);
    assert_float_equal(below / n, 2.0, 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_series),
        cmocka_unit_test(the_distributions_have_their_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
