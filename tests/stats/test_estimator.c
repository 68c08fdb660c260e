/* What a labelled reference teaches, and what metrics say where it teaches nothing. */
#include "stats/estimator.h"

#include <math.h>
#include <stdlib.h>
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

/* States as panes keep them: predictions with their labels, scores with `digits` decimals. */
static struct states *panes_of(size_t n, double digits, double **scores, uint64_t **labels,
                               uint64_t **predicted)
{
    const struct metric_setup setup = {TASK_BINARY, POSITIVE, 0.5, NULL};
    struct states *states = NULL;
    struct rng rng = rng_of(21);
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    *scores = calloc(n, sizeof(**scores));
    *labels = calloc(n, sizeof(**labels));
    *predicted = calloc(n, sizeof(**predicted));
    for (size_t i = 0; i < n; i++) {
        (*scores)[i] = floor(rng_uniform(&rng) * digits) / digits;
        /* scores that promise too much: a calibration has something to do */
        (*labels)[i] = rng_uniform(&rng) < (*scores)[i] * (*scores)[i] * 0.8 ? POSITIVE : NEGATIVE;
        (*predicted)[i] = (*scores)[i] >= 0.6 ? POSITIVE : NEGATIVE;
        const struct sample sample = {.latency_ms = (double)NAN,
                                      .score = (*scores)[i],
                                      .value = (double)NAN,
                                      .label_value = (double)NAN,
                                      .predicted = (*predicted)[i],
                                      .label_class = (*labels)[i]};
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    return states;
}

/* The largest distance of the probabilities of two calibrations. */
static double distance(const struct estimator *a, const struct estimator *b)
{
    double most = 0;
    for (double score = 0.05; score < 0.96; score += 0.01)
        most = fmax(most, fabs(cbpe_probability(&a->classes[0].cbpe, score) -
                               cbpe_probability(&b->classes[0].cbpe, score)));
    return most;
}

static void panes_teach_what_their_rows_would(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        double digits, probability, spread;
    } rows[] = {
        {5000, 100, 1e-12, 1e-9},  /* each score by itself: the very same */
        {5000, 1e6, 0.05, 0.01},   /* scores in bins */
        {60000, 1000, 0.06, 0.03}, /* a third of the labels */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const uint64_t positive = POSITIVE;
        double *scores;
        uint64_t *labels, *predicted;
        AUTO(states)
        struct states *states = panes_of(rows[i].n, rows[i].digits, &scores, &labels, &predicted);
        const struct estimator_pairs pairs = {.task = TASK_BINARY,
                                              .n = rows[i].n,
                                              .n_classes = 1,
                                              .classes = &positive,
                                              .scores = scores,
                                              .predicted = predicted,
                                              .labels = labels};
        AUTO(estimator) struct estimator *of_rows = fit(&pairs), *of_panes = NULL;

        assert_int_equal(estimator_of_states(&of_panes, states, 5, NULL), 0);

        assert_int_equal(of_panes->state, ESTIMATOR_READY);
        assert_int_equal(of_panes->labelled, rows[i].n);
        assert_int_equal(of_panes->reference, 5);
        assert_true(of_panes->classes[0].cbpe.calibrated);
        print_message("%zu of %g scores: %.2g\n", rows[i].n, rows[i].digits,
                      distance(of_rows, of_panes));
        assert_true(distance(of_rows, of_panes) <= rows[i].probability);
        for (int k = 0; k < N_ESTIMATOR_SPREADS; k++) {
            const struct spread *a = &of_rows->classes[0].spreads[k];
            const struct spread *b = &of_panes->classes[0].spreads[k];
            assert_close(b->variance, a->variance, rows[i].spread * a->variance);
            assert_close(b->share, a->share, rows[i].spread * a->share);
        }
        free(scores);
        free(labels);
        free(predicted);
    }
}

static void panes_that_teach_nothing_say_why(void **state)
{
    (void)state;
    const struct metric_setup binary = {TASK_BINARY, POSITIVE, 0.5, NULL};
    const struct metric_setup value = {TASK_REGRESSION, 0, 0.5, NULL};
    AUTO(states) struct states *empty = NULL, *values = NULL;
    AUTO(estimator) struct estimator *none = NULL, *rows = NULL;
    assert_int_equal(states_new(&empty, &binary, NULL), 0);
    assert_int_equal(states_new(&values, &value, NULL), 0);

    assert_int_equal(estimator_of_states(&none, empty, 1, NULL), 0);
    assert_int_equal(estimator_of_states(&rows, values, 1, NULL), 0);

    assert_int_equal(none->state, ESTIMATOR_NO_LABELS);
    assert_int_equal(rows->state, ESTIMATOR_ROWS);
    assert_string_equal(estimator_why(rows->state),
                        "expected errors are learned from rows, and a reference made of stored "
                        "panes has none; load a file with `assay reference load`");
}

