#include "stats/metric_binary.h"

#include <float.h>

#include "common/cleanup.h"
#include "stats/confusion.h"

enum {
    TAG = 2,
    SCALE = 80, /* 2^-80: a mean of 1e-12 is right to 1e-11 */
};

static void binary_init(void *state, const struct metric_setup *setup)
{
    (void)setup;
    struct binary_state *s = state;
    score_bins_init(&s->scores, 0);
}

static void binary_finish(void *state)
{
    struct binary_state *s = state;
    score_bins_finish(&s->scores);
}

static int binary_room(void *state, const struct sample *sample, enum fold fold)
{
    (void)sample, (void)fold;
    struct binary_state *s = state;
    return score_bins_room(&s->scores);
}

static int binary_room_merge(void *into, const void *from)
{
    return score_bins_room_merge(&((struct binary_state *)into)->scores,
                                 &((const struct binary_state *)from)->scores);
}

enum verdict {
    UNKNOWN,
    NEGATIVE,
    POSITIVE
};

static enum verdict verdict_of(const struct metric_setup *setup, const struct sample *sample)
{
    if (sample->predicted)
        return sample->predicted == setup->positive ? POSITIVE : NEGATIVE;
    if (isnan(sample->score))
        return UNKNOWN;
    return sample->score >= setup->threshold ? POSITIVE : NEGATIVE;
}

static double probability_of(const struct sample *sample)
{
    const double score = sample->score > 0 ? sample->score : 0;
    return score < 1 ? score : 1;
}

static void binary_predict(void *state, const struct metric_setup *setup,
                           const struct sample *sample)
{
    struct binary_state *s = state;
    if (sample->failed)
        return;
    const enum verdict verdict = verdict_of(setup, sample);
    s->classified += verdict != UNKNOWN;
    s->flagged += verdict == POSITIVE;
    if (isnan(sample->score))
        return;

    const double p = probability_of(sample), confidence = p < 0.5 ? 1 - p : p;
    s->scored++;
    fixed_add(&s->score, p, SCALE, 1);
    fixed_add(&s->score_squares, p * p, SCALE, 1);
    fixed_add(&s->confidence, confidence, SCALE, 1);
    fixed_add(&s->confidence_squares, confidence * confidence, SCALE, 1);
    score_bins_predict(&s->scores, p, verdict == POSITIVE);
}

static double loss_of(double p, bool positive)
{
    const double right = positive ? p : 1 - p;
    return -log(fmin(fmax(right, DBL_EPSILON), 1 - DBL_EPSILON));
}

static void binary_label(void *state, const struct metric_setup *setup, const struct sample *sample,
                         int sign)
{
    struct binary_state *s = state;
    if (sample->failed || !sample->label_class)
        return;
    const bool positive = sample->label_class == setup->positive;
    switch (verdict_of(setup, sample)) {
    case POSITIVE:
        *(positive ? &s->tp : &s->fp) += sign;
        break;
    case NEGATIVE:
        *(positive ? &s->fn : &s->tn) += sign;
        break;
    case UNKNOWN:
        break;
    }
    if (isnan(sample->score))
        return;

    const double p = probability_of(sample);
    const double loss = loss_of(p, positive);
    const double distance = positive ? 1 - p : p, brier = distance * distance;
    fixed_add(&s->loss, loss, SCALE, sign);
    fixed_add(&s->loss_squares, loss * loss, SCALE, sign);
    fixed_add(&s->brier, brier, SCALE, sign);
    fixed_add(&s->brier_squares, brier * brier, SCALE, sign);
    calibration_add(&s->calibration, p, positive, sign);
    score_bins_label(&s->scores, p, positive, sign);
}

static void binary_merge(void *into, const void *from)
{
    struct binary_state *a = into;
    const struct binary_state *b = from;
    fixed_merge(&a->score, &b->score);
    fixed_merge(&a->score_squares, &b->score_squares);
    fixed_merge(&a->confidence, &b->confidence);
    fixed_merge(&a->confidence_squares, &b->confidence_squares);
    a->scored += b->scored;
    a->classified += b->classified;
    a->flagged += b->flagged;
    a->tp += b->tp;
    a->fp += b->fp;
    a->tn += b->tn;
    a->fn += b->fn;
    fixed_merge(&a->loss, &b->loss);
    fixed_merge(&a->loss_squares, &b->loss_squares);
    fixed_merge(&a->brier, &b->brier);
    fixed_merge(&a->brier_squares, &b->brier_squares);
    calibration_merge(&a->calibration, &b->calibration);
    score_bins_merge(&a->scores, &b->scores);
}

