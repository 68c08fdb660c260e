/*
 * What a configuration may ask for and this version does not do yet: refused by name, so that
 * nobody believes in a sink that is not there.
 *
 * Errors   ERR_USAGE with file, line and key
 */
#pragma once

#include "common/config.h"

int config_supported(const struct config *config, struct err *err);
