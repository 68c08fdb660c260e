#include "tests/lib/credit_log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct planned {
    int64_t at_ms; /* when it is written to the log */
    int64_t order;
    int partition;
    char text[320];
};

struct plan {
    struct planned *events;
    size_t n, capacity;
};

static struct planned *plan_add(struct plan *plan, int64_t at_ms, int partition)
{
    if (plan->n == plan->capacity) {
        plan->capacity = plan->capacity ? plan->capacity * 2 : 1024;
        plan->events = realloc(plan->events, plan->capacity * sizeof(*plan->events));
        assert(plan->events);
    }
    struct planned *event = &plan->events[plan->n];
    event->at_ms = at_ms;
    event->order = (int64_t)plan->n++;
    event->partition = partition;
    return event;
}

static int compare(const void *a, const void *b)
{
    const struct planned *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void plan_label(struct plan *plan, int partition, int id, int64_t ts_ms, int label)
{
    struct planned *event = plan_add(plan, ts_ms, partition);
    snprintf(event->text, sizeof(event->text),
             "{\"type\":\"label\",\"id\":\"c%d\",\"ts\":%lld,\"label\":%d}", id, (long long)ts_ms,
             label);
}

static void plan_prediction(struct plan *plan, struct rng *rng, int partition, int id,
                            int64_t ts_ms)
{
    static const char *const countries[] = {"de", "fr", "it"};
    struct planned *event = plan_add(plan, ts_ms + (int64_t)rng_below(rng, 3000), partition);
    double score = (double)rng_below(rng, 1000) / 1000.0;
    snprintf(event->text, sizeof(event->text),
             "{\"type\":\"prediction\",\"id\":\"c%d\",\"ts\":%lld,\"model\":\"credit\","
             "\"version\":\"v%d\",\"features\":{\"income\":%d,\"city\":\"x\"},\"score\":%.3f,"
             "\"prediction\":%d,\"latency_ms\":%d.5,\"error\":%s,\"segment\":{\"country\":\"%s\"}}",
             id, (long long)ts_ms, 1 + (int)rng_below(rng, 2), 1000 + (int)rng_below(rng, 9000),
             score, score > 0.5, 3 + (int)rng_below(rng, 40),
             rng_below(rng, 50) ? "null" : "\"timeout\"", countries[rng_below(rng, 3)]);
}

static void plan_outcome(struct plan *plan, int partition, int id, int64_t ts_ms, double value)
{
    struct planned *event = plan_add(plan, ts_ms, partition);
    snprintf(event->text, sizeof(event->text),
             "{\"type\":\"outcome\",\"id\":\"c%d\",\"ts\":%lld,\"name\":\"click\",\"value\":%g}",
             id, (long long)ts_ms, value);
}

static void plan_one(struct plan *plan, struct rng *rng, int id, const int *predictions,
                     const int *labels, int n)
{
    int64_t ts_ms = CREDIT_START + (int64_t)id * 700 + (int64_t)rng_below(rng, 500);
    int at = id % n;
    int64_t label_ms = ts_ms + 1000 + (int64_t)rng_below(rng, 8 * 60000);
    plan_prediction(plan, rng, predictions[at], id, ts_ms);
    if (rng_below(rng, 40) == 0)
        plan_prediction(plan, rng, predictions[at], id, ts_ms + 5); /* a retry: it must not count */
    uint64_t fate = rng_below(rng, 20);
    if (fate == 0)
        return; /* never labelled */
    if (fate == 1)
        label_ms = ts_ms - 2000; /* comes first */
    plan_label(plan, labels[at], id, label_ms, (int)rng_below(rng, 2));
    if (fate == 2)
        plan_label(plan, labels[at], id, label_ms + 30000, (int)rng_below(rng, 2));
    if (fate < 8)
        plan_outcome(plan, labels[at], id, ts_ms + 4000, (double)rng_below(rng, 2));
    if (fate == 5)
        plan_outcome(plan, labels[at], id, ts_ms + 9000, 1);
    if (fate == 9)
        plan_label(plan, labels[at], 1000000 + id, label_ms, 1); /* of no prediction */
    if (fate == 10)
        snprintf(plan_add(plan, ts_ms, predictions[at])->text, 64, "{\"type\":\"prediction\",%d",
                 id);
}

void credit_log_fill(struct sim_log *log, const struct credit_log *wanted)
{
    struct plan plan = {0};
    struct rng rng = rng_of(wanted->seed);
    int predictions[8], labels[8];
    for (int i = 0; i < wanted->n_partitions; i++) {
        predictions[i] = sim_partition(log, "predictions", i);
        labels[i] = sim_partition(log, "labels", i);
    }
    for (int id = 0; id < wanted->n_predictions; id++)
        plan_one(&plan, &rng, id, predictions, labels, wanted->n_partitions);
    qsort(plan.events, plan.n, sizeof(*plan.events), compare);
    for (size_t i = 0; i < plan.n; i++) {
        if (rng_below(&rng, 200) == 0)
            sim_hole(log, plan.events[i].partition, 1 + (int64_t)rng_below(&rng, 3));
        sim_add(log, plan.events[i].partition, plan.events[i].at_ms, "%s", plan.events[i].text);
    }
    free(plan.events);
}
