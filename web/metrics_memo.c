#include "web/metrics_memo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    MAX_KEPT_BYTES = 64 << 20
};

bool metrics_memo_fits(const struct model_metrics *metrics, const struct series_query *query)
{
    bool fits = query->step_ms == query->window_ms && query->from_ms >= 0;
    for (size_t i = 0; fits && i < metrics->n; i++)
        fits = metrics->queries[i].builtin.def && !metrics->realised[i];
    return fits;
}

static uint64_t hash_of_question(const struct series_query *query,
                                 const struct model_metrics *metrics)
{
    uint64_t hash = XXH3_64bits(&query->window_ms, sizeof(query->window_ms));
    for (size_t i = 0; i < metrics->n; i++) {
        const char *name = metrics->queries[i].name;
        hash = XXH3_64bits_withSeed(name, strlen(name) + 1, hash);
    }
    return XXH3_64bits_withSeed(query->model, strlen(query->model), hash);
}

static uint64_t fingerprint(const struct metrics_memo *memo, size_t window)
{
    uint64_t parts[] = {memo->asked, memo->marks[window],
                        window * (uint64_t)memo->query.step_ms + (uint64_t)memo->query.from_ms};
    return XXH3_64bits(parts, sizeof(parts));
}

int metrics_memo_open(struct metrics_memo *out, struct memo *memo, struct store *store,
                      const struct series_query *query, const struct model_metrics *metrics,
                      struct err *err)
{
    *out = (struct metrics_memo){.memo = memo, .query = *query};
    out->asked = hash_of_question(query, metrics);
    buf_init(&out->kept, MAX_KEPT_BYTES);
    int rc = series_marks(store, query, &out->marks, &out->n, err);
    if (rc)
        return rc;
    out->ends = calloc(out->n + 1, sizeof(*out->ends));
    if (!out->ends)
        return err_set(err, -ENOMEM, "no memory for a question");
    for (size_t i = 0; i < out->n; i++) {
        memo_get(memo, fingerprint(out, i), &out->kept); /* what has no room is computed */
        out->ends[i] = out->kept.size;
    }
    return 0;
}

void metrics_memo_finish(struct metrics_memo *memo)
{
    free(memo->marks);
    free(memo->ends);
    buf_finish(&memo->kept);
}

struct reader metrics_memo_read(const struct metrics_memo *memo, size_t window)
{
    size_t from = window ? memo->ends[window - 1] : 0;
    return reader_of(memo->kept.data + from, memo->ends[window] - from);
}

void metrics_memo_keep(struct metrics_memo *memo, int64_t start_ms, const struct buf *record)
{
    size_t window = (size_t)((start_ms - memo->query.from_ms) / memo->query.step_ms);
    if (window < memo->n)
        memo_keep(memo->memo, fingerprint(memo, window), record);
}
