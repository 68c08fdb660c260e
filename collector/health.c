/*
 * The collector's own state for others: copied under a lock after each commit and some rounds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collector/loop.h"
#include "common/text.h"

static void add_totals(struct collector_totals *totals, const struct partition_counts *counts)
{
    totals->consumed += counts->consumed;
    totals->folded += counts->folded;
    totals->duplicate += counts->duplicate;
    totals->dead_lettered += counts->dead_lettered;
    totals->late += counts->late;
    totals->orphaned += counts->orphaned;
    totals->waiting += counts->waiting;
    totals->redelivered += counts->redelivered;
    totals->holes += counts->holes;
    totals->lost += counts->lost;
}

static void refresh_sources(const struct collector *collector, struct collector_health *health)
{
    health->broker_up = true;
    health->ready = !collector->degraded;
    if (collector->degraded)
        snprintf(health->reason, sizeof(health->reason), "%s: nothing is taken%s",
                 collector->blocked_by == ERR_FULL ? "the disk is full"
                                                   : "another program holds the database",
                 collector->away ? ", and the consumer group was left" : "");
    for (size_t i = 0; i < collector->options.n_sources; i++) {
        struct source *source = collector->options.sources[i];
        struct source_state state = {.ready = true};
        if (source->state)
            source->state(source, &state);
        health->n_partitions += state.n_partitions;
        if (state.refusal) {
            health->ready = false;
            snprintf(health->reason, sizeof(health->reason), "%s: %s", source->name, state.refusal);
        }
        if (state.ready && !state.trouble)
            continue;
        if (state.trouble)
            health->broker_up = false;
        if (!state.ready) {
            health->ready = false;
            snprintf(health->reason, sizeof(health->reason), "%s: %s", source->name,
                     state.trouble ? state.trouble : "no partitions are assigned yet");
        }
    }
}

/* Of the first message that waits: aside for a look, else behind the newest that was read. */
static int64_t waiting_ms(const struct partition *partition)
{
    const struct stash *stash = &partition->stash;
    if (!partition->assigned)
        return 0;
    if (stash_left(stash))
        return stash->messages[stash->at].timestamp_ms;
    return partition->next >= 0 && partition->high > partition->next
               ? partition->counts.last_timestamp_ms
               : 0;
}

struct collector_input collector_input(const struct collector *collector)
{
    struct collector_input input = {0};
    int64_t now_ms = clock_wall_ms(collector->clock);
    for (size_t i = 0; i < collector->n_partitions; i++) {
        const struct partition *partition = collector->partitions[i];
        int64_t ts_ms = waiting_ms(partition);
        if (ts_ms > 0 && now_ms - ts_ms > input.behind_ms)
            input.behind_ms = now_ms - ts_ms;
        input.lost += partition->counts.lost;
    }
    return input;
}

void health_refresh(struct collector *collector)
{
    struct collector_health health = {
        .degraded = collector->degraded,
        .behind_ms = collector_input(collector).behind_ms,
        .watermark_ms = collector->watermark_ms,
        .fenced = collector->fenced,
        .last_commit_ms = collector->last_commit_ms,
        .longest_commit_ms = collector->longest_commit_ms,
        .lag = 0,
        .lag_ms = -1,
    };
    refresh_sources(collector, &health);
    for (size_t i = 0; i < collector->n_partitions; i++) {
        const struct partition *partition = collector->partitions[i];
        add_totals(&health.totals, &partition->counts);
        if (partition->stopped) {
            health.ready = false;
            snprintf(health.reason, sizeof(health.reason), "topic %s was made anew: stopped",
                     partition->topic);
        }
        if (!partition->assigned || partition->high < 0 || partition->next < 0)
            continue;
        if (partition->high > partition->next)
            health.lag += partition->high - partition->next;
    }
    for (int i = 0; i < N_REJECTS; i++)
        for (size_t k = 0; k < collector->n_partitions; k++)
            health.rejects[i] += collector->partitions[k]->counts.rejects[i];
    if (collector->watermark_ms != INT64_MIN)
        health.lag_ms = clock_wall_ms(collector->clock) - collector->watermark_ms;
    if (collector->dead_topic)
        health.dead_letters = dead_letter_topic_counts(collector->dead_topic);
    struct pending_size size;
    pending_size(collector->pending, &size);
    health.pending = size.predictions;
    health.pending_bytes = size.bytes;
    health.refreshed_boot_ms = clock_boot_ms(collector->clock);
    health.silent_ms = health.refreshed_boot_ms - collector->came_boot_ms;

    pthread_mutex_lock(&collector->health_lock);
    collector->health = health;
    pthread_mutex_unlock(&collector->health_lock);
}

