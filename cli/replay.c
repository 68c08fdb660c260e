/* `assay replay`: files of events through the very same pipeline, at full speed, on event time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/options.h"
#include "cli/reference.h"
#include "collector/collect.h"
#include "collector/source_file.h"
#include "common/log.h"
#include "storage/memo.h"
#include "storage/store.h"

enum {
    PROGRESS_EVERY_MS = 250,
    WAIT_MS = 100, /* for lines of a slow pipe; what came is committed then */
};

/* One line on a terminal, written over itself; nothing when standard error is a file. */
static void show_progress(struct collector *collector, struct source *files, int64_t started_ms,
                          bool last)
{
    struct collector_health health;
    collector_health(collector, &health);
    double seconds = (double)(clock_boot_ms(clock_system()) - started_ms + 1) / 1000.0;
    struct file_progress progress;
    source_file_progress(files, &progress);
    double share =
        progress.total_bytes > 0 ? (double)progress.read_bytes / (double)progress.total_bytes : 1.0;
    fprintf(stderr, "\r\033[K%3.0f%%  %" PRId64 " events  %.0f events/s%s", 100.0 * share,
            health.totals.consumed, (double)health.totals.consumed / seconds, last ? "\n" : "");
}

/* Once when it begins to wait (a full disk, another program's lock), and once when it goes on. */
static void tell_waiting(struct collector *collector, const char *db, bool terminal, bool *waits)
{
    struct collector_health health;
    collector_health(collector, &health);
    if (health.degraded == *waits)
        return;
    *waits = health.degraded;
    const char *line = terminal ? "\r\033[K" : "";
    if (*waits)
        fprintf(stderr,
                "%sassay: %s: %s until that is over; Ctrl-C ends the replay, and what is stored "
                "is kept\n",
                line, db, health.reason);
    else
        fprintf(stderr, "%sassay: %s: takes events again\n", line, db);
}

static int run(struct collector *collector, struct source *files, const char *db, struct err *err)
{
    bool terminal = isatty(2);
    bool waits = false;
    int64_t started_ms = clock_boot_ms(clock_system());
    int64_t shown_ms = started_ms;
    int rc;
    do {
        rc = collector_step(collector, WAIT_MS, err);
        tell_waiting(collector, db, terminal, &waits);
        int64_t now_ms = clock_boot_ms(clock_system());
        if (terminal && now_ms - shown_ms >= PROGRESS_EVERY_MS) {
            show_progress(collector, files, started_ms, false);
            shown_ms = now_ms;
        }
    } while (rc >= 0 && rc != COLLECTOR_END);
    if (terminal)
        show_progress(collector, files, started_ms, true);
    return rc < 0 ? rc : 0;
}

static void print_summary(struct collector *collector)
{
    struct collector_health health;
    collector_health(collector, &health);
    const struct collector_totals *t = &health.totals;
    printf("{\"consumed\":%" PRId64 ",\"folded\":%" PRId64 ",\"duplicate\":%" PRId64
           ",\"dead_lettered\":%" PRId64 ",\"late\":%" PRId64 ",\"orphaned\":%" PRId64
           ",\"waiting\":%" PRId64 "}\n",
           t->consumed, t->folded, t->duplicate, t->dead_lettered, t->late, t->orphaned,
           t->waiting);
}

struct deciders { /* who decides at looks, as in a daemon; nobody is told */
    struct engine engine;
    struct alerts *alerts;
};

static int at_look(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct deciders *deciders = context;
    struct outside outside = {.now_ms = look_ms, .lag = -1, .wall_ms = look_ms};
    bool watched = alerts_wanted(deciders->alerts);
    int rc = engine_look(&deciders->engine, look_ms, err);
    if (!rc && watched)
        rc = alerts_look(deciders->alerts, &outside, err);
    /* an experiment also looks at each second in which anything happens, as 0 stands for */
    *next_look_ms = watched ? alerts_next_look(deciders->alerts, look_ms,
                                               collector_news_ms(deciders->engine.collector))
                            : 0;
    return rc;
}

static void settled(void *context)
{
    alerts_settle(((struct deciders *)context)->alerts);
}

/* The experiments are loaded again as an observer's. */
static void undone(void *context)
{
    alerts_restore(((struct deciders *)context)->alerts);
}

static void finish_deciders(struct deciders *deciders)
{
    engine_close(&deciders->engine);
    alerts_free(deciders->alerts);
}

static int replay(const struct config *config, const char *db, const struct arguments *files,
                  struct err *err)
{
    AUTO(memo) struct memo *memo = NULL;
    AUTO(store) struct store *store = NULL;
    int rc = memo_new(&memo, err);
    if (!rc)
        rc = store_open(&store, db, STORE_WRITE, err);
    if (rc)
        return rc;
    store_lend_memo(store, memo);
    rc = references_of_config(store, config, err);
    if (rc)
        return rc;
    AUTO(source) struct source *source = NULL;
    rc = source_file_new(&source, files->words, (size_t)files->n, NULL, err);
    if (rc)
        return rc;
    struct source *const sources[] = {source};
    __attribute__((cleanup(finish_deciders))) struct deciders deciders = {
        .engine = {.replays = true}};
    rc = alerts_new(&deciders.alerts, config, store, NULL, NULL, err);
    if (rc)
        return rc;
    struct collector_options options = {
        .config = config,
        .store = store,
        .sources = sources,
        .n_sources = 1,
        .context = &deciders,
        .at_look = at_look,
        .looks_durable = settled,
        .looks_undone = undone,
        .looks_while_observed = !alerts_wanted(deciders.alerts),
        .observer = &deciders.engine.observer,
    };
    AUTO(collector) struct collector *collector = NULL;
    rc = engine_open(&deciders.engine, config, store, NULL, err);
    if (!rc)
        rc = collector_new(&collector, &options, err);
    deciders.engine.collector = collector;
    if (!rc)
        rc = run(collector, source, db, err);
    if (!rc)
        rc = run_flush(deciders.engine.run, err);
    if (!rc)
        print_summary(collector);
    return rc;
}

int command_replay(int argc, char **argv)
{
    const char *path = NULL;
    const char *db = NULL;
    const struct option_row rows[] = {
        {.name = "config", .letter = 'c', .value = &path},
        {.name = "db", .value = &db},
    };
    struct err err = {0};
    struct arguments files;
    if (options_parse(rows, 2, argc, argv, &files, &err))
        return fail(&err);
    if (!path || files.n == 0) {
        err_set(&err, ERR_USAGE, "usage: assay replay -c FILE [--db DB] EVENTS.jsonl[.gz]…");
        return fail(&err);
    }
    AUTO(config) struct config *config = NULL;
    if (config_read(&config, path, &err) ||
        replay(config, db ? db : config->storage_path, &files, &err))
        return fail(&err);
    return 0;
}
