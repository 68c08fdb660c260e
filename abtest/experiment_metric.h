/*
 * What may be asked of a metric of an experiment: which margins and roles its kind can have, and
 * that nothing is asked which no number of events could ever show.
 *
 * Errors   ERR_DATA: the message names the metric's place in the list and what would be right
 * Threads  any
 */
#pragma once

#include "abtest/experiment.h"

/* Of the metric at `index`, once it is read; those before it are known to be right. */
int experiment_metric_check(const struct experiment *e, int index, struct err *err);
