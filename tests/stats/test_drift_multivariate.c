/* Reconstruction errors against NannyML's, window by window. */
#include "common/rng.h"
#include "stats/drift_multivariate.h"
#include "tests/stats/monitoring.h"

static uint32_t columns_of(const struct monitoring *m, struct multivariate_feature *features)
{
    uint32_t k = 0;
    for (uint32_t f = 0; f < m->n_features; f++) {
        if (m->names[f][0] != '@')
            features[k++] = (struct multivariate_feature){.name_id = m->features[f].name_id,
                                                          .categorical = m->features[f].kind ==
                                                                         PROFILE_CATEGORICAL};
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
    }
}

static struct multivariate *fit(const struct monitoring *m)
{
    struct multivariate_feature features[MONITORING_FEATURES];
    uint32_t k = columns_of(m, features);
    struct row_value *rows = calloc(m->reference.n * k, sizeof(*rows));
    struct multivariate *model = NULL;
    assert_non_null(rows);
    for (size_t i = 0; i < m->reference.n; i++)
        row_of(m, &m->reference.rows[i], rows + i * k);
    assert_int_equal(multivariate_fit(&model, features, k, rows, m->reference.n, NULL), 0);
    free(rows);
    return model;
}

static void errors_equal_nannymls(const char *set, double tolerance)
{
    AUTO(monitoring) struct monitoring *m = monitoring_read(set);
    if (!m)
        reference_skip("monitoring");
    AUTO(multivariate) struct multivariate *model = fit(m);
    assert_int_equal(model->n_components,
                     json_integer_value(json_object_get(m->expected, "pca_components")));
    json_t *window;
    size_t w;
    double worst = 0;
    int drifted = 0, alerts = 0;
    json_array_foreach(json_object_get(m->expected, "windows"), w, window)
    {
        struct multivariate_window ours = {0};
        int64_t start = json_integer_value(json_object_get(window, "start"));
        int64_t end = json_integer_value(json_object_get(window, "end"));
        for (size_t i = 0; i < m->stream.n; i++) {
            struct row_value values[MONITORING_FEATURES];
            double room[2 * MONITORING_FEATURES];
            if (m->stream.rows[i].ts_ms < start || m->stream.rows[i].ts_ms >= end)
                continue;
            row_of(m, &m->stream.rows[i], values);
            multivariate_update(&ours, multivariate_error(model, values, room), 1);
        }
        struct multivariate_drift drift = multivariate_result(model, &ours, 0.0027);
        json_t *theirs = reference_at(window, "reconstruction_error", "value", NULL);
        worst = fmax(worst, fabs(drift.reconstruction_error - json_number_value(theirs)));
        drifted += drift.drifted;
        alerts += json_is_true(reference_at(window, "reconstruction_error", "alert", NULL));
    }
    print_message("%s: largest difference %.1e; drifted %d, NannyML's alerts %d\n", set, worst,
                  drifted, alerts);
    assert_true(worst <= tolerance);
}

static void car_loan_equals_nannyml(void **state)
{
    (void)state;
    errors_equal_nannymls("car_loan", 1e-9);
}

static void car_price_equals_nannyml(void **state)
{
    (void)state;
    errors_equal_nannymls("car_price", 1e-9);
}

static void order_changes_nothing_and_bytes_keep_all(void **state)
{
    (void)state;
    struct multivariate_feature features[] = {
        {.name_id = 1}, {.name_id = 2, .categorical = true}, {.name_id = 3}};
    struct row_value rows[300];
    for (int i = 0; i < 100; i++) {
        rows[3 * i] = (struct row_value){i % 7 ? i * 0.5 : (double)NAN, 0};
        rows[3 * i + 1] = (struct row_value){0, (uint64_t)(i % 5 == 0) + 1};
        rows[3 * i + 2] = (struct row_value){i * i % 11, 0};
    }
    AUTO(multivariate) struct multivariate *model = NULL, *loaded = NULL;
    assert_int_equal(multivariate_fit(&model, features, 3, rows, 100, NULL), 0);
    struct multivariate_window up = {0}, down = {0};
    double room[4];
    for (int i = 0; i < 100; i++) {
        multivariate_update(&up, multivariate_error(model, &rows[3 * i], room), 1);
        multivariate_update(&down, multivariate_error(model, &rows[3 * (99 - i)], room), 1);
    }
    assert_memory_equal(&up.sum, &down.sum, sizeof(up.sum));
    assert_memory_equal(&up.square, &down.square, sizeof(up.square));
    /* The rows that it was fitted on are rebuilt better than the band allows for. */
    struct multivariate_drift own = multivariate_result(model, &up, 0.01);
    assert_true(own.reconstruction_error < (own.lower + own.threshold) / 2);
    assert_true(own.p_value >= 0 && own.p_value <= 1);

    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    multivariate_save(model, &bytes);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(multivariate_load(&loaded, &in, NULL), 0);
    assert_true(multivariate_error(loaded, &rows[6], room) ==
                multivariate_error(model, &rows[6], room));
    assert_int_equal(loaded->domain->n_terms, 3); /* too few rows for products */

    /* Bytes from before there was a domain classifier end where it begins. */
    AUTO(multivariate) struct multivariate *old = NULL;
    struct buf domain;
    buf_init(&domain, 1 << 16);
    domain_save(model->domain, &domain);
    in = reader_of(bytes.data, bytes.size - domain.size - 1 - sizeof(double));
    assert_int_equal(multivariate_load(&old, &in, NULL), 0);
    assert_null(old->domain);
    assert_true(old->reference_skewness == 0);
    struct reader cut = reader_of(bytes.data, bytes.size - domain.size - 1);
    AUTO(multivariate) struct multivariate *broken = NULL;
    assert_int_equal(multivariate_load(&broken, &cut, NULL), ERR_CORRUPT);
    assert_true(old->reference_mean == model->reference_mean);
    buf_finish(&domain);
    buf_finish(&bytes);
}

