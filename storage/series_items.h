/*
 * The panes of one series and level in a range of time, merged into items of equal length: what
 * storage/series.c walks over. For that file.
 *
 * Shape    item k covers [start_ms + k * item_ms, … + item_ms). Where the store was lent a
 *          memo, long items are put together from blocks (an hour of minutes, a day of hours, 16
 *          days) and only blocks with a changed pane are read and merged again. Where one window is
 *          all that is asked for (a rule, at each look), short items of it are blocks, too, of ten
 *          minutes, and six of them one of a whole hour: then all panes of a block stand in the
 *          item of the first
 * Errors   as in common/err.h; damaged panes are left out and counted
 */
#pragma once

#include "storage/connection.h"
#include "storage/series.h"
#include "storage/slide.h"

struct series_items {
    struct store *store;
    const struct metric_setup *setup;
    int level;
    int64_t item_ms;
    int64_t start_ms;         /* of items[0]; a multiple of item_ms */
    int64_t end_ms;           /* panes that start before it */
    int64_t lump_ms;          /* one window: so many ms are a block; 0: blocks end with items */
    int64_t part_ms;          /* one window: blocks that a longer one is made of */
    int64_t fresh_ms;         /* one window: panes from here on change at each look */
    struct slide_item *items; /* more is merged into what is there */
    size_t n_damaged;         /* grows */
    bool pane_found;          /* set when there was any */
};

int series_items_read(struct series_items *range, int64_t series_id, struct err *err);
