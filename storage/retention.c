/*
 * Three stages in this order, each walking over all series: minutes to hours, hours to days, days
 * away. A stage is over when a walk has found nothing more before its boundary; the next one starts
 * only then, so an hour is whole before it goes into its day. Where a walk stands is kept in memory
 * only: after a restart it begins anew and finds less to do.
 */
#include "storage/retention.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "storage/commit.h"
#include "storage/connection.h"
#include "storage/pane_key.h"
#include "storage/pane_row.h"
#include "storage/profiles.h"

enum {
    NONE_LEFT = 1,
    PAUSED = 2,
    PROBES_A_PANE = 16 /* looking costs less than merging; 100,000 series are many looks */
};

struct walk {
    struct store *store;
    int level;
    int64_t boundary_ms;
    int budget;
    int64_t probes; /* looks left in this step */
    struct retention_done *done;
};

static int64_t align_down(int64_t ms, int64_t to)
{
    return ms / to * to;
}

int64_t retention_boundary(const struct store *store, int64_t level_ms)
{
    int level = level_of(level_ms);
    return level < 0 ? 0 : store->rolled_up_to_ms[level];
}

int64_t retention_level(const struct store *store, int64_t ts_ms)
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (ts_ms >= store->rolled_up_to_ms[level])
            return level_lengths_ms[level];
    }
    return 0;
}

/* First pane of the walk's level at or after *key that starts before the boundary. */
static int find_old(struct walk *walk, int64_t *key, struct err *err)
{
    static const char sql[] = "SELECT key FROM panes WHERE key >= ?1 ORDER BY key LIMIT 1";
    while (walk->probes-- > 0) {
        AUTO_RESET sqlite3_stmt *statement = NULL;
        int rc = statement_get(walk->store, sql, &statement, err);
        if (rc)
            return rc;
        sqlite3_bind_int64(statement, 1, *key);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_DONE)
            return NONE_LEFT;
        if (rc != SQLITE_ROW)
            return store_fail(walk->store, rc, err, "retention");
        int64_t found = sqlite3_column_int64(statement, 0);
        int64_t series = pane_series(found);
        if (pane_level(found) == walk->level && pane_start_ms(found) < walk->boundary_ms) {
            *key = found;
            return 0;
        }
        if (pane_level(found) >= walk->level)
            series++;
        if (series > PANE_MAX_SERIES)
            return NONE_LEFT;
        *key = pane_key(series, walk->level, 0);
    }
    return PAUSED;
}

static int delete_panes(struct store *store, int64_t from_key, int64_t to_key, struct err *err)
{
    static const char panes_sql[] = "DELETE FROM panes WHERE key >= ?1 AND key < ?2";
    static const char values_sql[] = "DELETE FROM pane_values WHERE key >= ?1 AND key < ?2";
    const char *both[] = {values_sql, panes_sql}; /* sqlite3_changes64 is then that of panes */
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *statement;
        int rc = statement_get(store, both[i], &statement, err);
        if (rc)
            return rc;
        sqlite3_bind_int64(statement, 1, from_key);
        sqlite3_bind_int64(statement, 2, to_key);
        rc = statement_run(store, statement, err, "retention");
        if (rc)
            return rc;
    }
    written_panes(&store->written, from_key, to_key);
    return 0;
}

/* Merges the panes with from <= key < to; 1: one of them is damaged. *n counts them. */
static int merge_panes(struct walk *walk, int64_t from_key, int64_t to_key, struct states *into,
                       int64_t *revisions, int64_t *n, struct err *err)
{
    static const char sql[] =
        "SELECT key, hash, state, revision FROM panes WHERE key >= ?1 AND key < ?2";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(walk->store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from_key);
    sqlite3_bind_int64(statement, 2, to_key);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        AUTO(states) struct states *states = NULL;
        int result = pane_load(statement, states_setup(into), &states, err);
        if (result)
            return result;
        if (states_merge(into, states) != 0)
            return err_set(err, -ENOMEM, "retention: no memory to merge panes");
        *revisions += sqlite3_column_int64(statement, 3);
        ++*n;
    }
    return rc == SQLITE_DONE ? 0 : store_fail(walk->store, rc, err, "retention");
}

static int write_merged(struct walk *walk, int64_t key, const struct states *states,
                        int64_t revisions, struct err *err)
{
    struct buf buf;
    buf_init(&buf, INT32_MAX);
    states_save(states, &buf);
    int rc = buf_failed(&buf) ? err_set(err, -ENOMEM, "retention: no memory for a pane")
                              : pane_write(walk->store, key, revisions, buf.data, buf.size, err);
    buf_finish(&buf);
    return rc;
}

