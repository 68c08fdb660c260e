#include "bench/simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/variates.h"
#include "common/rng.h"
#include "stats/bucket.h"
#include "stats/distribution.h"

enum {
    WINDOW_SECONDS = 60,
    WINDOWS_TO_FAIL = 5
};
static const double WINDOW_LIMIT = 0.03;
static const double NAIVE_FAILURES = 20; /* before the naive test for safety may speak */

struct user {
    double bucket, frailty; /* frailty: its own quantile of the failure rate */
    uint64_t hash;
};

struct simulation {
    struct simulate_plan plan;
    struct experiment *experiment;
    struct user *users;
    double *activity; /* cumulative */
    int *guide;       /* of equal parts of the activity: the first user that reaches into it */
    double naive_z;
};

/* Naive rules see events, not units. */
struct tally {
    double n[N_ARMS], x[N_ARMS];
};

struct run {
    struct simulation *simulation;
    struct rng rng;
    struct evidence *evidence;
    struct situation now;
    struct tally all, window;
    int bad_windows;
    uint32_t n_units;
    struct simulate_result result;
};

struct simulation *simulation_new(const struct simulate_plan *plan)
{
    struct simulation *s = calloc(1, sizeof(*s));
    struct err err;
    if (!s)
        return NULL;
    s->plan = *plan;
    if (experiment_parse_text(&s->experiment, plan->experiment, strlen(plan->experiment), &err)) {
        fprintf(stderr, "simulate: %s\n", err.text);
        simulation_free(s);
        return NULL;
    }
    s->naive_z = normal_isf(s->experiment->alpha);
    size_t users = (size_t)(plan->users > 0 ? plan->users : 1);
    s->users = calloc(users, sizeof(*s->users));
    s->activity = calloc(users, sizeof(*s->activity));
    s->guide = calloc(users, sizeof(*s->guide));
    if (!s->users || !s->activity || !s->guide) {
        simulation_free(s);
        return NULL;
    }
    return s;
}

void simulation_free(struct simulation *s)
{
    if (!s)
        return;
    experiment_free(s->experiment);
    free(s->users);
    free(s->activity);
    free(s->guide);
    free(s);
}

/* A user's own failure rate over the mean: Beta with the mean and the wanted icc. */
static double frailty(struct rng *rng, double mean, double icc)
{
    if (!(icc > 0))
        return 1;
    double size = 1 / icc - 1;
    double a = gamma_variate(rng, mean * size), b = gamma_variate(rng, (1 - mean) * size);
    return a / (a + b) / mean;
}

static void draw_users(struct run *run)
{
    struct simulation *s = run->simulation;
    double sum = 0;
    for (int i = 0; i < s->plan.users; i++) {
        s->users[i] = (struct user){
            .bucket = rng_uniform(&run->rng),
            .frailty = frailty(&run->rng, s->plan.rate_a[0], s->plan.icc),
            .hash = rng_u64(&run->rng) | 1,
        };
        sum += exp(rng_normal(&run->rng));
        s->activity[i] = sum;
    }
    for (int part = 0, i = 0; part < s->plan.users; part++) {
        while (s->activity[i] <= part * (sum / s->plan.users))
            i++;
        s->guide[part] = i;
    }
}

/* Chen, Asau 1974: one table look-up and a step or two, where a search would miss the cache. */
static struct user user_at(const struct simulation *s, double share)
{
    double at = share * s->activity[s->plan.users - 1];
    int i = s->guide[(int)(share * s->plan.users)];
    while (i > 0 && s->activity[i - 1] > at) /* the product rounds */
        i--;
    while (i + 1 < s->plan.users && s->activity[i] <= at)
        i++;
    return s->users[i];
}

static struct user next_user(struct run *run)
{
    const struct simulation *s = run->simulation;
    if (s->plan.users == 0) {
        /* The high half chooses the variance bucket and is random; the low half only chooses the
           place in the set of units, and counting there keeps a run in the processor's cache. */
        double bucket = rng_uniform(&run->rng);
        uint64_t high = rng_u64(&run->rng) & ~(uint64_t)UINT32_MAX;
        return (struct user){bucket, 1, high | ++run->n_units};
    }
    return user_at(s, rng_uniform(&run->rng));
}

