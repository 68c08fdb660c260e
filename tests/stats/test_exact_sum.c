#include "stats/exact_sum.h"

#include <float.h>
#include <string.h>

#include "common/rng.h"
#include "tests/test.h"

static void add(struct wide_sum *sum, double x, int sign)
{
    assert_int_equal(wide_room(sum, x), 0);
    wide_add(sum, x, sign);
}

static void merge(struct wide_sum *into, const struct wide_sum *from)
{
    assert_int_equal(wide_room_merge(into, from), 0);
    wide_merge(into, from);
}

static void assert_same(const struct wide_sum *a, const struct wide_sum *b)
{
    struct buf of_a, of_b;
    buf_init(&of_a, 4096);
    buf_init(&of_b, 4096);
    wide_save(a, &of_a);
    wide_save(b, &of_b);
    assert_int_equal(of_a.size, of_b.size);
    assert_memory_equal(of_a.data, of_b.data, of_a.size);
    buf_finish(&of_a);
    buf_finish(&of_b);
}

static void a_wide_sum_keeps_what_a_double_would_lose(void **state)
{
    (void)state;
    struct wide_sum sum = {0};
    add(&sum, 1e100, 1);
    add(&sum, 1, 1);
    add(&sum, -1e100, 1);
    assert_close(wide_result(&sum), 1, 0);
    add(&sum, 0x1p-1074, 1);
    add(&sum, 1, -1);
    assert_close(wide_result(&sum), 0x1p-1074, 0);
    add(&sum, 0x1p-1074, -1);
    assert_close(wide_result(&sum), 0, 0);

    struct wide_sum nothing = {0};
    assert_same(&sum, &nothing);
    wide_finish(&sum);
}

static void a_result_is_rounded_to_the_nearest_double(void **state)
{
    (void)state;
    struct wide_sum sum = {0};
    add(&sum, 1, 1);
    add(&sum, 0x1p-53, 1); /* exactly half way: to even */
    assert_close(wide_result(&sum), 1, 0);
    add(&sum, 0x1p-300, 1); /* a little more than half */
    assert_close(wide_result(&sum), 1 + 0x1p-52, 0);
    add(&sum, -2, 1);
    assert_close(wide_result(&sum), -1 + 0x1p-53, 0);
    wide_finish(&sum);
}

static void sums_beyond_doubles_are_infinite_until_they_come_back(void **state)
{
    (void)state;
    struct wide_sum sum = {0};
    for (int i = 0; i < 4; i++)
        add(&sum, DBL_MAX, 1);
    assert_true(isinf(wide_result(&sum)));
    for (int i = 0; i < 3; i++)
        add(&sum, DBL_MAX, -1);
    assert_close(wide_result(&sum), DBL_MAX, 0);

    add(&sum, (double)INFINITY, 1);
    assert_true(isinf(wide_result(&sum)));
    add(&sum, (double)INFINITY, -1);
    assert_close(wide_result(&sum), DBL_MAX, 0);
    wide_finish(&sum);
}

static double any_double(struct rng *rng)
{
    const double scale = ldexp(1, (int)rng_below(rng, 2000) - 1050);
    return (rng_uniform(rng) - 0.5) * scale;
}

static void order_split_saving_and_undoing_give_the_same_bytes(void **state)
{
    (void)state;
    struct rng rng = rng_of(4);
    for (int round = 0; round < 200; round++) {
        double x[100];
        const bool narrow = round % 2;
        struct wide_sum forward = {0}, parts[3] = {{0}};
        for (int i = 0; i < 100; i++) {
            x[i] = narrow ? rng_normal(&rng) : any_double(&rng);
            add(&forward, x[i], 1);
        }
        for (int i = 99; i >= 0; i--) {
            struct wide_sum *part = &parts[rng_below(&rng, 3)];
            add(part, x[i], 1);
            add(part, x[(i + 7) % 100] * 3, 1);
            add(part, x[(i + 7) % 100] * 3, -1);
        }
        struct buf saved;
        buf_init(&saved, 4096);
        wide_save(&parts[1], &saved);
        struct reader in = reader_of(saved.data, saved.size);
        wide_finish(&parts[1]);
        assert_int_equal(wide_load(&parts[1], &in, NULL), 0);
        assert_int_equal(reader_left(&in), 0);
        merge(&parts[1], &parts[2]);
        merge(&parts[1], &parts[0]);

        assert_same(&parts[1], &forward);
        assert_close(wide_result(&parts[1]), wide_result(&forward), 0);
        buf_finish(&saved);
        wide_finish(&forward);
        for (int i = 0; i < 3; i++)
            wide_finish(&parts[i]);
    }
}

static void quads_let_a_variance_survive_a_far_mean(void **state)
{
    (void)state;
    struct wide_sum sum = {0}, squares = {0};
    for (int i = 0; i < 4; i++) {
        const double y = 1e9 + i, square = y * y;
        add(&sum, y, 1);
        add(&squares, square, 1);
        add(&squares, fma(y, y, -square), 1);
    }
    const quad mean = wide_quad(&sum) / 4;
    assert_close((double)(wide_quad(&squares) - 4 * mean * mean), 5, 1e-12);
    wide_finish(&sum);
    wide_finish(&squares);
}

static void a_fixed_sum_adds_units_and_takes_them_out(void **state)
{
    (void)state;
    struct fixed_sum sum = {0};
    for (int i = 0; i < 1000; i++)
        fixed_add(&sum, 0.1, 80, 1);
    assert_close(fixed_result(&sum, 80), 100, 1e-13);
    fixed_add(&sum, -0x1p-80, 80, 1);
    for (int i = 0; i < 1000; i++)
        fixed_add(&sum, 0.1, 80, -1);
    assert_close(fixed_result(&sum, 80), -0x1p-80, 0);
    fixed_add(&sum, 0x1p-80, 80, 1);
    fixed_add(&sum, 0x1p-81, 80, 1); /* cut off */
    assert_true(sum.units == 0);
    fixed_add(&sum, 1e300, 80, 1); /* counts as 2^40 */
    assert_close(fixed_result(&sum, 80), 0x1p40, 0);
}

static void sums_with_limbs_out_of_range_are_refused(void **state)
{
    (void)state;
    struct wide_sum sum = {0};
    struct err err = {0};
    const unsigned char beyond[] = {2 << 2, 71, 1, 0, 0, 0, 1, 0, 0, 0};
    struct reader in = reader_of(beyond, sizeof(beyond));
    assert_int_equal(wide_load(&sum, &in, &err), ERR_CORRUPT);
    assert_string_equal(err.text, "state: a sum has limbs outside its range");
    in = reader_of(beyond, 3);
    assert_int_equal(wide_load(&sum, &in, &err), ERR_CORRUPT);
    wide_finish(&sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_sum_keeps_what_a_double_would_lose),
        cmocka_unit_test(a_result_is_rounded_to_the_nearest_double),
        cmocka_unit_test(sums_beyond_doubles_are_infinite_until_they_come_back),
        cmocka_unit_test(order_split_saving_and_undoing_give_the_same_bytes),
        cmocka_unit_test(quads_let_a_variance_survive_a_far_mean),
        cmocka_unit_test(a_fixed_sum_adds_units_and_takes_them_out),
        cmocka_unit_test(sums_with_limbs_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
