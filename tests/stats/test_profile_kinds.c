/* Features whose values are of several kinds within one pane: what their parts keep beside each other. */
#include "stats/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/rng.h"
#include "tests/stats/same_profile.h"
#include "tests/test.h"

enum {
    MINUTE_BYTES = 2048,
    HOUR_BYTES = 24 * 1024,
    NUMBERS = 1,
    TEXTS = 2,
    VECTORS = 4
};

static struct profile_feature feature = {
    .name_id = 14, .kind = PROFILE_AUTO, .min = NAN, .max = NAN};
static const struct profile_layout layout = {.n_features = 1, .features = &feature};

/* One value of the feature. */
struct value {
    unsigned kind;
    double number; /* of a vector each of its numbers */
    uint32_t dimensions;
    uint64_t id;
};

static uint64_t id_of(uint64_t i)
{
    return (i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static struct value number(double x)
{
    return (struct value){.kind = NUMBERS, .number = x};
}

static struct value text(uint64_t i)
{
    return (struct value){.kind = TEXTS, .id = id_of(i)};
}

static struct value vector(double x, uint32_t dimensions)
{
    return (struct value){.kind = VECTORS, .number = x, .dimensions = dimensions};
}

static void put(struct profile *profile, struct value value, int sign)
{
    double projected[PROJECTION_BUCKETS] = {0};
    for (uint32_t d = 0; d < value.dimensions; d++)
        projection_add(projected, d, value.number + d);
    const struct embedding embedding = {6 + value.number, value.number, projected,
                                        value.dimensions};
    profile_event(profile, sign);
    if (value.kind == NUMBERS)
        assert_int_equal(profile_number(profile, 0, value.number, sign), 0);
    else if (value.kind == TEXTS)
        assert_int_equal(profile_category(profile, 0, value.id, sign), 0);
    else
        assert_int_equal(profile_embedding(profile, 0, &embedding, sign), 0);
}

static struct profile *new_profile(enum profile_level level)
{
    struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, level, NULL), 0);
    return profile;
}

static struct profile *profile_of(enum profile_level level, const struct value *values, size_t n)
{
    struct profile *profile = new_profile(level);
    for (size_t i = 0; i < n; i++)
        put(profile, values[i], 1);
    return profile;
}

static struct profile *loaded_again(const struct profile *profile)
{
    struct profile *loaded = NULL;
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    profile_save(profile, &bytes);
    assert_int_equal(profile_load(&loaded, &layout, profile->level, bytes.data, bytes.size, NULL),
                     0);
    buf_finish(&bytes);
    return loaded;
}

static size_t bound_of(enum profile_level level)
{
    return level == PROFILE_MINUTE ? MINUTE_BYTES : HOUR_BYTES;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A value of one of the kinds; of texts there are so many different ones. */
static struct value drawn(struct rng *rng, unsigned kinds, uint64_t n_ids, uint32_t dimensions)
{
    for (;;) {
        const unsigned kind = 1U << rng_below(rng, 3);
        if (kind & kinds)
            return kind == NUMBERS ? number(rng_normal(rng) * 1e3)
                   : kind == TEXTS ? text(rng_below(rng, n_ids))
                                   : vector(rng_normal(rng), dimensions);
    }
}

/* Most bytes at any time: each event at first, when tables grow, now and then later. */
static size_t most_bytes(struct profile *profile, unsigned kinds, uint32_t dimensions, int n)
{
    struct rng rng = rng_of(6);
    size_t most = 0;
    for (int i = 0; i < n; i++) {
        put(profile, drawn(&rng, kinds, 100000, dimensions), 1);
        if (i < 8000 || i % 1000 == 0)
            most = larger(most, profile_bytes(profile, 0));
    }
    AUTO(profile) struct profile *loaded = loaded_again(profile);
    return larger(most, profile_bytes(loaded, 0));
}

static void memory_holds_for_every_mix_of_kinds(void **state)
{
    (void)state;
    for (enum profile_level level = PROFILE_MINUTE; level <= PROFILE_HOUR; level++) {
        size_t most = 0;
        for (unsigned kinds = 1; kinds < 8; kinds++) {
            for (unsigned first = 1; first < 8; first++) {
                AUTO(profile) struct profile *profile = new_profile(level);
                if ((first & kinds) == first) /* some kinds come before the others */
                    most = larger(most, most_bytes(profile, first, 8, 3000));
                most = larger(most, most_bytes(profile, kinds, first % 2 ? 40 : 8, 20000));
            }
        }
        for (uint32_t dimensions = 0; dimensions <= 40; dimensions += dimensions ? 32 : 8) {
            AUTO(profile) struct profile *profile = new_profile(level);
            const unsigned kinds = NUMBERS | TEXTS | (dimensions ? VECTORS : 0);
            most = larger(most, most_bytes(profile, kinds, dimensions, 200000));
        }
        print_message("most bytes of several kinds: %zu\n", most);
        assert_in_range(most, 1500, bound_of(level));
    }
}

/* As many ids as make tables grow, with a full part of numbers: where it is tight. */
static void memory_holds_at_every_number_of_texts(void **state)
{
    (void)state;
    for (enum profile_level level = PROFILE_MINUTE; level <= PROFILE_HOUR; level++) {
        for (unsigned kinds = NUMBERS; kinds < 8; kinds++) {
            if (kinds & TEXTS)
                continue;
            struct rng rng = rng_of(7);
            size_t most = 0;
            AUTO(profile) struct profile *profile = new_profile(level);
            for (uint64_t ids = 0; ids < 1200; ids++) {
                for (int i = 0; i < (ids ? 3 : 3000); i++)
                    put(profile, drawn(&rng, kinds, 1, 40), 1);
                put(profile, text(ids), 1);
                most = larger(most, profile_bytes(profile, 0));
            }
            assert_in_range(most, 1500, bound_of(level));
        }
    }
}

static void shuffle(struct rng *rng, struct value *values, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = rng_below(rng, i);
        const struct value other = values[j];
        values[j] = values[i - 1];
        values[i - 1] = other;
    }
}

