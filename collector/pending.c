/*
 *   id ──XXH3-128──► shard ─► slot {fingerprint, address} ─► segment 12, unit 4711
 *
 *   segment  ┌────────┬──────────────┬───────────┬─────┬──────── free ────────┐
 *            │ number │ record 56+…  │ record …  │  …  │                      │
 *            └────────┴──────────────┴───────────┴─────┴──────────────────────┘
 *              unit 0   unit 1                          used
 *
 * Appending is the only way in, so that a commit writes what came since the last one as one row;
 * what changed in older records (a label) goes beside it as a patch. Segments lie aligned in huge
 * pages: the record's address in memory leads back to its segment, and a random label costs two
 * cache misses (slot and record), which the prefetches of the ingest loop hide.
 */
#include "collector/pending_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/grow.h"

uint32_t record_units(const struct record *record)
{
    uint32_t units = sizeof(struct record) / 8;
    if (record->kind != RECORD_PREDICTION)
        return units + record->n_slices; /* here: units of the tail */
    units += units_of_slices(record->n_slices);
    if (record->flags & RECORD_UNIT)
        units++;
    if (record->flags & RECORD_SCORES) {
        uint64_t count = ((const uint64_t *)record)[units];
        units += 1 + (uint32_t)(count & COUNTS_ITEMS ? count & ~COUNTS_ITEMS : 2 * count);
    }
    return units;
}

uint64_t record_unit(const struct record *record)
{
    if (record->kind != RECORD_PREDICTION || !(record->flags & RECORD_UNIT))
        return 0;
    return record->tail[units_of_slices(record->n_slices)];
}

void record_stand_outside(struct record *record)
{
    if (record->kind == RECORD_PREDICTION && (record->flags & RECORD_UNIT))
        record->tail[units_of_slices(record->n_slices)] |= 1;
}

/* The word that counts a prediction's scores or items; they follow it. NULL: it has none. */
static const uint64_t *scores_of(const struct record *record)
{
    if (record->kind != RECORD_PREDICTION || !(record->flags & RECORD_SCORES))
        return NULL;
    return &record->tail[units_of_slices(record->n_slices) + (record->flags & RECORD_UNIT ? 1 : 0)];
}

uint32_t record_scores(const struct record *record, const struct class_score **scores)
{
    const uint64_t *count = scores_of(record);
    bool there = count && !(*count & COUNTS_ITEMS);
    *scores = there ? (const struct class_score *)(const void *)(count + 1) : NULL;
    return there ? (uint32_t)*count : 0;
}

uint32_t record_items(const struct record *record, const uint64_t **items)
{
    const uint64_t *count = scores_of(record);
    bool there = count && (*count & COUNTS_ITEMS);
    *items = there ? count + 1 : NULL;
    return there ? (uint32_t)(*count & ~COUNTS_ITEMS) : 0;
}

int64_t record_newest_ts(const struct record *record)
{
    return record->n_slices ? (int64_t)record->tail[0] : INT64_MIN;
}

struct view record_text(const struct record *record)
{
    if (record->kind == RECORD_PREDICTION || record->n_slices == 0)
        return (struct view){NULL, 0};
    return (struct view){(const char *)&record->tail[1], record->class};
}

int pending_new(struct pending **out, const struct pending_options *options, struct err *err)
{
    AUTO(pending) struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending)
        return err_set(err, -ENOMEM, "join: no memory");
    pending->options = *options;
    pending->next_number = 1;
    buf_init(&pending->row, (size_t)64 * 1024 * 1024);
    pending->slots = calloc(SEGMENT_SLOTS, sizeof(struct segment *));
    if (!pending->slots)
        return err_set(err, -ENOMEM, "join: no memory for the table of segments");
    int rc = index_init(&pending->index, err);
    if (!rc)
        rc = pending_classes_init(&pending->classes, err);
    if (rc)
        return rc;
    *out = pending;
    pending = NULL; /* the caller owns it now */
    return 0;
}

void pending_free(struct pending *pending)
{
    if (!pending)
        return;
    for (size_t i = 0; i < pending->n_live; i++) {
        free(pending->live[i]->changed);
        free(pending->live[i]);
    }
    arenas_free(pending);
    index_finish(&pending->index);
    pending_classes_finish(&pending->classes);
    buf_finish(&pending->row);
    free(pending->arenas);
    free(pending->free_segments);
    free(pending->dropped);
    free(pending->live);
    free(pending->slots);
    free(pending);
}

struct id_hash pending_hash(const struct pending *pending, struct view id)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(id.data, id.size, pending->options.seed);
    return (struct id_hash){hash.high64, hash.low64};
}

