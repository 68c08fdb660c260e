/*
 * Parts are built downwards and taken down in reverse. The three seams between the siblings are
 * filled here and in serve_commands.c: looks lead from the collector to experiments and alerts;
 * web_commands lead from web to its siblings; signals lead from the outside to all.
 */
#include "cli/serve.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/clock_check.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/notify.h"
#include "cli/options.h"
#include "cli/privileges.h"
#include "cli/reference.h"
#include "cli/serve_commands.h"
#include "collector/kafka_settings.h"
#include "collector/source_http.h"
#include "collector/source_kafka.h"
#include "common/settle.h"
#include "storage/audit.h"
#include "storage/commit.h"

enum {
    TICK_MS = 500
}; /* how often what only the wall clock moves is looked at */

/*
 * Seam 1: the collector tells of looks. The change counter that web's stream sleeps on goes up with
 * each commit by itself (store_set_changes).
 */
static struct outside outside_at(struct daemon *daemon, int64_t now_ms)
{
    struct collector_health health;
    collector_health(daemon->collector, &health);
    return (struct outside){.now_ms = now_ms,
                            .lag = health.lag,
                            .wall_ms = clock_wall_ms(clock_system()),
                            .certificate_end_ms = web_certificate_end_ms(daemon->web)};
}

/* Who works on what was written hears of it when it can be read. */
static void settled(void *context)
{
    struct daemon *daemon = context;
    const bool letters = alerts_settle(daemon->alerts);
    engine_settle(&daemon->engine);
    if (letters || daemon->letters)
        deliver_wake(daemon->deliver);
    daemon->letters = false;
}

/* The experiments are loaded again as an observer's. */
static void undone(void *context)
{
    struct daemon *daemon = context;
    alerts_restore(daemon->alerts);
    daemon->letters = false;
}

static int flush_alerts(struct daemon *daemon, struct err *err)
{
    int64_t next_ms;
    int n = alerts_flush(daemon->alerts, clock_wall_ms(clock_system()), &next_ms, err);
    daemon->letters = daemon->letters || n > 0;
    return n < 0 ? n : 0;
}

static int at_look(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct daemon *daemon = context;
    struct outside outside = outside_at(daemon, look_ms);
    bool watched = alerts_wanted(daemon->alerts);
    bool observed = daemon->engine.observer.active;
    int rc = engine_look(&daemon->engine, look_ms, err);
    if (!rc && watched)
        rc = alerts_look(daemon->alerts, &outside, err);
    daemon->looked_ms = look_ms;
    daemon->looked_boot_ms = clock_boot_ms(clock_system());
    /* an experiment also looks at each second in which anything happens, as 0 stands for */
    *next_look_ms =
        watched ? alerts_next_look(daemon->alerts, look_ms, collector_news_ms(daemon->collector))
                : 0;
    if (!rc)
        rc = flush_alerts(daemon, err);
    daemon->letters = daemon->letters || observed;
    return rc;
}

/* A wall clock that was just set is no news about a model: nothing is judged in that moment, and
   what it times goes on from where it was. */
static bool was_set(struct daemon *daemon)
{
    const int64_t jump_ms = clock_watch_jump(&daemon->wall, clock_system());
    if (jump_ms == 0)
        return false;
    log_write(&daemon->log, LEVEL_WARNING, "cli", "the wall clock was set %s by %.1f s",
              jump_ms > 0 ? "forward" : "back", fabs((double)jump_ms) / 1000);
    engine_clock_set(&daemon->engine, jump_ms);
    return true;
}

/* While no event comes, event time is carried on from the last look, by the clock that nobody
   sets. */
