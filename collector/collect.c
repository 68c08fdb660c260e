/*
 * The loop. One round: calls of other threads, what was stashed, a batch of each source, looks,
 * a commit when it is due. Everything that may fail for a while (disk full, fenced, partitions
 * taken away) is a flag that the next round deals with, because it may happen inside a source's
 * callback, where there is no way back.
 */
#include "collector/collect.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "collector/loop.h"
#include "collector/tidy.h"
#include "storage/lend.h"

enum {
    HEALTH_EVERY_MS = 200,
    STEP_MS = 100,    /* of collector_run: how long it waits for messages */
    LENT_STEP_MS = 5, /* the same while calls and commits wait for who has the store */
    BURST_EVENTS = 1000,
};

int collector_new(struct collector **out, const struct collector_options *options, struct err *err)
{
    struct collector *made = calloc(1, sizeof(*made));
    if (!made)
        return err_set(err, -ENOMEM, "collector: no memory");
    pthread_mutex_init(&made->health_lock, NULL);
    int rc = calls_init(&made->calls, err);
    AUTO(collector) struct collector *collector = made;
    collector->options = *options;
    collector->clock = options->clock ? options->clock : clock_system();
    collector->commit_after = COMMIT_EVENTS / 2;
    collector->apart_until_ms = INT64_MIN;
    collector->trouble_limit = (struct log_limit){.every_ms = 1000};
    if (!rc && options->n_sources > 64)
        rc = err_set(err, -EINVAL, "collector: %zu sources, at most 64", options->n_sources);
    if (rc)
        return rc;
    collector->links = calloc(options->n_sources + 1, sizeof(*collector->links));
    collector->scores = calloc(EVENT_MAX_KEYS, sizeof(*collector->scores));
    collector->shown = calloc(EVENT_MAX_ITEMS, sizeof(*collector->shown));
    collector->content = calloc(2, CONTENT_MAX_BYTES);
    collector->features = calloc(EVENT_MAX_KEYS, sizeof(*collector->features));
    collector->items = calloc(EVENT_MAX_KEYS + N_OWN_SLOTS, sizeof(*collector->items));
    if (!collector->links || !collector->scores || !collector->shown || !collector->content ||
        !collector->features || !collector->items)
        return err_set(err, -ENOMEM, "collector: no memory");
    rc = ranges_new(&collector->ranges, options->store, options->config, options->log, err);
    if (!rc)
        rc = memory_load(collector, err);
    collector->last_commit_boot_ms = collector->came_boot_ms = clock_boot_ms(collector->clock);
    if (!rc && options->config->kafka.brokers && options->config->kafka.dead_letter)
        rc = dead_letter_topic_new(&collector->dead_topic, &options->config->kafka, options->log,
                                   collector->clock, err);
    if (!rc)
        rc = sources_start(collector, err);
    if (rc)
        return rc;
    health_refresh(collector);
    *out = collector;
    collector = NULL; /* the caller owns it now */
    return 0;
}

void collector_free(struct collector *collector)
{
    if (!collector)
        return;
    calls_stop(collector);
    ranges_free(collector->ranges);
    commit_share_undo(collector->options.store);
    memory_drop(collector);
    dead_letter_topic_free(collector->dead_topic);
    for (size_t i = 0; i < collector->n_partitions; i++) {
        stash_finish(&collector->partitions[i]->stash);
        free(collector->partitions[i]->topic);
        free(collector->partitions[i]);
    }
    formats_free(collector);
    for (size_t i = 0; collector->links && i < collector->options.n_sources; i++)
        free(collector->links[i].partitions);
    id_set_finish(&collector->partition_ids);
    free(collector->partitions);
    free(collector->links);
    free(collector->scores);
    free(collector->shown);
    free(collector->content);
    free(collector->features);
    free(collector->items);
    free(collector->dead);
    free(collector->dead_bytes);
    calls_finish(&collector->calls);
    pthread_mutex_destroy(&collector->health_lock);
    free(collector);
}

static void hold(struct collector *collector, struct partition *partition, bool held)
{
    struct source *source = collector->options.sources[partition->source];
    if (partition->held == held || !partition->assigned)
        return;
    partition->held = held;
    if (source->hold)
        source->hold(source, partition->source_partition, held);
}

/* What is left of a batch goes aside; the source gives no more of it until it is taken. */
static int put_aside(struct collector *collector, struct partition *partition,
                     const struct message *messages, size_t n, struct err *err)
{
    bool stays = collector->options.sources[partition->source]->keeps_held;
    int rc = n == 0  ? 0
             : stays ? stash_borrow(&partition->stash, messages, n, err)
                     : stash_add(&partition->stash, messages, n, err);
    if (!rc)
        hold(collector, partition, true);
    return rc;
}

