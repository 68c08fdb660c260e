/*
 * The wide sum's limbs: limb i weighs 2^(32 i - 1088). A double's 53 bits, shifted to a limb's
 * edge, fall into three of them:
 *
 *          limb i + 2      limb i + 1       limb i
 *        |0000000mmmmm| |mmmmmmmmmmmmm| |mmmmm0000000|      each holds 32 bits of 64, the rest is
 *                                                           room for 2^30 additions
 *
 * Negative terms make negative limbs. Only when 2^30 additions are near, and when saving, are
 * carries moved up; saved is sign and magnitude with the zero limbs cut off both ends, which is
 * one form for one sum.
 */
#include "stats/exact_sum.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    LIMBS = 72, /* 2^-1088 .. 2^1216: doubles, and the sum of 2^64 of the largest */
    BIAS = 1088,
    MAX_PENDING = 1 << 30
};

double fixed_result(const struct fixed_sum *sum, int scale)
{
    return ldexp((double)(__int128)sum->units, -scale);
}

void fixed_save(const struct fixed_sum *sum, struct buf *out)
{
    buf_int128(out, (__int128)sum->units);
}

void fixed_load(struct fixed_sum *sum, struct reader *in)
{
    sum->units = (unsigned __int128)reader_int128(in);
}

void wide_finish(struct wide_sum *sum)
{
    free(sum->heap);
    *sum = (struct wide_sum){0};
}

struct digits { /* a double, laid over three limbs */
    uint32_t first;
    uint32_t digit[3];
    bool negative;
    bool zero;
};

static struct digits digits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint32_t exponent = (uint32_t)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent)
        mantissa |= UINT64_C(1) << 52;
    else
        exponent = 1; /* subnormal */
    const uint32_t position = exponent + (BIAS - 1075);
    const unsigned __int128 shifted = (unsigned __int128)mantissa << (position & 31);
    return (struct digits){
        .first = position >> 5,
        .digit = {(uint32_t)shifted, (uint32_t)(shifted >> 32), (uint32_t)(shifted >> 64)},
        .negative = bits >> 63,
        .zero = mantissa == 0,
    };
}

static bool wide_used(const struct wide_sum *sum)
{
    return sum->pending > 0;
}

static bool window_holds(const struct wide_sum *sum, uint32_t first, uint32_t n)
{
    return first >= sum->first && first + n <= sum->first + WIDE_INLINE;
}

static int go_to_heap(struct wide_sum *sum)
{
    int64_t *heap = calloc(LIMBS, sizeof(*heap));
    if (!heap)
        return -ENOMEM;
    memcpy(heap + sum->first, sum->window, sizeof(sum->window));
    sum->heap = heap;
    return 0;
}

/* The window begins two limbs below its first value, and ends one above. */
static uint32_t window_start(uint32_t first)
{
    const uint32_t start = first > 2 ? first - 2 : 0;
    return start + WIDE_INLINE > LIMBS ? LIMBS - WIDE_INLINE : start;
}

int wide_room(struct wide_sum *sum, double x)
{
    if (sum->heap || isinf(x))
        return 0;
    const struct digits digits = digits_of(x);
    if (digits.zero)
        return 0;
    if (!wide_used(sum)) {
        sum->first = window_start(digits.first);
        return 0;
    }
    return window_holds(sum, digits.first, 3) ? 0 : go_to_heap(sum);
}

static int64_t *limbs_of(struct wide_sum *sum, uint32_t *first, uint32_t *n)
{
    *first = sum->heap ? 0 : sum->first;
    *n = sum->heap ? LIMBS : WIDE_INLINE;
    return sum->heap ? sum->heap : sum->window;
}

/* Each limb but the last into 0 .. 2^32 - 1; the last keeps the sign. */
static void carry_up(int64_t *limbs, uint32_t n)
{
    for (uint32_t i = 0; i + 1 < n; i++) {
        const int64_t carry = limbs[i] >> 32;
        limbs[i] -= carry * (INT64_C(1) << 32);
        limbs[i + 1] += carry;
    }
}

void wide_add(struct wide_sum *sum, double x, int sign)
{
    if (isinf(x)) {
        sum->n_infinite += sign;
        return;
    }
    const struct digits digits = digits_of(x);
    if (digits.zero)
        return;
    uint32_t first, n;
    int64_t *limbs = limbs_of(sum, &first, &n);
    if (sum->pending >= MAX_PENDING) {
        carry_up(limbs, n);
        sum->pending = 1;
    }
    limbs += digits.first - first;
    const int64_t unit = digits.negative == (sign > 0) ? -1 : 1;
    for (int i = 0; i < 3; i++)
        limbs[i] += unit * (int64_t)digits.digit[i];
    sum->pending++;
}

int wide_room_merge(struct wide_sum *into, const struct wide_sum *from)
{
    if (!wide_used(from) || into->heap)
        return 0;
    if (!wide_used(into)) {
        into->first = from->heap ? 0 : from->first;
        return from->heap ? go_to_heap(into) : 0;
    }
    return !from->heap && from->first == into->first ? 0 : go_to_heap(into);
}

