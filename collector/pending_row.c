/*
 * What a segment looks like in the database: rows, each the records that came since the last
 * commit and patches to older ones.
 *
 *   row     := format u8 · life u8 · expires zigzag · base_ts zigzag · first unit varint · item …
 *   item    := tag u8 (kind, which parts follow) · flags u8 · id 16 bytes · ts - previous zigzag
 *              · owner varint · parts
 *   patch   := tag u8 · unit varint · flags u8 · chain varint · label or number
 *   class   := 0 absent · 1 + id u64 (takes the next number) · 2 + number
 *   scores  := n varint · n × (class · score); with HAS_TAIL they are items: n × u64
 *
 * A prediction of a binary model with two slices takes about 40 bytes. Records keep their place
 * when a row is read back, so that chains and patches may name units.
 */
#include "collector/pending_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_FORMAT = 1,
    KIND_MASK = 3,
    KIND_PATCH = 3,
    HAS_NUMBER = 1 << 2,
    HAS_CLASS = 1 << 3,
    HAS_CHAIN = 1 << 4,
    HAS_SLICES = 1 << 5,
    HAS_HASH = 1 << 6,
    HAS_TAIL = 1 << 7,
    MAX_CODES = 1024, /* classes that one row names by number */
    MAX_REWRITES = 4, /* whole segments a commit */
};

static void write_class(struct pending *pending, uint32_t handle, uint32_t *n_codes)
{
    struct class_table *table = &pending->classes;
    if (handle == 0) {
        buf_u8(&pending->row, 0);
    } else if (table->epochs[handle] == pending->epoch) {
        buf_varint(&pending->row, 2 + (uint64_t)table->codes[handle]);
    } else {
        buf_u8(&pending->row, 1);
        buf_u64(&pending->row, table->ids[handle]);
        if (*n_codes < MAX_CODES) {
            table->epochs[handle] = pending->epoch;
            table->codes[handle] = (uint16_t)(*n_codes)++;
        }
    }
}

static void write_label(struct pending *pending, const struct record *record, uint32_t *n_codes)
{
    if (record->flags & RECORD_LABEL_VALUE)
        buf_double(&pending->row, record->label.value);
    else
        write_class(pending, record->label.class, n_codes);
}

static void write_prediction(struct pending *pending, const struct record *record,
                             uint32_t *n_codes)
{
    const struct pending_names *names = &pending->options.names;
    struct buf *row = &pending->row;
    if (record->n_slices) {
        const uint16_t *slices = record_slices(record);
        buf_varint(row, record->n_slices);
        for (uint32_t i = 0; i < record->n_slices; i++)
            buf_varint(row, (uint64_t)names->series_id(names->context, record->series, slices[i]));
    }
    if (record->flags & RECORD_LABELLED)
        write_label(pending, record, n_codes);
    if (record->flags & RECORD_UNIT)
        buf_u64(row, record_unit(record));
    const uint64_t *items;
    uint32_t n_items = record_items(record, &items);
    if (n_items) {
        buf_varint(row, n_items);
        for (uint32_t i = 0; i < n_items; i++)
            buf_u64(row, items[i]);
    } else if (record->flags & RECORD_SCORES) {
        const struct class_score *scores;
        uint32_t n = record_scores(record, &scores);
        buf_varint(row, n);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t handle = 0;
            /* The class was given a handle when the record was made: this finds it. */
            if (pending_class_handle(pending, scores[i].class_id, &handle, NULL))
                row->failed = true;
            write_class(pending, handle, n_codes);
            buf_double(row, scores[i].score);
        }
    }
}

