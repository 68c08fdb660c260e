/*
 * A time zone's offset from UTC at any moment, so that "the same hour a week ago" is that of the
 * clock on the wall.
 *
 * Shape    the transitions of an IANA zone (a TZif file of the system), and the rule behind them
 * Units    *_ms: ms since the epoch; offsets: ms, east of Greenwich above 0
 * Owner    timezone_read gives, timezone_free takes
 * Errors   ERR_DATA: no zone of that name, or its file is none
 * Threads  read-only once read
 * Source   RFC 8536 (TZif); the rule as POSIX writes TZ, of the form CET-1CEST,M3.5.0,M10.5.0/3
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

struct timezone_rules;

/* `name`: as Europe/Berlin; "UTC" (or NULL) needs no file. */
int timezone_read(struct timezone_rules **out, const char *name, struct err *err);
void timezone_free(struct timezone_rules *rules);
static inline void timezone_freep(struct timezone_rules **p)
{
    timezone_free(*p);
}

int64_t timezone_offset(const struct timezone_rules *rules, int64_t at_ms);

/* When the clock on the wall shows `wall_ms` (as if it were UTC). An hour that was left out counts
   as the one after it; one that came twice is the first. */
int64_t timezone_of_wall(const struct timezone_rules *rules, int64_t wall_ms);
/* When it showed the same, `days` days before. */
int64_t timezone_days_before(const struct timezone_rules *rules, int64_t at_ms, int64_t days);
