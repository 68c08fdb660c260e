/*
 * Nearly all predictions fall into the newest minute of their series, which the series itself
 * points at; labels go by the hash table. Panes are chained in their bucket, and clean ones in a
 * list from the least to the most recently used.
 */
#include "collector/fold.h"

#include <errno.h>
#include <stdlib.h>

#include "collector/folding.h"
#include "common/grow.h"
#include "storage/commit.h"
#include "storage/retention.h"
#include "storage/series.h"

static const int64_t levels_ms[3] = {60000, 3600000, 86400000};

enum {
    MOST_GATHERED = 256 /* panes that events are gathered for at once: 4.5 MiB */
};

struct pane {
    struct series *series;
    int64_t start_ms;
    struct states *states;
    struct profile *profiles[2]; /* by enum profile_part; NULL: not asked for yet */
    uint32_t profile_bytes[2];   /* as last written or read */
    bool profile_changed[2];
    struct gathered *gathered;  /* what is not in yet; NULL: nothing */
    struct pane *next;          /* in the bucket */
    struct pane *older, *newer; /* in the list of clean panes */
    uint32_t bytes;             /* as last written or read */
    uint8_t level;
    bool changed;
};

struct panes {
    struct panes_options options;
    struct pane **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_panes;
    struct pane **changed;
    size_t n_changed, changed_capacity;
    struct pane oldest; /* the list's ring: oldest.newer is the first to go */
    size_t clean_bytes, changed_bytes;
    struct pane *gathering[MOST_GATHERED]; /* a ring: what gathers longest is the next to end */
    uint32_t next_gathering;
    struct folding *folding; /* what is gathered goes into panes by way of it */
    struct buf state;
};

enum {
    FIRST_BUCKETS = 1024,
    PANE_COST = 1024,      /* states and links of an empty pane, in bytes */
    NEW_PANE_BYTES = 2048, /* a guess, until it was written once */
    NEW_FEATURE_BYTES = 256,
    MEMORY_PER_SAVED = 4, /* a state in memory takes about this many times its saved bytes */
    MAX_STATE_BYTES = 64 * 1024 * 1024,
};

static size_t saved_bytes(const struct pane *pane)
{
    return (size_t)pane->bytes + pane->profile_bytes[0] + pane->profile_bytes[1];
}

static size_t cost_of(const struct pane *pane)
{
    return PANE_COST + saved_bytes(pane) * MEMORY_PER_SAVED;
}

int panes_new(struct panes **out, const struct panes_options *options, struct err *err)
{
    AUTO(panes) struct panes *fold = calloc(1, sizeof(*fold));
    if (!fold)
        return err_set(err, -ENOMEM, "collector: no memory for panes");
    fold->options = *options;
    fold->oldest.newer = fold->oldest.older = &fold->oldest;
    fold->n_buckets = FIRST_BUCKETS;
    fold->buckets = calloc(fold->n_buckets, sizeof(struct pane *));
    buf_init(&fold->state, MAX_STATE_BYTES);
    if (!fold->buckets)
        return err_set(err, -ENOMEM, "collector: no memory for panes");
    int rc = folding_new(&fold->folding, err);
    if (rc)
        return rc;
    *out = fold;
    fold = NULL; /* the caller owns it now */
    return 0;
}

static void pane_free(struct pane *pane)
{
    free(pane->gathered);
    states_free(pane->states);
    profile_free(pane->profiles[0]);
    profile_free(pane->profiles[1]);
    free(pane);
}

void panes_free(struct panes *fold)
{
    if (!fold)
        return;
    folding_free(fold->folding); /* first: its thread may be at a pane */
    for (size_t i = 0; fold->buckets && i < fold->n_buckets; i++) {
        for (struct pane *pane = fold->buckets[i]; pane;) {
            struct pane *next = pane->next;
            if (pane->series->latest == pane)
                pane->series->latest = NULL;
            pane_free(pane);
            pane = next;
        }
    }
    buf_finish(&fold->state);
    free(fold->changed);
    free(fold->buckets);
    free(fold);
}

