/*
 * The distance of a window of W values: sum over bins of (share at or below - even share)², times
 * W / 32: Cramér–von Mises with the integral taken at the bins' edges. In whole numbers that is
 * sum of deviation² / (32 W), where W is a multiple of 32.
 *
 * An event moves a value from one bin to another and so changes at most 31 of the deviations by
 * one: as a vector they grow by √31 at most. So it is known how many events a window needs at least
 * before it can be at its limit, and until then only the values in each bin are counted. The
 * distance is looked at where it could be there: what is told is what looking at each event tells.
 */
#include "stats/change_shape.h"

#include <math.h>
#include <string.h>

#include "stats/change_shape_limits.h"

/* The short window has eight times as many chances in the same run: what makes it as rare. */
static const double CAUTION = 1.05;         /* rather late than early */
static const double SHORT_EXCESS = 0.42;    /* ln(8) × 2 / π²: the tail of the distance's law */
static const double EVENTS_A_UNIT = 0.1796; /* a little less than 1 / √31 */
static const int sizes[2] = {SHAPE_SHORT, SHAPE_LONG};

static void look_from(struct change_shape *shape, int which, uint64_t n)
{
    shape->windows[which].look = n;
    const uint64_t other = shape->windows[1 - which].look;
    shape->look = n < other ? n : other;
}

void change_shape_set_limit(struct change_shape *shape, double limit)
{
    double n = shape->n_reference;
    bool both = n >= SHAPE_MIN_REFERENCE_LONG;
    shape->limits[0] = (limit + (both ? SHORT_EXCESS : 0)) * (1 + SHAPE_SHORT / n);
    shape->limits[1] = both ? limit * (1 + SHAPE_LONG / n) : (double)INFINITY;
    for (int i = 0; i < 2; i++)
        look_from(shape, i, (uint64_t)sizes[i]);
}

double change_shape_limit(double expected, bool both)
{
    const double *limits = both ? limits_both : limits_short;
    double at = LIMITS_PER_DECADE * log10(CAUTION * expected / LIMITS_FIRST);
    int i = at < 0 ? 0 : at >= N_LIMITS - 1 ? N_LIMITS - 2 : (int)at;
    return limits[i] + (at - i) * (limits[i + 1] - limits[i]); /* the law's tail is exponential */
}

static void start_anew(struct change_shape *shape)
{
    shape->n = 0;
    shape->sum = 0;
    memset(shape->ring, 0, sizeof(shape->ring));
    memset(shape->block_sums, 0, sizeof(shape->block_sums));
    for (int i = 0; i < 2; i++) {
        memset(shape->windows[i].counts, 0, sizeof(shape->windows[i].counts));
        look_from(shape, i, (uint64_t)sizes[i]);
    }
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
    int bin = category_bin(feature->bins, category);
    if (bin < 0 && !feature->partial)
        return bin_between(feature->seen_upto, 1, hash); /* never seen */
    if (bin < 0)
        bin = (int)category_bins_count(feature->bins); /* of the many that are not kept */
    return bin_between(feature->bin_ranks[bin].below, feature->bin_ranks[bin].upto, hash);
}

enum {
    LANES = 8
};
typedef int16_t lanes __attribute__((vector_size(LANES * sizeof(int16_t)), aligned(2), may_alias));

/* Each lane with those before it. */
static lanes sums_of(lanes x)
{
    const lanes none = {0};
    x += __builtin_shufflevector(none, x, 0, 8, 9, 10, 11, 12, 13, 14);
    x += __builtin_shufflevector(none, x, 0, 0, 8, 9, 10, 11, 12, 13);
    x += __builtin_shufflevector(none, x, 0, 0, 0, 0, 8, 9, 10, 11);
    return x;
}

/* Of the deviations of n values, a multiple of the bins; none is beyond n <= 512. */
static int32_t squares_of(const uint16_t *counts, int n)
{
    int16_t deviations[SHAPE_BINS], before = 0;
    int32_t squares = 0;
    for (int i = 0; i < SHAPE_BINS; i += LANES) {
        const lanes sums = sums_of(*(const lanes *)(counts + i) - (int16_t)(n / SHAPE_BINS));
        *(lanes *)(deviations + i) = sums + before;
        before = deviations[i + LANES - 1];
    }
    for (int i = 0; i < SHAPE_BINS; i++)
        squares += deviations[i] * deviations[i];
    return squares;
}

static double distance_of(int32_t squares, int size)
{
    return (double)squares / (SHAPE_BINS * size);
}

/* 0 before the window is full. */
static double distance_now(const struct change_shape *shape, int which)
{
    return shape->n < (uint64_t)sizes[which]
               ? 0
               : distance_of(squares_of(shape->windows[which].counts, sizes[which]), sizes[which]);
}

