#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digits.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: what is printed takes the first that divides. */
static const struct unit duration_units[] = {
    {"d", INT64_C(86400000)}, {"h", INT64_C(3600000)}, {"m", INT64_C(60000)},
    {"s", INT64_C(1000)},     {"ms", INT64_C(1)},
};

static const struct unit size_units[] = {
    {"TiB", INT64_C(1) << 40},      {"GiB", INT64_C(1) << 30},   {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},      {"B", INT64_C(1)},           {"", INT64_C(1)},
    {"TB", INT64_C(1000000000000)}, {"GB", INT64_C(1000000000)}, {"MB", INT64_C(1000000)},
    {"kB", INT64_C(1000)},
};

enum {
    N_DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]),
    N_SIZE_UNITS = sizeof(size_units) / sizeof(size_units[0]),
    N_SIZE_UNITS_PRINTED = 5,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at the start of text; `*used` is how many. -ERANGE beyond int64. */
static int digits_parse(int64_t *out, const char *text, size_t n, size_t *used)
{
    int64_t value = 0;
    size_t i = 0;
    for (; i < n && is_digit(text[i]); i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value))
            return -ERANGE;
    *used = i;
    *out = value;
    return i ? 0 : -EINVAL;
}

static int quantity_parse(int64_t *out, const char *text, size_t n, const struct unit *units,
                          size_t n_units)
{
    int64_t value;
    size_t used;
    int rc = digits_parse(&value, text, n, &used);
    if (rc)
        return rc;

    for (size_t i = 0; i < n_units; i++) {
        if (strlen(units[i].name) != n - used || memcmp(units[i].name, text + used, n - used) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value))
            return -ERANGE;
        *out = value;
        return 0;
    }
    return -EINVAL;
}

int duration_parse(int64_t *out_ms, const char *text, size_t n)
{
    return quantity_parse(out_ms, text, n, duration_units, N_DURATION_UNITS);
}

const char *duration_print(char out[TEXT_DURATION_BYTES], int64_t ms)
{
    const struct unit *unit = duration_units;
    if (ms == 0)
        unit = &duration_units[N_DURATION_UNITS - 2];
    while (ms % unit->factor)
        unit++;
    snprintf(out, TEXT_DURATION_BYTES, "%" PRId64 "%s", ms / unit->factor, unit->name);
    return out;
}

int size_parse(int64_t *out_bytes, const char *text, size_t n)
{
    return quantity_parse(out_bytes, text, n, size_units, N_SIZE_UNITS);
}

const char *size_print(char out[TEXT_SIZE_BYTES], int64_t bytes)
{
    size_t i = bytes == 0 ? N_SIZE_UNITS_PRINTED - 1 : 0;
    while (bytes % size_units[i].factor)
        i++;
    snprintf(out, TEXT_SIZE_BYTES, "%" PRId64 "%s", bytes / size_units[i].factor,
             size_units[i].name);
    return out;
}

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years are counted from
 * March, so that the leap day is the last of its year. */
