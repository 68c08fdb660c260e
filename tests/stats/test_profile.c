#include "stats/profile.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/rng.h"
#include "tests/stats/same_profile.h"
#include "tests/test.h"

enum {
    INCOME,
    CITY,
    EMBEDDING,
    FREE,
    N_FEATURES
};

static struct profile_feature features[N_FEATURES] = {
    {.name_id = 11, .kind = PROFILE_NUMERIC, .min = -1e9, .max = 1e9},
    {.name_id = 12, .kind = PROFILE_CATEGORICAL, .min = NAN, .max = NAN},
    {.name_id = 13, .kind = PROFILE_EMBEDDING, .min = NAN, .max = NAN},
    {.name_id = 14, .kind = PROFILE_AUTO, .min = NAN, .max = NAN},
};
static struct profile_layout layout = {.n_features = N_FEATURES, .features = features};

static uint64_t id_of(int i)
{
    return (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static int set_up(void **state)
{
    (void)state;
    struct cell cells[2000];
    for (int i = 0; i < 2000; i++)
        cells[i] = (struct cell){i * i, i * i, 1};
    struct grid *grid = NULL, *norms = NULL;
    if (grid_build(&grid, cells, 2000, GRID_MAX_CELLS, NULL) ||
        grid_build(&norms, cells, 2000, GRID_NORM_CELLS, NULL))
        return -1;
    struct category known[300];
    for (int i = 0; i < 300; i++)
        known[i] = (struct category){id_of(i), (uint64_t)(1000 - i)};
    struct category_bins *bins = NULL;
    if (category_bins_new(&bins, known, 300, NULL))
        return -1;
    features[INCOME].grid = grid;
    features[EMBEDDING].grid = norms; /* as large as the reference of an embedding makes it */
    features[CITY].bins = bins;
    layout.reference = 77;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct grid *grids[2];
    memcpy(&grids[0], &features[INCOME].grid, sizeof(grids[0]));
    memcpy(&grids[1], &features[EMBEDDING].grid, sizeof(grids[1]));
    grid_free(grids[0]);
    grid_free(grids[1]);
    struct category_bins *bins = NULL;
    memcpy(&bins, &features[CITY].bins, sizeof(bins));
    category_bins_free(bins);
    return 0;
}

static void feed(struct profile *profile, struct rng *rng, int n, int categories)
{
    for (int i = 0; i < n; i++) {
        profile_event(profile, 1);
        double x = rng_normal(rng);
        double projected[PROJECTION_BUCKETS] = {0};
        for (uint32_t d = 0; d < 40; d++)
            projection_add(projected, d, x + d);
        assert_int_equal(profile_number(profile, INCOME, x * x * 1e6, 1), 0);
        uint64_t id = id_of((int)rng_below(rng, (uint64_t)categories));
        assert_int_equal(profile_category(profile, CITY, id, 1), 0);
        assert_int_equal(
            profile_embedding(profile, EMBEDDING, &(struct embedding){6 + x, x, projected, 40}, 1),
            0);
        if (i % 3)
            assert_int_equal(profile_number(profile, FREE, x, 1), 0);
        else
            assert_int_equal(profile_category(profile, FREE, id, 1), 0);
    }
}

static void values_that_break_the_rules_are_counted_by_reason(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    for (int i = 0; i < 6; i++)
        profile_event(profile, 1);

    profile_number(profile, INCOME, 5, 1);
    profile_number(profile, INCOME, 2e9, 1);
    profile_number(profile, INCOME, (double)NAN, 1);
    profile_category(profile, INCOME, id_of(1), 1);
    profile_embedding(profile, INCOME, &(struct embedding){1, 1, NULL, 3}, 1);

    struct profile_quality q = profile_quality(profile, INCOME, false);
    assert_int_equal(q.n, 6);
    assert_int_equal(q.missing, 1);
    assert_int_equal(q.valid, 1);
    assert_int_equal(q.n_invalid, 4);
    assert_int_equal(q.invalid[INVALID_RANGE], 1);
    assert_int_equal(q.invalid[INVALID_NUMBER], 1);
    assert_int_equal(q.invalid[INVALID_TYPE], 2);
    assert_string_equal(profile_invalid_name(INVALID_NUMBER), "not_finite");
}

static void order_and_split_change_no_byte(void **state)
{
    (void)state;
    for (int n = 40; n <= 4000; n *= 10) {
        AUTO(profile) struct profile *whole = NULL, *merged = NULL;
        assert_int_equal(profile_new(&whole, &layout, PROFILE_MINUTE, NULL), 0);
        assert_int_equal(profile_new(&merged, &layout, PROFILE_MINUTE, NULL), 0);
        struct rng rng = rng_of(5);
        for (int part = 0; part < 5; part++)
            feed(whole, &rng, n / 5, n);

        /* the same events: parts in another order, each saved and loaded */
        for (int part = 4; part >= 0; part--) {
            AUTO(profile) struct profile *piece = NULL, *loaded = NULL, *skipped = NULL;
            assert_int_equal(profile_new(&piece, &layout, PROFILE_MINUTE, NULL), 0);
            assert_int_equal(profile_new(&skipped, &layout, PROFILE_MINUTE, NULL), 0);
            struct rng again = rng_of(5);
            feed(skipped, &again, part * (n / 5), n);
            feed(piece, &again, n / 5, n);
            struct buf bytes;
            buf_init(&bytes, 1 << 24);
            profile_save(piece, &bytes);
            assert_int_equal(
                profile_load(&loaded, &layout, PROFILE_MINUTE, bytes.data, bytes.size, NULL), 0);
            assert_int_equal(profile_merge(merged, loaded), 0);
            buf_finish(&bytes);
        }
        assert_same_bytes(whole, merged);
    }
}

/* The cuts lie close at the low end: many share a bucket. */
static void a_value_is_in_the_cell_behind_all_cuts_that_are_not_above_it(void **state)
{
    (void)state;
    const struct grid *grid = features[INCOME].grid;
    double values[3 * GRID_MAX_CELLS + 4] = {-DBL_MAX, DBL_MAX, -1, 1e7};
    size_t n = 4;
    for (uint32_t i = 0; i < grid->n_cuts; i++) {
        values[n++] = grid->cuts[i];
        values[n++] = nextafter(grid->cuts[i], -INFINITY);
        values[n++] = grid->cuts[i] + 0.5;
    }

    for (size_t i = 0; i < n; i++) {
        uint32_t behind = 0;
        while (behind < grid->n_cuts && grid->cuts[behind] <= values[i])
            behind++;
        assert_int_equal(grid_cell(grid, values[i]), behind);
    }
    assert_true(n > 1500);
}

static void columns_leave_the_bytes_of_one_by_one(void **state)
{
    (void)state;
    AUTO(profile) struct profile *columns = NULL, *single = NULL;
    assert_int_equal(profile_new(&columns, &layout, PROFILE_MINUTE, NULL), 0);
    assert_int_equal(profile_new(&single, &layout, PROFILE_MINUTE, NULL), 0);
    struct rng rng = rng_of(5);
    for (int round = 0; round < 60; round++) {
        double values[200];
        uint64_t ids[200];
        const size_t n = rng_below(&rng, 200);
        for (size_t i = 0; i < n; i++) {
            values[i] = rng_normal(&rng) * 1e6;
            ids[i] = id_of((int)rng_below(&rng, 150));
        }
        if (round % 5 == 4 && n) /* beyond the range, not finite */
            values[n / 2] = round % 10 == 4 ? 1e10 : (double)NAN;

        for (uint32_t f = INCOME; f <= FREE; f++) { /* of another kind, too */
            assert_int_equal(profile_number_column(columns, f, values, n), 0);
            assert_int_equal(profile_category_column(columns, f, ids, n), 0);
        }

        for (size_t i = 0; i < n; i++) {
            for (uint32_t f = INCOME; f <= FREE; f++) {
                assert_int_equal(profile_number(single, f, values[i], 1), 0);
                assert_int_equal(profile_category(single, f, ids[i], 1), 0);
            }
        }
    }
    assert_true(columns->features[INCOME].numeric->n_counts > 0);
    assert_true(columns->features[INCOME].invalid[INVALID_RANGE] > 0);
    assert_true(columns->features[INCOME].invalid[INVALID_NUMBER] > 0);
    assert_non_null(columns->features[CITY].categories->many);
    assert_same_bytes(columns, single);
}

static void what_is_taken_out_leaves_the_rest_exact(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL, *straight = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    assert_int_equal(profile_new(&straight, &layout, PROFILE_MINUTE, NULL), 0);
    for (int i = 0; i < 500; i++) {
        profile_number(profile, INCOME, i * 37.5, 1);
        profile_number(straight, INCOME, i * 37.5, 1);
    }
    for (int i = 0; i < 50; i++)
        profile_number(profile, INCOME, i * 11.25, 1);
    for (int i = 0; i < 50; i++)
        profile_number(profile, INCOME, i * 11.25, -1);

    const struct numbers *a = profile->features[INCOME].numeric;
    const struct numbers *b = straight->features[INCOME].numeric;
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_counts, b->n_counts);
    assert_true(a->n_counts > 100);
    for (uint32_t i = 0; i < a->n_counts; i++)
        assert_int_equal(numbers_count(a, i), numbers_count(b, i));
    assert_true(a->sum == b->sum && a->square == b->square);
}

static void memory_stays_within_what_a_pane_may_have(void **state)
{
    (void)state;
    AUTO(profile) struct profile *minute = NULL, *hour = NULL;
    assert_int_equal(profile_new(&minute, &layout, PROFILE_MINUTE, NULL), 0);
    assert_int_equal(profile_new(&hour, &layout, PROFILE_HOUR, NULL), 0);
    struct rng rng = rng_of(6);
    size_t most_minute = 0, most_hour = 0;
    for (int i = 0; i < 60; i++) {
        feed(minute, &rng, 1000, 100000);
        feed(hour, &rng, 1000, 100000);
        for (uint32_t f = 0; f < N_FEATURES; f++) { /* FREE has numbers and texts: two parts */
            most_minute =
                profile_bytes(minute, f) > most_minute ? profile_bytes(minute, f) : most_minute;
            most_hour = profile_bytes(hour, f) > most_hour ? profile_bytes(hour, f) : most_hour;
        }
    }

    print_message("most bytes: minute %zu, hour %zu\n", most_minute, most_hour);
    assert_in_range(most_minute, 500, 2048);
    assert_in_range(most_hour, 2048, 24 * 1024);
}

static void a_hundred_thousand_categories_are_bounded_and_counted(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    uint64_t loud = id_of(123456789);
    for (int i = 0; i < 100000; i++) {
        profile_category(profile, CITY, id_of(i), 1);
        if (i % 4 == 0)
            profile_category(profile, CITY, loud, 1);
    }

    const struct categories *city = profile->features[CITY].categories;
    assert_int_equal(city->n, 125000);
    assert_int_equal(city->many->unseen, 125000 - 300);
    assert_int_equal(city->many->tracked[0], 1);
    assert_int_equal(city->many->tracked[CATEGORIES_TRACKED], 300 - CATEGORIES_TRACKED);
    assert_in_range((uint64_t)categories_distinct(city), 50000, 200000);
    assert_in_range(categories_heavy(city, loud), 25000, 40000);
    assert_int_equal(categories_heavy(city, id_of(5)), 0);
}

static void panes_of_different_references_keep_the_sketch_alone(void **state)
{
    (void)state;
    struct profile_layout other = layout;
    other.reference = 78;
    AUTO(profile) struct profile *a = NULL, *b = NULL;
    assert_int_equal(profile_new(&a, &layout, PROFILE_MINUTE, NULL), 0);
    assert_int_equal(profile_new(&b, &other, PROFILE_MINUTE, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        profile_number(a, INCOME, i, 1);
        profile_number(b, INCOME, i, 1);
    }
    assert_true(a->features[INCOME].numeric->n_counts > 0);

    assert_int_equal(profile_merge(a, b), 0);

    assert_int_equal(a->features[INCOME].numeric->n_counts, 0);
    assert_int_equal(a->features[INCOME].numeric->n, 2000);
    struct cell out[96];
    uint64_t total = 0;
    uint32_t n = cells_read(&a->features[INCOME].numeric->cells, out);
    for (uint32_t i = 0; i < n; i++)
        total += out[i].count;
    assert_int_equal(total, 2000);
}

static void values_of_another_kind_than_most_are_invalid(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    for (int i = 0; i < 10; i++) {
        profile_event(profile, 1);
        if (i < 6)
            assert_int_equal(profile_category(profile, FREE, id_of(i), 1), 0);
        else if (i < 9)
            assert_int_equal(profile_number(profile, FREE, i, 1), 0);
    }

    struct profile_quality q = profile_quality(profile, FREE, false);
    assert_int_equal(q.kind, PROFILE_CATEGORICAL);
    assert_int_equal(q.valid, 6);
    assert_int_equal(q.missing, 1);
    assert_int_equal(q.invalid[INVALID_TYPE], 3);
    assert_int_equal(q.n_invalid, 3);
}

static void extreme_numbers_stay_numbers(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    double ends[] = {1e308, -1e308, DBL_TRUE_MIN, -DBL_TRUE_MIN, 0, 1};
    for (int i = 0; i < 600; i++)
        assert_int_equal(profile_number(profile, FREE, ends[i % 6] * (1 + i / 6 * 1e-3), 1), 0);

    assert_int_equal(profile_quality(profile, FREE, true).valid, 600);
    assert_int_equal(profile_quality(profile, FREE, true).kind, PROFILE_NUMERIC);
}

static void a_range_beyond_all_numbers_has_an_edge_at_each_end(void **state)
{
    (void)state;
    const struct cell cells[] = {
        {-1e308, -1e308, 5}, {0, 0, 5}, {1.5e308, 1.5e308, 5}}; /* their difference is infinite */
    double edges[GRID_MAX_DOANE + 1];

    assert_int_equal(doane_edges(cells, 3, edges), 1);

    assert_true(edges[0] == -1e308);
    assert_true(edges[1] == 1.5e308);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    AUTO(profile) struct profile *profile = NULL, *loaded = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_MINUTE, NULL), 0);
    struct rng rng = rng_of(7);
    feed(profile, &rng, 300, 50);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    profile_save(profile, &bytes);
    struct err err;
    for (size_t i = 0; i < bytes.size; i += 97) {
        bytes.data[i] ^= 0x10;
        int rc = profile_load(&loaded, &layout, PROFILE_MINUTE, bytes.data, bytes.size, &err);
        assert_int_equal(rc, ERR_CORRUPT);
        bytes.data[i] ^= 0x10;
    }
    assert_int_equal(profile_load(&loaded, &layout, PROFILE_MINUTE, bytes.data, 5, &err),
                     ERR_CORRUPT);
    assert_string_equal(err.text, "profile: 5 bytes are too few");
    buf_finish(&bytes);
}

