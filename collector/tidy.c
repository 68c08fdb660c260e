#include "collector/tidy.h"

#include <malloc.h>

#include "collector/loop.h"
#include "storage/alert_rows.h"
#include "storage/dead_letter.h"
#include "storage/outbox.h"
#include "storage/retention.h"
#include "storage/values.h"

enum {
    RETENTION_PANES = 200, /* a step: some milliseconds */
    VALUE_ROWS = 50,
    ROWS_EVERY_MS = 60 * 1000,
    EXPIRED_ROWS = 1000, /* of a table, each time */
    BURST_EVENTS = 100000,
};

/*
 * Rows that are over: dead letters by their own retention; the history of alerts as long as the
 * longest windows, in event time as they; letters that are settled as long as windows of an hour.
 */
static int expire_rows(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    const struct config *config = collector->options.config;
    int64_t wall_ms = clock_wall_ms(collector->clock);
    int64_t now = clock_boot_ms(collector->clock);
    if (now - collector->rows_tidied_boot_ms < ROWS_EVERY_MS)
        return 0;
    collector->rows_tidied_boot_ms = now;
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_dead_letter_expire(store, wall_ms - config->dead_letter_retention_ms, err);
    if (!rc)
        rc = commit_outbox_expire(store, wall_ms - config->retention_ms[1], EXPIRED_ROWS, err);
    if (!rc && collector->watermark_ms != INT64_MIN)
        rc = commit_alert_history_expire(store, collector->watermark_ms - config->retention_ms[2],
                                         EXPIRED_ROWS, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* Panes age in event time; a minute's worth at a time, more while some are left. */
static int age_panes(struct collector *collector, struct err *err)
{
    int64_t watermark_ms = collector->watermark_ms;
    struct retention_done done = {0};
    if (watermark_ms == INT64_MIN || watermark_ms < collector->next_aging_ms)
        return 0;
    if (ranges_hold(collector->ranges, watermark_ms)) {
        collector->aging = true;
        return 0;
    }
    int rc = retention_step(collector->options.store, collector->options.config->retention_ms,
                            watermark_ms, RETENTION_PANES, &done, err);
    if (rc)
        return rc;
    collector->aging = done.more;
    if (!done.more)
        collector->next_aging_ms = watermark_ms - watermark_ms % 60000 + 60000;
    panes_rolled_up(collector->fold);
    return 0;
}

/* A full disk here is met again by the next commit, which deals with it. */
static int unless_full(int rc)
{
    return rc == ERR_FULL ? 0 : rc;
}

int tidy_after_commit(struct collector *collector, int64_t n_panes, struct err *err)
{
    int rc = 0;
    /* Twice as many as were written, so that catching up on a year does not leave its minutes. */
    int64_t steps = 1 + 2 * n_panes / RETENTION_PANES;
    do
        rc = tidy_aging(collector, err);
    while (!rc && collector->aging && --steps > 0);
    return rc ? rc : unless_full(expire_rows(collector, err));
}

int tidy_aging(struct collector *collector, struct err *err)
{
    collector->aging = false;
    return unless_full(age_panes(collector, err));
}

int tidy_dead_topic(struct collector *collector, struct err *err)
{
    return unless_full(
        dead_letter_topic_step(collector->dead_topic, collector->options.store, err));
}

/* What the allocator kept of a burst (the client's messages above all) goes back to the system. */
static void trim_memory(struct collector *collector)
{
    if (collector->untrimmed < BURST_EVENTS)
        return;
    collector->untrimmed = 0;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

int tidy_idle(struct collector *collector, struct err *err)
{
    bool more;
    trim_memory(collector);
    if (collector->degraded)
        return 0;
    int rc = 0;
    if (collector->aging && collector->uncommitted == 0)
        rc = tidy_aging(collector, err);
    if (rc || !collector->stale_values)
        return rc;
    rc = unless_full(values_refresh(collector->options.store, VALUE_ROWS, &more, err));
    collector->stale_values = !rc && more;
    return rc;
}
