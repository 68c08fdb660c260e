/*
 * Where decoded events that stay have their arrays and the texts that had to be made: one event
 * behind the other, until all are cleared.
 *
 * Owner    event_room_new gives, event_room_free takes
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/event.h"
#include "stats/projection.h"

enum {
    EVENT_PROJECTIONS = PROJECTION_BUCKETS * EVENT_MAX_KEYS, /* every feature is a vector */
    /* All arrays that one event may have, full. */
    EVENT_ARRAYS_BYTES = 5 * EVENT_MAX_KEYS * sizeof(struct named_value) +
                         EVENT_MAX_KEYS * sizeof(struct class_confusion) +
                         EVENT_MAX_ITEMS * sizeof(struct view)
};

struct event_room {
    char *arrays, *arrays_next, *arrays_end;
    char *texts, *texts_next, *texts_end;
    double *projections, *projections_next, *projections_end; /* of features that are vectors */
};

/* For an event of any size and, besides, `bytes` of each kind. */
int event_room_new(struct event_room **out, size_t bytes, struct err *err);
void event_room_free(struct event_room *room);
DEFINE_FREEP(event_room)

/*
 * Every text that has to be made of n bytes. A number as a class is at most five times as long as
 * its token with the comma ("9e20," gives 21 digits); an unescaped string is never longer.
 */
static inline size_t event_texts_bytes(size_t n)
{
    return 5 * n + 64;
}

static inline void event_room_clear(struct event_room *room)
{
    room->arrays_next = room->arrays;
    room->texts_next = room->texts;
    room->projections_next = room->projections;
}

/* Does an event of n bytes surely find its place? */
static inline bool event_room_has(const struct event_room *room, size_t n)
{
    return (size_t)(room->arrays_end - room->arrays_next) >= EVENT_ARRAYS_BYTES &&
           room->projections_end - room->projections_next >= EVENT_PROJECTIONS &&
           (size_t)(room->texts_end - room->texts_next) >= event_texts_bytes(n);
}