/* The same values in another order, in parts of random sizes, some of them saved and loaded. */
static struct profile *split(struct rng *rng, enum profile_level level, struct value *values,
                             size_t n)
{
    struct profile *merged = new_profile(level);
    shuffle(rng, values, n);
    for (size_t at = 0; at < n;) {
        const size_t some = 1 + rng_below(rng, n / 3 + 1), part = some < n - at ? some : n - at;
        AUTO(profile) struct profile *piece = profile_of(level, values + at, part);
        AUTO(profile) struct profile *loaded = loaded_again(piece);
        if (rng_below(rng, 3) == 0) { /* what follows is merged into the piece */
            assert_int_equal(profile_merge(loaded, merged), 0);
            profile_free(merged);
            merged = loaded;
            loaded = NULL; /* it is the merged one now */
        } else {
            assert_int_equal(profile_merge(merged, loaded), 0);
        }
        at += part;
    }
    return merged;
}

static void order_and_split_change_no_byte_of_several_kinds(void **state)
{
    (void)state;
    static const uint64_t n_ids[] = {1, 14, 15, 28, 29, 40, 57, 90, 300, 2000};
    static struct value values[3000];
    struct rng rng = rng_of(8);
    for (size_t mix = 0; mix < 10 * 8 * 2; mix++) {
        const enum profile_level level = mix % 2 ? PROFILE_HOUR : PROFILE_MINUTE;
        const size_t n = mix % 4 < 2 ? 200 : mix % 20 < 10 ? 600 : 3000;
        for (size_t i = 0; i < n; i++)
            values[i] = drawn(&rng, mix / 2 % 8 ? (unsigned)(mix / 2 % 8) : 3, n_ids[mix / 16], 40);
        AUTO(profile) struct profile *whole = profile_of(level, values, n);

        AUTO(profile) struct profile *merged = split(&rng, level, values, n);

        assert_same_bytes(whole, merged);
        assert_in_range(profile_bytes(merged, 0), 0, bound_of(level));
        AUTO(profile) struct profile *loaded = loaded_again(merged);
        assert_same_bytes(whole, loaded);
        assert_in_range(profile_bytes(loaded, 0), 0, bound_of(level));
    }
}