/* All panes of the hour (or day) that `key` lies in become one; *key moves behind them. */
static int roll_up(struct walk *walk, int64_t *key, struct err *err)
{
    int64_t series = pane_series(*key);
    int64_t upper_ms = level_lengths_ms[walk->level + 1];
    int64_t lower_ms = level_lengths_ms[walk->level];
    int64_t start_ms = align_down(pane_start_ms(*key), upper_ms);
    int64_t from_key = pane_key(series, walk->level, start_ms / lower_ms);
    int64_t to_key = pane_key(series, walk->level, (start_ms + upper_ms) / lower_ms);
    int64_t upper_key = pane_key(series, walk->level + 1, start_ms / upper_ms);
    struct metric_setup setup;
    AUTO(states) struct states *states = NULL;
    int64_t revisions = 0;
    int64_t upper_revisions = 0;
    int64_t n = 0;

    *key = to_key;
    int rc = setup_of_series(walk->store, series, &setup, err);
    if (!rc)
        rc = states_new(&states, &setup, err);
    if (!rc)
        rc = merge_panes(walk, from_key, to_key, states, &revisions, &n, err);
    walk->done->n_merged += rc ? 0 : n;
    if (!rc)
        rc = merge_panes(walk, upper_key, upper_key + 1, states, &upper_revisions, &n, err);
    if (!rc && walk->level == 0 && states_coarsen(states) != 0)
        rc = err_set(err, -ENOMEM, "retention: no memory to make a pane coarser");
    if (!rc)
        rc = profiles_roll_up(walk->store, from_key, to_key, upper_key, err);
    if (rc == PANE_DAMAGED) { /* nothing of it may get lost: all of the hour stays as it is */
        walk->done->n_damaged++;
        walk->budget -= 1 + (int)n;
        return 0;
    }
    if (!rc)
        rc = write_merged(walk, upper_key, states, revisions, err);
    if (!rc)
        rc = delete_panes(walk->store, from_key, to_key, err);
    walk->budget -= 1 + (int)n;
    return rc;
}

/* Old panes of one series, at most as many as the budget allows. */
static int delete_old(struct walk *walk, int64_t *key, struct err *err)
{
    int64_t series = pane_series(*key);
    int64_t last = walk->boundary_ms / level_lengths_ms[walk->level];
    int64_t end_key = pane_key(series, walk->level, last);
    if (end_key > *key + walk->budget)
        end_key = *key + walk->budget;
    int rc = profiles_delete(walk->store, *key, end_key, err);
    if (!rc)
        rc = delete_panes(walk->store, *key, end_key, err);
    int64_t n = rc ? 0 : sqlite3_changes64(walk->store->db);
    walk->done->n_deleted += n;
    walk->budget -= 1 + (int)n;
    *key = end_key;
    return rc;
}

/* One walk over all series, from where the last step stopped. */
static int walk_series(struct walk *walk, int64_t *key,
                       int (*act)(struct walk *walk, int64_t *key, struct err *err),
                       struct err *err)
{
    int rc;
    while ((rc = find_old(walk, key, err)) == 0) {
        if (walk->budget <= 0) {
            walk->done->more = true;
            return 0;
        }
        rc = act(walk, key, err);
        if (rc)
            return rc;
    }
    walk->done->more |= rc == PAUSED;
    return rc < 0 ? rc : 0;
}

static int set_boundary(struct store *store, int level, int64_t boundary_ms, struct err *err)
{
    static const char *const keys[N_LEVELS] = {"rolled_up_to/60000", "rolled_up_to/3600000",
                                               "rolled_up_to/86400000"};
    if (boundary_ms <= store->rolled_up_to_ms[level])
        return 0;
    int rc = commit_fact(store, keys[level], boundary_ms, err);
    if (!rc)
        store->rolled_up_to_ms[level] = boundary_ms;
    return rc;
}

static int run_stages(struct store *store, const int64_t boundaries_ms[3], struct walk *walk,
                      struct retention_place *place, struct err *err)
{
    for (; place->stage < N_LEVELS; place->stage++, place->key = 0) {
        walk->level = place->stage;
        int rc = set_boundary(store, walk->level, boundaries_ms[walk->level], err);
        walk->boundary_ms = store->rolled_up_to_ms[walk->level];
        if (!rc && place->stage < N_LEVELS - 1)
            rc = walk_series(walk, &place->key, roll_up, err);
        if (rc || walk->done->more)
            return rc;
    }
    /* Days go; so does what damage left behind in the other levels. */
    walk->boundary_ms = store->rolled_up_to_ms[N_LEVELS - 1];
    for (; place->stage < 2 * N_LEVELS; place->stage++, place->key = 0) {
        walk->level = place->stage - N_LEVELS;
        int rc = walk_series(walk, &place->key, delete_old, err);
        if (rc || walk->done->more)
            return rc;
    }
    return 0;
}

int retention_step(struct store *store, const int64_t keep_ms[3], int64_t now_ms, int budget,
                   struct retention_done *done, struct err *err)
{
    int64_t boundaries_ms[N_LEVELS];
    bool due = false;
    *done = (struct retention_done){0};
    for (int level = 0; level < N_LEVELS; level++) {
        int64_t to = level_lengths_ms[level < N_LEVELS - 1 ? level + 1 : level];
        int64_t oldest_ms = now_ms > keep_ms[level] ? now_ms - keep_ms[level] : 0;
        boundaries_ms[level] = align_down(oldest_ms, to);
        if (level > 0 && boundaries_ms[level] > boundaries_ms[level - 1])
            boundaries_ms[level] = align_down(boundaries_ms[level - 1], to);
        due |= boundaries_ms[level] > store->rolled_up_to_ms[level];
    }
    struct retention_place place = store->retention;
    if (due && place.stage == RETENTION_OVER)
        place = (struct retention_place){0};
    if (place.stage == RETENTION_OVER)
        return 0;

    if (budget <= 0)
        budget = 1;
    struct walk walk = {
        .store = store, .budget = budget, .probes = (int64_t)budget * PROBES_A_PANE, .done = done};
    int rc = commit_begin(store, err);
    if (!rc)
        rc = run_stages(store, boundaries_ms, &walk, &place, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc) {
        commit_rollback(store);
        return rc;
    }
    store->retention = place;
    return 0;
}
