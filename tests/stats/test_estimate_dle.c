/* The expected error of the car-price model, against what came true and beside NannyML's. */
#include "stats/estimate_dle.h"
#include "tests/stats/monitoring.h"

/* All features, and the prediction. */
static uint32_t columns_of(const struct monitoring *m, struct dle_feature *features)
{
    uint32_t k = 0;
    for (uint32_t f = 0; f < m->n_features; f++) {
        if (m->names[f][0] != '@' || strcmp(m->names[f], "@prediction") == 0)
            features[k++] =
                (struct dle_feature){.name_id = m->features[f].name_id,
                                     .categorical = m->features[f].kind == PROFILE_CATEGORICAL};
    }
    return k;
}

static void row_of(const struct monitoring *m, const struct monitoring_row *row,
                   struct row_value *out)
{
    uint32_t k = 0;
    for (uint32_t f = 0; f < m->n_features; f++) {
        if (m->names[f][0] != '@')
            out[k++] = (struct row_value){row->value[f], row->category[f]};
        else if (strcmp(m->names[f], "@prediction") == 0)
            out[k++] = (struct row_value){row->prediction, 0};
    }
}

static struct dle *fit(const struct monitoring *m)
{
    struct dle_feature features[MONITORING_FEATURES];
    uint32_t k = columns_of(m, features);
    struct row_value *rows = calloc(m->reference.n * k, sizeof(*rows));
    double *errors = calloc(m->reference.n, sizeof(*errors));
    struct dle *dle = NULL;
    assert_true(rows && errors);
    for (size_t i = 0; i < m->reference.n; i++) {
        row_of(m, &m->reference.rows[i], rows + i * k);
        errors[i] = m->reference.rows[i].prediction - m->reference.rows[i].label;
    }
    assert_int_equal(dle_fit(&dle, features, k, rows, errors, m->reference.n, NULL), 0);
    free(rows);
    free(errors);
    return dle;
}

/* Where NannyML's estimate lies within 3 sampling errors of the truth, ours should too. */
static void estimates_follow_what_came_true(void **state)
{
    (void)state;
    AUTO(monitoring) struct monitoring *m = monitoring_read("car_price");
    if (!m)
        reference_skip("monitoring");
    AUTO(dle) struct dle *dle = fit(m);
    json_t *window;
    size_t w;
    double ours_off = 0, theirs_off = 0, apart = 0;
    json_array_foreach(json_object_get(m->expected, "windows"), w, window)
    {
        double absolute = 0, square = 0, n = 0;
        int64_t start = json_integer_value(json_object_get(window, "start"));
        int64_t end = json_integer_value(json_object_get(window, "end"));
        for (size_t i = 0; i < m->stream.n; i++) {
            struct row_value values[MONITORING_FEATURES];
            if (m->stream.rows[i].ts_ms < start || m->stream.rows[i].ts_ms >= end)
                continue;
            row_of(m, &m->stream.rows[i], values);
            double a, s;
            dle_expect(dle, values, &a, &s);
            absolute += a;
            square += s;
            n++;
        }
        double mae = absolute / n, root = sqrt(square / n);
        double truth = json_number_value(reference_at(window, "metrics", "mae", NULL));
        double theirs = json_number_value(reference_at(window, "estimated", "mae", "value", NULL));
        double rmse = json_number_value(reference_at(window, "metrics", "rmse", NULL));
        print_message("window %zu: mae ours %.1f, NannyML %.1f, realised %.1f; rmse ours %.1f, "
                      "realised %.1f\n",
                      w, mae, theirs, truth, root, rmse);
        ours_off += fabs(mae - truth);
        theirs_off += fabs(theirs - truth);
        apart = fmax(apart, fabs(mae / theirs - 1));
    }
    print_message("mean distance from the truth: ours %.1f, NannyML %.1f; apart by %.3f at most\n",
                  ours_off / 10, theirs_off / 10, apart);
    assert_true(ours_off <= 1.25 * theirs_off);
    assert_true(apart < 0.05);
}

