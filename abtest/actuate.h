/*
 * The hands of the engine: carries each actuator's newest wish (storage/actuation.h) to the world,
 * repeats until reality confirms it, and reads reality again from then on.
 *
 * Shape    one thread an actuator, so that one that hangs delays no other; a newer wish ends the
 *          request of an older one. A wish is confirmed by what is read back; an actuator that
 *          cannot be read is believed at its 2xx. Reality is read every `reconcile` while the
 *          experiment is at work: where it differs, the wish stands unconfirmed again and is
 *          carried again. After its end and last confirmation nothing is touched any more
 *          Failures are repeated for as long as the wish stands: after 0.5 s, then doubling to 30 s
 * Owner    actuate_start gives, actuate_stop takes; options are borrowed until then
 * Errors   what goes wrong with an actuator is in its row, not here
 * Threads  actuate_changed, actuate_own_metrics: any
 */
#pragma once

#include "abtest/actuator.h"
#include "common/clock.h"
#include "common/log.h"
#include "storage/actuation.h"
#include "storage/writer.h"

enum {
    ACTUATE_FAILURES_TOLD = 3 /* in a row: then people are told */
};

struct actuate;

struct actuate_options {
    const struct actuator_set *set;
    const char *store_path; /* read by the threads */
    struct writer writer;   /* for what attempts came to */
    const struct clock *clock;
    const struct log *log;
    uint64_t seed; /* of the jitter */
    void *context;
    /* In the transaction of the ACTUATE_FAILURES_TOLD-th failure in a row; may be NULL. */
    int (*failing)(void *context, const struct actuation_row *row, struct err *err);
};

int actuate_start(struct actuate **out, const struct actuate_options *options, struct err *err);
void actuate_stop(struct actuate *actuate);

/* Wishes may be new. NULL is fine. */
void actuate_changed(struct actuate *actuate);

/* OpenMetrics lines: per actuator confirmed, failed, corrected. */
void actuate_own_metrics(struct actuate *actuate, struct buf *out);
