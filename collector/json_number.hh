/*
 * JSON's numbers: the grammar, and the double next to what is written. C++, included by
 * json_walk.hh alone.
 *
 * Shape    a token is followed by a byte that is not a digit
 * Source   one rounding where digits and power are exact: Clinger, "How to read floating point
 *          numbers accurately", 1990; std::from_chars otherwise
 */
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

extern "C" {
#include "collector/event.h"
}

namespace
{

inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Powers of ten that a double holds exactly. */
constexpr double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

struct number_scan {
    uint64_t digits;   /* all digits, without the point; meaningful up to 19 of them */
    uint32_t n_digits; /* without leading zeros */
    int32_t n_fraction;
    int64_t exponent; /* as written after the e */
    bool whole;       /* neither point nor exponent */
    bool minus;
};

struct number {
    double value;
    bool valid;  /* it is one */
    bool finite; /* and a double can hold it */
    view token;
    number_scan scan;
};

inline const char *digits_scan(const char *p, uint64_t *digits)
{
    for (unsigned digit; (digit = (unsigned char)*p - (unsigned)'0') <= 9; p++)
        *digits = *digits * 10 + digit;
    return p;
}

const char *exponent_scan(const char *p, int64_t *exponent)
{
    const bool minus = *p == '-';
    p += *p == '-' || *p == '+';
    if (!is_digit(*p))
        return nullptr;
    for (; is_digit(*p); p++)
        if (*exponent < INT32_MAX)
            *exponent = *exponent * 10 + (*p - '0');
    if (minus)
        *exponent = -*exponent;
    return p;
}

/* Eight digits (0..9, not '0'..'9'), the first in the lowest byte. */
inline uint32_t eight_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    constexpr uint64_t mask = UINT64_C(0x000000ff000000ff);
    return (uint32_t)(((digits & mask) * UINT64_C(0x000f424000000064) +
                       ((digits >> 16) & mask) * UINT64_C(0x0000271000000001)) >>
                      32);
}

inline uint64_t load_8(const char *p)
{
    uint64_t eight;
    memcpy(&eight, p, 8);
    return eight;
}

/* A number without exponent: its digits without the point, and how many stand behind that. */
struct plain_number {
    uint64_t digits;
    uint32_t n_fraction;
};

/*
 * The n characters at p (n ≤ 8 or 16, as many as Word has) as a plain number without a loop: the
 * branches of one follow the length of each number, which nobody can foretell. False: it is not of
 * that kind, or no number at all, or one that starts with a 0 it should not have.
 */
template <typename Word> inline bool plain_scan(const char *p, uint32_t n, plain_number *out)
{
    constexpr uint32_t room = sizeof(Word);
    constexpr Word ones = ~(Word)0 / 255;
    Word digits;
    memcpy(&digits, p, room);
    digits ^= ones * '0';
    digits &= ~(Word)0 >> (8 * (room - n));
    /* Seven bits of a byte above 9, or its eighth: not a digit. */
    const Word others = ((digits + ones * 0x76) | digits) & (ones * 0x80);
    uint32_t n_whole = n;
    if (others) {
        const uint64_t low = (uint64_t)others;
        const uint32_t at = low ? (uint32_t)__builtin_ctzll(low) / 8
                                : 8 + (uint32_t)__builtin_ctzll((uint64_t)(others >> 4 * room)) / 8;
        if ((others & (others - 1)) || p[at] != '.' || at == 0 || at + 1 == n)
            return false;
        const Word before = digits & (((Word)1 << (8 * at)) - 1);
        digits = before | (digits >> (8 * at) >> 8) << (8 * at);
        n_whole = at;
        n--;
    }
    if (n_whole > 1 && ((uint32_t)digits & 0xff) == 0)
        return false;
    digits <<= 8 * (room - n);
    out->digits = eight_digits((uint64_t)digits);
    if (room == 16)
        out->digits = out->digits * 100000000 + eight_digits((uint64_t)(digits >> 4 * room));
    out->n_fraction = n - n_whole;
    return true;
}

/*
 * The value of a number of at most 16 digits and no exponent, as most are. 16 bytes can be read
 * from its start. False: it may be any other number, or none.
 */
inline bool plain_value(view token, double *out)
{
    const bool minus = token.data[0] == '-';
    const char *p = token.data + minus;
    const uint32_t n = token.size - minus;
    plain_number number;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || n - 1 >= 16)
        return false;
    if (!(n <= 8 ? plain_scan<uint64_t>(p, n, &number)
                 : plain_scan<unsigned __int128>(p, n, &number)) ||
        number.digits > UINT64_C(1) << 53)
        return false;
    /* Digits and power are both exact doubles: one rounding, the right one (Clinger 1990). */
    const double value = (double)(int64_t)number.digits / exact_powers[number.n_fraction];
    *out = minus ? -value : value;
    return true;
}

/* JSON's grammar for a number, all of the token. What follows a token is never a digit. */
inline bool number_scan_token(view token, number_scan *scan)
{
    const char *p = token.data, *const end = token.data + token.size;
    *scan = {};
    scan->minus = *p == '-';
    scan->whole = true;
    p += scan->minus;
    const char *first = p;
    p = digits_scan(p, &scan->digits);
    const int64_t n_whole = p - first;
    if (n_whole == 0 || (n_whole > 1 && *first == '0'))
        return false;
    scan->n_digits = (uint32_t)n_whole;
    if (*p == '.') {
        const char *fraction = p + 1;
        p = digits_scan(fraction, &scan->digits);
        scan->n_fraction = (int32_t)(p - fraction);
        if (p == fraction)
            return false;
        scan->whole = false;
        scan->n_digits += (uint32_t)scan->n_fraction;
    }
    if (*first == '0') /* leading zeros do not count */
        for (const char *zero = first; scan->n_digits && (*zero == '0' || *zero == '.'); zero++)
            scan->n_digits -= *zero == '0';
    if (*p == 'e' || *p == 'E') {
        scan->whole = false;
        p = exponent_scan(p + 1, &scan->exponent);
    }
    return p == end;
}

bool number_value_slow(view token, const number_scan &scan, double *out)
{
    auto result = std::from_chars(token.data, token.data + token.size, *out);
    if (result.ec == std::errc())
        return std::isfinite(*out);
    /* Out of range: too near to zero is zero, too large is not a number we can keep. */
    *out = scan.minus ? -0.0 : 0.0;
    return scan.n_digits == 0 || scan.exponent - scan.n_fraction + scan.n_digits <= 0;
}

/* False: beyond what a double can hold. */
inline bool number_value(view token, const number_scan &scan, double *out)
{
    /* Digits and power are both exact doubles: one rounding, the right one (Clinger 1990). */
    const int64_t power = scan.exponent - scan.n_fraction;
    if (scan.n_digits <= 19 && scan.digits <= (UINT64_C(1) << 53) && power >= -22 && power <= 22) {
        double value = (double)scan.digits;
        if (power < 0)
            value /= exact_powers[-power];
        else if (power > 0)
            value *= exact_powers[power];
        *out = scan.minus ? -value : value;
        return true;
    }
    return number_value_slow(token, scan, out);
}

} // namespace