static void an_error_that_grows_with_a_feature_is_learned(void **state)
{
    (void)state;
    enum {
        N = 4000
    };
    static struct row_value rows[2 * N];
    static double errors[N];
    for (int i = 0; i < N; i++) {
        double x = i % 100;
        rows[2 * i] = (struct row_value){i % 50 ? x : (double)NAN, 0};
        rows[2 * i + 1] = (struct row_value){0, (uint64_t)(i % 3) + 1};
        errors[i] = (i % 2 ? 1 : -1) * (x / 10 + (i % 3 == 0 ? 5 : 0));
    }
    struct dle_feature features[] = {{.name_id = 1}, {.name_id = 2, .categorical = true}};
    AUTO(dle) struct dle *dle = NULL, *loaded = NULL;
    assert_int_equal(dle_fit(&dle, features, 2, rows, errors, N, NULL), 0);

    double near, far, again, square;
    struct row_value low[] = {{5, 0}, {0, 2}}, high[] = {{95, 0}, {0, 1}};
    dle_expect(dle, low, &near, &square);
    assert_true(fabs(near - 0.5) < 0.5);
    dle_expect(dle, high, &far, &square);
    assert_true(fabs(far - 14.5) < 1);
    assert_true(fabs(sqrt(square) - 14.5) < 1);

    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    dle_save(dle, &bytes);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(dle_load(&loaded, &in, NULL), 0);
    dle_expect(loaded, high, &again, &square);
    assert_true(again == far);

    struct row_value odd[] = {{1e308, 7}, {5, 0}}, missing[] = {{(double)NAN, 0}, {0, 99}};
    dle_expect(dle, odd, &again, &square);
    assert_true(isfinite(again) && isfinite(square));
    dle_expect(dle, missing, &again, &square);
    assert_true(isfinite(again) && isfinite(square));
    buf_finish(&bytes);
}

/* A feature that never missed in the reference is no more than ordinarily wrong where it does. */
static void a_value_that_never_missed_counts_as_the_middle_one(void **state)
{
    (void)state;
    enum {
        N = 4000
    };
    static struct row_value rows[2 * N];
    static double errors[N];
    for (int i = 0; i < N; i++) {
        const double x = i % 100;
        rows[2 * i] = (struct row_value){x, 0};
        rows[2 * i + 1] = (struct row_value){0, (uint64_t)(i % 3) + 1};
        errors[i] = (i % 2 ? 1 : -1) * x / 10; /* 0 to 9.9, 4.95 on average */
    }
    struct dle_feature features[] = {{.name_id = 1}, {.name_id = 2, .categorical = true}};
    AUTO(dle) struct dle *dle = NULL, *loaded = NULL;
    assert_int_equal(dle_fit(&dle, features, 2, rows, errors, N, NULL), 0);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    dle_save(dle, &bytes);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(dle_load(&loaded, &in, NULL), 0);
    buf_finish(&bytes);

    const struct row_value missing[] = {{(double)NAN, 0}, {0, 99}};
    double absolute, again, square;
    dle_expect(dle, missing, &absolute, &square);
    assert_close(absolute, 4.95, 0.7);
    dle_expect(loaded, missing, &again, &square);
    assert_true(again == absolute);
}

static void too_few_rows_are_refused(void **state)
{
    (void)state;
    struct dle_feature feature = {.name_id = 1};
    struct row_value rows[5] = {{1, 0}};
    double errors[5] = {1, 2, 3, 4, 5};
    struct dle *dle = NULL;
    struct err err;
    assert_int_equal(dle_fit(&dle, &feature, 1, rows, errors, 5, &err), ERR_DATA);
    assert_string_equal(err.text, "dle: 5 labelled rows of 1 features, 100 rows at least");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_follow_what_came_true),
        cmocka_unit_test(an_error_that_grows_with_a_feature_is_learned),
        cmocka_unit_test(a_value_that_never_missed_counts_as_the_middle_one),
        cmocka_unit_test(too_few_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
