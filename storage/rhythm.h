/*
 * The hours of the week, or of the day, that a window lies in, as often as they came before it.
 *
 * Shape    the window's whole hours, moved back by 1, 2, 3 … weeks (or days) on the clock on the
 *          wall, as long as they begin within `trailing` before it. Newest first; they do not
 *          overlap
 * Units    ms since the epoch
 * Threads  any
 */
#pragma once

#include "common/timezone.h"
#include "storage/profiles.h"

struct rhythm {
    int64_t days; /* 7: week; 1: day */
    int64_t trailing_ms;
};

/* "day" or "week"; another word or NULL: days 0, no rhythm. */
int64_t rhythm_days(const char *word);
/* How many spans there can be. */
size_t rhythm_room(const struct rhythm *rhythm);
/* Returns how many; 0 for a window as long as the rhythm or longer: it has all of its hours. */
size_t rhythm_spans(const struct rhythm *rhythm, const struct timezone_rules *zone, int64_t from_ms,
                    int64_t to_ms, struct profile_span *out);
