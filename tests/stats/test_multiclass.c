#include "stats/metric_multiclass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum {
    N = 200,
    K = 4
};

static const char *const names[K] = {"ant", "bee", "cat", "dog"};
static const struct metric_setup setup = {TASK_MULTICLASS, 0, 0, NULL};

/* scikit-learn 1.9.1 over the same events: tests/reference/multiclass.py */
static const struct {
    const char *name;
    double value;
} expected[] = {
    {"accuracy", 0.435},
    {"balanced_accuracy", 0.4337066222986068},
    {"mcc", 0.2487469804773334},
    {"cohen_kappa", 0.2476196817364671},
    {"log_loss", 1.1251458858329029},
    {"brier", 0.629818151895068},
    {"top_3_accuracy", 0.935},
    {"roc_auc_ovr_macro", 0.7659344834577405},
    {"roc_auc_ovr_weighted", 0.765945571697173},
    {"precision_macro", 0.4376596792563179},
    {"precision_micro", 0.435},
    {"precision_weighted", 0.44902745713670084},
    {"precision{class=\"ant\"}", 0.35294117647058826},
    {"precision{class=\"bee\"}", 0.36538461538461536},
    {"precision{class=\"cat\"}", 0.4489795918367347},
    {"precision{class=\"dog\"}", 0.5833333333333334},
    {"recall_macro", 0.4337066222986068},
    {"recall_micro", 0.435},
    {"recall_weighted", 0.435},
    {"recall{class=\"ant\"}", 0.43902439024390244},
    {"recall{class=\"bee\"}", 0.41304347826086957},
    {"recall{class=\"cat\"}", 0.4},
    {"recall{class=\"dog\"}", 0.4827586206896552},
    {"f1_macro", 0.43260956493406977},
    {"f1_micro", 0.435},
    {"f1_weighted", 0.4389547657897008},
    {"f1{class=\"ant\"}", 0.391304347826087},
    {"f1{class=\"bee\"}", 0.3877551020408163},
    {"f1{class=\"cat\"}", 0.4230769230769231},
    {"f1{class=\"dog\"}", 0.5283018867924528},
    {"ece", 0.035260010918516625},
    {"confidence_mean", 0.41467882678807955},
};

static uint64_t id_of(int class)
{
    return class_id(names[class], strlen(names[class]));
}

static int by_id(const void *a, const void *b)
{
    const uint64_t x = ((const struct class_score *)a)->class_id;
    const uint64_t y = ((const struct class_score *)b)->class_id;
    return (x > y) - (x < y);
}

/* The events of tests/reference/multiclass.py. */
static struct states *two_hundred_events(void)
{
    struct states *states = NULL;
    uint64_t x = 12345;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < N; i++) {
        int draws[K + 2], total = 0, best = 0;
        for (int j = 0; j < K + 2; j++) {
            x = (x * 1103515245 + 12345) % (UINT64_C(1) << 31);
            draws[j] = (int)(x / 65536 % 1000);
        }
        const int label = draws[K] % K;
        for (int j = 0; j < K; j++) {
            draws[j] += 1 + (j == label ? 300 : 0);
            total += draws[j];
            best = draws[j] > draws[best] ? j : best;
        }
        struct class_score scores[K];
        for (int j = 0; j < K; j++)
            scores[j] = (struct class_score){id_of(j), (double)draws[j] / total};
        qsort(scores, K, sizeof(scores[0]), by_id);
        const double none = (double)NAN;
        const struct sample sample = {
            .latency_ms = none,
            .score = none,
            .value = none,
            .predicted = id_of(draws[K + 1] % 5 ? best : draws[K + 1] / 5 % K),
            .scores = scores,
            .n_scores = K,
            .label_class = id_of(label),
            .label_value = none,
        };
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    return states;
}

static struct metric_value value_of(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    if (metric_find(&ref, name, TASK_MULTICLASS, &err))
        fail_msg("%s", err.text);
    metric_result(states, &ref, MINUTE, &value);
    return value;
}

static void every_metric_is_scikit_learns(void **state)
{
    (void)state;
    AUTO(states) struct states *states = two_hundred_events();
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct metric_value value = value_of(states, expected[i].name);
        if (!(fabs(value.value - expected[i].value) <= 1e-9 * fabs(expected[i].value)))
            fail_msg("%s is %.17g, not %.17g", expected[i].name, value.value, expected[i].value);
        assert_close(value.error_bound, 0, 0);
        if (!isnan(value.lower)) {
            assert_true(value.lower <= value.value && value.value <= value.upper);
            assert_true(value.upper - value.lower < 0.4);
        }
    }
}

static void the_matrix_can_be_read_cell_by_cell(void **state)
{
    (void)state;
    AUTO(states) struct states *states = two_hundred_events();
    const struct multiclass_state *s = states_get(states, &multiclass_kind);
    int64_t all = 0, right = 0;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            const int64_t n = multiclass_count(s, id_of(i), id_of(j));
            all += n;
            right += i == j ? n : 0;
        }
    assert_int_equal(all, N);
    assert_close((double)right / N, value_of(states, "accuracy").value, 0);
    assert_int_equal(multiclass_class(s, id_of(0))->id, id_of(0));
}

/* Four equal scores, one label of each class, k = 3: three of four, as scikit-learn counts. */
static void ties_at_the_third_place_are_not_all_hits(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    struct class_score scores[K];
    for (int j = 0; j < K; j++)
        scores[j] = (struct class_score){id_of(j), 0.25};
    qsort(scores, K, sizeof(scores[0]), by_id);
    for (int j = 0; j < K; j++) {
        const struct sample sample = {
            .latency_ms = (double)NAN, .scores = scores, .n_scores = K, .label_class = id_of(j)};
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    assert_close(value_of(states, "top_3_accuracy").value, 0.75, 0);
    assert_close(value_of(states, "roc_auc_ovr_macro").value, 0.5, 0);
    assert_close(value_of(states, "accuracy").value, 0.25, 0); /* the highest score's class */
    assert_true(isnan(value_of(states, "prediction_mean").value));
    assert_string_equal(value_of(states, "positive_rate").why,
                        "only binary models have a positive class");
    assert_string_equal(value_of(states, "precision{class=\"cow\"}").why,
                        "nothing labelled was predicted as this class");
}

static void more_classes_than_are_kept_count_as_one_other(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < 300; i++) {
        char name[16];
        const int n = snprintf(name, sizeof(name), "c%d", i);
        const uint64_t id = class_id(name, (size_t)n);
        const struct sample sample = {
            .latency_ms = (double)NAN, .predicted = id, .label_class = id};
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    const struct multiclass_state *s = states_get(states, &multiclass_kind);
    assert_int_equal(s->n, 257);
    assert_int_equal(multiclass_class(s, MULTICLASS_OTHER)->truth, 44);
    assert_int_equal(multiclass_count(s, MULTICLASS_OTHER, MULTICLASS_OTHER), 44);
    assert_close(value_of(states, "accuracy").value, 1, 0);
    assert_string_equal(value_of(states, "roc_auc_ovr_macro").why,
                        "more classes than are kept apart");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_scikit_learns),
        cmocka_unit_test(the_matrix_can_be_read_cell_by_cell),
        cmocka_unit_test(ties_at_the_third_place_are_not_all_hits),
        cmocka_unit_test(more_classes_than_are_kept_count_as_one_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
