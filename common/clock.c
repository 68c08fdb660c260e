#include "common/clock.h"

#include <stdlib.h>
#include <time.h>

enum {
    SMALLEST_JUMP_MS = 5000 /* less is a clock that is being put right bit by bit */
};

static int64_t read_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *context)
{
    (void)context;
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_boot_ms(void *context)
{
    (void)context;
    return read_ms(CLOCK_BOOTTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = {0, system_wall_ms, system_boot_ms};
    return &system_clock;
}

int64_t clock_watch_jump(struct clock_watch *watch, const struct clock *clock)
{
    const int64_t ahead_ms = clock_wall_ms(clock) - clock_boot_ms(clock);
    const int64_t jump_ms = watch->looked ? ahead_ms - watch->ahead_ms : 0;
    *watch = (struct clock_watch){ahead_ms, true};
    return llabs(jump_ms) > SMALLEST_JUMP_MS ? jump_ms : 0;
}
