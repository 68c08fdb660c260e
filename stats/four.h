/*
 * Four doubles at once, with logarithm and exponential.
 *
 * Shape    GCC's vectors: what is made of them runs on any processor, quicker where it is made for
 *          AVX2. Lanes do not meet and nothing is fused, so that each is the same to the bit
 *          everywhere
 * Units    four_log: of normal numbers > 0; of 0 something finite, so that 0 × it is 0 · four_exp:
 *          of -700 to 700. Both are within one unit in the last place
 * Errors   none: other arguments give some number
 * Threads  any
 * Source   Muller, Elementary Functions: ln of (1 + s) / (1 - s) as an odd series, e^r by the
 *          even part of r (e^r + 1) / (e^r - 1). Polynomials are minimax on their intervals (Remez's
 *          exchange in 60 digits): relative errors 2^-58.5 and 2^-59
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define FOUR_INLINE static inline __attribute__((always_inline)) /* into what is made for AVX2 */

#define LN2_HIGH 0x1.62e42feep-1 /* 33 bits: times an exponent it is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33

enum {
    LANES = 4
};

typedef double four __attribute__((vector_size(32)));
typedef uint64_t four_bits __attribute__((vector_size(32)));
typedef int64_t four_signs __attribute__((vector_size(32))); /* of a comparison */

#pragma GCC diagnostic ignored "-Wpsabi" /* everything here is inlined: no call passes a vector */

FOUR_INLINE four four_of(double x)
{
    return (four){x, x, x, x};
}

FOUR_INLINE four four_read(const double *from)
{
    four x;
    memcpy(&x, from, sizeof(x));
    return x;
}

FOUR_INLINE void four_write(double *into, four x)
{
    memcpy(into, &x, sizeof(x));
}

FOUR_INLINE double four_sum(four x)
{
    return (x[0] + x[1]) + (x[2] + x[3]);
}

/* `a` in the lanes where `when` is -1, `b` where it is 0. */
FOUR_INLINE four four_choose(four_signs when, four a, four b)
{
    return (four)((when & (four_signs)a) | (~when & (four_signs)b));
}

/* x = 2^k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2). */
FOUR_INLINE four four_log(four x)
{
    const four_bits half_up =
        (four_bits){0} + UINT64_C(0x3ff0000000000000) - UINT64_C(0x3fe6a09e667f3bcd);
    const four_bits bits = (four_bits)x + half_up;
    const four_bits mantissa = (bits & UINT64_C(0x000fffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd);
    /* an exponent below 2^52 as a double: in the last places of 2^52 */
    const four_bits exponent = (bits >> 52) | UINT64_C(0x4330000000000000);
    const four k = (four)exponent - (0x1p52 + 1023), f = (four)mantissa - 1.0;
    const four s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    const four even =
        w * (0.3999999999941467836 + w * (0.2222219857318452481 + w * 0.1531405055211272821));
    const four odd =
        z * (0.6666666666666734412 +
             w * (0.2857142874238762273 + w * (0.1818356432611967460 + w * 0.1479594970058272368)));
    const four rest = s * (half + even + odd) + k * LN2_LOW;
    return k * LN2_HIGH - ((half - rest) - f);
}

/* x = k ln 2 + r: e^x = 2^k e^r. */
FOUR_INLINE four four_exp(four x)
{
    const four at = x * 1.44269504088896338700 + (0x1.8p52 + 1023); /* rounded to the nearest */
    const four k = at - (0x1.8p52 + 1023);
    const four high = x - k * LN2_HIGH, low = k * LN2_LOW;
    const four r = high - low, t = r * r;
    const four c =
        r - t * (0.1666666666666660213 +
                 t * (-2.777777777701583104e-3 +
                      t * (6.613756321569690838e-5 +
                           t * (-1.653390237903549951e-6 + t * 4.138143764750265344e-8))));
    const four e_r = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    const four power = (four)((four_bits)at << 52);
    return e_r * power;
}
