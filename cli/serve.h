/*
 * The daemon, wired: store, sources, collector and web in one process. This is the only place that
 * knows all rooms; the demo runs the same wiring with a configuration of its own.
 *
 * Owner    the configuration must outlive the call
 * Errors   as in common/err.h; each message names what to do
 * Threads  serve_run takes the calling thread as the writer's until SIGTERM or SIGINT
 */
#pragma once

#include <stdbool.h>

#include "common/config.h"
#include "common/err.h"

struct serve_options {
    const struct config *config;
    const char *web_dir; /* the page from this directory; NULL: the embedded one */
    void *context;
    /* Called once everything is up, with the page's address. May be NULL. */
    void (*started)(void *context, const char *url);
    bool quiet; /* no log lines below warnings */
};

/* serve_run waits for signals on a thread of its own: they must be blocked in all others, so call
   this before any thread starts (serve_run does so itself). */
void serve_block_signals(void);

int serve_run(const struct serve_options *options, struct err *err);
