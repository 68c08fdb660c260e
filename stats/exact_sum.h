/*
 * Sums that forget the order they were made in: any order, any split, and what was put in can be
 * taken out again, to the last bit.
 *
 * Shape    fixed_sum: one 128-bit integer in units of 2^-scale, for values of known size
 *          (probabilities, losses, milliseconds) · wide_sum: a superaccumulator, int64 limbs at
 *          32-bit steps, for any finite double
 * Units    fixed_sum keeps |x| < 2^(120 - scale) to 2^-scale, cut towards zero; larger ones count
 *          as that limit. wide_sum keeps every bit
 * Owner    a wide_sum may own heap memory once its values spread over more than 2^100:
 *          wide_finish. A wide_sum of all zeros is an empty one
 * Errors   wide_room and wide_room_merge: -ENOMEM, nothing changed. After them wide_add and
 *          wide_merge cannot fail. An infinite term is counted: the result is infinite until it
 *          is taken out. NaN must not come
 * Threads  one at a time
 * Source   Kulisch's long accumulator, with 32-bit digits kept in 64-bit limbs so that carries
 *          wait (Neal, "Fast exact summation using small and large superaccumulators", 2015)
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"

/* Wide enough for the difference of two exact sums. */
#if defined(__SIZEOF_FLOAT128__)
typedef __float128 quad;
#else
typedef long double quad;
#endif

struct fixed_sum {
    unsigned __int128 units; /* two's complement: wraps instead of undefined behaviour */
};

/* x in units of 2^-scale, cut towards zero; the sign apart so that sums can be undone. */
static inline unsigned __int128 fixed_units(double x, int scale)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    const int exponent = (int)(bits >> 52 & 0x7ff);
    const uint64_t mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | (UINT64_C(1) << 52);
    const int shift = exponent - 1075 + scale;
    unsigned __int128 units = 0;
    if (shift >= 120 - 53 + 1)
        units = (unsigned __int128)1 << 120;
    else if (shift >= 0)
        units = (unsigned __int128)mantissa << shift;
    else if (shift > -64)
        units = mantissa >> -shift;
    return bits >> 63 ? -units : units;
}

static inline void fixed_add(struct fixed_sum *sum, double x, int scale, int sign)
{
    const unsigned __int128 units = fixed_units(x, scale);
    sum->units += sign > 0 ? units : -units;
}

static inline void fixed_merge(struct fixed_sum *into, const struct fixed_sum *from)
{
    into->units += from->units;
}

double fixed_result(const struct fixed_sum *sum, int scale);
void fixed_save(const struct fixed_sum *sum, struct buf *out);
void fixed_load(struct fixed_sum *sum, struct reader *in);

enum {
    WIDE_INLINE = 6
};

struct wide_sum {
    int64_t *heap;               /* all limbs; NULL: the inline window */
    int64_t window[WIDE_INLINE]; /* limbs first .. first + 5 */
    int64_t n_infinite;          /* infinite terms in it */
    uint32_t first;              /* index of window[0]; only with used */
    uint32_t pending;            /* additions since carries were last moved up, + 1 once used */
};

void wide_finish(struct wide_sum *sum);
int wide_room(struct wide_sum *sum, double x);
void wide_add(struct wide_sum *sum, double x, int sign);
int wide_room_merge(struct wide_sum *into, const struct wide_sum *from);
void wide_merge(struct wide_sum *into, const struct wide_sum *from);

/* Rounded to nearest; subnormal results may be off by one unit. */
double wide_result(const struct wide_sum *sum);
/* The same to 113 bits, for differences that cancel. */
quad wide_quad(const struct wide_sum *sum);

void wide_save(const struct wide_sum *sum, struct buf *out);
int wide_load(struct wide_sum *sum, struct reader *in, struct err *err);
