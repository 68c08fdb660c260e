/*
 * cli/daemon: the running `assay serve`, as the files of it share it: its parts in the order in
 * which they are built (and taken down in reverse).
 *
 * Owner: serve_run (cli/serve.c) makes and frees all of it; the others borrow.
 * Threads: written before the threads start, save what a comment says otherwise.
 */
#ifndef ASSAY_CLI_DAEMON_H
#define ASSAY_CLI_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>

#include "alerts/deliver.h"
#include "alerts/run.h"
#include "cli/engine.h"
#include "cli/serve.h"
#include "cli/traffic.h"
#include "collector/collect.h"
#include "collector/scrape.h"
#include "collector/source.h"
#include "common/log.h"
#include "storage/changes.h"
#include "storage/memo.h"
#include "storage/store.h"
#include "web/sink.h"
#include "web/web.h"

enum {
    DAEMON_MAX_SOURCES = 2
};

struct daemon {
    const struct serve_options *options;
    struct log log;
    struct store *store;
    struct changes *changes;
    struct memo *memo; /* the writer's: what rules read is mostly what they read a second before */
    struct source *sources[DAEMON_MAX_SOURCES];
    size_t n_sources;
    struct source *http; /* one of sources */
    struct collector *collector;
    struct alerts *alerts;
    struct engine engine;
    struct deliver *deliver;
    struct web *web;
    struct sinks *sinks;
    struct traffic traffic;
    int64_t looked_ms;       /* event time of the last look … */
    int64_t looked_boot_ms;  /* … and when that was; 0: none yet */
    bool letters;            /* the outbox has new ones, not yet durable */
    struct clock_watch wall; /* the ticks' */
    atomic_bool stopping;
    pthread_t ticks;
    bool ticks_running;
    struct config *reloaded; /* the configuration of the last SIGHUP; NULL: still the first */
    struct scrape *scrape;   /* NULL: nothing is scraped */
    struct actuate *former_actuate; /* between its detaching and its end */
    pthread_mutex_t reloading; /* held by who replaces `reloaded`, and who reads it elsewhere */
    pthread_t signals;
    bool signals_running;
};

/* The configuration of the last SIGHUP, or the first. Threads: the writer's, or under `reloading`.
 */
static inline const struct config *config_now(const struct daemon *daemon)
{
    return daemon->reloaded ? daemon->reloaded : daemon->options->config;
}

#endif
