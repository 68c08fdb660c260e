/*
 * What `relative_to: reference` compares with: the metric as it was in the model's reference, and
 * which reference that was.
 *
 * Shape    the events that were loaded last, from a file or by PUT, for the rule's version or else
 *          for the model; where none were: what `reference` of the configuration says: another
 *          version's same window, a span, or the time before as of the hour
 * Owner    borrows config, store and the rules' names
 * Errors   as series_read; what cannot be told is a value of NaN with `why`
 * Threads  that of the store
 */
#pragma once

#include "alerts/reading.h"

struct reference_readings;

int reference_readings_new(struct reference_readings **out, const struct config *config,
                           struct store *store, struct err *err);
void reference_readings_free(struct reference_readings *readings);

struct reference_question {
    const struct alert_rule *rule;
    const struct custom_set *customs; /* of the model; NULL: none */
    const struct metric_setup *setup; /* of the model's states */
    int64_t start_ms, end_ms;         /* the window that is compared */
};

int reference_reading(struct reference_readings *readings,
                      const struct reference_question *question, struct metric_value *out,
                      struct reading_reference *which, struct err *err);
