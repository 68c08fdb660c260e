/*
 * How it works: predictions come by a Poisson process whose rate follows the clock; each puts its
 * label (and a correction, an outcome) into a heap ordered by time, and the stream is the merge
 * of the two. All randomness comes from one seed.
 */
#include "cli/simulate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/bucket.h"

enum {
    JSON_BYTES = 1024,
    KEY_BYTES = 32,
    MAX_WAITING = 1 << 20,
    N_UNITS = 40000,
    TOO_MUCH_WEIGHT = 20, /* percent: what v4 cannot carry */
};

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

enum late_kind {
    LATE_LABEL,
    LATE_CLICK,
    LATE_REVENUE
};

struct late { /* something that will be known later */
    int64_t ts_ms;
    uint64_t id;
    double value;
    enum late_kind kind;
};

struct simulation {
    struct simulation_plan plan;
    struct rng rng;
    int64_t next_prediction_ms;
    double weight; /* of v4, percent */
    uint64_t n_predictions;
    struct late *heap; /* smallest ts_ms first */
    size_t n_heap;
    size_t heap_capacity;
    char key[KEY_BYTES];
    char json[JSON_BYTES];
};

static const char *const cities[] = {"berlin", "paris", "madrid", "rome", "vienna"};
static const char *const countries[] = {"de", "fr", "es", "it", "at"};
static const double city_share[] = {0.34, 0.24, 0.18, 0.14, 0.10};
static const char *const channels[] = {"web", "app", "branch", "partner"};

int simulation_new(struct simulation **out, const struct simulation_plan *plan, struct err *err)
{
    if (!(plan->rate > 0) || plan->rate > 1e6)
        return err_set(err, ERR_USAGE, "simulation: rate %g is not in 0..1e6 a second", plan->rate);

    struct simulation *simulation = calloc(1, sizeof(*simulation));
    if (!simulation)
        return err_set(err, -12, "simulation: no memory");
    simulation->plan = *plan;
    simulation->rng = rng_of(plan->seed);
    simulation->next_prediction_ms = plan->start_ms;
    *out = simulation; /* the caller owns it now */
    return 0;
}

void simulation_free(struct simulation *simulation)
{
    if (!simulation)
        return;
    free(simulation->heap);
    free(simulation);
}

static int heap_push(struct simulation *sim, struct late late, struct err *err)
{
    if (sim->n_heap == sim->heap_capacity) {
        size_t capacity = sim->heap_capacity ? 2 * sim->heap_capacity : 1024;
        if (capacity > MAX_WAITING)
            return err_set(err, ERR_USAGE,
                           "simulation: more than %d labels under way; lower the rate",
                           MAX_WAITING);
        struct late *heap = realloc(sim->heap, capacity * sizeof(*heap));
        if (!heap)
            return err_set(err, -12, "simulation: no memory for %zu labels", capacity);
        sim->heap = heap;
        sim->heap_capacity = capacity;
    }

    size_t i = sim->n_heap++;
    while (i > 0 && sim->heap[(i - 1) / 2].ts_ms > late.ts_ms) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = late;
    return 0;
}

static struct late heap_pop(struct simulation *sim)
{
    struct late top = sim->heap[0];
    struct late last = sim->heap[--sim->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= sim->n_heap)
            break;
        if (child + 1 < sim->n_heap && sim->heap[child + 1].ts_ms < sim->heap[child].ts_ms)
            child++;
        if (sim->heap[child].ts_ms >= last.ts_ms)
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    if (sim->n_heap)
        sim->heap[i] = last;
    return top;
}

