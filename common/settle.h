/*
 * Waits until nobody writes to a file any more, so that the first half of one that is written in
 * place is not taken for the whole.
 *
 * Shape    a file is settled when it has not changed for 200 ms: one that was written before, at
 *          once. Who pauses for longer between two writes is not found out: a file that matters is
 *          replaced as a whole, written beside its place and moved there
 * Errors   -EBUSY: it was still changing after 5 s. A file that is not there is settled: who reads it
 *          says so
 * Threads  any; `wait` sleeps for so long
 */
#pragma once

#include "common/clock.h"
#include "common/err.h"

int file_settle(const char *path, const struct clock *clock, void (*wait)(void *context, int ms),
                void *context, struct err *err);
