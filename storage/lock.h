/*
 * One writing process for one database: a lock on PATH.lock, which holds the owner's pid.
 *
 * Shape    flock(2): the kernel lets go when the process ends, however it ends. The file stays.
 * Errors   ERR_USAGE: another process has it; the message names its pid
 */
#pragma once

#include "common/err.h"

int lock_take(const char *database, int *out, struct err *err);