void pending_prefetch(struct pending *pending, struct id_hash id)
{
    index_prefetch(&pending->index, id);
}

void pending_prefetch_record(struct pending *pending, struct id_hash id)
{
    uint32_t position = UINT32_MAX;
    uint32_t address = index_next(&pending->index, id, &position);
    const struct segment *segment = address ? pending->slots[address >> UNIT_BITS] : NULL;
    if (!segment || !segment->bytes)
        return;
    const unsigned char *record = segment->bytes + (size_t)(address & (SEGMENT_UNITS - 1)) * 8;
    __builtin_prefetch(record);
    __builtin_prefetch(record + 56);
}

/* The record at an address, or PENDING_NONE when it is gone. */
static int record_at(struct pending *pending, struct id_hash id, uint32_t address,
                     struct record **out, struct err *err)
{
    struct segment *segment = pending->slots[address >> UNIT_BITS];
    uint32_t unit = address & (SEGMENT_UNITS - 1);
    if (!segment || segment->going || unit + sizeof(struct record) / 8 > segment->used)
        return PENDING_NONE;
    if (!segment->bytes) {
        int rc = segment_load(pending, segment, err);
        if (rc)
            return rc;
    }
    struct record *record = segment_record(segment, unit);
    if (!id_hash_equal(record->id, id))
        return PENDING_NONE;
    segment->touched = true;
    *out = record;
    return 0;
}

int pending_next(struct pending *pending, struct id_hash id, uint32_t *position,
                 struct record **out, struct err *err)
{
    uint32_t address;
    while ((address = index_next(&pending->index, id, position)) != 0) {
        int rc = record_at(pending, id, address, out, err);
        if (rc != PENDING_NONE)
            return rc;
    }
    return PENDING_NONE;
}

int pending_chain(struct pending *pending, struct id_hash id, uint32_t chain, struct record **out,
                  struct err *err)
{
    return chain ? record_at(pending, id, chain, out, err) : PENDING_NONE;
}

int pending_changed(struct pending *pending, struct record *record, struct err *err)
{
    struct segment *segment = segment_of(pending, record);
    uint32_t unit = unit_of(record);
    if (unit >= segment->saved || (record->flags & RECORD_CHANGED))
        return 0; /* goes whole with the next save */
    size_t capacity = segment->changed_capacity;
    int rc = grow(&segment->changed, &capacity, segment->n_changed + (size_t)1,
                  sizeof(*segment->changed), "join: changed records", err);
    segment->changed_capacity = (uint32_t)capacity;
    if (rc)
        return rc;
    record->flags |= RECORD_CHANGED;
    segment->changed[segment->n_changed++] = (uint16_t)unit;
    pending->unsaved++;
    return 0;
}

static unsigned life_class(int64_t life_ms)
{
    return life_ms > 0 ? 63 - (unsigned)__builtin_clzll((unsigned long long)life_ms) : 0;
}

/* The open segment for such records, with room for n units. */
static int open_segment(struct pending *pending, const struct record_spec *spec, uint32_t units,
                        struct segment **out, struct err *err)
{
    enum {
        MIN_RECORDS = 256, /* a trickle need not open a segment each few minutes */
        MIN_SPAN_MS = 60000,
    };
    unsigned life = life_class(spec->life_ms);
    struct segment *segment = pending->open[life];
    int64_t span = segment && segment->n_records < MIN_RECORDS ? spec->life_ms : spec->life_ms / 4;
    if (segment && segment->used + units <= SEGMENT_UNITS &&
        spec->expires_ms - segment->first_ms <= (span > MIN_SPAN_MS ? span : MIN_SPAN_MS)) {
        *out = segment;
        return segment_load(pending, segment, err);
    }
    uint32_t number = pending->next_number;
    for (uint32_t i = 0; i < SEGMENT_SLOTS && pending->slots[number % SEGMENT_SLOTS]; i++)
        number++;
    int rc = segment_new(pending, number, &segment, err);
    if (rc)
        return rc;
    pending->next_number = number + 1;
    segment->life = (uint8_t)life;
    segment->first_ms = spec->expires_ms;
    pending->open[life] = segment;
    *out = segment;
    return 0;
}

/* A label or outcome that waits, or a label's content: with text behind the record's head. */
static bool has_tail(const struct record_spec *spec)
{
    return (spec->flags & RECORD_WAITING) || spec->text.size;
}

