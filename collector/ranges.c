#include "collector/ranges.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/commit.h"
#include "storage/reference_panes.h"
#include "storage/references.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define NEVER INT64_MAX

/* A span that the configuration names. */
struct range {
    const struct config_model *model;
    int64_t next_ms; /* of the watermark: looked at from then on; NEVER: it is settled */
};

struct making {
    pthread_t thread;
    struct range_wanted wanted;     /* its texts are the next ones */
    char *model, **segments, *path; /* path: of the database */
    struct range_made made;
    struct err err;
    int rc;
    atomic_bool stop, done;
    bool joined;
};

struct ranges {
    struct store *store;
    const struct config *config;
    const struct log *log;
    struct range *all;
    size_t n;
    struct making *making; /* NULL: nothing */
    int64_t watermark_ms;  /* when it began */
};

static void making_free(struct making *making)
{
    if (!making)
        return;
    for (size_t i = 0; making->segments && i < making->wanted.n_segments; i++)
        free(making->segments[i]);
    free(making->segments);
    free(making->model);
    free(making->path);
    range_made_finish(&making->made);
    free(making);
}
DEFINE_FREEP(making)

static bool names_range(const struct config_model *model)
{
    return model->reference.to_ms > model->reference.from_ms;
}

/* Without memory for it nothing is kept: references are read from panes, as they were. */
void ranges_configure(struct ranges *ranges, const struct config *config)
{
    free(ranges->all);
    ranges->config = config;
    ranges->n = 0;
    ranges->all = calloc(config->n_models + 1, sizeof(*ranges->all));
    for (size_t i = 0; ranges->all && i < config->n_models; i++)
        if (names_range(&config->models[i]))
            ranges->all[ranges->n++] = (struct range){&config->models[i], INT64_MIN};
}

int ranges_new(struct ranges **out, struct store *store, const struct config *config,
               const struct log *log, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "collector: no memory");
    (*out)->store = store;
    (*out)->log = log;
    ranges_configure(*out, config);
    return 0;
}

static void join(struct making *making)
{
    if (!making->joined)
        pthread_join(making->thread, NULL);
    making->joined = true;
}

static void end_making(struct ranges *ranges)
{
    if (!ranges->making)
        return;
    join(ranges->making);
    making_free(ranges->making);
    ranges->making = NULL;
}

void ranges_free(struct ranges *ranges)
{
    if (!ranges)
        return;
    if (ranges->making)
        atomic_store(&ranges->making->stop, true);
    end_making(ranges);
    free(ranges->all);
    free(ranges);
}

/* --- when --- */

/*
 * Panes of a minute can be told apart for keep[0], of an hour for keep[1]: as long as what is left
 * of them are whole ones of the span, labels may still come.
 */
static int64_t due_ms(const struct config *config, const struct config_model *model)
{
    const int64_t from_ms = model->reference.from_ms, to_ms = model->reference.to_ms;
    const int level = from_ms % DAY_MS == 0 && to_ms % DAY_MS == 0     ? 2
                      : from_ms % HOUR_MS == 0 && to_ms % HOUR_MS == 0 ? 1
                                                                       : 0;
    int64_t last_ms = from_ms + config->retention_ms[level];
    if (last_ms < to_ms)
        last_ms = to_ms;
    const int64_t labelled_ms = to_ms + model->label_horizon_ms;
    return labelled_ms < last_ms ? labelled_ms : last_ms;
}

static bool is_due(struct ranges *ranges, struct range *range, int64_t watermark_ms)
{
    const struct config_reference *span = &range->model->reference;
    bool known = false;
    if (watermark_ms < range->next_ms || watermark_ms < due_ms(ranges->config, range->model))
        return false;
    if (reference_range_known(ranges->store, range->model->name, span->from_ms, span->to_ms, &known,
                              NULL) ||
        known)
        range->next_ms = NEVER;
    return range->next_ms != NEVER;
}

/* --- making --- */

static void *make(void *context)
{
    struct making *making = context;
    AUTO(store) struct store *store = NULL;
    making->rc = store_open(&store, making->path, STORE_READ, &making->err);
    if (!making->rc)
        making->rc = reference_panes_make(store, &making->wanted, &making->made, &making->err);
    atomic_store(&making->done, true);
    return NULL;
}

