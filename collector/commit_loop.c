/*
 * The transaction: what changed since the last one, and the offsets, together or not at all.
 */
#include <errno.h>
#include <inttypes.h>

#include "collector/loop.h"
#include "collector/tidy.h"
#include "storage/lend.h"

enum {
    MAX_WAL_BYTES = 4 << 20 /* then its pages are moved into the database, between two commits */
};

bool commit_due(const struct collector *collector)
{
    int64_t since = clock_boot_ms(collector->clock) - collector->last_commit_boot_ms;
    struct panes_size fold;
    if (since >= COMMIT_EVERY_MS || collector->commit_soon)
        return true;
    panes_size(collector->fold, &fold);
    /* What is written beside us is not waited for: there is a second for it. */
    return (collector->uncommitted >= collector->commit_after &&
            !store_is_lent(collector->options.store)) ||
           fold.n_changed >= MAX_CHANGED_PANES || fold.changed_bytes >= MAX_CHANGED_BYTES ||
           collector->dead_size >= MAX_DEAD_BYTES;
}

static bool anything_changed(const struct collector *collector)
{
    if (collector->uncommitted || collector->n_dead ||
        collector->watermark_ms != collector->stored_watermark_ms ||
        collector->look_ms != collector->stored_look_ms || changing_is_dirty(collector->changing))
        return true;
    for (size_t i = 0; i < collector->n_partitions; i++)
        if (collector->partitions[i]->changed)
            return true;
    for (size_t i = 0; i < collector->models->n_models; i++)
        if (collector->models->models[i]->dirty || collector->models->models[i]->counts_dirty)
            return true;
    return false;
}

/* A waiting record goes with its segment: nobody came for it. */
static void orphan(void *context, const struct record *record)
{
    struct collector *collector = context;
    if (!(record->flags & RECORD_WAITING) || record->kind == RECORD_PREDICTION)
        return;
    struct partition *partition = collector->partitions[record->series];
    partition->counts.waiting--;
    partition->counts.orphaned++;
    partition->changed = true;
}

static int write_facts(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    int rc = 0;
    if (!collector->seed_stored)
        rc = commit_fact(store, "join_seed", (int64_t)collector->seed, err);
    if (!rc && collector->watermark_ms != collector->stored_watermark_ms)
        rc = commit_fact(store, "watermark_ms", collector->watermark_ms, err);
    if (!rc && collector->look_ms != collector->stored_look_ms)
        rc = commit_fact(store, COMMIT_LOOK, collector->look_ms, err);
    return rc;
}

static int64_t next_of(const struct partition *partition)
{
    return partition->next < 0 ? partition->stored : partition->next;
}

static int write_offsets(struct collector *collector, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < collector->n_partitions; i++) {
        const struct partition *partition = collector->partitions[i];
        if (partition->changed && next_of(partition) >= 0)
            rc = commit_offset(collector->options.store, partition->topic, partition->number,
                               partition->stored, next_of(partition), &partition->counts, err);
    }
    return rc;
}

static int append_rows(void *context, uint32_t segment, const void *bytes, size_t n,
                       struct err *err)
{
    return commit_pending_append(context, segment, bytes, n, err);
}

static int replace_rows(void *context, uint32_t segment, const void *bytes, size_t n,
                        struct err *err)
{
    return commit_pending_replace(context, segment, bytes, n, err);
}

static int drop_rows(void *context, uint32_t segment, struct err *err)
{
    return commit_pending_drop(context, segment, err);
}

enum extent {
    PART, /* what looks read, and the offsets, which say whose log it is */
    WHOLE
};

static int write_rest(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    struct pending_writer writer = {store, append_rows, replace_rows, drop_rows};
    int rc = pending_save(collector->pending, &writer, err);
    if (!rc)
        rc = changing_write(collector->changing, err);
    if (!rc)
        rc = dead_write(collector, err);
    if (!rc && is_observed(collector))
        rc = collector->options.observer->in_commit(collector->options.observer->context, store,
                                                    collector->watermark_ms, err);
    return rc;
}

