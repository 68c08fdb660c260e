/*
 * Profiles share the key of their pane. A window is put together pane by pane: features differ much
 * in size and drift is asked for by the window, so there is no sliding merge as for metrics.
 */
#include "storage/profiles.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/drift_cache.h"
#include "storage/pane_key.h"
#include "storage/reference_slices.h"
#include "storage/row_hash.h"
#include "storage/rows.h"
#include "storage/series.h"

enum {
    DAMAGED = 1,
    MAX_WINDOWS = 10000,
};

static int64_t hash_of(int64_t key, int part, const void *bytes, int64_t n)
{
    return row_hash(key * 2 + part, bytes, n);
}

static int write_row(struct store *store, int64_t key, int part, const void *bytes, size_t n,
                     struct err *err)
{
    static const char sql[] =
        "INSERT INTO profiles(key, part, hash, bytes) VALUES(?1, ?2, ?3, ?4) "
        "ON CONFLICT(key, part) DO UPDATE SET hash = excluded.hash, bytes = excluded.bytes";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int64(statement, 2, part);
    sqlite3_bind_int64(statement, 3, hash_of(key, part, bytes, (int64_t)n));
    sqlite3_bind_blob64(statement, 4, bytes, n, SQLITE_STATIC);
    return statement_run(store, statement, err, "profile");
}

int commit_profile(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                   enum profile_part part, const void *bytes, size_t n, struct err *err)
{
    int rc = store_writing(store, err, "commit_profile");
    if (rc)
        return rc;
    if (!pane_valid(series_id, level_ms, start_ms))
        return err_set(err, -EINVAL, "profile of a pane that cannot be");
    return write_row(store, pane_key(series_id, level_of(level_ms), start_ms / level_ms), (int)part,
                     bytes, n, err);
}

int profile_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                 enum profile_part part, void **bytes, size_t *n, struct err *err)
{
    static const char sql[] = "SELECT hash, bytes FROM profiles WHERE key = ?1 AND part = ?2";
    int64_t key = pane_key(series_id, level_of(level_ms), start_ms / level_ms);
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int64(statement, 2, (int)part);
    if (!row_next(store, statement, "profile", &rc, err))
        return rc ? rc : SERIES_NONE;
    const void *found = sqlite3_column_blob(statement, 1);
    int size = sqlite3_column_bytes(statement, 1);
    if (!found || hash_of(key, (int)part, found, size) != sqlite3_column_int64(statement, 0))
        return SERIES_DAMAGED;
    *bytes = malloc((size_t)size);
    if (!*bytes)
        return err_set(err, -ENOMEM, "profile: no memory for %d bytes", size);
    memcpy(*bytes, found, (size_t)size);
    *n = (size_t)size;
    return 0;
}

/* --- what a model's features are --- */

static int add_feature(void *context, uint64_t id, const char *text, struct err *err)
{
    struct profile_model *model = context;
    if ((model->n_features & (model->n_features + 1)) == 0) { /* room is for 2^k - 1 */
        size_t room = 2 * (size_t)model->n_features + 1;
        char **names = realloc(model->names, room * sizeof(*names));
        if (names)
            model->names = names;
        struct profile_feature *features = realloc(model->features, room * sizeof(*features));
        if (features)
            model->features = features;
        if (!names || !features)
            return err_set(err, -ENOMEM, "profile: no memory for %zu features", room);
    }
    char *name = strdup(text);
    if (!name)
        return err_set(err, -ENOMEM, "profile: no memory for a feature");
    uint32_t at = model->n_features++;
    for (; at > 0 && model->features[at - 1].name_id > id; at--) {
        model->features[at] = model->features[at - 1];
        model->names[at] = model->names[at - 1];
    }
    model->names[at] = name;
    model->features[at] =
        (struct profile_feature){.name_id = id, .min = (double)NAN, .max = (double)NAN};
    return 0;
}

