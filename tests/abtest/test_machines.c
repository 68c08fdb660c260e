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
    /* What follows a prediction; NULL: nothing does. */
    void (*later)(struct observation *o, struct rng *rng, double taste, double harm);
    double quantile; /* of control, known before the step; 0: none is asked for */
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
    bool harmed, safe, superior;
};

/* A user's share of the events: from the square of a uniform number, so that a few send many. */
static struct outcome_of_run play(const struct world *world, struct experiment *x, uint64_t seed)
{
    AUTO(evidence) struct evidence *e = NULL;
    struct rng start = rng_of(seed), rng = rng_of(rng_u64(&start));
    struct user users[USERS];
    struct outcome_of_run result = {false, false, false};
    assert_int_equal(evidence_new(&e, x, 0, NULL), 0);
    if (world->quantile > 0)
        evidence_set_threshold(e, 0, 0, world->quantile, 0);
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
            if (world->later) {
                world->later(&o, &rng, user.taste, harm);
                assert_int_equal(evidence_observe(e, &exposure, &o, 1, NULL), 0);
            }
        }
        struct metric_verdict verdict;
        weigh_metric(x, e, 0, 0, &verdict);
        result.harmed |= verdict.log_e_harm >= wanted;
        result.safe |= verdict.log_e_safe >= wanted;
        result.superior |= verdict.log_e_superior >= wanted;
    }
    return result;
}

struct counts {
    int harmed, safe, superior;
};

