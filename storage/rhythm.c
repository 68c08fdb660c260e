#include "storage/rhythm.h"

#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

int64_t rhythm_days(const char *word)
{
    if (!word)
        return 0;
    return strcmp(word, "week") == 0 ? 7 : strcmp(word, "day") == 0 ? 1 : 0;
}

size_t rhythm_room(const struct rhythm *rhythm)
{
    return (size_t)(rhythm->trailing_ms / (rhythm->days * DAY_MS)) + 1;
}

static int64_t hour_below(int64_t at_ms)
{
    return at_ms / HOUR_MS * HOUR_MS;
}

size_t rhythm_spans(const struct rhythm *rhythm, const struct timezone_rules *zone, int64_t from_ms,
                    int64_t to_ms, struct profile_span *out)
{
    int64_t from = hour_below(from_ms), to = hour_below(to_ms + HOUR_MS - 1);
    if (to - from >= rhythm->days * DAY_MS)
        return 0;
    /* The window's last hour ends an hour after it began: what the clock shows at the very end may
       be an hour more or less, where it was moved just then. */
    int64_t last = to - HOUR_MS;
    int64_t wall_from = from + timezone_offset(zone, from);
    int64_t wall_to = last + timezone_offset(zone, last) + HOUR_MS;
    size_t room = rhythm_room(rhythm), n = 0;
    int64_t newest = from; /* what is taken lies before this */
    for (size_t k = 1; k < room; k++) {
        int64_t back = (int64_t)k * rhythm->days * DAY_MS;
        /* where the clock was moved by half an hour, both ends widen to whole hours */
        int64_t start = hour_below(timezone_of_wall(zone, wall_from - back));
        int64_t end = hour_below(timezone_of_wall(zone, wall_to - back) + HOUR_MS - 1);
        end = end < newest ? end : newest;
        if (start < 0)
            break;
        if (start < end)
            out[n++] = (struct profile_span){start, end};
        newest = start < newest ? start : newest;
    }
    return n;
}