/* Counts; then the sums over predictions, and those over labels, where there are such. */
static void binary_save(const void *state, struct buf *out)
{
    const struct binary_state *s = state;
    const int64_t scored_labels = calibration_count(&s->calibration);
    if (!s->scored && !s->classified && !scored_labels && !(s->tp | s->fp | s->tn | s->fn))
        return;
    const int64_t counts[] = {s->scored, s->classified, s->flagged, s->tp, s->fp, s->tn, s->fn};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        buf_zigzag(out, counts[i]);
    if (s->scored) {
        fixed_save(&s->score, out);
        fixed_save(&s->score_squares, out);
        fixed_save(&s->confidence, out);
        fixed_save(&s->confidence_squares, out);
    }
    fixed_save(&s->loss, out);
    fixed_save(&s->loss_squares, out);
    fixed_save(&s->brier, out);
    fixed_save(&s->brier_squares, out);
    calibration_save(&s->calibration, out);
    score_bins_save(&s->scores, out);
}

static int binary_load(void *state, struct reader *in, struct err *err)
{
    struct binary_state *s = state;
    int64_t *const counts[] = {&s->scored, &s->classified, &s->flagged, &s->tp,
                               &s->fp,     &s->tn,         &s->fn};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        *counts[i] = reader_count(in);
    if (s->scored) {
        fixed_load(&s->score, in);
        fixed_load(&s->score_squares, in);
        fixed_load(&s->confidence, in);
        fixed_load(&s->confidence_squares, in);
    }
    fixed_load(&s->loss, in);
    fixed_load(&s->loss_squares, in);
    fixed_load(&s->brier, in);
    fixed_load(&s->brier_squares, in);
    const int rc = calibration_load(&s->calibration, in, err);
    return rc ? rc : score_bins_load(&s->scores, in, err);
}

const struct state_kind binary_kind = {
    .name = "binary",
    .tag = TAG,
    .tasks = 1 << TASK_BINARY,
    .size = sizeof(struct binary_state),
    .init = binary_init,
    .finish = binary_finish,
    .room = binary_room,
    .room_merge = binary_room_merge,
    .predict = binary_predict,
    .label = binary_label,
    .merge = binary_merge,
    .save = binary_save,
    .load = binary_load,
};

static const char *const no_labels = "no labelled predictions";
static const char *const no_scores = "no scores";

static int64_t judged(const struct binary_state *s)
{
    return s->tp + s->fp + s->tn + s->fn;
}

void binary_accuracy(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_share(out, s->tp + s->tn, judged(s), no_labels);
}

/* A metric of the whole matrix, class 0 the negative and class 1 the positive one. */
static void of_matrix(const struct metric_input *in, confusion_value *value, double low,
                      const char *why, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    const double tp = (double)s->tp, fp = (double)s->fp, tn = (double)s->tn, fn = (double)s->fn;
    double truth[] = {tn + fp, tp + fn}, predicted[] = {tn + fn, tp + fp}, hit[] = {tn, tp};
    const struct confusion_cell cells[] = {{0, 0, tn}, {0, 1, fp}, {1, 0, fn}, {1, 1, tp}};
    struct confusion c = {2, truth, predicted, hit, tp + fp + tn + fn, cells, 4};
    const double at = value(&c);
    if (isnan(at))
        result_none(out, judged(s) > 0 ? why : no_labels);
    else
        result_exact(out, at, confusion_interval(&c, value, low, 1));
}

void binary_balanced_accuracy(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_balanced_accuracy, 0, no_labels, out);
}

void binary_mcc(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_mcc, -1, "all labels or all predictions are of one class", out);
}

void binary_kappa(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_kappa, -1, "all labels and predictions are of one class", out);
}

void binary_precision(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_share(out, s->tp, s->tp + s->fp, "nothing labelled was predicted positive");
}

void binary_recall(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_share(out, s->tp, s->tp + s->fn, "no positive labels");
}

