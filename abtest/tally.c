#include "abtest/tally.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCALE 0x1p48

struct column {
    uint64_t key;
    uint8_t part;
    __int128 all;
    __int128 buckets[TALLY_BUCKETS];
};

struct tally {
    int64_t n; /* events */
    bool crowded;
    size_t n_columns;
    struct column *columns[TALLY_MAX_COLUMNS]; /* by key, then part */
    int32_t events[TALLY_BUCKETS];
};

struct tally *tally_new(void)
{
    return calloc(1, sizeof(struct tally));
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    for (size_t i = 0; i < tally->n_columns; i++)
        free(tally->columns[i]);
    free(tally);
}

/* Where (key, part) is, or would be. */
static size_t place_of(const struct tally *tally, uint64_t key, uint8_t part)
{
    size_t low = 0, high = tally->n_columns;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct column *column = tally->columns[middle];
        if (column->key < key || (column->key == key && column->part < part))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* NULL: it has none. */
static struct column *find(const struct tally *tally, uint64_t key, uint8_t part)
{
    size_t i = place_of(tally, key, part);
    struct column *column = i < tally->n_columns ? tally->columns[i] : NULL;
    return column && column->key == key && column->part == part ? column : NULL;
}

/* Which columns came first must not be seen in what is kept: of too many none is. */
static void crowd(struct tally *tally)
{
    for (size_t i = 0; i < tally->n_columns; i++)
        free(tally->columns[i]);
    tally->n_columns = 0;
    tally->crowded = true;
}

static int open_column(struct tally *tally, uint64_t key, uint8_t part, struct err *err)
{
    if (tally->crowded || find(tally, key, part))
        return 0;
    if (tally->n_columns == TALLY_MAX_COLUMNS) {
        crowd(tally);
        return 0;
    }
    struct column *column = calloc(1, sizeof(*column));
    if (!column)
        return err_set(err, -ENOMEM, "evidence: no memory for the sums of a metric");
    size_t i = place_of(tally, key, part);
    column->key = key;
    column->part = part;
    memmove(&tally->columns[i + 1], &tally->columns[i],
            (tally->n_columns - i) * sizeof(tally->columns[0]));
    tally->columns[i] = column;
    tally->n_columns++;
    return 0;
}

int tally_room(struct tally *tally, const struct tally_term *terms, size_t n, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = open_column(tally, terms[i].key, terms[i].part, err);
    return rc;
}

void tally_add(struct tally *tally, uint64_t unit, const struct tally_term *terms, size_t n,
               int sign)
{
    size_t bucket = (size_t)((unit >> 32) % TALLY_BUCKETS);
    tally->n += sign;
    tally->events[bucket] += sign;
    for (size_t i = 0; i < n; i++) {
        struct column *column = find(tally, terms[i].key, terms[i].part);
        if (!column)
            continue; /* crowded */
        __int128 value = sign * sums_fixed(terms[i].value);
        column->buckets[bucket] += value;
        column->all += value;
    }
}

int tally_merge(struct tally *into, const struct tally *from, struct err *err)
{
    int rc = 0;
    if (from->crowded)
        crowd(into);
    for (size_t i = 0; !rc && i < from->n_columns; i++)
        rc = open_column(into, from->columns[i]->key, from->columns[i]->part, err);
    if (rc)
        return rc;
    into->n += from->n;
    for (int j = 0; j < TALLY_BUCKETS; j++)
        into->events[j] += from->events[j];
    for (size_t i = 0; i < from->n_columns; i++) {
        const struct column *theirs = from->columns[i];
        struct column *ours = find(into, theirs->key, theirs->part);
        if (!ours)
            continue;
        ours->all += theirs->all;
        for (int j = 0; j < TALLY_BUCKETS; j++)
            ours->buckets[j] += theirs->buckets[j];
    }
    return 0;
}

/* --- bytes --- */

static bool column_empty(const struct column *column)
{
    for (int j = 0; j < TALLY_BUCKETS; j++)
        if (column->buckets[j] != 0)
            return false;
    return true;
}

void tally_save(const struct tally *tally, struct buf *out)
{
    uint64_t used = 0;
    for (size_t i = 0; i < tally->n_columns; i++)
        used += !column_empty(tally->columns[i]);
    buf_zigzag(out, tally->n);
    buf_u8(out, tally->crowded);
    for (int j = 0; j < TALLY_BUCKETS; j++)
        buf_zigzag(out, tally->events[j]);
    buf_varint(out, used);
    for (size_t i = 0; i < tally->n_columns; i++) {
        const struct column *column = tally->columns[i];
        if (column_empty(column))
            continue;
        buf_u64(out, column->key);
        buf_u8(out, column->part);
        for (int j = 0; j < TALLY_BUCKETS; j++)
            buf_int128(out, column->buckets[j]);
    }
}

int tally_load(struct tally *tally, struct reader *in, struct err *err)
{
    tally->n = reader_zigzag(in);
    bool crowded = reader_u8(in) != 0; /* with columns, when it was written by an older version */
    for (int j = 0; j < TALLY_BUCKETS; j++)
        tally->events[j] = (int32_t)reader_zigzag(in);
    uint64_t used = reader_varint(in);
    for (uint64_t i = 0; i < used; i++) {
        uint64_t key = reader_u64(in);
        uint8_t part = reader_u8(in);
        if (reader_failed(in) || used > TALLY_MAX_COLUMNS || find(tally, key, part))
            return err_set(err, ERR_CORRUPT, "evidence: column %" PRIu64 " of a tally is damaged",
                           i);
        int rc = open_column(tally, key, part, err);
        if (rc)
            return rc;
        struct column *column = find(tally, key, part);
        for (int j = 0; j < TALLY_BUCKETS; j++) {
            column->buckets[j] = reader_int128(in);
            column->all += column->buckets[j];
        }
    }
    if (crowded)
        crowd(tally);
    return reader_failed(in) ? err_set(err, ERR_CORRUPT, "evidence: a tally ends too early") : 0;
}

/* --- its value --- */

/* All columns; without bucket `except` when that is >= 0. */
static void totals_of(const struct tally *tally, int except, struct tally_term *out)
{
    for (size_t i = 0; i < tally->n_columns; i++) {
        const struct column *column = tally->columns[i];
        __int128 sum = column->all - (except >= 0 ? column->buckets[except] : 0);
        out[i] = (struct tally_term){column->key, column->part, (double)sum / SCALE};
    }
}

struct ratio_estimate tally_estimate(const struct tally *tally,
                                     const struct tally_function *function)
{
    struct ratio_estimate estimate = {(double)NAN, (double)NAN, (double)tally->n, 0, 0};
    struct tally_term totals[TALLY_MAX_COLUMNS];
    double without[TALLY_BUCKETS], mean = 0, squares = 0;
    int m = 0;
    for (int j = 0; j < TALLY_BUCKETS; j++)
        estimate.buckets += tally->events[j] != 0;
    if (tally->crowded || tally->n <= 0)
        return estimate;
    totals_of(tally, -1, totals);
    estimate.value = function->value(function->context, totals, tally->n_columns);
    estimate.nonzero = function->rarest(function->context, totals, tally->n_columns);
    if (isnan(estimate.value) || estimate.buckets < 2)
        return estimate;
    for (int j = 0; j < TALLY_BUCKETS; j++) {
        if (tally->events[j] == 0)
            continue;
        totals_of(tally, j, totals);
        without[m] = function->value(function->context, totals, tally->n_columns);
        mean += without[m++];
    }
    mean /= m;
    for (int j = 0; j < m; j++)
        squares += (without[j] - mean) * (without[j] - mean);
    estimate.variance = squares * (m - 1) / m; /* NaN when one of them is not defined */
    return estimate;
}
