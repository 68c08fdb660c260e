/*
 * The join's hash index: 128-bit id hash → 32-bit address of a record, eight bytes a slot.
 *
 * Shape    256 shards by the first byte of the hash; open addressing, linear probing; a slot holds
 *          32 further bits of the hash and the address. Equal ids may have several entries; the
 *          caller compares the record behind the address. Each shard doubles alone, at a slightly
 *          different load, so that growing never stops the flow for long.
 * Owner    index_init makes it in the caller's memory, index_finish empties it
 * Errors   -ENOMEM from index_insert: nothing changed
 * Threads  one
 */
#pragma once

#include <stdint.h>

#include "common/err.h"

struct id_hash {
    uint64_t high;
    uint64_t low;
};

static inline int id_hash_equal(struct id_hash a, struct id_hash b)
{
    return a.high == b.high && a.low == b.low;
}

enum {
    INDEX_SHARDS = 256,
    INDEX_CHUNK_BYTES = 2 * 1024 * 1024,
    INDEX_POOLED_BYTES = 32 * 1024, /* smaller arrays are plain memory */
};

struct index_shard {
    uint64_t *slots; /* fingerprint << 32 | address; 0: free */
    uint32_t mask;   /* capacity - 1 */
    uint32_t shift;  /* fingerprint >> shift = home slot */
    uint32_t used;
    uint32_t limit; /* doubles beyond this many */
};

/* Arrays of slots of one size lie together in huge pages: a random slot then costs no TLB miss. */
struct index_chunk {
    struct index_chunk *next;
    unsigned char *bytes; /* INDEX_CHUNK_BYTES, aligned to it */
    size_t size;          /* of each array */
    uint64_t taken;       /* bit set of arrays that were given */
    uint64_t gone;        /* … and of those given back */
};

struct index {
    struct index_chunk *chunks;
    struct index_shard shards[INDEX_SHARDS];
    uint64_t n;
    uint64_t n_slots;
};

int index_init(struct index *index, struct err *err);
void index_finish(struct index *index);

/* address: never 0. */
int index_insert(struct index *index, struct id_hash id, uint32_t address, struct err *err);
/* Both do nothing when (id, address) is not there; replace gives it another address. */
void index_remove(struct index *index, struct id_hash id, uint32_t address);
void index_replace(struct index *index, struct id_hash id, uint32_t from, uint32_t to);

static inline struct index_shard *index_shard_of(struct index *index, struct id_hash id)
{
    return &index->shards[id.high >> 56];
}
static inline uint32_t index_fingerprint(struct id_hash id)
{
    return (uint32_t)(id.low >> 32);
}

/* Walks the addresses that may belong to `id`; 0 ends. Start with *position = UINT32_MAX. */
uint32_t index_next(struct index *index, struct id_hash id, uint32_t *position);

/* Brings the slot's cache line near, some events before it is asked for. */
static inline void index_prefetch(struct index *index, struct id_hash id)
{
    struct index_shard *shard = index_shard_of(index, id);
    __builtin_prefetch(&shard->slots[index_fingerprint(id) >> shard->shift]);
}
