/*
 * How often each machine is wrong when nothing is: A/A runs with a look after every batch, and that
 * it is right when something is. Seeds are fixed; bounds are those of alpha .05 at so many runs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abtest/observation.h"
#include "abtest/weigh.h"
#include "common/rng.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    RUNS = 300,
    LOOKS = 25,
    EVENTS = 80,     /* a look */
    MOST_FALSE = 26, /* of 300 at 5 %: more in 1 of 200 such tests */
    USERS = 400,
};

struct world {
    const char *metric;
    int share;
    double harm; /* how much worse the treatment is, in the event's own terms */
    bool sticky; /* few users of very different activity */
    void (*event)(struct observation *o, struct rng *rng, double taste, double harm);
};

static const double wanted = 2.9957322735539909; /* -ln .05 */

struct user {
    double bucket, taste;
    uint64_t hash;
};

static struct user user_of(struct rng *rng)
{
    struct user user = {rng_uniform(rng), rng_normal(rng), 0};
    user.hash = rng_u64(rng);
    return user;
}

struct outcome_of_run {
    bool harmed, superior;
};

/* A user's share of the events: from the square of a uniform number, so that a few send many. */
static struct outcome_of_run play(const struct world *world, struct experiment *x, uint64_t seed)
{
    AUTO(evidence) struct evidence *e = NULL;
    struct rng start = rng_of(seed), rng = rng_of(rng_u64(&start));
    struct user users[USERS];
    struct outcome_of_run result = {false, false};
    assert_int_equal(evidence_new(&e, x, 0, NULL), 0);
    for (int i = 0; i < USERS; i++)
        users[i] = user_of(&rng);
    int64_t now_ms = 1000;
    for (int look = 0; look < LOOKS; look++) {
        for (int i = 0; i < EVENTS; i++) {
            double at = rng_uniform(&rng);
            struct user user = world->sticky ? users[(int)(at * at * USERS)] : user_of(&rng);
            enum arm_served arm = experiment_arm(x, 0, user.bucket);
            struct exposure exposure = {0, arm, false, user.hash, now_ms += 25};
            struct observation o = observation_nothing();
            double harm = arm == ARM_TREATMENT ? world->harm : 0;
            world->event(&o, &rng, user.taste, harm);
            if (o.stage == STAGE_SYSTEM)
                exposure.unit = (uint64_t)(now_ms / 1000) * UINT64_C(0x9e3779b97f4a7c15);
            if (o.stage == STAGE_PREDICTION && rng_uniform(&rng) < harm && o.failed)
                continue; /* a request that never came */
            assert_int_equal(evidence_observe(e, &exposure, &o, 1, NULL), 0);
            if (!isnan(o.covariate)) {
                o.covariate = (double)NAN;
                o.stage = STAGE_LABEL;
                assert_int_equal(evidence_observe(e, &exposure, &o, 1, NULL), 0);
            }
        }
        struct metric_verdict verdict;
        weigh_metric(x, e, 0, 0, &verdict);
        result.harmed |= verdict.log_e_harm >= wanted;
        result.superior |= verdict.log_e_superior >= wanted;
    }
    return result;
}

struct counts {
    int harmed, superior;
};

static struct counts play_all(const struct world *world, int runs)
{
    AUTO(experiment) struct experiment *x = NULL;
    struct counts counts = {0, 0};
    struct err err = {0};
    char object[1024];
    snprintf(object, sizeof(object),
             "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"noninferiority\":\"lenient\",\"steps\":[{\"weight\":%d,\"min_units\":300}],"
             "\"metrics\":[%s]}",
             world->share, world->metric);
    must(experiment_parse_text(&x, object, strlen(object), &err), &err);
    for (int i = 0; i < runs; i++) {
        struct outcome_of_run run = play(world, x, (uint64_t)i + 1);
        counts.harmed += run.harmed;
        counts.superior += run.superior;
    }
    return counts;
}

static void assert_honest(const char *name, struct world world, double harm, int found)
{
    struct counts equal = play_all(&world, RUNS);
    world.harm = harm;
    struct counts worse = play_all(&world, RUNS / 5);

    print_message("%s: of %d A/A runs %d harmed, %d superior; %d of %d harms found\n", name, RUNS,
                  equal.harmed, equal.superior, worse.harmed, RUNS / 5);
    assert_in_range(equal.harmed, 0, MOST_FALSE);
    assert_in_range(equal.superior, 0, MOST_FALSE);
    assert_in_range(worse.harmed, found, RUNS / 5);
}

