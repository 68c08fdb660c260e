/*
 * L learned values leave L + 1 gaps, and the next value falls into each with equal probability:
 * that is its rank, (gap + something even) / (L + 1). Of the learned values 63 are kept, evenly
 * spread over their order; a value between two of them has an even place among the gaps between
 * them.
 */
#include "stats/change_mean.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/change_mean_limits.h"

enum {
    MIN_LEARN = 100,
    MAX_LEARN = 4096,
    ALLOWANCE = 3 /* sixteenths, as scores: half of the change that is found soonest */
};

static const double CAUTION = 1.05; /* rather late than early */

/* Mean of -ln(1 - u) - 1 over each bin, in sixteenths; their sum is 0. */
static const int8_t scores[MEAN_BINS] = {
    -16, -16, -15, -15, -15, -15, -14, -14, -14, -13, -13, -13, -13, -12, -12, -12,
    -11, -11, -11, -10, -10, -9,  -9,  -9,  -8,  -8,  -7,  -7,  -7,  -6,  -6,  -5,
    -5,  -4,  -4,  -3,  -2,  -2,  -1,  -1,  0,   1,   1,   2,   3,   4,   5,   6,
    7,   8,   9,   10,  11,  13,  15,  16,  18,  21,  23,  27,  31,  36,  44,  67};

static uint32_t limit_of(const double *limits, double expected)
{
    double at = MEAN_LIMITS_PER_DECADE * log10(CAUTION * expected / MEAN_LIMITS_FIRST);
    int i = at < 0 ? 0 : at >= N_MEAN_LIMITS - 1 ? N_MEAN_LIMITS - 2 : (int)at;
    return (uint32_t)lround(limits[i] + (at - i) * (limits[i + 1] - limits[i]));
}

void change_mean_init(struct change_mean *mean, double expected)
{
    *mean = (struct change_mean){.expected = expected};
    mean->learn = (uint32_t)fmin(fmax(expected / 10, MIN_LEARN), MAX_LEARN);
    mean->up.limit = limit_of(mean_limits_up, expected);
    mean->down.limit = limit_of(mean_limits_down, expected);
}

void change_mean_finish(struct change_mean *mean)
{
    free(mean->values);
    mean->values = NULL;
}

/* --- ranks --- */

