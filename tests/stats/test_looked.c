/* Many events at once leave the bits that each of them would have left alone. */
#include "stats/looked.h"

#include <math.h>
#include <stdlib.h>

#include "common/rng.h"
#include "tests/test.h"

enum {
    ROWS = 3000,
    MOST = 24,
    STRIDE = 150
};

static void draw(struct rng *rng, uint32_t k, struct row_value *row)
{
    const double common = rng_normal(rng);
    for (uint32_t f = 0; f < k; f++) {
        row[f] = (struct row_value){.number = common * (double)(f % 3) + rng_normal(rng)};
        if (f % 5 == 4)
            row[f] = (struct row_value){(double)NAN, 1 + rng_below(rng, 6)};
        else if (rng_below(rng, 40) == 0)
            row[f].number = (double)NAN; /* missing */
        else if (rng_below(rng, 200) == 0)
            row[f].number = 1e300;
    }
}

static struct multivariate *fit(struct rng *rng, uint32_t k)
{
    struct multivariate_feature features[MOST] = {{0}};
    struct row_value *rows = malloc(ROWS * k * sizeof(*rows));
    struct multivariate *model = NULL;
    assert_non_null(rows);
    for (uint32_t f = 0; f < k; f++)
        features[f] = (struct multivariate_feature){.name_id = f + 1, .categorical = f % 5 == 4};
    for (int i = 0; i < ROWS; i++) {
        draw(rng, k, rows + (size_t)i * k);
        for (uint32_t f = 0; f < k; f++) /* the reference holds nothing that is far */
            rows[(size_t)i * k + f].number = fmin(rows[(size_t)i * k + f].number, 9);
    }
    assert_int_equal(multivariate_fit(&model, features, k, rows, ROWS, NULL), 0);
    assert_non_null(model->domain);
    free(rows);
    return model;
}

static void look_alone(struct looked *looked, const struct multivariate *model, const double *row)
{
    double coordinates[DOMAIN_COORDINATES];
    int32_t terms[DOMAIN_TERMS];
    const double error = fmin(multivariate_left(model, row), MULTIVARIATE_FARTHEST);
    multivariate_update(&looked->errors, error, 1);
    multivariate_coordinates(model, row, error, coordinates);
    domain_terms(model->domain, coordinates, terms);
    looked->n_terms = model->domain->n_terms;
    for (uint32_t t = 0; t < looked->n_terms; t++)
        looked->terms[t] += terms[t];
}

static void any_number_of_events_leaves_the_bits_of_one_by_one(void **state)
{
    (void)state;
    const uint32_t widths[] = {1, 3, 10, 11, MOST};
    struct rng rng = rng_of(12);
    for (size_t w = 0; w < sizeof(widths) / sizeof(*widths); w++) {
        const uint32_t k = widths[w];
        AUTO(multivariate) struct multivariate *model = fit(&rng, k);
        AUTO_FREE double *columns = calloc((size_t)k * STRIDE, sizeof(*columns));
        assert_non_null(columns);
        for (size_t n = 1; n < STRIDE; n += n < 10 ? 1 : 27) {
            struct looked many = {.reference = 7}, alone = {.reference = 7};
            for (size_t i = 0; i < n; i++) {
                struct row_value values[MOST];
                double row[MOST], room[MOST];
                draw(&rng, k, values);
                for (uint32_t f = 0; f < k; f++) {
                    multivariate_put(model, f, values[f], row);
                    columns[f * STRIDE + i] = row[f];
                    multivariate_standardise(model, f, &row[f], 1);
                }
                assert_true(multivariate_left(model, row) ==
                            multivariate_error(model, values, room));
                look_alone(&alone, model, row);
            }

            for (uint32_t f = 0; f < k; f++)
                multivariate_standardise(model, f, columns + f * STRIDE, n);
            looked_add(&many, model, columns, STRIDE, n);

            assert_int_equal(many.errors.n, n);
            assert_int_equal(many.n_terms, alone.n_terms);
            assert_memory_equal(many.terms, alone.terms, sizeof(many.terms));
            assert_true(many.errors.sum.units == alone.errors.sum.units);
            assert_true(many.errors.square.units == alone.errors.square.units);
        }
    }
}

static void an_event_far_beyond_all_numbers_counts_as_the_farthest(void **state)
{
    (void)state;
    struct rng rng = rng_of(13);
    AUTO(multivariate) struct multivariate *model = fit(&rng, 3);
    const double columns[] = {INFINITY, 0, -INFINITY, 0, 1e200, 0};
    struct looked looked = {.reference = 7};
    struct multivariate_window far = {0};
    multivariate_update(&far, MULTIVARIATE_FARTHEST, 1);

    looked_add(&looked, model, columns, 2, 1);

    assert_true(looked.errors.sum.units == far.sum.units);
    assert_int_equal(looked.terms[0], 3 * 4096);
    assert_int_equal(looked.terms[1], -3 * 4096);
}

static void a_reference_without_a_classifier_gives_errors_alone(void **state)
{
    (void)state;
    struct rng rng = rng_of(14);
    AUTO(multivariate) struct multivariate *model = fit(&rng, 3);
    domain_free(model->domain);
    model->domain = NULL;
    const double columns[] = {0.5, 1, -2};
    struct looked looked = {.reference = 7};

    looked_add(&looked, model, columns, 1, 1);

    assert_int_equal(looked.errors.n, 1);
    assert_int_equal(looked.n_terms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_events_leaves_the_bits_of_one_by_one),
        cmocka_unit_test(an_event_far_beyond_all_numbers_counts_as_the_farthest),
        cmocka_unit_test(a_reference_without_a_classifier_gives_errors_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
