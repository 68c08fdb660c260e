#include "common/err.h"

#include <string.h>

#include "tests/test.h"

static void a_message_names_its_input_and_its_code_is_returned(void **state)
{
    (void)state;
    struct err err = {0};

    assert_int_equal(err_set(&err, ERR_DATA, "threshold: %g is not in 0..1", 1.7), ERR_DATA);
    assert_string_equal(err.text, "threshold: 1.7 is not in 0..1");

    assert_int_equal(err_prefix(&err, err.code, "assay.yaml:%d", 31), ERR_DATA);
    assert_string_equal(err.text, "assay.yaml:31: threshold: 1.7 is not in 0..1");
}

static void a_caller_without_a_struct_err_still_gets_the_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_FULL, "disk"), ERR_FULL);
    assert_int_equal(err_prefix(NULL, ERR_FULL, "disk"), ERR_FULL);
}

static void a_message_that_is_too_long_is_cut_and_ends(void **state)
{
    (void)state;
    struct err err = {0};
    char text[2 * ERR_TEXT_BYTES];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    err_set(&err, ERR_DATA, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
    err_prefix(&err, ERR_DATA, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_names_its_input_and_its_code_is_returned),
        cmocka_unit_test(a_caller_without_a_struct_err_still_gets_the_code),
        cmocka_unit_test(a_message_that_is_too_long_is_cut_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
