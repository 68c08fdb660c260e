/*
 * Stands for rules and experiments where looks share a durable transaction: it reads what the look
 * covers, remembers in memory what it decided, and writes audit rows and letters.
 *
 * Owner    the bench and the log are the caller's; a decider lives as long as its bench
 */
#pragma once

#include "tests/lib/collector_bench.h"
#include "tests/lib/faulty_vfs.h"

struct decider {
    struct collector_bench *bench;
    int64_t decided; /* rows that it wrote: memory that must never be ahead of the database */
    int64_t settled; /* the same, of what is durable */
    int n_looks, n_durable, n_undone;
    int fails_at; /* the so many-th look fails, once, in the middle of its own commit; 0: none */
    int fails_with;
    struct faulty *faulty; /* … and the disk is full from then on; NULL: it is not */
    void (*spy)(struct decider *decider);
    bool lends; /* another thread writes its rows, beside the reading of the log */
    int64_t lent_look_ms;
    int much; /* each so many-th look writes so much that its commit is sent to the disk beside us */
};

/* In batches of 40, in order, without disturbance. */
extern const struct sim_options decider_options;

/* `apart`: each look in a commit of its own. */
void decider_open(struct collector_bench *bench, struct decider *decider, struct temp *temp,
                  struct sim_log *log, const struct sim_options *options, bool apart);

/* One log for all tests of a program, who only read it: their *state. */
int decider_fill_log(void **state);
int decider_drop_log(void **state);
