#include "stats/metric_system.h"

#include <string.h>

enum {
    TAG = 8
};

static int system_system(void *state, const struct metric_setup *setup, const struct outcome *value,
                         int sign)
{
    (void)setup;
    return named_sums_add(state, value->name_id, value->value, sign);
}

const struct state_kind system_kind = {
    .name = "system",
    .tag = TAG,
    .tasks = TASK_ANY,
    .size = sizeof(struct named_sums),
    .finish = named_sums_finish,
    .room_merge = named_sums_room_merge,
    .system = system_system,
    .merge = named_sums_merge,
    .save = named_sums_save,
    .load = named_sums_load,
};

bool system_metric_is(const char *metric)
{
    static const char *const names[] = {"gpu_utilization", "cpu_utilization", "memory_bytes"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], metric) == 0)
            return true;
    return strncmp(metric, "system{", 7) == 0;
}

static void mean_of(const struct metric_input *in, uint64_t name_id, struct metric_value *out)
{
    const struct named_sum *sum = named_sums_find(in->state, name_id);
    if (!sum || !sum->n)
        result_none(out, "no host told it");
    else
        result_exact(out, wide_result(&sum->sum) / (double)sum->n, interval_none);
}

static void mean_by_name(const struct metric_input *in, const char *name, struct metric_value *out)
{
    mean_of(in, class_id(name, strlen(name)), out);
}

void system_gpu_utilization(const struct metric_input *in, struct metric_value *out)
{
    mean_by_name(in, "gpu_utilization", out);
}

void system_cpu_utilization(const struct metric_input *in, struct metric_value *out)
{
    mean_by_name(in, "cpu_utilization", out);
}

void system_memory_bytes(const struct metric_input *in, struct metric_value *out)
{
    mean_by_name(in, "memory_bytes", out);
}

void system_value(const struct metric_input *in, struct metric_value *out)
{
    mean_of(in, in->argument, out);
}
