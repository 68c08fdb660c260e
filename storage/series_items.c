/*
 * Without a memo: one scan over the rows. With it, two scans: the first over what stands before
 * the states in their rows (key, hash, revision), which is cheap and gives each block's
 * fingerprint; the second only over blocks that the memo does not have.
 */
#include "storage/series_items.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "storage/memo.h"
#include "storage/pane_key.h"
#include "storage/pane_row.h"

enum {
    MIN_BLOCK_PANES = 4, /* of fewer, merging costs no more than the search */
    MAX_BLOCK_PANES = 60,
    MAX_BLOCK_BYTES = 1 << 20,
};
static const int64_t block_panes[N_LEVELS] = {60, 24, 16};

/* One row of the first scan. */
struct pane_head {
    int64_t key, hash, revision;
};

struct block {
    struct pane_head panes[MAX_BLOCK_PANES];
    size_t n;
};

int series_ids(struct store *store, const struct series_query *query, int64_t **out, size_t *n,
               struct err *err)
{
    static const char sql[] = "SELECT id FROM series WHERE model = ?1 AND slice = ?2 AND "
                              "(?3 IS NULL OR version = ?3) ORDER BY id";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, query->model);
    bind_text(statement, 2, query->slice ? query->slice : "");
    if (query->version)
        bind_text(statement, 3, query->version);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t *more = realloc(*out, (*n + 1) * sizeof(**out));
        if (!more)
            return err_set(err, -ENOMEM, "series: no memory");
        *out = more;
        more[(*n)++] = sqlite3_column_int64(statement, 0);
    }
    return rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, "series");
}

static struct slide_item *item_of(struct series_items *range, int64_t key)
{
    return &range->items[(pane_start_ms(key) - range->start_ms) / range->item_ms];
}

/* Takes the states. */
static int merge_into(struct slide_item *item, struct states *states, struct err *err)
{
    if (!item->states) {
        item->states = states; /* the item owns it now */
        return 0;
    }
    int rc = states_merge(item->states, states);
    states_free(states);
    return rc ? err_set(err, -ENOMEM, "series: no memory to merge panes") : 0;
}

static int panes_between(struct series_items *range, const char *sql, int64_t first, int64_t end,
                         sqlite3_stmt **statement, struct err *err)
{
    int rc = statement_get(range->store, sql, statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(*statement, 1, first);
    sqlite3_bind_int64(*statement, 2, end);
    return 0;
}

/* Merges the panes of the keys [first, end) into `into`, or each into its item where that is NULL.
 */
static int read_panes(struct series_items *range, int64_t first, int64_t end,
                      struct slide_item *into, struct err *err)
{
    static const char sql[] = "SELECT key, hash, state, revision FROM panes "
                              "WHERE key >= ?1 AND key < ?2 ORDER BY key";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = panes_between(range, sql, first, end, &statement, err);
    if (rc)
        return rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct slide_item *item = into ? into : item_of(range, sqlite3_column_int64(statement, 0));
        struct states *states = NULL;
        range->pane_found = true;
        int result = pane_load(statement, range->setup, &states, err);
        range->n_damaged += result == PANE_DAMAGED;
        if (result < 0)
            return result;
        if (result == PANE_DAMAGED)
            continue;
        item->revision += sqlite3_column_int64(statement, 3);
        result = merge_into(item, states, err);
        if (result)
            return result;
    }
    return rc == SQLITE_DONE ? 0 : store_fail(range->store, rc, err, "series");
}

static void keep_block(struct series_items *range, uint64_t fingerprint,
                       const struct states *states)
{
    struct buf bytes;
    buf_init(&bytes, MAX_BLOCK_BYTES);
    states_save(states, &bytes);
    memo_keep(range->store->memo, fingerprint, &bytes);
    buf_finish(&bytes);
}

/* The block as it was merged before; 1: it was not. */
static int recall_block(struct series_items *range, uint64_t fingerprint, struct states **out,
                        struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, MAX_BLOCK_BYTES);
    int rc = 1;
    if (memo_get(range->store->memo, fingerprint, &bytes) && !buf_failed(&bytes))
        rc = states_load(out, range->setup, bytes.data, bytes.size, err);
    buf_finish(&bytes);
    return rc;
}

/* The same block will be asked for again before it changes. */
static bool is_worth_keeping(const struct series_items *range, int64_t last)
{
    return !range->lump_ms || pane_start_ms(last) < range->fresh_ms;
}

static int take_block(struct series_items *range, const struct block *block,
                      struct slide_item *item, bool of_parts, struct err *err);