static void values_put_one_by_one_give_the_error_of_the_row(void **state)
{
    (void)state;
    enum {
        K = 9,
        ROWS = 60
    };
    struct multivariate_feature features[K] = {{0}};
    struct row_value rows[ROWS * K];
    struct rng rng = rng_of(3);
    for (uint32_t f = 0; f < K; f++)
        features[f] = (struct multivariate_feature){.name_id = f + 1, .categorical = f == 2};
    for (int i = 0; i < ROWS * K; i++)
        rows[i] = (struct row_value){rng_normal(&rng), rng_below(&rng, 3) + 1};
    AUTO(multivariate) struct multivariate *model = NULL;
    assert_int_equal(multivariate_fit(&model, features, K, rows, ROWS, NULL), 0);
    assert_true(model->n_components % MULTIVARIATE_BLOCK != 0); /* the last block is not full */

    for (int i = 0; i < ROWS; i++) {
        struct row_value row[K];
        memcpy(row, &rows[i * K], sizeof(row));
        const uint32_t without = (uint32_t)i % K;
        row[without] = (struct row_value){.number = (double)NAN};
        double room[K], put[K];
        multivariate_start(model, put);
        for (uint32_t f = K; f-- > 0;)
            if (f != without)
                multivariate_put(model, f, row[f], put);
        for (uint32_t f = 0; f < K; f++)
            multivariate_standardise(model, f, &put[f], 1);

        assert_true(multivariate_left(model, put) == multivariate_error(model, row, room));

        /* what the components say, written down plainly */
        double square = 0;
        for (uint32_t f = 0; f < K; f++)
            square += put[f] * put[f];
        for (uint32_t c = 0; c < model->n_components; c++) {
            double dot = 0;
            for (uint32_t f = 0; f < K; f++)
                dot += put[f] * model->components[f * model->n_components + c];
            square -= dot * dot;
        }
        assert_float_equal(multivariate_left(model, put), sqrt(square), 1e-12);
    }
}