static void write_record(struct pending *pending, const struct record *record, int64_t *previous_ts,
                         uint32_t *n_codes)
{
    const struct pending_names *names = &pending->options.names;
    struct buf *row = &pending->row;
    bool prediction = record->kind == RECORD_PREDICTION;
    bool has_number = !isnan(record->number);
    const uint64_t *items;
    bool has_tail = prediction ? record_items(record, &items) > 0 : record->n_slices > 0;
    buf_u8(
        row,
        (uint8_t)(record->kind | (has_number ? HAS_NUMBER : 0) |
                  (prediction && record->class ? HAS_CLASS : 0) | (record->chain ? HAS_CHAIN : 0) |
                  (prediction && record->n_slices ? HAS_SLICES : 0) |
                  (!prediction && record->label.hash ? HAS_HASH : 0) | (has_tail ? HAS_TAIL : 0)));
    buf_u8(row, record->flags & (uint8_t)~RECORD_CHANGED);
    buf_u64(row, record->id.high);
    buf_u64(row, record->id.low);
    buf_zigzag(row, (int64_t)((uint64_t)record->ts_ms - (uint64_t)*previous_ts));
    *previous_ts = record->ts_ms;
    buf_varint(row, (uint64_t)(prediction ? names->series_id(names->context, record->series, -1)
                                          : names->partition_id(names->context, record->series)));
    if (has_number)
        buf_double(row, record->number);
    if (prediction && record->class)
        write_class(pending, record->class, n_codes);
    if (record->chain)
        buf_varint(row, record->chain);
    if (prediction) {
        write_prediction(pending, record, n_codes);
        return;
    }
    if (record->label.hash)
        buf_u64(row, record->label.hash);
    if (record->n_slices) {
        struct view text = record_text(record);
        buf_zigzag(row, (int64_t)((uint64_t)record_newest_ts(record) - (uint64_t)record->ts_ms));
        buf_string(row, text.data, text.size);
    }
}

static void write_patch(struct pending *pending, const struct record *record, uint32_t *n_codes)
{
    struct buf *row = &pending->row;
    buf_u8(row, KIND_PATCH);
    buf_varint(row, unit_of(record));
    buf_u8(row, record->flags & (uint8_t)~RECORD_CHANGED);
    buf_varint(row, record->chain);
    if (record->kind != RECORD_PREDICTION) {
        buf_double(row, record->number);
        buf_u64(row, record->label.hash);
    } else if (record->flags & RECORD_LABELLED) {
        write_label(pending, record, n_codes);
    }
}

/* Records of [from, used), then the patches before `from`. */
static int write_row(struct pending *pending, struct segment *segment, uint32_t from,
                     struct err *err)
{
    struct buf *row = &pending->row;
    uint32_t n_codes = 0;
    int64_t previous_ts = from < segment->used ? segment_record(segment, from)->ts_ms : 0;
    pending->epoch++;
    buf_clear(row);
    buf_u8(row, ROW_FORMAT);
    buf_u8(row, segment->life);
    buf_zigzag(row, segment->expires_ms);
    buf_zigzag(row, previous_ts);
    buf_varint(row, from);
    for (uint32_t unit = from; unit < segment->used;) {
        const struct record *record = segment_record(segment, unit);
        write_record(pending, record, &previous_ts, &n_codes);
        unit += record_units(record);
    }
    for (uint32_t i = 0; i < segment->n_changed; i++)
        if (segment->changed[i] < from)
            write_patch(pending, segment_record(segment, segment->changed[i]), &n_codes);
    if (buf_failed(row))
        return err_set(err, -ENOMEM, "join: no memory to write segment %u", segment->number);
    return 0;
}

int pending_save(struct pending *pending, const struct pending_writer *writer, struct err *err)
{
    int rewrites = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < pending->n_dropped; i++)
        rc = writer->drop(writer->context, pending->dropped[i], err);
    for (size_t i = 0; !rc && i < pending->n_live; i++) {
        struct segment *segment = pending->live[i];
        segment->next_rows = segment->rows;
        if (segment->saved == segment->used && segment->n_changed == 0)
            continue;
        if (segment->rows >= MAX_ROWS && rewrites < MAX_REWRITES) {
            rewrites++;
            segment->next_rows = 1;
            rc = write_row(pending, segment, 1, err);
            if (!rc)
                rc = writer->replace(writer->context, segment->number, pending->row.data,
                                     pending->row.size, err);
        } else {
            segment->next_rows = segment->rows + 1;
            rc = write_row(pending, segment, segment->saved ? segment->saved : 1, err);
            if (!rc)
                rc = writer->append(writer->context, segment->number, pending->row.data,
                                    pending->row.size, err);
        }
    }
    return rc;
}

