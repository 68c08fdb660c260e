#include "common/digits.h"

#include <charconv>

extern "C" size_t digits_general(char out[DIGITS_BYTES], double value, int precision)
{
    std::to_chars_result end =
        std::to_chars(out, out + DIGITS_BYTES - 1, value, std::chars_format::general, precision);
    *end.ptr = '\0';
    return static_cast<size_t>(end.ptr - out);
}

extern "C" void digits_shortest(char out[DIGITS_BYTES], double value)
{
    std::to_chars_result end =
        std::to_chars(out, out + DIGITS_BYTES - 1, value, std::chars_format::scientific);
    *end.ptr = '\0';
}
