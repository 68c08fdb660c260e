/*
 * Has an alert rule anything to judge? A rule that neither fires nor is pending has no row of its
 * own, and so has one that was never evaluated: the gate must tell the two apart.
 *
 * Owner    borrows all
 * Errors   as in storage/series.h
 * Threads  that of the store
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/config.h"
#include "common/err.h"
#include "storage/store.h"

/* `rule`: as configured; its window ends at complete_ms. */
int rule_has_data(struct store *store, const struct config *config, const json_t *rule,
                  const char *model, int64_t complete_ms, bool *out, struct err *err);
