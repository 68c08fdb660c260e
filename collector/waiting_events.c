#include "collector/waiting_events.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "stats/sort.h"

enum {
    SHIFTS = 8, /* of a row on average: beyond, merging is quicker than insertion */
    MOST_RUNS = 32,
    MAX_ITEMS = 1 << 30
};
DEFINE_SORT(sort_rows, struct waiting_row, key)

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "collector: no memory for what detectors of changes wait for");
}

static int row_room(struct waiting_events *events, struct err *err)
{
    if (events->n_rows < events->row_capacity)
        return 0;
    size_t capacity = events->row_capacity ? events->row_capacity * 2 : 256;
    struct waiting_row *more = realloc(events->rows, 2 * capacity * sizeof(*more));
    if (!more)
        return no_memory(err);
    events->rows = more;
    events->row_capacity = capacity;
    return 0;
}

static int item_room(struct waiting_events *events, size_t n, struct err *err)
{
    if (n <= events->item_capacity - events->n_items)
        return 0;
    size_t capacity = events->item_capacity * 2 + n + 1024;
    struct waiting_item *more =
        capacity <= MAX_ITEMS ? realloc(events->items, capacity * sizeof(*more)) : NULL;
    if (!more)
        return no_memory(err);
    events->items = more;
    events->item_capacity = capacity;
    return 0;
}

int waiting_make_room(struct waiting_events *events, size_t n_items, struct err *err)
{
    int rc = row_room(events, err);
    return rc ? rc : item_room(events, n_items, err);
}

/* Each partition's rows come in order: merges them, if they are no more runs than that. */
static bool merge_runs(struct waiting_row *rows, size_t n, struct waiting_row *scratch)
{
    size_t ends[MOST_RUNS], n_runs = 0;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && rows[i].key >= rows[i - 1].key)
            continue;
        if (n_runs == MOST_RUNS)
            return false;
        ends[n_runs++] = i;
    }
    struct waiting_row *from = rows, *to = scratch;
    while (n_runs > 1) {
        size_t begin = 0, merged = 0;
        for (size_t k = 0; k < n_runs; k += 2) {
            const size_t middle = ends[k], end = k + 1 < n_runs ? ends[k + 1] : middle;
            sort_rows_merge(from + begin, middle - begin, from + middle, end - middle, to + begin);
            ends[merged++] = begin = end;
        }
        n_runs = merged;
        struct waiting_row *const was = from;
        from = to;
        to = was;
    }
    if (from != rows)
        memcpy(rows, from, n * sizeof(*rows));
    return true;
}

/* By insertion, while that is quick; false: they are in another order, but not in that. */
static bool settle(struct waiting_row *rows, size_t n)
{
    size_t shifts = SHIFTS * n;
    for (size_t i = 1; i < n; i++) {
        const struct waiting_row row = rows[i];
        size_t at = i;
        for (; at > 0 && shifts > 0 && row.key < rows[at - 1].key; at--, shifts--)
            rows[at] = rows[at - 1];
        rows[at] = row;
        if (shifts == 0)
            return false;
    }
    return true;
}

static int compare(const struct waiting_item *x, const struct waiting_item *y)
{
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* Few: those of a prediction, its label and its outcomes. */
static void sort_items(struct waiting_item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct waiting_item item = items[i];
        size_t at = i;
        for (; at > 0 && compare(&item, &items[at - 1]) < 0; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* `n` rows of the same time and id become one: a stream may be in several of them. */
static int join(struct waiting_events *events, struct waiting_row *rows, size_t n, struct err *err)
{
    size_t n_items = 0;
    for (size_t i = 0; i < n; i++)
        n_items += rows[i].n;
    int rc = item_room(events, n_items, err);
    if (rc)
        return rc;
    struct waiting_item *const joined = events->items + events->n_items;
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(joined + done, events->items + rows[i].first, rows[i].n * sizeof(*joined));
        done += rows[i].n;
        rows[i].n = 0;
    }
    sort_items(joined, done);
    rows[0].first = (uint32_t)events->n_items;
    rows[0].n = (uint32_t)done;
    events->n_items += done;
    return 0;
}

static void order(struct waiting_row *rows, size_t n, struct waiting_row *scratch)
{
    if (n > 1 && !merge_runs(rows, n, scratch) && !settle(rows, n))
        sort_rows(rows, n, scratch);
}

/* Those before a key to the front, all as they stood; how many. */
static size_t divide(struct waiting_row *rows, size_t n, unsigned __int128 key,
                     struct waiting_row *scratch)
{
    size_t n_before = 0, n_behind = 0;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].key < key)
            rows[n_before++] = rows[i];
        else
            scratch[n_behind++] = rows[i];
    }
    if (n_behind)
        memcpy(rows + n_before, scratch, n_behind * sizeof(*rows));
    return n_before;
}

int waiting_order(struct waiting_events *events, size_t from, size_t to, int64_t since_ms,
                  struct err *err)
{
    struct waiting_row *const rows = events->rows + from;
    struct waiting_row *const scratch = events->rows + events->row_capacity;
    const size_t n = to - from;
    const size_t n_late = divide(rows, n, waiting_key(since_ms, 0), scratch);
    order(rows, n_late, scratch);
    order(rows + n_late, n - n_late, scratch);
    int rc = 0;
    for (size_t i = 0, next; !rc && i < n; i = next) {
        for (next = i + 1; next < n && rows[next].key == rows[i].key;)
            next++;
        if (next > i + 1)
            rc = join(events, &rows[i], next - i, err);
    }
    return rc;
}

void waiting_drop(struct waiting_events *events, size_t n)
{
    struct waiting_row *const rows = events->rows;
    const size_t left = events->n_rows - n;
    if (left == 0) {
        waiting_clear(events);
        return;
    }
    const uint32_t first = rows[n].first;
    const struct waiting_row *const last = &rows[events->n_rows - 1];
    events->n_items = last->first + last->n - first;
    memmove(events->items, events->items + first, events->n_items * sizeof(*events->items));
    memmove(rows, rows + n, left * sizeof(*rows));
    for (size_t i = 0; i < left; i++)
        rows[i].first -= first;
    events->n_rows = left;
}

void waiting_clear(struct waiting_events *events)
{
    events->n_rows = events->n_items = 0;
}

void waiting_finish(struct waiting_events *events)
{
    free(events->rows);
    free(events->items);
    *events = (struct waiting_events){0};
}
