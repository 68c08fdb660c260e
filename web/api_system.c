/*
 * Own health: what the collector says of itself now, what the database counts by partition and by
 * reason since it was made, and how what goes out fares.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/grow.h"
#include "common/json_out.h"
#include "storage/outbox.h"
#include "storage/restore.h"
#include "storage/store.h"
#include "web/handlers.h"

enum {
    N_REASONS = sizeof(((struct partition_counts *)0)->rejects) / sizeof(int64_t)
};

struct sums {
    struct buf *out;
    struct partition_counts all;
};

static void write_counts(struct buf *out, const struct partition_counts *c)
{
    out_key_int(out, "consumed", c->consumed);
    out_key_int(out, "folded", c->folded);
    out_key_int(out, "duplicate", c->duplicate);
    out_key_int(out, "dead_lettered", c->dead_lettered);
    out_key_int(out, "late", c->late);
    out_key_int(out, "orphaned", c->orphaned);
    out_key_int(out, "waiting", c->waiting);
    out_key_int(out, "redelivered", c->redelivered);
    out_key_int(out, "holes", c->holes);
    out_key_int(out, "lost", c->lost);
}

static int write_partition(void *context, const struct restored_offset *row, struct err *err)
{
    (void)err;
    struct sums *sums = context;
    const struct partition_counts *c = &row->counts;
    out_open(sums->out, '{');
    out_key_string(sums->out, "topic", row->topic);
    out_key_int(sums->out, "partition", row->partition);
    out_key_int(sums->out, "next", row->next);
    out_key_time(sums->out, "newest_event", c->newest_ts_ms);
    write_counts(sums->out, c);
    out_close(sums->out, '}');
    sums->all.consumed += c->consumed;
    sums->all.folded += c->folded;
    sums->all.duplicate += c->duplicate;
    sums->all.dead_lettered += c->dead_lettered;
    sums->all.late += c->late;
    sums->all.orphaned += c->orphaned;
    sums->all.waiting += c->waiting;
    sums->all.redelivered += c->redelivered;
    sums->all.holes += c->holes;
    sums->all.lost += c->lost;
    for (int i = 0; i < N_REASONS; i++)
        sums->all.rejects[i] += c->rejects[i];
    return 0;
}

static void write_rejects(struct api_context *context, struct buf *out,
                          const struct partition_counts *all)
{
    out_key(out, "rejects");
    out_open(out, '[');
    for (int i = 0; i < N_REASONS; i++) {
        if (all->rejects[i] == 0)
            continue;
        char number[32];
        const char *name = context->commands.reject_name ? context->commands.reject_name(i) : NULL;
        snprintf(number, sizeof(number), "reason %d", i);
        out_open(out, '{');
        out_key_string(out, "reason", name ? name : number);
        out_key_int(out, "n", all->rejects[i]);
        out_close(out, '}');
    }
    out_close(out, ']');
}

static void write_unless_unknown(struct buf *out, const char *key, int64_t value)
{
    out_key(out, key);
    if (value == -1)
        out_null(out);
    else
        out_int(out, value);
}

static void write_collector(struct api_context *context, struct buf *out)
{
    out_key(out, "collector");
    if (!context->commands.health) {
        out_null(out);
        return;
    }
    struct web_health health = {.lag = -1,
                                .lag_ms = -1,
                                .watermark_ms = -1,
                                .pending = -1,
                                .pending_bytes = -1,
                                .last_commit_ms = -1,
                                .longest_commit_ms = -1};
    context->commands.health(context->commands.context, &health);
    out_open(out, '{');
    out_key_bool(out, "ready", health.ready);
    out_key_string(out, "reason", health.ready ? NULL : health.reason);
    out_key_bool(out, "degraded", health.degraded);
    out_key_bool(out, "broker_up", health.broker_up);
    write_unless_unknown(out, "lag", health.lag);
    write_unless_unknown(out, "lag_ms", health.lag_ms);
    out_key_time(out, "watermark", health.watermark_ms);
    write_unless_unknown(out, "pending", health.pending);
    write_unless_unknown(out, "pending_bytes", health.pending_bytes);
    write_unless_unknown(out, "last_commit_ms", health.last_commit_ms);
    write_unless_unknown(out, "longest_commit_ms", health.longest_commit_ms);
    out_close(out, '}');
}

/* --- where numbers and alerts go --- */