static int take_batch(struct collector *collector, struct source_link *link,
                      const struct batch *batch, struct err *err)
{
    struct partition *partition = source_partition(link, batch->partition);
    if (!partition || !partition->assigned || partition->stopped)
        return 0;
    partition->active_boot_ms = clock_boot_ms(collector->clock);
    if (batch->n > 0)
        collector->came_boot_ms = partition->active_boot_ms;
    if (batch->low_watermark >= 0)
        partition->low = batch->low_watermark;
    if (batch->high_watermark >= 0)
        partition->high = batch->high_watermark;
    if (partition->blocked || stash_left(&partition->stash))
        return put_aside(collector, partition, batch->messages, batch->n, err);
    size_t done = 0;
    int rc = ingest_messages(collector, partition, batch->messages, batch->n, &done, err);
    if (rc || !partition->blocked)
        return rc;
    return put_aside(collector, partition, batch->messages + done, batch->n - done, err);
}

/* Messages that waited for a look which is over. */
static int take_stashes(struct collector *collector, bool *worked, struct err *err)
{
    for (size_t i = 0; i < collector->n_partitions; i++) {
        struct partition *partition = collector->partitions[i];
        struct stash *stash = &partition->stash;
        if (partition->blocked || !partition->held)
            continue;
        size_t left = stash_left(stash);
        if (left) {
            size_t done = 0;
            int rc = ingest_messages(collector, partition, stash->messages + stash->at, left, &done,
                                     err);
            stash->at += done;
            *worked |= done > 0;
            if (rc)
                return rc;
        }
        if (stash_left(stash) == 0 && !partition->blocked) {
            stash_clear(stash);
            hold(collector, partition, false);
        }
        if (collector->restart)
            return 0;
    }
    return 0;
}

static int poll_source(struct collector *collector, size_t index, int timeout_ms, bool *worked,
                       struct err *err)
{
    struct source *source = collector->options.sources[index];
    struct source_link *link = &collector->links[index];
    struct batch batch;
    if (link->ended && source->bounded)
        return 0;
    int rc = source->next(source, timeout_ms, &batch, err);
    if (rc < 0 || collector->deferred)
        return rc < 0 ? rc : 0;
    link->ended = rc == SOURCE_END;
    if (rc != SOURCE_BATCH || collector->reload)
        return 0; /* what came is read again after the reload */
    *worked = true;
    collector->commit_soon |= source->prompt;
    return take_batch(collector, link, &batch, err);
}

static int poll_sources(struct collector *collector, int timeout_ms, bool *worked, struct err *err)
{
    size_t n = collector->options.n_sources;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = poll_source(collector, i, 0, worked, err);
    if (rc || *worked || timeout_ms <= 0)
        return rc;
    /* Wait where nobody would wake us: the others call on_data's wake. */
    size_t where = n;
    for (size_t i = n; i-- > 0;)
        if (!collector->links[i].ended && (where == n || !collector->options.sources[i]->on_data))
            where = i;
    return where < n ? poll_source(collector, where, timeout_ms, worked, err) : 0;
}

/* Memory is what is durable again, also that of whoever decides at looks. */
static int load_again(struct collector *collector, struct err *err)
{
    int rc = share_close(collector, err);
    collector->reload = false;
    memory_drop(collector);
    if (!rc)
        rc = memory_load(collector, err);
    if (!rc && collector->options.looks_undone)
        collector->options.looks_undone(collector->options.context);
    return rc;
}

static int start_again(struct collector *collector, struct err *err)
{
    int rc = 0;
    uint64_t which = collector->restart;
    if (collector->reload) {
        rc = load_again(collector, err);
        which = UINT64_MAX;
    }
    collector->restart = 0;
    for (size_t i = 0; !rc && i < collector->options.n_sources; i++) {
        struct source *source = collector->options.sources[i];
        collector->links[i].ended &= !(which >> i & 1);
        if ((which >> i & 1) && source->restart)
            rc = source->restart(source, err);
    }
    if (rc && collector->undone_by.text[0])
        rc = err_prefix(err, rc, "%s", collector->undone_by.text);
    collector->undone_by = (struct err){0};
    return rc;
}

static bool all_ended(const struct collector *collector)
{
    for (size_t i = 0; i < collector->options.n_sources; i++)
        if (!collector->links[i].ended)
            return false;
    for (size_t i = 0; i < collector->n_partitions; i++)
        if (stash_left(&collector->partitions[i]->stash))
            return false;
    return collector->options.n_sources > 0;
}

