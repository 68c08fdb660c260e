/*
 * What the detectors of changes made of a simulated log, as text that two runs can be compared by.
 *
 * Owner    texts are malloc'd, the caller frees them
 */
#pragma once

#include "tests/lib/collector_bench.h"

struct changes_log {
    struct sim_log *log;
    const char *yaml;
    const char *model;                    /* whose; NULL: of all */
    void (*prepare)(const struct temp *); /* what the database holds before; may be NULL */
};

/* Every change and every detector's state so far, and how much waits. */
char *changes_found(struct collector_bench *bench, const char *model);

/* The same at the end of the whole log, killed so many times on the way. */
char *changes_found_in(const struct changes_log *of, const struct sim_options *options,
                       uint64_t kills);

/* Other batches, what comes twice, a rebalance and kills lead to the same text. */
void changes_found_always(const struct changes_log *of, const char *expected);
