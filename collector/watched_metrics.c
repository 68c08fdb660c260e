#include "collector/watched_metrics.h"

#include <math.h>

static bool is_positive(const struct metric_setup *setup, const struct sample *sample)
{
    return sample->predicted ? sample->predicted == setup->positive
                             : sample->score >= setup->threshold;
}

static bool says_class(const struct sample *sample)
{
    return !sample->failed && (sample->predicted || !isnan(sample->score));
}

static double error_rate(const struct metric_setup *setup, const struct sample *sample)
{
    (void)setup;
    return sample->failed;
}

static double positive_rate(const struct metric_setup *setup, const struct sample *sample)
{
    return says_class(sample) ? is_positive(setup, sample) : (double)NAN;
}

static double accuracy(const struct metric_setup *setup, const struct sample *sample)
{
    if (!says_class(sample))
        return NAN;
    bool by_threshold = setup->task == TASK_BINARY && sample->predicted == 0;
    return by_threshold ? is_positive(setup, sample) == (sample->label_class == setup->positive)
                        : sample->predicted == sample->label_class;
}

static double brier(const struct metric_setup *setup, const struct sample *sample)
{
    double off = sample->score - (sample->label_class == setup->positive);
    return sample->failed ? (double)NAN : off * off;
}

static double bias(const struct metric_setup *setup, const struct sample *sample)
{
    (void)setup;
    return sample->failed ? (double)NAN : sample->value - sample->label_value;
}

static double mae(const struct metric_setup *setup, const struct sample *sample)
{
    return fabs(bias(setup, sample));
}

static double prediction_mean(const struct metric_setup *setup, const struct sample *sample)
{
    if (sample->failed)
        return NAN;
    return setup->task == TASK_BINARY ? sample->score : sample->value;
}

static double latency_mean(const struct metric_setup *setup, const struct sample *sample)
{
    (void)setup;
    return sample->latency_ms >= 0 ? sample->latency_ms : (double)NAN;
}

enum {
    BINARY = 1 << TASK_BINARY,
    CLASSES = BINARY | 1 << TASK_MULTICLASS,
    REGRESSION = 1 << TASK_REGRESSION,
    EVERY = (1 << N_TASKS) - 1
};

const struct watched_metric watched_metrics[N_WATCHED_METRICS] = {
    {.name = "error_rate", .tasks = EVERY, .value = error_rate},
    {.name = "positive_rate", .tasks = BINARY, .value = positive_rate},
    {.name = "accuracy", .tasks = CLASSES, .of_labels = true, .value = accuracy},
    {.name = "mae", .tasks = REGRESSION, .is_mean = true, .of_labels = true, .value = mae},
    {.name = "bias",
     .tasks = REGRESSION,
     .is_mean = true,
     .of_labels = true,
     .only_if_named = true,
     .value = bias},
    {.name = "brier",
     .tasks = BINARY,
     .is_mean = true,
     .of_labels = true,
     .only_if_named = true,
     .value = brier},
    {.name = "prediction_mean",
     .tasks = BINARY | REGRESSION,
     .is_mean = true,
     .only_if_named = true,
     .value = prediction_mean},
    {.name = "latency_mean",
     .tasks = EVERY,
     .is_mean = true,
     .only_if_named = true,
     .value = latency_mean},
};
