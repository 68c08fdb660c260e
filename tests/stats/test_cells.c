#include "stats/cells.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/rng.h"
#include "tests/test.h"

static void save_of(const struct cells *cells, struct buf *out)
{
    buf_init(out, 1 << 20);
    cells_save(cells, out);
    assert_false(buf_failed(out));
}

static void assert_same(const struct cells *a, const struct cells *b)
{
    struct buf x, y;
    save_of(a, &x);
    save_of(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

static void few_values_are_kept_singly(void **state)
{
    (void)state;
    struct cells cells;
    cells_init(&cells, 4);
    double values[] = {2.5, -1, 2.5, 0.0, -0.0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(cells_update(&cells, values[i], 1), 0);

    struct cell out[4];
    assert_int_equal(cells_read(&cells, out), 3);
    assert_true(out[0].low == -1);
    assert_true(out[1].low == 0);
    assert_int_equal(out[1].count, 2); /* 0 and -0 */
    assert_true(out[2].low == 2.5);
    assert_true(out[2].high == 2.5);
    assert_int_equal(out[2].count, 2);
    cells_finish(&cells);
}

static void many_values_become_cells_that_hold_them(void **state)
{
    (void)state;
    struct cells cells;
    cells_init(&cells, 64);
    struct rng rng = rng_of(1);
    for (int i = 0; i < 10000; i++)
        cells_update(&cells, 100 + 100 * rng_uniform(&rng), 1);

    assert_true(cells.n_cells <= 64);
    struct cell out[64];
    uint32_t n = cells_read(&cells, out);
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += out[i].count;
        assert_true(out[i].high / out[i].low - 1 < 1.0 / 16);
        assert_true(i == 0 || out[i].low > out[i - 1].high);
    }
    assert_int_equal(total, 10000);
    cells_finish(&cells);
}

/* Any order, any split, saved and loaded in between: the same bytes. */
static void order_and_split_change_nothing(void **state)
{
    (void)state;
    enum {
        N = 3000
    };
    double values[N];
    struct rng rng = rng_of(2);
    for (int i = 0; i < N; i++)
        values[i] = exp(3 * rng_normal(&rng)) * (i % 3 ? 1 : -1);
    struct cells whole;
    cells_init(&whole, 100);
    for (int i = 0; i < N; i++)
        cells_update(&whole, values[i], 1);
    for (int i = 0; i < N; i++) { /* some come in wrong first */
        if (i % 50 == 0) {
            cells_update(&whole, 7e5, 1);
            cells_update(&whole, 7e5, -1);
        }
    }

    for (int parts = 1; parts <= 7; parts += 3) {
        struct cells merged;
        cells_init(&merged, 100);
        for (int p = parts - 1; p >= 0; p--) {
            struct cells part, loaded;
            cells_init(&part, 100);
            cells_init(&loaded, 100);
            if (p == 0) {
                cells_update(&part, 7e5, 1);
                cells_update(&part, 7e5, -1);
            }
            for (int i = N - 1; i >= 0; i--) {
                if (i % parts == p)
                    cells_update(&part, values[i], 1);
            }
            struct buf bytes;
            save_of(&part, &bytes);
            struct reader in = reader_of(bytes.data, bytes.size);
            assert_int_equal(cells_load(&loaded, &in, NULL), 0);
            assert_int_equal(cells_merge(&merged, &loaded), 0);
            buf_finish(&bytes);
            cells_finish(&part);
            cells_finish(&loaded);
        }
        assert_same(&whole, &merged);
        cells_finish(&merged);
    }
    cells_finish(&whole);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The definition itself: the fewest bits without which at most `limit` of all values differ. */
static uint32_t fewest_bits(const double *values, uint32_t n, uint32_t limit)
{
    uint64_t keys[2000];
    for (uint32_t i = 0; i < n; i++)
        keys[i] = cells_key(values[i]);
    qsort(keys, n, sizeof(*keys), by_size);
    for (uint32_t bits = 0;; bits++) {
        uint32_t different = 1;
        for (uint32_t i = 1; i < n; i++)
            different += keys[i] >> bits != keys[i - 1] >> bits;
        if (different <= limit || bits == CELLS_COARSEST)
            return bits;
    }
}

static void the_grid_is_the_finest_that_holds_all_values(void **state)
{
    (void)state;
    static const uint32_t limits[] = {2, 7, 32, 96, 127, 128, 300};
    for (uint64_t seed = 1; seed <= 70; seed++) {
        struct rng rng = rng_of(seed);
        uint32_t limit = limits[seed % 7];
        double values[2000];
        struct cells cells;
        cells_init(&cells, limit);
        for (uint32_t n = 0; n < 2000; n++) {
            double spread = seed % 3 ? 1000 : pow(10, 20 * rng_uniform(&rng) - 10);
            values[n] = spread * (seed % 5 ? rng_uniform(&rng) : rng_uniform(&rng) - 0.5);
            assert_int_equal(cells_update(&cells, values[n], 1), 0);
            if (n % 97 == 0 || n == limit)
                assert_int_equal(cells.shift, fewest_bits(values, n + 1, limit));
        }
        cells_finish(&cells);
    }
}

static void what_is_taken_out_is_gone_from_the_counts(void **state)
{
    (void)state;
    struct cells cells;
    cells_init(&cells, 8);
    cells_update(&cells, 1, 1);
    cells_update(&cells, 2, 1);
    cells_update(&cells, 1, -1);

    struct cell out[8];
    assert_int_equal(cells_read(&cells, out), 1);
    assert_true(out[0].low == 2);
    cells_finish(&cells);
}

static void the_ends_of_the_numbers_are_numbers(void **state)
{
    (void)state;
    double ends[] = {-DBL_MAX, -1, -DBL_TRUE_MIN, 0, DBL_TRUE_MIN, DBL_MIN, 1e308, DBL_MAX};
    for (int i = 0; i < 8; i++) {
        assert_true(cells_value(cells_key(ends[i])) == ends[i]);
        assert_true(i == 0 || cells_key(ends[i - 1]) < cells_key(ends[i]));
    }
    struct cells cells;
    cells_init(&cells, 2);
    for (int i = 0; i < 8; i++)
        assert_int_equal(cells_update(&cells, ends[i], 1), 0);
    struct cell out[2];
    uint32_t n = cells_read(&cells, out);
    assert_true(n >= 1 && n <= 2);
    for (uint32_t i = 0; i < n; i++)
        assert_true(isfinite(out[i].low) && isfinite(out[i].high));
    cells_finish(&cells);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    struct cells cells;
    cells_init(&cells, 8);
    struct err err;
    const unsigned char bytes[] = {99, 1, 1, 1};
    struct reader in = reader_of(bytes, sizeof(bytes));
    assert_int_equal(cells_load(&cells, &in, &err), ERR_CORRUPT);
    assert_string_equal(err.text, "cells: shift 99 and 1 cells do not fit");
    const unsigned char cut[] = {0, 2, 5, 1};
    in = reader_of(cut, sizeof(cut));
    assert_int_equal(cells_load(&cells, &in, &err), ERR_CORRUPT);
    assert_string_equal(err.text, "cells: cell 1 is damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_values_are_kept_singly),
        cmocka_unit_test(many_values_become_cells_that_hold_them),
        cmocka_unit_test(order_and_split_change_nothing),
        cmocka_unit_test(the_grid_is_the_finest_that_holds_all_values),
        cmocka_unit_test(what_is_taken_out_is_gone_from_the_counts),
        cmocka_unit_test(the_ends_of_the_numbers_are_numbers),
        cmocka_unit_test(damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
