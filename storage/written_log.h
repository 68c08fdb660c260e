/*
 * How the files of this room count what they write, for storage/written.h and store_generation. Which tables what is
 * read from is in written.c.
 */
#pragma once

#include "storage/written.h"

struct written_log {
    uint64_t n_spans, n_all;                  /* ever */
    struct written_span spans[WRITTEN_SPANS]; /* the newest ones */
};

/* What a statement that writes may change for those who read windows. */
enum written {
    WRITTEN_NOTHING, /* bookkeeping */
    WRITTEN_TOLD, /* answers (store_generation), but no window's value unless one of the two below says so */
    WRITTEN_UNTOLD, /* both: statement_get counts it as all */
};
enum written written_by(const char *sql);

/* Panes of the keys [from, to), which are of one series and level. */
void written_panes(struct written_log *log, int64_t from_key, int64_t to_key);
void written_all(struct written_log *log);