void collector_health(struct collector *collector, struct collector_health *out)
{
    pthread_mutex_lock(&collector->health_lock);
    *out = collector->health;
    pthread_mutex_unlock(&collector->health_lock);
}

static void line(struct buf *out, const char *name, const char *type, const char *help,
                 const char *suffix, double value)
{
    buf_printf(out, "# TYPE assay_%s %s\n# HELP assay_%s %s\nassay_%s%s ", name, type, name, help,
               name, suffix);
    json_number(out, value);
    buf_printf(out, "\n");
}

static void counter(struct buf *out, const char *name, const char *help, int64_t value)
{
    line(out, name, "counter", help, "_total", (double)value);
}

static void gauge(struct buf *out, const char *name, const char *help, double value)
{
    line(out, name, "gauge", help, "", value);
}

void collector_own_metrics(struct collector *collector, struct buf *out)
{
    struct collector_health health;
    collector_health(collector, &health);
    const struct collector_totals *totals = &health.totals;
    counter(out, "events_consumed", "Events taken from the log.", totals->consumed);
    counter(out, "events_folded", "Events that went into a window.", totals->folded);
    counter(out, "events_duplicate", "Predictions whose id was seen before.", totals->duplicate);
    counter(out, "events_dead_lettered", "Events rejected, with a reason.", totals->dead_lettered);
    counter(out, "events_late", "Events older than what is kept.", totals->late);
    counter(out, "events_orphaned", "Labels and outcomes without a prediction.", totals->orphaned);
    gauge(out, "events_waiting", "Labels and outcomes that wait for their prediction.",
          (double)totals->waiting);
    counter(out, "events_redelivered", "Messages that came twice, dropped.", totals->redelivered);
    counter(out, "offset_holes", "Offsets that carry no message.", totals->holes);
    counter(out, "events_lost", "Messages that retention took before they were read.",
            totals->lost);
    buf_printf(out, "# TYPE assay_rejected counter\n# HELP assay_rejected Events rejected, by "
                    "reason.\n");
    for (int i = REJECT_NONE + 1; i < N_REJECTS; i++)
        buf_printf(out, "assay_rejected_total{reason=\"%s\"} %" PRId64 "\n",
                   reject_name((enum reject)i), health.rejects[i]);
    counter(out, "dead_letters_sent", "Dead letters that their topic took.",
            health.dead_letters.sent);
    counter(out, "dead_letters_refused", "Dead letters that their topic refused; they stay here.",
            health.dead_letters.refused);
    gauge(out, "ready", "1: sources are connected and commits go through.", health.ready);
    gauge(out, "degraded", "1: the disk is full, nothing is taken.", health.degraded);
    gauge(out, "broker_up", "1: the broker answers.", health.broker_up);
    gauge(out, "partitions", "Partitions assigned.", health.n_partitions);
    gauge(out, "lag_messages", "Messages in the log that are not read yet.", (double)health.lag);
    if (health.lag_ms >= 0)
        gauge(out, "watermark_lag_seconds", "Wall clock less the watermark.",
              (double)health.lag_ms / 1000.0);
    gauge(out, "pending_predictions", "Predictions that are remembered for their label.",
          (double)health.pending);
    gauge(out, "pending_bytes", "Memory of the join.", (double)health.pending_bytes);
    counter(out, "fenced", "Commits refused because the offsets were moved by another.",
            health.fenced);
    gauge(out, "commit_duration_seconds", "The last transaction.",
          (double)health.last_commit_ms / 1000.0);
    gauge(out, "commit_duration_max_seconds", "The longest transaction.",
          (double)health.longest_commit_ms / 1000.0);
}
