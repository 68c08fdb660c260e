/*
 * A row has BLOCK zeros before and behind it, so that a block of points, which is summed in
 * registers over all that goes into it, may be read from any place of a row without a look at its
 * ends.
 */
#include "stats/law_rows.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

enum {
    BLOCK = 32,
    STRIDE = LAW_POINTS + BLOCK
};
#define SHORTEST_LOG -80.0
#define LEAST_KEPT 1e-20F

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

int law_rows_new(struct law_rows **out, int n_rows)
{
    AUTO(law_rows) struct law_rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    rows->n_rows = n_rows;
    rows->ends = calloc((size_t)n_rows, sizeof(*rows->ends));
    rows->points = calloc((size_t)n_rows * STRIDE + BLOCK, sizeof(*rows->points));
    if (!rows->ends || !rows->points)
        return -ENOMEM;
    *out = rows;
    rows = NULL; /* the caller owns it now */
    return 0;
}

void law_rows_free(struct law_rows *rows)
{
    if (!rows)
        return;
    free(rows->ends);
    free(rows->points);
    free(rows);
}

static float *row_at(const struct law_rows *rows, int row)
{
    return rows->points + (size_t)row * STRIDE + BLOCK;
}

const float *law_rows_at(const struct law_rows *rows, int row)
{
    return row_at(rows, row);
}

static void clear_row(struct law_rows *rows, int row)
{
    memset(row_at(rows, row), 0, (size_t)rows->ends[row] * sizeof(float));
    rows->ends[row] = 0;
}

void law_rows_clear(struct law_rows *rows)
{
    for (int row = 0; row < rows->n_rows; row++)
        clear_row(rows, row);
}

void law_rows_start(struct law_rows *rows, int row)
{
    law_rows_clear(rows);
    row_at(rows, row)[0] = 1;
    rows->ends[row] = 1;
}

/* A row in the making, with what a row has around it. */
struct sum {
    float before[BLOCK];
    float points[2 * LAW_POINTS];
    float behind[BLOCK];
    int end;
};

static int end_of(const struct law_source *sources, int n)
{
    int end = 0;
    for (int s = 0; s < n; s++) {
        int here = sources[s].end + sources[s].shift;
        end = here > end ? here : end;
    }
    return end;
}

/* Each point's sum is the same to the bit, however many of them a processor takes at once. */
static inline __attribute__((always_inline)) void
add_blocks(struct sum *sum, const struct law_source *sources, int n)
{
    for (int at = 0; at < sum->end; at += BLOCK) {
        eight a = {0}, b = a, c = a, d = a;
        for (int s = 0; s < n; s++) {
            int first = at - sources[s].shift;
            if (first <= -BLOCK || first >= sources[s].end)
                continue;
            const eight *points = (const eight *)(sources[s].points + first);
            a += sources[s].p * points[0];
            b += sources[s].p * points[1];
            c += sources[s].p * points[2];
            d += sources[s].p * points[3];
        }
        eight *into = (eight *)(sum->points + at);
        into[0] = a;
        into[1] = b;
        into[2] = c;
        into[3] = d;
    }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void add_blocks_avx2(struct sum *sum,
                                                            const struct law_source *sources, int n)
{
    add_blocks(sum, sources, n);
}
#endif

static void add_up(struct sum *sum, const struct law_source *sources, int n)
{
    sum->end = end_of(sources, n);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        add_blocks_avx2(sum, sources, n);
        return;
    }
#endif
    add_blocks(sum, sources, n);
}

/* What lies beyond the last point goes there; what hardly is at the end is left out. */
static void put(struct law_rows *rows, int row, struct sum *sum)
{
    for (int i = LAW_POINTS; i < sum->end; i++)
        sum->points[LAW_POINTS - 1] += sum->points[i];
    int end = sum->end < LAW_POINTS ? sum->end : LAW_POINTS;
    while (end > 0 && sum->points[end - 1] < LEAST_KEPT)
        end--;
    clear_row(rows, row);
    memcpy(row_at(rows, row), sum->points, (size_t)end * sizeof(sum->points[0]));
    rows->ends[row] = end;
    rows->n_sources = 0;
}

void law_rows_set(struct law_rows *rows, int row)
{
    struct sum sum;
    add_up(&sum, rows->sources, rows->n_sources);
    put(rows, row, &sum);
}

/* The two parts of something that is moved by a share of a point. */
static void split(struct law_source out[2], const float *points, int end, double p, double shift)
{
    double at = shift < LAW_POINTS - 1 ? shift : LAW_POINTS - 1;
    int whole = (int)at;
    out[0] = (struct law_source){points, end, whole, (float)(p * (1 - (at - whole)))};
    out[1] = (struct law_source){points, end, whole + 1, (float)(p * (at - whole))};
}

static void add_source(struct law_rows *rows, const struct law_source *source)
{
    assert(rows->n_sources < LAW_SOURCES);
    if (source->end)
        rows->sources[rows->n_sources++] = *source;
}

void law_rows_add(struct law_rows *rows, const struct law_rows *from, int row, double p,
                  double shift)
{
    const struct law_source source = {law_rows_at(from, row), from->ends[row],
                                      shift < LAW_POINTS ? (int)(shift + 0.5) : LAW_POINTS,
                                      (float)p};
    add_source(rows, &source);
}

void law_rows_add_split(struct law_rows *rows, const struct law_rows *from, int row, double p,
                        double shift)
{
    struct law_source parts[2];
    split(parts, law_rows_at(from, row), from->ends[row], p, shift);
    add_source(rows, &parts[0]);
    add_source(rows, &parts[1]);
}

void law_rows_set_moved(struct law_rows *rows, int row, double shift)
{
    struct sum sum, moved;
    struct law_source parts[2];
    add_up(&sum, rows->sources, rows->n_sources);
    memset(sum.before, 0, sizeof(sum.before));
    memset(sum.points + sum.end, 0, BLOCK * sizeof(sum.points[0]));
    split(parts, sum.points, sum.end, 1, shift);
    add_up(&moved, parts, 2);
    put(rows, row, &moved);
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
