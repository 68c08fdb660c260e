/*
 * Many looks, one commit. A commit waits for the disk (7 ms and more), and a backlog of a day has
 * tens of thousands of seconds in which something happened. So while one is caught up with, a look
 * reads what it covers inside a transaction that is still open, writes what it decides there, and
 * the next one follows; all of it becomes durable together, with the offsets, as in one commit.
 *
 *     share_or_commit → at_look → share_looked → … next look … → commit_now, once a second
 *
 * A look close to the wall clock does not wait for others: who is told of it is told at once. Which
 * looks share changes no decision, only when others see it. A failure undoes all since the last
 * durable commit; memory is loaded again, the log read again, and looks up to the failed one have
 * commits of their own, in which a full disk or a refusal is dealt with one by one.
 */
#include <errno.h>

#include "collector/loop.h"

enum {
    LIVE_MS = 5000 /* a look as new as this is nobody's past */
};

static bool is_past(const struct collector *collector)
{
    for (size_t i = 0; i < collector->options.n_sources; i++)
        if (!collector->options.sources[i]->bounded)
            return clock_wall_ms(collector->clock) - collector->look_ms > LIVE_MS;
    return true; /* files only */
}

int share_or_commit(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    struct err why = {0};
    bool open = shares(collector);
    bool wanted = !collector->options.looks_apart && !collector->degraded &&
                  collector->look_ms > collector->apart_until_ms && is_past(collector);
    if (!wanted)
        return commit_now(collector, err);
    int rc = open ? 0 : commit_share(store, &why);
    if (rc)
        return commit_refused(collector, rc, &why, err);
    rc = commit_part(collector, &why);
    return rc ? share_undo(collector, rc, &why, err) : 0;
}

int share_looked(struct collector *collector, int rc, struct err *why, struct err *err)
{
    struct store *store = collector->options.store;
    bool shared = shares(collector);
    if (shared && rc >= 0 && commit_share_is_lost(store))
        rc = err_set(why, -ECANCELED, "what looks wrote together was rolled back");
    if (shared && rc < 0)
        return share_undo(collector, rc, why, err);
    if (rc < 0)
        return commit_refused(collector, rc, why, err);
    if (shared)
        return share_due(collector) ? commit_send(collector, err) : 0;
    if (collector->options.looks_durable)
        collector->options.looks_durable(collector->options.context);
    return 0;
}

bool share_due(const struct collector *collector)
{
    return shares(collector) &&
           (commit_due(collector) || collector->shared_panes >= MAX_CHANGED_PANES);
}

/* What is taken again, look by look: a full disk is then waited for, a want of memory may pass. */
static bool may_pass(int rc)
{
    return rc == ERR_FULL || rc == ERR_FENCED || rc == -EBUSY || rc == -ENOMEM || rc == -ECANCELED;
}

int share_undo(struct collector *collector, int rc, const struct err *why, struct err *err)
{
    const struct log *log = collector->options.log;
    commit_share_undo(collector->options.store);
    collector->apart_until_ms = collector->look_ms;
    collector->shared_panes = 0;
    collector->fenced += rc == ERR_FENCED;
    if (!may_pass(rc)) {
        if (err)
            *err = *why;
        return rc;
    }
    collector->reload = true;
    collector->undone_by = *why;
    if (log)
        log_write(log, LEVEL_WARNING, "collector", "%s: reading again what is stored", why->text);
    return 0;
}

int share_close(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    int rc = commit_land(collector, err);
    if (rc || !shares(collector))
        return rc < 0 ? rc : 0;
    if (!collector->reload)
        return commit_now(collector, err);
    commit_share_undo(store);
    collector->shared_panes = 0;
    return 0;
}
