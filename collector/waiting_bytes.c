#include "collector/waiting_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/grow.h"

enum {
    FORM = 4,
    FORM_OF_ONE = 3,   /* the last that was one piece */
    FORM_OF_ITEMS = 2, /* the last in which an event stood there again for each stream */
    LEAST_ITEM = 2     /* bytes */
};

static void save_text(struct buf *out, const char *text)
{
    buf_string(out, text, strlen(text));
}

static void save_streams(const struct watched_streams *streams, size_t from, struct buf *out)
{
    buf_varint(out, from);
    buf_varint(out, streams->n - from);
    for (size_t i = from; i < streams->n; i++) {
        const struct change_key key = watched_key(streams->streams[i]);
        save_text(out, key.model);
        save_text(out, key.version);
        save_text(out, key.slice);
        save_text(out, key.kind);
        save_text(out, key.name);
    }
}

/* Rates and categories have no value beside their place. */
static void save_item(const struct waiting_item *item, struct buf *out)
{
    const float value = (float)item->value;
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    buf_varint(out, (uint64_t)item->stream << 1 | (bits != 0));
    buf_u8(out, item->place);
    if (bits)
        buf_u32(out, bits);
}

void waiting_save(const struct waiting_events *waiting, const struct watched_streams *streams,
                  const struct waiting_saved *saved, struct buf *out)
{
    int64_t before_ms = 0;
    buf_varint(out, 0);
    buf_u8(out, FORM);
    save_streams(streams, saved->n_streams, out);
    buf_varint(out, waiting->n_rows - saved->n_rows);
    for (size_t i = saved->n_rows; i < waiting->n_rows; i++) {
        const struct waiting_row *row = &waiting->rows[i];
        const int64_t ts_ms = waiting_ts_ms(row);
        buf_zigzag(out, (int64_t)((uint64_t)ts_ms - (uint64_t)before_ms));
        buf_u64(out, waiting_hash(row));
        buf_varint(out, row->n);
        for (uint32_t k = 0; k < row->n; k++)
            save_item(&waiting->items[row->first + k], out);
        before_ms = ts_ms;
    }
}

/* --- back --- */

struct loading {
    struct waiting_loading *all;
    struct reader in;
};

static int damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "events that wait for a look: the bytes are damaged");
}

static int read_text(struct reader *in, char *out, size_t room)
{
    size_t n;
    const char *text = reader_string(in, &n);
    if (!text || n >= room)
        return -1;
    memcpy(out, text, n);
    out[n] = '\0';
    return 0;
}

static int read_stream(struct reader *in, struct watched_streams *streams, struct models *models,
                       unsigned form, struct watched_stream **out, struct err *err)
{
    char texts[5][WATCHED_MAX_NAME] = {""};
    for (int i = 0; i < 5; i++)
        if ((i != 2 || form > 1) && read_text(in, texts[i], sizeof(texts[i])))
            return damaged(err);
    const struct change_key key = {texts[0], texts[1], texts[2], texts[3], texts[4]};
    const int rc = watched_by_key(streams, models, &key, out, err);
    if (*out && (*out)->state.reference && (*out)->dirty)
        *out = NULL; /* it begins anew: its places were those of another reference */
    return rc;
}

/* There is room for it. A stream that is watched in another way now, by another reference, has no
   use for it. */
static int take_item(struct loading *loading, uint64_t stream, unsigned place, uint32_t bits,
                     struct err *err)
{
    float value;
    const struct waiting_loading *all = loading->all;
    if (reader_failed(&loading->in) || stream >= all->n_streams)
        return damaged(err);
    const struct watched_stream *watched = all->streams[stream];
    if (!watched || place >= change_stream_places(&watched->state))
        return 0;
    memcpy(&value, &bits, sizeof(value));
    waiting_add(all->waiting, watched->number, place, (double)value);
    return 0;
}

static int read_row(struct loading *loading, int64_t *ts_ms, struct err *err)
{
    struct reader *in = &loading->in;
    *ts_ms = (int64_t)((uint64_t)*ts_ms + (uint64_t)reader_zigzag(in));
    const uint64_t hash = reader_u64(in), n = reader_varint(in);
    if (reader_failed(in) || n > reader_left(in) / LEAST_ITEM)
        return damaged(err);
    int rc = waiting_begin(loading->all->waiting, *ts_ms, hash, n, err);
    if (rc)
        return rc;
    for (uint64_t i = 0; !rc && i < n; i++) {
        const uint64_t stream = reader_varint(in);
        const unsigned place = reader_u8(in);
        rc = take_item(loading, stream >> 1, place, stream & 1 ? reader_u32(in) : 0, err);
    }
    waiting_end(loading->all->waiting);
    return rc;
}

/* A row of its own: which events of other streams it came with does not matter. */
static int read_single(struct loading *loading, struct err *err)
{
    struct reader *in = &loading->in;
    const uint64_t stream = reader_varint(in);
    const int64_t ts_ms = reader_zigzag(in);
    const uint64_t hash = reader_u64(in);
    const unsigned place = reader_u8(in);
    const uint32_t bits = reader_u32(in);
    int rc = waiting_begin(loading->all->waiting, ts_ms, hash, 1, err);
    if (rc)
        return rc;
    rc = take_item(loading, stream, place, bits, err);
    waiting_end(loading->all->waiting);
    return rc;
}

/* Those that the piece names have the next numbers. */
static int read_streams(struct loading *loading, unsigned form, size_t n, struct err *err)
{
    struct waiting_loading *const all = loading->all;
    int rc =
        grow(&all->streams, &all->capacity, all->n_streams + n, sizeof(struct watched_stream *),
             "collector: streams that something waits for", err);
    for (size_t i = 0; !rc && i < n; i++) {
        struct watched_stream **const out = &all->streams[all->n_streams];
        rc = read_stream(&loading->in, all->watched, all->models, form, out, err);
        all->n_streams += rc == 0;
    }
    return rc;
}

int waiting_load(struct waiting_loading *loading, const void *bytes, size_t n, struct err *err)
{
    struct loading piece = {.all = loading, .in = reader_of(bytes, n)};
    struct reader *in = &piece.in;
    unsigned form = 1;
    uint64_t n_named = reader_varint(in), n_before = 0;
    if (n_named == 0) {
        form = reader_u8(in);
        n_before = form > FORM_OF_ONE ? reader_varint(in) : 0;
        n_named = reader_varint(in);
    }
    if (form > FORM || n_named > n || n_before != loading->n_streams)
        return damaged(err);
    int rc = read_streams(&piece, form, n_named, err);
    const uint64_t n_events = rc ? 0 : reader_varint(in);
    int64_t ts_ms = 0;
    for (uint64_t i = 0; !rc && i < n_events; i++)
        rc = form > FORM_OF_ITEMS ? read_row(&piece, &ts_ms, err) : read_single(&piece, err);
    return rc;
}

void waiting_loading_finish(struct waiting_loading *loading)
{
    free(loading->streams);
}
