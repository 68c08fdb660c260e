/*
 * What the label of a ranking or a segmentation says, as bytes that the join keeps: the relevance
 * of items, the pixels of classes.
 *
 * Shape    counts · relevances, by ascending item · pixels by class · and, as long as the label
 *          waits for its prediction (so that nobody knows its model), the classes' names and the
 *          label's own class, if it has one
 * Units    pixels: whole ones
 * Owner    content_pack writes into the caller's memory; content_read borrows the bytes
 * Errors   content_pack: REJECT_TOO_LARGE; content_read: false for bytes that are none
 * Threads  any; no state
 */
#pragma once

#include <stddef.h>

#include "collector/event.h"
#include "stats/sample.h"

enum {
    CONTENT_MAX_BYTES = 60000 /* of a label: the record that waits with it must stay below 64 KiB */
};

/* Does this label have one? */
static inline bool content_is(const struct event *label)
{
    return label->is_relevance || label->is_confusion;
}

/* REJECT_NONE, or REJECT_TOO_LARGE; *n of the CONTENT_MAX_BYTES at `bytes` are written. The bytes
   must be aligned as a double is. */
enum reject content_pack(const struct event *label, unsigned char *bytes, uint32_t *n);

struct content {
    bool is_relevance, is_confusion; /* what was given, be it empty */
    const struct item_relevance *relevances;
    uint32_t n_relevances;
    const struct class_pixels *pixels; /* as packed: class_id of each name, in the event's order */
    uint32_t n_pixels;
    const unsigned char *names, *end; /* of the pixels' classes, each behind its length; or none */
    struct view text;                 /* the label's own class; data NULL: none */
};

bool content_read(struct view bytes, struct content *out);

/* The name of the next class: start with *place = content->names. data NULL: there are no more. */
struct view content_name(const struct content *content, const unsigned char **place);

/*
 * What stays with the prediction once its model is known, into CONTENT_MAX_BYTES at `bytes`;
 * returns its size. The relevances alone; or the pixels alone, with ids[i] as the class of
 * content->pixels[i], by ascending class.
 */
uint32_t content_keep_relevances(const struct content *content, unsigned char *bytes);
uint32_t content_keep_pixels(const struct content *content, const uint64_t *ids,
                             unsigned char *bytes);
