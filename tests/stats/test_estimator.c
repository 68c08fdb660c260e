/* What a labelled reference teaches, and what metrics say where it teaches nothing. */
#include "stats/estimator.h"

#include <string.h>

#include "common/rng.h"
#include "stats/metric.h"
#include "tests/test.h"

enum {
    N = 600,
    POSITIVE = 11,
    NEGATIVE = 12
};

struct drawn {
    double scores[N], errors[N];
    uint64_t labels[N], predicted[N];
};

static void draw(struct drawn *d)
{
    struct rng rng = rng_of(9);
    for (int i = 0; i < N; i++) {
        d->scores[i] = (double)rng_below(&rng, 101) / 100;
        d->labels[i] = rng_uniform(&rng) < d->scores[i] ? POSITIVE : NEGATIVE;
        d->predicted[i] = d->scores[i] >= 0.6 ? POSITIVE : NEGATIVE;
        d->errors[i] = i % 2 ? 3 : -1;
    }
}

static struct estimator_pairs pairs_of(const struct drawn *d, enum task task, size_t n)
{
    static const uint64_t positive = POSITIVE;
    return (struct estimator_pairs){.task = task,
                                    .reference = 77,
                                    .n = n,
                                    .n_classes = 1,
                                    .classes = &positive,
                                    .scores = d->scores,
                                    .predicted = d->predicted,
                                    .labels = d->labels,
                                    .errors = d->errors};
}

static struct estimator *fit(const struct estimator_pairs *pairs)
{
    struct estimator *estimator = NULL;
    assert_int_equal(estimator_fit(&estimator, pairs, NULL), 0);
    return estimator;
}

/* The value of a metric over states whose setup has this estimator. */
static struct metric_value value_of(const struct estimator *estimator, enum task task,
                                    const struct drawn *d, size_t n, const char *name)
{
    const struct metric_setup setup = {task, POSITIVE, 0.5, estimator};
    AUTO(states) struct states *states = NULL;
    struct metric_ref ref;
    struct metric_value value;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        const struct sample sample = {.latency_ms = (double)NAN,
                                      .score = d->scores[i],
                                      .value = (double)NAN,
                                      .label_value = (double)NAN,
                                      .predicted = d->predicted[i]};
        assert_int_equal(states_predict(states, &sample), 0);
    }
    assert_int_equal(metric_find(&ref, name, task, NULL), 0);
    metric_result(states, &ref, 60000, &value);
    return value;
}

static void its_bytes_keep_all_of_it(void **state)
{
    (void)state;
    struct drawn d;
    draw(&d);
    const struct estimator_pairs pairs = pairs_of(&d, TASK_BINARY, N);
    AUTO(estimator) struct estimator *estimator = fit(&pairs), *again = NULL;
    struct buf bytes;
    struct err err = {0};
    buf_init(&bytes, 1 << 20);

    estimator_save(estimator, &bytes);

    assert_int_equal(estimator_load(&again, bytes.data, bytes.size, NULL), 0);
    assert_int_equal(again->reference, 77);
    assert_int_equal(again->labelled, N);
    const struct metric_value a = value_of(estimator, TASK_BINARY, &d, N, "estimated_f1");
    const struct metric_value b = value_of(again, TASK_BINARY, &d, N, "estimated_f1");
    assert_true(a.value == b.value && a.lower == b.lower && a.upper == b.upper);
    assert_true(a.lower < a.value && a.value < a.upper && a.error_bound == 0);
    for (size_t n = 0; n < bytes.size; n++) {
        struct estimator *cut = NULL;
        assert_int_not_equal(estimator_load(&cut, bytes.data, n, &err), 0);
    }
    bytes.data[0] = 9;
    assert_int_equal(estimator_load(&again, bytes.data, bytes.size, &err), ERR_NEWER);
    buf_finish(&bytes);
}