static int tick(void *context, struct store *store, struct err *err)
{
    (void)store;
    struct daemon *daemon = context;
    notify("WATCHDOG=1"); /* by the thread that evaluates: when it stands still, so does this */
    if (was_set(daemon))
        return 0;
    int64_t silent_ms = clock_boot_ms(clock_system()) - daemon->looked_boot_ms;
    int rc = 0;
    if (daemon->looked_boot_ms && silent_ms > 2 * TICK_MS) {
        struct outside outside = outside_at(daemon, daemon->looked_ms + silent_ms);
        rc = alerts_tick(daemon->alerts, &outside, err);
        if (!rc)
            rc = engine_tick(&daemon->engine, daemon->looked_ms, silent_ms, err);
    }
    if (!rc)
        rc = flush_alerts(daemon, err);
    settled(daemon);
    return rc;
}

static void *keep_ticking(void *context)
{
    struct daemon *daemon = context;
    struct log_limit limit = {.every_ms = 60000};
    while (!atomic_load(&daemon->stopping)) {
        struct err err = {0};
        int rc = collector_call(daemon->collector, tick, daemon, &err);
        if (rc && rc != -ECANCELED && log_allowed(&limit, clock_boot_ms(clock_system()), NULL))
            log_write(&daemon->log, LEVEL_WARNING, "alerts", "%s", err.text);
        usleep(TICK_MS * 1000);
    }
    return NULL;
}

static int write_through(void *context, writer_fn *fn, void *fn_context, struct err *err)
{
    struct daemon *daemon = context;
    return collector_call(daemon->collector, fn, fn_context, err);
}

/* System values that were scraped go the way of posted events. */
static int take_scraped(void *context, const char *lines, size_t n, struct err *err)
{
    struct daemon *daemon = context;
    struct buf answer;
    buf_init(&answer, 1 << 20);
    int rc = source_http_ingest(daemon->http, lines, n, &answer, err);
    buf_u8(&answer, 0);
    if (rc == SOURCE_HTTP_BUSY)
        rc = err_set(err, -EAGAIN, "too many events wait already");
    else if (!rc && !buf_failed(&answer) && !strstr((char *)answer.data, "\"rejected\":[]"))
        rc = err_set(err, ERR_DATA, "its values were refused: %.200s", (char *)answer.data);
    buf_finish(&answer);
    return rc;
}

static int start_scrape(struct daemon *daemon, struct err *err)
{
    const struct scrape_options options = {
        .config = config_now(daemon),
        .clock = clock_system(),
        .log = &daemon->log,
        .context = daemon,
        .take = take_scraped,
    };
    struct scrape *started = NULL;
    int rc = scrape_start(&started, &options, err);
    pthread_mutex_lock(&daemon->reloading);
    daemon->scrape = started;
    pthread_mutex_unlock(&daemon->reloading);
    return rc;
}

/* On a thread that may wait: the scraper's own may be waiting for the writer. */
static int restart_scrape(struct daemon *daemon, struct err *err)
{
    pthread_mutex_lock(&daemon->reloading);
    struct scrape *former = daemon->scrape;
    daemon->scrape = NULL;
    pthread_mutex_unlock(&daemon->reloading);
    scrape_stop(former);
    return start_scrape(daemon, err);
}

static int detach_actuate(void *context, struct store *store, struct err *err)
{
    struct daemon *daemon = context;
    (void)store;
    (void)err;
    pthread_mutex_lock(&daemon->reloading);
    daemon->former_actuate = engine_actuate_detach(&daemon->engine);
    pthread_mutex_unlock(&daemon->reloading);
    return 0;
}

static int attach_actuate(void *context, struct store *store, struct err *err)
{
    struct daemon *daemon = context;
    const struct config *config = config_now(daemon);
    const struct writer writer = {daemon, write_through};
    (void)store;
    int rc = engine_reload_actuators(&daemon->engine, config, err);
    pthread_mutex_lock(&daemon->reloading);
    int start = engine_actuate(&daemon->engine, &writer, config->storage_path, &daemon->log,
                               rc ? NULL : err);
    pthread_mutex_unlock(&daemon->reloading);
    return rc ? rc : start;
}

