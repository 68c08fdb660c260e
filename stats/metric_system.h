/*
 * What hosts say of themselves while they serve a version: utilisation, memory; by the value's
 * name.
 *
 * Shape    struct named_sums: each value of each system event counts once
 * Units    as the event has them; gpu_utilization and cpu_utilization: fractions · memory_bytes:
 *          bytes
 * Source   the mean of what came, over hosts and time alike (contract §4: no interval)
 */
#pragma once

#include "stats/metric_result.h"
#include "stats/named_sums.h"

extern const struct state_kind system_kind;

/* Is this metric one of hosts, which needs no prediction? */
bool system_metric_is(const char *metric);

metric_result_fn system_gpu_utilization, system_cpu_utilization, system_memory_bytes, system_value;