static int64_t days_from_date(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool fixed_digits(const char *text, size_t n, int *out)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text[i]))
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* What follows the seconds: `.123` cut to ms, then `Z` or `+01:00`. */
static int time_tail_parse(const char *text, size_t n, int *ms, int *offset_minutes)
{
    size_t i = 0;
    *ms = 0;
    *offset_minutes = 0;
    if (i < n && text[i] == '.') {
        int factor = 100;
        size_t first = ++i;
        for (; i < n && is_digit(text[i]); i++, factor /= 10)
            *ms += factor * (text[i] - '0');
        if (i == first)
            return -EINVAL;
    }
    if (i + 1 == n && (text[i] == 'Z' || text[i] == 'z'))
        return 0;

    int hours, minutes;
    if (n - i != 6 || (text[i] != '+' && text[i] != '-') || text[i + 3] != ':' ||
        !fixed_digits(text + i + 1, 2, &hours) || !fixed_digits(text + i + 4, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return -EINVAL;
    *offset_minutes = (text[i] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return 0;
}

int time_parse(int64_t *out_ms, const char *text, size_t n)
{
    int year, month, day, hour, minute, second, ms, offset_minutes;
    if (n < 20 || n > 64 || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' ||
        text[16] != ':')
        return -EINVAL;
    if (!fixed_digits(text, 4, &year) || !fixed_digits(text + 5, 2, &month) ||
        !fixed_digits(text + 8, 2, &day) || !fixed_digits(text + 11, 2, &hour) ||
        !fixed_digits(text + 14, 2, &minute) || !fixed_digits(text + 17, 2, &second))
        return -EINVAL;
    /* 60 is a leap second: the first instant of the next minute, as POSIX time has no other. */
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return -EINVAL;
    int rc = time_tail_parse(text + 19, n - 19, &ms, &offset_minutes);
    if (rc)
        return rc;

    int64_t seconds = days_from_date(year, month, day) * 86400 + hour * INT64_C(3600) +
                      (minute - offset_minutes) * INT64_C(60) + second;
    *out_ms = seconds * 1000 + ms;
    return 0;
}

int time_parse_any(int64_t *out_ms, const char *text, size_t n)
{
    int rc = int_parse(out_ms, text, n);
    return rc == -EINVAL ? time_parse(out_ms, text, n) : rc;
}

const char *time_print(char out[TEXT_TIME_BYTES], int64_t ms)
{
    const int64_t first = INT64_C(-62167219200000); /* year 0 */
    const int64_t last = INT64_C(253402300799999);  /* end of the year 9999 */
    if (ms < first || ms > last) {
        snprintf(out, TEXT_TIME_BYTES, "%" PRId64, ms);
        return out;
    }

    int64_t days = ms / 86400000, of_day = ms % 86400000, year;
    int month, day;
    if (of_day < 0) {
        of_day += 86400000;
        days--;
    }
    date_from_days(days, &year, &month, &day);
    unsigned of_ms = (unsigned)of_day;
    snprintf(out, TEXT_TIME_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, of_ms / 3600000 % 24, of_ms / 60000 % 60,
             of_ms / 1000 % 60, of_ms % 1000);
    return out;
}

int int_parse(int64_t *out, const char *text, size_t n)
{
    bool minus = n > 0 && text[0] == '-';
    int64_t value = 0;
    if (n == (size_t)minus)
        return -EINVAL;
    for (size_t i = minus; i < n; i++)
        if (!is_digit(text[i]))
            return -EINVAL;
    /* Counted downwards, as INT64_MIN has no positive twin. */
    for (size_t i = minus; i < n; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text[i] - '0', &value))
            return -ERANGE;
    if (!minus && value == INT64_MIN)
        return -ERANGE;
    *out = minus ? value : -value;
    return 0;
}

int number_parse(double *out, const char *text, size_t n)
{
    char copy[64];
    if (n == 0 || n >= sizeof(copy))
        return -EINVAL;
    /* strtod also reads "inf", "nan", hexadecimal and leading blanks: not numbers here. */
    for (size_t i = 0; i < n; i++)
        if (!is_digit(text[i]) && !strchr("+-.eE", text[i]))
            return -EINVAL;
    memcpy(copy, text, n);
    copy[n] = 0;

    char *end;
    double value = strtod(copy, &end);
    if (*end || end == copy)
        return -EINVAL;
    if (!isfinite(value))
        return -ERANGE;
    *out = value;
    return 0;
}

static char *put_bytes(char *to, const char *bytes, size_t n)
{
    memcpy(to, bytes, n);
    return to + n;
}

static char *put_zeros(char *to, int n)
{
    memset(to, '0', (size_t)n);
    return to + n;
}

static char *put_whole(char *to, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do
        digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
    while (value /= 10);
    return put_bytes(to, digits + sizeof(digits) - n, n);
}

size_t int_print(char out[TEXT_INT_BYTES], int64_t value)
{
    char *end = put_bytes(out, "-", value < 0);
    end = put_whole(end, value < 0 ? -(uint64_t)value : (uint64_t)value);
    *end = '\0';
    return (size_t)(end - out);
}

const char *number_print(char out[TEXT_NUMBER_BYTES], double value)
{
    char scientific[DIGITS_BYTES];
    if (value == trunc(value) && fabs(value) < 0x1p64) {
        char *to = put_bytes(out, "-", value < 0);
        *put_whole(to, (uint64_t)fabs(value)) = 0;
    } else {
        digits_shortest(scientific, value);
        number_print_scientific(out, scientific);
    }
    return out;
}

/* Lays digits with their point after the first one out; an exponent where it would be long. */
static char *put_digits(char *to, const char *digits, int n, int exponent)
{
    int before = exponent + 1; /* digits before the point */
    if (exponent < -6 || exponent > 20) {
        to = put_bytes(to, digits, 1);
        to = put_bytes(to, ".", n > 1);
        to = put_bytes(to, digits + 1, (size_t)n - 1);
        to = put_bytes(to, exponent < 0 ? "e-" : "e+", 2);
        return put_whole(to, (uint64_t)abs(exponent));
    }
    if (before <= 0) {
        to = put_zeros(put_bytes(to, "0.", 2), -before);
        return put_bytes(to, digits, (size_t)n);
    }
    if (n <= before)
        return put_zeros(put_bytes(to, digits, (size_t)n), before - n);
    to = put_bytes(put_bytes(to, digits, (size_t)before), ".", 1);
    return put_bytes(to, digits + before, (size_t)(n - before));
}

const char *number_print_scientific(char out[TEXT_NUMBER_BYTES], const char *scientific)
{
    char digits[24] = "";
    int n = 0;
    char *to = put_bytes(out, "-", *scientific == '-');
    const char *p = scientific + (*scientific == '-');
    for (; *p != 'e' && n < (int)sizeof(digits); p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    int exponent = atoi(p + 1); /* NOLINT(cert-err34-c): digits by definition */
    *put_digits(to, digits, n, exponent) = 0;
    return out;
}

/* Bytes of the UTF-8 character at text, or 0 when there is none (overlong, surrogate, cut off). */
static size_t utf8_size(const unsigned char *text, size_t n)
{
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                  : (lead & 0xf0) == 0xe0        ? 3
                  : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                 : 0;
    if (size == 0 || size > n)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
        (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f))
        return 0;
    return size;
}

size_t text_order_mark(const char *text, size_t n)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    return n >= sizeof(mark) && memcmp(text, mark, sizeof(mark)) == 0 ? sizeof(mark) : 0;
}

bool text_is_utf8(const char *text, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0, size; i < n; i += size) {
        size = utf8_size(bytes + i, n - i);
        if (size == 0)
            return false;
    }
    return true;
}

