/*
 * What the multiclass state's numbers say.
 *
 * The interval of an average of areas: the areas of several classes come from the same events, and
 * how they vary together is not kept. The standard error of a weighted mean is never above the
 * weighted mean of the standard errors (they reach it when all move together), so that is taken:
 * too wide rather than too narrow.
 */
#include <stdlib.h>

#include "common/cleanup.h"
#include "stats/confusion.h"
#include "stats/metric_multiclass.h"

enum {
    SCALE = 80
};

static const char *const no_labels = "no labelled predictions";
static const char *const no_scores = "no scores";
static const char *const no_memory = "out of memory";

struct matrix {
    struct confusion confusion;
    double *counts;
    struct confusion_cell *cells;
    uint32_t *classes; /* numbers in the state */
};

static void matrix_free(struct matrix *matrix)
{
    if (!matrix)
        return;
    free(matrix->counts);
    free(matrix->cells);
    free(matrix->classes);
    free(matrix);
}
DEFINE_FREEP(matrix)

static void fill_cells(const struct multiclass_state *s, struct matrix *matrix)
{
    struct confusion *c = &matrix->confusion;
    for (uint32_t i = 0; i < c->n_classes; i++)
        for (uint32_t j = 0; j < c->n_classes; j++) {
            const int64_t n = multiclass_count(s, s->classes[matrix->classes[i]].id,
                                               s->classes[matrix->classes[j]].id);
            if (n > 0)
                matrix->cells[c->n_cells++] = (struct confusion_cell){i, j, (double)n};
        }
}

/* The classes seen as label or prediction; NULL for want of memory. */
static struct matrix *matrix_new(const struct multiclass_state *s)
{
    AUTO(matrix) struct matrix *m = calloc(1, sizeof(*m));
    const size_t most_cells = s->cells.n;
    if (!m)
        return NULL;
    m->counts = calloc(3 * (size_t)s->n + 1, sizeof(*m->counts));
    m->cells = calloc(most_cells + 1, sizeof(*m->cells));
    m->classes = calloc((size_t)s->n + 1, sizeof(*m->classes));
    if (!m->counts || !m->cells || !m->classes)
        return NULL;

    struct confusion *c = &m->confusion;
    c->truth = m->counts;
    c->predicted = m->counts + s->n;
    c->hit = m->counts + 2 * (size_t)s->n;
    c->cells = m->cells;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct class_counts *class = &s->classes[i];
        if (class->truth <= 0 && class->predicted <= 0)
            continue;
        c->truth[c->n_classes] = (double)class->truth;
        c->predicted[c->n_classes] = (double)class->predicted;
        c->hit[c->n_classes] = (double)class->hit;
        c->total += (double)class->truth;
        m->classes[c->n_classes++] = i;
    }
    fill_cells(s, m);
    struct matrix *made = m;
    m = NULL; /* the caller owns it now */
    return made;
}

static void of_matrix(const struct metric_input *in, confusion_value *value, double low,
                      const char *why, struct metric_value *out)
{
    AUTO(matrix) struct matrix *matrix = matrix_new(in->state);
    if (!matrix) {
        result_none(out, no_memory);
        return;
    }
    const double at = value(&matrix->confusion);
    if (isnan(at))
        result_none(out, matrix->confusion.total > 0 ? why : no_labels);
    else
        result_exact(out, at, confusion_interval(&matrix->confusion, value, low, 1));
}

void multiclass_accuracy(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    int64_t hits = 0;
    for (uint32_t i = 0; i < s->n; i++)
        hits += s->classes[i].hit;
    result_share(out, hits, s->judged, no_labels);
}

void multiclass_balanced_accuracy(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_balanced_accuracy, 0, no_labels, out);
}

void multiclass_mcc(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_mcc, -1, "all labels or all predictions are of one class", out);
}

void multiclass_kappa(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_kappa, -1, "all labels and predictions are of one class", out);
}

void multiclass_precision_macro(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_precision_macro, 0, no_labels, out);
}

void multiclass_recall_macro(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_recall_macro, 0, no_labels, out);
}

void multiclass_f1_macro(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_f1_macro, 0, no_labels, out);
}

void multiclass_precision_weighted(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_precision_weighted, 0, no_labels, out);
}

void multiclass_recall_weighted(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_recall_weighted, 0, no_labels, out);
}

void multiclass_f1_weighted(const struct metric_input *in, struct metric_value *out)
{
    of_matrix(in, confusion_f1_weighted, 0, no_labels, out);
}

