#include "stats/metric_estimated.h"

#include "common/cleanup.h"
#include "stats/estimator.h"
#include "stats/metric_binary.h"
#include "stats/metric_multiclass.h"

static const char *const no_reference =
    "no labelled reference; load one with `assay reference load`";
static const char *const no_scores = "no scores";
static const char *const recorded_before =
    "recorded before predicted classes were kept beside the scores";

/* Why nothing can be estimated at all; NULL: it can. */
static const char *obstacle(const struct metric_input *in)
{
    const struct estimator *estimator = in->setup->estimator;
    const char *why = estimator ? estimator_why(estimator->state) : no_reference;
    return why || estimator->task == in->setup->task ? why : no_reference;
}

static struct interval interval_of(double value, const struct spread *spread, double n)
{
    const double variance = spread->variance / (n * spread->share);
    return isfinite(variance) ? interval_normal(value, variance, 0, 1) : interval_none;
}

/* --- binary --- */

static bool estimate_binary(const struct metric_input *in, struct cbpe_estimate *e,
                            struct metric_value *out)
{
    const struct binary_state *s = in->state;
    const char *why = obstacle(in);
    AUTO_FREE struct score_bin *bins = NULL;
    size_t n;
    if (!why && s->scored == 0)
        why = no_scores;
    if (!why && score_bins_list(&s->scores, &bins, &n))
        why = "out of memory";
    int64_t flagged = 0;
    for (size_t i = 0; !why && i < n; i++)
        flagged += bins[i].flagged;
    /* Whatever was flagged has a score, or is one of the classified without. */
    if (!why && flagged + s->classified - s->scored < s->flagged)
        why = recorded_before;
    if (!why && cbpe_estimate(&in->setup->estimator->classes[0].cbpe, bins, n, e))
        why = "out of memory";
    if (why)
        result_none(out, why);
    return !why;
}

static void of_binary(const struct metric_input *in, const struct cbpe_estimate *e, double value,
                      double bound, int spread, const char *why, struct metric_value *out)
{
    if (isnan(value)) {
        result_none(out, why);
        return;
    }
    const struct estimator_class *class = &in->setup->estimator->classes[0];
    result_exact(out, value,
                 spread < 0 ? interval_none : interval_of(value, &class->spreads[spread], e->n));
    out->error_bound = bound;
}

#define BINARY_ESTIMATE(name, field, spread, why)                                         \
    void estimated_binary_##name(const struct metric_input *in, struct metric_value *out) \
    {                                                                                     \
        struct cbpe_estimate e;                                                           \
        if (estimate_binary(in, &e, out))                                                 \
            of_binary(in, &e, e.field, e.field##_bound, spread, why, out);                \
    }

BINARY_ESTIMATE(roc_auc, roc_auc, SPREAD_ROC_AUC, "scores that expect one class only")
BINARY_ESTIMATE(pr_auc, pr_auc, -1, "scores that expect no positives")
BINARY_ESTIMATE(accuracy, accuracy, SPREAD_ACCURACY, no_scores)
BINARY_ESTIMATE(precision, precision, SPREAD_PRECISION, "nothing was predicted positive")
BINARY_ESTIMATE(recall, recall, SPREAD_RECALL, "scores that expect no positives")
BINARY_ESTIMATE(specificity, specificity, SPREAD_SPECIFICITY, "scores that expect no negatives")
BINARY_ESTIMATE(f1, f1, SPREAD_F1, "no positives are predicted or expected")

#define BINARY_COUNT(name)                                                                \
    void estimated_binary_##name(const struct metric_input *in, struct metric_value *out) \
    {                                                                                     \
        struct cbpe_estimate e;                                                           \
        if (estimate_binary(in, &e, out))                                                 \
            of_binary(in, &e, e.name, e.count_bound, -1, no_scores, out);                 \
    }

BINARY_COUNT(tp)
BINARY_COUNT(fp)
BINARY_COUNT(tn)
BINARY_COUNT(fn)

/* --- multiclass --- */

static const char *const not_scored = "a class of the reference has no scores in the window";

/* NULL, or why there is none. */
static const char *estimate_class(const struct metric_input *in,
                                  const struct estimator_class *class, struct cbpe_estimate *e)
{
    const struct class_counts *counts = multiclass_class(in->state, class->id);
    AUTO_FREE struct score_bin *bins = NULL;
    size_t n = 0;
    if (!counts || counts->id == MULTICLASS_OTHER)
        return not_scored;
    if (score_bins_list(&counts->scores, &bins, &n) || cbpe_estimate(&class->cbpe, bins, n, e))
        return "out of memory";
    return e->n > 0 ? NULL : not_scored;
}

/* How many classes were predicted that the reference has no labels of, or no others. */
static uint32_t strangers(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        AUTO_FREE struct score_bin *bins = NULL;
        size_t n_bins = 0;
        int64_t flagged = 0;
        if (estimator_class(in->setup->estimator, s->classes[i].id))
            continue;
        if (score_bins_list(&s->classes[i].scores, &bins, &n_bins)) {
            result_none(out, "out of memory");
            return 0;
        }
        for (size_t b = 0; b < n_bins; b++)
            flagged += bins[b].flagged;
        n += flagged > 0;
    }
    return n;
}