static int in_order(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The values are learned: what is kept of their order. */
static void take_edges(struct change_mean *mean)
{
    float *const learned = mean->values;
    const uint32_t n = mean->learn;
    qsort(learned, n, sizeof(*learned), in_order);
    mean->n_edges = 0;
    for (uint32_t k = 1, below = 0, upto; k < MEAN_BINS; k++) {
        float value = learned[(uint64_t)n * k / MEAN_BINS];
        if (mean->n_edges && mean->edges[mean->n_edges - 1].value == value)
            continue;
        while (learned[below] < value)
            below++;
        for (upto = below; upto < n && learned[upto] == value;)
            upto++;
        mean->edges[mean->n_edges++] = (struct mean_edge){value, (uint16_t)below, (uint16_t)upto};
    }
}

static int learn(struct change_mean *mean, int64_t ts_ms, float value, struct err *err)
{
    if (!mean->values)
        mean->values = malloc(mean->learn * sizeof(*mean->values));
    if (!mean->values)
        return err_set(err, -ENOMEM, "change of a mean: no memory to learn %u values", mean->learn);
    mean->values[mean->n] = value;
    change_learn(&mean->learned, ts_ms);
    if (mean->n + 1 == mean->learn) {
        take_edges(mean);
        change_mean_finish(mean);
    }
    return 0;
}

static int score_of(const struct change_mean *mean, float value, unsigned tie)
{
    uint32_t low = 0, high = mean->n_edges; /* the first edge that is not less */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mean->edges[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t first = low ? mean->edges[low - 1].upto : 0, last = mean->learn; /* gaps */
    if (low < mean->n_edges) {
        const struct mean_edge *edge = &mean->edges[low];
        bool equal = edge->value == value;
        first = equal ? edge->below : first;
        last = equal ? edge->upto : edge->below;
    }
    double gap = first + (tie + 0.5) / MEAN_TIES * (last + 1 - first);
    return scores[(unsigned)(gap / (mean->learn + 1) * MEAN_BINS)];
}

/* --- the two sums --- */

static void step(struct mean_side *side, int64_t ts_ms, int score, double value)
{
    if (side->score == 0) {
        side->since_ms = ts_ms;
        side->n = 0;
        side->sum = 0;
    }
    int64_t sum = (int64_t)side->score + score - ALLOWANCE;
    side->score = sum > 0 ? (uint32_t)sum : 0;
    side->n++;
    side->sum += value;
}

static void tell(const struct change_mean *mean, const struct mean_side *side,
                 struct change_found *found)
{
    *found = (struct change_found){
        .direction = side == &mean->up ? CHANGE_UP : CHANGE_DOWN,
        .run = mean->n,
        .n_after = side->n,
        .began_ms = side->since_ms,
        .after = side->sum / (double)side->n,
        .before = (mean->sum - side->sum) / (double)(mean->n - side->n),
        .statistic = side->score,
        .limit = side->limit,
        .learned = mean->learned,
    };
}

static void side_start(struct mean_side *side)
{
    *side = (struct mean_side){.limit = side->limit};
}

int change_mean_update(struct change_mean *mean, int64_t ts_ms, double value, unsigned tie,
                       struct change_found *found, struct err *err)
{
    const bool learns = change_mean_learns(mean);
    int rc = learns ? learn(mean, ts_ms, (float)value, err) : 0;
    if (rc)
        return rc;
    mean->n++;
    mean->sum += value;
    if (learns)
        return 0;
    int score = score_of(mean, (float)value, tie);
    step(&mean->up, ts_ms, score, value);
    step(&mean->down, ts_ms, -score, value);
    const struct mean_side *side = mean->up.score >= mean->up.limit       ? &mean->up
                                   : mean->down.score >= mean->down.limit ? &mean->down
                                                                          : NULL;
    if (!side)
        return 0;
    tell(mean, side, found);
    mean->n = 0;
    mean->sum = 0;
    mean->learned = (struct change_learned){0};
    side_start(&mean->up);
    side_start(&mean->down);
    return 1;
}

/* --- bytes --- */

static void save_float(struct buf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    buf_u32(out, bits);
}

static float load_float(struct reader *in)
{
    uint32_t bits = reader_u32(in);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void save_side(const struct mean_side *side, struct buf *out)
{
    buf_varint(out, side->limit);
    buf_varint(out, side->score);
    buf_varint(out, side->n);
    buf_double(out, side->sum);
    buf_zigzag(out, side->since_ms);
}

static void load_side(struct mean_side *side, struct reader *in)
{
    side->limit = (uint32_t)reader_varint(in);
    side->score = (uint32_t)reader_varint(in);
    side->n = reader_varint(in);
    side->sum = reader_double(in);
    side->since_ms = reader_zigzag(in);
}

/* The values that are being learned, or the edges that were made of them. */
void change_mean_save(const struct change_mean *mean, struct buf *out)
{
    const bool learns = change_mean_learns(mean);
    buf_double(out, mean->expected);
    buf_varint(out, mean->n);
    buf_double(out, mean->sum);
    save_side(&mean->up, out);
    save_side(&mean->down, out);
    for (uint64_t i = 0; learns && i < mean->n; i++)
        save_float(out, mean->values[i]);
    if (!learns)
        buf_varint(out, mean->n_edges);
    for (uint32_t i = 0; !learns && i < mean->n_edges; i++) {
        save_float(out, mean->edges[i].value);
        buf_varint(out, mean->edges[i].below);
        buf_varint(out, mean->edges[i].upto);
    }
    change_learned_save(&mean->learned, out);
}

static int damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "change of a mean: the bytes are damaged");
}

static int load_values(struct change_mean *mean, struct reader *in, struct err *err)
{
    const uint64_t n = mean->n;
    struct change_found none;
    struct change_mean fresh = *mean;
    fresh.n = 0;
    int rc = reader_left(in) < n * sizeof(float) ? damaged(err) : 0;
    for (uint64_t i = 0; !rc && i < n; i++)
        rc = change_mean_update(&fresh, 0, (double)load_float(in), 0, &none, err);
    mean->values = fresh.values;
    mean->learned = change_learned_load(in, n);
    if (!rc && reader_failed(in))
        rc = damaged(err);
    if (rc)
        change_mean_finish(mean);
    return rc;
}

static bool edges_stand(const struct change_mean *mean)
{
    for (uint32_t i = 0; i < mean->n_edges; i++) {
        const struct mean_edge *edge = &mean->edges[i];
        if (edge->below >= edge->upto || edge->upto > mean->learn ||
            (i && (edge[-1].upto > edge->below || !(edge[-1].value < edge->value))))
            return false;
    }
    return mean->n_edges > 0;
}

int change_mean_load(struct change_mean *mean, struct reader *in, struct err *err)
{
    double expected = reader_double(in);
    *mean = (struct change_mean){0};
    if (!(expected >= 1 && expected <= CHANGE_MAX_EXPECTED))
        return damaged(err);
    change_mean_init(mean, expected);
    mean->n = reader_varint(in);
    mean->sum = reader_double(in);
    load_side(&mean->up, in);
    load_side(&mean->down, in);
    if (reader_failed(in) || mean->up.score >= mean->up.limit ||
        mean->down.score >= mean->down.limit)
        return damaged(err);
    if (change_mean_learns(mean))
        return load_values(mean, in, err);
    mean->n_edges = (uint32_t)reader_varint(in);
    if (mean->n_edges >= MEAN_BINS)
        return damaged(err);
    for (uint32_t i = 0; i < mean->n_edges; i++) {
        float value = load_float(in);
        uint16_t below = (uint16_t)reader_varint(in);
        mean->edges[i] = (struct mean_edge){value, below, (uint16_t)reader_varint(in)};
    }
    mean->learned = change_learned_load(in, mean->learn);
    return reader_failed(in) || !edges_stand(mean) ? damaged(err) : 0;
}