/* Second chance, oldest first: a segment that was asked for since the last look stays. */
void pending_evict(struct pending *pending)
{
    size_t limit = pending->options.memory_limit;
    for (size_t i = 0; limit && i < 2 * pending->n_live; i++) {
        if (pending->in_memory * SEGMENT_BYTES <= limit)
            return;
        if (pending->evict_at >= pending->n_live)
            pending->evict_at = 0;
        struct segment *segment = pending->live[pending->evict_at++];
        if (segment == pending->open[segment->life] || !segment->bytes || segment->n_changed ||
            segment->saved != segment->used)
            continue;
        if (segment->touched)
            segment->touched = false;
        else
            segment_evict(pending, segment);
    }
}

void pending_saved(struct pending *pending)
{
    for (size_t i = 0; i < pending->n_live; i++) {
        struct segment *segment = pending->live[i];
        for (uint32_t k = 0; k < segment->n_changed; k++)
            segment_record(segment, segment->changed[k])->flags &= (uint8_t)~RECORD_CHANGED;
        segment->n_changed = 0;
        segment->saved = segment->used;
        segment->rows = segment->next_rows;
    }
    pending->n_dropped = 0;
    pending->unsaved = 0;
    pending_evict(pending);
}

struct row_reader {
    struct reader in;
    int64_t previous_ts;
    uint32_t n_codes;
    uint32_t codes[MAX_CODES];
};

static int read_class(struct pending *pending, struct row_reader *row, uint32_t *handle,
                      struct err *err)
{
    uint64_t code = reader_varint(&row->in);
    *handle = 0;
    if (code == 0)
        return 0;
    if (code > 1) {
        if (code - 2 >= row->n_codes)
            row->in.failed = true;
        else
            *handle = row->codes[code - 2];
        return 0;
    }
    int rc = pending_class_handle(pending, reader_u64(&row->in), handle, err);
    if (!rc && row->n_codes < MAX_CODES)
        row->codes[row->n_codes++] = *handle;
    return rc;
}

static int read_label(struct pending *pending, struct row_reader *row, struct record *record,
                      struct err *err)
{
    record->label.hash = 0;
    if (record->flags & RECORD_LABEL_VALUE) {
        record->label.value = reader_double(&row->in);
        return 0;
    }
    uint32_t handle = 0;
    int rc = read_class(pending, row, &handle, err);
    record->label.class = handle;
    return rc;
}

/* Room for n more units of the record that is being read. */
static bool has_room(struct row_reader *row, const struct segment *segment, uint64_t units)
{
    if (segment->used + units > SEGMENT_UNITS)
        row->in.failed = true;
    return !row->in.failed;
}

static int read_prediction(struct pending *pending, struct segment *segment, struct row_reader *row,
                           struct record *record, unsigned tag, struct err *err)
{
    const struct pending_names *names = &pending->options.names;
    uint64_t units = sizeof(*record) / 8;
    if (tag & HAS_SLICES) {
        uint64_t n = reader_varint(&row->in);
        if (n > UINT16_MAX || !has_room(row, segment, units + units_of_slices((uint32_t)n)))
            return 0;
        record->n_slices = (uint16_t)n;
        uint16_t *slices = (uint16_t *)(void *)record->tail;
        if (n)
            record->tail[units_of_slices((uint32_t)n) - 1] = 0;
        for (uint64_t i = 0; i < n; i++) {
            uint32_t series = 0;
            int slice = 0;
            if (names->series_of(names->context, (int64_t)reader_varint(&row->in), &series, &slice))
                record->flags |= RECORD_DEAD;
            slices[i] = (uint16_t)slice;
        }
        units += units_of_slices((uint32_t)n);
    }
    int rc = record->flags & RECORD_LABELLED ? read_label(pending, row, record, err) : 0;
    if (!rc && (record->flags & RECORD_UNIT) && has_room(row, segment, units + 1))
        record->tail[units++ - sizeof(*record) / 8] = reader_u64(&row->in);
    if (rc || !(record->flags & RECORD_SCORES))
        return rc;
    uint64_t n = reader_varint(&row->in);
    bool items = tag & HAS_TAIL;
    if (n > SEGMENT_UNITS || !has_room(row, segment, units + 1 + (items ? n : 2 * n)))
        return 0;
    uint64_t *at = &record->tail[units - sizeof(*record) / 8];
    *at++ = items ? n | COUNTS_ITEMS : n;
    for (uint64_t i = 0; items && i < n; i++)
        *at++ = reader_u64(&row->in);
    if (items)
        return 0;
    struct class_score *scores = (struct class_score *)(void *)at;
    for (uint64_t i = 0; !rc && i < n; i++) {
        uint32_t handle = 0;
        rc = read_class(pending, row, &handle, err);
        scores[i].class_id = pending_class(pending, handle);
        scores[i].score = reader_double(&row->in);
    }
    return rc;
}