static void rest(int timeout_ms)
{
    (void)poll(NULL, 0, timeout_ms < STEP_MS ? timeout_ms : STEP_MS);
}

static void refresh_when_due(struct collector *collector)
{
    if (clock_boot_ms(collector->clock) - collector->health.refreshed_boot_ms >= HEALTH_EVERY_MS)
        health_refresh(collector);
}

static int finish_round(struct collector *collector, bool worked, struct err *err)
{
    int rc = align_looks(collector, err);
    bool end = !rc && all_ended(collector);
    /* The end of a burst is not left waiting: there is time for it now, or once what is written
       beside us is there. */
    bool rested =
        !worked && !store_is_lent(collector->options.store) &&
        (collector->uncommitted >= BURST_EVENTS || (shares(collector) && !collector->looks_left));
    if (!rc && !collector->degraded && (end || rested || commit_due(collector)))
        rc = end ? commit_now(collector, err) : commit_send(collector, err);
    if (!rc && collector->dead_topic && !collector->degraded && !collector->reload &&
        !collector->sent && !shares(collector))
        rc = tidy_dead_topic(collector, err);
    /* A replay ends as tidy as a daemon is. */
    end &= !collector->degraded;
    const bool untidy = end && (collector->aging || collector->stale_values);
    const bool beside = collector->sent || store_is_lent(collector->options.store);
    if (!rc && (untidy || (!worked && !beside)))
        rc = tidy_idle(collector, err);
    if (!rc && end && !untidy && !collector->reload)
        return COLLECTOR_END;
    worked |= untidy || beside;
    refresh_when_due(collector);
    return rc ? rc : worked ? COLLECTOR_WORKED : 0;
}

/* Sources that left have something to say all the same; they give no messages. */
static int serve_left(struct collector *collector, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < collector->options.n_sources; i++) {
        struct source *source = collector->options.sources[i];
        struct batch batch;
        if (source->leave)
            rc = source->next(source, 0, &batch, err);
    }
    return rc < 0 ? rc : 0;
}

/*
 * Nothing can be written for long: others may have our partitions. What is not stored is dropped,
 * for whoever has them reads it again, and so shall we.
 */
static int leave_groups(struct collector *collector, bool away, struct err *err)
{
    const struct log *log = collector->options.log;
    bool any = false;
    for (size_t i = 0; i < collector->options.n_sources; i++) {
        struct source *source = collector->options.sources[i];
        if (source->leave)
            source->leave(source, away);
        any |= source->leave != NULL;
    }
    collector->away = away;
    if (away && any)
        collector->reload = true;
    if (any && log)
        log_write(log, LEVEL_WARNING, "collector", "%s",
                  away ? "nothing could be written for 60 s: left the consumer group"
                       : "back in the consumer group, from the stored offsets");
    return away ? serve_left(collector, err) : 0;
}

/* The database takes nothing: waits for it, and at last lets others have the partitions. */
static int step_blocked(struct collector *collector, int timeout_ms, struct err *err)
{
    const int64_t now = clock_boot_ms(collector->clock);
    int rc = 0;
    if (!collector->away && now - collector->degraded_boot_ms >= LEAVE_AFTER_MS)
        rc = leave_groups(collector, true, err);
    else if (collector->away)
        rc = serve_left(collector, err);
    if (!rc && now >= collector->retry_boot_ms && !collector->reload)
        rc = collector->away ? commit_probe(collector, err) : commit_now(collector, err);
    if (!rc && collector->away && !collector->degraded)
        rc = leave_groups(collector, false, err);
    refresh_when_due(collector);
    if (!rc && collector->degraded)
        rest(timeout_ms);
    return rc;
}

/* A replay waits for a reference that is due: the same events then give the same windows. */
static bool range_ready(const struct collector *collector)
{
    bool bounded = true;
    if (clock_boot_ms(collector->clock) < collector->range_retry_boot_ms)
        return false;
    for (size_t i = 0; i < collector->options.n_sources; i++)
        bounded &= collector->options.sources[i]->bounded;
    return ranges_ready(collector->ranges, bounded);
}

static int adopt_range(struct collector *collector, struct err *err)
{
    bool changed = false;
    int rc = ranges_adopt(collector->ranges, &changed, err);
    if (rc == ERR_FULL) {
        collector->range_retry_boot_ms = clock_boot_ms(collector->clock) + RETRY_FULL_MS;
        rc = 0;
    }
    return rc || !changed ? rc : collector_references_changed(collector, err);
}

/* Other threads' calls find memory and database agreed, and nothing shared; so does a reference
   that was made of panes. */
