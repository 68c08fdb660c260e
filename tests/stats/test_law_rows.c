#include "stats/law_rows.h"

#include <math.h>

#include "tests/test.h"

static void make(struct law_rows **rows, int n)
{
    assert_int_equal(law_rows_new(rows, n), 0);
}

static void what_is_added_is_moved(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *from = NULL, *into = NULL;
    make(&from, 2);
    make(&into, 2);
    law_rows_start(from, 1);

    law_rows_add_split(into, from, 1, 0.25, 3);
    law_rows_add_split(into, from, 1, 0.5, 41);
    law_rows_add_split(into, from, 0, 0.125, 7); /* a row that nothing is in */
    law_rows_set(into, 0);

    const float *points = law_rows_at(into, 0);
    for (int i = 0; i < LAW_POINTS; i++)
        assert_close((double)points[i], i == 3 ? 0.25 : i == 41 ? 0.5 : 0, 0);
    assert_int_equal(into->rows[0].end, 42);
    assert_int_equal(into->rows[1].end, 0);
}

static void a_share_of_a_point_is_split_between_its_neighbours(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *from = NULL, *into = NULL;
    make(&from, 1);
    make(&into, 1);
    law_rows_start(from, 0);

    const struct law_ways half = {.n = 1, .p = {0.5F}, .shifts = {3}};

    law_rows_add_split(into, from, 0, 0.5, 16.25);
    law_rows_set(into, 0);
    law_rows_pass_moved(from, into, &half, 0, 14.5, 1e-15);

    const float *points = law_rows_at(from, 0);
    assert_close((double)points[33], 0.25 * 0.75 * 0.5, 0);
    assert_close((double)points[34], 0.25 * 0.5, 0);
    assert_close((double)points[35], 0.25 * 0.25 * 0.5, 0);
    assert_int_equal(from->rows[0].begin, 33);
    assert_int_equal(from->rows[0].end, 36);
}

static void what_lies_beyond_the_last_point_is_gathered_there(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *a = NULL, *b = NULL;
    make(&a, 1);
    make(&b, 1);
    law_rows_start(a, 0);
    law_rows_add_split(b, a, 0, 0.5, 250);
    law_rows_add_split(b, a, 0, 0.25, 1e9);
    law_rows_add_split(b, a, 0, 0.125, (double)INFINITY);
    law_rows_set(b, 0);

    const struct law_ways all = {.n = 1, .p = {1}, .shifts = {5}};
    law_rows_pass_moved(a, b, &all, 0, 0.5, 1e-15);

    assert_close((double)law_rows_at(b, 0)[250], 0.5, 0);
    assert_close((double)law_rows_at(b, 0)[LAW_POINTS - 1], 0.375, 0);
    assert_close((double)law_rows_at(a, 0)[LAW_POINTS - 1], 0.875, 0);
    assert_int_equal(a->rows[0].end, LAW_POINTS);
}

static void a_row_that_is_set_again_keeps_nothing(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *from = NULL, *into = NULL;
    make(&from, 1);
    make(&into, 1);
    law_rows_start(from, 0);
    law_rows_add_split(into, from, 0, 1, 100);
    law_rows_set(into, 0);

    law_rows_add_split(into, from, 0, 1, 2);
    law_rows_add_split(into, from, 0, 1e-30, 90); /* too little to follow up */
    law_rows_set(into, 0);

    for (int i = 0; i < LAW_POINTS; i++)
        assert_close((double)law_rows_at(into, 0)[i], i == 2 ? 1 : 0, 0);
    assert_int_equal(into->rows[0].end, 3);
}

static void sums_of_many_steps_have_the_law_of_their_number(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *here = NULL, *next = NULL;
    make(&here, 1);
    make(&next, 1);
    law_rows_start(here, 0);

    for (int i = 0; i < 40; i++) {
        law_rows_add_split(next, here, 0, 0.75, 0);
        law_rows_add_split(next, here, 0, 0.25, 3);
        law_rows_set(next, 0);
        struct law_rows *swap = here;
        here = next;
        next = swap;
    }

    double p = pow(0.75, 40);
    for (int k = 0; k <= 20; k++) {
        assert_close((double)law_rows_at(here, 0)[3 * k] / p, 1, 1e-5);
        p *= (40.0 - k) / (k + 1) / 3;
    }
}

