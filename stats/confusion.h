/*
 * What a confusion matrix says: accuracy, precision, recall, F1, kappa, Matthews' coefficient, for
 * two classes or many, each with its interval by the delta method.
 *
 * Shape    class i: truth[i] labels, predicted[i] predictions, hit[i] of them right; `cells` the
 *          matrix itself, only where it is not 0
 * Errors   a value that is not defined is NaN
 * Source   sklearn.metrics: accuracy_score, balanced_accuracy_score (classes without labels left
 *          out), precision_recall_fscore_support (macro, micro, weighted; 0 where a class has
 *          no denominator), cohen_kappa_score, matthews_corrcoef (Gorodkin 2004). Delta method on
 *          the multinomial of the cells: Bishop, Fienberg & Holland 1975, 14.6
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "stats/interval.h"

struct confusion_cell {
    uint32_t truth, predicted; /* class numbers */
    double n;
};

struct confusion {
    size_t n_classes;
    double *truth, *predicted, *hit;
    double total;
    const struct confusion_cell *cells;
    size_t n_cells;
};

typedef double confusion_value(const struct confusion *confusion);

confusion_value confusion_accuracy;
confusion_value confusion_balanced_accuracy;
confusion_value confusion_kappa;
confusion_value confusion_mcc;
confusion_value confusion_precision_macro;
confusion_value confusion_recall_macro;
confusion_value confusion_f1_macro;
confusion_value confusion_precision_weighted;
confusion_value confusion_recall_weighted;
confusion_value confusion_f1_weighted;

/* 95%, cut to low..high. Moves the entries of `confusion` a little and puts them back. */
struct interval confusion_interval(struct confusion *confusion, confusion_value *value, double low,
                                   double high);

/* F1 of one class, 2 tp / (2 tp + fp + fn), a ratio of two sums over events. */
double f1_of(double tp, double fp, double fn);
struct interval interval_f1(double tp, double fp, double fn);