static struct pane **bucket_of(const struct panes *fold, const struct series *series,
                               unsigned level, int64_t start_ms)
{
    uint64_t key = (uint64_t)(start_ms / levels_ms[level]) * 4 + level;
    uint64_t hash = (key ^ (uint64_t)series->number << 40) * UINT64_C(0x9e3779b97f4a7c15);
    return &fold->buckets[(hash >> 32) & (fold->n_buckets - 1)];
}

static void leave_list(struct pane *pane)
{
    if (!pane->newer)
        return;
    pane->newer->older = pane->older;
    pane->older->newer = pane->newer;
    pane->newer = pane->older = NULL;
}

static void join_list(struct panes *fold, struct pane *pane)
{
    pane->newer = &fold->oldest;
    pane->older = fold->oldest.older;
    pane->older->newer = pane;
    fold->oldest.older = pane;
}

/* Forgets a clean pane. */
static void drop(struct panes *fold, struct pane *pane)
{
    struct pane **place = bucket_of(fold, pane->series, pane->level, pane->start_ms);
    while (*place != pane)
        place = &(*place)->next;
    *place = pane->next;
    leave_list(pane);
    if (pane->series->latest == pane)
        pane->series->latest = NULL;
    fold->clean_bytes -= cost_of(pane);
    fold->n_panes--;
    pane_free(pane);
}

void panes_rolled_up(struct panes *fold)
{
    int64_t boundary_ms = retention_boundary(fold->options.store, levels_ms[0]);
    for (struct pane *pane = fold->oldest.newer; pane != &fold->oldest;) {
        struct pane *next = pane->newer;
        if (pane->level > 0 || pane->start_ms < boundary_ms)
            drop(fold, pane);
        pane = next;
    }
}

static void rehash(struct panes *fold)
{
    size_t n = fold->n_buckets * 2;
    struct pane **old = fold->buckets;
    size_t n_old = fold->n_buckets;
    struct pane **buckets = calloc(n, sizeof(struct pane *));
    if (!buckets)
        return; /* longer chains, nothing worse */
    fold->buckets = buckets;
    fold->n_buckets = n;
    for (size_t i = 0; i < n_old; i++) {
        for (struct pane *pane = old[i]; pane;) {
            struct pane *next = pane->next;
            struct pane **place = bucket_of(fold, pane->series, pane->level, pane->start_ms);
            pane->next = *place;
            *place = pane;
            pane = next;
        }
    }
    free(old);
}

/* The states of a pane that is not in memory: as stored, or new. */
static int read_states(struct panes *fold, struct pane *pane, struct err *err)
{
    const struct metric_setup *setup = &pane->series->version->model->setup;
    void *bytes = NULL;
    size_t n = 0;
    int rc = SERIES_NONE;
    if (pane->series->id)
        rc = series_pane(fold->options.store, pane->series->id, levels_ms[pane->level],
                         pane->start_ms, &bytes, &n, err);
    if (rc == 0) {
        rc = states_load(&pane->states, setup, bytes, n, err);
        free(bytes);
        pane->bytes = (uint32_t)n;
        return rc;
    }
    if (rc == SERIES_DAMAGED)
        return FOLD_DAMAGED;
    pane->bytes = NEW_PANE_BYTES;
    if (rc == SERIES_NONE)
        rc = states_new(&pane->states, setup, err);
    return rc || pane->level == 0 ? rc : states_coarsen(pane->states);
}

static int pane_new(struct panes *fold, struct series *series, unsigned level, int64_t start_ms,
                    struct pane **out, struct err *err)
{
    struct pane *pane = calloc(1, sizeof(*pane));
    if (!pane)
        return err_set(err, -ENOMEM, "collector: no memory for a pane");
    pane->series = series;
    pane->start_ms = start_ms;
    pane->level = (uint8_t)level;
    int rc = read_states(fold, pane, err);
    if (rc) {
        free(pane);
        return rc;
    }
    if (fold->n_panes >= fold->n_buckets)
        rehash(fold);
    struct pane **place = bucket_of(fold, series, level, start_ms);
    pane->next = *place;
    *place = pane;
    fold->n_panes++;
    fold->clean_bytes += cost_of(pane);
    join_list(fold, pane);
    *out = pane;
    return 0;
}