/* --- formulas --- */

static void judged(struct observation *o, struct rng *rng, double taste, double harm)
{
    o->stage = STAGE_LABEL;
    o->positive = rng_uniform(rng) < 0.5;
    o->correct = rng_uniform(rng) + 0.05 * taste > 0.2 + harm;
    o->has_predicted = true;
    o->predicted = o->positive == o->correct;
    o->label_class = o->positive ? 1 : 2 + rng_below(rng, 2);
    o->predicted_class = o->correct ? o->label_class : 1 + o->label_class % 3;
}

static void formulas_keep_their_error_rate(void **state)
{
    (void)state;
    const char *metric =
        "{\"metric\":\"net_value\",\"expr\":\"100*tp - 20*fp\",\"direction\":\"higher\"}";

    assert_honest("formula, 50 %", (struct world){metric, 50, 0, false, judged}, 0.25, 50);
    assert_honest("formula, 20 %, sticky", (struct world){metric, 20, 0, true, judged}, 0.4, 30);
}

static void averages_over_classes_keep_their_error_rate(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"f1_macro\"}";

    assert_honest("f1_macro, 50 %", (struct world){metric, 50, 0, false, judged}, 0.2, 50);
    assert_honest("f1_macro, 20 %, sticky", (struct world){metric, 20, 0, true, judged}, 0.3, 30);
}

/* --- throughput --- */

/* `failed` marks what the harm takes away before anybody sees it. */
static void asked(struct observation *o, struct rng *rng, double taste, double harm)
{
    (void)rng;
    (void)taste;
    o->stage = STAGE_PREDICTION;
    o->failed = harm > 0;
    o->latency_ms = 5;
}

static void throughput_keeps_its_error_rate(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"throughput\"}";

    assert_honest("throughput, 20 %", (struct world){metric, 20, 0, false, asked}, 0.5, 50);
    assert_honest("throughput, 20 %, sticky", (struct world){metric, 20, 0, true, asked}, 0.9, 30);
    assert_honest("throughput, 50 %, sticky", (struct world){metric, 50, 0, true, asked}, 0.7, 30);
}

/* --- values of hosts, by their minutes --- */

static void told(struct observation *o, struct rng *rng, double taste, double harm)
{
    (void)taste;
    o->stage = STAGE_SYSTEM;
    o->name = "memory_bytes";
    o->named_value = 1e9 * (4 + 0.3 * rng_normal(rng) + harm);
}

static void values_of_hosts_keep_their_error_rate(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"memory_bytes\"}";

    assert_honest("memory_bytes", (struct world){metric, 50, 0, false, told}, 0.2, 50);
}

/* --- CUPED of what labels bring --- */

static void sold(struct observation *o, struct rng *rng, double taste, double harm)
{
    o->stage = STAGE_PREDICTION;
    o->covariate = 10 + 3 * taste; /* of before the experiment */
    o->value = 20;
    o->label_value = 20 - (4 + 0.3 * taste + 0.3 * rng_normal(rng) + harm); /* mae of 4 */
}

static void a_covariate_keeps_the_error_rate_under_a_relative_margin(void **state)
{
    (void)state;
    const char *plain = "{\"metric\":\"mae\",\"harm_margin_relative\":0.05}";
    const char *cuped =
        "{\"metric\":\"mae\",\"harm_margin_relative\":0.05,\"covariate\":\"before\"}";
    /* at the boundary: 4 · 1.05 */
    struct world world = {cuped, 50, 0.2, true, sold};

    struct counts boundary = play_all(&world, RUNS);
    world.harm = 0.35;
    struct counts with = play_all(&world, 60);
    world.metric = plain;
    struct counts without = play_all(&world, 60);

    print_message("CUPED: %d of %d at the margin; beyond it %d with, %d without of 60\n",
                  boundary.harmed, RUNS, with.harmed, without.harmed);
    assert_in_range(boundary.harmed, 0, MOST_FALSE);
    assert_true(with.harmed >= without.harmed + 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas_keep_their_error_rate),
        cmocka_unit_test(averages_over_classes_keep_their_error_rate),
        cmocka_unit_test(throughput_keeps_its_error_rate),
        cmocka_unit_test(values_of_hosts_keep_their_error_rate),
        cmocka_unit_test(a_covariate_keeps_the_error_rate_under_a_relative_margin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
