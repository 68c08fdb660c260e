/*
 * Each series that is known has a row; each version has a sum and a count for each row. What the
 * rows come to (which source wins, what is divided by what) is said once, in tell_known.
 */
#include "collector/scrape_values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLANK 9.2233720368547757e18 /* DCGM: this and above is "not supported" */

enum {
    MAX_LABEL_BYTES = 256
};

enum row {
    NODE_IDLE,
    NODE_MEMORY_TOTAL,
    NODE_MEMORY_AVAILABLE,
    DCGM_ENGINE,
    DCGM_UTILIZATION,
    DCGM_MEMORY,
    TRITON_UTILIZATION,
    TRITON_MEMORY,
    DRM_BUSY,
    DRM_MEMORY,
    CONTAINER_CPU,
    CONTAINER_MEMORY,
    PROCESS_CPU,
    PROCESS_MEMORY,
    SERVING_REQUESTS,
    SERVING_LATENCY_SUM,
    SERVING_LATENCY_COUNT,
    N_ROWS
};

struct series_row {
    const char *name;
    bool is_counter;
    double scale;
    const char *label, *wanted; /* only samples with that label, where given */
};

/* clang-format off */
static const struct series_row rows[N_ROWS] = {
    [NODE_IDLE]             = {"node_cpu_seconds_total",                      true,  1,       "mode", "idle"},
    [NODE_MEMORY_TOTAL]     = {"node_memory_MemTotal_bytes",                  false, 1,       NULL, NULL},
    [NODE_MEMORY_AVAILABLE] = {"node_memory_MemAvailable_bytes",              false, 1,       NULL, NULL},
    [DCGM_ENGINE]           = {"DCGM_FI_PROF_GR_ENGINE_ACTIVE",               false, 1,       NULL, NULL},
    [DCGM_UTILIZATION]      = {"DCGM_FI_DEV_GPU_UTIL",                        false, 0.01,    NULL, NULL},
    [DCGM_MEMORY]           = {"DCGM_FI_DEV_FB_USED",                         false, 1048576, NULL, NULL},
    [TRITON_UTILIZATION]    = {"nv_gpu_utilization",                          false, 1,       NULL, NULL},
    [TRITON_MEMORY]         = {"nv_gpu_memory_used_bytes",                    false, 1,       NULL, NULL},
    [DRM_BUSY]              = {"node_drm_gpu_busy_percent",                   false, 0.01,    NULL, NULL},
    [DRM_MEMORY]            = {"node_drm_memory_vram_used_bytes",             false, 1,       NULL, NULL},
    [CONTAINER_CPU]         = {"container_cpu_usage_seconds_total",           true,  1,       NULL, NULL},
    [CONTAINER_MEMORY]      = {"container_memory_working_set_bytes",          false, 1,       NULL, NULL},
    [PROCESS_CPU]           = {"process_cpu_seconds_total",                   true,  1,       NULL, NULL},
    [PROCESS_MEMORY]        = {"process_resident_memory_bytes",               false, 1,       NULL, NULL},
    [SERVING_REQUESTS]      = {":tensorflow:serving:request_count",           true,  1,       NULL, NULL},
    [SERVING_LATENCY_SUM]   = {":tensorflow:serving:request_latency_sum",     true,  0.001,   NULL, NULL},
    [SERVING_LATENCY_COUNT] = {":tensorflow:serving:request_latency_count",   true,  1,       NULL, NULL},
};
/* clang-format on */

struct sum {
    double sum;
    int64_t n;
};

struct group { /* one version in this answer */
    char version[MAX_LABEL_BYTES + 1];
    struct sum known[N_ROWS];
    struct sum custom[SCRAPE_MAX_VALUES];
};

struct counter {
    uint64_t id;
    double value;
};

struct custom {
    const char *name;
    char *text; /* what the selector's views point into */
    struct prometheus_sample selector;
    bool is_rate;
};

