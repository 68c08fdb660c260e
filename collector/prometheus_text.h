/*
 * Reads what a Prometheus endpoint answers: text 0.0.4 and OpenMetrics 1.0, sample by sample.
 *
 * Shape    comments, types, timestamps and exemplars are passed over; a line that is no sample is
 *          counted, and the others go on
 * Owner    the text is changed in place (escapes); a sample's views are valid in the callback alone
 * Threads  any; no state
 * Source   Prometheus exposition formats, text 0.0.4; OpenMetrics 1.0; numbers as Go's ParseFloat
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/view.h"

enum {
    PROMETHEUS_MAX_LABELS = 32 /* a sample with more is malformed */
};

struct prometheus_label {
    struct view name, value;
};

struct prometheus_sample {
    struct view name;
    struct prometheus_label labels[PROMETHEUS_MAX_LABELS];
    uint32_t n_labels;
    uint64_t id; /* of name and labels as they are written: the same series in the next answer */
    double value;
};

struct prometheus_counts {
    int64_t samples, malformed;
};

void prometheus_read(char *text, size_t n,
                     void (*each)(void *context, const struct prometheus_sample *sample),
                     void *context, struct prometheus_counts *counts);

/* data NULL: it has no such label. */
struct view prometheus_label(const struct prometheus_sample *sample, const char *name);

/* Reads `name` or `name{label="x",…}` as a sample without a value; false: it is none. */
bool prometheus_selector(char *text, size_t n, struct prometheus_sample *out);
