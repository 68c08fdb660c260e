/* What an answer about a window says of its features. */
#include <math.h>

#include "stats/drift_window.h"
#include "tests/test.h"

static struct profile_feature features[] = {
    {.name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN}};
static struct profile_layout layout = {.n_features = 1, .features = features};

/* Values first, first + step … */
static struct profile *values(enum profile_level level, int n, double first, double step)
{
    struct profile *out = NULL;
    assert_int_equal(profile_new(&out, &layout, level, NULL), 0);
    for (int i = 0; i < n; i++) {
        profile_event(out, 1);
        profile_number(out, 0, first + i * step, 1);
    }
    return out;
}

/* scipy 1.17.1: ks_2samp(np.arange(300), 40 + 4.1 * np.arange(60)), its exact p; "asymp": 0.3084 */
static void few_values_have_the_p_value_that_scipy_has(void **state)
{
    (void)state;
    const struct drift_rule rule = {DRIFT_EVIDENTLY, 0.01, 0};
    AUTO(profile) struct profile *old = values(PROFILE_REFERENCE, 300, 0, 1);
    AUTO(profile) struct profile *now = values(PROFILE_HOUR, 60, 40, 4.1);
    AUTO(reference) struct reference *reference = NULL;
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(reference_build(&reference, old, 0, NULL), 0);
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    struct drift_feature out[1];
    struct drift_summary summary;
    const struct drift_question question = {
        .nulls = nulls, .rule = &rule, .reference = reference, .window = now};
    assert_int_equal(drift_window(&question, out, &summary), 0);
    assert_true(fabs(out[0].numeric.ks_p - 0.31810616852654383) < 1e-12);
    assert_string_equal(out[0].verdict.method, "ks");
    assert_true(out[0].verdict.p_value == out[0].numeric.ks_p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_values_have_the_p_value_that_scipy_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
