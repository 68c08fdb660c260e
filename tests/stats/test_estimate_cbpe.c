/* Estimates without labels against NannyML's on the car-loan data, window by window. */
#include "stats/estimate_cbpe.h"
#include "tests/stats/monitoring.h"

static void fit(const struct monitoring *m, struct cbpe *cbpe)
{
    struct cbpe_sample *samples = calloc(m->reference.n, sizeof(*samples));
    assert_non_null(samples);
    for (size_t i = 0; i < m->reference.n; i++)
        samples[i] =
            (struct cbpe_sample){m->reference.rows[i].score, m->reference.rows[i].label == 1};
    assert_int_equal(cbpe_fit(cbpe, samples, m->reference.n, NULL), 0);
    free(samples);
}

static const struct {
    const char *name;
    size_t at;
} figures[] = {
    {"roc_auc", offsetof(struct cbpe_estimate, roc_auc)},
    {"accuracy", offsetof(struct cbpe_estimate, accuracy)},
    {"f1", offsetof(struct cbpe_estimate, f1)},
    {"precision", offsetof(struct cbpe_estimate, precision)},
    {"recall", offsetof(struct cbpe_estimate, recall)},
    {"specificity", offsetof(struct cbpe_estimate, specificity)},
    {"average_precision", offsetof(struct cbpe_estimate, pr_auc)},
};

enum {
    N_FIGURES = sizeof(figures) / sizeof(figures[0])
};

static double estimated(const struct cbpe_estimate *estimate, int figure)
{
    double value;
    memcpy(&value, (const char *)estimate + figures[figure].at, sizeof(value));
    return value;
}

/* Largest difference from NannyML and from what came true, by figure. */
static bool compare(double theirs[N_FIGURES], double realised[N_FIGURES], uint32_t limit)
{
    AUTO(monitoring) struct monitoring *m = monitoring_read("car_loan");
    if (!m)
        return false;
    struct cbpe cbpe;
    fit(m, &cbpe);
    json_t *window;
    size_t w;
    json_array_foreach(json_object_get(m->expected, "windows"), w, window)
    {
        struct cbpe_window ours;
        struct cbpe_estimate estimate;
        cbpe_window_init(&ours, limit);
        int64_t start = json_integer_value(json_object_get(window, "start"));
        int64_t end = json_integer_value(json_object_get(window, "end"));
        for (size_t i = 0; i < m->stream.n; i++) {
            const struct monitoring_row *row = &m->stream.rows[i];
            if (row->ts_ms >= start && row->ts_ms < end)
                assert_int_equal(cbpe_window_update(&ours, row->score, row->prediction == 1), 0);
        }
        assert_int_equal(cbpe_estimate(&cbpe, &ours, &estimate), 0);
        for (int f = 0; f < N_FIGURES; f++) {
            json_t *value = reference_at(window, "estimated", figures[f].name, "value", NULL);
            json_t *truth = reference_at(window, "metrics", figures[f].name, NULL);
            if (!truth)
                truth = reference_at(window, "metrics", "pr_auc", NULL);
            double ours_is = estimated(&estimate, f);
            theirs[f] = fmax(theirs[f], fabs(ours_is - json_number_value(value)));
            realised[f] = fmax(realised[f], fabs(ours_is - json_number_value(truth)));
        }
        cbpe_window_finish(&ours);
    }
    cbpe_finish(&cbpe);
    return true;
}

static void estimates_equal_nannymls_in_every_window(void **state)
{
    (void)state;
    double theirs[N_FIGURES] = {0}, realised[N_FIGURES] = {0};
    if (!compare(theirs, realised, 650))
        reference_skip("monitoring");
    for (int f = 0; f < N_FIGURES; f++) {
        print_message("%s: NannyML %.2e, realised %.4f\n", figures[f].name, theirs[f], realised[f]);
        assert_true(theirs[f] <= 0.005);
    }
}

static void a_minutes_sketch_of_scores_is_near_enough(void **state)
{
    (void)state;
    double theirs[N_FIGURES] = {0}, realised[N_FIGURES] = {0};
    if (!compare(theirs, realised, 48))
        reference_skip("monitoring");
    assert_true(theirs[0] <= 0.005 && theirs[1] <= 0.005 && theirs[2] <= 0.005);
}

static void a_calibrated_score_is_left_alone_and_a_bad_one_mapped(void **state)
{
    (void)state;
    enum {
        N = 5000
    };
    static struct cbpe_sample good[N], bad[N];
    for (int i = 0; i < N; i++) {
        double p = (i % 100 + 0.5) / 100;
        bool label = (i / 100) % 50 < 50 * p;
        good[i] = (struct cbpe_sample){p, label};
        bad[i] = (struct cbpe_sample){p * p, label};
    }
    struct cbpe a, b;
    assert_int_equal(cbpe_fit(&a, good, N, NULL), 0);
    assert_int_equal(cbpe_fit(&b, bad, N, NULL), 0);
    assert_true(fabs(cbpe_probability(&a, 0.3) - 0.3) < 0.03);
    assert_true(b.calibrated);
    assert_true(fabs(cbpe_probability(&b, 0.09) - 0.3) < 0.03);

    struct buf bytes;
    struct cbpe loaded;
    buf_init(&bytes, 1 << 20);
    cbpe_save(&b, &bytes);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(cbpe_load(&loaded, &in, NULL), 0);
    assert_true(cbpe_probability(&loaded, 0.42) == cbpe_probability(&b, 0.42));
    buf_finish(&bytes);
    cbpe_finish(&a);
    cbpe_finish(&b);
    cbpe_finish(&loaded);
}

static void a_reference_of_one_class_is_refused(void **state)
{
    (void)state;
    struct cbpe_sample samples[] = {{0.1, false}, {0.9, false}};
    struct cbpe cbpe;
    struct err err;
    assert_int_equal(cbpe_fit(&cbpe, samples, 2, &err), ERR_DATA);
    assert_string_equal(err.text, "cbpe: 0 of 2 labelled samples are positive, need both");
}

static void three_classes_are_averaged(void **state)
{
    (void)state;
    struct cbpe_estimate classes[] = {
        {.n = 10, .tp = 4, .f1 = 0.9, .roc_auc = 1},
        {.n = 10, .tp = 2, .f1 = 0.6, .roc_auc = 0.7},
    };
    struct cbpe_estimate macro = cbpe_macro(classes, 2);
    assert_true(fabs(macro.accuracy - 0.6) < 1e-12);
    assert_true(fabs(macro.f1 - 0.75) < 1e-12);
    assert_true(fabs(macro.roc_auc - 0.85) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_equal_nannymls_in_every_window),
        cmocka_unit_test(a_minutes_sketch_of_scores_is_near_enough),
        cmocka_unit_test(a_calibrated_score_is_left_alone_and_a_bad_one_mapped),
        cmocka_unit_test(a_reference_of_one_class_is_refused),
        cmocka_unit_test(three_classes_are_averaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