/* 1 on a weekend, 0 on a working day, in between for the three hours around each midnight. */
static double weekend(int64_t ts_ms)
{
    double day =
        fmod((double)ts_ms / (double)DAY + 4, 7);  /* the epoch was a Thursday; 0 = Sunday */
    double away = fabs(day < 3.5 ? day : day - 7); /* days from Sunday 0:00 */
    double share = 0.5 + 8 * (1 - away);           /* Saturday 0:00 to Monday 0:00 */
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* How busy it is: nights are quiet, weekends quieter; averages to about 1 over a week. */
static double rhythm(const struct simulation *sim, int64_t ts_ms)
{
    double day = 1.0 + 0.65 * cos(2 * M_PI * (double)(ts_ms - sim->plan.peak_ms) / (double)DAY);
    return day * (1.16 - 0.56 * weekend(ts_ms));
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* 0 before `from`, then rising to 1 over an hour: things go wrong gradually. */
static double onset(int64_t ts_ms, int64_t from_ms)
{
    double x = (double)(ts_ms - from_ms) / (double)HOUR;
    return x <= 0 ? 0.0 : x >= 1 ? 1.0 : x;
}

struct applicant {
    int city;
    int channel;
    double income;
    double amount;
    double debt_ratio;
    double years_employed;
    int age;
    int defaults;
    int vip;
};

static struct applicant draw_applicant(struct simulation *sim, int64_t ts_ms)
{
    struct rng *rng = &sim->rng;
    struct applicant a = {0};
    double u = rng_uniform(rng);
    while (a.city < 4 && u >= city_share[a.city]) {
        u -= city_share[a.city];
        a.city++;
    }

    double drift = onset(ts_ms, sim->plan.drift_ms);
    double partner = 0.18 * drift; /* a new channel opens: a category nobody trained on */
    u = rng_uniform(rng);
    a.channel = u < partner ? 3 : u < 0.55 ? 0 : u < 0.88 ? 1 : 2;
    a.income = 38000.0 * exp(0.45 * rng_normal(rng));
    if (a.city == 1)
        a.income *= 1.0 + 0.6 * drift;
    a.amount = 2000.0 + rng_exponential(rng, 11000.0);
    a.debt_ratio = 0.05 + 0.75 * pow(rng_uniform(rng), 1.6);
    a.years_employed = rng_exponential(rng, 6.0);
    a.age = 19 + (int)rng_below(rng, 52);
    a.defaults = rng_uniform(rng) < 0.12 ? 1 + (int)rng_below(rng, 3) : 0;
    a.vip = rng_uniform(rng) < 0.06;
    return a;
}

/* Log-odds that the loan is repaid. */
static double repay_logit(const struct applicant *a)
{
    return 1.1 + 0.9 * (log(a->income) - 10.5) - 2.4 * (a->debt_ratio - 0.35) -
           0.00004 * (a->amount - 13000.0) + 0.06 * (a->years_employed - 6.0) - 0.9 * a->defaults +
           0.012 * (a->age - 45) + 0.4 * a->vip;
}

static int plan_label(struct simulation *sim, const struct applicant *a, uint64_t id, int64_t ts_ms,
                      struct err *err)
{
    struct rng *rng = &sim->rng;
    double logit = repay_logit(a);
    if (a->city == 1) /* in one country the old relation fades: only labels can tell */
        logit *= 1.0 - 0.9 * onset(ts_ms, sim->plan.decay_ms);
    int repaid = rng_uniform(rng) < sigmoid(1.25 * logit);

    if (rng_uniform(rng) < 0.04)
        return 0; /* never known */
    int64_t delay = (int64_t)(45000.0 * exp(1.0 * rng_normal(rng)));
    if (delay > 30 * 60 * SECOND)
        delay = 30 * 60 * SECOND;
    int wrong = rng_uniform(rng) < 0.01;
    struct late label = {ts_ms + delay, id, wrong ? !repaid : repaid, LATE_LABEL};
    int rc = heap_push(sim, label, err);
    if (!rc && wrong) {
        label.ts_ms += 60 * SECOND + (int64_t)rng_exponential(rng, 120000.0);
        label.value = repaid;
        rc = heap_push(sim, label, err);
    }
    return rc;
}

static int plan_outcomes(struct simulation *sim, double score, uint64_t id, int64_t ts_ms,
                         struct err *err)
{
    struct rng *rng = &sim->rng;
    if (rng_uniform(rng) >= 0.08 + 0.25 * score)
        return 0;
    struct late click = {ts_ms + 2 * SECOND + (int64_t)rng_exponential(rng, 20000.0), id, 1.0,
                         LATE_CLICK};
    int rc = heap_push(sim, click, err);
    if (rc || rng_uniform(rng) >= 0.3)
        return rc;
    struct late revenue = {click.ts_ms + (int64_t)rng_exponential(rng, 60000.0), id,
                           round(10000.0 * exp(0.6 * rng_normal(rng))) / 100.0, LATE_REVENUE};
    return heap_push(sim, revenue, err);
}

static int make_prediction(struct simulation *sim, struct simulated_event *out, struct err *err)
{
    struct rng *rng = &sim->rng;
    int64_t ts_ms = sim->next_prediction_ms;
    uint64_t id = ++sim->n_predictions;
    struct applicant a = draw_applicant(sim, ts_ms);

    char unit[KEY_BYTES];
    int unit_bytes = snprintf(unit, sizeof(unit), "user-%d", (int)rng_below(rng, N_UNITS));
    bool v4 = bucket_of(sim->plan.salt, strlen(sim->plan.salt), unit, (size_t)unit_bytes) <
              sim->weight / 100;
    const char *version = v4 ? "v4" : ts_ms < sim->plan.upgrade_ms ? "v2" : "v3";
    double harm = v4 && sim->weight >= TOO_MUCH_WEIGHT ? 1.0 : 0.0;
    double noise = v4 ? 0.35 : ts_ms < sim->plan.upgrade_ms ? 0.8 : 0.5;
    double score = sigmoid(1.25 * repay_logit(&a) + noise * rng_normal(rng));
    int failed = rng_uniform(rng) < 0.004 + 0.25 * harm;
    double latency = 9.0 * exp(0.35 * rng_normal(rng)) * (1.0 + 0.9 * harm) +
                     (rng_uniform(rng) < 0.02 ? rng_exponential(rng, 25.0) : 0.0) +
                     4.0 * rhythm(sim, ts_ms);

    snprintf(sim->key, sizeof(sim->key), "app-%llx", (unsigned long long)id);
    int n = snprintf(
        sim->json, sizeof(sim->json),
        "{\"type\":\"prediction\",\"id\":\"%s\",\"ts\":%lld,\"model\":\"credit\",\"version\":"
        "\"%s\",\"unit\":\"%s\",\"features\":{\"income\":%.2f,\"amount\":%.2f,"
        "\"debt_ratio\":%.4f,\"years_employed\":%.2f,\"age\":%d,\"defaults\":%d,\"city\":\"%s\","
        "\"channel\":\"%s\",\"vip\":%s,\"referrer_score\":%s},",
        sim->key, (long long)ts_ms, version, unit, a.income, a.amount, a.debt_ratio,
        a.years_employed, a.age, a.defaults, cities[a.city], channels[a.channel],
        a.vip ? "true" : "false", rng_uniform(rng) < 0.15 ? "null" : (a.vip ? "0.8" : "0.4"));
    if (failed)
        n += snprintf(sim->json + n, sizeof(sim->json) - (size_t)n,
                      "\"latency_ms\":%.2f,\"error\":\"upstream timeout\","
                      "\"segment\":{\"country\":\"%s\"}}",
                      latency + 400.0, countries[a.city]);
    else
        n += snprintf(sim->json + n, sizeof(sim->json) - (size_t)n,
                      "\"score\":%.6f,\"prediction\":%d,\"latency_ms\":%.2f,"
                      "\"segment\":{\"country\":\"%s\"}}",
                      score, score >= 0.5, latency, countries[a.city]);
    *out = (struct simulated_event){ts_ms, "predictions", sim->key, sim->json, (size_t)n};

    double gap = rng_exponential(rng, 1000.0 / (sim->plan.rate * rhythm(sim, ts_ms)));
    sim->next_prediction_ms += 1 + (int64_t)gap;
    if (failed)
        return 0;
    int rc = plan_label(sim, &a, id, ts_ms, err);
    return rc ? rc : plan_outcomes(sim, score, id, ts_ms, err);
}

static void make_late(struct simulation *sim, struct simulated_event *out)
{
    struct late late = heap_pop(sim);
    snprintf(sim->key, sizeof(sim->key), "app-%llx", (unsigned long long)late.id);
    int n = 0;
    if (late.kind == LATE_LABEL)
        n = snprintf(sim->json, sizeof(sim->json),
                     "{\"type\":\"label\",\"id\":\"%s\",\"ts\":%lld,\"label\":%d}", sim->key,
                     (long long)late.ts_ms, late.value != 0.0);
    else
        n = snprintf(sim->json, sizeof(sim->json),
                     "{\"type\":\"outcome\",\"id\":\"%s\",\"ts\":%lld,\"name\":\"%s\","
                     "\"value\":%.2f}",
                     sim->key, (long long)late.ts_ms, late.kind == LATE_CLICK ? "click" : "revenue",
                     late.value);
    *out = (struct simulated_event){late.ts_ms, "labels", sim->key, sim->json, (size_t)n};
}

int simulation_next(struct simulation *sim, struct simulated_event *out, struct err *err)
{
    if (sim->n_heap && sim->heap[0].ts_ms < sim->next_prediction_ms) {
        make_late(sim, out);
        return 0;
    }
    return make_prediction(sim, out, err);
}

void simulation_split(struct simulation *sim, double weight)
{
    sim->weight = weight;
}
