/*
 * What the collector reads back when it starts (or was fenced): the counterpart of commit.h. Panes
 * come back one by one by series_pane, when a late label asks for them.
 *
 * Owner    rows and bytes given to a callback live for that call
 * Errors   as in store.h; a callback's < 0 ends the walk and is passed on. RESTORE_NONE: no such
 *          row
 * Threads  that of the store
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "storage/commit.h"
#include "storage/store.h"

enum {
    RESTORE_NONE = 1
};

struct restored_offset {
    const char *topic;
    int32_t partition;
    int64_t next;
    struct partition_counts counts;
};
/* Every (topic, partition) that was ever committed. */
int restore_offsets(struct store *store,
                    int (*each)(void *context, const struct restored_offset *row, struct err *err),
                    void *context, struct err *err);

/* Every model that was ever committed, configured or admitted; the first commit's order. */
int restore_models(struct store *store,
                   int (*each)(void *context, const struct model_row *row, struct err *err),
                   void *context, struct err *err);

struct restored_series {
    int64_t series_id;
    const char *model;
    const char *version;
    const char *slice; /* "" overall */
};
/* Every series, by rising id. */
int restore_series(struct store *store,
                   int (*each)(void *context, const struct restored_series *row, struct err *err),
                   void *context, struct err *err);

/* Every row of the pending segments: segments rising, rows of one segment in the order written. */
int restore_pending(struct store *store,
                    int (*each)(void *context, uint32_t segment, const void *bytes, size_t n,
                                struct err *err),
                    void *context, struct err *err);
/* The rows of one segment only. */
int restore_pending_segment(struct store *store, uint32_t segment,
                            int (*each)(void *context, uint32_t segment, const void *bytes,
                                        size_t n, struct err *err),
                            void *context, struct err *err);

/* The JSON of commit_model_counts; *json is malloc'd, the caller's. 0 or RESTORE_NONE. */
int restore_model_counts(struct store *store, const char *model, char **json, struct err *err);

/* 0 or RESTORE_NONE. */
int restore_fact(struct store *store, const char *key, int64_t *value, struct err *err);
