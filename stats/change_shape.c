/*
 * The distance of a window of W values: sum over bins of (share at or below - even share)², times
 * W / 32: Cramér–von Mises with the integral taken at the bins' edges. In whole numbers that is
 * sum of deviation² / (32 W), kept up as values come and go: W is a multiple of 32. A value in bin b
 * adds 1 to the deviations from b on; the one that leaves takes it back. All bins are changed, eight
 * at a time, whichever they are: asking which of them changed costs more.
 */
#include "stats/change_shape.h"

#include <math.h>
#include <string.h>

#include "stats/change_shape_limits.h"

/* The short window has eight times as many chances in the same run: what makes it as rare. */
static const double CAUTION = 1.05;      /* rather late than early */
static const double SHORT_EXCESS = 0.42; /* ln(8) × 2 / π²: the tail of the distance's law */

void change_shape_set_limit(struct change_shape *shape, double limit)
{
    double n = shape->n_reference;
    bool both = n >= SHAPE_MIN_REFERENCE_LONG;
    shape->limit_short = (limit + (both ? SHORT_EXCESS : 0)) * (1 + SHAPE_SHORT / n);
    shape->limit_long = both ? limit * (1 + SHAPE_LONG / n) : (double)INFINITY;
}

double change_shape_limit(double expected, bool both)
{
    const double *limits = both ? limits_both : limits_short;
    double at = LIMITS_PER_DECADE * log10(CAUTION * expected / LIMITS_FIRST);
    int i = at < 0 ? 0 : at >= N_LIMITS - 1 ? N_LIMITS - 2 : (int)at;
    return limits[i] + (at - i) * (limits[i + 1] - limits[i]); /* the law's tail is exponential */
}

/* Every bin lacks its share of the values, which come in turn. */
static void window_clear(struct shape_window *window, int size)
{
    window->squares = 0;
    for (int i = 0; i < SHAPE_BINS; i++) {
        window->deviation[i] = (int16_t)(-(i + 1) * (size / SHAPE_BINS));
        window->squares += window->deviation[i] * window->deviation[i];
    }
}

static void start_anew(struct change_shape *shape)
{
    shape->n = 0;
    shape->sum = 0;
    memset(shape->ring, 0, sizeof(shape->ring));
    memset(shape->block_sums, 0, sizeof(shape->block_sums));
    window_clear(&shape->windows[0], SHAPE_SHORT);
    window_clear(&shape->windows[1], SHAPE_LONG);
}

void change_shape_init(struct change_shape *shape, double expected, double n, double mean)
{
    *shape = (struct change_shape){.expected = expected, .n_reference = n, .reference_mean = mean};
    change_shape_set_limit(shape, change_shape_limit(expected, n >= SHAPE_MIN_REFERENCE_LONG));
    start_anew(shape);
}

/* Even in [0, 1), another for each hash. */
static double uniform_of(uint64_t hash)
{
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((hash ^ (hash >> 31)) >> 11) * 0x1p-53;
}

static unsigned bin_between(double below, double upto, uint64_t hash)
{
    double rank = below + uniform_of(hash) * (upto - below);
    return rank >= 1 ? SHAPE_BINS - 1 : (unsigned)(rank * SHAPE_BINS);
}

unsigned change_shape_bin(const struct reference_feature *feature, double value, uint64_t hash)
{
    const unsigned part = reference_part(&feature->parts, value);
    if (part != PARTS_SEVERAL)
        return part;
    struct reference_rank rank = reference_rank(feature, value);
    return bin_between(rank.below, rank.upto, hash);
}

unsigned change_shape_bin_category(const struct reference_feature *feature, uint64_t category,
                                   uint64_t hash)
{
    const int bin = category_bin(feature->bins, category);
    if (bin < 0)
        return SHAPE_BINS - 1; /* never seen */
    const double below = (double)feature->bin_below[bin];
    const double all = (double)feature->bin_below[REFERENCE_MAX_ROWS - 1] +
                       (double)feature->bin_counts[REFERENCE_MAX_ROWS - 1];
    return bin_between(below / all, (below + (double)feature->bin_counts[bin]) / all, hash);
}

enum {
    LANES = 8
};
typedef int16_t lanes __attribute__((vector_size(LANES * sizeof(int16_t)), aligned(2), may_alias));