static void record_fill(struct record *record, const struct record_spec *spec)
{
    *record = (struct record){
        .id = spec->id,
        .ts_ms = spec->ts_ms,
        .number = spec->number,
        .label.hash = spec->label_hash,
        .series = spec->series,
        .class = spec->class,
        .kind = (uint8_t)spec->kind,
        .flags = spec->flags,
        .n_slices = spec->n_slices,
    };
    if (spec->kind != RECORD_PREDICTION) {
        record->class = spec->text.size;
        record->n_slices = 0;
        if (has_tail(spec)) {
            record->n_slices = (uint16_t)(1 + (spec->text.size + 7) / 8);
            record->tail[0] = (uint64_t)spec->newest_ts_ms;
            if (record->n_slices > 1)
                record->tail[record->n_slices - 1] = 0;
            if (spec->text.size)
                memcpy(&record->tail[1], spec->text.data, spec->text.size);
        }
        return;
    }
    uint32_t at = units_of_slices(spec->n_slices);
    if (at) {
        record->tail[at - 1] = 0;
        memcpy(record->tail, spec->slices, spec->n_slices * sizeof(*spec->slices));
    }
    if (spec->unit) {
        record->flags |= RECORD_UNIT;
        record->tail[at++] = spec->unit;
    }
    if (spec->n_scores) {
        record->flags |= RECORD_SCORES;
        record->tail[at++] = spec->n_scores;
        memcpy(&record->tail[at], spec->scores, spec->n_scores * sizeof(*spec->scores));
    } else if (spec->n_items) {
        record->flags |= RECORD_SCORES;
        record->tail[at++] = spec->n_items | COUNTS_ITEMS;
        memcpy(&record->tail[at], spec->items, spec->n_items * sizeof(*spec->items));
    }
}

static uint32_t units_of_spec(const struct record_spec *spec)
{
    uint32_t units = sizeof(struct record) / 8;
    if (spec->kind != RECORD_PREDICTION)
        return units + (has_tail(spec) ? 1 + (spec->text.size + 7) / 8 : 0);
    units += units_of_slices(spec->n_slices) + (spec->unit ? 1 : 0);
    if (spec->n_scores)
        return units + 1 + 2 * spec->n_scores;
    return units + (spec->n_items ? 1 + spec->n_items : 0);
}

int waiting_head(struct pending *pending, struct id_hash id, struct record **head, struct err *err)
{
    uint32_t position = UINT32_MAX;
    int rc;
    while ((rc = pending_next(pending, id, &position, head, err)) == 0)
        if ((*head)->kind != RECORD_PREDICTION)
            return 0;
    *head = NULL;
    return rc == PENDING_NONE ? 0 : rc;
}

uint32_t record_address(const struct pending *pending, const struct record *record)
{
    return address_of(segment_of(pending, record), unit_of(record));
}

int pending_add(struct pending *pending, const struct record_spec *spec, struct record *owner,
                struct record **out, struct err *err)
{
    uint32_t units = units_of_spec(spec);
    struct record *head = NULL;
    struct segment *segment = NULL;
    if (units > SEGMENT_UNITS - 1)
        return err_set(err, ERR_DATA, "join: a record of %u bytes is too large", units * 8);
    int rc = 0;
    if (spec->flags & RECORD_WAITING)
        rc = waiting_head(pending, spec->id, &head, err);
    if (!rc)
        rc = open_segment(pending, spec, units, &segment, err);
    if (rc)
        return rc;

    uint32_t address = address_of(segment, segment->used);
    if (spec->kind == RECORD_PREDICTION || (!owner && !head)) {
        rc = index_insert(&pending->index, spec->id, address, err);
        if (rc)
            return rc;
    } else if (head) {
        index_replace(&pending->index, spec->id, record_address(pending, head), address);
    } else {
        rc = pending_changed(pending, owner, err);
        if (rc)
            return rc;
    }
    struct record *record = segment_record(segment, segment->used);
    record_fill(record, spec);
    if (head)
        record->chain = record_address(pending, head);
    if (owner) {
        record->chain = owner->chain;
        owner->chain = address;
    }
    segment->used += units;
    segment->n_records++;
    if (spec->expires_ms > segment->expires_ms)
        segment->expires_ms = spec->expires_ms;
    pending->unsaved++;
    pending->predictions += spec->kind == RECORD_PREDICTION;
    pending->waiting += (spec->flags & RECORD_WAITING) != 0;
    *out = record;
    return 0;
}

/* A record of the chain no longer waits: it is dead, or an outcome of `owner` from now on. */
static int leave_waiting(struct pending *pending, struct record *record, struct record *owner,
                         struct err *err)
{
    pending->waiting--;
    record->chain = 0;
    if (owner && !(record->flags & RECORD_DEAD)) {
        int rc = pending_changed(pending, owner, err);
        if (rc)
            return rc;
        record->chain = owner->chain;
        owner->chain = record_address(pending, record);
    }
    return pending_changed(pending, record, err);
}