static void a_feature_that_appears_later_was_missing_before(void **state)
{
    (void)state;
    struct profile_layout old = layout;
    old.n_features = 1;
    AUTO(profile) struct profile *before = NULL, *now = NULL;
    assert_int_equal(profile_new(&before, &old, PROFILE_MINUTE, NULL), 0);
    profile_event(before, 1);
    profile_number(before, INCOME, 3, 1);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    profile_save(before, &bytes);

    assert_int_equal(profile_load(&now, &layout, PROFILE_MINUTE, bytes.data, bytes.size, NULL), 0);
    buf_finish(&bytes);

    assert_int_equal(profile_quality(now, INCOME, false).valid, 1);
    assert_int_equal(profile_quality(now, CITY, false).missing, 1);
}

/* An hour of 3,000 different incomes, with so many below and above the grid's ends. */
static void income_of_an_hour(struct buf *out, int n_below, int n_above)
{
    AUTO(profile) struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_HOUR, NULL), 0);
    for (int i = 0; i < 3000 + n_below + n_above; i++) {
        double value = i < 3000 ? 100.5 + i * 1300 : i < 3000 + n_below ? -2.5 * i : 5e6 + i;
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, INCOME, value, 1), 0);
    }
    buf_init(out, 1 << 20);
    profile_save(profile, out);
}

