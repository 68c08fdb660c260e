/*
 * Memory of segments: arenas of a huge page each, cut into aligned segments.
 */
#include "collector/pending_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/grow.h"

static int arena_new(struct pending *pending, struct err *err)
{
    enum {
        EACH = ARENA_BYTES / SEGMENT_BYTES
    };
    int rc = grow(&pending->arenas, &pending->arenas_capacity, pending->n_arenas + 1,
                  sizeof(*pending->arenas), "join: arenas", err);
    /* Room for every segment of every arena: they may all be free at once, and then segment_evict
       must not fail. */
    if (!rc)
        rc = grow(&pending->free_segments, &pending->free_capacity, (pending->n_arenas + 1) * EACH,
                  sizeof(*pending->free_segments), "join: free segments", err);
    if (rc)
        return rc;
    /* Twice the size, then cut to the aligned half. */
    unsigned char *map = mmap(NULL, (size_t)ARENA_BYTES * 2, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return err_set(err, -ENOMEM, "join: no memory for pending predictions");
    unsigned char *arena =
        (unsigned char *)(((uintptr_t)map + ARENA_BYTES - 1) & ~(uintptr_t)(ARENA_BYTES - 1));
    size_t before = (size_t)(arena - map);
    if (before)
        munmap(map, before);
    munmap(arena + ARENA_BYTES, ARENA_BYTES - before);
    if (pending->n_arenas) /* a small collector need not take 2 MiB at its first record */
        (void)madvise(arena, ARENA_BYTES, MADV_HUGEPAGE);
    pending->arenas[pending->n_arenas++] = arena;
    for (size_t i = EACH; i-- > 0;)
        pending->free_segments[pending->n_free++] = arena + i * SEGMENT_BYTES;
    return 0;
}

int segment_memory(struct pending *pending, struct segment *segment, struct err *err)
{
    if (pending->n_free == 0) {
        int rc = arena_new(pending, err);
        if (rc)
            return rc;
    }
    segment->bytes = pending->free_segments[--pending->n_free];
    *(uint64_t *)(void *)segment->bytes = segment->number;
    pending->in_memory++;
    return 0;
}

void segment_evict(struct pending *pending, struct segment *segment)
{
    if (!segment->bytes)
        return;
    /* arena_new made room in free_segments for every segment there is. */
    (void)madvise(segment->bytes, SEGMENT_BYTES, MADV_DONTNEED);
    pending->free_segments[pending->n_free++] = segment->bytes;
    segment->bytes = NULL;
    pending->in_memory--;
}

int segment_new(struct pending *pending, uint32_t number, struct segment **out, struct err *err)
{
    if (pending->slots[number % SEGMENT_SLOTS])
        return err_set(err, -ENOMEM, "join: all %d segments are in use", SEGMENT_SLOTS);
    int rc = grow(&pending->live, &pending->live_capacity, pending->n_live + 1,
                  sizeof(*pending->live), "join: segments", err);
    if (rc)
        return rc;
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return err_set(err, -ENOMEM, "join: no memory for a segment");
    segment->number = number;
    segment->used = 1;
    segment->expires_ms = INT64_MIN;
    rc = segment_memory(pending, segment, err);
    if (rc) {
        free(segment);
        return rc;
    }
    pending->slots[number % SEGMENT_SLOTS] = segment;
    pending->live[pending->n_live++] = segment;
    *out = segment; /* pending owns it */
    return 0;
}

int segment_load(struct pending *pending, struct segment *segment, struct err *err)
{
    if (segment->bytes)
        return 0;
    if (!pending->options.load)
        return err_set(err, ERR_DATA, "join: segment %u is not in memory", segment->number);
    int rc = segment_memory(pending, segment, err);
    if (rc)
        return rc;
    uint32_t expected = segment->used;
    segment->used = 1;
    segment->n_records = 0;
    rc = pending->options.load(pending->options.context, pending, segment->number, err);
    if (!rc && segment->used != expected)
        rc = err_set(err, ERR_CORRUPT,
                     "join: segment %u has %u units in the database, expected %u; run assay verify",
                     segment->number, segment->used, expected);
    segment->used = expected;
    if (rc)
        segment_evict(pending, segment);
    return rc;
}

void arenas_free(struct pending *pending)
{
    for (size_t i = 0; i < pending->n_arenas; i++)
        munmap(pending->arenas[i], ARENA_BYTES);
}
