#include "common/clock.h"

#include <time.h>

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