static const char *const unseen = "no labels or predictions of this class";

static const struct class_counts *asked(const struct metric_input *in)
{
    static const struct class_counts none = {0};
    const struct class_counts *class = multiclass_class(in->state, in->argument);
    return class && class->id == in->argument ? class : &none;
}

void multiclass_class_precision(const struct metric_input *in, struct metric_value *out)
{
    const struct class_counts *c = asked(in);
    result_share(out, c->hit, c->predicted, "nothing labelled was predicted as this class");
}

void multiclass_class_recall(const struct metric_input *in, struct metric_value *out)
{
    const struct class_counts *c = asked(in);
    result_share(out, c->hit, c->truth, "no labels of this class");
}

void multiclass_class_f1(const struct metric_input *in, struct metric_value *out)
{
    const struct class_counts *c = asked(in);
    const double tp = (double)c->hit, fp = (double)c->predicted - tp, fn = (double)c->truth - tp;
    if (c->predicted + c->truth <= 0)
        result_none(out, unseen);
    else
        result_exact(out, f1_of(tp, fp, fn), interval_f1(tp, fp, fn));
}

struct average {
    double value, bound, deviation, weight;
    const char *why;
};

/* Adds the area of one class against the rest. A class that is never a label has no area: the
   plain mean is then not defined, the weighted one gives it no weight. */
static void add_area(struct average *average, const struct class_counts *class, bool weighted)
{
    AUTO_FREE struct score_bin *bins = NULL;
    size_t n;
    if (score_bins_list(&class->scores, &bins, &n)) {
        average->why = no_memory;
        return;
    }
    const struct area area = area_roc(bins, n);
    if (area.positives + area.negatives == 0)
        return;
    if (isnan(area.value)) {
        if (!weighted || area.negatives == 0)
            average->why = "a class has no labels, or all of them";
        return;
    }
    const double weight = weighted ? (double)area.positives : 1;
    average->value += weight * area.value;
    average->bound += weight * area.bound;
    average->deviation += weight * sqrt(area.variance);
    average->weight += weight;
}

static void area_average(const struct metric_input *in, bool weighted, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    struct average average = {0, 0, 0, 0, NULL};
    if (s->cutoff)
        average.why = "more classes than are kept apart";
    for (uint32_t i = 0; i < s->n && !average.why; i++)
        add_area(&average, &s->classes[i], weighted);
    if (average.why || average.weight <= 0) {
        result_none(out, average.why ? average.why : "no labelled predictions with scores");
        return;
    }
    const double value = average.value / average.weight;
    const double deviation = average.deviation / average.weight;
    result_exact(out, value, interval_normal(value, deviation * deviation, 0, 1));
    out->error_bound = average.bound / average.weight;
}

void multiclass_roc_auc_macro(const struct metric_input *in, struct metric_value *out)
{
    area_average(in, false, out);
}

void multiclass_roc_auc_weighted(const struct metric_input *in, struct metric_value *out)
{
    area_average(in, true, out);
}

static const char *const no_scored_labels = "no labelled predictions with scores";

void multiclass_log_loss(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    result_mean(out, fixed_result(&s->loss, SCALE), fixed_result(&s->loss_squares, SCALE),
                s->judged_scored, no_scored_labels);
}

void multiclass_brier(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    result_mean(out, fixed_result(&s->brier, SCALE), fixed_result(&s->brier_squares, SCALE),
                s->judged_scored, no_scored_labels);
}

void multiclass_top_3(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    result_share(out, s->top_3, s->judged_scored, no_scored_labels);
}

void multiclass_ece(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    calibration_result(&s->calibration, fixed_result(&s->gap_squares, SCALE), no_scored_labels,
                       out);
}

void multiclass_confidence_mean(const struct metric_input *in, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    result_mean(out, fixed_result(&s->confidence, SCALE),
                fixed_result(&s->confidence_squares, SCALE), s->scored, no_scores);
}

static void confidence_quantile(const struct metric_input *in, double q, struct metric_value *out)
{
    const struct multiclass_state *s = in->state;
    result_histogram(out, &s->confidences, q, no_scores);
}

void multiclass_confidence_p10(const struct metric_input *in, struct metric_value *out)
{
    confidence_quantile(in, 0.1, out);
}

void multiclass_confidence_p50(const struct metric_input *in, struct metric_value *out)
{
    confidence_quantile(in, 0.5, out);
}

void multiclass_confidence_p90(const struct metric_input *in, struct metric_value *out)
{
    confidence_quantile(in, 0.9, out);
}
