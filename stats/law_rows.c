/*
 * A row's points have BLOCK zeros before and behind them, so that a block, which is summed in
 * registers over all that goes into it, may be read from any place of a row without a look at its
 * ends. What is farther off them holds what was there before.
 */
#include "stats/law_rows.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

enum {
    BLOCK = 64,
    STRIDE = LAW_POINTS + BLOCK,
    EIGHT = 8
};
#define SHORTEST_LOG -80.0
#define LEAST_KEPT 1e-15F
#define INLINE inline __attribute__((always_inline)) /* into what is made for a processor */

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));
typedef float sixteen __attribute__((vector_size(64), aligned(4), may_alias));

int law_rows_new(struct law_rows **out, int n_rows)
{
    AUTO(law_rows) struct law_rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    rows->n_rows = n_rows;
    rows->rows = calloc((size_t)n_rows, sizeof(*rows->rows));
    rows->points = malloc(((size_t)n_rows * STRIDE + BLOCK) * sizeof(*rows->points));
    if (!rows->rows || !rows->points)
        return -ENOMEM;
    *out = rows;
    rows = NULL; /* the caller owns it now */
    return 0;
}

void law_rows_free(struct law_rows *rows)
{
    if (!rows)
        return;
    free(rows->rows);
    free(rows->points);
    free(rows);
}

static float *row_at(const struct law_rows *rows, int row)
{
    return rows->points + (size_t)row * STRIDE + BLOCK;
}

const float *law_rows_at(struct law_rows *rows, int row)
{
    const struct law_row *here = &rows->rows[row];
    float *points = row_at(rows, row);
    memset(points, 0, (size_t)here->begin * sizeof(*points));
    memset(points + here->end, 0, (size_t)(LAW_POINTS - here->end) * sizeof(*points));
    return points;
}

void law_rows_clear(struct law_rows *rows)
{
    memset(rows->rows, 0, (size_t)rows->n_rows * sizeof(*rows->rows));
}

/* What a row has around it: BLOCK zeros. */
static INLINE void set_zeros(float *points)
{
    for (int i = 0; i < BLOCK; i += EIGHT)
        *(eight *)(points + i) = (eight){0};
}

void law_rows_start(struct law_rows *rows, int row)
{
    float *points = row_at(rows, row);
    law_rows_clear(rows);
    set_zeros(points - BLOCK);
    set_zeros(points + 1);
    points[0] = 1;
    rows->rows[row] = (struct law_row){.end = 1, .sum = 1};
}

/* A row in the making, with what a row has around it. */
struct sum {
    float before[BLOCK];
    float points[2 * LAW_POINTS];
    float behind[BLOCK];
    int begin, end;
};

static INLINE void range_of(struct sum *sum, const struct law_source *sources, int n)
{
    sum->begin = n ? 2 * LAW_POINTS : 0;
    sum->end = 0;
    for (int s = 0; s < n; s++) {
        int begin = sources[s].begin + sources[s].shift, end = sources[s].end + sources[s].shift;
        sum->begin = begin < sum->begin ? begin : sum->begin;
        sum->end = end > sum->end ? end : sum->end;
    }
}

/* Where a block that begins at the sum's point `at` begins in the source, or the zeros around it. */
static INLINE const float *block_of(const struct law_source *source, int at)
{
    int first = at - source->shift, least = source->begin - BLOCK;
    first = first < least ? least : first;
    return source->points + (first > source->end ? source->end : first);
}

/*
 * A block of four vectors. Each point's sum is the same to the bit, however many of them a processor
 * takes at once. What a source does not reach is read from the zeros around it: a look whether it
 * does costs more.
 */
/* clang-format off */
#define DEFINE_ADD_BLOCK(type)                                                                   \
    static INLINE void add_block_by_##type(struct sum *sum, int at,                              \
                                           const struct law_source *sources, int n)              \
    {                                                                                            \
        type a = {0}, b = a, c = a, d = a;                                                       \
        for (int s = 0; s < n; s++) {                                                            \
            const type *points = (const type *)block_of(&sources[s], at);                        \
            a += sources[s].p * points[0];                                                       \
            b += sources[s].p * points[1];                                                       \
            c += sources[s].p * points[2];                                                       \
            d += sources[s].p * points[3];                                                       \
        }                                                                                        \
        type *into = (type *)(sum->points + at);                                                 \
        into[0] = a;                                                                             \
        into[1] = b;                                                                             \
        into[2] = c;                                                                             \
        into[3] = d;                                                                             \
    }
/* clang-format on */
DEFINE_ADD_BLOCK(eight)
DEFINE_ADD_BLOCK(sixteen)

/* How many points a processor takes at once. */
enum at_once {
    BY_EIGHT,
    BY_SIXTEEN
};