int profile_model_read(struct store *store, const char *model, const char *version,
                       struct profile_model *out, struct err *err)
{
    *out = (struct profile_model){
        .label_id = class_id(PROFILE_LABEL_NAME, strlen(PROFILE_LABEL_NAME)),
    };
    int rc = names_each(store, model, "feature", add_feature, out, err);
    out->layout = (struct profile_layout){.n_features = out->n_features, .features = out->features};
    if (!rc)
        rc = profile_model_refer(store, model, version, NULL, out, err);
    if (rc)
        profile_model_finish(out);
    return rc;
}

static void forget_reference(struct profile_model *model)
{
    reference_row_finish(&model->reference);
    reference_free(model->whole);
    free(model->slice);
    model->whole = NULL;
    model->slice = NULL;
    model->no_reference[0] = '\0';
    model->cut = false;
    for (uint32_t i = 0; i < model->n_features; i++)
        model->features[i].kind = PROFILE_AUTO;
    reference_layout(NULL, &model->layout, model->features);
}

int profile_model_refer(struct store *store, const char *name, const char *version,
                        const char *slice, struct profile_model *model, struct err *err)
{
    forget_reference(model);
    if (slice && slice[0]) {
        model->slice = strdup(slice);
        if (!model->slice)
            return err_set(err, -ENOMEM, "profile: no memory");
    }
    int rc = reference_row_read(store, name, version, &model->reference, err);
    if (rc || !model->reference.reference)
        return rc;
    reference_layout(model->reference.reference, &model->layout, model->features);
    if (!model->slice)
        return 0;
    struct reference *part = NULL;
    rc = reference_slice_read(store, &model->reference, slice, &part, model->no_reference,
                              sizeof(model->no_reference), err);
    model->whole = model->reference.reference; /* the layout's grids are its */
    model->reference.reference = part;
    return rc;
}

void profile_model_finish(struct profile_model *model)
{
    for (uint32_t i = 0; i < model->n_features; i++)
        free(model->names[i]);
    free(model->names);
    free(model->features);
    reference_row_finish(&model->reference);
    reference_free(model->whole);
    free(model->slice);
    free(model->spans);
    *model = (struct profile_model){0};
}

/* --- windows --- */

struct window {
    struct store *store;
    const struct profile_model *model;
    enum profile_level level;
    struct crew *crew;      /* NULL: nobody helps */
    struct profile *merged; /* NULL: nothing yet */
    bool compared, partial;
    size_t n_damaged;
    size_t n_panes; /* as add_fingerprint counts them */
    uint64_t fingerprint;
};

/* The row's profile into the window's; DAMAGED leaves it out. */
static int take_profile(struct window *window, sqlite3_stmt *row, struct err *err)
{
    int64_t key = sqlite3_column_int64(row, 0);
    int part = sqlite3_column_int(row, 1);
    const void *bytes = sqlite3_column_blob(row, 3);
    int n = sqlite3_column_bytes(row, 3);
    if (!bytes || hash_of(key, part, bytes, n) != sqlite3_column_int64(row, 2))
        return DAMAGED;
    AUTO(profile) struct profile *profile = NULL;
    const bool compared = window->compared && window->n_panes == 1;
    int rc = profile_load_by(window->crew, &profile, &window->model->layout, window->level,
                             compared, bytes, (size_t)n, err);
    if (rc)
        return rc == ERR_CORRUPT ? DAMAGED : rc;
    if (!window->merged) {
        window->merged = profile;
        profile = NULL; /* the window owns it now */
        return 0;
    }
    return profile_merge(window->merged, profile)
               ? err_set(err, -ENOMEM, "profile: no memory to merge")
               : 0;
}

static int take_range(struct window *window, int64_t from_key, int64_t to_key, struct err *err)
{
    static const char sql[] =
        "SELECT key, part, hash, bytes FROM profiles WHERE key >= ?1 AND key < ?2 ORDER BY key";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(window->store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from_key);
    sqlite3_bind_int64(statement, 2, to_key);
    while (row_next(window->store, statement, "profile", &rc, err)) {
        rc = take_profile(window, statement, err);
        window->n_damaged += rc == DAMAGED;
        rc = rc == DAMAGED ? 0 : rc;
    }
    return rc;
}

