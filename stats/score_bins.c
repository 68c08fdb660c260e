/*
 * A score's place is its code: the double's bits below 1/2, and TOP minus the bits of 1 - score
 * from 1/2 on (the subtraction is exact there). Codes ascend with the scores and lose nothing.
 * A grid of m bits keeps code >> (52 - m) below the middle and counts down from TOP >> (52 - m)
 * above it, so each grid's keys come from any finer grid's. Models that saturate say 0 and 1 very
 * often; these two have the keys NONE and ALL on every grid, all others are shifted up by one.
 *
 * Why the level does not depend on order: it is the first of the ladder on which the set of
 * scores has no more keys than the ladder allows. Adding scores never makes a set fit a finer
 * level, so going up the ladder as scores come, or as sets are merged, ends at the same one.
 *
 * Saved:  level u8, FLAGGED set where any prediction said "positive" · the table without that
 *         column · with FLAGGED, the column as runs: varint(length * 4 + kind), kind NONE or ALL
 *         of the row's predictions, or MIXED with the counts behind it
 */
#include "stats/score_bins.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static const uint64_t top = UINT64_C(0x7fc0000000000000);    /* code of 1 */
static const uint64_t middle = UINT64_C(0x3fe0000000000000); /* code of 1/2 */

enum {
    MAX_EXACT = 1024, /* keys on level 0 */
    MAX_BINS = 4096,  /* on each level above: 32 bits of mantissa, then one bit less each */
    FINEST_BITS = 32,
    N_LEVELS = 2 + FINEST_BITS,
    SCRATCH_BITS = 14, /* twice as many places as keys, or more */
};

enum { /* columns of the table */
    PREDICTIONS,
    POSITIVES,
    NEGATIVES,
    SAYS_POSITIVE,
    COLUMNS,
    STRIDE = 1 + COLUMNS,
    FLAGGED = 0x80
};

enum run {
    RUN_NONE,
    RUN_ALL,
    RUN_MIXED
};
#define KEY_NONE UINT64_C(0)
#define KEY_ALL UINT64_MAX

static int bits_of(int level)
{
    return level == 0 ? 52 : FINEST_BITS + 1 - level;
}

static uint32_t most_keys(const struct score_bins *s, int level)
{
    return (uint32_t)(level == 0 ? MAX_EXACT : MAX_BINS) >> s->thrift;
}

void score_bins_init(struct score_bins *s, int thrift)
{
    bins_init(&s->bins, COLUMNS);
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

/* Level 0 has the code itself. */
static uint64_t key_of(uint64_t code, int level)
{
    if (level == 0)
        return code;
    if (code == 0 || code == top)
        return code ? KEY_ALL : KEY_NONE;
    const int shift = 52 - bits_of(level);
    return 1 + (code < middle ? code >> shift : (top >> shift) - ((top - code) >> shift));
}

/* The code of some score in the bin: the one nearest to its end of 0..1. */
static uint64_t code_in(uint64_t key, int level)
{
    if (level == 0)
        return key;
    if (key == KEY_NONE || key == KEY_ALL)
        return key ? top : 0;
    const int shift = 52 - bits_of(level);
    key--;
    const uint64_t code =
        key < middle >> shift ? key << shift : top - (((top >> shift) - key) << shift);
    /* The bins next to 0 and 1 do not hold those. */
    return code == 0 ? 1 : code == top ? top - 1 : code;
}

struct coarser {
    int from_level, to_level;
};

static void coarser_bin(void *context, uint64_t *key, int64_t *columns)
{
    (void)columns;
    const struct coarser *c = context;
    *key = key_of(code_in(*key, c->from_level), c->to_level);
}

static void go_to_level(struct score_bins *s, int level)
{
    struct coarser c = {s->level, level};
    bins_rekey(&s->bins, coarser_bin, &c);
    s->level = (uint8_t)level;
}

/* Has the set more keys than allowed on this level? */
static bool has_too_many(const struct score_bins *s, int level, uint64_t *scratch)
{
    const uint64_t mask = (UINT64_C(1) << SCRATCH_BITS) - 1;
    const uint32_t most = most_keys(s, level);
    uint32_t n = 0;
    memset(scratch, 0, sizeof(*scratch) << SCRATCH_BITS);
    for (uint32_t i = 0; i < s->bins.n && n <= most; i++) {
        const int64_t *row = s->bins.rows + i * (size_t)STRIDE;
        /* No key is UINT64_MAX - 1, so none is 0 after the addition of 2. */
        const uint64_t key = key_of(code_in((uint64_t)row[0], s->level), level) + 2;
        uint64_t place = key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SCRATCH_BITS);
        while (scratch[place] && scratch[place] != key)
            place = (place + 1) & mask;
        n += scratch[place] == 0;
        scratch[place] = key;
    }
    return n > most;
}

/* To the first level that holds the set. Neighbouring levels often have nearly as many keys, so
   the level is looked for by halves; without memory for that, step by step to the same one. */
static void fit_now(struct score_bins *s)
{
    AUTO_FREE uint64_t *scratch = NULL;
    if (s->bins.n > most_keys(s, s->level + 1))
        scratch = malloc(sizeof(*scratch) << SCRATCH_BITS);
    if (!scratch) {
        while (s->bins.n > most_keys(s, s->level) && s->level + 1 < N_LEVELS)
            go_to_level(s, s->level + 1);
        return;
    }
    int low = s->level + 1, high = N_LEVELS - 1;
    while (low < high) {
        const int half = (low + high) / 2;
        if (has_too_many(s, half, scratch))
            low = half + 1;
        else
            high = half;
    }
    go_to_level(s, low);
}