static void the_spreads_are_those_of_the_references_own_outcomes(void **state)
{
    (void)state;
    struct drawn d;
    draw(&d);
    const struct estimator_pairs pairs = pairs_of(&d, TASK_BINARY, N);
    AUTO(estimator) struct estimator *estimator = fit(&pairs);
    double right = 0, flagged = 0, hits = 0;
    for (int i = 0; i < N; i++) {
        right += d.labels[i] == d.predicted[i];
        flagged += d.predicted[i] == POSITIVE;
        hits += d.predicted[i] == POSITIVE && d.labels[i] == POSITIVE;
    }

    const struct spread *accuracy = &estimator->classes[0].spreads[SPREAD_ACCURACY];
    const struct spread *precision = &estimator->classes[0].spreads[SPREAD_PRECISION];

    assert_true(fabs(accuracy->variance - right / N * (1 - right / N)) < 1e-12);
    assert_true(accuracy->share == 1);
    assert_true(fabs(precision->variance - hits / flagged * (1 - hits / flagged)) < 1e-12);
    assert_true(fabs(precision->share - flagged / N) < 1e-12);
    const struct estimator_pairs values = pairs_of(&d, TASK_REGRESSION, N);
    AUTO(estimator) struct estimator *of_values = fit(&values);
    assert_true(fabs(of_values->absolute.variance - 1) < 1e-12); /* |3| and |-1|, half each */
    assert_true(fabs(of_values->square.variance - 16) < 1e-12);  /* 9 and 1 */
}

static void assert_told(const struct metric_value *value, const char *why)
{
    assert_true(isnan(value->value) && isnan(value->lower) && isnan(value->upper));
    assert_string_equal(value->why, why);
}

static void what_it_cannot_tell_is_null_with_the_reason(void **state)
{
    (void)state;
    struct drawn d, one;
    draw(&d);
    one = d;
    for (int i = 0; i < N; i++)
        one.labels[i] = NEGATIVE;
    struct metric_value value = value_of(NULL, TASK_BINARY, &d, N, "estimated_roc_auc");
    assert_told(&value, "no labelled reference; load one with `assay reference load`");

    const size_t sizes[] = {0, 1, ESTIMATOR_MIN_LABELLED - 1};
    for (int i = 0; i < 3; i++) {
        const struct estimator_pairs few = pairs_of(&d, TASK_BINARY, sizes[i]);
        AUTO(estimator) struct estimator *estimator = fit(&few);
        value = value_of(estimator, TASK_BINARY, &d, N, "estimated_accuracy");
        assert_told(&value, i ? "the reference has fewer than 30 labelled predictions"
                              : "the reference has no labels; load a file of predictions and "
                                "labels with `assay reference load`");
    }
    const struct estimator_pairs of_one = pairs_of(&one, TASK_BINARY, N);
    AUTO(estimator) struct estimator *estimator = fit(&of_one);
    value = value_of(estimator, TASK_BINARY, &d, N, "estimated_f1");
    assert_told(&value, "the reference has labels of one class only");

    const struct estimator_pairs both = pairs_of(&d, TASK_BINARY, N);
    AUTO(estimator) struct estimator *good = fit(&both);
    value = value_of(good, TASK_BINARY, &d, 0, "estimated_roc_auc");
    assert_told(&value, "no scores");
    value = value_of(good, TASK_BINARY, &d, 1, "estimated_accuracy");
    assert_true(isfinite(value.value) && value.n == 1);
    value = value_of(good, TASK_BINARY, &d, N, "reconstruction_error");
    assert_told(&value, "nothing was recorded under this reference");
}

static void scores_that_never_vary_give_numbers_or_reasons_but_no_nan(void **state)
{
    (void)state;
    struct drawn d;
    draw(&d);
    for (int i = 0; i < N; i++)
        d.scores[i] = 0.5;
    const struct estimator_pairs pairs = pairs_of(&d, TASK_BINARY, N);
    AUTO(estimator) struct estimator *estimator = fit(&pairs);
    static const char *const names[] = {"estimated_roc_auc", "estimated_f1", "estimated_tp",
                                        "estimated_accuracy", "estimated_specificity"};
    for (int i = 0; i < 5; i++) {
        const struct metric_value value = value_of(estimator, TASK_BINARY, &d, N, names[i]);
        assert_true(isfinite(value.value) || value.why);
        assert_true(isnan(value.lower) == isnan(value.upper));
    }
    const struct metric_value auc = value_of(estimator, TASK_BINARY, &d, N, "estimated_roc_auc");
    assert_true(auc.value == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_bytes_keep_all_of_it),
        cmocka_unit_test(the_spreads_are_those_of_the_references_own_outcomes),
        cmocka_unit_test(what_it_cannot_tell_is_null_with_the_reason),
        cmocka_unit_test(scores_that_never_vary_give_numbers_or_reasons_but_no_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
