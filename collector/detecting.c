#include "collector/detecting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/grow.h"

enum {
    WORTH_ROWS = 1024,    /* what waking the thread is worth */
    MOST_ROWS = 16 * 1024 /* beyond, the writer waits for it */
};

int detecting_init(struct detecting *detecting, struct watched_streams *streams, struct err *err)
{
    *detecting = (struct detecting){.streams = streams, .at_hand = &detecting->both[0]};
    for (int i = 0; i < 2; i++)
        detecting->both[i].detecting = detecting;
    return aside_new(&detecting->aside, "detectors", err);
}

void detecting_finish(struct detecting *detecting)
{
    aside_free(detecting->aside);
    for (int i = 0; i < 2; i++) {
        waiting_finish(&detecting->both[i].waiting);
        free(detecting->both[i].looks);
    }
    free(detecting->found);
}

/* --- places --- */

static void place_number(const struct watched_stream *stream, uint64_t hash,
                         struct waiting_item *item)
{
    const struct reference_feature *feature = stream->feature;
    item->place = (uint8_t)change_shape_bin(feature, item->value, hash ^ feature->name_id);
    item->value = waiting_value(item->value);
}

static void place_category(const struct watched_stream *stream, uint64_t hash,
                           struct waiting_item *item)
{
    const struct reference_feature *feature = stream->feature;
    item->place =
        stream->state.method == CHANGE_BY_RATE
            ? item->category == stream->one
            : (uint8_t)change_shape_bin_category(feature, item->category, hash ^ feature->name_id);
    item->value = 0;
}

static void place(const struct watched_streams *streams, uint64_t hash, struct waiting_item *item)
{
    const struct watched_stream *stream = streams->streams[item->stream];
    if (item->kind == WAITING_NUMBER)
        place_number(stream, hash, item);
    else if (item->kind == WAITING_CATEGORY)
        place_category(stream, hash, item);
    item->kind = WAITING_PLACED;
}

static void place_rows(struct looked *looked, size_t end)
{
    const struct waiting_events *waiting = &looked->waiting;
    for (; looked->n_placed < end; looked->n_placed++) {
        const struct waiting_row *row = &waiting->rows[looked->n_placed];
        for (uint32_t k = 0; k < row->n; k++)
            place(looked->detecting->streams, waiting_hash(row), &waiting->items[row->first + k]);
    }
}

/* --- one look after the other --- */

static int keep_found(struct detecting *detecting, const struct watched_stream *stream,
                      int64_t look_ms, const struct change_found *change, struct err *err)
{
    int rc = grow(&detecting->found, &detecting->found_capacity, detecting->n_found + 1,
                  sizeof(*detecting->found), "collector: changes that were found", err);
    if (!rc)
        detecting->found[detecting->n_found++] =
            (struct found){stream, look_ms, *change, stream->reference};
    return rc;
}