/* On a thread that may wait: an actuator's own may be waiting for the writer. */
static int restart_actuators(struct daemon *daemon, struct err *err)
{
    int rc = collector_call(daemon->collector, detach_actuate, daemon, err);
    if (rc)
        return rc;
    actuate_stop(daemon->former_actuate);
    daemon->former_actuate = NULL;
    return collector_call(daemon->collector, attach_actuate, daemon, err);
}

/* Where notifications lead: what the configuration says, else where it listens. */
static const char *page_url(const struct daemon *daemon)
{
    const struct config *config = config_now(daemon);
    return config->http.public_url ? config->http.public_url : web_url(daemon->web);
}

static int audit_reload(struct store *store, int64_t wall_ms, struct err *err)
{
    const struct audit_row row = {.at_ms = wall_ms,
                                  .clock = "wall",
                                  .who = "SIGHUP",
                                  .action = "config.reload",
                                  .subject = "configuration",
                                  .detail = "{}"};
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_audit(store, &row, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* Seam 3: signals. One thread waits for them, so that no handler runs in the middle of anything. */
static int reload(void *context, struct store *store, struct err *err)
{
    struct daemon *daemon = context;
    AUTO(config) struct config *config = NULL;
    const struct config *former = config_now(daemon);
    int64_t wall_ms = clock_wall_ms(clock_system());
    int rc = config_read(&config, daemon->options->config->path, err);
    if (!rc)
        rc = scrape_check(config, err);
    if (!rc)
        rc = gateways_check(daemon->traffic.gateways, config, err);
    if (!rc)
        rc = actuators_check(config, err);
    if (!rc)
        rc = references_of_config(store, config, err);
    if (!rc)
        rc = web_reload(daemon->web, config, err);
    if (!rc)
        rc = alerts_reload(daemon->alerts, config, wall_ms, err);
    bool alerts_changed = !rc;
    if (!rc)
        rc = collector_reload(daemon->collector, config, err);
    if (!rc)
        rc = collector_references_changed(daemon->collector, err);
    if (!rc)
        rc = gateways_reload(daemon->traffic.gateways, config, err);
    if (rc && alerts_changed)
        alerts_reload(daemon->alerts, former, wall_ms, NULL);
    if (rc)
        return rc;
    pthread_mutex_lock(&daemon->reloading);
    config_free(daemon->reloaded);
    daemon->reloaded = config; /* the daemon owns it now */
    pthread_mutex_unlock(&daemon->reloading);
    config = NULL;
    web_configure(daemon->web, daemon->reloaded);
    collector_looks_while_observed(daemon->collector, !alerts_wanted(daemon->alerts));
    alerts_set_url(daemon->alerts, page_url(daemon));
    deliver_reload(daemon->deliver, alerts_receivers(daemon->alerts), page_url(daemon));
    struct err why = {0};
    if (engine_configure(&daemon->engine, daemon->reloaded, &why) ||
        audit_reload(store, wall_ms, &why))
        log_write(&daemon->log, LEVEL_ERROR, "cli", "%s", why.text);
    int flushed = flush_alerts(daemon, err);
    settled(daemon);
    return flushed;
}

static void sleep_ms(void *context, int ms)
{
    (void)context;
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void *wait_for_signals(void *context)
{
    struct daemon *daemon = context;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    for (;;) {
        int signal = 0;
        if (sigwait(&set, &signal) != 0)
            continue;
        if (signal != SIGHUP) {
            log_write(&daemon->log, LEVEL_INFO, "cli", "draining: committing what was read");
            traffic_stop(&daemon->traffic); /* while the last events can still come in */
            collector_stop(daemon->collector);
            return NULL;
        }
        struct err err = {0};
        if (file_settle(daemon->options->config->path, clock_system(), sleep_ms, NULL, &err) ||
            collector_call(daemon->collector, reload, daemon, &err) ||
            restart_actuators(daemon, &err) || restart_scrape(daemon, &err))
            log_write(&daemon->log, LEVEL_ERROR, "cli", "the old configuration stays: %s",
                      err.text);
        else
            log_write(&daemon->log, LEVEL_INFO, "cli", "configuration read again");
    }
}

void serve_block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int open_sources(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->options->config;
    int rc = source_http_new(&daemon->http, clock_system(), err);
    if (rc)
        return rc;
    daemon->sources[daemon->n_sources++] = daemon->http;
    if (!config->kafka.brokers)
        return 0;
    rc = source_kafka_new(&daemon->sources[daemon->n_sources], &config->kafka, config->storage_path,
                          &daemon->log, clock_system(), err);
    if (!rc)
        daemon->n_sources++;
    return rc;
}

/* The file, what reads it at looks, and where events come from. */
static int open_store(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->options->config;
    int rc = store_open(&daemon->store, config->storage_path, STORE_WRITE, err);
    if (!rc)
        rc = references_of_config(daemon->store, config, err);
    if (!rc)
        rc = changes_new(&daemon->changes, err);
    if (!rc)
        rc = store_set_changes(daemon->store, daemon->changes, err);
    if (!rc)
        rc = memo_new(&daemon->memo, err);
    if (rc)
        return rc;
    store_lend_memo(daemon->store, daemon->memo);
    rc = alerts_new(&daemon->alerts, config, daemon->store, &daemon->log, "", err);
    if (!rc)
        rc = alerts_close_removed(daemon->alerts, clock_wall_ms(clock_system()), err);
    if (!rc)
        rc = engine_open(&daemon->engine, config, daemon->store, &daemon->log, err);
    if (rc)
        return rc;
    daemon->engine.alerts = daemon->alerts;
    return open_sources(daemon, err);
}

static int open_collector(struct daemon *daemon, struct err *err)
{
    struct collector_options options = {
        .config = daemon->options->config,
        .store = daemon->store,
        .sources = daemon->sources,
        .n_sources = daemon->n_sources,
        .log = &daemon->log,
        .context = daemon,
        .at_look = at_look,
        .looks_durable = settled,
        .looks_undone = undone,
        .looks_while_observed = !alerts_wanted(daemon->alerts),
        .observer = &daemon->engine.observer,
    };
    int rc = collector_new(&daemon->collector, &options, err);
    daemon->engine.collector = daemon->collector;
    return rc;
}

/* What acts on the world: messages to receivers, traffic to versions. */
static int open_hands(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->options->config;
    struct deliver_options deliver = {
        .receivers = alerts_receivers(daemon->alerts),
        .store_path = config->storage_path,
        .writer = {daemon, write_through},
        .clock = clock_system(),
        .log = &daemon->log,
        .seed = (uint64_t)clock_wall_ms(clock_system()),
    };
    int rc = deliver_start(&daemon->deliver, &deliver, err);
    if (!rc)
        rc = engine_actuate(&daemon->engine, &deliver.writer, config->storage_path, &daemon->log,
                            err);
    return rc;
}

static int open_web(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->options->config;
    const struct web_commands commands = serve_commands(daemon);
    struct web_options web = {
        .config = config,
        .store_path = config->storage_path,
        .changes = daemon->changes,
        .commands = &commands,
        .web_dir = daemon->options->web_dir,
    };
    const struct sinks_options sinks = {config, config->storage_path, daemon->changes,
                                        &daemon->log};
    /* what a rule of drift has read and judged the page need not read again, nor the reverse */
    int rc = store_drift_cache(daemon->store, &web.drift_cache, err);
    if (!rc)
        rc = traffic_open(&daemon->traffic, config, daemon->http, daemon->changes, &daemon->log,
                          err);
    if (!rc)
        rc = sinks_start(&daemon->sinks, &sinks, err);
    if (!rc)
        rc = web_start(&daemon->web, &web, err);
    return rc;
}

static int open_parts(struct daemon *daemon, struct err *err)
{
    int rc = open_store(daemon, err);
    if (!rc)
        rc = open_collector(daemon, err);
    if (!rc)
        rc = open_hands(daemon, err);
    if (!rc)
        rc = open_web(daemon, err);
    if (rc)
        return rc;
    alerts_set_url(daemon->alerts, page_url(daemon));
    deliver_reload(daemon->deliver, alerts_receivers(daemon->alerts), page_url(daemon));
    return start_scrape(daemon, err);
}

static void close_parts(struct daemon *daemon)
{
    traffic_stop(&daemon->traffic); /* requests end, before anything that they need goes */
    if (daemon->http)
        source_http_stop(daemon->http);
    scrape_stop(daemon->scrape);
    daemon->scrape = NULL;
    web_stop(daemon->web);
    sinks_stop(daemon->sinks);
    traffic_close(&daemon->traffic);
    deliver_stop(daemon->deliver);
    engine_actuate_stop(&daemon->engine);
    collector_free(daemon->collector);
    for (size_t i = 0; i < daemon->n_sources; i++)
        source_free(daemon->sources[i]);
    engine_close(&daemon->engine);
    alerts_free(daemon->alerts);
    store_free(daemon->store);
    memo_free(daemon->memo);
    changes_free(daemon->changes);
    config_free(daemon->reloaded);
}

int serve_run(const struct serve_options *options, struct err *err)
{
    struct daemon daemon = {
        .options = options,
        .reloading = PTHREAD_MUTEX_INITIALIZER,
        .log = {.fd = 2,
                .level = options->quiet ? LEVEL_WARNING : LEVEL_INFO,
                .clock = clock_system()},
    };
    serve_block_signals();

    int rc = privileges_drop(err);
    if (!rc)
        rc = open_parts(&daemon, err);
    if (!rc) {
        rc = -pthread_create(&daemon.signals, NULL, wait_for_signals, &daemon);
        daemon.signals_running = rc == 0;
        if (rc)
            rc = err_set(err, rc, "cannot start the signal thread: %s", err_words(-rc));
    }
    if (!rc) {
        log_write(&daemon.log, LEVEL_INFO, "cli", "assay %s serves %s", ASSAY_VERSION,
                  web_url(daemon.web));
        notify("READY=1");
        if (options->started)
            options->started(options->context, web_url(daemon.web));
        daemon.ticks_running = pthread_create(&daemon.ticks, NULL, keep_ticking, &daemon) == 0;
        rc = collector_run(daemon.collector, err);
    }

    notify("STOPPING=1");
    atomic_store(&daemon.stopping, true);
    if (daemon.ticks_running)
        pthread_join(daemon.ticks, NULL);
    if (daemon.signals_running) {
        /* It may still wait when the collector failed; it takes the signal, no handler does:
           NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread) */
        pthread_kill(daemon.signals, SIGTERM);
        pthread_join(daemon.signals, NULL);
    }
    close_parts(&daemon);
    return rc;
}

int command_serve(int argc, char **argv)
{
    const char *path = NULL;
    const char *web_dir = NULL;
    bool accept_clock = false;
    const struct option_row rows[] = {
        {.name = "config", .letter = 'c', .value = &path},
        {.name = "web-dir", .value = &web_dir},
        {.name = "accept-clock", .flag = &accept_clock},
    };
    struct err err = {0};
    struct arguments words;
    if (options_parse(rows, sizeof(rows) / sizeof(*rows), argc, argv, &words, &err))
        return fail(&err);
    if (!path || words.n) {
        err_set(&err, ERR_USAGE, "usage: assay serve -c FILE");
        return fail(&err);
    }

    AUTO(config) struct config *config = NULL;
    if (config_read(&config, path, &err) || kafka_properties_check(config, &err) ||
        web_check(config, &err))
        return fail(&err);
    if (!accept_clock && clock_check(config->storage_path, clock_system(), &err))
        return fail(&err);
    struct serve_options options = {.config = config, .web_dir = web_dir};
    return serve_run(&options, &err) ? fail(&err) : 0;
}