static void read_waiting(struct segment *segment, struct row_reader *row, struct record *record,
                         unsigned tag)
{
    if (tag & HAS_HASH)
        record->label.hash = reader_u64(&row->in);
    if (!(tag & HAS_TAIL))
        return;
    int64_t newest = (int64_t)((uint64_t)reader_zigzag(&row->in) + (uint64_t)record->ts_ms);
    size_t n = 0;
    const char *text = reader_string(&row->in, &n);
    if (!text || n > UINT16_MAX || !has_room(row, segment, sizeof(*record) / 8 + 1 + (n + 7) / 8))
        return;
    record->class = (uint32_t)n;
    record->n_slices = (uint16_t)(1 + (n + 7) / 8);
    record->tail[0] = (uint64_t)newest;
    if (n)
        record->tail[record->n_slices - 1] = 0;
    memcpy(&record->tail[1], text, n);
}

static int read_record(struct pending *pending, struct segment *segment, struct row_reader *row,
                       unsigned tag, struct err *err)
{
    const struct pending_names *names = &pending->options.names;
    if (!has_room(row, segment, sizeof(struct record) / 8))
        return 0;
    struct record *record = segment_record(segment, segment->used);
    *record = (struct record){.kind = (uint8_t)(tag & KIND_MASK), .flags = reader_u8(&row->in)};
    record->id.high = reader_u64(&row->in);
    record->id.low = reader_u64(&row->in);
    record->ts_ms = (int64_t)((uint64_t)row->previous_ts + (uint64_t)reader_zigzag(&row->in));
    row->previous_ts = record->ts_ms;
    int64_t owner = (int64_t)reader_varint(&row->in);
    uint32_t series = 0;
    int slice = -1;
    bool prediction = record->kind == RECORD_PREDICTION;
    int unknown = prediction ? names->series_of(names->context, owner, &series, &slice)
                             : names->partition_of(names->context, owner, &series);
    if (unknown)
        record->flags |= RECORD_DEAD;
    record->series = series;
    record->number = tag & HAS_NUMBER ? reader_double(&row->in) : (double)NAN;
    int rc = 0;
    if (tag & HAS_CLASS) {
        uint32_t handle = 0;
        rc = read_class(pending, row, &handle, err);
        record->class = handle;
    }
    if (tag & HAS_CHAIN)
        record->chain = (uint32_t)reader_varint(&row->in);
    if (!rc && prediction)
        rc = read_prediction(pending, segment, row, record, tag, err);
    else
        read_waiting(segment, row, record, tag);
    if (rc || row->in.failed)
        return rc;
    pending->starts[segment->used / 64] |= UINT64_C(1) << segment->used % 64;
    segment->used += record_units(record);
    segment->n_records++;
    return 0;
}

/* Units are patched that begin a record: elsewhere a patch would be another record's bytes. */
static bool is_start(const struct pending *pending, const struct segment *segment, uint64_t unit)
{
    return unit < segment->used && (pending->starts[unit / 64] >> unit % 64 & 1);
}

static int read_patch(struct pending *pending, struct segment *segment, struct row_reader *row,
                      struct err *err)
{
    uint64_t unit = reader_varint(&row->in);
    uint8_t flags = reader_u8(&row->in);
    uint32_t chain = (uint32_t)reader_varint(&row->in);
    if (row->in.failed || !is_start(pending, segment, unit)) {
        row->in.failed = true;
        return 0;
    }
    struct record *record = segment_record(segment, (uint32_t)unit);
    /* What decides the record's length never changes. */
    enum {
        FIXED = RECORD_UNIT | RECORD_SCORES
    };
    bool dead = record->flags & RECORD_DEAD;
    record->flags = (uint8_t)((flags & ~FIXED) | (record->flags & FIXED));
    if (dead)
        record->flags |= RECORD_DEAD;
    record->chain = chain;
    if (record->kind != RECORD_PREDICTION) {
        record->number = reader_double(&row->in);
        record->label.hash = reader_u64(&row->in);
    } else if (record->flags & RECORD_LABELLED) {
        return read_label(pending, row, record, err);
    }
    return 0;
}

