/*
 * What the daemon gives up before it does anything else.
 *
 * Shape    no core dumps (they would hold secrets), no new privileges by programs that are run;
 *          started as root it goes on without root's powers: it reads and writes what belongs to
 *          its user, as any user does, and may still listen on a port below 1024
 * Errors   as in common/err.h: what cannot be given up is refused, nothing has been opened by then
 * Threads  before any other is started: powers belong to threads
 */
#pragma once

#include "common/err.h"

int privileges_drop(struct err *err);
