/*
 * `sinks:` of the configuration: what writes to other systems while the daemon runs.
 *
 * Shape    a list of {type: tensorboard, logdir, window, delay, model, metrics}. One thread wakes
 *          with the change counter and writes what became complete
 * Units    window (1h), delay (the window's length): durations of event time
 * Owner    sinks_start gives, sinks_stop takes (NULL is fine); configuration, log and change
 *          counter must outlive it
 * Errors   ERR_USAGE: `FILE:LINE: sinks[0].logdir: is missing`. A sink that cannot write says so in
 *          the log (once a minute) and in /metrics, and tries again; nothing else is held up
 * Threads  sinks_own_metrics, sinks_write: any
 */
#pragma once

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/log.h"
#include "storage/changes.h"

/* For `assay check`: are they well formed? */
int sinks_check(const struct config *config, struct err *err);

struct sinks;

struct sinks_options {
    const struct config *config;
    const char *store_path;
    struct changes *changes;
    struct log *log;
};
int sinks_start(struct sinks **out, const struct sinks_options *options, struct err *err);
void sinks_stop(struct sinks *sinks);
/* {"type","logdir","model","windows","errors","problem","problem_at"} of each, into an open array;
   nothing without sinks. */
void sinks_write(struct sinks *sinks, struct buf *out);
/* assay_sink_windows_total, assay_sink_errors_total; nothing without sinks. */
void sinks_own_metrics(struct sinks *sinks, struct buf *out);