enum average {
    OF_ROC_AUC,
    OF_ROC_AUC_WEIGHTED,
    OF_PRECISION,
    OF_RECALL,
    OF_F1
};

struct part_of_average {
    double value, bound, weight;
    enum estimator_spread spread;
};

/* A class without denominator counts as 0, but for areas, which it makes undefined. */
static struct part_of_average part_of(const struct cbpe_estimate *e, enum average average)
{
    switch (average) {
    case OF_ROC_AUC:
        return (struct part_of_average){e->roc_auc, e->roc_auc_bound, 1, SPREAD_ROC_AUC};
    case OF_ROC_AUC_WEIGHTED:
        return (struct part_of_average){e->roc_auc, e->roc_auc_bound, e->positives, SPREAD_ROC_AUC};
    case OF_PRECISION:
        return e->tp + e->fp > 0
                   ? (struct part_of_average){e->precision, e->precision_bound, 1, SPREAD_PRECISION}
                   : (struct part_of_average){0, 0, 1, SPREAD_PRECISION};
    case OF_RECALL:
        return e->positives > 0
                   ? (struct part_of_average){e->recall, e->recall_bound, 1, SPREAD_RECALL}
                   : (struct part_of_average){0, 0, 1, SPREAD_RECALL};
    case OF_F1:
        break;
    }
    return e->tp + e->fp + e->positives > 0
               ? (struct part_of_average){e->f1, e->f1_bound, 1, SPREAD_F1}
               : (struct part_of_average){0, 0, 1, SPREAD_F1};
}

static void average_of(const struct metric_input *in, enum average average,
                       struct metric_value *out)
{
    const struct estimator *estimator = in->setup->estimator;
    const char *why = obstacle(in);
    double sum = 0, bound = 0, weight = 0, variance = 0;
    for (uint32_t i = 0; !why && i < estimator->n_classes; i++) {
        const struct estimator_class *class = &estimator->classes[i];
        struct cbpe_estimate e;
        if (!class->usable || (why = estimate_class(in, class, &e)))
            continue;
        const struct part_of_average part = part_of(&e, average);
        const struct spread *spread = &class->spreads[part.spread];
        sum += part.weight * part.value;
        bound += part.weight * part.bound;
        weight += part.weight;
        variance += part.weight * part.weight * spread->variance / (e.n * spread->share);
    }
    if (!why && isnan(sum))
        why = "scores that expect one class only";
    if (why) {
        result_none(out, why);
        return;
    }
    variance /= weight * weight;
    result_exact(out, sum / weight,
                 isfinite(variance) ? interval_normal(sum / weight, variance, 0, 1)
                                    : interval_none);
    out->error_bound = average == OF_ROC_AUC_WEIGHTED && bound > 0 ? (double)NAN : bound / weight;
    /* A class that was predicted is one of the average, wherever between 0 and 1 it lies. */
    const double others = strangers(in, out), value = out->value;
    if (others > 0)
        out->error_bound = average == OF_ROC_AUC_WEIGHTED
                               ? (double)NAN
                               : (bound + others * fmax(value, 1 - value)) / (weight + others);
}

void estimated_multiclass_roc_auc_macro(const struct metric_input *in, struct metric_value *out)
{
    average_of(in, OF_ROC_AUC, out);
}

void estimated_multiclass_roc_auc_weighted(const struct metric_input *in, struct metric_value *out)
{
    average_of(in, OF_ROC_AUC_WEIGHTED, out);
}

void estimated_multiclass_precision_macro(const struct metric_input *in, struct metric_value *out)
{
    average_of(in, OF_PRECISION, out);
}

void estimated_multiclass_recall_macro(const struct metric_input *in, struct metric_value *out)
{
    average_of(in, OF_RECALL, out);
}

