/*
 * Where one event belongs: its step's arm and its unit's name inside the evidence.
 *
 * Shape    what run.c asks for each event before evidence_observe
 * Owner    borrows nothing after the call
 * Errors   EXPOSURE_NONE: the version is neither arm of the experiment
 * Threads  any
 * Source   contract §4 and §6: arm = the version that served; the arm of the bucket is what it
 *          should have been, and a difference is a crossover
 */
#pragma once

#include "abtest/evidence.h"
#include "common/view.h"

enum {
    EXPOSURE_NONE = 1
};

/* `unit` is the event's unit, or its id where it has none. */
int exposure_of(struct exposure *out, const struct experiment *experiment, int step,
                struct view unit, struct view version, int64_t ts_ms);
