/*
 * A REST answer as parsed JSON, for what feeds other systems from it: sinks and exports say the
 * same numbers as the API because they ask it.
 *
 * Shape    `target`: "/api/v1/models/credit/metrics?…" without its terminator, which is added
 * Owner    *out is the caller's: json_decref; NULL after an error
 * Errors   those of the answer, in its words
 * Threads  that of the context
 */
#pragma once

#include <jansson.h>

#include "web/api.h"

int ask(json_t **out, struct api_context *api, struct buf *target, struct err *err);
