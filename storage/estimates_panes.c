#include "storage/estimates_panes.h"

#include <errno.h>
#include <stdlib.h>

#include "stats/categories.h"
#include "storage/connection.h"
#include "storage/memo.h"
#include "storage/model_settings.h"
#include "storage/series.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

#define VERSION_MS (400 * DAY_MS) /* how far back another version is looked for */

enum {
    MAX_BYTES = 16 * 1024 * 1024
};

/* The longest panes that the span is whole ones of; a long span that is none loses its ends. */
static int64_t step_of(int64_t from_ms, int64_t to_ms)
{
    if (from_ms % DAY_MS == 0 && to_ms % DAY_MS == 0)
        return DAY_MS;
    if (from_ms % HOUR_MS == 0 && to_ms % HOUR_MS == 0)
        return HOUR_MS;
    return to_ms - from_ms > 2 * HOUR_MS ? HOUR_MS : MINUTE_MS;
}

/* The span of panes that is the reference, as one window; window_ms 0: there is none. */
static struct series_query span_of(const struct config_model *model, int64_t before_ms)
{
    const struct config_reference *from = &model->reference;
    struct series_query query = {.model = model->name, .to_ms = before_ms};
    if (from->to_ms > from->from_ms) {
        query.from_ms = from->from_ms;
        query.to_ms = from->to_ms;
    } else if (from->version) {
        query.version = from->version;
        query.from_ms = before_ms > VERSION_MS ? before_ms - VERSION_MS : 0;
    } else if (from->trailing_ms) {
        query.from_ms = before_ms > from->trailing_ms ? before_ms - from->trailing_ms : 0;
    } else {
        return query;
    }
    query.step_ms = step_of(query.from_ms, query.to_ms);
    query.from_ms = (query.from_ms + query.step_ms - 1) / query.step_ms * query.step_ms;
    query.to_ms = query.to_ms / query.step_ms * query.step_ms;
    query.window_ms = query.to_ms > query.from_ms ? query.to_ms - query.from_ms : 0;
    return query;
}

static int fit(struct store *store, const struct series_query *whole, uint64_t fingerprint,
               struct estimator **out, struct err *err)
{
    struct series_query query = *whole;
    struct series_points about;
    AUTO(states) struct states *merged = NULL;
    query.window_ms = query.step_ms;
    int rc = series_each(store, &query, series_merge, &merged, &about, err);
    return rc || !merged ? rc : estimator_of_states(out, merged, fingerprint, err);
}

/* What the panes of the span are, and what was asked of them. */
static int mark_of(struct store *store, const struct series_query *whole, uint64_t *out,
                   struct err *err)
{
    struct series_query query = *whole;
    AUTO_FREE uint64_t *marks = NULL;
    size_t n;
    query.window_ms = query.step_ms;
    int rc = series_marks(store, &query, &marks, &n, err);
    *out = rc ? 0 : class_id((const char *)marks, n * sizeof(*marks));
    return rc;
}

static bool remembered(struct store *store, uint64_t fingerprint, struct estimator **out)
{
    struct buf bytes;
    buf_init(&bytes, MAX_BYTES);
    const bool known = store->memo && memo_get(store->memo, fingerprint, &bytes) &&
                       estimator_load(out, bytes.data, bytes.size, NULL) == 0;
    buf_finish(&bytes);
    return known;
}

static void remember(struct store *store, uint64_t fingerprint, const struct estimator *estimator)
{
    struct buf bytes;
    if (!store->memo)
        return;
    buf_init(&bytes, MAX_BYTES);
    estimator_save(estimator, &bytes);
    if (!buf_failed(&bytes))
        memo_keep(store->memo, fingerprint, &bytes);
    buf_finish(&bytes);
}

static int read_span(struct store *store, const struct series_query *whole, struct estimator **out,
                     struct err *err)
{
    uint64_t fingerprint;
    int rc = mark_of(store, whole, &fingerprint, err);
    if (rc || remembered(store, fingerprint, out))
        return rc;
    rc = fit(store, whole, fingerprint, out, err);
    if (!rc && *out)
        remember(store, fingerprint, *out);
    return rc;
}

int estimator_panes_read(struct store *store, const char *model, int64_t before_ms,
                         struct estimator **out, struct err *err)
{
    *out = NULL;
    AUTO(config) struct config *settings = NULL;
    int rc = model_settings_read(store, model, &settings, err);
    const struct config_model *known = settings ? config_model_find(settings, model) : NULL;
    if (rc || !known)
        return rc == ERR_DATA ? 0 : rc;
    const struct series_query whole = span_of(known, before_ms);
    return whole.window_ms ? read_span(store, &whole, out, err) : 0;
}