/* The same panes from blocks of part_ms, most of which are kept when one pane has changed. */
static int take_parts(struct series_items *range, const struct block *block,
                      struct slide_item *into, struct err *err)
{
    struct block part = {.n = 0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < block->n; i++) {
        const struct pane_head *head = &block->panes[i];
        if (part.n && pane_start_ms(head->key) / range->part_ms !=
                          pane_start_ms(part.panes[0].key) / range->part_ms) {
            rc = take_block(range, &part, into, false, err);
            part.n = 0;
        }
        part.panes[part.n++] = *head;
    }
    return rc ? rc : take_block(range, &part, into, false, err);
}

/* What was merged before, or `made` anew: of its parts, where there are such. */
static int make_block(struct series_items *range, const struct block *block,
                      struct slide_item *made, bool of_parts, struct err *err)
{
    uint64_t fingerprint = XXH3_64bits(block->panes, block->n * sizeof(block->panes[0]));
    int rc = recall_block(range, fingerprint, &made->states, err);
    for (size_t i = 0; rc == 0 && i < block->n; i++)
        made->revision += block->panes[i].revision;
    if (rc != 1)
        return rc;
    size_t n_damaged = range->n_damaged;
    rc = of_parts ? take_parts(range, block, made, err)
                  : read_panes(range, block->panes[0].key, block->panes[block->n - 1].key + 1, made,
                               err);
    if (rc == 0 && made->states && range->n_damaged == n_damaged)
        keep_block(range, fingerprint, made->states);
    return rc;
}

static int take_block(struct series_items *range, const struct block *block,
                      struct slide_item *item, bool of_parts, struct err *err)
{
    int64_t first = block->panes[0].key, last = block->panes[block->n - 1].key;
    range->pane_found = true;
    if (block->n < MIN_BLOCK_PANES || !is_worth_keeping(range, last))
        return read_panes(range, first, last + 1, item, err);
    struct slide_item made = {0};
    int rc = make_block(range, block, &made, of_parts, err);
    if (rc) {
        states_free(made.states);
        return rc;
    }
    item->revision += made.revision;
    return made.states ? merge_into(item, made.states, err) : 0;
}

/* Into the item of its first pane. */
static int end_block(struct series_items *range, const struct block *block, struct err *err)
{
    bool of_parts = range->part_ms && range->part_ms < range->lump_ms;
    return block->n ? take_block(range, block, item_of(range, block->panes[0].key), of_parts, err)
                    : 0;
}

static int64_t block_start(const struct series_items *range, int64_t start_ms, int64_t block_ms)
{
    return range->lump_ms ? start_ms - start_ms % block_ms
                          : start_ms - (start_ms - range->start_ms) % range->item_ms % block_ms;
}

static int read_blocks(struct series_items *range, int64_t first, int64_t end, int64_t block_ms,
                       struct err *err)
{
    static const char sql[] = "SELECT key, hash, revision FROM panes "
                              "WHERE key >= ?1 AND key < ?2 ORDER BY key";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = panes_between(range, sql, first, end, &statement, err);
    if (rc)
        return rc;
    struct block block = {.n = 0};
    int64_t present = -1;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct pane_head head = {sqlite3_column_int64(statement, 0),
                                 sqlite3_column_int64(statement, 1),
                                 sqlite3_column_int64(statement, 2)};
        int64_t start_ms = pane_start_ms(head.key);
        int64_t at = block_start(range, start_ms, block_ms);
        if (at != present) {
            int result = end_block(range, &block, err);
            if (result)
                return result;
            block.n = 0;
            present = at;
        }
        block.panes[block.n++] = head;
    }
    return rc == SQLITE_DONE ? end_block(range, &block, err)
                             : store_fail(range->store, rc, err, "series");
}

/* Blocks begin with their item, but in one window; 0: they would not pay. */
static int64_t block_length(const struct series_items *range)
{
    int64_t level_ms = level_lengths_ms[range->level];
    if (range->store->memo && range->lump_ms >= MIN_BLOCK_PANES * level_ms)
        return range->lump_ms;
    bool pays = range->store->memo && range->item_ms >= MIN_BLOCK_PANES * level_ms;
    return pays ? block_panes[range->level] * level_ms : 0;
}

int series_items_read(struct series_items *range, int64_t series_id, struct err *err)
{
    int64_t level_ms = level_lengths_ms[range->level];
    int64_t last = (range->end_ms + level_ms - 1) / level_ms; /* panes that start before end_ms */
    int64_t first_key = pane_key(series_id, range->level, range->start_ms / level_ms);
    int64_t end_key = pane_key(series_id, range->level, last);
    int64_t block_ms = block_length(range);
    return block_ms ? read_blocks(range, first_key, end_key, block_ms, err)
                    : read_panes(range, first_key, end_key, NULL, err);
}