static int copy_segments(struct making *making, const struct config_model *model)
{
    making->segments = calloc(model->n_segments + 1, sizeof(*making->segments));
    if (!making->segments)
        return -ENOMEM;
    making->wanted.segments = (const char *const *)making->segments;
    for (size_t i = 0; i < model->n_segments; i++) {
        if (!(making->segments[i] = strdup(model->segments[i])))
            return -ENOMEM;
        making->wanted.n_segments++;
    }
    return 0;
}

static int begin(struct ranges *ranges, const struct config_model *model, int64_t watermark_ms)
{
    AUTO(making) struct making *making = calloc(1, sizeof(*making));
    if (!making)
        return -ENOMEM;
    making->wanted.model = making->model = strdup(model->name);
    making->wanted.from_ms = model->reference.from_ms;
    making->wanted.to_ms = model->reference.to_ms;
    making->wanted.stop = &making->stop;
    making->path = strdup(store_path(ranges->store));
    if (!making->model || !making->path || copy_segments(making, model))
        return -ENOMEM;
    if (pthread_create(&making->thread, NULL, make, making))
        return -EAGAIN;
    ranges->making = making;
    ranges->watermark_ms = watermark_ms;
    making = NULL; /* `ranges` owns it now */
    return 0;
}

bool ranges_hold(struct ranges *ranges, int64_t watermark_ms)
{
    for (size_t i = 0; !ranges->making && i < ranges->n; i++) {
        struct range *range = &ranges->all[i];
        if (is_due(ranges, range, watermark_ms) && begin(ranges, range->model, watermark_ms))
            range->next_ms = watermark_ms + HOUR_MS;
    }
    return ranges->making != NULL;
}

bool ranges_ready(const struct ranges *ranges, bool wait)
{
    return ranges->making && (wait || atomic_load(&ranges->making->done));
}

/* --- storing --- */

static struct range *range_of(struct ranges *ranges, const struct range_wanted *made)
{
    for (size_t i = 0; i < ranges->n; i++) {
        const struct config_model *model = ranges->all[i].model;
        if (strcmp(model->name, made->model) == 0 && model->reference.from_ms == made->from_ms &&
            model->reference.to_ms == made->to_ms)
            return &ranges->all[i];
    }
    return NULL;
}

void ranges_forget(struct ranges *ranges, const char *model)
{
    for (size_t i = 0; i < ranges->n; i++)
        if (strcmp(ranges->all[i].model->name, model) == 0)
            ranges->all[i].next_ms = INT64_MIN; /* what was stored goes, too */
    if (!ranges->making || strcmp(ranges->making->wanted.model, model) != 0)
        return;
    atomic_store(&ranges->making->stop, true);
    end_making(ranges);
}

static int store_it(struct ranges *ranges, const struct making *making, struct err *err)
{
    const struct range_wanted *wanted = &making->wanted;
    struct store *store = ranges->store;
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_range_reference(store, wanted->model, making->made.reference,
                                    making->made.fitted, wanted->from_ms, wanted->to_ms, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

static void tell(const struct ranges *ranges, const struct making *making)
{
    const struct range_wanted *wanted = &making->wanted;
    if (!ranges->log)
        return;
    if (making->rc)
        log_write(ranges->log, LEVEL_WARNING, "collector",
                  "model %.100s: its reference could not be kept, and is read from stored windows "
                  "as long as they are there: %s",
                  wanted->model, making->err.text);
    else if (making->made.reference)
        log_write(ranges->log, LEVEL_INFO, "collector",
                  "model %.100s: its reference (%" PRIu64 " events, %016" PRIx64
                  ") is kept: the windows that it was made of may go",
                  wanted->model, making->made.reference->events, making->made.reference->id);
    else if (making->made.cut)
        log_write(
            ranges->log, LEVEL_WARNING, "collector",
            "model %.100s: the time of its reference is only kept in longer windows now; name "
            "whole hours (days) of UTC, or load a file",
            wanted->model);
}

int ranges_adopt(struct ranges *ranges, bool *changed, struct err *err)
{
    struct making *making = ranges->making;
    *changed = false;
    join(making);
    struct range *range = range_of(ranges, &making->wanted);
    const bool made = range && making->made.reference;
    const int rc = made ? store_it(ranges, making, err) : 0;
    if (rc == ERR_FULL)
        return rc; /* it stays as it is made, and panes wait */
    if (range)     /* what is cut, failed or stored is settled */
        range->next_ms =
            !making->rc && !made && !making->made.cut ? ranges->watermark_ms + HOUR_MS : NEVER;
    if (range && !rc)
        tell(ranges, making);
    *changed = made && !rc;
    end_making(ranges);
    return rc;
}