static void a_row_is_made_of_those_that_counts_lead_from(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *from = NULL, *into = NULL;
    make(&from, 4);
    make(&into, 4);
    law_rows_start(from, 1);
    const struct law_ways ways = {
        .first = 1, .n = 3, .p = {0.5F, 0.25F, 0.125F}, .shifts = {30, 0, LAW_POINTS}};

    for (int row = 0; row < 4; row++)
        law_rows_pass(into, from, &ways, row, 0);

    assert_int_equal(into->rows[0].end, 0);
    assert_int_equal(into->rows[1].end, 0);
    assert_close((double)law_rows_at(into, 2)[30], 0.5, 0);
    assert_int_equal(into->rows[2].begin, 30);
    assert_int_equal(into->rows[2].end, 31);
    assert_close((double)law_rows_at(into, 3)[0], 0.25, 0);
    assert_close((double)into->rows[3].sum, 0.25, 0);

    law_rows_pass(from, into, &ways, 3, 0); /* row 2 once more: the first of its counts */
    assert_close((double)law_rows_at(from, 3)[60], 0.25, 0);
    assert_int_equal(from->rows[3].end, 61);
}

static void what_is_too_little_for_its_row_is_left_out(void **state)
{
    (void)state;
    AUTO(law_rows) struct law_rows *from = NULL, *into = NULL;
    make(&from, 1);
    make(&into, 1);
    law_rows_start(from, 0);
    law_rows_add_split(into, from, 0, 0.5, 20);
    law_rows_add_split(into, from, 0, 1e-9, 0);
    law_rows_add_split(into, from, 0, 1e-9, 60);
    law_rows_set(into, 0);
    const struct law_ways whole = {.n = 1, .p = {1}}, little = {.n = 1, .p = {1e-8F}};

    law_rows_pass(from, into, &whole, 0, 1e-8);

    assert_int_equal(into->rows[0].begin, 0);
    assert_int_equal(into->rows[0].end, 61);
    assert_int_equal(from->rows[0].begin, 20);
    assert_int_equal(from->rows[0].end, 21);
    assert_close((double)law_rows_at(from, 0)[20], 0.5, 0);
    law_rows_pass(from, into, &little, 0, 1e-8);
    assert_int_equal(from->rows[0].end, 0);
}

/* What the memory held before is not read, and a sum is the same to the bit however it is made. */
static void wide_rows_are_summed_point_by_point(void **state)
{
    (void)state;
    enum {
        ROWS = 60,
        COUNTS = 20
    };
    struct law_rows *here, *next;
    struct law_ways ways = {.n = COUNTS};
    float *dirty = malloc(ROWS * (LAW_POINTS + 64) * sizeof(*dirty));
    assert_non_null(dirty);
    for (int i = 0; i < ROWS * (LAW_POINTS + 64); i++)
        dirty[i] = NAN;
    free(dirty);
    make(&here, ROWS);
    make(&next, ROWS);
    for (int k = 0; k < COUNTS; k++) {
        ways.p[k] = 1.0F / (float)(3 + k);
        ways.shifts[k] = (7 * k) % 31;
    }
    law_rows_start(here, 0);
    for (int pass = 0; pass < 3; pass++) {
        law_rows_clear(next);
        for (int row = 0; row < ROWS; row++)
            law_rows_pass(next, here, &ways, row, 0);
        for (int row = 0; row < ROWS; row++) {
            float sums[LAW_POINTS] = {0};
            for (int k = 0; k < COUNTS && k <= row; k++) {
                const float *from = law_rows_at(here, row - k);
                for (int i = ways.shifts[k]; i < LAW_POINTS; i++)
                    sums[i] += ways.p[k] * from[i - ways.shifts[k]];
            }
            assert_memory_equal(law_rows_at(next, row), sums, sizeof(sums));
        }
        struct law_rows *swap = here;
        here = next;
        next = swap;
    }
    law_rows_free(here);
    law_rows_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_moved),
        cmocka_unit_test(a_share_of_a_point_is_split_between_its_neighbours),
        cmocka_unit_test(what_lies_beyond_the_last_point_is_gathered_there),
        cmocka_unit_test(a_row_that_is_set_again_keeps_nothing),
        cmocka_unit_test(a_row_is_made_of_those_that_counts_lead_from),
        cmocka_unit_test(what_is_too_little_for_its_row_is_left_out),
        cmocka_unit_test(sums_of_many_steps_have_the_law_of_their_number),
        cmocka_unit_test(wide_rows_are_summed_point_by_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
