/* Pages that no event needs are never touched: they cost addresses, not memory. */
#include "collector/event_room.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"

int event_room_new(struct event_room **out, size_t bytes, struct err *err)
{
    const size_t n_arrays = EVENT_ARRAYS_BYTES + bytes;
    const size_t n_texts = event_texts_bytes(EVENT_MAX_BYTES) + bytes;
    const size_t n_projections = EVENT_PROJECTIONS + bytes / sizeof(double);
    AUTO(event_room) struct event_room *room = calloc(1, sizeof(*room));
    if (room) {
        room->arrays = malloc(n_arrays);
        room->texts = malloc(n_texts);
        room->projections = malloc(n_projections * sizeof(double));
    }
    if (!room || !room->arrays || !room->texts || !room->projections)
        return err_set(err, -ENOMEM, "no memory for decoded events");
    room->arrays_end = room->arrays + n_arrays;
    room->texts_end = room->texts + n_texts;
    room->projections_end = room->projections + n_projections;
    event_room_clear(room);
    *out = room;
    room = NULL; /* the caller owns it now */
    return 0;
}

void event_room_free(struct event_room *room)
{
    if (!room)
        return;
    free(room->arrays);
    free(room->texts);
    free(room->projections);
    free(room);
}