/* Of twelve features: the scores of the components, largest first, and the error. */
static void many_features_are_told_apart_by_their_components(void **state)
{
    (void)state;
    enum {
        K = 12,
        N = 3000
    };
    struct multivariate_feature features[K];
    struct row_value *rows = calloc((size_t)N * K, sizeof(*rows));
    struct rng rng = rng_of(3);
    double room[K], coordinates[DOMAIN_COORDINATES];
    AUTO(multivariate) struct multivariate *model = NULL;
    assert_non_null(rows);
    for (int f = 0; f < K; f++)
        features[f] = (struct multivariate_feature){.name_id = (uint64_t)f + 1};
    for (int i = 0; i < N * K; i++)
        rows[i].number = rng_normal(&rng) + (i % K % 2 ? 0.7 * rows[i - 1].number : 0);
    assert_int_equal(multivariate_fit(&model, features, K, rows, N, NULL), 0);

    const double error = multivariate_error(model, rows, room);
    const uint32_t k = multivariate_coordinates(model, room, error, coordinates);

    assert_int_equal(k, model->n_directions + 1);
    assert_int_equal(model->domain->n_coordinates, k);
    double whole = 0, of_scores = 0;
    for (int f = 0; f < K; f++)
        whole += room[f] * room[f];
    for (uint32_t c = 0; c < k; c++)
        of_scores += coordinates[c] * coordinates[c];
    assert_true(of_scores > 0 &&
                of_scores < 2 * whole); /* directions of other rows overlap the error */
    assert_true(coordinates[k - 1] == error);

    AUTO(multivariate) struct multivariate *loaded = NULL, *old = NULL, *cut = NULL;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    multivariate_save(model, &bytes);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(multivariate_load(&loaded, &in, NULL), 0);
    assert_memory_equal(loaded->directions, model->directions, K * (k - 1) * sizeof(double));
    in = reader_of(bytes.data, bytes.size - 1);
    assert_int_equal(multivariate_load(&cut, &in, NULL), ERR_CORRUPT);
    /* One from before there were directions looks along its components, and its sums are others. */
    in = reader_of(bytes.data, bytes.size - K * (k - 1) * sizeof(double) - 1);
    assert_int_equal(multivariate_load(&old, &in, NULL), 0);
    assert_int_equal(multivariate_coordinates(old, room, error, coordinates),
                     model->n_components + 1);
    of_scores = 0;
    for (uint32_t c = 0; c <= old->n_components; c++)
        of_scores += coordinates[c] * coordinates[c];
    assert_close(of_scores, whole, 1e-9); /* the scores and the error are all of it */
    assert_true(multivariate_domain_id(model, 6) != multivariate_domain_id(old, 6));
    buf_finish(&bytes);
    free(rows);
}

/* Independent samples of the same law: few windows may be called drifted, and a moved one must. */
static void windows_like_the_reference_are_rarely_called_drifted(void **state)
{
    (void)state;
    enum {
        N = 2000,
        K = 6,
        WINDOWS = 200
    };
    struct multivariate_feature features[K];
    struct row_value *rows = calloc((size_t)N * K, sizeof(*rows));
    struct rng rng = rng_of(5);
    double room[2 * K];
    int alarms = 0;
    assert_non_null(rows);
    for (int f = 0; f < K; f++)
        features[f] = (struct multivariate_feature){.name_id = (uint64_t)f + 1};
    for (int i = 0; i < N; i++)
        for (int f = 0; f < K; f++)
            rows[i * K + f].number = rng_exponential(&rng, 1) + (f ? rows[i * K].number : 0);
    AUTO(multivariate) struct multivariate *model = NULL;
    assert_int_equal(multivariate_fit(&model, features, K, rows, N, NULL), 0);
    free(rows);
    for (int w = 0; w <= WINDOWS; w++) {
        struct multivariate_window window = {0};
        for (int i = 0; i < 500; i++) {
            struct row_value row[K];
            for (int f = 0; f < K; f++) { /* the last window: the features part company */
                row[f].number = rng_exponential(&rng, 1);
                row[f].number += f && w < WINDOWS ? row[0].number
                                 : f              ? rng_exponential(&rng, 1)
                                                  : 0;
            }
            multivariate_update(&window, multivariate_error(model, row, room), 1);
        }
        if (w < WINDOWS)
            alarms += multivariate_result(model, &window, 0.05).drifted;
        else
            assert_true(multivariate_result(model, &window, 0.001).drifted);
    }
    print_message("%d of %d windows called drifted, 10 promised\n", alarms, WINDOWS);
    assert_true(alarms <= 20);
}

/* What a stream of its own law is called, of windows of which nothing drifted; the last of them is moved. */
struct calls {
    int windows, rebuilt, classified, lower, found_rebuilt, found_classified;
};

typedef void draw_row(struct rng *rng, struct row_value *row, uint32_t k);

enum {
    MOST_FEATURES = 40
};

static void take_window(const struct multivariate *model, struct rng *rng, draw_row *draw, int n,
                        double shift, struct calls *calls)
{
    struct multivariate_window window = {0};
    int64_t sums[DOMAIN_TERMS] = {0};
    for (int i = 0; i < n; i++) {
        struct row_value row[MOST_FEATURES];
        double room[MOST_FEATURES], coordinates[DOMAIN_COORDINATES];
        int32_t terms[DOMAIN_TERMS];
        draw(rng, row, model->n_features);
        for (uint32_t f = 0; f < model->n_features; f++)
            row[f].number += shift;
        const double error = multivariate_error(model, row, room);
        multivariate_update(&window, error, 1);
        multivariate_coordinates(model, room, error, coordinates);
        domain_terms(model->domain, coordinates, terms);
        for (uint32_t t = 0; t < model->domain->n_terms; t++)
            sums[t] += terms[t];
    }
    const struct multivariate_drift drift = multivariate_result(model, &window, 0.05);
    const bool classified = domain_result(model->domain, sums, n, 0.05).drifted;
    calls->windows += shift == 0;
    calls->rebuilt += shift == 0 && drift.drifted;
    calls->classified += shift == 0 && classified;
    calls->lower += drift.reconstruction_error < drift.lower;
    calls->found_rebuilt += shift != 0 && drift.drifted;
    calls->found_classified += shift != 0 && classified;
}

