/*
 * Sorting by one member, made for its type: no call per comparison, and what is sorted already (a
 * state as it was loaded) costs one look at each item.
 *
 * Shape    DEFINE_SORT(name, type, member) gives
 *          static inline void name(type *items, size_t n, type *scratch): ascending, stable;
 *          scratch has room for n items
 * Units    member: anything that < compares; no NaN
 * Errors   none
 */
#pragma once

#include <stddef.h>
#include <string.h>

enum {
    SORT_RUN = 12 /* items sorted by insertion before runs are merged */
};

/* clang-format off */
#define DEFINE_SORT(name, type, member)                                                           \
    static inline void name##_run(type *items, size_t n)                                          \
    {                                                                                             \
        for (size_t i = 1; i < n; i++) {                                                          \
            type item = items[i];                                                                 \
            size_t at = i;                                                                        \
            for (; at > 0 && item.member < items[at - 1].member; at--)                            \
                items[at] = items[at - 1];                                                        \
            items[at] = item;                                                                     \
        }                                                                                         \
    }                                                                                             \
    static inline void name##_merge(const type *a, size_t n_a, const type *b, size_t n_b,         \
                                    type *out)                                                    \
    {                                                                                             \
        const type *const a_end = a + n_a, *const b_end = b + n_b;                                \
        while (a < a_end && b < b_end) {                                                          \
            const _Bool second = b->member < a->member;                                           \
            *out++ = second ? *b : *a;                                                            \
            a += !second;                                                                         \
            b += second;                                                                          \
        }                                                                                         \
        for (; a < a_end; a++)                                                                    \
            *out++ = *a;                                                                          \
        for (; b < b_end; b++)                                                                    \
            *out++ = *b;                                                                          \
    }                                                                                             \
    static inline void name(type *items, size_t n, type *scratch)                                 \
    {                                                                                             \
        size_t ascending = 1;                                                                     \
        while (ascending < n && !(items[ascending].member < items[ascending - 1].member))         \
            ascending++;                                                                          \
        if (ascending >= n)                                                                       \
            return;                                                                               \
        for (size_t i = 0; i < n; i += SORT_RUN)                                                  \
            name##_run(items + i, n - i < SORT_RUN ? n - i : SORT_RUN);                           \
        type *from = items, *to = scratch;                                                        \
        for (size_t run = SORT_RUN; run < n; run *= 2) {                                          \
            for (size_t i = 0; i < n; i += 2 * run) {                                             \
                const size_t n_a = n - i < run ? n - i : run;                                     \
                const size_t left = n - i - n_a;                                                  \
                name##_merge(from + i, n_a, from + i + n_a, left < run ? left : run, to + i);     \
            }                                                                                     \
            type *swap = from;                                                                    \
            from = to;                                                                            \
            to = swap;                                                                            \
        }                                                                                         \
        if (from != items)                                                                        \
            memcpy(items, from, n * sizeof(*items));                                              \
    }
/* clang-format on */
