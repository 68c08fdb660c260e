/*
 * A small hash map from 64-bit ids (class_id of a text: spread already) to 32-bit numbers.
 *
 * Owner    {0} is an empty map; id_set_finish takes its memory
 * Errors   -ENOMEM from id_set_put: nothing changed
 * Threads  one
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/err.h"

#define ID_NONE UINT32_MAX

struct id_set {
    uint64_t *ids; /* 0: free; an id is never 0 */
    uint32_t *values;
    uint32_t n;
    uint32_t capacity; /* 0 or a power of two */
};

static inline void id_set_finish(struct id_set *set)
{
    free(set->ids);
    free(set->values);
    *set = (struct id_set){0};
}

static inline uint32_t id_set_slot(const struct id_set *set, uint64_t id)
{
    uint32_t at = (uint32_t)(id ^ id >> 32) & (set->capacity - 1);
    while (set->ids[at] && set->ids[at] != id)
        at = (at + 1) & (set->capacity - 1);
    return at;
}

static inline uint32_t id_set_find(const struct id_set *set, uint64_t id)
{
    if (set->capacity == 0)
        return ID_NONE;
    uint32_t at = id_set_slot(set, id);
    return set->ids[at] ? set->values[at] : ID_NONE;
}

static inline int id_set_grow(struct id_set *set, struct err *err)
{
    struct id_set grown = {.n = set->n, .capacity = set->capacity ? set->capacity * 2 : 16};
    grown.ids = calloc(grown.capacity, sizeof(*grown.ids));
    grown.values = calloc(grown.capacity, sizeof(*grown.values));
    if (!grown.ids || !grown.values) {
        id_set_finish(&grown);
        return err_set(err, -ENOMEM, "collector: no memory for %u names", set->n);
    }
    for (uint32_t i = 0; i < set->capacity; i++) {
        if (!set->ids[i])
            continue;
        uint32_t at = id_set_slot(&grown, set->ids[i]);
        grown.ids[at] = set->ids[i];
        grown.values[at] = set->values[i];
    }
    id_set_finish(set);
    *set = grown;
    return 0;
}

/* Adds or replaces. */
static inline int id_set_put(struct id_set *set, uint64_t id, uint32_t value, struct err *err)
{
    if (set->n * 3 >= set->capacity * 2) {
        int rc = id_set_grow(set, err);
        if (rc)
            return rc;
    }
    uint32_t at = id_set_slot(set, id);
    set->n += set->ids[at] == 0;
    set->ids[at] = id;
    set->values[at] = value;
    return 0;
}
