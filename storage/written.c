#include "storage/written.h"

#include <string.h>

#include "storage/connection.h"
#include "storage/pane_key.h"

/* Tables that no window's answer is read from. */
static const char *const bookkeeping[] = {
    "alert_groups", "alert_history", "alert_members", "alerts",  "audit",
    "dead_letter",  "facts",         "model_counts",  "offsets", "partition_counts",
    "outbox",       "pending",       "silences"};

/* Tables that no metric's value is read from; but for the first two, whose writers tell. Erasing a model writes
   `series` as well, which counts as all. */
static const char *const told[] = {"panes",
                                   "models",
                                   "actuations",
                                   "change_detectors",
                                   "change_points",
                                   "change_waiting",
                                   "experiment_evidence",
                                   "experiment_looks",
                                   "experiment_units",
                                   "experiments",
                                   "pane_values",
                                   "profiles",
                                   "transitions"};

static bool is_one_of(const char *table, size_t n, const char *const *tables, size_t n_tables)
{
    for (size_t i = 0; i < n_tables; i++)
        if (strlen(tables[i]) == n && memcmp(tables[i], table, n) == 0)
            return true;
    return false;
}

enum written written_by(const char *sql)
{
    static const char *const before[] = {" INTO ", "UPDATE ", " FROM "};
    const char *table = NULL;
    for (size_t i = 0; !table && i < sizeof(before) / sizeof(before[0]); i++) {
        table = strstr(sql, before[i]);
        table = table ? table + strlen(before[i]) : NULL;
    }
    const size_t n = table ? strspn(table, "abcdefghijklmnopqrstuvwxyz_") : 0;
    if (is_one_of(table, n, bookkeeping, sizeof(bookkeeping) / sizeof(bookkeeping[0])))
        return WRITTEN_NOTHING;
    return is_one_of(table, n, told, sizeof(told) / sizeof(told[0])) ? WRITTEN_TOLD
                                                                     : WRITTEN_UNTOLD;
}

void written_panes(struct written_log *log, int64_t from_key, int64_t to_key)
{
    const int64_t level_ms = level_lengths_ms[pane_level(from_key)];
    const int64_t from_ms = pane_start_ms(from_key);
    log->spans[log->n_spans++ % WRITTEN_SPANS] = (struct written_span){
        pane_series(from_key), from_ms, from_ms + (to_key - from_key) * level_ms};
}

void written_all(struct written_log *log)
{
    log->n_all++;
}

int written_since(const struct store *store, struct written_mark *mark,
                  void (*span)(void *context, const struct written_span *span), void *context)
{
    const struct written_log *log = &store->written;
    const struct written_mark last = *mark;
    *mark = (struct written_mark){log->n_spans, log->n_all};
    if (store->mode == STORE_READ || last.n_all != log->n_all ||
        log->n_spans - last.n_spans > WRITTEN_SPANS)
        return WRITTEN_ALL;
    for (uint64_t i = last.n_spans; i < log->n_spans; i++)
        span(context, &log->spans[i % WRITTEN_SPANS]);
    return 0;
}
