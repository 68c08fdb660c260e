#include "stats/confusion.h"

#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

double confusion_accuracy(const struct confusion *c)
{
    double hits = 0;
    for (size_t i = 0; i < c->n_classes; i++)
        hits += c->hit[i];
    return c->total > 0 ? hits / c->total : (double)NAN;
}

double confusion_balanced_accuracy(const struct confusion *c)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < c->n_classes; i++)
        if (c->truth[i] > 0) {
            sum += c->hit[i] / c->truth[i];
            n++;
        }
    return n > 0 ? sum / n : (double)NAN;
}

double confusion_kappa(const struct confusion *c)
{
    double hits = 0, chance = 0;
    for (size_t i = 0; i < c->n_classes; i++) {
        hits += c->hit[i];
        chance += c->truth[i] * c->predicted[i];
    }
    const double room = c->total * c->total - chance;
    return room > 0 ? (c->total * hits - chance) / room : (double)NAN;
}

double confusion_mcc(const struct confusion *c)
{
    double hits = 0, chance = 0, truth = 0, predicted = 0;
    for (size_t i = 0; i < c->n_classes; i++) {
        hits += c->hit[i];
        chance += c->truth[i] * c->predicted[i];
        truth += c->truth[i] * c->truth[i];
        predicted += c->predicted[i] * c->predicted[i];
    }
    const double square = c->total * c->total;
    if (!(square - truth > 0) || !(square - predicted > 0))
        return (double)NAN;
    return (c->total * hits - chance) / (sqrt(square - truth) * sqrt(square - predicted));
}

double f1_of(double tp, double fp, double fn)
{
    const double all = 2 * tp + fp + fn;
    return all > 0 ? 2 * tp / all : (double)NAN;
}

enum part {
    PRECISION,
    RECALL,
    F1
};

static double ratio_or_0(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double of_class(const struct confusion *c, size_t i, enum part part)
{
    switch (part) {
    case PRECISION:
        return ratio_or_0(c->hit[i], c->predicted[i]);
    case RECALL:
        return ratio_or_0(c->hit[i], c->truth[i]);
    default:
        return ratio_or_0(2 * c->hit[i], c->truth[i] + c->predicted[i]);
    }
}

static double macro(const struct confusion *c, enum part part)
{
    double sum = 0;
    for (size_t i = 0; i < c->n_classes; i++)
        sum += of_class(c, i, part);
    return c->n_classes && c->total > 0 ? sum / (double)c->n_classes : (double)NAN;
}

static double weighted(const struct confusion *c, enum part part)
{
    double sum = 0, all = 0;
    for (size_t i = 0; i < c->n_classes; i++) {
        sum += c->truth[i] * of_class(c, i, part);
        all += c->truth[i];
    }
    return all > 0 ? sum / all : (double)NAN;
}

double confusion_precision_macro(const struct confusion *c)
{
    return macro(c, PRECISION);
}
double confusion_recall_macro(const struct confusion *c)
{
    return macro(c, RECALL);
}
double confusion_f1_macro(const struct confusion *c)
{
    return macro(c, F1);
}
double confusion_precision_weighted(const struct confusion *c)
{
    return weighted(c, PRECISION);
}
double confusion_recall_weighted(const struct confusion *c)
{
    return weighted(c, RECALL);
}
double confusion_f1_weighted(const struct confusion *c)
{
    return weighted(c, F1);
}

/* The slope of `value` in one entry, by a step to each side. */
static double slope(struct confusion *c, confusion_value *value, double *entry)
{
    const double at = *entry;
    if (at <= 0)
        return 0; /* no cell moves it, or it moves nothing */
    const double step = at * 1e-5;
    *entry = at + step;
    const double above = value(c);
    *entry = at - step;
    const double below = value(c);
    *entry = at;
    return (above - below) / (2 * step);
}

struct interval confusion_interval(struct confusion *c, confusion_value *value, double low,
                                   double high)
{
    const double at = value(c);
    if (!isfinite(at) || c->total < 2)
        return interval_none;
    const size_t n = c->n_classes;
    AUTO_FREE double *slopes = calloc(3 * n, sizeof(*slopes));
    if (!slopes)
        return interval_none;
    for (size_t i = 0; i < n; i++) {
        slopes[i] = slope(c, value, &c->truth[i]);
        slopes[n + i] = slope(c, value, &c->predicted[i]);
        slopes[2 * n + i] = slope(c, value, &c->hit[i]);
    }
    const double of_total = slope(c, value, &c->total);

    /* One event more in a cell moves a row, a column, the total, and on the diagonal a hit. */
    double square = 0, mean = 0;
    for (size_t i = 0; i < c->n_cells; i++) {
        const struct confusion_cell *cell = &c->cells[i];
        double moves = slopes[cell->truth] + slopes[n + cell->predicted] + of_total;
        if (cell->truth == cell->predicted)
            moves += slopes[2 * n + cell->truth];
        square += cell->n * moves * moves;
        mean += cell->n * moves;
    }
    const double variance = square - mean * mean / c->total;
    if (at >= high || at <= low)
        return interval_none; /* at an end no cell moves it: the method has nothing to say */
    return interval_normal(at, fmax(0, variance), low, high);
}

struct interval interval_f1(double tp, double fp, double fn)
{
    const double all = 2 * tp + fp + fn, f1 = f1_of(tp, fp, fn);
    if (!(all > 0))
        return interval_none;
    if (tp == 0 || fp + fn == 0) { /* it grows with tp/(tp + fp + fn), which is a share */
        const struct interval share = interval_wilson(tp, tp + fp + fn);
        return (struct interval){f1_of(share.lower, 1 - share.lower, 0),
                                 f1_of(share.upper, 1 - share.upper, 0)};
    }
    const double hit = 2 - 2 * f1;
    const double variance = (tp * hit * hit + (fp + fn) * f1 * f1) / (all * all);
    return interval_normal(f1, variance, 0, 1);
}
