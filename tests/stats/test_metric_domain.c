/* Sums for the domain classifier, among a pane's states. */
#include "stats/metric_domain.h"

#include "stats/looked.h"
#include "tests/test.h"

static struct states *states_of(void)
{
    const struct metric_setup setup = {.task = TASK_REGRESSION};
    struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    return states;
}

/* An event with terms value, -value, value², under a reference. */
static void fold(struct states *states, uint64_t reference, int32_t value)
{
    const struct looked looked = {.reference = reference,
                                  .domain = reference,
                                  .errors = {.n = 1},
                                  .n_terms = 3,
                                  .terms = {value, -value, (int64_t)value * value}};
    assert_int_equal(states_looked(states, &looked), 0);
}

static const struct domain_sums *sums_of(const struct states *states, uint64_t reference)
{
    return domain_sums_of(states_get(states, &domain_kind), reference);
}

static void assert_equal_bytes(const struct states *a, const struct states *b)
{
    struct buf x, y;
    buf_init(&x, 1 << 20);
    buf_init(&y, 1 << 20);
    states_save(a, &x);
    states_save(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

static void terms_are_summed_by_reference(void **state)
{
    (void)state;
    AUTO(states) struct states *states = states_of();

    fold(states, 9, 100);
    fold(states, 3, -7);
    fold(states, 9, 50);

    const struct domain_sums *nine = sums_of(states, 9), *three = sums_of(states, 3);
    assert_int_equal(nine->n, 2);
    assert_int_equal(nine->n_terms, 3);
    assert_int_equal(nine->sums[0], 150);
    assert_int_equal(nine->sums[1], -150);
    assert_int_equal(nine->sums[2], 12500);
    assert_int_equal(three->n, 1);
    assert_int_equal(three->sums[0], -7);
    assert_null(sums_of(states, 5));
    assert_null(sums_of(states, 0));
}

/* Six references, of which the four lowest stay: in any order, merged from any parts. */
static void order_and_parts_change_no_byte(void **state)
{
    (void)state;
    static const uint64_t references[] = {60, 10, 50, 20, 40, 30};
    AUTO(states) struct states *up = states_of(), *down = states_of(), *whole = states_of();
    struct states *parts[6];
    for (int i = 0; i < 6; i++) {
        fold(up, references[i], i + 1);
        fold(down, references[5 - i], 6 - i);
        parts[i] = states_of();
        fold(parts[i], references[i], i + 1);
    }
    for (int i = 0; i < 6; i++)
        assert_int_equal(states_merge(whole, parts[i]), 0);

    assert_equal_bytes(up, down);
    assert_equal_bytes(up, whole);
    assert_non_null(sums_of(up, 10));
    assert_non_null(sums_of(up, 40));
    assert_null(sums_of(up, 50));
    assert_null(sums_of(up, 60));
    for (int i = 0; i < 6; i++)
        states_free(parts[i]);
}

static void saved_bytes_give_the_same_sums(void **state)
{
    (void)state;
    AUTO(states) struct states *states = states_of(), *loaded = NULL;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    for (int i = 0; i < 1000; i++)
        fold(states, 7 + (uint64_t)(i % 3), 12288 - i);

    states_save(states, &bytes);
    assert_int_equal(states_load(&loaded, states_setup(states), bytes.data, bytes.size, NULL), 0);

    assert_equal_bytes(states, loaded);
    assert_int_equal(sums_of(loaded, 8)->sums[2], sums_of(states, 8)->sums[2]);
    fold(loaded, 8, 1);
    assert_int_equal(sums_of(loaded, 8)->n, sums_of(states, 8)->n + 1);
    buf_finish(&bytes);
}

static void a_reference_without_a_classifier_leaves_no_sums(void **state)
{
    (void)state;
    AUTO(states) struct states *states = states_of();
    const struct looked looked = {.reference = 5, .domain = 5, .errors = {.n = 3}};

    assert_int_equal(states_looked(states, &looked), 0);

    assert_null(sums_of(states, 5));
}

static int load(const unsigned char *bytes, size_t n, struct err *err)
{
    struct domain_state loaded = {0};
    struct reader in = reader_of(bytes, n);
    const int rc = domain_kind.load(&loaded, &in, err);
    domain_kind.finish(&loaded);
    return rc;
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    const unsigned char none[] = {0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2};
    const unsigned char many[] = {1, 0, 0, 0, 0, 0, 0, 0, 2, 66, 2};
    const unsigned char twice[] = {1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2,
                                   1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2};
    struct err err = {0};

    assert_int_equal(load(none, sizeof(none), &err), ERR_CORRUPT);
    assert_string_equal(err.text, "state: its references do not ascend");
    assert_int_equal(load(many, sizeof(many), &err), ERR_CORRUPT);
    assert_string_equal(err.text, "state: 65 terms at most");
    assert_int_equal(load(twice, sizeof(twice), &err), ERR_CORRUPT);
    assert_string_equal(err.text, "state: its references do not ascend");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_summed_by_reference),
        cmocka_unit_test(order_and_parts_change_no_byte),
        cmocka_unit_test(saved_bytes_give_the_same_sums),
        cmocka_unit_test(a_reference_without_a_classifier_leaves_no_sums),
        cmocka_unit_test(damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
