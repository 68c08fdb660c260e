/*
 * A score's place is its code: the double's bits below 1/2, and TOP minus the bits of 1 - score
 * from 1/2 on (the subtraction is exact there). Codes ascend with the scores and lose nothing.
 * A grid of m bits keeps code >> (52 - m) below the middle and counts down from TOP >> (52 - m)
 * above it, so each grid's keys come from any finer grid's.
 *
 * Why the level does not depend on order: it is the first of the ladder on which the set of
 * scores has no more keys than the ladder allows. Adding scores never makes a set fit a finer
 * level, so going up the ladder as scores come, or as sets are merged, ends at the same one.
 */
#include "stats/score_bins.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static const uint64_t top = UINT64_C(0x7fc0000000000000);    /* code of 1 */
static const uint64_t middle = UINT64_C(0x3fe0000000000000); /* code of 1/2 */

static const struct level {
    uint8_t bits;
    uint16_t max_bins;
} ladder[] = {
    {52, 1024}, {20, 4096}, {18, 4096}, {16, 4096}, {15, 4096}, {14, 4096}, {13, 4096},
    {12, 4096}, {11, 4096}, {10, 4096}, {9, 4096},  {8, 4096},  {7, 4096},  {6, 4096},
    {5, 4096},  {4, 4096},  {3, 4096},  {2, 4096},  {1, 4096},  {0, 4096},
};
enum {
    N_LEVELS = sizeof(ladder) / sizeof(ladder[0])
};

void score_bins_init(struct score_bins *s, int thrift)
{
    bins_init(&s->bins, 3);
    s->level = 0;
    s->thrift = (uint8_t)thrift;
}

void score_bins_finish(struct score_bins *s)
{
    bins_finish(&s->bins);
    s->level = 0;
}

static uint64_t code_of(double score)
{
    uint64_t bits;
    if (score >= 0.5) {
        const double rest = score < 1 ? 1 - score : 0;
        memcpy(&bits, &rest, sizeof(bits));
        return top - bits;
    }
    if (!(score > 0))
        score = 0; /* and -0 */
    memcpy(&bits, &score, sizeof(bits));
    return bits;
}

static double score_of(uint64_t code)
{
    const uint64_t bits = code < middle ? code : top - code;
    double score;
    memcpy(&score, &bits, sizeof(score));
    return code < middle ? score : 1 - score;
}

static uint64_t key_of(uint64_t code, int bits)
{
    const int shift = 52 - bits;
    return code < middle ? code >> shift : (top >> shift) - ((top - code) >> shift);
}

struct coarser {
    int from_bits, to_bits;
};

static void coarser_bin(void *context, uint64_t *key, int64_t *columns)
{
    (void)columns;
    const struct coarser *c = context;
    const int shift = c->from_bits - c->to_bits;
    const uint64_t from_top = top >> (52 - c->from_bits);
    if (*key < middle >> (52 - c->from_bits))
        *key >>= shift;
    else
        *key = (top >> (52 - c->to_bits)) - ((from_top - *key) >> shift);
}

static void go_to_level(struct score_bins *s, int level)
{
    struct coarser c = {ladder[s->level].bits, ladder[level].bits};
    bins_rekey(&s->bins, coarser_bin, &c);
    s->level = (uint8_t)level;
}

static inline void fit(struct score_bins *s)
{
    while (s->bins.n > (uint32_t)ladder[s->level].max_bins >> s->thrift && s->level + 1 < N_LEVELS)
        go_to_level(s, s->level + 1);
}

void score_bins_predict(struct score_bins *s, double score)
{
    bins_at(&s->bins, key_of(code_of(score), ladder[s->level].bits))[0]++;
    fit(s);
}

void score_bins_label(struct score_bins *s, double score, bool positive, int sign)
{
    bins_at(&s->bins, key_of(code_of(score), ladder[s->level].bits))[positive ? 1 : 2] += sign;
    fit(s);
}

int score_bins_room_merge(struct score_bins *into, const struct score_bins *from)
{
    return bins_room(&into->bins, from->bins.n);
}

