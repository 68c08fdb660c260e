/*
 * A minute of model "credit", version "v1", into the database: its states and its profile, as a
 * commit of the collector writes them.
 */
#pragma once

#include "stats/metric.h"
#include "stats/profile.h"
#include "storage/store.h"

/* slice "": overall. */
void stored_minute(struct store *store, const char *slice, int64_t start_ms,
                   const struct states *states, const struct profile *profile);