/* Finds the segment's records again: predictions by their own entry, of waiting ones the newest. */
static int index_segment(struct pending *pending, struct segment *segment, struct err *err)
{
    int rc = 0;
    for (uint32_t unit = 1; !rc && unit < segment->used;) {
        const struct record *record = segment_record(segment, unit);
        uint32_t address = address_of(segment, unit);
        unit += record_units(record);
        if (record->flags & RECORD_DEAD)
            continue;
        if (record->kind == RECORD_PREDICTION) {
            pending->predictions++;
            rc = index_insert(&pending->index, record->id, address, err);
        } else if (record->flags & RECORD_WAITING) {
            struct record *head = NULL;
            pending->waiting++;
            rc = waiting_head(pending, record->id, &head, err);
            if (!rc && head)
                index_replace(&pending->index, record->id, record_address(pending, head), address);
            else if (!rc)
                rc = index_insert(&pending->index, record->id, address, err);
        }
    }
    return rc;
}

/* All rows of the segment that was being read are in. */
static int finish_segment(struct pending *pending, struct err *err)
{
    struct segment *segment = pending->reading;
    pending->reading = NULL;
    if (!segment)
        return 0;
    int rc = index_segment(pending, segment, err);
    segment->saved = segment->used;
    pending->open[segment->life] = segment;
    if (pending->options.memory_limit)
        pending_evict(pending);
    return rc;
}

static int start_segment(struct pending *pending, uint32_t number, struct err *err)
{
    int rc = finish_segment(pending, err);
    if (rc)
        return rc;
    if (pending->next_number <= number)
        pending->next_number = number + 1;
    return segment_new(pending, number, &pending->reading, err);
}

static int read_row(struct pending *pending, struct segment *segment, const void *bytes, size_t n,
                    struct err *err)
{
    struct row_reader row;
    row.in = reader_of(bytes, n);
    row.n_codes = 0;
    uint8_t format = reader_u8(&row.in);
    uint8_t life = reader_u8(&row.in);
    int64_t expires_ms = reader_zigzag(&row.in);
    row.previous_ts = reader_zigzag(&row.in);
    uint64_t from = reader_varint(&row.in);
    bool good = format == ROW_FORMAT && life < LIFE_CLASSES && from == segment->used;
    int rc = 0;
    if (segment->used == 1) /* its first row */
        memset(pending->starts, 0, sizeof(pending->starts));
    while (!rc && good && !row.in.failed && reader_left(&row.in) > 0) {
        unsigned tag = reader_u8(&row.in);
        rc = (tag & KIND_MASK) == KIND_PATCH ? read_patch(pending, segment, &row, err)
                                             : read_record(pending, segment, &row, tag, err);
    }
    if (rc)
        return rc;
    if (!good || reader_failed(&row.in))
        return err_set(err, ERR_CORRUPT,
                       "join: a row of pending segment %u is damaged; run assay verify",
                       segment->number);
    segment->life = life;
    if (segment->rows == 0)
        segment->first_ms = expires_ms;
    if (expires_ms > segment->expires_ms)
        segment->expires_ms = expires_ms;
    return 0;
}

int pending_read(struct pending *pending, uint32_t number, const void *bytes, size_t n,
                 struct err *err)
{
    struct segment *segment = pending->slots[number % SEGMENT_SLOTS];
    if (segment && segment != pending->reading) /* an evicted one comes back */
        return segment->number == number
                   ? read_row(pending, segment, bytes, n, err)
                   : err_set(err, ERR_CORRUPT, "join: pending segments %u and %u at once",
                             segment->number, number);
    if (!segment) {
        int rc = start_segment(pending, number, err);
        if (rc)
            return rc;
        segment = pending->reading;
    }
    int rc = read_row(pending, segment, bytes, n, err);
    segment->rows++;
    return rc;
}

int pending_read_end(struct pending *pending, struct err *err)
{
    return finish_segment(pending, err);
}