static void panes_of_three_classes_calibrate_each(void **state)
{
    (void)state;
    const struct metric_setup setup = {TASK_MULTICLASS, 0, 0.5, NULL};
    AUTO(states) struct states *states = NULL;
    AUTO(estimator) struct estimator *estimator = NULL;
    struct rng rng = rng_of(8);
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < 3000; i++) {
        struct class_score scores[3] = {{21, 0.2}, {22, 0.2}, {23, 0.2}};
        const uint64_t guess = rng_below(&rng, 3);
        const bool right = rng_uniform(&rng) < 0.9; /* though it says 0.6 */
        scores[guess].score = 0.6;
        const struct sample sample = {.latency_ms = (double)NAN,
                                      .score = (double)NAN,
                                      .value = (double)NAN,
                                      .label_value = (double)NAN,
                                      .predicted = scores[guess].class_id,
                                      .label_class =
                                          scores[right ? guess : (guess + 1) % 3].class_id,
                                      .scores = scores,
                                      .n_scores = 3};
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }

    assert_int_equal(estimator_of_states(&estimator, states, 1, NULL), 0);

    assert_int_equal(estimator->state, ESTIMATOR_READY);
    assert_int_equal(estimator->labelled, 3000);
    for (uint64_t id = 21; id <= 23; id++) {
        const struct estimator_class *class = estimator_class(estimator, id);
        assert_non_null(class);
        assert_close(cbpe_probability(&class->cbpe, 0.6), 0.9, 0.03);
        assert_close(cbpe_probability(&class->cbpe, 0.2), 0.05, 0.02);
    }
    assert_close(estimator->accuracy.variance, 0.09, 0.01);
}

/* Three classes of 0.9; `scored` classes of the events have scores. */
static struct states *drawn_states(const struct estimator *estimator, uint32_t scored,
                                   uint64_t seed)
{
    const struct metric_setup setup = {TASK_MULTICLASS, 0, 0.5, estimator};
    struct states *states = NULL;
    struct rng rng = rng_of(seed);
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < 3000; i++) {
        const double rest = 0.4 / (scored - 1);
        struct class_score scores[4] = {{21, rest}, {22, rest}, {23, rest}, {24, rest}};
        const uint64_t guess = rng_below(&rng, scored);
        const bool right = rng_uniform(&rng) < 0.9;
        scores[guess].score = 0.6;
        const struct sample sample = {.latency_ms = (double)NAN,
                                      .score = (double)NAN,
                                      .value = (double)NAN,
                                      .label_value = (double)NAN,
                                      .predicted = scores[guess].class_id,
                                      .label_class =
                                          scores[right ? guess : (guess + 1) % scored].class_id,
                                      .scores = scores,
                                      .n_scores = scored};
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    return states;
}

static struct metric_value of_states(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    assert_int_equal(metric_find(&ref, name, TASK_MULTICLASS, NULL), 0);
    metric_result(states, &ref, 60000, &value);
    return value;
}

static void classes_that_the_reference_does_not_know_are_not_taken_for_wrong(void **state)
{
    (void)state;
    AUTO(states) struct states *reference = drawn_states(NULL, 3, 31);
    AUTO(estimator) struct estimator *estimator = NULL;
    assert_int_equal(estimator_of_states(&estimator, reference, 1, NULL), 0);
    AUTO(states) struct states *as_ever = drawn_states(estimator, 3, 32);
    AUTO(states) struct states *one_more = drawn_states(estimator, 4, 33);
    AUTO(states) struct states *one_less = drawn_states(estimator, 2, 34);

    struct metric_value value = of_states(as_ever, "estimated_accuracy");
    assert_close(value.value, 0.9, 0.03);
    assert_true(value.error_bound == 0);

    /* Every fourth prediction is of the new class: of that the estimate knows nothing, and says so. */
    value = of_states(one_more, "estimated_accuracy");
    const double realised = of_states(one_more, "accuracy").value;
    assert_true(fabs(value.value - realised) <= value.error_bound);
    assert_true(value.error_bound > 0.1 && value.error_bound < 0.3);
    value = of_states(one_more, "estimated_f1_macro");
    assert_true(fabs(value.value - of_states(one_more, "f1_macro").value) <= value.error_bound);

    value = of_states(one_less, "estimated_accuracy"); /* a class less is no obstacle */
    assert_true(isfinite(value.value) && value.error_bound == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_bytes_keep_all_of_it),
        cmocka_unit_test(the_spreads_are_those_of_the_references_own_outcomes),
        cmocka_unit_test(what_it_cannot_tell_is_null_with_the_reason),
        cmocka_unit_test(scores_that_never_vary_give_numbers_or_reasons_but_no_nan),
        cmocka_unit_test(panes_teach_what_their_rows_would),
        cmocka_unit_test(panes_that_teach_nothing_say_why),
        cmocka_unit_test(panes_of_three_classes_calibrate_each),
        cmocka_unit_test(classes_that_the_reference_does_not_know_are_not_taken_for_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
