/*
 * Evidently's choice of test and its fixed thresholds (`method: evidently`).
 *
 * Shape    references of up to 1,000 values: p < 0.05 of ks (numbers), z (at most two different
 *          values), chi2 (categories, and numbers of at most five); larger ones: distance >= 0.1,
 *          wasserstein_norm of numbers (standard deviation at least 0.001), js_distance with base e
 *          of categories and of numbers of at most five different values. Different values are
 *          those of reference and window together
 * Limits   of a window whose categories were not counted singly the reference's 127 largest, all
 *          its others and unseen ones are a category each
 * Errors   -ENOMEM
 * Threads  any
 * Source   Evidently 0.7.23, legacy/calculations/stattests: registry.py (_get_default_stattest),
 *          chisquare_stattest.py, z_stattest.py, jensenshannon.py, wasserstein_distance_norm.py
 */
#pragma once

#include "stats/drift_threshold.h"

/* Of a window that has the statistics that `subject` points at. */
int drift_evidently_judge(const struct drift_subject *subject, struct drift_verdict *out);