void wide_merge(struct wide_sum *into, const struct wide_sum *from)
{
    into->n_infinite += from->n_infinite;
    if (!wide_used(from))
        return;
    uint32_t first, n;
    int64_t *limbs = limbs_of(into, &first, &n);
    if (into->pending >= MAX_PENDING - 1) {
        carry_up(limbs, n);
        into->pending = 1;
    }
    const int64_t *add = from->heap ? from->heap : from->window;
    const uint32_t add_first = from->heap ? 0 : from->first;
    const uint32_t add_n = from->heap ? LIMBS : WIDE_INLINE;
    for (uint32_t i = 0; i < add_n; i++)
        limbs[add_first - first + i] += add[i];
    /* Both had room for 2^30 more; together they may have used it up. */
    const uint64_t pending = (uint64_t)into->pending + from->pending;
    into->pending = pending < MAX_PENDING ? (uint32_t)pending : MAX_PENDING;
}

/* The one form of a sum: sign and magnitude, every limb 0 .. 2^32 - 1. */
struct canonical {
    int64_t limbs[LIMBS + 1];
    uint32_t low, high; /* limbs[low] .. limbs[high - 1]; both 0: zero */
    bool negative;
};

static void canonical_of(const struct wide_sum *sum, struct canonical *c)
{
    memset(c, 0, sizeof(*c));
    if (sum->heap)
        memcpy(c->limbs, sum->heap, LIMBS * sizeof(*sum->heap));
    else
        memcpy(c->limbs + sum->first, sum->window, sizeof(sum->window));
    carry_up(c->limbs, LIMBS + 1);
    if (c->limbs[LIMBS] < 0) {
        for (uint32_t i = 0; i <= LIMBS; i++)
            c->limbs[i] = -c->limbs[i];
        carry_up(c->limbs, LIMBS + 1);
        c->negative = true;
    }
    uint32_t high = LIMBS;
    while (high > 0 && c->limbs[high - 1] == 0)
        high--;
    uint32_t low = 0;
    while (low < high && c->limbs[low] == 0)
        low++;
    c->low = high ? low : 0;
    c->high = high;
}

static double infinite_of(const struct wide_sum *sum)
{
    return sum->n_infinite > 0 ? (double)INFINITY : (double)-INFINITY;
}

double wide_result(const struct wide_sum *sum)
{
    if (sum->n_infinite)
        return infinite_of(sum);
    struct canonical c;
    canonical_of(sum, &c);
    if (c.high == 0)
        return 0;

    /* The highest 64 bits, what lies below them folded into the last: rounds as the whole. */
    unsigned __int128 top = 0;
    int exponent = 32 * ((int)c.high - 3) - BIAS;
    for (uint32_t i = 0; i < 3; i++)
        top = top << 32 | (uint64_t)(c.high > i ? c.limbs[c.high - 1 - i] : 0);
    bool rest = false;
    for (uint32_t i = c.low; i + 3 < c.high; i++)
        rest |= c.limbs[i] != 0;
    while (top >> 64) {
        rest |= (bool)(top & 1);
        top >>= 1;
        exponent++;
    }
    const double magnitude = ldexp((double)((uint64_t)top | rest), exponent);
    return c.negative ? -magnitude : magnitude;
}

quad wide_quad(const struct wide_sum *sum)
{
    if (sum->n_infinite)
        return (quad)infinite_of(sum);
    struct canonical c;
    canonical_of(sum, &c);
    quad total = 0;
    for (uint32_t i = c.low; i < c.high; i++)
        total += (quad)c.limbs[i] * (quad)ldexp(1, 32 * (int)(i / 2) - BIAS / 2) *
                 (quad)ldexp(1, 32 * (int)(i - i / 2) - BIAS / 2);
    return c.negative ? -total : total;
}

/* (number of limbs << 1 | negative) [lowest limb, limbs …], then the infinite terms. */
void wide_save(const struct wide_sum *sum, struct buf *out)
{
    struct canonical c;
    canonical_of(sum, &c);
    const uint32_t n = c.high - c.low;
    buf_varint(out, (uint64_t)n << 2 | (uint64_t)(sum->n_infinite != 0) << 1 | c.negative);
    if (sum->n_infinite)
        buf_zigzag(out, sum->n_infinite);
    if (n)
        buf_u8(out, (uint8_t)c.low);
    for (uint32_t i = c.low; i < c.high; i++)
        buf_u32(out, (uint32_t)c.limbs[i]);
}

int wide_load(struct wide_sum *sum, struct reader *in, struct err *err)
{
    *sum = (struct wide_sum){0};
    const uint64_t head = reader_varint(in);
    const uint64_t n = head >> 2;
    if (head & 2)
        sum->n_infinite = reader_count(in);
    if (n == 0)
        return reader_failed(in) ? err_set(err, ERR_CORRUPT, "state: a sum is cut short") : 0;
    const uint32_t low = reader_u8(in);
    if (reader_failed(in) || n > LIMBS || low + n > LIMBS || reader_left(in) < 4 * n)
        return err_set(err, ERR_CORRUPT, "state: a sum has limbs outside its range");

    sum->first = window_start(low);
    if (!window_holds(sum, low, (uint32_t)n) && go_to_heap(sum))
        return err_set(err, -ENOMEM, "state: no memory for a sum");
    uint32_t first, n_limbs;
    int64_t *limbs = limbs_of(sum, &first, &n_limbs);
    for (uint32_t i = 0; i < n; i++) {
        const int64_t limb = (int64_t)reader_u32(in);
        limbs[low + i - first] = head & 1 ? -limb : limb;
    }
    sum->pending = 2; /* one addition of whole limbs */
    return 0;
}