/* A longer pane that begins before the window's end or ends after its start cuts it. */
static int is_cut(struct window *window, int64_t series, int level, int64_t start_ms,
                  int64_t end_ms, struct err *err)
{
    static const char sql[] = "SELECT 1 FROM profiles WHERE key = ?1 LIMIT 1";
    int64_t length = level_lengths_ms[level];
    int64_t edges[2] = {start_ms, end_ms};
    for (int i = 0; i < 2; i++) {
        if (edges[i] % length == 0)
            continue;
        AUTO_RESET sqlite3_stmt *statement = NULL;
        int rc = statement_get(window->store, sql, &statement, err);
        if (rc)
            return rc;
        sqlite3_bind_int64(statement, 1, pane_key(series, level, edges[i] / length));
        window->partial |= row_next(window->store, statement, "profile", &rc, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Calls `range` for each stretch of whole panes of the window. */
static int each_range(struct window *window, const int64_t *series, size_t n_series,
                      int64_t start_ms, int64_t end_ms,
                      int (*range)(struct window *window, int64_t from_key, int64_t to_key,
                                   struct err *err),
                      struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n_series; i++) {
        for (int level = 0; !rc && level < N_LEVELS; level++) {
            int64_t length = level_lengths_ms[level];
            int64_t first = (start_ms + length - 1) / length, last = end_ms / length;
            if (first < last)
                rc = range(window, pane_key(series[i], level, first),
                           pane_key(series[i], level, last), err);
        }
    }
    return rc;
}

static int add_fingerprint(struct window *window, int64_t from_key, int64_t to_key, struct err *err)
{
    static const char sql[] =
        "SELECT key, part, hash FROM profiles WHERE key >= ?1 AND key < ?2 ORDER BY key, part";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(window->store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from_key);
    sqlite3_bind_int64(statement, 2, to_key);
    while (row_next(window->store, statement, "profile", &rc, err)) {
        int64_t row[4] = {(int64_t)window->fingerprint, sqlite3_column_int64(statement, 0),
                          sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2)};
        window->fingerprint = (uint64_t)row_hash(0, row, sizeof(row));
        window->n_panes += row[2] == PROFILE_FEATURES;
    }
    return rc;
}

struct series_ids {
    int64_t *ids;
    size_t n;
};

/* The same for a window, or for the spans that stand in its place. */
static int each_stretch(struct window *window, const struct profile_query *query,
                        const struct series_ids *series, const struct profile_span *whole,
                        int (*range)(struct window *window, int64_t from_key, int64_t to_key,
                                     struct err *err),
                        struct err *err)
{
    const struct profile_span *spans = query->n_spans ? query->spans : whole;
    size_t n = query->n_spans ? query->n_spans : 1;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = each_range(window, series->ids, series->n, spans[i].from_ms, spans[i].to_ms, range,
                        err);
    return rc;
}

static int cut_window(struct window *window, const int64_t *series, size_t n_series,
                      int64_t start_ms, int64_t end_ms, struct err *err)
{
    int rc = read_in_time(window->store, err);
    for (size_t i = 0; !rc && i < n_series; i++)
        for (int level = 0; !rc && level < N_LEVELS; level++)
            rc = is_cut(window, series[i], level, start_ms, end_ms, err);
    return rc;
}

static int add_series(void *context, const struct series_known *series, struct err *err)
{
    struct series_ids *all = context;
    int64_t *more = realloc(all->ids, (all->n + 1) * sizeof(*more));
    if (!more)
        return err_set(err, -ENOMEM, "profile: no memory");
    all->ids = more;
    all->ids[all->n++] = series->id;
    return 0;
}

static int walk(struct store *store, const struct profile_model *model,
                const struct profile_query *query, const struct series_ids *series,
                int (*point)(void *context, const struct profile_point *point, struct err *err),
                void *context, size_t *n_damaged, struct err *err)
{
    int64_t window_ms = query->window_ms;
    int rc = 0;
    bool single = query->to_ms - query->from_ms == window_ms;
    int64_t first_ms = single ? query->from_ms : query->from_ms / window_ms * window_ms;
    for (int64_t start = first_ms; !rc && start < query->to_ms; start += window_ms) {
        struct window window = {.store = store,
                                .model = model,
                                .level = query->level,
                                .crew = query->crew,
                                .compared = query->compared};
        int64_t end = start + window_ms;
        const struct profile_span whole = {start, end};
        rc = cut_window(&window, series->ids, series->n, start, end, err);
        if (!rc && query->known)
            rc = each_stretch(&window, query, series, &whole, add_fingerprint, err);
        bool known = !rc && query->known && query->known(context, window.fingerprint);
        if (!rc && !known)
            rc = each_stretch(&window, query, series, &whole, take_range, err);
        struct profile_point given = {start,          end,   window.merged,
                                      window.partial, known, window.fingerprint};
        if (!rc)
            rc = point(context, &given, err);
        profile_free(window.merged);
        *n_damaged += window.n_damaged;
    }
    return rc;
}

int profiles_each(struct store *store, const struct profile_model *model,
                  const struct profile_query *query,
                  int (*point)(void *context, const struct profile_point *point, struct err *err),
                  void *context, size_t *n_damaged, struct err *err)
{
    *n_damaged = 0;
    if (query->window_ms <= 0 || query->window_ms % level_lengths_ms[0])
        return err_set(err, ERR_USAGE, "a window must be whole minutes");
    if (query->from_ms < 0 || query->from_ms > query->to_ms ||
        query->to_ms / level_lengths_ms[0] > PANE_MAX_INDEX / 2)
        return err_set(err, ERR_USAGE, "from and to are no range of time");
    if ((query->to_ms - query->from_ms) / query->window_ms > MAX_WINDOWS)
        return err_set(err, ERR_USAGE, "more than %d windows; take a longer window", MAX_WINDOWS);
    struct series_ids series = {0};
    int rc = store_read_begin(store, err);
    if (rc)
        return rc;
    rc = series_list(store, query->model, query->version, query->slice ? query->slice : "",
                     add_series, &series, err);
    if (!rc)
        rc = walk(store, model, query, &series, point, context, n_damaged, err);
    store_read_end(store);
    free(series.ids);
    return rc;
}

/* --- ageing --- */

static int model_of_series(struct store *store, int64_t series, struct profile_model *out,
                           struct err *err)
{
    static const char sql[] = "SELECT model FROM series WHERE id = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, series);
    if (!row_next(store, statement, "profile", &rc, err))
        return rc ? rc : err_set(err, ERR_CORRUPT, "a profile of a series that is not there");
    const char *model = (const char *)sqlite3_column_text(statement, 0);
    return model ? profile_model_read(store, model, NULL, out, err)
                 : store_fail(store, SQLITE_NOMEM, err, "profile");
}

static int any_rows(struct store *store, int64_t from_key, int64_t to_key, bool *out,
                    struct err *err)
{
    static const char sql[] = "SELECT 1 FROM profiles WHERE key >= ?1 AND key < ?2 LIMIT 1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from_key);
    sqlite3_bind_int64(statement, 2, to_key);
    *out = row_next(store, statement, "profile", &rc, err);
    return rc;
}

/* One part of the range, and of what is at upper_key already. */
static int take_part(struct window *window, int64_t from_key, int64_t to_key, int part,
                     struct err *err)
{
    static const char sql[] =
        "SELECT key, part, hash, bytes FROM profiles WHERE key >= ?1 AND key < ?2 AND part = ?3";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(window->store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from_key);
    sqlite3_bind_int64(statement, 2, to_key);
    sqlite3_bind_int64(statement, 3, part);
    while (row_next(window->store, statement, "profile", &rc, err))
        rc = take_profile(window, statement, err);
    return rc;
}

static int write_merged(struct store *store, int64_t key, int part, const struct profile *profile,
                        struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, INT32_MAX);
    profile_save(profile, &bytes);
    int rc = buf_failed(&bytes) ? err_set(err, -ENOMEM, "profile: no memory")
                                : write_row(store, key, part, bytes.data, bytes.size, err);
    buf_finish(&bytes);
    return rc;
}