void estimated_multiclass_f1_macro(const struct metric_input *in, struct metric_value *out)
{
    average_of(in, OF_F1, out);
}

/* Of the predictions of classes that the reference has labels of; what comes true of the others it cannot tell, and may be
   anything. */
void estimated_multiclass_accuracy(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    const struct estimator *estimator = in->setup->estimator;
    const char *why = obstacle(in);
    double hits = 0, bound = 0, known = 0;
    if (!why && s->scored == 0)
        why = no_scores;
    for (uint32_t i = 0; !why && i < estimator->n_classes; i++) {
        struct cbpe_estimate e;
        if (!estimator->classes[i].usable)
            continue;
        why = estimate_class(in, &estimator->classes[i], &e);
        if (why == not_scored) { /* so nothing was predicted as it by a score */
            why = NULL;
            continue;
        }
        hits += e.tp;
        known += e.tp + e.fp;
        bound += e.count_bound;
    }
    known = nearbyint(known); /* a number of events */
    if (!why && known <= 0)
        why = "nothing was predicted that the reference has labels of";
    if (why) {
        result_none(out, why);
        return;
    }
    /* Calibrated one by one, the probabilities of an event may add up to a little more than 1. */
    const double value = fmin(hits / known, 1),
                 unknown = ((double)s->scored - known) / (double)s->scored;
    result_exact(out, value, interval_of(value, &estimator->accuracy, known));
    out->error_bound = bound / known + unknown * fmax(value, 1 - value);
}

static bool of_class(const struct metric_input *in, struct cbpe_estimate *e,
                     const struct estimator_class **class, struct metric_value *out)
{
    const char *why = obstacle(in);
    *class = why ? NULL : estimator_class(in->setup->estimator, in->argument);
    if (!why && !*class)
        why = "the reference has no labels of this class";
    if (!why)
        why = estimate_class(in, *class, e);
    if (why)
        result_none(out, why);
    return !why;
}

#define CLASS_ESTIMATE(name, spread, why)                                             \
    void estimated_multiclass_class_##name(const struct metric_input *in,             \
                                           struct metric_value *out)                  \
    {                                                                                 \
        struct cbpe_estimate e;                                                       \
        const struct estimator_class *class;                                          \
        if (!of_class(in, &e, &class, out))                                           \
            return;                                                                   \
        if (isnan(e.name)) {                                                          \
            result_none(out, why);                                                    \
            return;                                                                   \
        }                                                                             \
        result_exact(out, e.name, interval_of(e.name, &class->spreads[spread], e.n)); \
        out->error_bound = e.name##_bound;                                            \
    }

CLASS_ESTIMATE(precision, SPREAD_PRECISION, "the class was not predicted")
CLASS_ESTIMATE(recall, SPREAD_RECALL, "the class is not expected")
CLASS_ESTIMATE(f1, SPREAD_F1, "the class is neither predicted nor expected")

/* --- regression --- */

static bool estimate_values(const struct metric_input *in, double *mean_square,
                            struct metric_value *out)
{
    const struct expected_state *s = in->state;
    const char *why = obstacle(in);
    if (!why && s->n == 0)
        why = "recorded without an expected error: before the reference was loaded, or without "
              "predictions";
    if (why) {
        result_none(out, why);
        return false;
    }
    *mean_square = wide_result(&s->square) / (double)s->n;
    return true;
}

static struct interval scatter(double value, double variance)
{
    return isfinite(variance) ? interval_normal(value, variance, 0, (double)INFINITY)
                              : interval_none;
}

void estimated_mae(const struct metric_input *in, struct metric_value *out)
{
    const struct expected_state *s = in->state;
    double mean_square;
    if (!estimate_values(in, &mean_square, out))
        return;
    const double n = (double)s->n, value = wide_result(&s->absolute) / n;
    result_exact(out, value, scatter(value, in->setup->estimator->absolute.variance / n));
}

void estimated_mse(const struct metric_input *in, struct metric_value *out)
{
    const struct expected_state *s = in->state;
    double value;
    if (estimate_values(in, &value, out))
        result_exact(out, value,
                     scatter(value, in->setup->estimator->square.variance / (double)s->n));
}

void estimated_rmse(const struct metric_input *in, struct metric_value *out)
{
    const struct expected_state *s = in->state;
    double square;
    if (!estimate_values(in, &square, out))
        return;
    const double value = sqrt(square);
    const double variance = in->setup->estimator->square.variance / (double)s->n;
    result_exact(out, value, scatter(value, variance / (4 * square)));
}
