/*
 * Pending segments as the database would keep them, in memory: for tests of pending and join.
 *
 * Owner    rows_finish takes what grew
 */
#pragma once

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/pending.h"

struct saved_row {
    uint32_t segment;
    unsigned char *bytes;
    size_t n;
};

struct rows {
    struct saved_row *rows;
    size_t n;
    int replaced, dropped;
};

static inline void rows_finish(struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        free(rows->rows[i].bytes);
    free(rows->rows);
    *rows = (struct rows){.n = 0};
}

static inline int rows_append(void *context, uint32_t segment, const void *bytes, size_t n,
                              struct err *err)
{
    struct rows *rows = context;
    (void)err;
    rows->rows = realloc(rows->rows, (rows->n + 1) * sizeof(*rows->rows));
    assert(rows->rows);
    struct saved_row row = {segment, malloc(n), n};
    assert(row.bytes);
    memcpy(row.bytes, bytes, n);
    /* rows of a segment stay together, segments rise */
    size_t at = rows->n;
    while (at > 0 && rows->rows[at - 1].segment > segment)
        at--;
    memmove(&rows->rows[at + 1], &rows->rows[at], (rows->n - at) * sizeof(row));
    rows->rows[at] = row;
    rows->n++;
    return 0;
}

static inline int rows_drop(void *context, uint32_t segment, struct err *err)
{
    struct rows *rows = context;
    (void)err;
    size_t kept = 0;
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->rows[i].segment == segment)
            free(rows->rows[i].bytes);
        else
            rows->rows[kept++] = rows->rows[i];
    }
    rows->n = kept;
    rows->dropped++;
    return 0;
}

static inline int rows_replace(void *context, uint32_t segment, const void *bytes, size_t n,
                               struct err *err)
{
    struct rows *rows = context;
    rows_drop(context, segment, err);
    rows->dropped--;
    rows->replaced++;
    return rows_append(context, segment, bytes, n, err);
}

static inline struct pending_writer rows_writer(struct rows *rows)
{
    return (struct pending_writer){rows, rows_append, rows_replace, rows_drop};
}

static inline int rows_load(void *context, struct pending *pending, uint32_t segment,
                            struct err *err)
{
    struct rows *rows = context;
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->rows[i].segment != segment)
            continue;
        int rc = pending_read(pending, segment, rows->rows[i].bytes, rows->rows[i].n, err);
        if (rc)
            return rc;
    }
    return 0;
}

static inline int rows_restore(struct rows *rows, struct pending *pending, struct err *err)
{
    for (size_t i = 0; i < rows->n; i++) {
        int rc =
            pending_read(pending, rows->rows[i].segment, rows->rows[i].bytes, rows->rows[i].n, err);
        if (rc)
            return rc;
    }
    return pending_read_end(pending, err);
}

static inline size_t rows_bytes(const struct rows *rows)
{
    size_t bytes = 0;
    for (size_t i = 0; i < rows->n; i++)
        bytes += rows->rows[i].n;
    return bytes;
}

/* series s, slice k ↔ number s * 1000 + k + 2; partitions as they are. */
static inline int64_t rows_series_id(void *context, uint32_t series, int slice)
{
    (void)context;
    return (int64_t)series * 1000 + slice + 2;
}
static inline int rows_series_of(void *context, int64_t id, uint32_t *series, int *slice)
{
    (void)context;
    *series = (uint32_t)((id - 1) / 1000);
    *slice = (int)((id - 1) % 1000) - 1;
    return 0;
}
static inline int64_t rows_partition_id(void *context, uint32_t partition)
{
    (void)context;
    return partition;
}
static inline int rows_partition_of(void *context, int64_t id, uint32_t *partition)
{
    (void)context;
    *partition = (uint32_t)id;
    return 0;
}

static inline int rows_pending(struct rows *rows, size_t memory_limit, struct pending **out,
                               struct err *err)
{
    struct pending_options options = {
        .seed = 42,
        .memory_limit = memory_limit,
        .names = {NULL, rows_series_id, rows_series_of, rows_partition_id, rows_partition_of},
        .context = rows,
        .load = rows_load,
    };
    return pending_new(out, &options, err);
}
