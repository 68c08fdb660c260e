/*
 * Is the machine's clock believable? A clock that was set back would date alerts, audit rows and
 * dead letters before those that are there, and retention by the wall clock would stand still.
 *
 * Shape    compared with when the database was last written: its file and its log's
 * Errors   -EINVAL: the clock is more than an hour before it; the message says both times
 * Threads  any
 */
#pragma once

#include "common/clock.h"
#include "common/err.h"

/* A database that is not there yet contradicts no clock. */
int clock_check(const char *database, const struct clock *clock, struct err *err);