int profiles_delete(struct store *store, int64_t from_key, int64_t to_key, struct err *err)
{
    static const char sql[] = "DELETE FROM profiles WHERE key >= ?1 AND key < ?2";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from_key);
    sqlite3_bind_int64(statement, 2, to_key);
    return statement_run(store, statement, err, "profile");
}

int profiles_roll_up(struct store *store, int64_t from_key, int64_t to_key, int64_t upper_key,
                     struct err *err)
{
    struct profile_model model;
    bool any = false;
    int rc = any_rows(store, from_key, to_key, &any, err);
    if (rc || !any)
        return rc;
    rc = model_of_series(store, pane_series(from_key), &model, err);
    if (rc)
        return rc;
    struct window windows[2];
    for (int part = 0; part < 2; part++)
        windows[part] = (struct window){.store = store, .model = &model, .level = PROFILE_HOUR};
    for (int part = 0; !rc && part < 2; part++) {
        rc = take_part(&windows[part], from_key, to_key, part, err);
        if (!rc)
            rc = take_part(&windows[part], upper_key, upper_key + 1, part, err);
    }
    for (int part = 0; !rc && part < 2; part++)
        if (windows[part].merged)
            rc = write_merged(store, upper_key, part, windows[part].merged, err);
    if (!rc)
        rc = profiles_delete(store, from_key, to_key, err);
    for (int part = 0; part < 2; part++)
        profile_free(windows[part].merged);
    profile_model_finish(&model);
    return rc;
}

