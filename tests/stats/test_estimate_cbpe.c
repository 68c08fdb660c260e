/* Estimates without labels against NannyML's on the car-loan data, window by window. */
#include "common/rng.h"
#include "stats/estimate_cbpe.h"
#include "tests/stats/monitoring.h"

static int ascending(const void *a, const void *b)
{
    const struct score_bin *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

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

/* The bins of the predictions in [from, to). */
static struct score_bin *bins_of(const struct monitoring *m, int64_t from, int64_t to, size_t *n)
{
    struct score_bins scores;
    struct score_bin *bins;
    score_bins_init(&scores, 0);
    for (size_t i = 0; i < m->stream.n; i++) {
        const struct monitoring_row *row = &m->stream.rows[i];
        if (row->ts_ms < from || row->ts_ms >= to)
            continue;
        assert_int_equal(score_bins_room(&scores), 0);
        score_bins_predict(&scores, row->score, row->prediction == 1);
    }
    assert_int_equal(score_bins_list(&scores, &bins, n), 0);
    score_bins_finish(&scores);
    return bins;
}

static void estimates_equal_nannymls_in_every_window(void **state)
{
    (void)state;
    double theirs[N_FIGURES] = {0}, realised[N_FIGURES] = {0};
    AUTO(monitoring) struct monitoring *m = monitoring_read("car_loan");
    if (!m)
        reference_skip("monitoring");
    struct cbpe cbpe;
    fit(m, &cbpe);
    json_t *window;
    size_t w;
    json_array_foreach(json_object_get(m->expected, "windows"), w, window)
    {
        struct cbpe_estimate estimate;
        size_t n;
        struct score_bin *bins = bins_of(m, json_integer_value(json_object_get(window, "start")),
                                         json_integer_value(json_object_get(window, "end")), &n);
        assert_int_equal(cbpe_estimate(&cbpe, bins, n, &estimate), 0);
        assert_true(estimate.roc_auc_bound == 0 && estimate.f1_bound == 0); /* a grid of 0.01 */
        for (int f = 0; f < N_FIGURES; f++) {
            json_t *value = reference_at(window, "estimated", figures[f].name, "value", NULL);
            json_t *truth = reference_at(window, "metrics", figures[f].name, NULL);
            if (!truth)
                truth = reference_at(window, "metrics", "pr_auc", NULL);
            double ours_is = estimated(&estimate, f);
            theirs[f] = fmax(theirs[f], fabs(ours_is - json_number_value(value)));
            realised[f] = fmax(realised[f], fabs(ours_is - json_number_value(truth)));
        }
        free(bins);
    }
    cbpe_finish(&cbpe);
    for (int f = 0; f < N_FIGURES; f++) {
        print_message("%s: NannyML %.2e, realised %.4f\n", figures[f].name, theirs[f], realised[f]);
        assert_true(theirs[f] <= (f == N_FIGURES - 1 ? 1e-3 : 1e-7));
    }
}

/* The same 20,000 scores one by one and in bins: what the bins lose is within their bounds. */
static void bins_of_many_scores_are_off_by_no_more_than_they_say(void **state)
{
    (void)state;
    enum {
        N = 20000
    };
    struct rng rng = rng_of(11);
    struct cbpe_sample *samples = calloc(N, sizeof(*samples));
    struct score_bin *exact = calloc(N, sizeof(*exact)), *bins;
    struct score_bins scores;
    size_t n;
    assert_true(samples && exact);
    score_bins_init(&scores, 0);
    for (int i = 0; i < N; i++) {
        double score = pow(rng_uniform(&rng), 3);
        samples[i] = (struct cbpe_sample){score, rng_uniform(&rng) < sqrt(score)};
        bool flagged = score > 0.3 || i % 50 == 0;
        assert_int_equal(score_bins_room(&scores), 0);
        score_bins_predict(&scores, score, flagged);
        exact[i] = (struct score_bin){score, score, 1, 0, 0, flagged};
    }
    struct cbpe cbpe;
    assert_int_equal(cbpe_fit(&cbpe, samples, N, NULL), 0);
    assert_true(cbpe.calibrated && scores.level > 0);
    assert_int_equal(score_bins_list(&scores, &bins, &n), 0);
    qsort(exact, N, sizeof(*exact), ascending);

    struct cbpe_estimate rough, fine;
    assert_int_equal(cbpe_estimate(&cbpe, bins, n, &rough), 0);
    assert_int_equal(cbpe_estimate(&cbpe, exact, N, &fine), 0);
    assert_true(fine.roc_auc_bound == 0 && rough.roc_auc_bound > 0 && rough.roc_auc_bound < 0.01);
    assert_true(fabs(rough.roc_auc - fine.roc_auc) <= rough.roc_auc_bound);
    assert_true(fabs(rough.tp - fine.tp) <= rough.count_bound);
    assert_true(fabs(rough.f1 - fine.f1) <= rough.f1_bound && rough.f1_bound < 0.005);
    assert_true(fabs(rough.precision - fine.precision) <= rough.precision_bound);
    assert_true(fabs(rough.recall - fine.recall) <= rough.recall_bound);
    assert_true(fabs(rough.specificity - fine.specificity) <= rough.specificity_bound);
    assert_true(fabs(rough.accuracy - fine.accuracy) <= rough.accuracy_bound);
    assert_true(isnan(rough.pr_auc_bound));
    print_message("bounds: roc_auc %.1e (off %.1e), f1 %.1e (off %.1e)\n", rough.roc_auc_bound,
                  fabs(rough.roc_auc - fine.roc_auc), rough.f1_bound, fabs(rough.f1 - fine.f1));
    free(bins);
    free(exact);
    free(samples);
    cbpe_finish(&cbpe);
    score_bins_finish(&scores);
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

static void what_cannot_be_told_is_nan(void **state)
{
    (void)state;
    struct cbpe raw = {0};
    struct score_bin sure[] = {{0, 0, 5, 0, 0, 0}};
    struct cbpe_estimate e;
    assert_int_equal(cbpe_estimate(&raw, NULL, 0, &e), 0);
    assert_true(e.n == 0 && isnan(e.roc_auc) && isnan(e.accuracy) && isnan(e.f1));
    assert_int_equal(cbpe_estimate(&raw, sure, 1, &e), 0);
    assert_true(e.accuracy == 1 && isnan(e.roc_auc) && isnan(e.precision) && isnan(e.recall));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_equal_nannymls_in_every_window),
        cmocka_unit_test(bins_of_many_scores_are_off_by_no_more_than_they_say),
        cmocka_unit_test(a_calibrated_score_is_left_alone_and_a_bad_one_mapped),
        cmocka_unit_test(a_reference_of_one_class_is_refused),
        cmocka_unit_test(what_cannot_be_told_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
