/*
 * A certificate or key from its file.
 *
 * Owner    the text is malloc'd, the caller's; wipe a key before freeing it
 * Errors   ERR_USAGE names the configuration's key and the file
 */
#pragma once

#include "common/err.h"

int pem_read(char **out, const char *key, const char *path, struct err *err);
