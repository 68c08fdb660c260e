/*
 * What a rule on features sees of the last whole window: drift against the reference as REST shows
 * it, or the shares of missing and invalid values.
 *
 * Shape    windows are multiples of the rule's window since the epoch, each judged once, when event
 *          time has passed its end: the promised rate of false alarms is a rate of windows
 * Owner    drift_readings_new gives, drift_readings_free takes; config and store are borrowed
 * Errors   as in storage/profiles.h
 * Threads  that of the store
 */
#pragma once

#include "alerts/reading.h"

struct drift_readings;

int drift_readings_new(struct drift_readings **out, const struct config *config,
                       struct store *store, struct err *err);
void drift_readings_free(struct drift_readings *readings);
DEFINE_FREEP(drift_readings)

int drift_reading(struct drift_readings *readings, const struct alert_rule *rule, int64_t now_ms,
                  struct reading *out, struct err *err);
