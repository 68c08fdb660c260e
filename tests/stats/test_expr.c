#include "stats/expr.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"

/* a = 6 ± 0.5, b = 3 exactly, zero = 0, none = null */
static const char *const known[] = {"a", "b", "zero", "none", "f{class=\"x } y\"}"};
static const struct expr_number numbers[] = {
    {6, 0.5}, {3, 0}, {0, 0}, {(double)NAN, (double)NAN}, {7, 0}};

static int resolve(void *context, const char *name, struct err *err)
{
    (void)context;
    for (int i = 0; i < 5; i++)
        if (strcmp(known[i], name) == 0)
            return i;
    return err_set(err, -EINVAL, "'%s' is unknown", name);
}

static struct expr_number look_up(void *context, int name)
{
    (void)context;
    return numbers[name];
}

static const struct expr_names names = {NULL, resolve};

static struct expr_number value_of(const char *text)
{
    AUTO(expr) struct expr *expr = NULL;
    struct err err = {0};
    if (expr_parse(&expr, text, &names, &err))
        fail_msg("%s: %s", text, err.text);
    return expr_value(expr, look_up, NULL);
}

static void assert_refused(const char *text, const char *why)
{
    AUTO(expr) struct expr *expr = NULL;
    struct err err = {0};
    assert_int_equal(expr_parse(&expr, text, &names, &err), -EINVAL);
    assert_string_equal(err.text, why);
    assert_null(expr);
}

static void products_bind_before_sums_and_both_from_the_left(void **state)
{
    (void)state;
    assert_close(value_of("1 + 2*3").value, 7, 0);
    assert_close(value_of("10 - 4 - 3").value, 3, 0);
    assert_close(value_of("24 / 4 / 2").value, 3, 0);
    assert_close(value_of("-(1 + 2) * -2").value, 6, 0);
    assert_close(value_of(" 2.5e2 + .5 ").value, 250.5, 0);
    assert_close(value_of("100*b - 20*b").value, 240, 0);
    assert_close(value_of("f{class=\"x } y\"} + 1").value, 8, 0);
}

static void min_and_max_take_any_number_of_arguments(void **state)
{
    (void)state;
    assert_close(value_of("min(3, 1, 2)").value, 1, 0);
    assert_close(value_of("max(b, min(1, 2), -5)").value, 3, 0);
    assert_close(value_of("min(4)").value, 4, 0);
}

static void division_by_zero_and_null_give_null(void **state)
{
    (void)state;
    assert_true(isnan(value_of("1 / zero").value));
    assert_true(isnan(value_of("zero / zero").value));
    assert_true(isnan(value_of("none + 1").value));
    assert_true(isnan(value_of("min(none, 1)").value));
    assert_true(isnan(value_of("1e308 * 10").value));
    assert_close(value_of("zero / 4").value, 0, 0);
}

static void bounds_go_through_the_formula(void **state)
{
    (void)state;
    assert_close(value_of("a + b").bound, 0.5, 0);
    assert_close(value_of("2 * a - 1").bound, 1, 0);
    assert_close(value_of("a / b").bound, 0.5 / 3, 1e-15);
    assert_close(value_of("b / a").bound, 0.5 * 0.5 / 5.5, 1e-15);
    assert_close(value_of("max(a, b)").bound, 0.5, 0);
    assert_true(isnan(value_of("b / (a - 6.2)").bound)); /* the divisor may be 0 */
    assert_close(value_of("b / (a - 6.2)").value, 3 / -0.2, 1e-12);
}

static void mistakes_are_told_with_their_column(void **state)
{
    (void)state;
    assert_refused("", "column 1: expected a number, a metric or '(', the formula ends here");
    assert_refused("1 +", "column 4: expected a number, a metric or '(', the formula ends here");
    assert_refused("a b", "column 3: expected an operator or the end, not 'b'");
    assert_refused("(a", "column 3: expected an operator or ')', the formula ends here");
    assert_refused("1 + c", "column 5: 'c' is unknown");
    assert_refused("sqrt(a)", "column 1: 'sqrt' is no function; there are min and max");
    assert_refused("min(a b)", "column 7: expected ',' or ')', not 'b'");
    assert_refused("1.2.3", "column 1: '1.2.3' is not a number");
    assert_refused("a \xe2\x88\x92 b", "column 3: expected an operator or the end, not byte 0xe2");
    assert_refused("a ** b", "column 4: expected a number, a metric or '(', not '*'");
}

static void formulas_have_limits(void **state)
{
    (void)state;
    char text[1200];
    memset(text, '(', sizeof(text));
    text[100] = '\0';
    assert_refused(text, "column 33: more than 32 levels of brackets and signs");
    memset(text, '-', 100);
    assert_refused(text, "column 33: more than 32 levels of brackets and signs");
    for (size_t i = 0; i < 900; i++)
        text[i] = i % 2 ? '+' : '1';
    text[899] = '\0';
    assert_refused(text, "column 258: more than 256 numbers, names and operators");
    memset(text, ' ', sizeof(text));
    text[1100] = '\0';
    assert_refused(text, "column 1001: a formula has at most 1000 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_bind_before_sums_and_both_from_the_left),
        cmocka_unit_test(min_and_max_take_any_number_of_arguments),
        cmocka_unit_test(division_by_zero_and_null_give_null),
        cmocka_unit_test(bounds_go_through_the_formula),
        cmocka_unit_test(mistakes_are_told_with_their_column),
        cmocka_unit_test(formulas_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
