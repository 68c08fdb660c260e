/*
 * Asks Prometheus endpoints how busy the hosts of a model's versions are, and hands what they tell
 * on as system events, like those that anyone sends.
 *
 * Shape    one thread, all endpoints at once; each has its own interval and time-out, so that one
 *          that hangs, or talks for ever, delays nobody. An answer is at most SCRAPE_MAX_ANSWER
 *          bytes, unpacked; whatever goes wrong is counted, and said in the log when it begins and
 *          when it ends
 * Owner    scrape_start gives, scrape_stop takes; of the configuration it keeps a copy
 * Errors   scrape_start: ERR_DATA names the target's key · a file that cannot be read
 * Threads  start and stop: one; metrics: any
 */
#pragma once

#include "common/buf.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"

enum {
    SCRAPE_MAX_ANSWER = 8 << 20
};

struct scrape_options {
    const struct config *config;
    const struct clock *clock;
    const struct log *log;
    void *context;
    /* Takes system events, JSON lines; 0 or an error that says why they are lost. */
    int (*take)(void *context, const char *lines, size_t n, struct err *err);
};

struct scrape;

/* What only the reading of `values` tells; ERR_DATA names file, line and key. */
int scrape_check(const struct config *config, struct err *err);

/* *out is NULL when the configuration has nothing to scrape. */
int scrape_start(struct scrape **out, const struct scrape_options *options, struct err *err);
void scrape_stop(struct scrape *scrape); /* NULL is fine */

/* assay_scrapes_total by target and result, and what else there is to tell. NULL is fine. */
void scrape_own_metrics(struct scrape *scrape, struct buf *out);
