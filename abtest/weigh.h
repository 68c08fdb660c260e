/*
 * One metric's evidence over all steps: harm, safety, hard limit and superiority as e-values.
 *
 * Shape    rates by the conditional e-process, steps multiplied; everything else by the one-sided
 *          asymptotic confidence sequence over strata, one a step, never pooled over shares
 * Units    log_e_*: natural logarithms of e-values, 0 = no evidence; tests: how many e-values of
 *          harm and limits are averaged in the whole experiment
 * Errors   status STATUS_UNDEFINED with a reason in `why`
 * Threads  any
 * Source   docs/abtest.md: burn-in n_b · p̄ >= 20 and the variance floor; absolute margins of rates
 *          by time-uniform bounds of the control's rate at alpha/10
 */
#pragma once

#include "abtest/decide.h"

void weigh_metric(const struct experiment *experiment, const struct evidence *evidence, int metric,
                  int step, struct metric_verdict *out);

/* Fills what only people read: values of both arms, difference, interval, Bayesian figures. */
void weigh_show(const struct experiment *experiment, const struct evidence *evidence, int metric,
                int step, struct metric_verdict *out);
