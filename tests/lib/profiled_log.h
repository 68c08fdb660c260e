/*
 * A log of predictions with features of all kinds, and what the collector makes of it: states and
 * profiles, as text that two runs can be compared by.
 *
 * Shape    numbers, categories, vectors and values that are struck, a feature that comes late,
 *          events that come a minute late and few that come three, labels of nearly all; two versions and three slices
 * Owner    texts are malloc'd, the caller frees them
 */
#pragma once

#include "tests/lib/collector_bench.h"

extern const char profiled_yaml[];

struct profiled_log {
    int n; /* predictions */
    int64_t step_ms;
};
void profiled_log_fill(struct sim_log *log, const struct profiled_log *plan);

/* A reference with grids, components and a domain classifier into the database, before it is opened
   for a collector. */
void profiled_reference(struct temp *temp);

/* All states and profiles that are stored. */
char *profiled_states(struct collector_bench *bench);
