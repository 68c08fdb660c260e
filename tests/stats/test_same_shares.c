#include "stats/same_shares.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "stats/drift_threshold.h"
#include "tests/test.h"

enum {
    COLUMNS = 4,
    CATEGORIES = 61,
    M = 1000,
    N = 5000,
    REFERENCES = 2000
};

/* --- every table --- */

static const int events[COLUMNS] = {40, 25, 20, 15};

static double log_ways(int n, int k)
{
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
}

struct every {
    double chance[40000], p[40000];
    size_t n;
};

/* Of all ways to give 40 of the 100 events to the reference: how probable, and its p. */
static void take_every(struct every *out)
{
    for (int a = 0; a <= events[0]; a++)
        for (int b = 0; b <= events[1]; b++)
            for (int c = 0; c <= events[2]; c++) {
                const int d = 40 - a - b - c;
                if (d < 0 || d > events[3])
                    continue;
                const int r[COLUMNS] = {a, b, c, d};
                struct drift_bin bins[COLUMNS];
                double ways = -log_ways(100, 40);
                for (int i = 0; i < COLUMNS; i++) {
                    bins[i] = (struct drift_bin){r[i], events[i] - r[i]};
                    ways += log_ways(events[i], r[i]);
                }
                out->chance[out->n] = exp(ways);
                out->p[out->n++] = same_shares_p(bins, COLUMNS);
            }
}

static void p_is_the_share_of_all_tables_that_are_as_far_apart(void **state)
{
    (void)state;
    static struct every every;
    take_every(&every);
    for (double level = 0.05; level > 1e-4; level /= 5) {
        double share = 0;
        for (size_t i = 0; i < every.n; i++)
            share += every.p[i] <= level ? every.chance[i] : 0;
        printf("p <= %g: %g of the tables\n", level, share);
        assert_true(share > 0.8 * level && share < 1.15 * level);
    }
}

static void the_sides_are_worth_the_same_and_no_difference_is_none(void **state)
{
    (void)state;
    const struct drift_bin one[] = {{900, 4400}, {80, 420}, {20, 180}};
    const struct drift_bin other[] = {{4400, 900}, {420, 80}, {180, 20}};
    const double p = same_shares_p(one, 3);
    assert_true(p > 0.01 && p < 0.05); /* chi2_contingency: X² 7.2 of two degrees, 0.027 */
    assert_true(fabs(same_shares_p(other, 3) / p - 1) < 1e-9);
    const struct drift_bin even[] = {{10, 100}, {20, 200}, {30, 300}};
    assert_true(same_shares_p(even, 3) > 0.999);
}

static void where_there_is_nothing_to_compare_p_is_1(void **state)
{
    (void)state;
    const struct drift_bin one[] = {{5, 5}}, no_window[] = {{5, 0}, {7, 0}},
                           none[] = {{0, 0}, {0, 0}};
    const struct drift_bin single[] = {{1, 0}, {0, 1}};
    assert_true(same_shares_p(one, 1) == 1);
    assert_true(same_shares_p(no_window, 2) == 1);
    assert_true(same_shares_p(none, 2) == 1);
    assert_true(same_shares_p(single, 2) == 1);
    assert_true(same_shares_p(NULL, 0) == 1);
}

/* --- alarms --- */

struct world {
    struct reference_feature reference;
    struct category categories[CATEGORIES];
    double counts[CATEGORIES];
};

/* One category has 0.95 of the events, each of the others 1 / 1200. */
static int draw(struct rng *rng, double more)
{
    const double u = rng_uniform(rng);
    return u >= 0.05 + more ? 0 : 1 + (int)(u / (0.05 + more) * (CATEGORIES - 1));
}

static void draw_reference(struct world *world, struct rng *rng)
{
    struct reference_feature *ref = &world->reference;
    *ref = (struct reference_feature){.name_id = 1,
                                      .kind = PROFILE_CATEGORICAL,
                                      .n = M,
                                      .valid = M,
                                      .categories = world->categories};
    memset(world->counts, 0, sizeof(world->counts));
    for (int i = 0; i < M; i++)
        world->counts[draw(rng, 0)]++;
    for (int i = 0; i < CATEGORIES; i++)
        if (world->counts[i] > 0)
            world->categories[ref->n_categories++] =
                (struct category){(uint64_t)i + 1, (uint64_t)world->counts[i]};
    assert_int_equal(category_bins_new(&ref->bins, world->categories, ref->n_categories, NULL), 0);
    for (uint32_t i = 0; i < ref->n_categories; i++)
        ref->bin_counts[category_bin(ref->bins, world->categories[i].id)] =
            world->categories[i].count;
}