static int mark_changed(struct panes *fold, struct pane *pane, struct err *err)
{
    int rc = grow(&fold->changed, &fold->changed_capacity, fold->n_changed + 1,
                  sizeof(struct pane *), "collector: changed panes", err);
    if (rc)
        return rc;
    fold->changed[fold->n_changed++] = pane;
    fold->clean_bytes -= cost_of(pane);
    fold->changed_bytes += saved_bytes(pane);
    leave_list(pane);
    pane->changed = true;
    return 0;
}

static int no_memory(const struct series *series, struct err *err)
{
    return err_set(err, -ENOMEM, "collector: no memory for a pane of model %s",
                   series->version->model->name);
}

static struct gathered_into into_of(const struct panes *fold, const struct pane *pane)
{
    return (struct gathered_into){pane->profiles[PROFILE_FEATURES], pane->states, fold->folding};
}

/* What was gathered for a pane is on its way into it. */
static int give(struct panes *fold, struct pane *pane, struct err *err)
{
    struct gathered *gathered = pane->gathered;
    if (!gathered)
        return 0;
    pane->gathered = NULL;
    const struct gathered_into into = into_of(fold, pane);
    return folding_give(fold->folding, gathered, &into) ? no_memory(pane->series, err) : 0;
}

int panes_settle(struct panes *fold, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < MOST_GATHERED; i++) {
        struct pane *pane = fold->gathering[i];
        fold->gathering[i] = NULL;
        rc = pane ? give(fold, pane, err) : 0;
    }
    if (!rc && folding_settle(fold->folding))
        rc = err_set(err, -ENOMEM, "collector: no memory for the values of features");
    return rc;
}

/* The pane of a series that ts_ms belongs to, marked as changed. */
static int pane_for(struct panes *fold, struct series *series, int64_t ts_ms, struct pane **out,
                    struct err *err)
{
    struct pane *pane = series->latest;
    if (!pane || ts_ms < pane->start_ms || ts_ms >= pane->start_ms + levels_ms[0]) {
        unsigned level = 0;
        int64_t start_ms = ts_ms - ts_ms % levels_ms[0];
        while (level < 2 && start_ms < retention_boundary(fold->options.store, levels_ms[level])) {
            level++;
            start_ms = ts_ms - ts_ms % levels_ms[level];
        }
        pane = *bucket_of(fold, series, level, start_ms);
        while (pane &&
               (pane->series != series || pane->start_ms != start_ms || pane->level != level))
            pane = pane->next;
        if (!pane) {
            int rc = pane_new(fold, series, level, start_ms, &pane, err);
            if (rc)
                return rc;
        }
        if (level == 0 && (!series->latest || series->latest->start_ms < start_ms))
            series->latest = pane;
    }
    *out = pane;
    return pane->changed ? 0 : mark_changed(fold, pane, err);
}

int fold_target(struct models *models, struct version *version, const uint16_t *slices, uint32_t n,
                struct fold_target *out, struct err *err)
{
    int rc = version_series(models, version, 0, &out->series[0], err);
    out->n = 1;
    for (uint32_t i = 0; !rc && i < n && i < MAX_SEGMENT_KEYS; i++)
        rc = version_series(models, version, slices[i], &out->series[out->n++], err);
    return rc;
}

int fold_prediction(struct panes *fold, const struct fold_target *target,
                    const struct sample *sample, struct err *err)
{
    int result = 0;
    for (uint32_t i = 0; i < target->n; i++) {
        struct pane *pane;
        int rc = pane_for(fold, target->series[i], sample->ts_ms, &pane, err);
        if (rc < 0)
            return rc;
        if (rc == FOLD_DAMAGED)
            result = rc;
        else if (states_predict(pane->states, sample))
            return no_memory(target->series[i], err);
    }
    return result;
}

int fold_label(struct panes *fold, const struct fold_target *target, const struct sample *sample,
               int sign, struct err *err)
{
    int result = 0;
    for (uint32_t i = 0; i < target->n; i++) {
        struct pane *pane;
        int rc = pane_for(fold, target->series[i], sample->ts_ms, &pane, err);
        if (rc < 0)
            return rc;
        if (rc == FOLD_DAMAGED)
            result = rc;
        else if (states_label(pane->states, sample, sign))
            return no_memory(target->series[i], err);
    }
    return result;
}