static struct calls play(uint64_t seed, draw_row *draw, const struct multivariate_feature *features,
                         uint32_t k, int n_rows, int references)
{
    struct calls calls = {0};
    struct row_value *rows = calloc((size_t)n_rows * k, sizeof(*rows));
    assert_non_null(rows);
    for (int r = 0; r < references; r++) {
        struct rng rng = rng_of(seed + (uint64_t)r);
        AUTO(multivariate) struct multivariate *model = NULL;
        for (int i = 0; i < n_rows; i++)
            draw(&rng, rows + (size_t)i * k, k);
        assert_int_equal(multivariate_fit(&model, features, k, rows, (size_t)n_rows, NULL), 0);
        for (int w = 0; w < 20; w++)
            take_window(model, &rng, draw, 300, 0, &calls);
        take_window(model, &rng, draw, 300, 0.6, &calls);
    }
    free(rows);
    print_message("of %d windows %d rebuilt otherwise, %d told apart; moved: %d and %d\n",
                  calls.windows, calls.rebuilt, calls.classified, calls.found_rebuilt,
                  calls.found_classified);
    return calls;
}

static void draw_numbers(struct rng *rng, struct row_value *row, uint32_t k)
{
    for (uint32_t f = 0; f < k; f++)
        row[f] = (struct row_value){.number = rng_normal(rng)};
}

static void draw_places(struct rng *rng, struct row_value *row, uint32_t k)
{
    draw_numbers(rng, row, k);
    row[0] = (struct row_value){.category = 1 + rng_below(rng, 500)};
}

static void draw_money(struct rng *rng, struct row_value *row, uint32_t k)
{
    for (uint32_t f = 0; f < k; f++) /* Pareto's law, of no variance */
        row[f] = (struct row_value){.number = pow(1 - rng_uniform(rng), -1 / 1.5)};
}

/* Which directions their components are is chance, and fits the rows that they were made of alone. */
static void many_features_of_nothing_in_common_are_rarely_called_drifted(void **state)
{
    (void)state;
    struct multivariate_feature features[MOST_FEATURES];
    for (uint32_t f = 0; f < MOST_FEATURES; f++)
        features[f] = (struct multivariate_feature){.name_id = f + 1};
    const struct calls calls = play(31, draw_numbers, features, MOST_FEATURES, 800, 5);
    assert_true(calls.rebuilt <= 10 && calls.classified <= 10); /* of 100, 5 promised */
    assert_true(calls.found_rebuilt == 5 && calls.found_classified == 5);
}

/* Of rows that stand for their category themselves none is rare. */
static void categories_that_few_rows_have_are_rarely_called_drifted(void **state)
{
    (void)state;
    struct multivariate_feature features[4] = {{.name_id = 1, .categorical = true}};
    for (uint32_t f = 1; f < 4; f++)
        features[f] = (struct multivariate_feature){.name_id = f + 1};
    const struct calls calls = play(32, draw_places, features, 4, 3000, 15);
    assert_true(calls.rebuilt <= 30 && calls.classified <= 30); /* of 300, 15 promised */
    assert_int_equal(calls.found_classified, 15);
}

static void a_window_without_the_largest_values_is_no_drift(void **state)
{
    (void)state;
    struct multivariate_feature features[3];
    for (uint32_t f = 0; f < 3; f++)
        features[f] = (struct multivariate_feature){.name_id = f + 1};
    const struct calls calls = play(33, draw_money, features, 3, 3000, 10);
    assert_true(calls.rebuilt <= 20 && calls.lower <= 5); /* of 200 */
}

