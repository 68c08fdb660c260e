#include "common/json_print.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/test.h"

static void a_number_is_written_in_the_fewest_digits_that_read_back(void **state)
{
    (void)state;
    json_t *value = json_loads("{\"a\":0.050000000000000003,\"b\":[1e-8,3,true,null,\"\\u0001x\"],"
                               "\"c\":0.10000000000000001,\"d\":2.0}",
                               0, NULL);

    AUTO_FREE char *text = json_print(value);

    assert_string_equal(text,
                        "{\"a\":0.05,\"b\":[1e-8,3,true,null,\"\\u0001x\"],\"c\":0.1,\"d\":2}");
    json_decref(value);
}

static void a_number_beyond_all_whole_ones_stays_readable(void **state)
{
    (void)state;
    static const double values[] = {-0x1p63, 0x1p63, 1e20, 1e21, 1e308, -0.0};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        json_array_append_new(list, json_real(values[i]));

    AUTO_FREE char *text = json_print(list);

    assert_string_equal(text, "[-9223372036854775808.0,9223372036854775808.0,"
                              "100000000000000000000.0,1e+21,1e+308,0]");
    json_t *again = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(again), json_array_size(list));
    for (size_t i = 0; i < json_array_size(again); i++)
        assert_true(json_number_value(json_array_get(again, i)) == values[i]);
    json_decref(again);
    json_decref(list);
}

static void nothing_has_no_text(void **state)
{
    (void)state;
    assert_null(json_print(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_written_in_the_fewest_digits_that_read_back),
        cmocka_unit_test(a_number_beyond_all_whole_ones_stays_readable),
        cmocka_unit_test(nothing_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
