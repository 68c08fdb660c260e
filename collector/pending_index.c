/*
 * Linear probing keeps a lookup within one or two cache lines, and removal shifts the followers
 * back instead of leaving tombstones, so that months of coming and going cost nothing. The home
 * slot is made of the fingerprint's upper bits: doubling needs no look at the records, which may
 * not be in memory.
 */
#include "collector/pending_index.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    FIRST_BITS = 4
};

/* Shard 0 doubles at 0.70, shard 255 at 0.84 of its capacity: not all in the same second. */
static uint32_t limit_of(uint32_t capacity, uint32_t shard)
{
    return (uint32_t)((uint64_t)capacity * (700 + shard * 140 / INDEX_SHARDS) / 1000);
}

/* n bytes aligned to a huge page, zeroed. */
static unsigned char *map_huge(size_t n)
{
    size_t align = INDEX_CHUNK_BYTES;
    unsigned char *map = mmap(NULL, n + align, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    unsigned char *bytes =
        (unsigned char *)(((uintptr_t)map + align - 1) & ~(uintptr_t)(align - 1));
    if (bytes > map)
        munmap(map, (size_t)(bytes - map));
    if (bytes < map + align)
        munmap(bytes + n, (size_t)(map + align - bytes));
    (void)madvise(bytes, n, MADV_HUGEPAGE);
    return bytes;
}

/* An array of the chunk, marked as taken, or NULL. */
static void *chunk_take(struct index_chunk *chunk, size_t size)
{
    uint32_t n = chunk->size < INDEX_CHUNK_BYTES ? INDEX_CHUNK_BYTES / (uint32_t)chunk->size : 1;
    for (uint32_t i = 0; chunk->size == size && i < n; i++) {
        if (chunk->taken >> i & 1)
            continue;
        chunk->taken |= UINT64_C(1) << i;
        return chunk->bytes + i * size;
    }
    return NULL;
}

/* Zeroed slots. */
static uint64_t *slots_new(struct index *index, uint32_t capacity)
{
    size_t size = capacity * sizeof(uint64_t);
    if (size < INDEX_POOLED_BYTES)
        return calloc(capacity, sizeof(uint64_t));
    for (struct index_chunk *chunk = index->chunks; chunk; chunk = chunk->next) {
        void *slots = chunk_take(chunk, size);
        if (slots)
            return slots;
    }
    struct index_chunk *chunk = calloc(1, sizeof(*chunk));
    size_t bytes = size > INDEX_CHUNK_BYTES ? size : INDEX_CHUNK_BYTES;
    if (chunk)
        chunk->bytes = map_huge(bytes);
    if (!chunk || !chunk->bytes) {
        free(chunk);
        return NULL;
    }
    chunk->size = size;
    chunk->next = index->chunks;
    index->chunks = chunk;
    return chunk_take(chunk, size);
}

static void chunk_free(struct index_chunk *chunk)
{
    munmap(chunk->bytes, chunk->size > INDEX_CHUNK_BYTES ? chunk->size : INDEX_CHUNK_BYTES);
    free(chunk);
}

/* A chunk is zero when it is made and goes with its last array: none is used a second time. */
static void slots_free(struct index *index, uint64_t *slots, uint32_t capacity)
{
    size_t size = capacity * sizeof(uint64_t);
    if (!slots || size < INDEX_POOLED_BYTES) {
        free(slots);
        return;
    }
    for (struct index_chunk **place = &index->chunks; *place; place = &(*place)->next) {
        struct index_chunk *chunk = *place;
        size_t at = (size_t)((unsigned char *)slots - chunk->bytes);
        if ((unsigned char *)slots < chunk->bytes || at >= INDEX_CHUNK_BYTES || chunk->size != size)
            continue;
        chunk->gone |= UINT64_C(1) << at / size;
        if (chunk->gone == chunk->taken) {
            *place = chunk->next;
            chunk_free(chunk);
        }
        return;
    }
}

int index_init(struct index *index, struct err *err)
{
    *index = (struct index){.n = 0};
    for (uint32_t i = 0; i < INDEX_SHARDS; i++) {
        struct index_shard *shard = &index->shards[i];
        shard->slots = slots_new(index, 1U << FIRST_BITS);
        if (!shard->slots) {
            index_finish(index);
            return err_set(err, -ENOMEM, "join: no memory for the index");
        }
        shard->mask = (1U << FIRST_BITS) - 1;
        shard->shift = 32 - FIRST_BITS;
        shard->limit = limit_of(1U << FIRST_BITS, i);
        index->n_slots += 1U << FIRST_BITS;
    }
    return 0;
}

void index_finish(struct index *index)
{
    for (uint32_t i = 0; i < INDEX_SHARDS; i++)
        slots_free(index, index->shards[i].slots, index->shards[i].mask + 1);
    *index = (struct index){.n = 0};
}

static void put(uint64_t *slots, uint32_t mask, uint32_t shift, uint64_t slot)
{
    uint32_t at = (uint32_t)(slot >> 32) >> shift;
    while (slots[at])
        at = (at + 1) & mask;
    slots[at] = slot;
}

static int grow(struct index *index, struct index_shard *shard, struct err *err)
{
    uint32_t capacity = (shard->mask + 1) * 2;
    if (shard->shift == 1)
        return err_set(err, -ENOMEM, "join: too many pending ids in one shard");
    uint64_t *slots = slots_new(index, capacity);
    if (!slots)
        return err_set(err, -ENOMEM, "join: no memory for %u index slots", capacity);

    for (uint32_t i = 0; i <= shard->mask; i++)
        if (shard->slots[i])
            put(slots, capacity - 1, shard->shift - 1, shard->slots[i]);
    slots_free(index, shard->slots, shard->mask + 1);
    index->n_slots += capacity / 2;
    shard->slots = slots;
    shard->mask = capacity - 1;
    shard->shift--;
    shard->limit = limit_of(capacity, (uint32_t)(shard - index->shards));
    return 0;
}

int index_insert(struct index *index, struct id_hash id, uint32_t address, struct err *err)
{
    struct index_shard *shard = index_shard_of(index, id);
    if (shard->used >= shard->limit) {
        int rc = grow(index, shard, err);
        if (rc)
            return rc;
    }
    put(shard->slots, shard->mask, shard->shift, (uint64_t)index_fingerprint(id) << 32 | address);
    shard->used++;
    index->n++;
    return 0;
}

/* The slot of (id, address), or UINT32_MAX. */
static uint32_t slot_of(const struct index_shard *shard, struct id_hash id, uint32_t address)
{
    uint64_t wanted = (uint64_t)index_fingerprint(id) << 32 | address;
    uint32_t at = index_fingerprint(id) >> shard->shift;
    while (shard->slots[at]) {
        if (shard->slots[at] == wanted)
            return at;
        at = (at + 1) & shard->mask;
    }
    return UINT32_MAX;
}

void index_replace(struct index *index, struct id_hash id, uint32_t from, uint32_t to)
{
    struct index_shard *shard = index_shard_of(index, id);
    uint32_t at = slot_of(shard, id, from);
    if (at != UINT32_MAX)
        shard->slots[at] = (uint64_t)index_fingerprint(id) << 32 | to;
}

void index_remove(struct index *index, struct id_hash id, uint32_t address)
{
    struct index_shard *shard = index_shard_of(index, id);
    uint32_t hole = slot_of(shard, id, address);
    if (hole == UINT32_MAX)
        return;

    /* Shift back every follower that may live in the hole: its home is not between hole and it. */
    for (uint32_t at = (hole + 1) & shard->mask; shard->slots[at]; at = (at + 1) & shard->mask) {
        uint32_t home = (uint32_t)(shard->slots[at] >> 32) >> shard->shift;
        if (((at - home) & shard->mask) >= ((at - hole) & shard->mask)) {
            shard->slots[hole] = shard->slots[at];
            hole = at;
        }
    }
    shard->slots[hole] = 0;
    shard->used--;
    index->n--;
}

uint32_t index_next(struct index *index, struct id_hash id, uint32_t *position)
{
    struct index_shard *shard = index_shard_of(index, id);
    uint32_t fingerprint = index_fingerprint(id);
    uint32_t at =
        *position == UINT32_MAX ? fingerprint >> shard->shift : (*position + 1) & shard->mask;
    for (; shard->slots[at]; at = (at + 1) & shard->mask) {
        if (shard->slots[at] >> 32 == fingerprint) {
            *position = at;
            return (uint32_t)shard->slots[at];
        }
    }
    return 0;
}