/* Two features that have nothing to do with each other: both components are needed, and nothing is left. */
static void where_components_rebuild_all_nothing_drifts(void **state)
{
    (void)state;
    enum {
        N = 1000
    };
    struct multivariate_feature features[] = {{.name_id = 1}, {.name_id = 2}};
    struct row_value rows[2 * N], gone[2] = {{.number = 1}, {.number = -3}};
    struct rng rng = rng_of(2);
    double room[2];
    for (int i = 0; i < 2 * N; i++)
        rows[i].number = rng_normal(&rng);
    AUTO(multivariate) struct multivariate *model = NULL, *twins = NULL;
    assert_int_equal(multivariate_fit(&model, features, 2, rows, N, NULL), 0);
    assert_int_equal(model->n_components, 2);
    struct multivariate_window window = {0};
    for (int i = 0; i < 300; i++) {
        struct row_value row[] = {{.number = rng_normal(&rng)}, {.number = rng_normal(&rng)}};
        multivariate_update(&window, multivariate_error(model, row, room), 1);
    }
    struct multivariate_drift drift = multivariate_result(model, &window, 0.05);
    assert_true(drift.reconstruction_error == 0 && !drift.drifted);

    /* Of a reference that was loaded before, what rounding left is still there. */
    model->reference_mean = 1.4e-8;
    assert_false(multivariate_result(model, &window, 0.05).drifted);

    /* Twins that part company: once may happen, five times of 300 not when it never did in 1,000. */
    for (int i = 0; i < N; i++)
        rows[2 * i + 1].number = 2 * rows[2 * i].number;
    assert_int_equal(multivariate_fit(&twins, features, 2, rows, N, NULL), 0);
    multivariate_update(&window, multivariate_error(twins, gone, room), 1);
    drift = multivariate_result(twins, &window, 0.05);
    assert_true(drift.reconstruction_error > 0 && !drift.drifted);
    assert_close(drift.p_value, 301.0 / 1301, 1e-9);
    for (int i = 0; i < 4; i++)
        multivariate_update(&window, multivariate_error(twins, gone, room), 1);
    assert_true(multivariate_result(twins, &window, 0.05).drifted);
}

static void nothing_that_comes_gives_no_number(void **state)
{
    (void)state;
    struct multivariate_feature features[] = {{.name_id = 1}, {.name_id = 2, .categorical = true}};
    struct row_value rows[60];
    for (int i = 0; i < 30; i++) {
        rows[2 * i] = (struct row_value){i, 0};
        rows[2 * i + 1] = (struct row_value){0, (uint64_t)(i % 4 == 0) + 1};
    }
    AUTO(multivariate) struct multivariate *model = NULL;
    assert_int_equal(multivariate_fit(&model, features, 2, rows, 30, NULL), 0);
    struct row_value odd[][2] = {{{1e308, 0}, {0, 1}},
                                 {{-1e308, 0}, {0, 9}},
                                 {{(double)NAN, 0}, {0, 0}},
                                 {{(double)INFINITY, 0}, {0, 1}},
                                 {{4.9e-324, 77}, {1e308, 0}}};
    struct multivariate_window window = {0}, empty = {0};
    double room[4];
    assert_true(multivariate_error(model, odd[0], room) == MULTIVARIATE_FARTHEST);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        multivariate_update(&window, multivariate_error(model, odd[i], room), 1);
    struct multivariate_drift drift = multivariate_result(model, &window, 0.01);
    assert_true(isfinite(drift.reconstruction_error) && !drift.drifted); /* two, after 30 of none */
    assert_true(multivariate_result(model, &window, 0.05).drifted);
    assert_true(isnan(multivariate_result(model, &empty, 0.01).reconstruction_error));
}

static void what_cannot_be_fitted_is_refused(void **state)
{
    (void)state;
    struct multivariate_feature feature = {.name_id = 1};
    struct row_value rows[] = {{3, 0}, {3, 0}};
    struct multivariate *model = NULL;
    struct err err;
    assert_int_equal(multivariate_fit(&model, &feature, 1, rows, 1, &err), ERR_DATA);
    assert_string_equal(err.text, "multivariate drift: 1 rows of 1 features cannot be fitted");
    assert_int_equal(multivariate_fit(&model, &feature, 1, rows, 2, &err), ERR_DATA);
    assert_string_equal(err.text, "multivariate drift: no feature varies in 2 rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(car_loan_equals_nannyml),
        cmocka_unit_test(car_price_equals_nannyml),
        cmocka_unit_test(order_changes_nothing_and_bytes_keep_all),
        cmocka_unit_test(values_put_one_by_one_give_the_error_of_the_row),
        cmocka_unit_test(many_features_are_told_apart_by_their_components),
        cmocka_unit_test(windows_like_the_reference_are_rarely_called_drifted),
        cmocka_unit_test(many_features_of_nothing_in_common_are_rarely_called_drifted),
        cmocka_unit_test(categories_that_few_rows_have_are_rarely_called_drifted),
        cmocka_unit_test(a_window_without_the_largest_values_is_no_drift),
        cmocka_unit_test(where_components_rebuild_all_nothing_drifts),
        cmocka_unit_test(nothing_that_comes_gives_no_number),
        cmocka_unit_test(what_cannot_be_fitted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