static lanes lanes_at(const int16_t *from)
{
    return *(const lanes *)from;
}

static int sum_of(lanes x)
{
    x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
    x += __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5);
    x += __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6);
    return x[0];
}

/* A value in bin `in` comes, one in bin `out` goes; SHAPE_BINS: none. The squares grow by the sum of
   (d + s)² - d² = s (2d + s), where a step s is -1, 0 or 1: at most 2 × 12,032 + 32. */
static void window_move(struct shape_window *window, unsigned in, unsigned out)
{
    static const int16_t steps[2 * SHAPE_BINS] = {
        [SHAPE_BINS... 2 * SHAPE_BINS - 1] = 1}; /* from SHAPE_BINS - b on: those of bin b */
    const int16_t *const come = steps + SHAPE_BINS - in, *const go = steps + SHAPE_BINS - out;
    lanes grown = {0};
    for (int i = 0; i < SHAPE_BINS; i += LANES) {
        const lanes step = lanes_at(come + i) - lanes_at(go + i);
        const lanes before = lanes_at(window->deviation + i), after = before + step;
        *(lanes *)(window->deviation + i) = after;
        grown += step * (before + after);
    }
    window->squares += sum_of(grown);
}

static double distance_of(int32_t squares, int size)
{
    return (double)squares / (SHAPE_BINS * size);
}

static void slide(struct change_shape *shape, int which, uint64_t size, unsigned bin)
{
    const unsigned old = shape->n < size ? SHAPE_BINS : shape->ring[(shape->n - size) % SHAPE_LONG];
    window_move(&shape->windows[which], bin, old);
}

/* 0 before the window is full. */
static double distance_now(const struct change_shape *shape, int which, int size)
{
    return shape->n < (uint64_t)size ? 0 : distance_of(shape->windows[which].squares, size);
}

/*
 * The change began where the events since then differ most: of the last 64, 128, … 512, those whose
 * distance is largest.
 */
static uint64_t events_since(const struct change_shape *shape)
{
    int32_t counts[SHAPE_BINS] = {0};
    uint64_t best = SHAPE_SHORT, within = shape->n < SHAPE_LONG ? shape->n : SHAPE_LONG;
    double largest = -1;
    for (uint64_t back = 1; back <= within; back++) {
        counts[shape->ring[(shape->n - back) % SHAPE_LONG]]++;
        if (back % SHAPE_SHORT)
            continue;
        int32_t squares = 0;
        for (int32_t below = 0, i = 0; i < SHAPE_BINS; i++) {
            below += counts[i];
            const int32_t deviation = below - (i + 1) * (int32_t)(back / SHAPE_BINS);
            squares += deviation * deviation;
        }
        const double distance = distance_of(squares, (int)back);
        if (distance > largest) {
            largest = distance;
            best = back;
        }
    }
    return best;
}

/* Sums and times are kept by blocks: those of the newest events are of whole blocks, and the one at
   hand. */
static void tell_blocks(const struct change_shape *shape, struct change_found *found)
{
    uint64_t n = (shape->n - 1) % SHAPE_SHORT + 1, block = (shape->n - 1) / SHAPE_SHORT;
    double sum = shape->block_sums[block % SHAPE_BLOCKS];
    uint64_t k = 1;
    for (; k < SHAPE_BLOCKS && k <= block && n < found->n_after; k++) {
        sum += shape->block_sums[(block - k) % SHAPE_BLOCKS];
        n += SHAPE_SHORT;
    }
    found->n_after = n;
    found->began_ms = shape->block_ms[(block - (k - 1)) % SHAPE_BLOCKS];
    if (isnan(shape->reference_mean))
        return;
    found->after = sum / (double)n;
    found->before = shape->n > found->n_after ? (shape->sum - sum) / (double)(shape->n - n)
                                              : shape->reference_mean;
}

static void tell(const struct change_shape *shape, bool is_long, double distance,
                 struct change_found *found)
{
    *found = (struct change_found){
        .direction = CHANGE_SHAPE,
        .run = shape->n,
        .n_after = events_since(shape),
        .before = NAN,
        .after = NAN,
        .statistic = distance,
        .limit = is_long ? shape->limit_long : shape->limit_short,
    };
    tell_blocks(shape, found);
}