void binary_specificity(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_share(out, s->tn, s->tn + s->fp, "no negative labels");
}

void binary_f1(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    const double tp = (double)s->tp, fp = (double)s->fp, fn = (double)s->fn;
    if (s->tp + s->fp + s->fn <= 0)
        result_none(out, "no positive labels or predictions");
    else
        result_exact(out, f1_of(tp, fp, fn), interval_f1(tp, fp, fn));
}

void binary_tp(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_exact(out, (double)s->tp, interval_none);
}

void binary_fp(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_exact(out, (double)s->fp, interval_none);
}

void binary_tn(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_exact(out, (double)s->tn, interval_none);
}

void binary_fn(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_exact(out, (double)s->fn, interval_none);
}

void binary_roc_auc(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    AUTO_FREE struct score_bin *bins = NULL;
    size_t n;
    if (score_bins_list(&s->scores, &bins, &n)) {
        result_none(out, "out of memory");
        return;
    }
    const struct area a = area_roc(bins, n);
    if (isnan(a.value)) {
        result_none(out, "labels of one class only");
        return;
    }
    result_exact(out, a.value, interval_roc(a.value, a.variance, a.positives, a.negatives));
    out->error_bound = a.bound;
}

void binary_pr_auc(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    AUTO_FREE struct score_bin *bins = NULL;
    size_t n;
    if (score_bins_list(&s->scores, &bins, &n)) {
        result_none(out, "out of memory");
        return;
    }
    const struct area a = area_precision_recall(bins, n);
    if (isnan(a.value)) {
        result_none(out, "no positive labels");
        return;
    }
    result_exact(out, a.value, interval_average_precision(a.value, a.positives));
    out->error_bound = a.bound;
}

static const char *const no_scored_labels = "no labelled predictions with a score";

void binary_log_loss(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_mean(out, fixed_result(&s->loss, SCALE), fixed_result(&s->loss_squares, SCALE),
                calibration_count(&s->calibration), no_scored_labels);
}

void binary_brier(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_mean(out, fixed_result(&s->brier, SCALE), fixed_result(&s->brier_squares, SCALE),
                calibration_count(&s->calibration), no_scored_labels);
}

void binary_ece(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    calibration_result(&s->calibration, fixed_result(&s->brier, SCALE), no_scored_labels, out);
}

void binary_prediction_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_mean(out, fixed_result(&s->score, SCALE), fixed_result(&s->score_squares, SCALE),
                s->scored, no_scores);
}

void binary_prediction_p50(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    AUTO_FREE struct score_bin *bins = NULL;
    AUTO_FREE struct span *spans = NULL;
    size_t n;
    if (score_bins_list(&s->scores, &bins, &n) || (n && !(spans = calloc(n, sizeof(*spans))))) {
        result_none(out, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++)
        spans[i] = (struct span){bins[i].lo, bins[i].hi, bins[i].n};
    result_quantile(out, quantile_of(spans, n, 0.5), no_scores);
}

void binary_positive_rate(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_share(out, s->flagged, s->classified, "no predicted classes or scores");
}

void binary_confidence_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    result_mean(out, fixed_result(&s->confidence, SCALE),
                fixed_result(&s->confidence_squares, SCALE), s->scored, no_scores);
}

/* Confidence is 1 - distance, so its quantiles are those of the distances from the other end. */
static void confidence_quantile(const struct metric_input *in, double q, struct metric_value *out)
{
    const struct binary_state *s = in->state;
    AUTO_FREE struct span *spans = NULL;
    size_t n;
    if (score_bins_distances(&s->scores, &spans, &n)) {
        result_none(out, "out of memory");
        return;
    }
    const struct quantile d = quantile_of(spans, n, 1 - q);
    result_quantile(out, (struct quantile){1 - d.value, d.bound, 1 - d.upper, 1 - d.lower},
                    no_scores);
}

void binary_confidence_p10(const struct metric_input *in, struct metric_value *out)
{
    confidence_quantile(in, 0.1, out);
}

void binary_confidence_p50(const struct metric_input *in, struct metric_value *out)
{
    confidence_quantile(in, 0.5, out);
}

void binary_confidence_p90(const struct metric_input *in, struct metric_value *out)
{
    confidence_quantile(in, 0.9, out);
}