static void minutes_make_the_same_hour_in_any_order(void **state)
{
    (void)state;
    for (unsigned kinds = 3; kinds < 8; kinds++) {
        AUTO(profile) struct profile *forth = new_profile(PROFILE_HOUR);
        AUTO(profile) struct profile *back = new_profile(PROFILE_HOUR);
        AUTO(profile) struct profile *reference = new_profile(PROFILE_REFERENCE);
        for (uint64_t i = 0; i < 60; i++) {
            for (int way = 0; way < 2; way++) {
                const uint64_t minute = way ? 59 - i : i;
                struct rng rng = rng_of(minute);
                AUTO(profile) struct profile *pane = new_profile(PROFILE_MINUTE);
                for (uint64_t e = 0; e < 10 * minute + 1; e++)
                    put(pane, drawn(&rng, kinds, 10 * minute + 1, 40), 1);
                assert_int_equal(profile_merge(way ? back : forth, pane), 0);
                if (way)
                    assert_int_equal(profile_merge(reference, pane), 0);
            }
        }

        assert_same_bytes(forth, back);
        assert_in_range(profile_bytes(forth, 0), 0, HOUR_BYTES);
        const struct feature_state *all = &reference->features[0];
        assert_int_equal((all->numeric ? all->numeric->n : 0) +
                             (all->categories ? all->categories->n : 0) +
                             (all->embedding ? all->embedding->norm.n : 0),
                         60 + 10 * 59 * 30);
    }
}

static void what_is_taken_out_leaves_the_rest_of_several_kinds(void **state)
{
    (void)state;
    for (unsigned kinds = 3; kinds < 8; kinds++) {
        struct value kept[100], wrong[200];
        struct rng rng = rng_of(kinds);
        for (int i = 0; i < 100; i++)
            kept[i] = drawn(&rng, kinds, 10, 40);
        for (int i = 0; i < 200; i++)
            wrong[i] = drawn(&rng, kinds, 100, 40);
        AUTO(profile) struct profile *before = new_profile(PROFILE_MINUTE);
        AUTO(profile) struct profile *after = profile_of(PROFILE_MINUTE, kept, 100);
        AUTO(profile) struct profile *straight = profile_of(PROFILE_MINUTE, kept, 100);

        for (int i = 0; i < 400; i++) { /* at once, and in turn */
            put(before, wrong[i / 2], i % 2 ? -1 : 1);
            put(after, wrong[i % 200], i < 200 ? 1 : -1);
        }
        for (int i = 0; i < 100; i++)
            put(before, kept[i], 1);

        assert_same_bytes(before, after);
        const struct profile_quality some = profile_quality(after, 0, false);
        const struct profile_quality same = profile_quality(straight, 0, false);
        assert_memory_equal(&some, &same, sizeof(some));
    }
}

