#include "common/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 16 * 1024
};

struct arena_block {
    struct arena_block *older;
    size_t used;
    size_t capacity;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

void arena_finish(struct arena *arena)
{
    while (arena->newest) {
        struct arena_block *block = arena->newest;
        arena->newest = block->older;
        free(block);
    }
    arena_init(arena, arena->limit);
}

static struct arena_block *block_new(struct arena *arena, size_t bytes)
{
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    if (capacity > arena->limit - arena->size)
        return NULL;
    struct arena_block *block = calloc(1, sizeof(*block) + capacity);
    if (!block)
        return NULL;
    block->capacity = capacity;
    block->older = arena->newest;
    arena->newest = block;
    arena->size += capacity;
    return block;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    const size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX - align) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + align - 1) / align * align;

    struct arena_block *block = arena->newest;
    if (!block || bytes > block->capacity - block->used)
        block = block_new(arena, bytes);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    void *piece = block->bytes + block->used;
    block->used += bytes;
    return piece;
}

void *arena_take_array(struct arena *arena, size_t n, size_t bytes)
{
    size_t size;
    if (__builtin_mul_overflow(n, bytes, &size)) {
        arena->failed = true;
        return NULL;
    }
    return arena_take(arena, size ? size : 1);
}

char *arena_text(struct arena *arena, const char *text, size_t n)
{
    char *copy = arena_take(arena, n + 1);
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}
