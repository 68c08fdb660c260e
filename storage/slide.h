/*
 * The merge of everything in a sliding window, at about three merges an item however long the
 * window is: a queue made of two stacks.
 *
 * Shape    items come in by rising start and leave by rising start. `back` holds what came in and
 *          its running merge; when `front` is empty `back` is turned over, each item merged with
 *          all younger ones, so that its top is always the merge of the whole front.
 *
 *              front (top = oldest)          back
 *              [a+b+c] [b+c] [c]             d e f   and  d+e+f
 *              the window's merge = front's top + back's running merge
 *
 * Owner    slide_push takes the item's states, slide_finish what is left
 * Source   the queue from two stacks is folklore; as an aggregation: Tangwongsan, Hirzel,
 *          Schneider, "Low-latency sliding-window aggregation in worst-case constant time", 2017
 */
#pragma once

#include "stats/metric.h"

struct slide_item {
    int64_t start_ms;
    int64_t end_ms;
    int64_t revision;
    struct states *states;
};

struct slide_stack {
    struct slide_item *items;
    size_t n;
    size_t capacity;
};

struct slide {
    struct slide_stack front;
    struct slide_stack back;
    struct slide_item merged; /* of back, while it has two or more */
};

void slide_init(struct slide *slide);
void slide_finish(struct slide *slide);

/* Takes item->states in any case. */
int slide_push(struct slide *slide, struct slide_item item);

/* Items that start before start_ms leave. */
int slide_drop_before(struct slide *slide, int64_t start_ms);

/* The window's merge as at most two parts, borrowed until the next call that is not this one. */
size_t slide_parts(const struct slide *slide, struct slide_item parts[2]);
