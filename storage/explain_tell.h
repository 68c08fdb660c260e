/*
 * An explanation in one sentence: what changed by the event, the slice that moved the metric, the
 * slice whose share of the predictions moved, the input that drifted most, and labels that lack.
 *
 * Shape    only what is more than chance is told: a metric's change that its intervals do not
 *          cover, a slice that differs from the others, a share beyond its sampling error. Inputs
 *          come before what the model made of them ("@score"), which is told when no input drifted
 * Threads  any; reads and writes the explanation alone
 * Source   a part against the whole: the difference of two independent estimates, whose 95% half
 *          widths add up as squares
 */
#pragma once

#include "storage/explain.h"

/* Fills e->cause; "" when nothing stands out. */
void explanation_tell(struct explanation *e);
/* The strongest feature's part of it. */
void explanation_tell_feature(const struct explanation *e, char *out, size_t n);
