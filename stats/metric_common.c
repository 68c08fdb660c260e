#include "stats/metric_common.h"

#include <errno.h>

enum {
    TAG = 1,
    LATENCY_BITS = 7,
    LATENCY_SCALE = 50, /* 2^-50 ms: a mean of 1 us is right to 1e-12 */
    SQUARES_SCALE = 30, /* only the interval rests on it */
};
static const double latency_max = 0x1p40; /* ms: 35 years */

static void common_init(void *state, const struct metric_setup *setup)
{
    (void)setup;
    struct common_state *s = state;
    histogram_init(&s->latencies, LATENCY_BITS, false);
}

static void common_finish(void *state)
{
    struct common_state *s = state;
    histogram_finish(&s->latencies);
    distinct_finish(&s->units);
}

static int common_room(void *state, const struct sample *sample, enum fold fold)
{
    struct common_state *s = state;
    if (fold != FOLD_PREDICTION)
        return 0;
    if (sample->unit && distinct_room(&s->units))
        return -ENOMEM;
    return histogram_room(&s->latencies);
}

static int common_room_merge(void *into, const void *from)
{
    struct common_state *a = into;
    const struct common_state *b = from;
    if (distinct_room_merge(&a->units, &b->units))
        return -ENOMEM;
    return histogram_room_merge(&a->latencies, &b->latencies);
}

static void common_predict(void *state, const struct metric_setup *setup,
                           const struct sample *sample)
{
    (void)setup;
    struct common_state *s = state;
    s->count++;
    s->failed += sample->failed;
    if (sample->unit)
        distinct_add(&s->units, sample->unit);
    if (sample->latency_ms >= 0) {
        const double latency = sample->latency_ms < latency_max ? sample->latency_ms : latency_max;
        s->timed++;
        fixed_add(&s->latency, latency, LATENCY_SCALE, 1);
        fixed_add(&s->latency_squares, latency * latency, SQUARES_SCALE, 1);
        histogram_add(&s->latencies, latency, 1);
    }
}

static void common_label(void *state, const struct metric_setup *setup, const struct sample *sample,
                         int sign)
{
    (void)setup;
    struct common_state *s = state;
    if (!sample->failed)
        s->labelled += sign;
}

static void common_merge(void *into, const void *from)
{
    struct common_state *a = into;
    const struct common_state *b = from;
    a->count += b->count;
    a->failed += b->failed;
    a->labelled += b->labelled;
    a->timed += b->timed;
    fixed_merge(&a->latency, &b->latency);
    fixed_merge(&a->latency_squares, &b->latency_squares);
    histogram_merge(&a->latencies, &b->latencies);
    distinct_merge(&a->units, &b->units);
}

static void common_save(const void *state, struct buf *out)
{
    const struct common_state *s = state;
    if (!s->count && !s->labelled)
        return;
    buf_zigzag(out, s->count);
    buf_zigzag(out, s->failed);
    buf_zigzag(out, s->labelled);
    buf_zigzag(out, s->timed);
    distinct_save(&s->units, out);
    if (!s->timed)
        return;
    fixed_save(&s->latency, out);
    fixed_save(&s->latency_squares, out);
    histogram_save(&s->latencies, out);
}

static int common_load(void *state, struct reader *in, struct err *err)
{
    struct common_state *s = state;
    s->count = reader_count(in);
    s->failed = reader_count(in);
    s->labelled = reader_count(in);
    s->timed = reader_count(in);
    const int rc = distinct_load(&s->units, in, err);
    if (rc || !s->timed)
        return rc;
    fixed_load(&s->latency, in);
    fixed_load(&s->latency_squares, in);
    return histogram_load(&s->latencies, in, err);
}

const struct state_kind common_kind = {
    .name = "common",
    .tag = TAG,
    .tasks = TASK_ANY,
    .size = sizeof(struct common_state),
    .init = common_init,
    .finish = common_finish,
    .room = common_room,
    .room_merge = common_room_merge,
    .predict = common_predict,
    .label = common_label,
    .merge = common_merge,
    .save = common_save,
    .load = common_load,
};

void common_count(const struct metric_input *in, struct metric_value *out)
{
    const struct common_state *s = in->state;
    result_exact(out, (double)s->count, interval_none);
}

void common_labelled_rate(const struct metric_input *in, struct metric_value *out)
{
    const struct common_state *s = in->state;
    result_share(out, s->labelled, s->count, "no predictions");
}

void common_error_rate(const struct metric_input *in, struct metric_value *out)
{
    const struct common_state *s = in->state;
    result_share(out, s->failed, s->count, "no predictions");
}

void common_throughput(const struct metric_input *in, struct metric_value *out)
{
    const struct common_state *s = in->state;
    if (in->window_ms <= 0)
        result_none(out, "the window has no length");
    else
        result_exact(out, (double)s->count * 1000 / (double)in->window_ms, interval_none);
}

void common_latency_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct common_state *s = in->state;
    result_mean(out, fixed_result(&s->latency, LATENCY_SCALE),
                fixed_result(&s->latency_squares, SQUARES_SCALE), s->timed, "no latencies");
}

static void latency_quantile(const struct metric_input *in, double q, struct metric_value *out)
{
    const struct common_state *s = in->state;
    result_histogram(out, &s->latencies, q, "no latencies");
}

void common_latency_p50(const struct metric_input *in, struct metric_value *out)
{
    latency_quantile(in, 0.5, out);
}

void common_latency_p90(const struct metric_input *in, struct metric_value *out)
{
    latency_quantile(in, 0.9, out);
}

void common_latency_p99(const struct metric_input *in, struct metric_value *out)
{
    latency_quantile(in, 0.99, out);
}

void common_no_value(const struct metric_input *in, struct metric_value *out)
{
    (void)in;
    result_none(out, "this task predicts no number");
}

void common_no_classes(const struct metric_input *in, struct metric_value *out)
{
    (void)in;
    result_none(out, "only binary models have a positive class");
}

void common_no_confidence(const struct metric_input *in, struct metric_value *out)
{
    (void)in;
    result_none(out, "this task has no probability of the predicted class");
}