static struct counts play_all(const struct world *world, int runs)
{
    AUTO(experiment) struct experiment *x = NULL;
    struct counts counts = {0, 0, 0};
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
        counts.safe += run.safe;
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

/* `edge`: the harm that is the metric's margin; control is as `world` has it. */
static void assert_not_passed_at_the_margin(const char *name, struct world world, double edge,
                                            int passed)
{
    struct counts equal = play_all(&world, RUNS / 5);
    world.harm = edge;
    struct counts margin = play_all(&world, RUNS);

    print_message("%s: at the margin %d of %d passed; %d of %d equal ones\n", name, margin.safe,
                  RUNS, equal.safe, RUNS / 5);
    assert_in_range(margin.safe, 0, MOST_FALSE);
    assert_in_range(equal.safe, passed, RUNS / 5);
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

    assert_honest("formula, 50 %",
                  (struct world){.metric = metric, .share = 50, .sticky = false, .event = judged},
                  0.25, 50);
    assert_honest("formula, 20 %, sticky",
                  (struct world){.metric = metric, .share = 20, .sticky = true, .event = judged},
                  0.4, 30);
}

static void averages_over_classes_keep_their_error_rate(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"f1_macro\"}";

    assert_honest("f1_macro, 50 %",
                  (struct world){.metric = metric, .share = 50, .sticky = false, .event = judged},
                  0.2, 50);
    assert_honest("f1_macro, 20 %, sticky",
                  (struct world){.metric = metric, .share = 20, .sticky = true, .event = judged},
                  0.3, 30);
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

    assert_honest("throughput, 20 %",
                  (struct world){.metric = metric, .share = 20, .sticky = false, .event = asked},
                  0.5, 50);
    assert_honest("throughput, 20 %, sticky",
                  (struct world){.metric = metric, .share = 20, .sticky = true, .event = asked},
                  0.9, 30);
    assert_honest("throughput, 50 %, sticky",
                  (struct world){.metric = metric, .share = 50, .sticky = true, .event = asked},
                  0.7, 30);
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

    assert_honest("memory_bytes",
                  (struct world){.metric = metric, .share = 50, .sticky = false, .event = told},
                  0.2, 50);
}

/* --- CUPED of what labels bring --- */

static void sold(struct observation *o, struct rng *rng, double taste, double harm)
{
    o->stage = STAGE_PREDICTION;
    o->covariate = 10 + 3 * taste; /* of before the experiment */
    o->value = 20;
    o->label_value = 20 - (4 + 0.3 * taste + 0.3 * rng_normal(rng) + harm); /* mae of 4 */
}

static void settled(struct observation *o, struct rng *rng, double taste, double harm)
{
    (void)rng;
    (void)taste;
    (void)harm;
    o->covariate = (double)NAN;
    o->stage = STAGE_LABEL;
}

static void a_covariate_keeps_the_error_rate_under_a_relative_margin(void **state)
{
    (void)state;
    const char *plain = "{\"metric\":\"mae\",\"harm_margin_relative\":0.05}";
    const char *cuped =
        "{\"metric\":\"mae\",\"harm_margin_relative\":0.05,\"covariate\":\"before\"}";
    /* at the boundary: 4 · 1.05 */
    struct world world = {
        .metric = cuped, .share = 50, .harm = 0.2, .sticky = true, .event = sold, .later = settled};

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

/* --- calibration --- */

/* A score from .1 to .9 that claims too much by `harm` to either side of the middle: ece = harm. */
static void claimed(struct observation *o, struct rng *rng, double taste, double harm)
{
    double p = 0.1 + 0.8 * rng_uniform(rng);
    o->stage = STAGE_LABEL;
    o->score = p;
    o->positive = rng_uniform(rng) < p + 0.02 * taste + (p > 0.5 ? -harm : harm);
}

/* The same over a control that is off by .1 already. */
static void overclaimed(struct observation *o, struct rng *rng, double taste, double harm)
{
    claimed(o, rng, taste, 0.1 + harm);
}

static void calibration_keeps_its_error_rate_however_small_an_arm(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"ece\",\"margin\":0.1}";
    struct world world = {.metric = metric, .share = 10, .event = claimed};

    assert_honest("ece, 10 %", world, 0.3, 50);
    world.share = 50;
    assert_not_passed_at_the_margin("ece, 50 %", world, 0.1, 30);
    world.event = overclaimed;
    world.sticky = true;
    assert_honest("ece, 50 %, off by .1, sticky", world, 0.2, 50);
}

/* --- areas --- */

static void ranked(struct observation *o, struct rng *rng, double taste, double harm)
{
    double distance = 1.5 * (1 - harm);
    o->stage = STAGE_LABEL;
    o->positive = rng_uniform(rng) < 0.25;
    double log_odds = 0.3 * taste + rng_normal(rng) + (o->positive ? distance : 0);
    o->score = 1 / (1 + exp(1 - log_odds));
}

static void average_precision_keeps_its_error_rate(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"pr_auc\",\"margin\":0.1}";

    assert_honest("pr_auc, 20 %, sticky",
                  (struct world){.metric = metric, .share = 20, .sticky = true, .event = ranked},
                  0.6, 30);
}

static struct class_score scores[3];
static struct sample scored;

static void sorted_into_classes(struct observation *o, struct rng *rng, double taste, double harm)
{
    double sum = 0;
    const uint64_t label = 1 + rng_below(rng, 3);
    for (int i = 0; i < 3; i++) {
        bool is = (uint64_t)i + 1 == label;
        scores[i] = (struct class_score){(uint64_t)i + 1,
                                         exp(rng_normal(rng) + 0.2 * taste + is * (1 - harm))};
        sum += scores[i].score;
    }
    for (int i = 0; i < 3; i++)
        scores[i].score /= sum;
    scored = (struct sample){.scores = scores, .n_scores = 3, .label_class = label};
    o->stage = STAGE_LABEL;
    o->content = &scored;
}

static void areas_over_classes_keep_their_error_rate(void **state)
{
    (void)state;
    const char *metric = "{\"metric\":\"roc_auc_ovr_weighted\"}";

    assert_honest(
        "roc_auc_ovr_weighted, 20 %, sticky",
        (struct world){.metric = metric, .share = 20, .sticky = true, .event = sorted_into_classes},
        0.8, 30);
}

/* --- quantiles --- */

static void sure(struct observation *o, struct rng *rng, double taste, double harm)
{
    o->stage = STAGE_PREDICTION;
    o->confidence = 0.5 + 0.5 * fmin(fmax(rng_uniform(rng) + 0.05 * taste - harm, 0), 1);
}

static void missed(struct observation *o, struct rng *rng, double taste, double harm)
{
    o->stage = STAGE_LABEL;
    o->value = 0;
    o->label_value = (1 + harm) * (rng_normal(rng) + 0.3 * taste);
}

static void quantiles_keep_their_error_rate(void **state)
{
    (void)state;
    struct world confidence = {.metric = "{\"metric\":\"confidence_p10\",\"direction\":"
                                         "\"higher\",\"margin\":0.025}",
                               .share = 50,
                               .event = sure,
                               .quantile = 0.55};
    struct world error = {.metric = "{\"metric\":\"median_absolute_error\","
                                    "\"margin_relative\":0.25}",
                          .share = 50,
                          .event = missed,
                          .quantile = 0.70};
    struct world most = {
        .metric = "{\"metric\":\"max_error\"}", .share = 50, .event = missed, .quantile = 2.8};

    assert_honest("confidence_p10, 50 %", confidence, 0.1, 50);
    assert_not_passed_at_the_margin("confidence_p10, 50 %", confidence, 0.05, 10);
    assert_honest("median_absolute_error, 50 %", error, 0.5, 50);
    assert_not_passed_at_the_margin("median_absolute_error, 50 %", error, 0.25, 10);
    error.share = 20;
    error.sticky = true;
    assert_honest("median_absolute_error, 20 %, sticky", error, 1.0, 30);
    assert_honest("max_error, 50 %", most, 1.0, 50);
}

/* --- shares and counts --- */

static void counts_of_confusion_keep_their_error_rate(void **state)
{
    (void)state;
    struct world world = {.metric = "{\"metric\":\"fn\"}", .share = 20, .event = judged};

    assert_honest("fn, 20 %", world, 0.25, 50);
    world = (struct world){.metric = "{\"metric\":\"count\"}", .share = 20, .event = asked};
    assert_honest("count, 20 %", world, 0.5, 50);
}

/* --- by unit --- */

static void seen(struct observation *o, struct rng *rng, double taste, double harm)
{
    (void)rng;
    (void)taste;
    (void)harm;
    o->stage = STAGE_PREDICTION;
}

static void bought(struct observation *o, struct rng *rng, double taste, double harm)
{
    o->stage = STAGE_OUTCOME;
    o->name = "revenue";
    o->named_value = rng_uniform(rng) < 0.3 * (1 - harm) ? 5 + taste : 0;
}

static void outcomes_by_unit_keep_their_error_rate(void **state)
{
    (void)state;
    struct world world = {
        .metric = "{\"metric\":\"spent\",\"expr\":\"outcome_sum_per_unit{name=\\\"revenue\\\"}\","
                  "\"direction\":\"higher\"}",
        .share = 50,
        .event = seen,
        .later = bought};

    assert_honest("outcome_sum_per_unit, 50 %", world, 0.5, 50);
    world.share = 20;
    world.sticky = true;
    assert_honest("outcome_sum_per_unit, 20 %, sticky", world, 0.9, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas_keep_their_error_rate),
        cmocka_unit_test(averages_over_classes_keep_their_error_rate),
        cmocka_unit_test(throughput_keeps_its_error_rate),
        cmocka_unit_test(values_of_hosts_keep_their_error_rate),
        cmocka_unit_test(calibration_keeps_its_error_rate_however_small_an_arm),
        cmocka_unit_test(average_precision_keeps_its_error_rate),
        cmocka_unit_test(areas_over_classes_keep_their_error_rate),
        cmocka_unit_test(quantiles_keep_their_error_rate),
        cmocka_unit_test(counts_of_confusion_keep_their_error_rate),
        cmocka_unit_test(outcomes_by_unit_keep_their_error_rate),
        cmocka_unit_test(a_covariate_keeps_the_error_rate_under_a_relative_margin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
