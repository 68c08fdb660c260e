#include "stats/metric_regression.h"

#include <errno.h>
#include <float.h>

#include "common/cleanup.h"

enum {
    TAG = 4,
    VALUE_BITS = 7,
    ERROR_BITS = 11,       /* while a pane is a minute: the largest error is nearly always alone */
    ERROR_BITS_COARSE = 9, /* of hours and days */
};

static void regression_init(void *state, const struct metric_setup *setup)
{
    (void)setup;
    struct regression_state *s = state;
    histogram_init(&s->values, VALUE_BITS, false);
    histogram_init(&s->errors, ERROR_BITS, true);
}

static void regression_finish(void *state)
{
    struct regression_state *s = state;
    wide_finish(&s->value);
    wide_finish(&s->value_squares);
    for (int i = 0; i < N_SUMS; i++)
        wide_finish(&s->sums[i]);
    histogram_finish(&s->values);
    histogram_finish(&s->errors);
}

static bool has_value(const struct sample *sample)
{
    return !sample->failed && isfinite(sample->value);
}

static bool has_both(const struct sample *sample)
{
    return has_value(sample) && isfinite(sample->label_value);
}

static void terms_of(const struct sample *sample, double terms[N_SUMS])
{
    const double label = sample->label_value, error = sample->value - label;
    const double percentage = fabs(error) / fmax(fabs(label), DBL_EPSILON);
    const double square = error * error, label_square = label * label;
    terms[SUM_ABSOLUTE] = fabs(error);
    terms[SUM_SQUARE] = square;
    terms[SUM_FOURTH] = square * square;
    terms[SUM_ERROR] = error;
    terms[SUM_PERCENTAGE] = percentage;
    terms[SUM_PERCENTAGE_SQUARE] = percentage * percentage;
    terms[SUM_LABEL] = label;
    terms[SUM_LABEL_SQUARE] = label_square;
    terms[SUM_LABEL_SQUARE_REST] = isfinite(label_square) ? fma(label, label, -label_square) : 0;
}

static int regression_room(void *state, const struct sample *sample, enum fold fold)
{
    struct regression_state *s = state;
    if (!has_value(sample))
        return 0;
    if (wide_room(&s->value, sample->value) ||
        wide_room(&s->value_squares, sample->value * sample->value) || histogram_room(&s->values) ||
        histogram_room(&s->errors))
        return -ENOMEM;
    if (fold != FOLD_LABEL || !has_both(sample))
        return 0;
    double terms[N_SUMS];
    terms_of(sample, terms);
    for (int i = 0; i < N_SUMS; i++)
        if (wide_room(&s->sums[i], terms[i]))
            return -ENOMEM;
    return 0;
}

static void regression_predict(void *state, const struct metric_setup *setup,
                               const struct sample *sample)
{
    (void)setup;
    struct regression_state *s = state;
    if (!has_value(sample))
        return;
    s->valued++;
    wide_add(&s->value, sample->value, 1);
    wide_add(&s->value_squares, sample->value * sample->value, 1);
    histogram_add(&s->values, sample->value, 1);
}

static void regression_label(void *state, const struct metric_setup *setup,
                             const struct sample *sample, int sign)
{
    (void)setup;
    struct regression_state *s = state;
    if (!has_both(sample))
        return;
    double terms[N_SUMS];
    terms_of(sample, terms);
    s->judged += sign;
    for (int i = 0; i < N_SUMS; i++)
        wide_add(&s->sums[i], terms[i], sign);
    histogram_add(&s->errors, fmin(terms[SUM_ABSOLUTE], DBL_MAX), sign);
}

static int regression_room_merge(void *into, const void *from)
{
    struct regression_state *a = into;
    const struct regression_state *b = from;
    if (wide_room_merge(&a->value, &b->value) ||
        wide_room_merge(&a->value_squares, &b->value_squares) ||
        histogram_room_merge(&a->values, &b->values) ||
        histogram_room_merge(&a->errors, &b->errors))
        return -ENOMEM;
    for (int i = 0; i < N_SUMS; i++)
        if (wide_room_merge(&a->sums[i], &b->sums[i]))
            return -ENOMEM;
    return 0;
}

static void regression_merge(void *into, const void *from)
{
    struct regression_state *a = into;
    const struct regression_state *b = from;
    a->valued += b->valued;
    a->judged += b->judged;
    wide_merge(&a->value, &b->value);
    wide_merge(&a->value_squares, &b->value_squares);
    for (int i = 0; i < N_SUMS; i++)
        wide_merge(&a->sums[i], &b->sums[i]);
    histogram_merge(&a->values, &b->values);
    histogram_merge(&a->errors, &b->errors);
}

static void regression_coarsen(void *state)
{
    histogram_coarsen(&((struct regression_state *)state)->errors, ERROR_BITS_COARSE);
}