/* --- integrity --- */

/* The profile's series: its model's layout in *model, read anew where the model is another. */
static int layout_of(struct store *store, int64_t key, struct profile_model *model, int64_t *series,
                     struct err *err)
{
    if (pane_series(key) == *series)
        return 0;
    profile_model_finish(model);
    *series = pane_series(key);
    return model_of_series(store, *series, model, err);
}

static int verify_row(struct store *store, sqlite3_stmt *row, struct profile_model *model,
                      int64_t *series, struct err *err)
{
    static const char name_sql[] = "SELECT model, version, slice FROM series WHERE id = ?1";
    struct window window = {.store = store, .model = model, .level = PROFILE_REFERENCE};
    int rc = layout_of(store, sqlite3_column_int64(row, 0), model, series, err);
    if (!rc)
        rc = take_profile(&window, row, err);
    profile_free(window.merged);
    if (rc != DAMAGED)
        return rc;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    rc = statement_get(store, name_sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, *series);
    const char *names[3] = {"(unknown)", "", ""};
    if (row_next(store, statement, "series", &rc, err))
        for (int i = 0; i < 3; i++)
            names[i] = (const char *)sqlite3_column_text(statement, i);
    return err_set(err, ERR_CORRUPT,
                   "%s: a profile of model %.100s, version %.100s, slice \"%.100s\" is damaged; "
                   "restore a backup, or go on without it",
                   store->path, names[0] ? names[0] : "", names[1] ? names[1] : "",
                   names[2] ? names[2] : "");
}

int profiles_verify(struct store *store, struct err *err)
{
    static const char sql[] = "SELECT key, part, hash, bytes FROM profiles ORDER BY key, part";
    struct profile_model model = {0};
    int64_t series = -1;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "profile", &rc, err))
        rc = verify_row(store, statement, &model, &series, err);
    profile_model_finish(&model);
    return rc;
}
