#include "common/settle.h"

#include <errno.h>
#include <sys/stat.h>

enum {
    QUIET_MS = 200,
    MOST_LOOKS = 25,
};

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool is_old(const struct stat *file, const struct clock *clock)
{
    int64_t written_ms = (int64_t)file->st_mtim.tv_sec * 1000 + file->st_mtim.tv_nsec / 1000000;
    return clock_wall_ms(clock) - written_ms >= QUIET_MS;
}

int file_settle(const char *path, const struct clock *clock, void (*wait)(void *context, int ms),
                void *context, struct err *err)
{
    struct stat now, before;
    if (stat(path, &now) || is_old(&now, clock))
        return 0;
    for (int i = 0; i < MOST_LOOKS; i++) {
        before = now;
        wait(context, QUIET_MS);
        if (stat(path, &now) || is_same(&before, &now))
            return 0;
    }
    return err_set(err, -EBUSY,
                   "%s is still being written: write it beside its place, and move it there", path);
}
