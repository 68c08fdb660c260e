/*
 * Classes by small numbers: a record names its class in four bytes.
 */
#include "collector/pending_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pending_classes_init(struct class_table *table, struct err *err)
{
    *table = (struct class_table){.n = 1, .capacity = 64, .mask = 127};
    table->ids = calloc(table->capacity, sizeof(*table->ids));
    table->codes = calloc(table->capacity, sizeof(*table->codes));
    table->epochs = calloc(table->capacity, sizeof(*table->epochs));
    table->slots = calloc(table->mask + 1, sizeof(*table->slots));
    if (!table->ids || !table->codes || !table->epochs || !table->slots)
        return err_set(err, -ENOMEM, "join: no memory for classes");
    return 0;
}

void pending_classes_finish(struct class_table *table)
{
    free(table->ids);
    free(table->codes);
    free(table->epochs);
    free(table->slots);
}

static int classes_grow(struct class_table *table, struct err *err)
{
    uint32_t capacity = table->capacity * 2;
    uint32_t *slots = calloc((size_t)capacity * 2, sizeof(*slots));
    uint64_t *ids = realloc(table->ids, capacity * sizeof(*ids));
    if (ids)
        table->ids = ids;
    uint16_t *codes = realloc(table->codes, capacity * sizeof(*codes));
    if (codes)
        table->codes = codes;
    uint32_t *epochs = realloc(table->epochs, capacity * sizeof(*epochs));
    if (epochs)
        table->epochs = epochs;
    if (!slots || !ids || !codes || !epochs) {
        free(slots);
        return err_set(err, -ENOMEM, "join: no memory for %u classes", capacity);
    }
    memset(epochs + table->capacity, 0, table->capacity * sizeof(*epochs));
    free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    table->mask = capacity * 2 - 1;
    for (uint32_t handle = 1; handle < table->n; handle++) {
        uint32_t at = (uint32_t)(table->ids[handle] >> 32) & table->mask;
        while (slots[at])
            at = (at + 1) & table->mask;
        slots[at] = handle;
    }
    return 0;
}

int pending_class_handle(struct pending *pending, uint64_t class_id, uint32_t *handle,
                         struct err *err)
{
    struct class_table *table = &pending->classes;
    *handle = 0;
    if (class_id == 0)
        return 0;
    uint32_t at = (uint32_t)(class_id >> 32) & table->mask;
    for (; table->slots[at]; at = (at + 1) & table->mask) {
        if (table->ids[table->slots[at]] == class_id) {
            *handle = table->slots[at];
            return 0;
        }
    }
    if (table->n == table->capacity) {
        int rc = classes_grow(table, err);
        if (rc)
            return rc;
        at = (uint32_t)(class_id >> 32) & table->mask;
        while (table->slots[at])
            at = (at + 1) & table->mask;
    }
    table->ids[table->n] = class_id;
    table->slots[at] = table->n;
    *handle = table->n++;
    return 0;
}

uint64_t pending_class(const struct pending *pending, uint32_t handle)
{
    return handle < pending->classes.n ? pending->classes.ids[handle] : 0;
}
