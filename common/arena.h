/*
 * Memory that is given back all at once: what lives exactly as long as one thing does.
 *
 * Shape    blocks, the newest filled first; pieces are aligned for any type and zeroed
 * Owner    arena_init gives nothing away; arena_finish takes every piece back
 * Errors   a piece that cannot be had is NULL, and the arena stays `failed`: whoever fills a tree
 *          may go on with what it has and ask once, at the end
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *newest;
    size_t size;  /* bytes given out and left over, all blocks */
    size_t limit; /* never grows beyond this many bytes */
    bool failed;
};

void arena_init(struct arena *arena, size_t limit);
void arena_finish(struct arena *arena);

void *arena_take(struct arena *arena, size_t bytes);
/* n things of `bytes` each; NULL also when the product overflows. n = 0 gives a valid pointer. */
void *arena_take_array(struct arena *arena, size_t n, size_t bytes);
char *arena_text(struct arena *arena, const char *text, size_t n); /* a copy with a NUL */
