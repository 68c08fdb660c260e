/*
 * A version 2 file is: a header and data for 32-bit times (skipped), a header and data for 64-bit
 * times, and the rule for all time after the last transition between two newlines.
 *
 *     "TZif" version reserved[15] isutcnt isstdcnt leapcnt timecnt typecnt charcnt   (u32 each)
 *     times[timecnt] types[timecnt] {offset i32, isdst u8, name u8}[typecnt] …
 */
#include "common/timezone.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONES "/usr/share/zoneinfo/"
#define DAY_S INT64_C(86400)
#define DAY_MS (DAY_S * 1000)

enum {
    HEADER_BYTES = 44,
    MAX_FILE_BYTES = 1 << 16
};

/* The weekday `day` of week `week` (5: the last) of a month, at that second of the day. */
struct switch_day {
    int month, week, day;
    int64_t second;
};

struct timezone_rules {
    int64_t *times;   /* s */
    int32_t *offsets; /* s, from times[i] on */
    size_t n;
    int32_t first;                /* before times[0] */
    int32_t standard, summer;     /* after the last one */
    struct switch_day start, end; /* of summer time; month 0: none */
};

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t i64_at(const unsigned char *p)
{
    return (int64_t)((uint64_t)u32_at(p) << 32 | u32_at(p + 4));
}

/* --- the rule --- */

static int64_t days_of(int64_t year, int month, int day) /* since the epoch; Gregorian */
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t year_of(int64_t days)
{
    int64_t year = 1970 + days / 366;
    while (days_of(year + 1, 1, 1) <= days)
        year++;
    return year;
}

/* Seconds since the epoch of the local clock. */
static int64_t switch_in(const struct switch_day *s, int64_t year)
{
    int64_t first = days_of(year, s->month, 1);
    int64_t next = s->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, s->month + 1, 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7; /* the epoch was a Thursday */
    int64_t at = first + (s->day - weekday + 7) % 7 + (int64_t)(s->week - 1) * 7;
    while (at >= next)
        at -= 7;
    return at * DAY_S + s->second;
}

static int32_t offset_by_rule(const struct timezone_rules *r, int64_t at_s)
{
    if (r->start.month == 0)
        return r->standard;
    int64_t year = year_of((at_s + r->standard) / DAY_S);
    int64_t start = switch_in(&r->start, year) - r->standard;
    int64_t end = switch_in(&r->end, year) - r->summer;
    bool summer = start < end ? at_s >= start && at_s < end : at_s >= start || at_s < end;
    return summer ? r->summer : r->standard;
}

static const char *skip_name(const char *p)
{
    if (*p == '<')
        return strchr(p, '>') ? strchr(p, '>') + 1 : p;
    while (isalpha((unsigned char)*p))
        p++;
    return p;
}

/* [+-]h[:m[:s]] → seconds */
static const char *parse_time(const char *p, int64_t *out)
{
    int sign = *p == '-' ? -1 : 1;
    p += *p == '-' || *p == '+';
    *out = 0;
    for (int64_t unit = 3600; unit; unit /= 60) {
        char *end;
        *out += strtol(p, &end, 10) * unit * sign;
        p = end;
        if (*p != ':')
            break;
        p++;
    }
    return p;
}

