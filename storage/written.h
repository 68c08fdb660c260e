/*
 * What was written since somebody asked last, as spans of series: so that who keeps what it read of
 * windows (alerts/window_values.h) reads only those again that changed.
 *
 * Shape    a store counts what it writes. Panes are told one by one, by series and time, those that
 *          went as well; anything else that a window's value may depend on (the model, its series,
 *          settings, references), a rollback, and more spans than are remembered (WRITTEN_SPANS,
 *          96 KiB) count as all of it. Profiles, alerts, experiments and what is only bookkeeping
 *          change no value
 * Units    ms since the epoch
 * Threads  that of the store
 */
#pragma once

#include "storage/store.h"

enum {
    WRITTEN_SPANS = 4096
};

struct written_span {
    int64_t series_id;
    int64_t from_ms, to_ms; /* panes that lie in [from, to) */
};

/* Up to where somebody has asked; all 0: nothing yet. */
struct written_mark {
    uint64_t n_spans, n_all;
};

/*
 * Calls `span` for each span that was written since `mark`, oldest first, and moves the mark. 1
 * WRITTEN_ALL, without a call: everything counts as written; so it is at the first time, and each time
 * for a store that is only read, as others write it.
 */
enum {
    WRITTEN_ALL = 1
};
int written_since(const struct store *store, struct written_mark *mark,
                  void (*span)(void *context, const struct written_span *span), void *context);
