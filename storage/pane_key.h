/*
 * Where a pane is in the B-tree: series, level and start packed into one integer key.
 *
 * Shape    bit 62…35 series id (28 bits) · 34…33 level (0 minute, 1 hour, 2 day) · 32…0 the number
 *          of the pane along time, start_ms / level_ms. So the panes of one series and level lie
 *          side by side, oldest first, and a range of time is a range of keys.
 * Units    level_ms: 60000, 3600000, 86400000 · start_ms: since the epoch, multiple of level_ms
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    N_LEVELS = 3
};
static const int64_t level_lengths_ms[N_LEVELS] = {60000, 3600000, 86400000};

#define PANE_MAX_SERIES ((INT64_C(1) << 28) - 1)
#define PANE_MAX_INDEX ((INT64_C(1) << 33) - 1)

static inline int level_of(int64_t level_ms) /* -1: none of the three */
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (level_lengths_ms[level] == level_ms)
            return level;
    }
    return -1;
}

static inline int64_t pane_key(int64_t series_id, int level, int64_t index)
{
    return series_id << 35 | (int64_t)level << 33 | index;
}

static inline bool pane_valid(int64_t series_id, int64_t level_ms, int64_t start_ms)
{
    return series_id > 0 && series_id <= PANE_MAX_SERIES && level_of(level_ms) >= 0 &&
           start_ms >= 0 && start_ms % level_ms == 0 && start_ms / level_ms <= PANE_MAX_INDEX;
}

static inline int64_t pane_series(int64_t key)
{
    return key >> 35;
}
static inline int pane_level(int64_t key)
{
    return (int)(key >> 33 & 3);
}
static inline int64_t pane_start_ms(int64_t key)
{
    return (key & PANE_MAX_INDEX) * level_lengths_ms[pane_level(key)];
}
