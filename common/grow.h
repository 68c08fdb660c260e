/*
 * Room in an array whose owner knows how much it holds.
 *
 * Shape    `array` is the address of the pointer to its first item, which may be NULL with
 *          capacity 0; the room at least doubles, so that n items cost the copying of about n
 * Owner    the caller's, who frees the array with free()
 * Errors   -ENOMEM, said of `what` ("collector: pieces"); what was there stays as it was
 */
#pragma once

#include <stddef.h>

#include "common/err.h"

/* Room for `wanted` items of item_bytes; new ones are zeros. */
int grow(void *array, size_t *capacity, size_t wanted, size_t item_bytes, const char *what,
         struct err *err);