/* Is the window at its limit? If not, it is looked at again when it could be. */
static bool at_limit(struct change_shape *shape, int which, double *distance)
{
    const int size = sizes[which];
    const double limit = shape->limits[which];
    if (shape->n < shape->windows[which].look)
        return false;
    const int32_t squares = squares_of(shape->windows[which].counts, size);
    *distance = distance_of(squares, size);
    if (*distance >= limit)
        return true;
    const double left = sqrt(limit * SHAPE_BINS * size) - sqrt(squares);
    const double events = fmin(fmax(left * EVENTS_A_UNIT, 0), SHAPE_LONG);
    look_from(shape, which, shape->n + (uint64_t)events + 1);
    return false;
}

/* A value in bin `in` comes; the oldest goes, if the window is full. */
static void slide(struct change_shape *shape, int which, unsigned in)
{
    const uint64_t size = (uint64_t)sizes[which];
    uint16_t *const counts = shape->windows[which].counts;
    counts[in]++;
    if (shape->n >= size)
        counts[shape->ring[(shape->n - size) % SHAPE_LONG]]--;
}

/*
 * The change began where the events since then differ most: of the last 64, 128, … 512, those whose
 * distance is largest.
 */
static uint64_t events_since(const struct change_shape *shape)
{
    uint16_t counts[SHAPE_BINS] = {0};
    uint64_t best = SHAPE_SHORT, within = shape->n < SHAPE_LONG ? shape->n : SHAPE_LONG;
    double largest = -1;
    for (uint64_t back = 1; back <= within; back++) {
        counts[shape->ring[(shape->n - back) % SHAPE_LONG]]++;
        if (back % SHAPE_SHORT)
            continue;
        const double distance = distance_of(squares_of(counts, (int)back), (int)back);
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

static void tell(const struct change_shape *shape, int which, double distance,
                 struct change_found *found)
{
    *found = (struct change_found){
        .direction = CHANGE_SHAPE,
        .run = shape->n,
        .n_after = events_since(shape),
        .before = NAN,
        .after = NAN,
        .statistic = distance,
        .limit = shape->limits[which],
    };
    tell_blocks(shape, found);
}

/*
 * The first whole long window after an alarm, and again after each that is still not like the
 * reference. The long one also where it raises no alarm: one of 64 in ten is like the reference
 * where a mean has moved by half a standard deviation, and the same change was told again and again.
 */
static void recheck(struct change_shape *shape)
{
    const double n = shape->n_reference;
    const double limit = isfinite(shape->limits[1])
                             ? shape->limits[1]
                             : shape->limits[0] * (1 + SHAPE_LONG / n) / (1 + SHAPE_SHORT / n);
    if (shape->n < SHAPE_LONG)
        return;
    shape->changed = distance_now(shape, 1) > limit / 2;
    if (shape->changed)
        start_anew(shape);
}

static void count(struct change_shape *shape, int64_t ts_ms, unsigned bin, double value)
{
    const uint64_t block = shape->n / SHAPE_SHORT % SHAPE_BLOCKS;
    slide(shape, 0, bin);
    slide(shape, 1, bin);
    shape->ring[shape->n % SHAPE_LONG] = (uint8_t)bin;
    if (shape->n % SHAPE_SHORT == 0) {
        shape->block_sums[block] = 0;
        shape->block_ms[block] = ts_ms;
    }
    shape->block_sums[block] += value;
    shape->sum += value;
    shape->n++;
}

static int look(struct change_shape *shape, struct change_found *found)
{
    double distance = 0;
    int which = 0;
    while (which < 2 && !at_limit(shape, which, &distance))
        which++;
    if (which == 2)
        return 0;
    tell(shape, which, distance, found);
    start_anew(shape);
    shape->changed = true;
    return 1;
}

int change_shape_update(struct change_shape *shape, int64_t ts_ms, unsigned bin, double value,
                        struct change_found *found)
{
    count(shape, ts_ms, bin, value);
    if (shape->changed) {
        recheck(shape);
        return 0;
    }
    return shape->n < shape->look ? 0 : look(shape, found);
}

double change_shape_distance(const struct change_shape *shape)
{
    double n = shape->n_reference;
    bool both = n >= SHAPE_MIN_REFERENCE_LONG;
    double distance = shape->n < SHAPE_SHORT ? 0
                                             : distance_now(shape, 0) / (1 + SHAPE_SHORT / n) -
                                                   (both ? SHORT_EXCESS : 0);
    if (both && shape->n >= SHAPE_LONG)
        distance = fmax(distance, distance_now(shape, 1) / (1 + SHAPE_LONG / n));
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
        shape->windows[1].counts[bin]++;
        if (back <= SHAPE_SHORT)
            shape->windows[0].counts[bin]++;
    }
    shape->n = n;
    return 0;
}
