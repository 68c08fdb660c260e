/*
 * The results of a bench's runs, kept in a file, so that a long table can be made in pieces.
 *
 * Shape    keep_play gives the result of one (plan, seed): from the file where it is known, else by
 *          playing it. A plan is known by all that makes it and by the engine's number: after a
 *          change of either, its old results are not found. Delete the file after other changes
 * Units    seconds: of the wall clock, from keep_open on
 * Owner    keep_open gives, keep_close takes
 * Errors   NULL: the file cannot be used, and standard error says why · false from keep_play: the
 *          time is up
 * Threads  one
 */
#pragma once

#include "bench/simulate.h"

struct keep;
/* Without a path nothing is kept; seconds 0: no limit. */
struct keep *keep_open(const char *path, int seconds);
void keep_close(struct keep *keep);
bool keep_play(struct keep *keep, struct simulation *simulation, const struct simulate_plan *plan,
               uint64_t seed, struct simulate_result *out);
