/*
 * What the detectors that look after every event have in common: how long they may run between two
 * false alarms, and what an alarm tells.
 *
 * Shape    a detector sees events in one order, and after an alarm it starts anew. Its state,
 *          unlike a pane's, depends on that order: collector/changing.h defines it
 * Learned  what a detector without a reference takes for usual: the first events of its run, and the
 *          times of the first and the last of them, by which an alarm says what it compared with
 * Units    expected: events of the stream between two false alarms · *_ms: event time
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"

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

/* INT64_MIN: not known, as in states that were stored before it was kept. */
struct change_learned {
    uint64_t n; /* events; 0: nothing was learned */
    int64_t from_ms, to_ms;
};

static inline void change_learn(struct change_learned *learned, int64_t ts_ms)
{
    if (learned->n == 0)
        learned->from_ms = learned->to_ms = ts_ms;
    learned->from_ms = ts_ms < learned->from_ms ? ts_ms : learned->from_ms;
    learned->to_ms = ts_ms > learned->to_ms ? ts_ms : learned->to_ms;
    learned->n++;
}

/* Behind all else of a state; `n` of one that ends before it: as many had been learned. */
static inline void change_learned_save(const struct change_learned *learned, struct buf *out)
{
    buf_varint(out, learned->n);
    buf_zigzag(out, learned->from_ms);
    buf_zigzag(out, learned->to_ms);
}
static inline struct change_learned change_learned_load(struct reader *in, uint64_t n)
{
    if (reader_left(in) == 0)
        return (struct change_learned){n, INT64_MIN, INT64_MIN};
    struct change_learned learned = {.n = reader_varint(in)};
    learned.from_ms = reader_zigzag(in);
    learned.to_ms = reader_zigzag(in);
    return learned;
}

struct change_found {
    enum change_direction direction;
    uint64_t run;         /* events since the detector started: the length of this run */
    uint64_t n_after;     /* of them, those after the change probably began */
    int64_t began_ms;     /* event time of the first of them */
    double before, after; /* mean before and after that; NaN: unknown, or there is no mean */
    double statistic, limit;
    struct change_learned learned; /* what was compared with; n 0: a reference */
};