static void json_control(struct buf *buf, unsigned char c)
{
    static const char *const short_form[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r",
    };
    if (c < sizeof(short_form) / sizeof(short_form[0]) && short_form[c])
        buf_bytes(buf, short_form[c], 2);
    else
        buf_printf(buf, "\\u%04x", c);
}

#define EACH_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

/* 0x80 in bytes that are 0; what stands above the first of them may be wrong. */
static uint64_t zero_bytes(uint64_t x)
{
    return (x - EACH_BYTE(0x01)) & ~x & EACH_BYTE(0x80);
}

/* Eight bytes that stand in JSON as they are, none of them 0x7f and none beyond. */
static bool json_all_plain(const unsigned char *bytes)
{
    uint64_t x;
    memcpy(&x, bytes, sizeof(x));
    return !(((x | (x + EACH_BYTE(0x01)) | (x - EACH_BYTE(0x20))) & EACH_BYTE(0x80)) |
             zero_bytes(x ^ EACH_BYTE('"')) | zero_bytes(x ^ EACH_BYTE('\\')));
}

/* How many bytes from `bytes` on stand in JSON as they are: ASCII but quotes and control bytes. */
static size_t json_plain(const unsigned char *bytes, size_t n)
{
    size_t i = 0;
    while (n - i >= sizeof(uint64_t) && json_all_plain(bytes + i))
        i += sizeof(uint64_t);
    while (i < n && bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\')
        i++;
    return i;
}

void json_text(struct buf *buf, const char *text, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = json_plain(bytes, n);
    unsigned char *to = plain == n ? buf_reserve(buf, n + 2) : NULL;
    if (to) { /* as most texts are */
        to[0] = '"';
        memcpy(to + 1, text, n);
        to[n + 1] = '"';
        buf->size += n + 2;
        return;
    }
    buf_u8(buf, '"');
    buf_bytes(buf, bytes, plain);
    for (size_t i = plain, size; i < n; i += size) {
        size = json_plain(bytes + i, n - i);
        if (size) {
            buf_bytes(buf, bytes + i, size);
            continue;
        }
        size = utf8_size(bytes + i, n - i);
        if (size == 0) {
            buf_bytes(buf, "\xef\xbf\xbd", 3);
            size = 1;
        } else if (bytes[i] < 0x20 || bytes[i] == 0x7f) {
            json_control(buf, bytes[i]);
        } else {
            if (bytes[i] == '"' || bytes[i] == '\\')
                buf_u8(buf, '\\');
            buf_bytes(buf, bytes + i, size);
        }
    }
    buf_u8(buf, '"');
}

void json_number(struct buf *buf, double value)
{
    char text[TEXT_NUMBER_BYTES] = "null";
    if (isfinite(value))
        number_print(text, value);
    buf_bytes(buf, text, strlen(text));
    if (fabs(value) >= 0x1p63 && fabs(value) < 1e21)
        buf_bytes(buf, ".0", 2);
}

enum {
    NEAR_MAX_BYTES = 63
};

/* Optimal string alignment: Levenshtein with swaps of neighbours; rows i-2, i-1, i. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][NEAR_MAX_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; j++)
        above[j] = j;

    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[n_b];
}

const char *text_near(const char *word, const char *const *words, size_t n_words)
{
    size_t n = strlen(word);
    if (n > NEAR_MAX_BYTES)
        return NULL;

    const char *nearest = NULL;
    size_t best = (n < 3 ? 1 : n / 3) + 1; /* one more than the slips that are allowed */
    for (size_t i = 0; i < n_words; i++) {
        size_t n_candidate = strlen(words[i]);
        if (n_candidate > NEAR_MAX_BYTES)
            continue;
        size_t distance = edit_distance(word, n, words[i], n_candidate);
        if (distance < best && distance < n) {
            best = distance;
            nearest = words[i];
        }
    }
    return nearest;
}

size_t text_fit(const char *text, size_t n)
{
    n = strnlen(text, n);
    size_t start = n;
    while (start && n - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return n;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return start - 1 + size > n ? start - 1 : n;
}