/* The bits of an empty error histogram are saved too: a coarse one stays coarse. */
static void regression_save(const void *state, struct buf *out)
{
    const struct regression_state *s = state;
    if (!s->valued && !s->judged)
        return;
    buf_zigzag(out, s->valued);
    buf_zigzag(out, s->judged);
    wide_save(&s->value, out);
    wide_save(&s->value_squares, out);
    histogram_save(&s->values, out);
    for (int i = 0; i < N_SUMS; i++)
        wide_save(&s->sums[i], out);
    histogram_save(&s->errors, out);
}

static int regression_load(void *state, struct reader *in, struct err *err)
{
    struct regression_state *s = state;
    s->valued = reader_count(in);
    s->judged = reader_count(in);
    int rc = wide_load(&s->value, in, err);
    if (rc == 0)
        rc = wide_load(&s->value_squares, in, err);
    if (rc == 0)
        rc = histogram_load(&s->values, in, err);
    for (int i = 0; rc == 0 && i < N_SUMS; i++)
        rc = wide_load(&s->sums[i], in, err);
    return rc ? rc : histogram_load(&s->errors, in, err);
}

const struct state_kind regression_kind = {
    .name = "regression",
    .tag = TAG,
    .tasks = 1 << TASK_REGRESSION,
    .size = sizeof(struct regression_state),
    .init = regression_init,
    .finish = regression_finish,
    .room = regression_room,
    .room_merge = regression_room_merge,
    .predict = regression_predict,
    .label = regression_label,
    .merge = regression_merge,
    .save = regression_save,
    .load = regression_load,
    .coarsen = regression_coarsen,
};

static const char *const no_labels = "no labelled predictions";
static const char *const no_values = "no predicted values";

static void mean_of(const struct metric_input *in, enum regression_sum sum,
                    enum regression_sum squares, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    result_mean(out, wide_result(&s->sums[sum]), wide_result(&s->sums[squares]), s->judged,
                no_labels);
}

void regression_mae(const struct metric_input *in, struct metric_value *out)
{
    mean_of(in, SUM_ABSOLUTE, SUM_SQUARE, out);
}

void regression_mse(const struct metric_input *in, struct metric_value *out)
{
    mean_of(in, SUM_SQUARE, SUM_FOURTH, out);
}

void regression_bias(const struct metric_input *in, struct metric_value *out)
{
    mean_of(in, SUM_ERROR, SUM_SQUARE, out);
}

void regression_mape(const struct metric_input *in, struct metric_value *out)
{
    mean_of(in, SUM_PERCENTAGE, SUM_PERCENTAGE_SQUARE, out);
}

/* Delta method: variance of the root = variance of the mean square / (4 mean square). */
void regression_rmse(const struct metric_input *in, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    if (s->judged <= 0) {
        result_none(out, no_labels);
        return;
    }
    const double n = (double)s->judged, squares = wide_result(&s->sums[SUM_SQUARE]);
    const double mse = squares / n;
    const double variance =
        variance_of(squares, wide_result(&s->sums[SUM_FOURTH]), s->judged) / n / (4 * mse);
    result_exact(out, sqrt(mse), interval_normal(sqrt(mse), variance, 0, (double)INFINITY));
}

/* The spread of the labels cancels where they are far from 0: exact sums, in 113 bits. */
void regression_r2(const struct metric_input *in, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    if (s->judged < 2) {
        result_none(out, "fewer than two labels");
        return;
    }
    const quad labels = wide_quad(&s->sums[SUM_LABEL]);
    const quad squares =
        wide_quad(&s->sums[SUM_LABEL_SQUARE]) + wide_quad(&s->sums[SUM_LABEL_SQUARE_REST]);
    const double spread = (double)(squares - labels * labels / (quad)s->judged);
    if (!isfinite(spread))
        result_none(out, "beyond the range of numbers");
    else if (!(spread > 0))
        result_none(out, "all labels are equal");
    else
        result_exact(out, 1 - wide_result(&s->sums[SUM_SQUARE]) / spread, interval_none);
}

void regression_median_absolute_error(const struct metric_input *in, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    result_histogram(out, &s->errors, 0.5, no_labels);
}

void regression_max_error(const struct metric_input *in, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    AUTO_FREE struct span *spans = NULL;
    size_t n;
    if (histogram_spans(&s->errors, &spans, &n)) {
        result_none(out, "out of memory");
    } else if (n == 0) {
        result_none(out, no_labels);
    } else {
        const struct span top = spans[n - 1];
        const double half = (top.hi - top.lo) / 2;
        result_exact(out, top.lo + half, interval_none);
        out->error_bound = half;
    }
}

void regression_prediction_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    result_mean(out, wide_result(&s->value), wide_result(&s->value_squares), s->valued, no_values);
}

void regression_prediction_p50(const struct metric_input *in, struct metric_value *out)
{
    const struct regression_state *s = in->state;
    result_histogram(out, &s->values, 0.5, no_values);
}
