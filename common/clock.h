/*
 * Time is handed in, never asked for: whoever needs "now" takes a struct clock.
 *
 * Units    wall_ms: milliseconds since the epoch · boot_ms: milliseconds on a clock that only
 *          goes forward and counts suspend (CLOCK_BOOTTIME)
 * Owner    clock_system() is static; a test hands in its own
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock {
    void *context;
    int64_t (*wall_ms)(void *context);
    int64_t (*boot_ms)(void *context);
};

const struct clock *clock_system(void);

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}
static inline int64_t clock_boot_ms(const struct clock *clock)
{
    return clock->boot_ms(clock->context);
}

/* Somebody may set the wall clock while we run; the boot clock goes on as it was. */
struct clock_watch {
    int64_t ahead_ms; /* wall clock less boot clock, when it was last looked at */
    bool looked;
};

/* By how much the wall clock was set since the last call; 0: not, or by five seconds at most. */
int64_t clock_watch_jump(struct clock_watch *watch, const struct clock *clock);
