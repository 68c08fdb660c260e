/*
 * The inside of pending: segments in memory, and their bytes in the database. Only pending*.c
 * include this.
 */
#pragma once

#include "collector/pending.h"

enum {
    SEGMENT_BYTES = 256 * 1024,
    SEGMENT_UNITS = SEGMENT_BYTES / 8,
    UNIT_BITS = 15,
    SEGMENT_SLOTS = 1 << (32 - UNIT_BITS), /* addresses reach 32 GiB of records */
    ARENA_BYTES = 2 * 1024 * 1024,         /* a huge page: fewer TLB misses on random labels */
    MAX_ROWS = 64,                         /* of a segment in the database, then it is rewritten */
    LIFE_CLASSES = 64,
};

/* In the word that counts a prediction's scores: it counts items, of one word each, instead. */
#define COUNTS_ITEMS (UINT64_C(1) << 63)

struct segment {
    uint32_t number;
    uint32_t used;        /* units; unit 0 holds the number */
    uint32_t saved;       /* units that are in the database */
    uint32_t rows;        /* in the database */
    uint32_t next_rows;   /* … once the running save is durable */
    uint32_t n_records;   /* in memory or on disk */
    int64_t expires_ms;   /* newest of its records */
    int64_t first_ms;     /* expiry of its first record */
    unsigned char *bytes; /* aligned to SEGMENT_BYTES; NULL: evicted */
    uint16_t *changed;    /* units of saved records that changed */
    uint32_t n_changed;
    uint32_t changed_capacity;
    uint8_t life;
    bool touched; /* since the last look for something to evict */
    bool going;   /* being dropped: its records are no longer there */
};

struct class_table {
    uint64_t *ids;    /* by handle; ids[0] = 0 */
    uint32_t *slots;  /* handles by hash; 0 free */
    uint16_t *codes;  /* by handle: number in the row being written */
    uint32_t *epochs; /* by handle: for which row the code holds */
    uint32_t n;
    uint32_t capacity; /* of ids */
    uint32_t mask;     /* of slots */
};

struct pending {
    struct pending_options options;
    struct index index;
    struct class_table classes;
    struct segment **slots; /* SEGMENT_SLOTS of them */
    struct segment **live;  /* by rising number */
    size_t n_live, live_capacity;
    struct segment *open[LIFE_CLASSES];
    uint32_t next_number;
    unsigned char **free_segments; /* memory that waits for use */
    size_t n_free, free_capacity;
    void **arenas;
    size_t n_arenas, arenas_capacity;
    uint32_t *dropped; /* segments whose rows are to go with the next save */
    size_t n_dropped, dropped_capacity;
    size_t in_memory;                    /* segments */
    size_t evict_at;                     /* index in live */
    struct segment *reading;             /* whose rows pending_read is being given */
    uint64_t starts[SEGMENT_UNITS / 64]; /* bits: the units of it that begin a record */
    int64_t predictions, waiting, unsaved;
    struct buf row;
    uint32_t epoch; /* of the row being written */
};

static inline uint32_t units_of_slices(uint32_t n)
{
    return (n + 3) / 4;
}

/* 8-byte units of a record, its head of 7 included. */
uint32_t record_units(const struct record *record);

static inline struct record *segment_record(const struct segment *segment, uint32_t unit)
{
    return (struct record *)(void *)(segment->bytes + (size_t)unit * 8);
}

static inline struct segment *segment_of(const struct pending *pending, const struct record *record)
{
    uintptr_t base = (uintptr_t)record & ~(uintptr_t)(SEGMENT_BYTES - 1);
    uint32_t number = *(const uint32_t *)base;
    return pending->slots[number % SEGMENT_SLOTS];
}
static inline uint32_t unit_of(const struct record *record)
{
    return (uint32_t)(((uintptr_t)record & (SEGMENT_BYTES - 1)) / 8);
}
static inline uint32_t address_of(const struct segment *segment, uint32_t unit)
{
    return (segment->number % SEGMENT_SLOTS) << UNIT_BITS | unit;
}

int pending_classes_init(struct class_table *table, struct err *err);
void pending_classes_finish(struct class_table *table);

/* Makes a segment of that number (not there yet) with memory; -ENOMEM. */
int segment_new(struct pending *pending, uint32_t number, struct segment **out, struct err *err);
/* Gives its memory back, keeps the rest. */
void segment_evict(struct pending *pending, struct segment *segment);
/* Brings an evicted one back. */
int segment_load(struct pending *pending, struct segment *segment, struct err *err);
/* Memory for a record's n units at the segment's end; the caller has seen that they fit. */
int segment_memory(struct pending *pending, struct segment *segment, struct err *err);

/* Evicts saved segments until memory is within its limit. */
void pending_evict(struct pending *pending);

/* The head of the chain of waiting records of an id, or NULL. */
int waiting_head(struct pending *pending, struct id_hash id, struct record **head, struct err *err);
uint32_t record_address(const struct pending *pending, const struct record *record);

/* Gives all arenas back. */
void arenas_free(struct pending *pending);
