#include "stats/metric_outcome.h"

enum {
    TAG = 5
};

static int outcome_outcome(void *state, const struct metric_setup *setup,
                           const struct outcome *outcome, int sign)
{
    (void)setup;
    return named_sums_add(state, outcome->name_id, outcome->value, sign);
}

const struct state_kind outcome_kind = {
    .name = "outcome",
    .tag = TAG,
    .tasks = TASK_ANY,
    .size = sizeof(struct named_sums),
    .finish = named_sums_finish,
    .room_merge = named_sums_room_merge,
    .outcome = outcome_outcome,
    .merge = named_sums_merge,
    .save = named_sums_save,
    .load = named_sums_load,
};

void outcome_rate(const struct metric_input *in, struct metric_value *out)
{
    const struct named_sum *sums = named_sums_find(in->state, in->argument);
    result_share(out, sums ? sums->n_not_zero : 0, out->n, "no predictions");
}

void outcome_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct named_sum *sums = named_sums_find(in->state, in->argument);
    if (!sums)
        result_none(out, "no outcomes of that name");
    else
        result_mean(out, wide_result(&sums->sum), wide_result(&sums->squares), sums->n,
                    "no outcomes of that name");
}
