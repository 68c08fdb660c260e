/*
 * Makes ready what a first question about drift would have to wait for: references, laws of
 * statistics, verdicts of windows (storage/drift_cache).
 *
 * Shape    one thread of low priority. After the start, and when something was committed, it asks
 *          of each model what the page asks first, the default drift question, and throws the
 *          answer away: only windows that changed since cost anything. It rests fifty times as long
 *          as it computed, a second at least, and an hour at most; a second alone where the time
 *          for reading was over, as what was judged by then is kept. While somebody waits for an
 *          answer about drift it stands aside (storage/drift_cache.h)
 * Memory   that of storage/drift_cache, which is bounded, and one answer
 * Owner    warmer_start gives, warmer_stop ends the thread within a feature's time and takes it
 *          (NULL is fine); what the options borrow must outlive it
 * Errors   -ENOMEM, -EAGAIN: no thread. A question that fails is asked again later: whoever asks
 *          it himself is told
 * Threads  any
 */
#pragma once

#include <stdint.h>

#include "common/err.h"
#include "web/api.h"

struct warmer;

/* `options` as for whoever answers requests, `changes` and `drift_cache` among them. */
int warmer_start(struct warmer **out, const struct api_options *options, struct err *err);
void warmer_stop(struct warmer *warmer);
static inline void warmer_freep(struct warmer **p)
{
    warmer_stop(*p);
}

/* Pure: how long to rest after so much CPU time. */
int64_t warmer_rest_ms(int64_t cpu_ms);
