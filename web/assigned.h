/*
 * Experiments as they are at one value of the change counter, so that an assignment costs a hash
 * and no look into the database: callers may ask for every request that they serve.
 *
 * Shape    found by name in a small table; the first question after a change reads it again
 * Owner    the memory is its context's, the experiment the memory's: valid until the next call.
 *          A context without a change counter remembers nothing
 * Errors   as stored_read; that there is no such experiment is remembered too
 * Threads  that of its context
 */
#pragma once

#include "web/experiment_json.h"

struct assigned;

void assigned_free(struct assigned *assigned);

int assigned_find(struct api_context *context, const char *name,
                  const struct stored_experiment **out, struct err *err);
