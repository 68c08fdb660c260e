#include "stats/sample.h"

#include <string.h>
#include <xxhash.h>

static const char *const names[N_TASKS] = {
    [TASK_BINARY] = "binary",
    [TASK_MULTICLASS] = "multiclass",
    [TASK_REGRESSION] = "regression",
    [TASK_RANKING] = "ranking",
    [TASK_SEGMENTATION] = "segmentation",
};

const char *task_name(enum task task)
{
    return (unsigned)task < N_TASKS ? names[task] : NULL;
}

int task_parse(const char *name)
{
    for (int task = 0; task < N_TASKS; task++)
        if (strcmp(name, names[task]) == 0)
            return task;
    return -1;
}

uint64_t class_id(const char *text, size_t n)
{
    const uint64_t id = XXH3_64bits(text, n);
    return id ? id : 1;
}