/* The bytes of one part, for what must not depend on its neighbours. */
static void assert_same_numbers(const struct numbers *a, const struct numbers *b)
{
    struct buf x, y;
    buf_init(&x, 1 << 20);
    buf_init(&y, 1 << 20);
    numbers_save(a, &x);
    numbers_save(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

static void a_few_texts_cost_numbers_nothing(void **state)
{
    (void)state;
    AUTO(profile) struct profile *hour = new_profile(PROFILE_HOUR);
    AUTO(profile) struct profile *plain_hour = new_profile(PROFILE_HOUR);
    struct rng rng = rng_of(9);
    for (int minute = 0; minute < 60; minute++) {
        AUTO(profile) struct profile *mixed = new_profile(PROFILE_MINUTE);
        AUTO(profile) struct profile *plain = new_profile(PROFILE_MINUTE);
        for (int i = 0; i < (minute % 2 ? 94 : 1000); i++) {
            const double x = rng_normal(&rng);
            put(mixed, number(x), 1);
            put(plain, number(x), 1);
            if (i % 5 == 0) /* "unknown", "N/A" and what else there is */
                put(mixed, text((uint64_t)i / 5 % 14), 1);
        }

        assert_int_equal(mixed->features[0].categories->n_ids, 14);
        assert_int_equal(mixed->features[0].numeric->overflowed, minute % 2 == 0);
        assert_same_numbers(mixed->features[0].numeric, plain->features[0].numeric);
        assert_in_range(profile_bytes(mixed, 0), 0, MINUTE_BYTES);
        assert_int_equal(profile_merge(hour, mixed), 0);
        assert_int_equal(profile_merge(plain_hour, plain), 0);
    }
    assert_same_numbers(hour->features[0].numeric, plain_hour->features[0].numeric);
    assert_in_range(profile_bytes(hour, 0), 0, HOUR_BYTES);
}

static void more_texts_cost_numbers_a_part(void **state)
{
    (void)state;
    static const struct {
        uint64_t ids;
        int numbers;
    } kept[] = {{14, 96}, {28, 88}, {56, 64}, {96, 30}, {5000, 30}};
    for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++) {
        AUTO(profile) struct profile *profile = new_profile(PROFILE_MINUTE);
        for (uint64_t i = 0; i < kept[k].ids; i++)
            put(profile, text(i), 1);
        for (int i = 0; i < kept[k].numbers; i++)
            put(profile, number(i), 1);

        assert_false(profile->features[0].numeric->overflowed);
        put(profile, number(0.5), 1);
        assert_true(profile->features[0].numeric->overflowed);
        assert_int_equal(profile->features[0].numeric->n, kept[k].numbers + 1);
    }
}

static void numbers_cost_texts_nothing(void **state)
{
    (void)state;
    for (uint64_t n_ids = 90; n_ids <= 9000; n_ids *= 10) {
        AUTO(profile) struct profile *mixed = new_profile(PROFILE_MINUTE);
        AUTO(profile) struct profile *plain = new_profile(PROFILE_MINUTE);
        struct buf x, y;
        buf_init(&x, 1 << 20);
        buf_init(&y, 1 << 20);
        for (uint64_t i = 0; i < 3 * n_ids; i++) {
            put(mixed, text(i % n_ids), 1);
            put(plain, text(i % n_ids), 1);
            put(mixed, number((double)(i % 20)), 1);
        }

        categories_save(mixed->features[0].categories, &x);
        categories_save(plain->features[0].categories, &y);

        assert_int_equal(x.size, y.size);
        assert_memory_equal(x.data, y.data, x.size);
        assert_false(mixed->features[0].numeric->overflowed);
        buf_finish(&x);
        buf_finish(&y);
    }
}

/* Vectors keep their mean beside some texts, and beside none of a minute's many. */
static void a_mean_vector_stays_beside_a_few_texts(void **state)
{
    (void)state;
    for (uint64_t n_ids = 56; n_ids <= 57; n_ids++) {
        AUTO(profile) struct profile *minute = new_profile(PROFILE_MINUTE);
        AUTO(profile) struct profile *hour = new_profile(PROFILE_HOUR);
        for (uint64_t i = 0; i < 200; i++) {
            put(minute, vector((double)i, 8), 1);
            put(minute, text(i % n_ids), 1);
        }
        put(hour, vector(3, 8), 1);

        const struct embedding_state *embedding = minute->features[0].embedding;
        assert_int_equal(embedding->vector ? embedding->vector->n : 0, n_ids == 56 ? 200 : 0);
        assert_int_equal(embedding->norm.n, 200);
        assert_int_equal(profile_merge(hour, minute), 0);
        assert_int_equal(hour->features[0].embedding->vector->n, n_ids == 56 ? 201 : 1);
    }
}

/* A pane as saved before parts had less room beside others: 96 numbers and 90 texts. */
static void older_bytes(enum profile_level level, uint64_t n, struct buf *out)
{
    AUTO(profile) struct profile *numbers = new_profile(level), *texts = new_profile(level);
    for (uint64_t i = 0; i < n; i++) {
        put(numbers, number((double)i), 1);
        put(texts, text(i), 1);
    }
    struct buf one;
    buf_init(&one, 1 << 20);
    buf_varint(&one, 2 * n);
    for (int r = 0; r < N_INVALID; r++)
        buf_varint(&one, 0);
    buf_u8(&one, NUMBERS | TEXTS);
    numbers_save(numbers->features[0].numeric, &one);
    categories_save(texts->features[0].categories, &one);
    buf_init(out, 1 << 20);
    buf_u8(out, 1);
    buf_u8(out, (uint8_t)level);
    buf_varint(out, 2 * n);
    buf_varint(out, 1);
    buf_u64(out, feature.name_id);
    buf_string(out, (const char *)one.data, one.size);
    buf_u64(out, XXH64(out->data, out->size, 0));
    buf_finish(&one);
}

static void fuller_bytes_of_an_older_version_are_taken(void **state)
{
    (void)state;
    for (enum profile_level level = PROFILE_MINUTE; level <= PROFILE_HOUR; level++) {
        const uint64_t n = level == PROFILE_MINUTE ? 90 : 1000;
        struct buf bytes;
        older_bytes(level, n, &bytes);
        AUTO(profile) struct profile *loaded = NULL, *now = new_profile(level);
        for (uint64_t i = 0; i < n; i++) {
            put(now, number((double)i), 1);
            put(now, text(i), 1);
        }

        assert_int_equal(profile_load(&loaded, &layout, level, bytes.data, bytes.size, NULL), 0);

        assert_same_bytes(loaded, now);
        for (uint64_t i = 0; i < 50; i++) {
            put(loaded, number((double)i + 0.5), 1);
            put(now, number((double)i + 0.5), 1);
        }
        assert_int_equal(profile_merge(loaded, now), 0);
        AUTO(profile) struct profile *twice = loaded_again(now);
        assert_int_equal(profile_merge(twice, now), 0);
        assert_same_bytes(loaded, twice);
        assert_in_range(profile_bytes(loaded, 0), 0, bound_of(level));

        /* a window of a minute's bytes has room for all of them */
        AUTO(profile) struct profile *window = NULL;
        assert_int_equal(profile_load(&window, &layout, PROFILE_HOUR, bytes.data, bytes.size, NULL),
                         0);
        assert_int_equal(window->features[0].numeric->overflowed, level == PROFILE_HOUR);
        buf_finish(&bytes);
    }
}

/* A grid of the numbers from 0 to 1,999. */
static struct grid *whole_numbers(void)
{
    struct cell cells[2000];
    struct grid *grid = NULL;
    for (int i = 0; i < 2000; i++)
        cells[i] = (struct cell){i, i, 1};
    assert_int_equal(grid_build(&grid, cells, 2000, GRID_MAX_CELLS, NULL), 0);
    return grid;
}

/* Sums beyond what so many values can have are damage, and what is damaged does not trap. */
static void sums_that_no_values_have_are_refused(void **state)
{
    (void)state;
    static const int64_t means[] = {INT64_MAX, INT64_MIN, INT64_C(3) << 33};
    for (size_t i = 0; i < 3; i++) {
        AUTO(profile) struct profile *profile = new_profile(PROFILE_MINUTE), *loaded = NULL;
        AUTO(profile) struct profile *other = new_profile(PROFILE_MINUTE);
        struct err err = {0};
        struct buf bytes;
        put(profile, vector(3, 8), 1);
        put(other, vector(3, 8), 1);
        profile->features[0].embedding->mean = other->features[0].embedding->mean = means[i];
        buf_init(&bytes, 1 << 20);
        profile_save(profile, &bytes);

        assert_int_equal(
            profile_load(&loaded, &layout, PROFILE_MINUTE, bytes.data, bytes.size, &err),
            ERR_CORRUPT);

        assert_non_null(strstr(err.text, "means that 1 vectors do not have"));
        assert_int_equal(profile_merge(profile, other), 0);
        buf_finish(&bytes);
    }
}

static void sums_on_a_grid_that_no_values_have_are_refused(void **state)
{
    (void)state;
    struct grid *grid = whole_numbers();
    const struct numbers_grid on = {grid, 77};
    struct numbers good, other;
    numbers_init(&good, PROFILE_MINUTE);
    for (int i = 0; i < 300; i++)
        assert_int_equal(numbers_update(&good, on, i, 1), 0);
    assert_true(good.n_counts > 0);
    for (int way = 0; way < 4; way++) {
        const __int128 most = (__int128)(~(unsigned __int128)0 >> 1);
        struct numbers bad = good, loaded;
        bad.sum = way == 1 ? most : way == 2 ? -most : good.sum;
        bad.square = way == 3 ? most : good.square;
        struct buf bytes;
        struct err err = {0};
        buf_init(&bytes, 1 << 20);
        numbers_save(&bad, &bytes);
        struct reader in = reader_of(bytes.data, bytes.size);
        numbers_init(&loaded, PROFILE_MINUTE);

        assert_int_equal(numbers_load(&loaded, &in, &err), way ? ERR_CORRUPT : 0);

        numbers_finish(&loaded);
        buf_finish(&bytes);
        numbers_init(&other, PROFILE_MINUTE);
        assert_int_equal(numbers_merge(&other, &bad, on), 0);
        assert_int_equal(numbers_merge(&other, &bad, on), 0);
        numbers_finish(&other);
    }
    numbers_finish(&good);
    grid_free(grid);
}

/* A feature of several kinds gets a reference, and with it a kind, in the midst of a pane. */
static void memory_holds_when_a_reference_comes_in_mid_pane(void **state)
{
    (void)state;
    struct cell cells[2000];
    struct category known[300];
    for (int i = 0; i < 2000; i++)
        cells[i] = (struct cell){i * i, i * i, 1};
    for (uint64_t i = 0; i < 300; i++)
        known[i] = (struct category){id_of(i), 1000 - i};
    struct grid *grid = NULL;
    struct category_bins *bins = NULL;
    assert_int_equal(grid_build(&grid, cells, 2000, GRID_MAX_CELLS, NULL), 0);
    assert_int_equal(category_bins_new(&bins, known, 300, NULL), 0);
    struct profile_feature judged = feature;
    const struct profile_layout judging = {77, 1, &judged};
    for (int round = 0; round < 2 * 3 * 4; round++) {
        const enum profile_level level = round % 2 ? PROFILE_HOUR : PROFILE_MINUTE;
        judged.kind = round / 2 % 3 + PROFILE_NUMERIC;
        judged.grid = judged.kind == PROFILE_CATEGORICAL ? NULL : grid;
        judged.bins = judged.kind == PROFILE_CATEGORICAL ? bins : NULL;
        struct rng rng = rng_of((uint64_t)round);
        AUTO(profile) struct profile *pane = new_profile(level), *other = NULL;
        assert_int_equal(profile_new(&other, &judging, level, NULL), 0);
        AUTO(profile) struct profile *sibling = new_profile(level);
        for (int i = 0; i < 40 << (2 * (round / 6)); i++) {
            put(pane, drawn(&rng, round % 4 ? 7 : 3, 20, 40), 1);
            put(sibling, drawn(&rng, round % 4 ? 7 : 3, 20, 40), 1);
        }

        pane->layout = sibling->layout = &judging;
        assert_int_equal(profile_merge(pane, sibling), 0);
        size_t most = 0;
        for (int i = 0; i < 6000; i++) {
            put(pane, drawn(&rng, 7, 100000, 40), 1);
            put(other, drawn(&rng, 7, 100000, 40), 1);
            most = larger(most, profile_bytes(pane, 0));
        }
        assert_int_equal(profile_merge(other, pane), 0);
        assert_in_range(larger(most, profile_bytes(other, 0)), 0, bound_of(level));
        assert_int_equal(profile_merge(pane, other), 0);
        assert_in_range(profile_bytes(pane, 0), 0, bound_of(level));
    }
    grid_free(grid);
    category_bins_free(bins);
}

/* A window's first minute came before the reference, with a text: the grid stays. */
static void a_text_from_before_the_reference_leaves_a_window_its_grid(void **state)
{
    (void)state;
    struct grid *grid = whole_numbers();
    struct profile_feature judged = feature;
    const struct profile_layout judging = {77, 1, &judged};
    AUTO(profile) struct profile *before = new_profile(PROFILE_MINUTE);
    AUTO(profile) struct profile *after = NULL, *window = NULL;
    put(before, text(1), 1);
    put(before, number(17), 1);
    before->layout = &judging;
    judged.kind = PROFILE_NUMERIC;
    judged.grid = grid;
    assert_int_equal(profile_new(&after, &judging, PROFILE_MINUTE, NULL), 0);
    assert_int_equal(profile_new(&window, &judging, PROFILE_HOUR, NULL), 0);
    for (int i = 0; i < 1500; i++)
        put(after, number(i), 1);

    assert_int_equal(profile_merge(window, before), 0);
    assert_int_equal(profile_merge(window, after), 0);

    const struct numbers *numbers = window->features[0].numeric;
    uint64_t counted = 0;
    for (uint32_t i = 0; i < numbers->n_counts; i++)
        counted += numbers_count(numbers, i);
    assert_int_equal(counted, 1501);
    grid_free(grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_holds_for_every_mix_of_kinds),
        cmocka_unit_test(memory_holds_at_every_number_of_texts),
        cmocka_unit_test(order_and_split_change_no_byte_of_several_kinds),
        cmocka_unit_test(minutes_make_the_same_hour_in_any_order),
        cmocka_unit_test(what_is_taken_out_leaves_the_rest_of_several_kinds),
        cmocka_unit_test(a_few_texts_cost_numbers_nothing),
        cmocka_unit_test(more_texts_cost_numbers_a_part),
        cmocka_unit_test(numbers_cost_texts_nothing),
        cmocka_unit_test(a_mean_vector_stays_beside_a_few_texts),
        cmocka_unit_test(fuller_bytes_of_an_older_version_are_taken),
        cmocka_unit_test(sums_that_no_values_have_are_refused),
        cmocka_unit_test(sums_on_a_grid_that_no_values_have_are_refused),
        cmocka_unit_test(memory_holds_when_a_reference_comes_in_mid_pane),
        cmocka_unit_test(a_text_from_before_the_reference_leaves_a_window_its_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
