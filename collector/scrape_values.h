/*
 * From the samples of one Prometheus endpoint to the system values of versions.
 *
 * Shape    what node_exporter, the DCGM exporter, Triton, cAdvisor, AMD's drm collector, TF Serving
 *          and any process export is known by name; further series by the target's `values`
 * Values   cpu_utilization = 1 - Σ rate(idle) / cpus · gpu_utilization, gpu_memory_bytes: mean of
 * the GPUs · memory_bytes: in use on the host, else in the containers, else by the process ·
 *          cpu_cores: CPU seconds a second of containers, else of the process · request_rate,
 *          request_latency_ms: TF Serving's · others: the mean of the series, or the sum of rates
 * Units    now_ms: any clock that never goes back; rates are by the second
 * Rules    a rate needs two answers; a counter that went down has begun again. Not finite and
 *          DCGM's blanks (from 9223372036854775792) are no values
 * Owner    scrape_values_new gives, scrape_values_free takes; the configuration is borrowed
 * Threads  one at a time
 * Source   integrations.md 1.9; ratios and resets as Prometheus's rate()
 */
#pragma once

#include "collector/prometheus_text.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/err.h"

enum {
    SCRAPE_MAX_VERSIONS = 64,   /* of one endpoint; samples of further ones are left out */
    SCRAPE_MAX_COUNTERS = 8192, /* series of one endpoint whose rate is taken */
    SCRAPE_MAX_VALUES = 64,     /* of `values`; further ones are refused */
};

struct scrape_values;

int scrape_values_new(struct scrape_values **out, const struct config_scrape *target,
                      struct err *err);
void scrape_values_free(struct scrape_values *values);
DEFINE_FREEP(scrape_values)

/* One system value of a version. */
typedef void scrape_value_fn(void *context, const char *version, const char *name, double value);

/* Takes an answer (and changes it); tells the values by version. */
void scrape_values_take(struct scrape_values *values, char *text, size_t n, int64_t now_ms,
                        scrape_value_fn *tell, void *context, struct prometheus_counts *counts);