static inline void fit(struct score_bins *s)
{
    if (s->bins.n > most_keys(s, s->level) && s->level + 1 < N_LEVELS)
        fit_now(s);
}

void score_bins_predict(struct score_bins *s, double score, bool flagged)
{
    int64_t *columns = bins_at(&s->bins, key_of(code_of(score), s->level));
    columns[PREDICTIONS]++;
    columns[SAYS_POSITIVE] += flagged;
    fit(s);
}

void score_bins_label(struct score_bins *s, double score, bool positive, int sign)
{
    bins_at(&s->bins, key_of(code_of(score), s->level))[positive ? POSITIVES : NEGATIVES] += sign;
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
        struct coarser c = {from->level, into->level};
        for (uint32_t i = 0; i < from->bins.n; i++) {
            const int64_t *row = from->bins.rows + i * (size_t)STRIDE;
            if (!row[1] && !row[2] && !row[3] && !row[4])
                continue;
            uint64_t key = (uint64_t)row[0];
            coarser_bin(&c, &key, NULL);
            int64_t *columns = bins_at(&into->bins, key);
            for (int j = 0; j < COLUMNS; j++)
                columns[j] += row[1 + j];
        }
    }
    fit(into);
}

static enum run run_of(const int64_t *columns)
{
    if (columns[SAYS_POSITIVE] == 0)
        return RUN_NONE;
    return columns[SAYS_POSITIVE] == columns[PREDICTIONS] ? RUN_ALL : RUN_MIXED;
}

static bool any_flagged(const struct bins_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].columns[SAYS_POSITIVE])
            return true;
    return false;
}

static void save_runs(const struct bins_row *rows, size_t n, struct buf *out)
{
    for (size_t from = 0, to; from < n; from = to) {
        const enum run kind = run_of(rows[from].columns);
        for (to = from + 1; to < n && run_of(rows[to].columns) == kind; to++)
            continue;
        buf_varint(out, (to - from) * 4 + kind);
        for (size_t i = from; kind == RUN_MIXED && i < to; i++)
            buf_zigzag(out, rows[i].columns[SAYS_POSITIVE]);
    }
}

void score_bins_save(const struct score_bins *s, struct buf *out)
{
    AUTO_FREE struct bins_row *rows = NULL;
    size_t n;
    if (bins_sorted(&s->bins, &rows, &n)) {
        out->failed = true;
        return;
    }
    const bool flagged = any_flagged(rows, n);
    buf_u8(out, (uint8_t)(s->level | (flagged ? FLAGGED : 0)));
    bins_save_rows(rows, n, SAYS_POSITIVE, out);
    if (flagged)
        save_runs(rows, n, out);
}

static int load_runs(struct score_bins *s, struct reader *in, struct err *err)
{
    for (uint32_t at = 0; at < s->bins.n;) {
        const uint64_t head = reader_varint(in);
        const uint64_t length = head / 4, kind = head % 4;
        if (reader_failed(in) || length == 0 || length > s->bins.n - at || kind > RUN_MIXED)
            return err_set(err, ERR_CORRUPT, "state: predicted classes of score bins are damaged");
        for (uint64_t i = 0; i < length; i++, at++) {
            int64_t *columns = s->bins.rows + at * (size_t)STRIDE + 1;
            if (kind != RUN_NONE)
                columns[SAYS_POSITIVE] = kind == RUN_ALL ? columns[PREDICTIONS] : reader_count(in);
        }
    }
    return 0;
}

int score_bins_load(struct score_bins *s, struct reader *in, struct err *err)
{
    const uint8_t head = reader_u8(in), level = head & (FLAGGED - 1);
    if (level >= N_LEVELS)
        return err_set(err, ERR_CORRUPT, "state: score bins of level %d", level);
    int rc = bins_load_columns(&s->bins, COLUMNS, SAYS_POSITIVE, in, err);
    if (rc)
        return rc;
    s->level = level;
    for (uint32_t i = 0; i < s->bins.n; i++) {
        const uint64_t key = (uint64_t)s->bins.rows[i * (size_t)STRIDE];
        if (key != (level ? KEY_ALL : top) && code_in(key, level) >= top)
            return err_set(err, ERR_CORRUPT, "state: a score above 1");
    }
    return head & FLAGGED ? load_runs(s, in, err) : 0;
}

/* Both ends of a bin's scores. Below the middle its code counts up from 0, above down from 1. */
static void ends_of(uint64_t key, int level, double *lo, double *hi)
{
    const uint64_t code = code_in(key, level);
    *lo = *hi = score_of(code);
    if (level == 0 || key == KEY_NONE || key == KEY_ALL || code == middle)
        return;
    const uint64_t width = UINT64_C(1) << (52 - bits_of(level));
    if (code < middle)
        *hi = score_of((code / width + 1) * width);
    else
        *lo = fmax(0.5, score_of(top - ((top - code) / width + 1) * width));
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
        bins[i] = (struct score_bin){.n = columns[PREDICTIONS],
                                     .positives = columns[POSITIVES] > 0 ? columns[POSITIVES] : 0,
                                     .negatives = columns[NEGATIVES] > 0 ? columns[NEGATIVES] : 0,
                                     .flagged = columns[SAYS_POSITIVE]};
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
