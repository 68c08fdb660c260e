/*
 *   ┌───────────────┬──────────────────┬──────────────────┬─ while it waits ──────────────────┐
 *   │ head 16 bytes │ item, relevance  │ class, tp, fp,   │ { length u16 · name } of each     │
 *   │               │ 16 bytes each    │ fn 32 bytes each │ class · the label's own class     │
 *   └───────────────┴──────────────────┴──────────────────┴───────────────────────────────────┘
 *
 * Numbers stand as the machine has them, so that states read them where they lie.
 */
#include "collector/content.h"

#include <stdlib.h>
#include <string.h>

enum {
    HAS_RELEVANCE = 1,
    HAS_CONFUSION = 2,
    HAS_TEXT = 4,
};

struct head {
    uint32_t has;
    uint32_t n_relevances, n_pixels;
    uint32_t text_bytes;
};

static int compare_items(const void *a, const void *b)
{
    const struct item_relevance *x = a, *y = b;
    return x->item < y->item ? -1 : x->item > y->item;
}

static int compare_pixels(const void *a, const void *b)
{
    const struct class_pixels *x = a, *y = b;
    if (x->class_id != y->class_id)
        return x->class_id < y->class_id ? -1 : 1;
    /* all of it has a meaning, also where two classes are both __other__:
       NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    return memcmp(x, y, sizeof(*x));
}

static size_t packed_bytes(const struct event *label)
{
    size_t n = sizeof(struct head) + label->class_text.size;
    n += label->n_relevance * sizeof(struct item_relevance);
    for (uint32_t i = 0; i < label->n_confusion; i++)
        n += sizeof(struct class_pixels) + sizeof(uint16_t) + label->confusion[i].name.size;
    return n;
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t n)
{
    if (n)
        memcpy(at, bytes, n);
    return at + n;
}

enum reject content_pack(const struct event *label, unsigned char *bytes, uint32_t *n)
{
    if (packed_bytes(label) > CONTENT_MAX_BYTES)
        return REJECT_TOO_LARGE;
    struct head head = {
        .has = (label->is_relevance ? HAS_RELEVANCE : 0) |
               (label->is_confusion ? HAS_CONFUSION : 0) | (label->class_text.data ? HAS_TEXT : 0),
        .n_pixels = label->n_confusion,
        .text_bytes = label->class_text.size,
    };
    unsigned char *at = bytes + sizeof(head);
    for (uint32_t i = 0; i < label->n_relevance; i++) {
        const struct named_value *item = &label->relevance[i];
        if (item->value.kind != VALUE_NUMBER)
            continue; /* null: not known, as if it were not named */
        struct item_relevance row = {class_id(item->name.data, item->name.size),
                                     item->value.number};
        at = put(at, &row, sizeof(row));
        head.n_relevances++;
    }
    qsort(bytes + sizeof(head), head.n_relevances, sizeof(struct item_relevance), compare_items);
    for (uint32_t i = 0; i < label->n_confusion; i++) {
        const struct class_confusion *class = &label->confusion[i];
        struct class_pixels row = {class_id(class->name.data, class->name.size), class->tp,
                                   class->fp, class->fn};
        at = put(at, &row, sizeof(row));
    }
    for (uint32_t i = 0; i < label->n_confusion; i++) {
        struct view name = label->confusion[i].name;
        uint16_t size = (uint16_t)name.size;
        at = put(at, &size, sizeof(size));
        at = put(at, name.data, name.size);
    }
    at = put(at, label->class_text.data, label->class_text.size);
    memcpy(bytes, &head, sizeof(head));
    *n = (uint32_t)(at - bytes);
    return REJECT_NONE;
}

bool content_read(struct view bytes, struct content *out)
{
    struct head head;
    *out = (struct content){.relevances = NULL};
    if (!bytes.data || bytes.size < sizeof(head))
        return false;
    memcpy(&head, bytes.data, sizeof(head));
    const size_t left = bytes.size - sizeof(head);
    const size_t relevances = (size_t)head.n_relevances * sizeof(struct item_relevance);
    const size_t pixels = (size_t)head.n_pixels * sizeof(struct class_pixels);
    if (relevances > left || pixels > left - relevances ||
        head.text_bytes > left - relevances - pixels)
        return false;
    const unsigned char *at = (const unsigned char *)bytes.data + sizeof(head);
    const unsigned char *end = (const unsigned char *)bytes.data + bytes.size - head.text_bytes;
    *out = (struct content){
        .is_relevance = head.has & HAS_RELEVANCE,
        .is_confusion = head.has & HAS_CONFUSION,
        .relevances = (const struct item_relevance *)(const void *)at,
        .n_relevances = head.n_relevances,
        .pixels = (const struct class_pixels *)(const void *)(at + relevances),
        .n_pixels = head.n_pixels,
        .names = at + relevances + pixels,
        .end = end,
    };
    if (head.has & HAS_TEXT)
        out->text = (struct view){(const char *)end, head.text_bytes};
    return true;
}

struct view content_name(const struct content *content, const unsigned char **place)
{
    uint16_t size;
    if ((size_t)(content->end - *place) < sizeof(size))
        return (struct view){NULL, 0};
    memcpy(&size, *place, sizeof(size));
    const unsigned char *name = *place + sizeof(size);
    if (size > (size_t)(content->end - name))
        return (struct view){NULL, 0};
    *place = name + size;
    return (struct view){(const char *)name, size};
}

uint32_t content_keep_relevances(const struct content *content, unsigned char *bytes)
{
    const struct head head = {.has = HAS_RELEVANCE, .n_relevances = content->n_relevances};
    unsigned char *end = put(put(bytes, &head, sizeof(head)), content->relevances,
                             (size_t)content->n_relevances * sizeof(struct item_relevance));
    return (uint32_t)(end - bytes);
}

uint32_t content_keep_pixels(const struct content *content, const uint64_t *ids,
                             unsigned char *bytes)
{
    const struct head head = {.has = HAS_CONFUSION, .n_pixels = content->n_pixels};
    unsigned char *rows = put(bytes, &head, sizeof(head)), *at = rows;
    for (uint32_t i = 0; i < content->n_pixels; i++) {
        struct class_pixels row = content->pixels[i];
        row.class_id = ids[i];
        at = put(at, &row, sizeof(row));
    }
    qsort(rows, content->n_pixels, sizeof(struct class_pixels), compare_pixels);
    return (uint32_t)(at - bytes);
}
