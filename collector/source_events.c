/*
 * What the sources tell: which partitions are ours, from where they are read, what is missing of
 * them. It comes inside a source's callback, where there is no way back: what fails is kept for the
 * next round.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/loop.h"

struct partition *source_partition(const struct source_link *link, int number)
{
    if (number < 0 || (size_t)number >= link->n_partitions || link->partitions[number] < 0)
        return NULL;
    return link->collector->partitions[link->partitions[number]];
}

static int link_partition(struct source_link *link, int number, const struct partition *partition,
                          struct err *err)
{
    if ((size_t)number >= link->n_partitions) {
        size_t wanted = (size_t)number + 16;
        int *grown = realloc(link->partitions, wanted * sizeof(*grown));
        if (!grown)
            return err_set(err, -ENOMEM, "collector: no memory for %zu partitions", wanted);
        for (size_t i = link->n_partitions; i < wanted; i++)
            grown[i] = -1;
        link->partitions = grown;
        link->n_partitions = wanted;
    }
    link->partitions[number] = (int)id_set_find(&link->collector->partition_ids, partition->id);
    return 0;
}

static void defer(struct collector *collector, int rc, const struct err *err)
{
    if (collector->deferred == 0) {
        collector->deferred = rc;
        collector->deferred_err = *err;
    }
}

/* `start: latest` is for a topic that was never read, not for a partition added later (F13). */
static bool topic_known(const struct collector *collector, const char *topic)
{
    for (size_t i = 0; i < collector->n_partitions; i++)
        if (collector->partitions[i]->stored >= 0 &&
            strcmp(collector->partitions[i]->topic, topic) == 0)
            return true;
    return false;
}

static int64_t on_assigned(void *context, int number, const char *topic, int32_t topic_number)
{
    struct source_link *link = context;
    struct collector *collector = link->collector;
    struct partition *partition;
    struct err err = {0};
    int rc = partition_for(collector, topic, topic_number, &partition, &err);
    if (!rc)
        rc = link_partition(link, number, partition, &err);
    if (!rc)
        rc = format_for(collector, partition, &err);
    if (rc) {
        defer(collector, rc, &err);
        return SOURCE_STOP;
    }
    partition->source = link->index;
    partition->source_partition = number;
    partition->assigned = true;
    partition->ended = partition->blocked = partition->held = false;
    partition->trusts_holes = false;
    struct source *source = collector->options.sources[link->index];
    /* What is posted is here at once: nothing is on its way that a look would have to wait for. */
    partition->active_boot_ms =
        clock_boot_ms(collector->clock) - (source->prompt ? IDLE_AFTER_MS : 0);
    stash_clear(&partition->stash);
    if (source->want_headers && format_wants_headers(partition->format->ring[0]))
        source->want_headers(source, number);
    if (partition->stopped)
        return SOURCE_STOP;
    if (partition->next < 0)
        return partition->config && partition->config->start_latest &&
                       !topic_known(collector, topic)
                   ? SOURCE_LATEST
                   : SOURCE_EARLIEST;
    partition->verify = source->checks_last && partition->counts.last_offset >= 0 &&
                        partition->counts.last_offset < partition->next;
    return partition->verify ? partition->counts.last_offset : partition->next;
}

static void on_revoked(void *context, int number, bool lost)
{
    struct source_link *link = context;
    struct collector *collector = link->collector;
    struct partition *partition = source_partition(link, number);
    struct err err = {0};
    if (!partition || !partition->assigned)
        return;
    stash_clear(&partition->stash);
    if (lost) {
        collector->reload = true; /* what came from it since the last commit is dropped */
    } else if (!collector->reload) {
        int rc = commit_now(collector, &err);
        if (rc < 0)
            defer(collector, rc, &err);
    }
    partition->assigned = partition->blocked = false;
}

static void on_gap(void *context, int number, int64_t from, int64_t to)
{
    struct source_link *link = context;
    struct partition *partition = source_partition(link, number);
    if (!partition || partition->next < 0)
        return;
    if (partition->counts.last_offset < to)
        partition->counts.last_offset = -1; /* that message is gone: nothing to recognise it by */
    if (to <= partition->next)
        return;
    partition->verify = false;
    partition_lost(link->collector, partition,
                   to - (from > partition->next ? from : partition->next));
    partition->next = to;
}

static int64_t on_truncated(void *context, int number, int64_t low, int64_t high)
{
    struct source_link *link = context;
    struct partition *partition = source_partition(link, number);
    (void)low;
    (void)high;
    if (!partition)
        return SOURCE_STOP;
    uint64_t before = link->collector->restart;
    partition_recreated(link->collector, partition);
    link->collector->restart = before; /* the source acts on our answer */
    return partition->stopped ? SOURCE_STOP : SOURCE_EARLIEST;
}

/* Where "latest" turned out to be: from now on it is stored like any other offset. */
static void on_starts(void *context, int number, int64_t offset)
{
    struct partition *partition = source_partition(context, number);
    if (!partition || partition->next >= 0)
        return;
    const struct partition_counts *counts = &partition->counts;
    partition->next = offset;
    partition->counts.first = offset - counts->consumed - counts->holes - counts->lost;
    partition->changed = true;
}

static void on_ended(void *context, int number)
{
    struct partition *partition = source_partition(context, number);
    if (partition)
        partition->ended = true;
}

static void wake_collector(void *context)
{
    collector_wake(context);
}

void collector_wake(struct collector *collector)
{
    for (size_t i = 0; i < collector->options.n_sources; i++)
        if (collector->options.sources[i]->wake)
            collector->options.sources[i]->wake(collector->options.sources[i]);
}

int sources_start(struct collector *collector, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < collector->options.n_sources; i++) {
        struct source *source = collector->options.sources[i];
        struct source_link *link = &collector->links[i];
        link->collector = collector;
        link->index = i;
        link->events = (struct source_events){
            .context = link,
            .assigned = on_assigned,
            .revoked = on_revoked,
            .gap = on_gap,
            .truncated = on_truncated,
            .starts = on_starts,
            .ended = on_ended,
        };
        if (source->on_data)
            source->on_data(source, wake_collector, collector);
        rc = source->start(source, &link->events, err);
    }
    return rc;
}