static const char *parse_switch(const char *p, struct switch_day *out)
{
    int n = 0;
    out->second = 7200;
    /* so few digits hold no number that is too large: NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(p, ",M%2d.%1d.%1d%n", &out->month, &out->week, &out->day, &n) != 3 ||
        out->month < 1 || out->month > 12 || out->week < 1 || out->week > 5 || out->day < 0 ||
        out->day > 6)
        return NULL;
    p += n;
    return *p == '/' ? parse_time(p + 1, &out->second) : p;
}

static bool is_day(const struct switch_day *s)
{
    return s->month >= 1 && s->month <= 12 && s->week >= 1 && s->week <= 5 && s->day >= 0 &&
           s->day <= 6;
}

/* 0, or -1: of another form. POSIX counts west of Greenwich as above 0. */
static int parse_rule(struct timezone_rules *r, const char *p)
{
    int64_t west;
    p = parse_time(skip_name(p), &west);
    r->standard = (int32_t)-west;
    if (!*p)
        return 0;
    p = skip_name(p);
    r->summer = r->standard + 3600;
    if (*p && *p != ',') {
        p = parse_time(p, &west);
        r->summer = (int32_t)-west;
    }
    p = parse_switch(p, &r->start);
    p = p ? parse_switch(p, &r->end) : NULL;
    return p && !*p && is_day(&r->start) && is_day(&r->end) ? 0 : -1;
}

/* --- the file --- */

static size_t data_bytes(const unsigned char *header, size_t time_bytes)
{
    const unsigned char *counts = header + 20;
    return u32_at(counts) + u32_at(counts + 4) + u32_at(counts + 8) * (time_bytes + 4) +
           u32_at(counts + 12) * (time_bytes + 1) + u32_at(counts + 16) * 6 + u32_at(counts + 20);
}

static int take_transitions(struct timezone_rules *r, const unsigned char *data, size_t n,
                            size_t n_types)
{
    const unsigned char *types = data + n * 9;
    r->times = calloc(n + 1, sizeof(*r->times));
    r->offsets = calloc(n + 1, sizeof(*r->offsets));
    if (!r->times || !r->offsets || n_types == 0)
        return -1;
    r->first = (int32_t)u32_at(types);
    for (size_t i = 0; i < n; i++) {
        size_t type = data[n * 8 + i];
        if (type >= n_types)
            return -1;
        r->times[i] = i64_at(data + i * 8);
        r->offsets[i] = (int32_t)u32_at(types + type * 6);
    }
    r->n = n;
    return 0;
}

static int take_file(struct timezone_rules *r, const unsigned char *bytes, size_t size)
{
    const unsigned char *end = bytes + size;
    if (size < 2 * HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0 || bytes[4] < '2')
        return -1;
    size_t skipped = HEADER_BYTES + data_bytes(bytes, 4);
    if (skipped > size - HEADER_BYTES)
        return -1;
    const unsigned char *header = bytes + skipped, *data = header + HEADER_BYTES;
    size_t n = data_bytes(header, 8);
    if (memcmp(header, "TZif", 4) != 0 || n >= (size_t)(end - data) || data[n] != '\n')
        return -1;
    if (take_transitions(r, data, u32_at(header + 32), u32_at(header + 36)))
        return -1;
    char rule[128];
    size_t length = (size_t)(end - data) - n - 1;
    if (length < 2 || length > sizeof(rule) || end[-1] != '\n')
        return -1;
    memcpy(rule, data + n + 1, length - 1);
    rule[length - 1] = '\0';
    return parse_rule(r, rule);
}

int timezone_read(struct timezone_rules **out, const char *name, struct err *err)
{
    char path[400];
    struct timezone_rules *r = calloc(1, sizeof(*r));
    AUTO_FREE unsigned char *bytes = malloc(MAX_FILE_BYTES);
    *out = r; /* the caller owns it now */
    if (!r || !bytes)
        return err_set(err, -ENOMEM, "no memory for time zone %.100s", name);
    if (!name || strcmp(name, "UTC") == 0)
        return 0;
    snprintf(path, sizeof(path), ZONES "%.300s", name);
    FILE *file = strstr(name, "..") || name[0] == '/' ? NULL : fopen(path, "rbe");
    if (!file)
        return err_set(err, ERR_DATA, "no time zone %.100s in " ZONES, name);
    size_t n = fread(bytes, 1, MAX_FILE_BYTES, file);
    fclose(file);
    return take_file(r, bytes, n)
               ? err_set(err, ERR_DATA, ZONES "%.100s is no file of a time zone", name)
               : 0;
}

void timezone_free(struct timezone_rules *rules)
{
    if (!rules)
        return;
    free(rules->times);
    free(rules->offsets);
    free(rules);
}

int64_t timezone_offset(const struct timezone_rules *r, int64_t at_ms)
{
    int64_t at_s = at_ms >= 0 ? at_ms / 1000 : (at_ms - 999) / 1000;
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->times[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    int32_t offset = low == r->n ? offset_by_rule(r, at_s) : low ? r->offsets[low - 1] : r->first;
    return (int64_t)offset * 1000;
}

int64_t timezone_of_wall(const struct timezone_rules *r, int64_t wall_ms)
{
    /* A day away from any switch that is near: the offsets before and after it. */
    int64_t before = timezone_offset(r, wall_ms - DAY_MS);
    int64_t after = timezone_offset(r, wall_ms + DAY_MS);
    if (timezone_offset(r, wall_ms - before) == before)
        return wall_ms - before; /* also the first of an hour that comes twice */
    if (timezone_offset(r, wall_ms - after) == after)
        return wall_ms - after;
    return wall_ms - before; /* left out: the clock then shows the hour after it */
}

int64_t timezone_days_before(const struct timezone_rules *r, int64_t at_ms, int64_t days)
{
    return timezone_of_wall(r, at_ms + timezone_offset(r, at_ms) - days * DAY_MS);
}