/* The profile of a pane, as stored, or new; FOLD_DAMAGED: it stays as it is. */
static int read_profile(struct panes *fold, struct pane *pane, enum profile_part part,
                        struct err *err)
{
    struct profiling *profiling = &pane->series->version->model->profiling;
    const struct profile_layout *layout =
        part == PROFILE_LABEL ? &profiling->label_layout : &profiling->layout;
    enum profile_level level = pane->level == 0 ? PROFILE_MINUTE : PROFILE_HOUR;
    void *bytes = NULL;
    size_t n = 0;
    int rc = SERIES_NONE;
    if (pane->series->id)
        rc = profile_pane(fold->options.store, pane->series->id, levels_ms[pane->level],
                          pane->start_ms, part, &bytes, &n, err);
    if (rc == SERIES_NONE) {
        pane->profile_bytes[part] = NEW_FEATURE_BYTES * layout->n_features;
        fold->changed_bytes += pane->profile_bytes[part];
        return profile_new(&pane->profiles[part], layout, level, err);
    }
    if (rc == SERIES_DAMAGED)
        return FOLD_DAMAGED;
    if (rc)
        return rc;
    rc = profile_load(&pane->profiles[part], layout, level, bytes, n, err);
    free(bytes);
    pane->profile_bytes[part] = (uint32_t)n;
    fold->changed_bytes += n;
    return rc == ERR_CORRUPT ? FOLD_DAMAGED : rc;
}

static bool is_gathered(const struct pane *pane)
{
    return pane->profiles[PROFILE_FEATURES]->n_features <= GATHER_SLOTS;
}

/* An empty place to gather what comes for a pane; none: there is no memory for it. */
static void start_gathering(struct panes *fold, struct pane *pane)
{
    pane->gathered = is_gathered(pane) ? folding_spare(fold->folding) : NULL;
    if (pane->gathered)
        gathered_start(pane->gathered, pane->profiles[PROFILE_FEATURES]->n_features);
}

/* A place to gather what comes for a pane, if it has none yet; without, it goes straight in. */
static int gather_for(struct panes *fold, struct pane *pane, struct err *err)
{
    if (pane->gathered || !is_gathered(pane))
        return 0;
    struct pane **place = &fold->gathering[fold->next_gathering++ % MOST_GATHERED];
    int rc = *place ? give(fold, *place, err) : 0;
    *place = NULL;
    if (rc)
        return rc;
    start_gathering(fold, pane);
    if (pane->gathered)
        *place = pane;
    return 0;
}

/* The pane of a series that ts_ms belongs to, with its profile; FOLD_DAMAGED: without. */
static int profiled_pane(struct panes *fold, struct series *series, int64_t ts_ms,
                         enum profile_part part, struct pane **out, struct err *err)
{
    *out = NULL;
    int rc = pane_for(fold, series, ts_ms, out, err);
    if (!rc && !(*out)->profiles[part])
        rc = read_profile(fold, *out, part, err);
    if (rc)
        return rc;
    struct profile *profile = (*out)->profiles[part];
    if (profile->n_features < profile->layout->n_features &&
        (folding_settle(fold->folding) || profile_fit(profile)))
        return no_memory(series, err);
    (*out)->profile_changed[part] = true;
    return 0;
}

/* One event that does not wait for others; of a pane that is never gathered nobody has a buffer. */
static int take_at_once(struct panes *fold, struct pane *pane, const struct features *features)
{
    const struct gathered_into into = into_of(fold, pane);
    int rc = is_gathered(pane) ? folding_settle(fold->folding) : 0;
    return rc ? rc : features_fold(features, &into);
}

static int take_features(struct panes *fold, struct pane *pane, const struct features *features,
                         struct err *err)
{
    const struct gathered_into into = into_of(fold, pane);
    int rc = gather_for(fold, pane, err);
    if (rc)
        return rc;
    profile_event(into.profile, 1);
    struct gathered *const gathered = pane->gathered;
    rc = gathered ? gathered_put(gathered, &into, features) : take_at_once(fold, pane, features);
    if (!rc && gathered && gathered_is_full(gathered)) {
        start_gathering(fold, pane);
        rc = folding_give(fold->folding, gathered, &into);
    }
    return rc ? no_memory(pane->series, err) : 0;
}

int fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                  const struct features *features, struct err *err)
{
    for (uint32_t i = 0; i < target->n; i++) {
        struct pane *pane;
        int rc = profiled_pane(fold, target->series[i], ts_ms, PROFILE_FEATURES, &pane, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            rc = take_features(fold, pane, features, err);
        else if (pane && row_fold(&features->row, pane->states))
            rc = no_memory(target->series[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                     const struct profile_item *item, int sign, struct err *err)
{
    for (uint32_t i = 0; i < target->n; i++) {
        struct pane *pane;
        int rc = profiled_pane(fold, target->series[i], ts_ms, PROFILE_LABEL, &pane, err);
        if (rc < 0)
            return rc;
        if (rc == 0 && profile_take(pane->profiles[PROFILE_LABEL], item, 1, sign))
            return no_memory(target->series[i], err);
    }
    return 0;
}

int fold_outcome(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                 const struct outcome *outcome, int sign, struct err *err)
{
    int result = 0;
    for (uint32_t i = 0; i < target->n; i++) {
        struct pane *pane;
        int rc = pane_for(fold, target->series[i], ts_ms, &pane, err);
        if (rc < 0)
            return rc;
        if (rc == FOLD_DAMAGED)
            result = rc;
        else if (states_outcome(pane->states, outcome, sign))
            return no_memory(target->series[i], err);
    }
    return result;
}

int fold_system(struct panes *fold, struct models *models, struct version *version, int64_t ts_ms,
                const struct outcome *value, struct err *err)
{
    struct fold_target target;
    struct pane *pane;
    int rc = fold_target(models, version, NULL, 0, &target, err);
    if (!rc)
        rc = pane_for(fold, target.series[0], ts_ms, &pane, err);
    if (rc)
        return rc;
    return states_system(pane->states, value, 1) ? no_memory(target.series[0], err) : 0;
}

static int write_profile(struct panes *fold, struct pane *pane, enum profile_part part,
                         struct err *err)
{
    if (!pane->profile_changed[part])
        return 0;
    buf_clear(&fold->state);
    profile_save(pane->profiles[part], &fold->state);
    if (buf_failed(&fold->state))
        return no_memory(pane->series, err);
    pane->profile_bytes[part] = (uint32_t)fold->state.size;
    return commit_profile(fold->options.store, pane->series->id, levels_ms[pane->level],
                          pane->start_ms, part, fold->state.data, fold->state.size, err);
}

int panes_write(struct panes *fold, struct err *err)
{
    int rc = panes_settle(fold, err);
    for (size_t i = 0; !rc && i < fold->n_changed; i++) {
        struct pane *pane = fold->changed[i];
        buf_clear(&fold->state);
        states_save(pane->states, &fold->state);
        if (buf_failed(&fold->state))
            return no_memory(pane->series, err);
        pane->bytes = (uint32_t)fold->state.size;
        rc = commit_pane(fold->options.store, pane->series->id, levels_ms[pane->level],
                         pane->start_ms, fold->state.data, fold->state.size, err);
        for (int part = 0; !rc && part < 2; part++)
            rc = write_profile(fold, pane, (enum profile_part)part, err);
    }
    return rc;
}

void panes_written(struct panes *fold)
{
    for (size_t i = 0; i < fold->n_changed; i++) {
        struct pane *pane = fold->changed[i];
        pane->changed = pane->profile_changed[0] = pane->profile_changed[1] = false;
        fold->clean_bytes += cost_of(pane);
        join_list(fold, pane);
    }
    fold->n_changed = 0;
    fold->changed_bytes = 0;
    while (fold->clean_bytes > fold->options.memory_limit && fold->oldest.newer != &fold->oldest)
        drop(fold, fold->oldest.newer);
}

void panes_size(const struct panes *fold, struct panes_size *out)
{
    *out = (struct panes_size){
        .n_panes = fold->n_panes,
        .n_changed = fold->n_changed,
        .bytes = fold->clean_bytes,
        .changed_bytes = fold->changed_bytes,
    };
}
