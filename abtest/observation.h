/*
 * One prediction or label as measures see it (struct observation), in the words of the metric
 * states: a class that was not given is the likeliest one, scores that do not sum to one are taken
 * for their shares.
 *
 * Owner    the observation borrows the sample where it carries its content (rankings, pixels)
 * Threads  any; no state
 * Source   stats/metric_binary.h, metric_multiclass.h: a test holds the values against theirs
 */
#pragma once

#include "abtest/measure.h"
#include "stats/metric.h"

/* Everything absent. */
struct observation observation_nothing(void);
void observation_of_prediction(struct observation *out, const struct metric_setup *setup,
                               const struct sample *sample);
/* False when the label says nothing that an experiment measures. */
bool observation_of_label(struct observation *out, const struct metric_setup *setup,
                          const struct sample *sample);