static int relink(struct pending *pending, struct record *record, uint32_t chain, struct err *err)
{
    if (record->chain == chain)
        return 0;
    record->chain = chain;
    return pending_changed(pending, record, err);
}

int pending_settle(struct pending *pending, struct id_hash id, struct record *owner,
                   struct err *err)
{
    struct record *record = NULL;
    struct record *kept = NULL; /* the last one that goes on waiting */
    int rc = waiting_head(pending, id, &record, err);
    if (rc || !record)
        return rc;
    uint32_t head = record_address(pending, record);
    uint32_t new_head = 0;
    while (rc == 0) {
        uint32_t address = record_address(pending, record);
        uint32_t next = record->chain;
        if (!(record->flags & RECORD_WAITING)) {
            rc = leave_waiting(pending, record, owner, err);
        } else {
            if (!kept)
                new_head = address;
            else
                rc = relink(pending, kept, address, err);
            kept = record;
        }
        if (!rc)
            rc = pending_chain(pending, id, next, &record, err);
    }
    if (rc != PENDING_NONE)
        return rc;
    if (new_head == 0)
        index_remove(&pending->index, id, head);
    else
        index_replace(&pending->index, id, head, new_head);
    return kept ? relink(pending, kept, 0, err) : 0;
}

/* A waiting record goes with its segment: those behind it in the chain go on waiting. */
static void forget_waiting(struct pending *pending, const struct record *record, uint32_t address)
{
    struct record *next = NULL;
    pending->waiting--;
    if (pending_chain(pending, record->id, record->chain, &next, NULL) == 0)
        index_replace(&pending->index, record->id, address, record->chain);
    else
        index_remove(&pending->index, record->id, address);
}

static void forget_segment(struct pending *pending, struct segment *segment,
                           void (*each)(void *context, const struct record *record), void *context)
{
    segment->going = true;
    for (uint32_t unit = 1; unit < segment->used;) {
        const struct record *record = segment_record(segment, unit);
        uint32_t address = address_of(segment, unit);
        unit += record_units(record);
        if (record->flags & RECORD_DEAD)
            continue;
        if (each)
            each(context, record);
        if (record->kind == RECORD_PREDICTION) {
            pending->predictions--;
            index_remove(&pending->index, record->id, address);
        } else if (record->flags & RECORD_WAITING) {
            forget_waiting(pending, record, address);
        }
    }
    segment_evict(pending, segment);
    pending->slots[segment->number % SEGMENT_SLOTS] = NULL;
    if (pending->open[segment->life] == segment)
        pending->open[segment->life] = NULL;
    free(segment->changed);
    free(segment);
}

int pending_expire(struct pending *pending, int64_t watermark_ms, int max,
                   void (*each)(void *context, const struct record *record), void *context,
                   struct err *err)
{
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < pending->n_live; i++) {
        struct segment *segment = pending->live[i];
        bool goes = !rc && max > 0 && segment->expires_ms < watermark_ms;
        if (goes)
            rc = segment_load(pending, segment, err);
        if (goes && !rc)
            rc = grow(&pending->dropped, &pending->dropped_capacity, pending->n_dropped + 1,
                      sizeof(*pending->dropped), "join: dropped records", err);
        if (!goes || rc) {
            pending->live[kept++] = segment;
            continue;
        }
        max--;
        if (segment->rows)
            pending->dropped[pending->n_dropped++] = segment->number;
        forget_segment(pending, segment, each, context);
    }
    pending->n_live = kept;
    return rc;
}

int pending_each(struct pending *pending,
                 int (*each)(void *context, const struct record *record, struct err *err),
                 void *context, struct err *err)
{
    for (size_t i = 0; i < pending->n_live; i++) {
        struct segment *segment = pending->live[i];
        int rc = segment_load(pending, segment, err);
        for (uint32_t unit = 1; !rc && unit < segment->used;) {
            const struct record *record = segment_record(segment, unit);
            unit += record_units(record);
            if (!(record->flags & RECORD_DEAD))
                rc = each(context, record, err);
        }
        if (rc)
            return rc;
        if (pending->options.memory_limit)
            pending_evict(pending);
    }
    return 0;
}

void pending_size(const struct pending *pending, struct pending_size *out)
{
    size_t bytes = 0;
    for (size_t i = 0; i < pending->n_live; i++)
        if (pending->live[i]->bytes)
            bytes += (size_t)pending->live[i]->used * 8;
    *out = (struct pending_size){
        .predictions = pending->predictions,
        .waiting = pending->waiting,
        .bytes = (int64_t)(bytes + pending->index.n_slots * sizeof(uint64_t)),
        .segments = (int64_t)pending->n_live,
        .segments_in_memory = (int64_t)pending->in_memory,
        .unsaved = pending->unsaved,
    };
}
