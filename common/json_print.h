/*
 * A jansson value as text: like json_dumps, but that a number has the fewest digits that read back
 * as the same double (0.05, where jansson prints 0.050000000000000003).
 *
 * Shape    compact; keys in the order in which they were put
 * Owner    json_print gives the text, which free() takes
 * Errors   json_print: NULL without memory, or without a value · out_value: those of the buf
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"

void out_value(struct buf *out, const json_t *value);
char *json_print(const json_t *value);
