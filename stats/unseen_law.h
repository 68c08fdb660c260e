/*
 * Events of categories that the reference never had: how many a window may have of them.
 *
 * Shape    their share has a beta law. It weighs as much as what was seen once (Good–Turing), and 1
 *          for the one that only this window has, against the reference's events. That is too
 *          little where much was seen once or twice: of a reference with more categories than bins
 *          the mean is the estimate itself, and its variance the estimate's. Where each category
 *          has a bin, p is bounded (stats/same_shares.h)
 * Units    events
 * Owner    plain
 * Threads  any
 * Source   Good 1953, Biometrika 40; the estimate's variance: Esty 1983, Ann. Statist. 11
 */
#pragma once

#include "stats/drift_threshold.h"

struct unseen_law {
    double weight, seen;
};

struct unseen_law unseen_law_of(const struct reference_feature *reference);
/* P(at least `unseen` of n events are of categories that the reference never had). */
double unseen_p(const struct unseen_law *law, double n, double unseen);
/* The fewest unseen events of n whose P is at most `level`; n and one more: not even all are. */
double unseen_limit(const struct unseen_law *law, double n, double level);
/*
 * What a share of unseen events alone puts into the statistic, on the scale on which its parts add
 * up: their own part, and what lacks in the known categories though those that came stand in the
 * reference's shares.
 */
double unseen_part(enum drift_method method, double share, double m, double n);