static void load_income(struct profile **out, bool compared, const struct buf *bytes)
{
    assert_int_equal(
        profile_load_by(NULL, out, &layout, PROFILE_HOUR, compared, bytes->data, bytes->size, NULL),
        0);
}

static void what_is_only_compared_has_all_but_the_sketch_inside_of_the_grid(void **state)
{
    (void)state;
    static const int ends[][2] = {{0, 0}, {3, 0}, {0, 40}, {17, 5}};
    for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
        struct buf bytes;
        AUTO(profile) struct profile *whole = NULL, *compared = NULL;
        struct cell expected[4000], found[4000];
        size_t n_low, n_low_found;
        income_of_an_hour(&bytes, ends[e][0], ends[e][1]);
        load_income(&whole, false, &bytes);

        load_income(&compared, true, &bytes);

        const struct numbers *all = whole->features[INCOME].numeric;
        const struct numbers *few = compared->features[INCOME].numeric;
        size_t n = numbers_read_ends(all, features[INCOME].grid, expected, &n_low);
        assert_int_equal(numbers_read_ends(few, features[INCOME].grid, found, &n_low_found), n);
        assert_int_equal(n_low_found, n_low);
        assert_int_equal(n > 0, ends[e][0] + ends[e][1] > 0);
        assert_memory_equal(found, expected, n * sizeof(found[0]));
        assert_true(few->n == all->n && few->sum == all->sum && few->square == all->square);
        for (uint32_t i = 0; i < all->n_counts; i++)
            assert_int_equal(numbers_count(few, i), numbers_count(all, i));
        assert_true(all->cells.n_cells > 600);
        assert_true(few->cells.n_cells < 60);
        buf_finish(&bytes);
    }
}

