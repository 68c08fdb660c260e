/*
 * What one event costs the metric states: ns a call, beside a yardstick of the same run (hashing
 * an id of 11 bytes with XXH3-128 and copying a 64-byte record into a table), because ns alone
 * say little on a shared machine.
 *
 *     bench_states [events]        default 2,000,000; the best of five runs each
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "common/rng.h"
#include "stats/metric.h"

enum {
    RUNS = 5,
    EVENTS_A_PANE = 1000,
    N_CLASSES = 3,
    RECORD_BYTES = 64,
    TABLE = 1 << 10
};

struct events {
    struct sample *samples;
    struct class_score *scores;
    size_t n;
    enum task task;
    struct metric_setup setup;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool events_init(struct events *e, enum task task, size_t n)
{
    const double none = (double)NAN;
    *e = (struct events){.n = n, .task = task, .setup = {task, class_id("1", 1), 0.5}};
    e->samples = calloc(n, sizeof(*e->samples));
    e->scores = calloc(n * N_CLASSES, sizeof(*e->scores));
    if (!e->samples || !e->scores)
        return false;
    struct rng rng = rng_of(1);
    for (size_t i = 0; i < n; i++) {
        struct sample *s = &e->samples[i];
        const double score = rng_uniform(&rng);
        *s = (struct sample){.latency_ms = rng_exponential(&rng, 15),
                             .score = none,
                             .value = none,
                             .label_value = none};
        if (task == TASK_BINARY) {
            s->score = score;
            s->label_class = rng_uniform(&rng) < score ? e->setup.positive : 5;
        } else if (task == TASK_REGRESSION) {
            s->value = 1000 * score;
            s->label_value = s->value + 50 * rng_normal(&rng);
        } else {
            struct class_score *scores = e->scores + i * N_CLASSES;
            for (uint64_t c = 0; c < N_CLASSES; c++)
                scores[c] = (struct class_score){c + 1, c ? (1 - score) / (N_CLASSES - 1) : score};
            s->scores = scores;
            s->n_scores = N_CLASSES;
            s->label_class = 1 + rng_below(&rng, N_CLASSES);
        }
    }
    return true;
}

struct times {
    double predict, label; /* ns an event */
    size_t bytes;          /* of a saved pane */
};

/* Panes of EVENTS_A_PANE, each freshly made, as the collector has them. */
static int run_once(const struct events *e, struct times *best)
{
    double predict = 0, label = 0;
    for (size_t start = 0; start + EVENTS_A_PANE <= e->n; start += EVENTS_A_PANE) {
        AUTO(states) struct states *states = NULL;
        int rc = states_new(&states, &e->setup, NULL);
        const double t0 = now_ns();
        for (size_t i = start; rc == 0 && i < start + EVENTS_A_PANE; i++)
            rc = states_predict(states, &e->samples[i]);
        const double t1 = now_ns();
        for (size_t i = start; rc == 0 && i < start + EVENTS_A_PANE; i++)
            rc = states_label(states, &e->samples[i], 1);
        const double t2 = now_ns();
        if (rc)
            return rc;
        predict += t1 - t0;
        label += t2 - t1;
        if (start == 0) {
            struct buf saved;
            buf_init(&saved, 1 << 24);
            states_save(states, &saved);
            best->bytes = saved.size;
            buf_finish(&saved);
        }
    }
    const double n = (double)(e->n / EVENTS_A_PANE * EVENTS_A_PANE);
    if (best->predict == 0 || predict / n < best->predict)
        best->predict = predict / n;
    if (best->label == 0 || label / n < best->label)
        best->label = label / n;
    return 0;
}

static double yardstick_ns(size_t n)
{
    static unsigned char table[TABLE][RECORD_BYTES];
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        unsigned char record[RECORD_BYTES] = {0};
        char id[12];
        const double start = now_ns();
        for (size_t i = 0; i < n; i++) {
            memcpy(id, "a0000000000", sizeof(id));
            memcpy(id + 3, &i, sizeof(i));
            const XXH128_hash_t hash = XXH3_128bits(id, 11);
            memcpy(record, &hash, sizeof(hash));
            memcpy(table[hash.low64 % TABLE], record, RECORD_BYTES);
        }
        const double ns = (now_ns() - start) / (double)n;
        if (best == 0 || ns < best)
            best = ns;
    }
    return best;
}

int main(int argc, char **argv)
{
    const size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    const enum task tasks[] = {TASK_BINARY, TASK_MULTICLASS, TASK_REGRESSION};
    if (n < EVENTS_A_PANE) {
        fprintf(stderr, "bench_states: at least %d events\n", EVENTS_A_PANE);
        return 64;
    }
    const double yard = yardstick_ns(n);
    printf("yardstick: XXH3-128 of an id and a copy of %d bytes: %.1f ns\n", RECORD_BYTES, yard);
    printf("%-12s %12s %8s %12s %8s %16s\n", "task", "predict ns", "ratio", "label ns", "ratio",
           "bytes a pane");
    for (size_t t = 0; t < sizeof(tasks) / sizeof(tasks[0]); t++) {
        struct events e;
        struct times best = {0, 0, 0};
        if (!events_init(&e, tasks[t], n))
            return 71;
        for (int run = 0; run < RUNS; run++)
            if (run_once(&e, &best))
                return 71;
        printf("%-12s %12.1f %8.2f %12.1f %8.2f %10zu/%d\n", task_name(tasks[t]), best.predict,
               best.predict / yard, best.label, best.label / yard, best.bytes, EVENTS_A_PANE);
        free(e.samples);
        free(e.scores);
    }
    return 0;
}