void score_bins_merge(struct score_bins *into, const struct score_bins *from)
{
    if (from->level > into->level)
        go_to_level(into, from->level);
    if (from->level == into->level) {
        bins_merge(&into->bins, &from->bins);
    } else {
        struct coarser c = {ladder[from->level].bits, ladder[into->level].bits};
        for (uint32_t i = 0; i < from->bins.n; i++) {
            const int64_t *row = from->bins.rows + i * (size_t)4;
            if (!row[1] && !row[2] && !row[3])
                continue;
            uint64_t key = (uint64_t)row[0];
            coarser_bin(&c, &key, NULL);
            int64_t *columns = bins_at(&into->bins, key);
            for (int j = 0; j < 3; j++)
                columns[j] += row[1 + j];
        }
    }
    fit(into);
}

void score_bins_save(const struct score_bins *s, struct buf *out)
{
    buf_u8(out, s->level);
    bins_save(&s->bins, out);
}

int score_bins_load(struct score_bins *s, struct reader *in, struct err *err)
{
    const uint8_t level = reader_u8(in);
    if (level >= N_LEVELS)
        return err_set(err, ERR_CORRUPT, "state: score bins of level %d", level);
    const int rc = bins_load(&s->bins, 3, in, err);
    if (rc)
        return rc;
    s->level = level;
    const uint64_t last = top >> (52 - ladder[level].bits);
    for (uint32_t i = 0; i < s->bins.n; i++)
        if ((uint64_t)s->bins.rows[i * (size_t)4] > last)
            return err_set(err, ERR_CORRUPT, "state: a score above 1");
    return 0;
}

/* Both ends of a bin's scores. Below the middle a key counts up from 0, above it down from 1. */
static void ends_of(uint64_t key, int level, double *lo, double *hi)
{
    const int shift = 52 - ladder[level].bits;
    const uint64_t key_top = top >> shift;
    if (key < middle >> shift) {
        *lo = score_of(key << shift);
        *hi = shift ? score_of((key + 1) << shift) : *lo;
    } else {
        const uint64_t down = key_top - key; /* of 1 - score */
        *hi = score_of(top - (down << shift));
        *lo = shift ? score_of(top - ((down + 1) << shift)) : *hi;
        if (shift && *lo < 0.5)
            *lo = 0.5; /* the bin that holds just the middle */
    }
}

int score_bins_list(const struct score_bins *s, struct score_bin **out, size_t *n)
{
    *out = NULL;
    AUTO_FREE struct bins_row *rows = NULL;
    const int rc = bins_sorted(&s->bins, &rows, n);
    if (rc || *n == 0)
        return rc;
    struct score_bin *bins = malloc(*n * sizeof(*bins));
    if (!bins)
        return -ENOMEM;
    for (size_t i = 0; i < *n; i++) {
        const int64_t *columns = rows[i].columns;
        bins[i] = (struct score_bin){.n = columns[0],
                                     .positives = columns[1] > 0 ? columns[1] : 0,
                                     .negatives = columns[2] > 0 ? columns[2] : 0};
        ends_of(rows[i].key, s->level, &bins[i].lo, &bins[i].hi);
    }
    *out = bins; /* the caller owns it now */
    return 0;
}

static struct span distance_of(const struct score_bin *bin)
{
    if (bin->hi <= 0.5 && bin->lo < 0.5)
        return (struct span){bin->lo, bin->hi, bin->n};
    return (struct span){1 - bin->hi, 1 - bin->lo, bin->n};
}

int score_bins_distances(const struct score_bins *s, struct span **out, size_t *n)
{
    *out = NULL;
    AUTO_FREE struct score_bin *bins = NULL;
    const int rc = score_bins_list(s, &bins, n);
    if (rc || *n == 0)
        return rc;
    struct span *spans = malloc(*n * sizeof(*spans));
    if (!spans)
        return -ENOMEM;
    /* From both ends inwards, the nearer one first. */
    size_t low = 0, high = *n;
    for (size_t i = 0; i < *n; i++) {
        const struct span from_low = distance_of(&bins[low]);
        const struct span from_high = distance_of(&bins[high - 1]);
        if (low + 1 == high || from_low.lo <= from_high.lo) {
            spans[i] = from_low;
            low++;
        } else {
            spans[i] = from_high;
            high--;
        }
    }
    *out = spans; /* the caller owns it now */
    return 0;
}
