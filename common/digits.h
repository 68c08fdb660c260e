/*
 * The fewest decimal digits that read back as the same double.
 *
 * Shape    "d.ddde+xx", as printf's %e writes it
 * Source   std::to_chars (Ryu: Adams, PLDI 2018), as C has nothing of the kind: trying 15, 16 and
 * 17 digits with snprintf and strtod takes ten times as long
 */
#pragma once

#include <stddef.h>

enum {
    DIGITS_BYTES = 32
};

#ifdef __cplusplus
extern "C" {
#endif

/* `value` is finite. */
void digits_shortest(char out[DIGITS_BYTES], double value);

/* What printf's "%.4g" gives for precision 4, at most 17, in a fifth of its time; its length. */
size_t digits_general(char out[DIGITS_BYTES], double value, int precision);

#ifdef __cplusplus
}
#endif