struct scrape_values {
    const struct config_scrape *target;
    struct custom custom[SCRAPE_MAX_VALUES];
    size_t n_custom;
    struct group *groups;
    size_t n_groups;
    struct counter *counters, *before; /* of this answer and, sorted, of the one before */
    size_t n_counters, n_before;
    int64_t before_ms; /* -1: there was none */
    double elapsed_s;  /* since then; 0: no rates yet */
};

static int add_custom(struct scrape_values *values, const struct config_pair *pair, struct err *err)
{
    struct custom *custom = &values->custom[values->n_custom];
    size_t n = strlen(pair->value);
    custom->is_rate = n > 6 && strncmp(pair->value, "rate(", 5) == 0 && pair->value[n - 1] == ')';
    custom->name = pair->key;
    custom->text = custom->is_rate ? strndup(pair->value + 5, n - 6) : strdup(pair->value);
    if (!custom->text)
        return err_set(err, -ENOMEM, "scrape: no memory");
    values->n_custom++;
    if (!prometheus_selector(custom->text, strlen(custom->text), &custom->selector))
        return err_set(err, ERR_DATA,
                       "scrape: values.%.100s: '%.100s' is not like series, "
                       "series{label=\"x\"} or rate(series)",
                       pair->key, pair->value);
    return 0;
}

int scrape_values_new(struct scrape_values **out, const struct config_scrape *target,
                      struct err *err)
{
    AUTO(scrape_values) struct scrape_values *values = calloc(1, sizeof(*values));
    if (!values)
        return err_set(err, -ENOMEM, "scrape: no memory");
    values->target = target;
    values->before_ms = -1;
    values->groups = calloc(SCRAPE_MAX_VERSIONS, sizeof(*values->groups));
    values->counters = calloc(SCRAPE_MAX_COUNTERS, sizeof(*values->counters));
    values->before = calloc(SCRAPE_MAX_COUNTERS, sizeof(*values->before));
    if (!values->groups || !values->counters || !values->before)
        return err_set(err, -ENOMEM, "scrape: no memory");
    if (target->n_values > SCRAPE_MAX_VALUES)
        return err_set(err, ERR_DATA, "scrape: values: more than %d", SCRAPE_MAX_VALUES);
    for (size_t i = 0; i < target->n_values; i++) {
        int rc = add_custom(values, &target->values[i], err);
        if (rc)
            return rc;
    }
    *out = values;
    values = NULL; /* the caller owns it now */
    return 0;
}

void scrape_values_free(struct scrape_values *values)
{
    if (!values)
        return;
    for (size_t i = 0; i < values->n_custom; i++)
        free(values->custom[i].text);
    free(values->groups);
    free(values->counters);
    free(values->before);
    free(values);
}

/* --- whose sample --- */

/*
 * Where a piece of a pattern, in which * is any text, fits: ok[i] says whether it matches the i
 * bytes at the text's beginning, or (step -1) those at its end.
 */
static void fits(const char *pattern, size_t n_pattern, struct view text, int step,
                 bool ok[MAX_LABEL_BYTES + 1])
{
    memset(ok, 0, text.size + 1);
    ok[0] = true;
    if (n_pattern == 0)
        return;
    const char *first = step > 0 ? text.data : text.data + text.size - 1;
    const char *at = step > 0 ? pattern : pattern + n_pattern - 1;
    for (size_t p = 0; p < n_pattern; p++, at += step) {
        if (*at == '*') {
            for (uint32_t i = 1; i <= text.size; i++)
                ok[i] |= ok[i - 1];
            continue;
        }
        for (uint32_t i = text.size; i > 0; i--)
            ok[i] = ok[i - 1] && first[step * (int)(i - 1)] == *at;
        ok[0] = false;
    }
}

/* What stands at {version}: from the first place that what is before it allows, the shortest. */
static bool version_in(const char *pattern, struct view text, struct view *out)
{
    static const char hole[] = "{version}";
    bool before[MAX_LABEL_BYTES + 1], after[MAX_LABEL_BYTES + 1];
    const char *at = pattern ? strstr(pattern, hole) : NULL;
    *out = text;
    if (!at || text.size == 0)
        return text.size > 0;
    const char *rest = at + sizeof(hole) - 1;
    fits(pattern, (size_t)(at - pattern), text, 1, before);
    fits(rest, strlen(rest), text, -1, after);
    for (uint32_t start = 0; start < text.size; start++) {
        for (uint32_t end = start + 1; before[start] && end <= text.size; end++) {
            if (after[text.size - end]) {
                *out = (struct view){text.data + start, end - start};
                return true;
            }
        }
    }
    return false;
}

