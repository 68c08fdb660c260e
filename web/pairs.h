/*
 * Which series a question is about: `version` and `segment` name one, or ask with `*` for each
 * that is known.
 *
 * Shape    version omitted: all merged; `*`: each; segment `country:de`: that slice; `country:*`:
 *          each value of the key; omitted: everything
 * Owner    pairs_find gives, pairs_finish takes (also after a failure)
 * Errors   ERR_USAGE with the parameter in answer->field
 */
#pragma once

#include "storage/store.h"
#include "web/routes.h"

enum {
    PAIRS_MAX = 1000,
    SEGMENT_BYTES = 600,
};

struct pair {
    char *version; /* NULL: all merged */
    char *slice;   /* "" everything, else "country=de", as the database has it */
};

struct pairs {
    struct pair *items;
    size_t n;
};

int pairs_find(struct pairs *out, struct store *store, const struct api_input *input,
               struct api_answer *answer, struct err *err);
void pairs_finish(struct pairs *pairs);

/* `country:de` → `country=de`, as slices are named in the database; the caller's. NULL when there is
   no colon, or no memory. */
char *segment_slice(const char *segment);
/* And back, as it is asked for; "" for everything. */
void slice_segment(const char *slice, char out[SEGMENT_BYTES]);
void pair_segment(const struct pair *pair, char out[SEGMENT_BYTES]);