static double window_p(struct world *world, struct drift_nulls *nulls, uint64_t id, struct rng *rng,
                       double more)
{
    struct categories window;
    struct drift_categorical categorical;
    categories_init(&window, CATEGORIES);
    for (int i = 0; i < N; i++)
        assert_int_equal(categories_update(&window, (uint64_t)draw(rng, more) + 1, 1, NULL, 0), 0);
    assert_int_equal(drift_categorical(&world->reference, id, &window, &categorical), 0);
    categories_finish(&window);
    const struct drift_rule rule = {DRIFT_CHI2, 0.01, 0};
    const struct drift_subject subject = {
        .reference = &world->reference, .reference_id = id, .categorical = &categorical};
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
    return verdict.p_value;
}

/* `more`: how much the rare ones gained. */
static double share_of_alarms(double more, int references)
{
    static struct world world;
    struct rng rng = rng_of(5);
    struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    int alarms = 0;
    for (int i = 0; i < references; i++) {
        draw_reference(&world, &rng);
        alarms += window_p(&world, nulls, 2 * (uint64_t)i, &rng, more) <= 0.0085;
        category_bins_free(world.reference.bins);
    }
    drift_nulls_free(nulls);
    printf("%g more: %.4f of windows have p <= 0.0085\n", more, alarms / (1.0 * references));
    return alarms / (1.0 * references);
}

static void many_rare_categories_are_called_as_seldom_as_promised(void **state)
{
    (void)state;
    assert_true(share_of_alarms(0, REFERENCES) <= 0.01);
}

static void that_they_become_more_than_twice_as_many_is_called(void **state)
{
    (void)state;
    assert_true(share_of_alarms(0.075, 50) > 0.7);
}

/* --- where there is nothing to bound --- */

enum {
    FALLING = 12, /* categories, the rarest of which a reference has 24 and 36 times */
    LARGE = 10000,
    SMALL = 50,
    SMALL_WINDOWS = 20000
};

static void take_counts(struct world *world, const double *shares)
{
    struct reference_feature *ref = &world->reference;
    *ref = (struct reference_feature){.name_id = 1,
                                      .kind = PROFILE_CATEGORICAL,
                                      .n = LARGE,
                                      .valid = LARGE,
                                      .categories = world->categories};
    for (int i = 0; i < FALLING; i++)
        world->categories[ref->n_categories++] =
            (struct category){(uint64_t)i + 1, (uint64_t)llround(LARGE * shares[i])};
    assert_int_equal(category_bins_new(&ref->bins, world->categories, FALLING, NULL), 0);
    for (int i = 0; i < FALLING; i++)
        ref->bin_counts[category_bin(ref->bins, (uint64_t)i + 1)] = world->categories[i].count;
}

static double small_window_p(const struct world *world, struct drift_nulls *nulls,
                             const double *shares, struct rng *rng)
{
    struct categories window;
    struct drift_categorical categorical;
    categories_init(&window, FALLING);
    for (int i = 0; i < SMALL; i++) {
        double u = rng_uniform(rng);
        uint64_t category = 1;
        while (category < FALLING && u >= shares[category - 1])
            u -= shares[category++ - 1];
        assert_int_equal(categories_update(&window, category, 1, NULL, 0), 0);
    }
    assert_int_equal(drift_categorical(&world->reference, 2, &window, &categorical), 0);
    categories_finish(&window);
    const struct drift_rule rule = {DRIFT_JS, 0.05, 0};
    const struct drift_subject subject = {
        .reference = &world->reference, .reference_id = 2, .categorical = &categorical};
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
    return verdict.p_value;
}

/* The two rare ones change next to nothing: a bound here took four fifths of the alarms. */
static void two_of_many_events_are_not_so_rare_that_p_is_bounded(void **state)
{
    (void)state;
    static struct world world;
    struct rng rng = rng_of(9);
    struct drift_nulls *nulls = NULL;
    double shares[FALLING], share = 0.4;
    for (int i = 0; i < FALLING; i++, share *= 0.6)
        shares[i] = i + 1 < FALLING ? share : share / 0.4;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    take_counts(&world, shares);
    int small = 0;
    for (int i = 0; i < SMALL_WINDOWS; i++)
        small += small_window_p(&world, nulls, shares, &rng) <= 0.05;
    category_bins_free(world.reference.bins);
    drift_nulls_free(nulls);
    printf("%.4f of small windows have p <= 0.05\n", small / (1.0 * SMALL_WINDOWS));
    assert_in_range(small, 0.4 * 0.05 * SMALL_WINDOWS, 0.05 * SMALL_WINDOWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_is_the_share_of_all_tables_that_are_as_far_apart),
        cmocka_unit_test(the_sides_are_worth_the_same_and_no_difference_is_none),
        cmocka_unit_test(where_there_is_nothing_to_compare_p_is_1),
        cmocka_unit_test(many_rare_categories_are_called_as_seldom_as_promised),
        cmocka_unit_test(that_they_become_more_than_twice_as_many_is_called),
        cmocka_unit_test(two_of_many_events_are_not_so_rare_that_p_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