static void event(struct run *run)
{
    const struct simulation *s = run->simulation;
    struct user user = next_user(run);
    int step = run->now.ramp.step;
    enum arm_served arm = experiment_arm(s->experiment, step, user.bucket - s->plan.split_off);
    if (arm >= N_ARMS)
        return;
    double rate = arm == ARM_TREATMENT ? s->plan.rate_b[step] : s->plan.rate_a[step];
    bool failed = rng_uniform(&run->rng) < rate * user.frailty;
    struct exposure x = {step, arm, false, user.hash, run->now.now.event_ms};
    struct observation o = {.stage = STAGE_PREDICTION,
                            .latency_ms = (double)NAN,
                            .score = (double)NAN,
                            .value = (double)NAN,
                            .covariate = (double)NAN};
    o.failed = failed && !s->plan.labels;
    evidence_observe(run->evidence, &x, &o, 1, NULL);
    if (s->plan.labels) {
        o.stage = STAGE_LABEL;
        o.has_predicted = true;
        o.correct = !failed;
        evidence_observe(run->evidence, &x, &o, 1, NULL);
    }
    if (arm == ARM_TREATMENT)
        run->now.last_treatment_ms = x.ts_ms;
    else
        run->now.last_control_ms = x.ts_ms;
    run->all.n[arm]++;
    run->all.x[arm] += failed;
    run->window.n[arm]++;
    run->window.x[arm] += failed;
}

/* z of (b - a - margin), pooled at margin 0. */
static double z_of(const struct tally *t, double margin)
{
    double a = t->x[0] / t->n[0], b = t->x[1] / t->n[1];
    double pooled = (t->x[0] + t->x[1]) / (t->n[0] + t->n[1]);
    double variance = margin > 0 ? a * (1 - a) / t->n[0] + b * (1 - b) / t->n[1]
                                 : pooled * (1 - pooled) * (1 / t->n[0] + 1 / t->n[1]);
    return (b - a - margin) / sqrt(variance);
}

static void look_naively(struct run *run, int second)
{
    const struct simulation *s = run->simulation;
    const struct tally *all = &run->all;
    double margin = s->experiment->metrics[0].margin_relative * s->plan.rate_a[0];
    if (all->n[0] > 0 && all->n[1] > 0) {
        run->result.naive_harm |= z_of(all, 0) > s->naive_z;
        run->result.naive_safe |= all->x[0] + all->x[1] >= NAIVE_FAILURES && margin > 0 &&
                                  z_of(all, margin) < -s->naive_z;
    }
    if ((second + 1) % WINDOW_SECONDS != 0)
        return;
    const struct tally *w = &run->window;
    run->bad_windows += w->n[1] > 0 && w->x[1] / w->n[1] > WINDOW_LIMIT;
    run->result.window_harm |= run->bad_windows >= WINDOWS_TO_FAIL;
    memset(&run->window, 0, sizeof(run->window));
}

static void look(struct run *run)
{
    struct simulation *s = run->simulation;
    struct verdict verdict;
    ab_decide(s->experiment, run->evidence, &run->now, &verdict);
    run->result.units = verdict.detected_units;
    if (verdict.cause == CAUSE_SRM && !run->result.srm) {
        run->result.srm = true;
        run->result.srm_units = verdict.units_control + verdict.units_treatment;
    }
    run->now.ramp =
        ramp_step(run->now.ramp, s->experiment, verdict.kind, verdict.no_data, run->now.now);
}

struct simulate_result simulate_run(struct simulation *s, uint64_t seed)
{
    /* the generator walks by a fixed step: neighbouring seeds must start far apart */
    struct rng start = rng_of(seed);
    struct run run = {.simulation = s, .rng = rng_of(rng_u64(&start))};
    run.now.ramp = ramp_draft();
    run.now.now = (struct ramp_now){1000000, 1000000};
    ramp_command(&run.now.ramp, s->experiment, COMMAND_START, 0, run.now.now, NULL);
    if (evidence_new(&run.evidence, s->experiment, 0, NULL) != 0)
        abort();
    draw_users(&run);
    int second = 0;
    while (second < s->plan.seconds && !ramp_final(&run.now.ramp)) {
        run.now.now.event_ms += 1000;
        run.now.now.wall_ms += 1000;
        for (int i = 0; i < s->plan.events_per_second; i++)
            event(&run);
        look_naively(&run, second);
        look(&run);
        second++;
    }
    run.result.phase = run.now.ramp.phase;
    run.result.step = run.now.ramp.step;
    run.result.seconds = second;
    run.result.excess =
        (int64_t)(run.all.x[ARM_TREATMENT] - s->plan.rate_a[0] * run.all.n[ARM_TREATMENT]);
    evidence_free(run.evidence);
    return run.result;
}
