/*
 * Events that the daemon makes itself, where there is no Kafka to send them to: taken in as if
 * somebody had posted them, without making their maker wait.
 *
 * Shape    own_events_send → a bounded queue → one thread that posts what has gathered, and waits
 *          until it is durable → the source of posted events
 * Owner    own_events_new gives, own_events_free takes; `http` is borrowed and outlives it
 * Errors   what finds no room, or is not taken until the end, is counted as lost
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/producer.h"
#include "collector/source.h"
#include "common/cleanup.h"
#include "common/log.h"

struct own_events;

int own_events_new(struct own_events **out, struct source *http, const struct log *log,
                   struct err *err);
/* Waits until what was sent is durable, while the collector runs; five seconds at most. */
void own_events_flush(struct own_events *own);
void own_events_free(struct own_events *own);
DEFINE_FREEP(own_events)

/* One event's JSON, without a newline in it. False: no room; counted. */
bool own_events_send(struct own_events *own, const void *bytes, size_t n);

/* sent: durable. */
struct producer_counts own_events_counts(struct own_events *own);