static void what_was_counted_on_another_grid_is_compared_by_the_whole_sketch(void **state)
{
    (void)state;
    struct buf bytes;
    AUTO(profile) struct profile *whole = NULL, *compared = NULL;
    income_of_an_hour(&bytes, 2, 2);
    load_income(&whole, false, &bytes);

    layout.reference = 78;
    load_income(&compared, true, &bytes);
    layout.reference = 77;

    assert_int_equal(compared->features[INCOME].numeric->cells.n_cells,
                     whole->features[INCOME].numeric->cells.n_cells);
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_break_the_rules_are_counted_by_reason),
        cmocka_unit_test(order_and_split_change_no_byte),
        cmocka_unit_test(a_value_is_in_the_cell_behind_all_cuts_that_are_not_above_it),
        cmocka_unit_test(columns_leave_the_bytes_of_one_by_one),
        cmocka_unit_test(what_is_taken_out_leaves_the_rest_exact),
        cmocka_unit_test(memory_stays_within_what_a_pane_may_have),
        cmocka_unit_test(a_hundred_thousand_categories_are_bounded_and_counted),
        cmocka_unit_test(panes_of_different_references_keep_the_sketch_alone),
        cmocka_unit_test(values_of_another_kind_than_most_are_invalid),
        cmocka_unit_test(extreme_numbers_stay_numbers),
        cmocka_unit_test(a_range_beyond_all_numbers_has_an_edge_at_each_end),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(a_feature_that_appears_later_was_missing_before),
        cmocka_unit_test(what_is_only_compared_has_all_but_the_sketch_inside_of_the_grid),
        cmocka_unit_test(what_was_counted_on_another_grid_is_compared_by_the_whole_sketch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
