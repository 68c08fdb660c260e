/*
 * A request's body that was sent with `Content-Encoding: gzip`.
 *
 * Owner    the body stays the caller's; its bytes are replaced
 * Errors   an HTTP status: 413 more than limit_bytes came out of it · 400 it is not whole gzip ·
 *          500 no memory. 0: unpacked
 * Threads  any
 */
#pragma once

#include "common/buf.h"

int unpack_gzip(struct buf *body, size_t limit_bytes);
