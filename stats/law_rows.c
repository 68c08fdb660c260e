#include "stats/law_rows.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SHORTEST_LOG -80.0

int law_rows_new(struct law_rows **out, int n_rows)
{
    AUTO(law_rows) struct law_rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    rows->n_rows = n_rows;
    rows->used = calloc((size_t)n_rows, sizeof(*rows->used));
    rows->points = calloc((size_t)n_rows * 2 * LAW_POINTS, sizeof(*rows->points));
    if (!rows->used || !rows->points)
        return -ENOMEM;
    *out = rows;
    rows = NULL; /* the caller owns it now */
    return 0;
}

void law_rows_free(struct law_rows *rows)
{
    if (!rows)
        return;
    free(rows->used);
    free(rows->points);
    free(rows);
}

void law_rows_clear(struct law_rows *rows)
{
    for (int row = 0; row < rows->n_rows; row++) {
        if (rows->used[row])
            memset(law_rows_at(rows, row), 0, 2 * LAW_POINTS * sizeof(float));
        rows->used[row] = false;
    }
}

void law_rows_start(struct law_rows *rows, int row)
{
    law_rows_clear(rows);
    law_rows_at(rows, row)[0] = 1;
    rows->used[row] = true;
}

/* The first LAW_POINTS of `from`, which are all after a fold. */
static void add(float *restrict into, const float *restrict from, float p)
{
    for (int i = 0; i < LAW_POINTS; i++)
        into[i] += p * from[i];
}

/* `here` of `from`, and `next` of it one point on, in one go. */
static void add_two(float *restrict into, const float *restrict from, float here, float next)
{
    into[0] += here * from[0];
    for (int i = 1; i < LAW_POINTS; i++)
        into[i] += here * from[i] + next * from[i - 1];
    into[LAW_POINTS] += next * from[LAW_POINTS - 1];
}

void law_rows_add(struct law_rows *rows, int row, const float *from, float p, double shift)
{
    int whole = (int)fmin(shift + 0.5, LAW_POINTS);
    rows->used[row] = true;
    add(law_rows_at(rows, row) + whole, from, p);
}

void law_rows_add_split(struct law_rows *rows, int row, const float *from, float p, double shift)
{
    double at = fmin(shift, LAW_POINTS - 1);
    int whole = (int)at;
    float part = (float)(at - whole);
    rows->used[row] = true;
    add_two(law_rows_at(rows, row) + whole, from, p * (1 - part), p * part);
}

void law_rows_fold(struct law_rows *rows, int row)
{
    if (!rows->used[row])
        return;
    float *points = law_rows_at(rows, row), beyond = 0;
    for (int i = LAW_POINTS; i < 2 * LAW_POINTS; i++)
        beyond += points[i];
    points[LAW_POINTS - 1] += beyond;
    memset(points + LAW_POINTS, 0, LAW_POINTS * sizeof(*points));
}

void law_rows_survival(const struct law_rows *rows, int row, enum row_reading reading,
                       struct drift_law *out)
{
    const float *points = law_rows_at(rows, row);
    double all = 0, above = 0;
    for (int i = 0; i < LAW_POINTS; i++)
        all += (double)points[i];
    for (int i = LAW_POINTS - 1; i >= 0; i--) {
        double here = (double)points[i], below = i > 0 ? (double)points[i - 1] : 0;
        double p = (above + (reading == ROW_LUMPS ? here + below : here / 2)) / all;
        out->log_survival[i] = (float)(p > 0 ? fmin(log(p), 0) : SHORTEST_LOG);
        above += here;
    }
}