static int write_all(struct collector *collector, enum extent extent, struct err *err)
{
    struct store *store = collector->options.store;
    int rc = commit_begin(store, err);
    if (!rc) /* first the offsets: whoever is fenced need not write the rest */
        rc = write_offsets(collector, err);
    if (!rc)
        rc = models_write(collector->models, store, collector->watermark_ms, err);
    if (!rc)
        rc = panes_write(collector->fold, err);
    if (!rc)
        rc = changing_write_found(collector->changing, err);
    if (!rc && extent == WHOLE)
        rc = write_rest(collector, err);
    if (!rc)
        rc = write_facts(collector, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

int commit_refused(struct collector *collector, int rc, const struct err *why, struct err *err)
{
    const struct log *log = collector->options.log;
    if (rc == ERR_FENCED) {
        collector->fenced++;
        collector->reload = true;
        collector->undone_by = *why;
        if (log)
            log_write(log, LEVEL_ERROR, "collector", "%s: reading again what is stored", why->text);
        return 0;
    }
    if (rc != ERR_FULL && rc != -EBUSY) {
        if (err)
            *err = *why;
        return rc;
    }
    collector->retry_boot_ms = clock_boot_ms(collector->clock) + RETRY_FULL_MS;
    if (!collector->degraded && log)
        log_write(log, LEVEL_ERROR, "collector", "%s: nothing is taken until %s", why->text,
                  rc == ERR_FULL ? "there is room" : "it lets go");
    if (!collector->degraded)
        collector->degraded_boot_ms = clock_boot_ms(collector->clock);
    collector->degraded = true;
    collector->blocked_by = rc;
    return 0;
}

static void go_on(struct collector *collector)
{
    const struct log *log = collector->options.log;
    int64_t now = clock_boot_ms(collector->clock);
    collector->degraded = false;
    for (size_t i = 0; i < collector->n_partitions; i++) /* they were not polled, not idle */
        collector->partitions[i]->active_boot_ms = now;
    if (log)
        log_write(log, LEVEL_INFO, "collector", "%s: going on",
                  collector->blocked_by == ERR_FULL ? "there is room again" : "it has let go");
}

int commit_probe(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    struct err why = {0};
    int rc = commit_begin(store, &why);
    if (!rc)
        rc = commit_fact(store, "join_seed", (int64_t)collector->seed, &why);
    if (!rc)
        rc = commit_end(store, &why);
    if (!rc) {
        go_on(collector);
        return 0;
    }
    commit_rollback(store);
    return commit_refused(collector, rc, &why, err);
}

/* Memory agrees with what the writing connection reads. */
static int mark_written(struct collector *collector, struct err *err)
{
    int rc = models_written(collector->models, err);
    panes_written(collector->fold);
    changing_found_written(collector->changing);
    collector->unwritten = 0;
    collector->seed_stored = true;
    collector->stored_watermark_ms = collector->watermark_ms;
    collector->stored_look_ms = collector->look_ms;
    for (size_t i = 0; i < collector->n_partitions; i++) {
        struct partition *partition = collector->partitions[i];
        if (!partition->changed)
            continue;
        partition->changed = false;
        partition->tell = true;
        partition->stored = next_of(partition);
    }
    return rc;
}

static int mark_durable(struct collector *collector, struct err *err)
{
    if (collector->degraded)
        go_on(collector);
    pending_saved(collector->pending);
    changing_written(collector->changing);
    dead_clear(collector);
    return mark_written(collector, err);
}

/* Sources learn last that it is durable: whoever is answered then finds it everywhere. */
static void tell_sources(struct collector *collector)
{
    for (size_t i = 0; i < collector->n_partitions; i++) {
        struct partition *partition = collector->partitions[i];
        struct source *source = collector->options.sources[partition->source];
        if (partition->tell && partition->assigned && source->stored)
            source->stored(source, partition->source_partition, partition->stored);
        partition->tell = false;
    }
}

/* Long commits become smaller ones; how events are split over commits changes no bit. */
static void pace(struct collector *collector, int64_t took_ms)
{
    int64_t after = collector->commit_after;
    if (took_ms > LONG_COMMIT_MS)
        after = after * LONG_COMMIT_MS / took_ms;
    else if (collector->uncommitted >= after)
        after += after / 4;
    collector->commit_after = after < MIN_COMMIT_EVENTS ? MIN_COMMIT_EVENTS
                              : after > COMMIT_EVENTS   ? COMMIT_EVENTS
                                                        : after;
}

/* What time alone changes in memory: how far events and labels are in. */
static void pass_time(struct collector *collector)
{
    align_watermark(collector);
    for (size_t i = 0; i < collector->models->n_models; i++)
        model_expire(collector->models->models[i], collector->watermark_ms);
}

static int64_t changed_panes(const struct collector *collector)
{
    struct panes_size size;
    panes_size(collector->fold, &size);
    return (int64_t)size.n_changed;
}

int commit_part(struct collector *collector, struct err *err)
{
    pass_time(collector);
    int64_t n_panes = changed_panes(collector);
    int rc = write_all(collector, PART, err);
    if (!rc)
        rc = mark_written(collector, err);
    collector->shared_panes += n_panes;
    return rc;
}

enum {
    REFUSED = 1 /* and dealt with: nothing is durable */
};

/* With `may_send` it may be on its way only. Memory is marked as durable all the same: a shared transaction that fails
   takes memory back as a whole. */
static int make_durable(struct collector *collector, bool may_send, struct err *err)
{
    struct store *store = collector->options.store;
    struct err why = {0};
    bool shared = shares(collector);
    int rc = write_all(collector, WHOLE, &why);
    if (!rc && shared)
        rc = may_send ? commit_share_send(store, &why) : commit_share_end(store, &why);
    collector->sent = rc == COMMIT_SENT;
    if (rc < 0) {
        rc = shared ? share_undo(collector, rc, &why, err)
                    : commit_refused(collector, rc, &why, err);
        return rc ? rc : REFUSED;
    }
    rc = mark_durable(collector, err);
    collector->shared_panes = 0;
    if (shared && !collector->sent && collector->options.looks_durable)
        collector->options.looks_durable(collector->options.context);
    return rc;
}

static int after_commit(struct collector *collector, const struct collector_commit *commit,
                        struct err *err)
{
    collector->commits++;
    collector->stale_values |= commit->n_panes > 0;
    collector->last_commit_ms = commit->duration_ms;
    if (commit->duration_ms > collector->longest_commit_ms)
        collector->longest_commit_ms = commit->duration_ms;
    int rc = tidy_after_commit(collector, commit->n_panes, err);
    if (!rc && collector->options.after_commit)
        rc = collector->options.after_commit(collector->options.context, commit, err);
    health_refresh(collector);
    tell_sources(collector);
    if (rc >= 0 && store_wal_bytes(collector->options.store) > MAX_WAL_BYTES)
        rc = store_lend_for_checkpoint(collector->options.store, err);
    return rc < 0 ? rc : 0;
}

int commit_land(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    struct err why = {0};
    if (!collector->sent)
        return 0;
    store_recall(store);
    collector->sent = false;
    if (commit_share_is_lost(store)) {
        int rc = share_undo(collector, commit_begin(store, &why), &why, err);
        return rc ? rc : COMMIT_UNDONE;
    }
    if (collector->options.looks_durable)
        collector->options.looks_durable(collector->options.context);
    struct collector_commit *commit = &collector->sent_commit;
    commit->duration_ms = clock_boot_ms(collector->clock) - collector->sent_boot_ms;
    return after_commit(collector, commit, err);
}

static int commit_all(struct collector *collector, bool may_send, struct err *err)
{
    int rc = commit_land(collector, err);
    if (rc)
        return rc == COMMIT_UNDONE ? 0 : rc;
    int64_t started = clock_boot_ms(collector->clock);
    collector->last_commit_boot_ms = started;
    collector->commit_soon = false;
    pass_time(collector);
    rc = pending_expire(collector->pending, collector->watermark_ms, MAX_EXPIRED_SEGMENTS, orphan,
                        collector, err);
    if (rc)
        return rc;
    if (!anything_changed(collector) && !shares(collector))
        return collector->degraded ? commit_probe(collector, err) : 0;
    struct collector_commit commit = {
        .n_events = collector->uncommitted,
        .n_panes = collector->shared_panes + changed_panes(collector),
    };
    rc = make_durable(collector, may_send, err);
    if (rc)
        return rc == REFUSED ? 0 : rc;
    pace(collector, clock_boot_ms(collector->clock) - started);
    collector->untrimmed += collector->uncommitted;
    collector->uncommitted = 0;
    commit.watermark_ms = collector->watermark_ms;
    commit.duration_ms = clock_boot_ms(collector->clock) - started;
    if (!collector->sent)
        return after_commit(collector, &commit, err);
    collector->sent_commit = commit;
    collector->sent_boot_ms = started;
    return 0;
}

int commit_now(struct collector *collector, struct err *err)
{
    return commit_all(collector, false, err);
}

int commit_send(struct collector *collector, struct err *err)
{
    const bool may_send = !is_observed(collector) && !collector->calls_held;
    int rc = commit_all(collector, may_send, err);
    collector->calls_held |= collector->sent && calls_wait(collector);
    return rc;
}
