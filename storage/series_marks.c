#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "storage/pane_key.h"
#include "storage/series_items.h"

struct marking {
    int64_t first_ms, step_ms;
    uint64_t *marks;
    int64_t n;
};

/* One pane into the fingerprint of each window that it overlaps. */
static void mark(struct marking *marking, const int64_t head[3])
{
    int64_t start_ms = pane_start_ms(head[0]);
    int64_t end_ms = start_ms + level_lengths_ms[pane_level(head[0])];
    int64_t from =
        start_ms > marking->first_ms ? (start_ms - marking->first_ms) / marking->step_ms : 0;
    int64_t to = (end_ms - 1 - marking->first_ms) / marking->step_ms;
    for (int64_t i = from; i <= to && i < marking->n; i++)
        marking->marks[i] = XXH3_64bits_withSeed(head, 3 * sizeof(head[0]), marking->marks[i]);
}

static int mark_level(struct store *store, struct marking *marking, int64_t series_id, int level,
                      struct err *err)
{
    static const char sql[] = "SELECT key, hash, revision FROM panes "
                              "WHERE key >= ?1 AND key < ?2 ORDER BY key";
    int64_t level_ms = level_lengths_ms[level];
    int64_t to_ms = marking->first_ms + marking->n * marking->step_ms;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, pane_key(series_id, level, marking->first_ms / level_ms));
    sqlite3_bind_int64(statement, 2, pane_key(series_id, level, (to_ms + level_ms - 1) / level_ms));
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t head[3];
        for (int i = 0; i < 3; i++)
            head[i] = sqlite3_column_int64(statement, i);
        mark(marking, head);
    }
    return rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, "series");
}

int series_marks(struct store *store, const struct series_query *query, uint64_t **out, size_t *n,
                 struct err *err)
{
    int64_t step_ms = query->step_ms;
    if (step_ms <= 0 || query->window_ms != step_ms || query->from_ms < 0 ||
        query->to_ms < query->from_ms)
        return err_set(err, ERR_USAGE, "only tumbling windows have fingerprints");
    int64_t first_ms = query->from_ms / step_ms * step_ms;
    struct marking marking = {.first_ms = first_ms,
                              .step_ms = step_ms,
                              .n = (query->to_ms - first_ms + step_ms - 1) / step_ms};
    if (marking.n > SERIES_MAX_POINTS)
        return err_set(err, ERR_USAGE, "%zu windows: at most %d", (size_t)marking.n,
                       SERIES_MAX_POINTS);
    marking.marks = calloc((size_t)marking.n + 1, sizeof(*marking.marks));
    if (!marking.marks)
        return err_set(err, -ENOMEM, "series: no memory for %zu windows", (size_t)marking.n);

    int64_t *ids = NULL;
    size_t n_ids = 0;
    int rc = series_ids(store, query, &ids, &n_ids, err);
    for (size_t i = 0; !rc && i < n_ids; i++) {
        for (int level = 0; !rc && level < N_LEVELS; level++)
            rc = mark_level(store, &marking, ids[i], level, err);
    }
    free(ids);
    if (rc) {
        free(marking.marks);
        return rc;
    }
    *out = marking.marks; /* the caller owns it now */
    *n = (size_t)marking.n;
    return 0;
}
