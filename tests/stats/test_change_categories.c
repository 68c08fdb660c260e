#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/change_shape.h"
#include "tests/stats/category_world.h"

enum {
    ASKED = 20000,
    SPAN = 2 /* × asked: events of each reference */
};

/* Events until the first alarm, `most` if there is none: a share of them is of `category`. */
static double run_of(const struct category_world *world, const struct reference *reference,
                     struct rng *rng, double share, uint64_t category, double most)
{
    const struct reference_feature *feature = &reference->features[CATEGORY_WORLD_FEATURE];
    struct change_shape shape;
    struct change_found found;
    change_shape_init(&shape, ASKED, (double)feature->valid, (double)NAN);
    for (double n = 1; n < most; n++) {
        const uint64_t id = rng_uniform(rng) < share ? category : category_world_draw(world, rng);
        const unsigned bin = change_shape_bin_category(feature, id, rng_u64(rng));
        if (change_shape_update(&shape, 0, bin, (double)NAN, &found))
            return n;
    }
    return most;
}

struct seen {
    double alarms;
    bool soon; /* the first within a tenth of what was asked */
};

static struct seen watch(const struct category_world *world, struct rng *rng)
{
    struct reference *reference = category_world_reference(world, rng);
    const struct reference_feature *feature = &reference->features[CATEGORY_WORLD_FEATURE];
    struct change_shape shape;
    struct change_found found;
    struct seen seen = {0};
    change_shape_init(&shape, ASKED, (double)feature->valid, (double)NAN);
    for (int i = 0; i < SPAN * ASKED; i++) {
        const unsigned bin =
            change_shape_bin_category(feature, category_world_draw(world, rng), rng_u64(rng));
        const int alarm = change_shape_update(&shape, 0, bin, (double)NAN, &found);
        seen.soon |= alarm && i < ASKED / 10;
        seen.alarms += alarm;
    }
    reference_free(reference);
    return seen;
}

static void runs_of_categories_are_as_long_as_asked(void **state)
{
    (void)state;
    static struct category_world worlds[] = {
        {.name = "5 alike", .n = 5, .m = 5000},
        {.name = "10 alike", .n = 10, .m = 5000},
        {.name = "30 alike", .n = 30, .m = 5000},
        {.name = "100 alike", .n = 100, .m = 5000},
        {.name = "100 as 1 / rank", .n = 100, .fall = 1, .m = 5000},
        {.name = "60 steep", .n = 60, .fall = 2, .m = 600},
        {.name = "300 alike", .n = 300, .m = 5000},
        {.name = "2,000 alike", .n = 2000, .m = 5000},
        {.name = "5,000 as 1 / rank", .n = 5000, .fall = 1, .m = 5000},
        {.name = "5,000 as 1 / root of rank", .n = 5000, .fall = 0.5, .m = 5000},
        {.name = "100,000 alike", .n = CATEGORY_WORLD_MOST, .m = 5000},
        {.name = "each once", .m = 5000},
        {.name = "2,000 alike", .n = 2000, .m = 1000},
        {.name = "5,000 as 1 / rank", .n = 5000, .fall = 1, .m = 20000},
        {.name = "each once, beyond all that are kept", .m = 80000},
        {.name = "100,000 as 1 / rank, beyond", .n = CATEGORY_WORLD_MOST, .fall = 1, .m = 600000},
    };
    const char *more = getenv("ASSAY_REFERENCES"); /* for figures */
    const int references = more ? atoi(more) : 5;
    struct rng rng = rng_of(11);
    double all = 0, all_soon = 0, watched = 0;
    for (size_t k = 0; k < sizeof(worlds) / sizeof(worlds[0]); k++) {
        double alarms = 0, squares = 0, soon = 0;
        const int n = worlds[k].m > 20000 ? (references + 9) / 10 : references;
        category_world_lay_out(&worlds[k]);
        for (int r = 0; r < n; r++) {
            const struct seen seen = watch(&worlds[k], &rng);
            alarms += seen.alarms;
            squares += seen.alarms * seen.alarms;
            soon += seen.soon;
        }
        const double mean = alarms / n;
        const double error = sqrt(fmax(squares / n - mean * mean, 0) / fmax(n - 1, 1));
        printf("%-36s %6d: %4.0f alarms, %.2f to %.2f of what was asked; %.2f soon\n",
               worlds[k].name, worlds[k].m, alarms, SPAN / (mean + 2 * error),
               SPAN / fmax(mean - 2 * error, 0), soon / n);
        all += alarms;
        all_soon += soon;
        watched += n;
    }
    /* of a changed feature an alarm is told once: then it is silent */
    assert_true(all_soon <= 0.3 * watched);
    assert_true(all <= 1.5 * SPAN * watched);
}

static void what_many_categories_get_is_found(void **state)
{
    (void)state;
    static struct category_world falling = {.n = 5000, .fall = 1, .m = 5000}, ids = {.m = 5000};
    struct rng rng = rng_of(12);
    category_world_lay_out(&falling);
    struct reference *reference = category_world_reference(&falling, &rng);
    const double one = run_of(&falling, reference, &rng, 0.5, category_world_id(0), ASKED);
    const double unseen = run_of(&falling, reference, &rng, 0.5, 3, ASKED);
    printf("half of one: after %.0f, of an unseen one: after %.0f\n", one, unseen);
    assert_true(one < 512 && unseen < 512);
    reference_free(reference);

    reference = category_world_reference(&ids, &rng);
    const struct reference_feature *feature = &reference->features[CATEGORY_WORLD_FEATURE];
    const double known = run_of(&ids, reference, &rng, 0.5, feature->categories[0].id, ASKED);
    printf("half of a known id: after %.0f\n", known);
    assert_true(known < 512);
    reference_free(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_categories_are_as_long_as_asked),
        cmocka_unit_test(what_many_categories_get_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