static INLINE void add_blocks(struct sum *sum, const struct law_source *sources, int n,
                              enum at_once at_once)
{
    int at = sum->begin;
    for (; at_once == BY_SIXTEEN && at + 4 * EIGHT < sum->end; at += 4 * 2 * EIGHT)
        add_block_by_sixteen(sum, at, sources, n);
    for (; at < sum->end; at += 4 * EIGHT)
        add_block_by_eight(sum, at, sources, n);
}

/* Of eight points: bit i says that the i-th is not below `least`. */
static INLINE unsigned kept_of(const float *points, float least)
{
#ifdef __x86_64__
    const four_floats bound = {least, least, least, least};
    const four_floats *four = (const four_floats *)points;
    return (unsigned)(__builtin_ia32_movmskps((four_floats)(four[0] >= bound)) |
                      __builtin_ia32_movmskps((four_floats)(four[1] >= bound)) << 4);
#else
    unsigned kept = 0;
    for (int i = 0; i < EIGHT; i++)
        kept |= (unsigned)(points[i] >= least) << i;
    return kept;
#endif
}

/*
 * What hardly is at the ends is left out: by eights, then what is so in the last of them, counted at
 * once, as how many it are can hardly be foretold; one by one what is less than eight.
 */
static INLINE void narrow(struct sum *sum, float least)
{
    unsigned last = 0, first = 0;
    while (sum->end - sum->begin >= EIGHT &&
           !(last = kept_of(sum->points + sum->end - EIGHT, least)))
        sum->end -= EIGHT;
    while (sum->end - sum->begin >= EIGHT && !(first = kept_of(sum->points + sum->begin, least)))
        sum->begin += EIGHT;
    if (last && first) {
        sum->end -= __builtin_clz(last) - (32 - EIGHT);
        sum->begin += __builtin_ctz(first);
    }
    while (sum->end > sum->begin && sum->points[sum->end - 1] < least)
        sum->end--;
    while (sum->end > sum->begin && sum->points[sum->begin] < least)
        sum->begin++;
}

/* What lies beyond the last point goes there. */
static INLINE void gather(struct sum *sum)
{
    const int last = LAW_POINTS - 1;
    if (sum->end <= LAW_POINTS)
        return;
    for (; sum->begin > last; sum->begin--)
        sum->points[sum->begin - 1] = 0;
    for (int i = LAW_POINTS; i < sum->end; i++)
        sum->points[last] += sum->points[i];
    sum->end = LAW_POINTS;
}

static INLINE float sum_of_eight(eight x)
{
    return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7]));
}

/* Takes the points by eights, the last of them with zeros. */
static INLINE void put(struct law_rows *rows, int row, struct sum *sum, float least)
{
    struct law_row *here = &rows->rows[row];
    gather(sum);
    narrow(sum, least);
    *here = (struct law_row){0};
    if (sum->begin >= sum->end)
        return;
    *(eight *)(sum->points + sum->end) = (eight){0};
    eight total = {0};
    float *points = row_at(rows, row);
    set_zeros(points + sum->begin - BLOCK);
    for (int i = sum->begin; i < sum->end; i += EIGHT) {
        const eight some = *(const eight *)(sum->points + i);
        *(eight *)(points + i) = some;
        total += some;
    }
    set_zeros(points + sum->end);
    *here = (struct law_row){sum->begin, sum->end, sum_of_eight(total)};
}

/* The two parts of something that is moved by a share of a point. */
static INLINE void split(struct law_source out[2], const struct law_source *whole, double shift)
{
    double at = shift < LAW_POINTS - 1 ? shift : LAW_POINTS - 1, p = (double)whole->p;
    out[0] = out[1] = *whole;
    out[0].shift = (int)at;
    out[1].shift = (int)at + 1;
    out[0].p = (float)(p * (1 - (at - (int)at)));
    out[1].p = (float)(p * (at - (int)at));
}

/* How a row is made of its sources. */
struct making {
    const struct law_source *sources;
    int n;
    float least; /* what is left out */
    bool moved;  /* up by `shift` points, in the end */
    double shift;
};

/* As put, of a sum that is moved and ends before the last point: straight to where it belongs. */
static INLINE void put_moved(struct law_rows *rows, int row, const struct sum *sum, double shift)
{
    const int whole = (int)shift;
    const float behind = (float)(shift - whole), ahead = 1 - behind;
    const int begin = sum->begin + whole, end = sum->end + whole + 1;
    eight total = {0};
    float *points = row_at(rows, row);
    set_zeros(points + begin - BLOCK);
    for (int i = 0; i < end - begin; i += EIGHT) {
        const float *at = sum->points + sum->begin + i;
        const eight some = ahead * *(const eight *)at + behind * *(const eight *)(at - 1);
        *(eight *)(points + begin + i) = some;
        total += some;
    }
    set_zeros(points + end);
    rows->rows[row] = (struct law_row){begin, end, sum_of_eight(total)};
}