struct waiting { /* for one receiver */
    char *receiver;
    int64_t n, oldest_ms;
};

struct receivers {
    struct buf *out;
    struct waiting *waiting;
    size_t n, capacity;
};

static int take_waiting(void *context, const struct outbox_backlog *row, struct err *err)
{
    struct receivers *all = context;
    int rc = grow(&all->waiting, &all->capacity, all->n + 1, sizeof(*all->waiting),
                  "system: receivers", err);
    char *name = rc ? NULL : strdup(row->receiver);
    if (!rc && !name)
        rc = err_set(err, -ENOMEM, "system: no memory for receivers");
    if (!rc)
        all->waiting[all->n++] = (struct waiting){name, row->n, row->oldest_ms};
    return rc;
}

static void write_receiver(void *context, const struct web_receiver *receiver)
{
    const struct receivers *all = context;
    struct buf *out = all->out;
    size_t i = 0;
    while (i < all->n && strcmp(all->waiting[i].receiver, receiver->name) != 0)
        i++;
    out_open(out, '{');
    out_key_string(out, "receiver", receiver->name);
    out_key_string(out, "type", receiver->type);
    out_key_int(out, "sent", receiver->sent);
    out_key_int(out, "failed", receiver->failed);
    out_key_int(out, "retried", receiver->retried);
    out_key_int(out, "waiting", i < all->n ? all->waiting[i].n : 0);
    out_key_time(out, "oldest_waiting", i < all->n ? all->waiting[i].oldest_ms : -1);
    out_key_time(out, "rests_until", receiver->rests_until_ms ? receiver->rests_until_ms : -1);
    out_key_bool(out, "gone", receiver->gone);
    out_key_string(out, "problem", receiver->problem);
    out_key_time(out, "problem_at", receiver->problem ? receiver->problem_ms : -1);
    out_close(out, '}');
}

static int write_receivers(struct api_context *context, struct store *store, struct buf *out,
                           struct err *err)
{
    struct receivers all = {.out = out};
    int rc = outbox_backlog(store, take_waiting, &all, err);
    out_key(out, "receivers");
    out_open(out, '[');
    if (!rc && context->commands.receivers)
        context->commands.receivers(context->commands.context, write_receiver, &all);
    out_close(out, ']');
    for (size_t i = 0; i < all.n; i++)
        free(all.waiting[i].receiver);
    free(all.waiting);
    return rc;
}

static void write_sinks(struct api_context *context, struct buf *out)
{
    out_key(out, "sinks");
    out_open(out, '[');
    if (context->commands.sinks)
        context->commands.sinks(context->commands.context, out);
    out_close(out, ']');
}

static int64_t file_bytes(const char *path, const char *ending)
{
    char name[4096];
    struct stat about;
    if ((size_t)snprintf(name, sizeof(name), "%s%s", path, ending) >= sizeof(name) ||
        stat(name, &about))
        return 0;
    return about.st_size;
}

int api_system(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    (void)input;
    struct buf *out = &answer->body;
    struct sums sums = {.out = out};
    struct store *store;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    out_open(out, '{');
    out_key_int(out, "now", clock_wall_ms(context->clock));
    write_collector(context, out);
    out_key(out, "partitions");
    out_open(out, '[');
    rc = restore_offsets(store, write_partition, &sums, err);
    out_close(out, ']');
    out_key(out, "totals");
    out_open(out, '{');
    write_counts(out, &sums.all);
    out_close(out, '}');
    write_rejects(context, out, &sums.all);
    if (!rc)
        rc = write_receivers(context, store, out, err);
    write_sinks(context, out);
    out_key(out, "storage");
    out_open(out, '{');
    out_key_int(out, "database_bytes", file_bytes(context->store_path, ""));
    out_key_int(out, "wal_bytes", file_bytes(context->store_path, "-wal"));
    out_close(out, '}');
    out_close(out, '}');
    return rc;
}
