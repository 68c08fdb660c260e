/*
 * How often one feature's p-value is as small as it says, counted over windows of many references:
 * what bench_calibration and bench_categories have in common.
 *
 * Shape    for each statistic and level the share of windows with p at most `counted` × the level,
 *          divided by the level; the standard error is by the scatter of the references, for windows
 *          of one reference are not independent. A law is only made where p can be small: beyond
 *          nine tenths of the smallest threshold of the first references, which count for nothing
 * Owner    the caller's memory; small_p_init makes the laws' cache, small_p_finish takes it
 * Errors   exit: a bench has nobody to tell
 */
#pragma once

#include <stdbool.h>

#include "stats/drift_threshold.h"

enum {
    SMALL_P_METHODS = 5,
    SMALL_P_LEVELS = 4,
    SMALL_P_SCREENING = 30 /* references */
};

struct small_p {
    enum drift_method methods[SMALL_P_METHODS];
    double levels[SMALL_P_LEVELS];
    double counted; /* of a level, p is to be at most */
    /* its own: */
    struct drift_nulls *nulls;
    long references; /* below 0: of those that only screen */
    long windows;    /* of this reference */
    double screen[SMALL_P_METHODS];
    long small[SMALL_P_METHODS][SMALL_P_LEVELS];
    /* over references, of the share of its windows: */
    double sums[SMALL_P_METHODS][SMALL_P_LEVELS], squares[SMALL_P_METHODS][SMALL_P_LEVELS];
};

void small_p_init(struct small_p *s);
void small_p_finish(struct small_p *s);
/* `always`: whatever its statistics are. */
void small_p_window(struct small_p *s, const struct drift_subject *subject, bool always);
void small_p_reference_ends(struct small_p *s);
/* A row a statistic: its shares behind `| name | n | m | windows |`. */
void small_p_report(const struct small_p *s, const char *name, int n, int m, long windows);