static int take_calls(struct collector *collector, struct err *err)
{
    int rc = 0;
    const bool ready = range_ready(collector);
    if ((!calls_wait(collector) && !ready) || store_is_lent(collector->options.store))
        return 0;
    if (shares(collector) && !collector->reload)
        rc = commit_send(collector, err);
    if (rc || collector->sent)
        return rc;
    collector->calls_held = false;
    rc = share_close(collector, err);
    if (!rc && collector->reload)
        rc = start_again(collector, err);
    if (!rc && ready && !collector->degraded)
        rc = adopt_range(collector, err);
    if (!rc)
        calls_run(collector);
    return rc;
}

/* How long of it may be waited for events. */
static int time_to_wait(const struct collector *collector, int timeout_ms)
{
    const bool lent = store_is_lent(collector->options.store);
    const int64_t left =
        COMMIT_EVERY_MS - (clock_boot_ms(collector->clock) - collector->last_commit_boot_ms);
    if (collector->uncommitted && left < timeout_ms)
        timeout_ms = left > 0 ? (int)left : 0;
    if (calls_wait(collector) && !lent)
        timeout_ms = 0;
    return lent && timeout_ms > LENT_STEP_MS ? LENT_STEP_MS : timeout_ms;
}

int collector_step(struct collector *collector, int timeout_ms, struct err *err)
{
    bool worked = false;
    int rc = 0;
    calls_claim(collector);
    if (!store_is_lent(collector->options.store))
        rc = commit_land(collector, err);
    if (rc >= 0)
        rc = take_calls(collector, err);
    if (!rc && (collector->reload || collector->restart))
        rc = start_again(collector, err);
    if (!rc && collector->degraded) {
        rc = step_blocked(collector, timeout_ms, err);
        if (rc || collector->degraded || collector->reload)
            return rc;
    }
    if (!rc)
        rc = take_stashes(collector, &worked, err);
    if (!rc && !collector->restart) {
        if (worked || collector->looks_left)
            timeout_ms = 0;
        rc = poll_sources(collector, time_to_wait(collector, timeout_ms), &worked, err);
    }
    if (!rc && collector->deferred) {
        rc = collector->deferred;
        if (err)
            *err = collector->deferred_err;
    }
    return rc ? rc : finish_round(collector, worked, err);
}

int collector_run(struct collector *collector, struct err *err)
{
    int rc = 0;
    while (rc >= 0 && rc != COLLECTOR_END && !atomic_load(&collector->stop))
        rc = collector_step(collector, STEP_MS, err);
    if (rc >= 0)
        rc = commit_now(collector, err);
    if (rc >= 0 && !collector->reload)
        calls_run(collector);
    calls_stop(collector);
    return rc < 0 ? rc : 0;
}

int collector_commit_now(struct collector *collector, struct err *err)
{
    return commit_now(collector, err);
}

void collector_stop(struct collector *collector)
{
    atomic_store(&collector->stop, true);
    collector_wake(collector);
}

/* What came before is judged by what was there then. */
static int settle(struct collector *collector, struct err *err)
{
    int rc = panes_settle(collector->fold, err);
    return rc ? rc : changing_settle(collector->changing, err);
}

int collector_reload(struct collector *collector, const struct config *config, struct err *err)
{
    int rc = settle(collector, err);
    if (!rc)
        rc = models_configure(collector->models, config, err);
    if (rc)
        return rc;
    collector->options.config = config;
    changing_configure(collector->changing, config);
    ranges_configure(collector->ranges, config);
    rc = formats_set(collector, err);
    for (size_t i = 0; i < collector->models->n_models; i++)
        join_longest_horizon(collector->join, collector->models->models[i]->label_horizon_ms);
    for (size_t i = 0; !rc && i < collector->models->n_versions; i++) {
        const struct model *model = collector->models->versions[i]->model;
        rc = join_series(collector->join, (uint32_t)i, model->hash, model->label_horizon_ms, err);
    }
    return rc;
}

int64_t collector_news_ms(const struct collector *collector)
{
    return collector->news_ms;
}

void collector_looks_while_observed(struct collector *collector, bool only)
{
    collector->options.looks_while_observed = only;
}

int collector_references_changed(struct collector *collector, struct err *err)
{
    int rc = settle(collector, err);
    if (!rc)
        rc = models_read_references(collector->models, collector->options.store, err);
    if (!rc)
        changing_references_changed(collector->changing);
    return rc;
}

int collector_forget(struct collector *collector, const char *model, struct err *err)
{
    ranges_forget(collector->ranges, model);
    return changing_forget(collector->changing, model, err);
}

void collector_load_again(struct collector *collector)
{
    collector->reload = true;
}