/* The first whole window after an alarm, and again after each that is still not like the reference.
 */
static void recheck(struct change_shape *shape)
{
    bool both = isfinite(shape->limit_long);
    int size = both ? SHAPE_LONG : SHAPE_SHORT;
    if (shape->n < (uint64_t)size)
        return;
    double limit = both ? shape->limit_long : shape->limit_short;
    shape->changed = distance_now(shape, both, size) > limit / 2;
    if (shape->changed)
        start_anew(shape);
}

int change_shape_update(struct change_shape *shape, int64_t ts_ms, unsigned bin, double value,
                        struct change_found *found)
{
    slide(shape, 0, SHAPE_SHORT, bin);
    slide(shape, 1, SHAPE_LONG, bin);
    shape->ring[shape->n % SHAPE_LONG] = (uint8_t)bin;
    uint64_t block = shape->n / SHAPE_SHORT % SHAPE_BLOCKS;
    if (shape->n % SHAPE_SHORT == 0) {
        shape->block_sums[block] = 0;
        shape->block_ms[block] = ts_ms;
    }
    shape->block_sums[block] += value;
    shape->sum += value;
    shape->n++;
    if (shape->changed) {
        recheck(shape);
        return 0;
    }
    double distance = distance_now(shape, 0, SHAPE_SHORT);
    bool is_long = false;
    if (distance < shape->limit_short) {
        is_long = true;
        distance = distance_now(shape, 1, SHAPE_LONG);
        if (distance < shape->limit_long)
            return 0;
    }
    tell(shape, is_long, distance, found);
    start_anew(shape);
    shape->changed = true;
    return 1;
}

double change_shape_distance(const struct change_shape *shape)
{
    double n = shape->n_reference, distance = 0;
    bool both = n >= SHAPE_MIN_REFERENCE_LONG;
    if (shape->n >= SHAPE_SHORT)
        distance =
            distance_now(shape, 0, SHAPE_SHORT) / (1 + SHAPE_SHORT / n) - (both ? SHORT_EXCESS : 0);
    if (both && shape->n >= SHAPE_LONG)
        distance = fmax(distance, distance_now(shape, 1, SHAPE_LONG) / (1 + SHAPE_LONG / n));
    return distance;
}

void change_shape_save(const struct change_shape *shape, struct buf *out)
{
    uint64_t kept = shape->n < SHAPE_LONG ? shape->n : SHAPE_LONG;
    buf_double(out, shape->expected);
    buf_double(out, shape->n_reference);
    buf_double(out, shape->reference_mean);
    buf_u8(out, shape->changed);
    buf_varint(out, shape->n);
    buf_double(out, shape->sum);
    for (int i = 0; i < SHAPE_BLOCKS; i++) {
        buf_double(out, shape->block_sums[i]);
        buf_zigzag(out, shape->block_ms[i]);
    }
    buf_bytes(out, shape->ring, kept);
}

/* The windows are counted again from their values. */
int change_shape_load(struct change_shape *shape, struct reader *in, struct err *err)
{
    double expected = reader_double(in), n_reference = reader_double(in);
    change_shape_init(shape, expected, n_reference, reader_double(in));
    shape->changed = reader_u8(in);
    uint64_t n = reader_varint(in), kept = n < SHAPE_LONG ? n : SHAPE_LONG;
    shape->sum = reader_double(in);
    for (int i = 0; i < SHAPE_BLOCKS; i++) {
        shape->block_sums[i] = reader_double(in);
        shape->block_ms[i] = reader_zigzag(in);
    }
    const uint8_t *ring = reader_bytes(in, kept);
    bool damaged = reader_failed(in) || !ring;
    for (uint64_t i = 0; !damaged && i < kept; i++)
        damaged = ring[i] >= SHAPE_BINS;
    if (damaged)
        return err_set(err, ERR_CORRUPT, "change of a distribution: the bytes are damaged");
    memcpy(shape->ring, ring, kept);
    for (uint64_t back = 1; back <= kept; back++) {
        unsigned bin = shape->ring[(n - back) % SHAPE_LONG];
        window_move(&shape->windows[1], bin, SHAPE_BINS);
        if (back <= SHAPE_SHORT)
            window_move(&shape->windows[0], bin, SHAPE_BINS);
    }
    shape->n = n;
    return 0;
}
