#include "stats/bins.h"

#include <stdlib.h>

#include "tests/test.h"

static void add(struct bins *bins, uint64_t key, int64_t n)
{
    assert_int_equal(bins_room(bins, 1), 0);
    *bins_at(bins, key) += n;
}

static void thousands_of_keys_are_found_again(void **state)
{
    (void)state;
    struct bins bins;
    bins_init(&bins, 1);
    assert_null(bins_find(&bins, 7));
    for (uint64_t key = 0; key < 5000; key++)
        add(&bins, key * key, (int64_t)key + 1);
    for (uint64_t key = 0; key < 5000; key++)
        assert_int_equal(*bins_find(&bins, key * key), (int64_t)key + 1);
    assert_null(bins_find(&bins, 2));
    assert_int_equal(bins.n, 5000);
    bins_finish(&bins);
}

static void rows_of_zeros_are_not_there(void **state)
{
    (void)state;
    struct bins bins, other;
    struct bins_row *rows;
    size_t n;
    bins_init(&bins, 1);
    bins_init(&other, 1);
    add(&bins, 30, 2);
    add(&bins, 20, 5);
    add(&bins, 10, 1);
    add(&bins, 20, -5);

    assert_int_equal(bins_sorted(&bins, &rows, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].key, 10);
    assert_int_equal(rows[1].key, 30);
    assert_int_equal(rows[1].columns[0], 2);
    free(rows);
    assert_int_equal(bins_room(&other, bins.n), 0);
    bins_merge(&other, &bins);
    assert_int_equal(other.n, 2);
    bins_finish(&bins);
    bins_finish(&other);
}

static void halve(void *context, uint64_t *key, int64_t *columns)
{
    (void)context, (void)columns;
    *key /= 2;
}

static void rows_that_meet_under_a_new_key_are_added(void **state)
{
    (void)state;
    struct bins bins;
    bins_init(&bins, 1);
    for (uint64_t key = 0; key < 100; key++)
        add(&bins, key, 1);
    bins_rekey(&bins, halve, NULL);
    assert_int_equal(bins.n, 50);
    for (uint64_t key = 0; key < 50; key++)
        assert_int_equal(*bins_find(&bins, key), 2);
    bins_finish(&bins);
}

static void saved_tables_are_read_back_and_small_counts_are_one_byte(void **state)
{
    (void)state;
    struct bins bins, again;
    struct buf saved;
    bins_init(&bins, 3);
    buf_init(&saved, 4096);
    assert_int_equal(bins_room(&bins, 2), 0);
    int64_t *columns = bins_at(&bins, 5);
    columns[0] = 3, columns[1] = 1, columns[2] = 2;
    bins_at(&bins, UINT64_MAX)[1] = -7;
    bins_save(&bins, &saved);
    assert_int_equal(saved.size, 1 + (1 + 1) + (10 + 1 + 3));

    struct reader in = reader_of(saved.data, saved.size);
    assert_int_equal(bins_load(&again, 3, &in, NULL), 0);
    assert_int_equal(bins_find(&again, 5)[2], 2);
    assert_int_equal(bins_find(&again, UINT64_MAX)[1], -7);
    assert_int_equal(reader_left(&in), 0);
    bins_finish(&bins);
    bins_finish(&again);
    buf_finish(&saved);
}

static void assert_refused(const unsigned char *bytes, size_t n, const char *why)
{
    struct bins bins;
    struct err err = {0};
    struct reader in = reader_of(bytes, n);
    assert_int_equal(bins_load(&bins, 1, &in, &err), ERR_CORRUPT);
    assert_string_equal(err.text, why);
    bins_finish(&bins);
}

static void tables_that_no_table_writes_are_refused(void **state)
{
    (void)state;
    const unsigned char liar[] = {0xff, 0xff, 0xff, 0x7f, 1, 1};
    assert_refused(liar, sizeof(liar), "state: a table says more rows than it has bytes");
    const unsigned char twice[] = {2, 5, 1, 0, 1};
    assert_refused(twice, sizeof(twice), "state: the keys of a table do not ascend");
    const unsigned char nothing[] = {1, 5, 0};
    assert_refused(nothing, sizeof(nothing), "state: a table has a row that is no row");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_keys_are_found_again),
        cmocka_unit_test(rows_of_zeros_are_not_there),
        cmocka_unit_test(rows_that_meet_under_a_new_key_are_added),
        cmocka_unit_test(saved_tables_are_read_back_and_small_counts_are_one_byte),
        cmocka_unit_test(tables_that_no_table_writes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