static INLINE void make_row(struct law_rows *rows, int row, const struct making *how,
                            enum at_once at_once)
{
    struct sum sum, moved;
    range_of(&sum, how->sources, how->n);
    add_blocks(&sum, how->sources, how->n, at_once);
    if (!how->moved) {
        put(rows, row, &sum, how->least);
        return;
    }
    narrow(&sum, how->least);
    if (sum.begin >= sum.end) {
        rows->rows[row] = (struct law_row){0};
        return;
    }
    set_zeros(sum.points + sum.begin - BLOCK);
    set_zeros(sum.points + sum.end);
    if (sum.end + how->shift < LAW_POINTS - 1) {
        put_moved(rows, row, &sum, how->shift);
        return;
    }
    const struct law_source whole = {
        .points = sum.points, .begin = sum.begin, .end = sum.end, .p = 1};
    struct law_source parts[2];
    split(parts, &whole, how->shift);
    range_of(&moved, parts, 2);
    add_blocks(&moved, parts, 2, at_once);
    put(rows, row, &moved, how->least);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void make_row_avx2(struct law_rows *rows, int row,
                                                          const struct making *how)
{
    make_row(rows, row, how, BY_EIGHT);
}

__attribute__((target("avx512f"))) static void make_row_avx512(struct law_rows *rows, int row,
                                                               const struct making *how)
{
    make_row(rows, row, how, BY_SIXTEEN);
}
#endif

static void make(struct law_rows *rows, int row, const struct making *how)
{
    rows->n_sources = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) {
        make_row_avx512(rows, row, how);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        make_row_avx2(rows, row, how);
        return;
    }
#endif
    make_row(rows, row, how, BY_EIGHT);
}

void law_rows_set(struct law_rows *rows, int row)
{
    const struct making how = {.sources = rows->sources, .n = rows->n_sources, .least = LEAST_KEPT};
    make(rows, row, &how);
}

/* The rows that the ways lead from. */
static int ways_into(struct law_source *out, const struct law_rows *from,
                     const struct law_ways *ways, int row, float least)
{
    const float *points = row_at(from, 0);
    int n = 0;
    for (int k = 0; k < ways->n && ways->first + k <= row; k++) {
        const int at = row - ways->first - k;
        const struct law_row *before = &from->rows[at];
        if (before->sum * ways->p[k] < least || before->end == 0)
            continue;
        out[n++] = (struct law_source){points + (size_t)at * STRIDE, before->begin, before->end,
                                       ways->shifts[k], ways->p[k]};
    }
    return n;
}

void law_rows_pass(struct law_rows *into, const struct law_rows *from, const struct law_ways *ways,
                   int row, double least)
{
    struct making how = {.sources = into->sources, .least = (float)fmin(least, 1)};
    how.n = ways_into(into->sources, from, ways, row, how.least);
    make(into, row, &how);
}

void law_rows_pass_moved(struct law_rows *into, const struct law_rows *from,
                         const struct law_ways *ways, int row, double shift, double least)
{
    struct making how = {
        .sources = into->sources, .least = (float)fmin(least, 1), .moved = true, .shift = shift};
    how.n = ways_into(into->sources, from, ways, row, how.least);
    make(into, row, &how);
}

static void add_source(struct law_rows *rows, const struct law_source *source)
{
    assert(rows->n_sources < LAW_SOURCES);
    if (source->end)
        rows->sources[rows->n_sources++] = *source;
}

static struct law_source source_of(const struct law_rows *from, int row, double p)
{
    return (struct law_source){.points = row_at(from, row),
                               .begin = from->rows[row].begin,
                               .end = from->rows[row].end,
                               .p = (float)p};
}

void law_rows_add_split(struct law_rows *rows, const struct law_rows *from, int row, double p,
                        double shift)
{
    const struct law_source whole = source_of(from, row, p);
    struct law_source parts[2];
    split(parts, &whole, shift);
    add_source(rows, &parts[0]);
    add_source(rows, &parts[1]);
}

void law_rows_survival(struct law_rows *rows, int row, int off, struct drift_law *out)
{
    const float *points = law_rows_at(rows, row);
    double all = 0, above = 0, below = 0; /* `below`: of the `off` points under this one */
    for (int i = 0; i < LAW_POINTS; i++)
        all += (double)points[i];
    for (int i = LAW_POINTS - 2; i >= 0 && i > LAW_POINTS - 2 - off; i--)
        below += (double)points[i];
    for (int i = LAW_POINTS - 1; i >= 0; i--) {
        const double here = (double)points[i];
        const double p = (above + (off ? here + below : here / 2)) / all;
        out->log_survival[i] = (float)(p > 0 ? fmin(log(p), 0) : SHORTEST_LOG);
        above += here;
        if (off) {
            below -= i >= 1 ? (double)points[i - 1] : 0;
            below += i > off ? (double)points[i - 1 - off] : 0;
        }
    }
}
