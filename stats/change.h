/*
 * What the detectors that look after every event have in common: how long they may run between two
 * false alarms, and what an alarm tells.
 *
 * Shape    a detector sees events in one order, and after an alarm it starts anew. Its state,
 *          unlike a pane's, depends on that order: collector/changing.h defines it
 * Units    expected: events of the stream between two false alarms
 */
#pragma once

#include <stdint.h>

enum {
    CHANGE_MIN_EXPECTED = 1000, /* a shorter run would be over before anything could be learned */
    CHANGE_MAX_EXPECTED = 1000000000
};

enum change_direction {
    CHANGE_NONE,
    CHANGE_UP,
    CHANGE_DOWN,
    CHANGE_SHAPE /* another distribution; its mean may be the same */
};

struct change_found {
    enum change_direction direction;
    uint64_t run;         /* events since the detector started: the length of this run */
    uint64_t n_after;     /* of them, those after the change probably began */
    int64_t began_ms;     /* event time of the first of them */
    double before, after; /* mean before and after that; NaN: unknown, or there is no mean */
    double statistic, limit;
};
