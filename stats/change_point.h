/*
 * When did it change? Detectors that look after every event, set by how long they may run between
 * two false alarms.
 *
 * Shape    one detector a series and direction-pair: rates (0 or 1) and means by two-sided CUSUM,
 *          Page–Hinkley for levels that are not known. `arl`: events between false alarms while
 *          nothing changed. The limit comes from the run length's own law (change_limit: Markov
 *          chain for rates, Siegmund's corrected formula for means) and the alarms that came are
 *          kept, so that the measured run length stands beside the one asked for
 * Rules    events must come in one order (event time): a detector's state, unlike a pane's, does
 *          depend on the order. It is small and saved with the offsets
 * Units    shift: of the rate in absolute terms, of a mean in standard deviations
 * Errors   -EINVAL: a rate outside 0..1, an ARL below 10, a shift that is not positive
 * Threads  one at a time
 * Source   Page 1954; Siegmund 1985, eq. 2.57 with the overshoot 1.166 for normal steps; Brook,
 *          Evans 1972 (Markov chain)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum change_kind {
    CHANGE_RATE,        /* values 0 and 1 around a known rate */
    CHANGE_MEAN,        /* values around a known mean with a known standard deviation */
    CHANGE_PAGE_HINKLEY /* the mean is learned from the first events of a run */
};

struct change_plan {
    enum change_kind kind;
    double level;   /* the rate, or the mean */
    double spread;  /* standard deviation; not for rates */
    double shift;   /* the change worth finding */
    double arl;     /* events between false alarms */
    uint32_t learn; /* PAGE_HINKLEY: events to learn from; 0: 500 */
};

struct change_detector {
    struct change_plan plan;
    double limit_up, limit_down;
    double up, down; /* the two sums */
    double mean, m2; /* PAGE_HINKLEY */
    uint64_t events, learned;
    uint64_t up_since, down_since; /* events since each sum was last 0: where the change began */
    uint64_t alarms;
};

enum {
    CHANGE_UP = 1,
    CHANGE_DOWN = 2
};

int change_init(struct change_detector *detector, const struct change_plan *plan, struct err *err);

/* 0, CHANGE_UP or CHANGE_DOWN; *ago (may be NULL): how many events ago it probably began. After an
   alarm the detector starts anew. */
int change_update(struct change_detector *detector, double value, uint64_t *ago);

/* Events between alarms so far; NaN before the first. */
double change_measured_arl(const struct change_detector *detector);

void change_save(const struct change_detector *detector, struct buf *out);
int change_load(struct change_detector *detector, struct reader *in, struct err *err);

/* Average run length of a one-sided CUSUM max(0, S + x - k) > h, x normal(0, 1). */
double change_arl_normal(double k, double h);
/* … of the steps up (value 1, with probability `rate`) and down (value 0); both > 0. */
double change_arl_rate(double rate, double step_up, double step_down, double h);
