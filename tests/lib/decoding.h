/*
 * Events from text, for tests of the decoder.
 *
 * Owner    decoding_setup makes the one decoder that the others use, decoding_teardown frees it;
 *          an event's views are valid until the next one is decoded
 */
#pragma once

#include <stddef.h>

#include "collector/event.h"

int decoding_setup(void **state);
int decoding_teardown(void **state);

/* The bytes lie in a block of their own size, overwritten afterwards: a read past the end, and a
 * view into what was handed in, are seen. */
enum reject decode_bytes(const char *bytes, size_t n, struct event *out, const char **detail);

/* An event that must be taken. */
struct event decode(const char *json);

void assert_view(struct view view, const char *text);
