/*
 * A jansson value as text of an answer: like json_dumps, but that a number has the fewest digits
 * that read back as the same double (0.05, where jansson prints 0.050000000000000003).
 *
 * Errors   those of the buf
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"

void out_value(struct buf *out, json_t *value);
