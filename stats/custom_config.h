/*
 * A model's own metrics as its configuration lists them.
 *
 * Owner    custom_set_of gives, custom_set_free takes
 * Errors   customs_check: ERR_DATA with file, line and key of the first one that is off
 * Threads  any
 */
#pragma once

#include "common/config.h"
#include "stats/custom.h"

int custom_set_of(struct custom_set **out, const struct config_model *model, enum task task,
                  struct err *err);

/* Those of every model: names, formulas and what they refer to. */
int customs_check(const struct config *config, struct err *err);
