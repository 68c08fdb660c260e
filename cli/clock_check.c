#include "cli/clock_check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/text.h"

enum {
    MOST_BEHIND_MS = 60 * 60 * 1000 /* failure-matrix.md, F29 */
};

static int64_t written_ms(const char *database, const char *end)
{
    char path[PATH_MAX];
    struct stat file;
    int n = snprintf(path, sizeof(path), "%s%s", database, end);
    if (n < 0 || (size_t)n >= sizeof(path) || stat(path, &file))
        return INT64_MIN;
    return (int64_t)file.st_mtim.tv_sec * 1000 + file.st_mtim.tv_nsec / 1000000;
}

int clock_check(const char *database, const struct clock *clock, struct err *err)
{
    const int64_t of_file_ms = written_ms(database, ""), of_log_ms = written_ms(database, "-wal");
    const int64_t newest_ms = of_file_ms > of_log_ms ? of_file_ms : of_log_ms;
    const int64_t now_ms = clock_wall_ms(clock);
    if (newest_ms == INT64_MIN || now_ms >= newest_ms - MOST_BEHIND_MS)
        return 0;
    char now[TEXT_TIME_BYTES], newest[TEXT_TIME_BYTES];
    return err_set(err, -EINVAL,
                   "the clock says %s, more than an hour before %s was last written (%s): set the "
                   "clock, or start with --accept-clock",
                   time_print(now, now_ms), database, time_print(newest, newest_ms));
}
