/*
 * References and windows of made-up categories, as tests of false alarms and of changes among many
 * of them play them.
 *
 * Shape    n categories of shares i to the power -fall; n 0: each comes once
 * Owner    the caller frees references; a world is large: static
 */
#pragma once

#include <math.h>

#include "common/rng.h"
#include "stats/profile.h"
#include "tests/test.h"

enum {
    CATEGORY_WORLD_MOST = 100000,
    CATEGORY_WORLD_FEATURE = 0 /* the only one */
};

struct category_world {
    const char *name;
    int n;
    double fall;
    int m;                             /* events of a reference */
    double up_to[CATEGORY_WORLD_MOST]; /* cumulated shares */
};

static inline void category_world_lay_out(struct category_world *world)
{
    double sum = 0;
    for (int i = 0; i < world->n; i++)
        world->up_to[i] = sum += pow(i + 1, -world->fall);
    for (int i = 0; i < world->n; i++)
        world->up_to[i] /= sum;
}

/* Of the i-th category, from 0 on; the small numbers are nobody's. */
static inline uint64_t category_world_id(int i)
{
    return ((uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t category_world_draw(const struct category_world *world, struct rng *rng)
{
    const double u = rng_uniform(rng);
    int low = 0, high = world->n - 1;
    if (world->n == 0)
        return rng_u64(rng) | 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (world->up_to[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return category_world_id(low);
}

static inline struct reference *category_world_reference(const struct category_world *world,
                                                         struct rng *rng)
{
    struct profile_feature feature = {.name_id = 1, .kind = PROFILE_CATEGORICAL};
    const struct profile_layout layout = {0, 1, &feature};
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_REFERENCE, NULL), 0);
    for (int i = 0; i < world->m; i++) {
        profile_event(profile, 1);
        assert_int_equal(
            profile_category(profile, CATEGORY_WORLD_FEATURE, category_world_draw(world, rng), 1),
            0);
    }
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    return reference;
}
