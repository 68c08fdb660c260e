/*
 * Segmentation: overlap of predicted and true areas, from pixel counts by class.
 *
 * Shape    true positives, false positives and false negatives of each class, summed over events
 *          before anything is divided
 * Units    pixels, whole ones, below 2^52 an event
 * Source   keras.metrics.MeanIoU: mean over classes that occur of tp / (tp + fp + fn); Dice
 *          2 tp / (2 tp + fp + fn), averaged likewise (sklearn.metrics.f1_score, macro)
 */
#pragma once

#include "stats/bins.h"
#include "stats/metric_result.h"

struct segmentation_state {
    struct bins classes; /* class id → tp, fp, fn */
};

extern const struct state_kind segmentation_kind;

metric_result_fn segmentation_mean_iou, segmentation_dice;
metric_result_fn segmentation_class_iou, segmentation_class_dice;
