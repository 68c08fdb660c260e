/*
 * When did the mixture of categories change? For categories without a reference: those that a run
 * begins with are learned, and the last events are compared with them after every event.
 *
 * Shape    a category stands in one of 256 places, by its id. The first events of a run are counted
 *          by place. Each later one has a rank among them: those learned in places before its own,
 *          and a random number of its equals, by `tie`; so the ranks are even for every mixture, also
 *          where rare categories were never learned. 32 bins of ranks go into the windows of
 *          stats/change_shape
 * Limit    that of change_shape, with as many reference values as were learned; learning counts as
 *          part of the run
 * After an alarm  the mixture is learned anew
 * Units    events
 * Owner    change_mix_new gives, change_mix_free takes
 * Errors   -ENOMEM · ERR_CORRUPT from load
 * Threads  one at a time
 * Source   as stats/change_shape.h; ranks among a learned sample as in stats/change_mean.h
 */
#pragma once

#include "stats/change_shape.h"

enum {
    MIX_PLACES = 256
};

struct change_mix {
    double expected;
    uint32_t learn;
    struct change_learned learned;
    uint16_t below[MIX_PLACES]; /* while it learns: in each place; then: in those before it */
    struct change_shape shape;
};

int change_mix_new(struct change_mix **out, double expected, struct err *err);
void change_mix_free(struct change_mix *mix);

static inline bool change_mix_learns(const struct change_mix *mix)
{
    return mix->learned.n < mix->learn;
}
/* The place of a category, by its class_id. */
static inline unsigned change_mix_place(uint64_t category)
{
    return (unsigned)(category * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

/* 1: an alarm in *found · 0. `tie`: even in [0, 1), from the event itself. */
int change_mix_update(struct change_mix *mix, int64_t ts_ms, unsigned place, double tie,
                      struct change_found *found);

void change_mix_save(const struct change_mix *mix, struct buf *out);
int change_mix_load(struct change_mix **out, struct reader *in, struct err *err);
