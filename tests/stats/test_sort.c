#include "stats/sort.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/rng.h"
#include "tests/test.h"

struct item {
    uint64_t key;
    uint32_t place; /* where it stood before */
};
DEFINE_SORT(sort_items, struct item, key)

enum {
    MOST = 700
};

static void assert_sorted(const struct item *items, size_t n, const uint64_t *keys)
{
    uint8_t seen[MOST] = {0};
    for (size_t i = 0; i < n; i++) {
        assert_true(items[i].key == keys[items[i].place]);
        assert_int_equal(seen[items[i].place]++, 0);
        if (i > 0) {
            assert_true(items[i - 1].key <= items[i].key);
            if (items[i - 1].key == items[i].key)
                assert_true(items[i - 1].place < items[i].place);
        }
    }
}

static void items_of_any_number_come_ascending_and_equal_ones_keep_their_order(void **state)
{
    (void)state;
    struct rng rng = rng_of(5);
    for (size_t n = 0; n <= MOST; n += n < 60 ? 1 : 37) {
        struct item items[MOST], scratch[MOST];
        uint64_t keys[MOST] = {0};
        uint64_t different = n % 2 ? UINT64_MAX : 9;
        for (size_t i = 0; i < n; i++) {
            keys[i] = rng_u64(&rng) % different;
            items[i] = (struct item){keys[i], (uint32_t)i};
        }

        sort_items(items, n, scratch);

        assert_sorted(items, n, keys);
    }
}

static void what_falls_and_what_rises_already_is_sorted_too(void **state)
{
    (void)state;
    for (int rising = 0; rising < 2; rising++) {
        struct item items[100], scratch[100];
        uint64_t keys[100];
        for (uint32_t i = 0; i < 100; i++) {
            keys[i] = rising ? i : 100 - i;
            items[i] = (struct item){keys[i], i};
        }

        sort_items(items, 100, scratch);

        assert_sorted(items, 100, keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_of_any_number_come_ascending_and_equal_ones_keep_their_order),
        cmocka_unit_test(what_falls_and_what_rises_already_is_sorted_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