/* The version that a sample tells of; NULL: none of ours. */
static struct group *group_of(struct scrape_values *values, const struct prometheus_sample *sample)
{
    const struct config_scrape *target = values->target;
    struct view version = view_of(target->version ? target->version : "");
    if (!target->version) {
        struct view label = prometheus_label(sample, target->version_label);
        if (!label.data || label.size > MAX_LABEL_BYTES ||
            !version_in(target->version_pattern, label, &version))
            return NULL;
    }
    for (size_t i = 0; i < values->n_groups; i++)
        if (view_is(version, values->groups[i].version))
            return &values->groups[i];
    if (values->n_groups == SCRAPE_MAX_VERSIONS)
        return NULL;
    struct group *group = &values->groups[values->n_groups++];
    memset(group, 0, sizeof(*group));
    memcpy(group->version, version.data, version.size);
    return group;
}

/* --- samples --- */

static int compare_counters(const void *a, const void *b)
{
    const struct counter *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* By how much the counter went up a second since the last answer; NaN: not known. */
static double rate_of(struct scrape_values *values, const struct prometheus_sample *sample)
{
    const struct counter now = {sample->id, sample->value};
    if (values->n_counters < SCRAPE_MAX_COUNTERS)
        values->counters[values->n_counters++] = now;
    const struct counter *before =
        values->n_before
            ? bsearch(&now, values->before, values->n_before, sizeof(now), compare_counters)
            : NULL;
    if (!before || values->elapsed_s <= 0)
        return (double)NAN;
    const double increase = now.value >= before->value ? now.value - before->value : now.value;
    return increase / values->elapsed_s;
}

static void add(struct sum *sum, double value)
{
    if (isfinite(value)) {
        sum->sum += value;
        sum->n++;
    }
}

/* A container, not its pod's sum or the pause container of old kubelets. */
static bool is_container(const struct prometheus_sample *sample)
{
    struct view container = prometheus_label(sample, "container");
    return !container.data || (container.size > 0 && !view_is(container, "POD"));
}

static void take_known(struct scrape_values *values, const struct prometheus_sample *sample)
{
    for (int i = 0; i < N_ROWS; i++) {
        const struct series_row *row = &rows[i];
        if (!view_is(sample->name, row->name) ||
            (row->label && !view_is(prometheus_label(sample, row->label), row->wanted)) ||
            ((i == CONTAINER_CPU || i == CONTAINER_MEMORY) && !is_container(sample)) ||
            (strncmp(row->name, "DCGM_", 5) == 0 && sample->value >= BLANK))
            continue;
        struct group *group = group_of(values, sample);
        if (group)
            add(&group->known[i],
                row->scale * (row->is_counter ? rate_of(values, sample) : sample->value));
        return;
    }
}

static bool is_selected(const struct custom *custom, const struct prometheus_sample *sample)
{
    if (!view_equal(custom->selector.name, sample->name))
        return false;
    for (uint32_t i = 0; i < custom->selector.n_labels; i++) {
        const struct prometheus_label *wanted = &custom->selector.labels[i];
        bool found = false;
        for (uint32_t k = 0; k < sample->n_labels && !found; k++)
            found = view_equal(sample->labels[k].name, wanted->name) &&
                    view_equal(sample->labels[k].value, wanted->value);
        if (!found)
            return false;
    }
    return true;
}

static void take_sample(void *context, const struct prometheus_sample *sample)
{
    struct scrape_values *values = context;
    if (!isfinite(sample->value))
        return;
    take_known(values, sample);
    for (size_t i = 0; i < values->n_custom; i++) {
        const struct custom *custom = &values->custom[i];
        struct group *group = is_selected(custom, sample) ? group_of(values, sample) : NULL;
        if (group && (sample->value < BLANK || strncmp(sample->name.data, "DCGM_", 5) != 0))
            add(&group->custom[i], custom->is_rate ? rate_of(values, sample) : sample->value);
    }
}

/* --- values --- */

static double mean(const struct sum *sum)
{
    return sum->n ? sum->sum / (double)sum->n : (double)NAN;
}

static double total(const struct sum *sum)
{
    return sum->n ? sum->sum : (double)NAN;
}

static double first(double a, double b)
{
    return isnan(a) ? b : a;
}

struct telling {
    scrape_value_fn *tell;
    void *context;
    const struct scrape_values *values;
    const struct group *group;
};

static void tell(const struct telling *t, const char *name, double value)
{
    if (isfinite(value))
        t->tell(t->context, t->group->version, name, value);
}

/* A value that the target's `values` name as well is theirs. */
static void tell_built_in(const struct telling *t, const char *name, double value)
{
    for (size_t i = 0; i < t->values->n_custom; i++)
        if (strcmp(t->values->custom[i].name, name) == 0)
            return;
    tell(t, name, value);
}

static void tell_known(const struct telling *t)
{
    const struct sum *s = t->group->known;
    const double idle = mean(&s[NODE_IDLE]);
    const double latencies = total(&s[SERVING_LATENCY_COUNT]);
    double memory = mean(&s[NODE_MEMORY_TOTAL]) - mean(&s[NODE_MEMORY_AVAILABLE]);
    memory = first(memory, total(&s[CONTAINER_MEMORY]));
    double cores = total(&s[CONTAINER_CPU]);
    bool is_host = false; /* the process is then the exporter, and says nothing of the model */
    for (int i = 0; i < PROCESS_CPU; i++)
        is_host |= s[i].n > 0;
    if (!is_host) {
        memory = first(memory, total(&s[PROCESS_MEMORY]));
        cores = first(cores, total(&s[PROCESS_CPU]));
    }
    tell_built_in(t, "cpu_utilization", isnan(idle) ? idle : fmin(1, fmax(0, 1 - idle)));
    tell_built_in(t, "cpu_cores", cores);
    tell_built_in(t, "memory_bytes", memory);
    tell_built_in(t, "gpu_utilization",
                  first(first(mean(&s[DCGM_ENGINE]), mean(&s[DCGM_UTILIZATION])),
                        first(mean(&s[TRITON_UTILIZATION]), mean(&s[DRM_BUSY]))));
    tell_built_in(
        t, "gpu_memory_bytes",
        first(mean(&s[DCGM_MEMORY]), first(mean(&s[TRITON_MEMORY]), mean(&s[DRM_MEMORY]))));
    tell_built_in(t, "request_rate", total(&s[SERVING_REQUESTS]));
    if (latencies > 0)
        tell_built_in(t, "request_latency_ms", total(&s[SERVING_LATENCY_SUM]) / latencies);
}

void scrape_values_take(struct scrape_values *values, char *text, size_t n, int64_t now_ms,
                        scrape_value_fn *tell_value, void *context,
                        struct prometheus_counts *counts)
{
    values->n_groups = values->n_counters = 0;
    values->elapsed_s = values->before_ms < 0 ? 0 : (double)(now_ms - values->before_ms) / 1000;
    prometheus_read(text, n, take_sample, values, counts);
    for (size_t g = 0; g < values->n_groups; g++) {
        const struct telling t = {tell_value, context, values, &values->groups[g]};
        tell_known(&t);
        for (size_t i = 0; i < values->n_custom; i++) {
            const struct custom *custom = &values->custom[i];
            const struct sum *sum = &values->groups[g].custom[i];
            tell(&t, custom->name, custom->is_rate ? total(sum) : mean(sum));
        }
    }
    qsort(values->counters, values->n_counters, sizeof(*values->counters), compare_counters);
    struct counter *before = values->before;
    values->before = values->counters;
    values->n_before = values->n_counters;
    values->counters = before;
    values->before_ms = now_ms;
}
