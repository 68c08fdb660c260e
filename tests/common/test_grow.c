#include "common/grow.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"

static void what_was_there_stays_and_what_is_new_is_zero(void **state)
{
    (void)state;
    struct err err = {0};
    int *items = NULL;
    size_t capacity = 0;

    assert_int_equal(grow(&items, &capacity, 1, sizeof(*items), "test", &err), 0);
    const size_t first = capacity;
    for (size_t i = 0; i < first; i++) {
        assert_int_equal(items[i], 0);
        items[i] = (int)i + 1;
    }
    assert_int_equal(grow(&items, &capacity, first + 1, sizeof(*items), "test", &err), 0);

    assert_int_equal(capacity, 2 * first);
    for (size_t i = 0; i < capacity; i++)
        assert_int_equal(items[i], i < first ? (int)i + 1 : 0);
    free(items);
}

static void room_that_is_there_is_left_alone(void **state)
{
    (void)state;
    struct err err = {0};
    int *items = NULL;
    size_t capacity = 0;

    assert_int_equal(grow(&items, &capacity, 100, sizeof(*items), "test", &err), 0);
    const int *before = items;
    const size_t was = capacity;
    assert_int_equal(grow(&items, &capacity, was, sizeof(*items), "test", &err), 0);

    assert_true(was >= 100 && was < 200);
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, was);
    free(items);
}

/* Products that overflow are no small arrays. */
static void what_cannot_be_had_is_refused_and_nothing_is_lost(void **state)
{
    (void)state;
    const size_t too_many[] = {SIZE_MAX, SIZE_MAX / 2 + 2, SIZE_MAX / 8 + 1};
    struct err err = {0};
    int64_t *items = NULL;
    size_t capacity = 0;
    assert_int_equal(grow(&items, &capacity, 1, sizeof(*items), "test", &err), 0);
    const size_t was = capacity;
    items[0] = 7;

    for (size_t i = 0; i < sizeof(too_many) / sizeof(*too_many); i++) {
        char said[80];
        assert_int_equal(grow(&items, &capacity, too_many[i], sizeof(*items), "test", &err),
                         -ENOMEM);
        snprintf(said, sizeof(said), "test: no memory for %zu", too_many[i]);
        assert_string_equal(err.text, said);
    }
    assert_int_equal(capacity, was);
    assert_int_equal(items[0], 7);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_stays_and_what_is_new_is_zero),
        cmocka_unit_test(room_that_is_there_is_left_alone),
        cmocka_unit_test(what_cannot_be_had_is_refused_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