static int take_row(struct looked *looked, const struct waiting_row *row, int64_t look_ms,
                    struct err *err)
{
    struct detecting *const detecting = looked->detecting;
    const int64_t ts_ms = waiting_ts_ms(row);
    const struct waiting_item *const items = looked->waiting.items + row->first;
    for (uint32_t i = 0; i < row->n; i++) {
        struct watched_stream *stream = detecting->streams->streams[items[i].stream];
        struct change_found change;
        stream->dirty = true;
        int rc = change_stream_update(&stream->state, ts_ms, items[i].place, items[i].value,
                                      &change, err);
        if (rc == 1)
            rc = keep_found(detecting, stream, look_ms, &change, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int take_look(struct looked *looked, const struct look *look, size_t from, struct err *err)
{
    struct waiting_events *const waiting = &looked->waiting;
    place_rows(looked, look->end);
    int rc = waiting_order(waiting, from, look->end, look->since_ms, err);
    for (size_t i = from; !rc && i < look->end; i++)
        rc = take_row(looked, &waiting->rows[i], look->look_ms, err);
    return rc;
}

/* What looks cover is taken, and goes. */
static void take_looks(void *context)
{
    struct looked *const looked = context;
    struct detecting *const detecting = looked->detecting;
    size_t from = 0;
    for (size_t i = 0; !detecting->failed && i < looked->n_looks; i++) {
        detecting->failed = take_look(looked, &looked->looks[i], from, &detecting->why);
        from = looked->looks[i].end;
    }
    waiting_drop(&looked->waiting, from);
    looked->n_placed -= looked->n_placed < from ? looked->n_placed : from;
    looked->n_looks = 0;
}

/* --- with the thread, or without --- */

/* Until the thread is free. */
static int catch_up(struct detecting *detecting, struct err *err)
{
    aside_wait(detecting->aside);
    if (detecting->failed && err)
        *err = detecting->why;
    return detecting->failed;
}

static int hand_over(struct detecting *detecting, struct err *err)
{
    struct looked *const looked = detecting->at_hand;
    int rc = catch_up(detecting, err);
    if (rc)
        return rc;
    if (aside_give(detecting->aside, take_looks, looked)) {
        detecting->at_hand = &detecting->both[looked == &detecting->both[0]];
        return 0;
    }
    take_looks(looked);
    return catch_up(detecting, err);
}

int detecting_look(struct detecting *detecting, int64_t look_ms, struct err *err)
{
    struct looked *const looked = detecting->at_hand;
    const size_t n_rows = looked->waiting.n_rows;
    const size_t covered = looked->n_looks ? looked->looks[looked->n_looks - 1].end : 0;
    const struct look look = {detecting->looked_ms, look_ms, n_rows};
    detecting->looked_ms = look_ms;
    if (n_rows == covered)
        return 0;
    int rc = grow(&looked->looks, &looked->looks_capacity, looked->n_looks + 1,
                  sizeof(*looked->looks), "collector: looks", err);
    if (rc)
        return rc;
    looked->looks[looked->n_looks++] = look;
    detecting->turn++;
    const size_t enough = aside_is_free(detecting->aside) ? WORTH_ROWS : MOST_ROWS;
    return n_rows >= enough ? hand_over(detecting, err) : 0;
}

bool detecting_is_behind(const struct detecting *detecting)
{
    return detecting->at_hand->n_looks || !aside_is_free(detecting->aside);
}

int detecting_settle(struct detecting *detecting, struct err *err)
{
    struct looked *const looked = detecting->at_hand;
    int rc = catch_up(detecting, err);
    if (rc)
        return rc;
    if (looked->n_looks)
        take_looks(looked);
    place_rows(looked, looked->waiting.n_rows);
    return catch_up(detecting, err);
}

/* Only those of features have one. */
static bool is_of_another(const struct watched_stream *stream)
{
    const struct reference *now = stream->series->version->model->profiling.reference;
    return stream->state.reference && stream->state.reference != (now ? now->id : 0);
}

void detecting_references_changed(struct detecting *detecting)
{
    struct looked *const looked = detecting->at_hand;
    struct waiting_events *const waiting = &looked->waiting;
    size_t n = 0;
    for (size_t i = 0; i < waiting->n_rows; i++) {
        struct waiting_row row = waiting->rows[i];
        struct waiting_item *const items = waiting->items + row.first;
        uint32_t kept = 0;
        for (uint32_t k = 0; k < row.n; k++)
            if (!is_of_another(detecting->streams->streams[items[k].stream]))
                items[kept++] = items[k];
        row.n = kept;
        if (kept)
            waiting->rows[n++] = row;
    }
    waiting->n_rows = looked->n_placed = n;
    detecting->turn++;
}

int detecting_forget(struct detecting *detecting, const char *model, struct err *err)
{
    struct looked *const looked = detecting->at_hand;
    struct waiting_events *const waiting = &looked->waiting;
    int rc = detecting_settle(detecting, err);
    if (rc)
        return rc;
    size_t n = 0;
    for (size_t i = 0; i < waiting->n_rows; i++) { /* a row is of one model's event */
        const struct waiting_item *first = &waiting->items[waiting->rows[i].first];
        const struct watched_stream *stream = detecting->streams->streams[first->stream];
        if (strcmp(watched_key(stream).model, model) != 0)
            waiting->rows[n++] = waiting->rows[i];
    }
    waiting->n_rows = looked->n_placed = n;
    detecting->turn++;
    return 0;
}

void detecting_drop(struct detecting *detecting)
{
    waiting_clear(&detecting->at_hand->waiting);
    detecting->at_hand->n_placed = 0;
    detecting->turn++;
}
