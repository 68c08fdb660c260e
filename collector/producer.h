/*
 * Events that the daemon makes itself, on to Kafka: a bounded queue that never makes its caller
 * wait.
 *
 * Shape    producer_send → the client library's queue → broker, keyed, so that a label with the
 *          same key lands in the same partition as its prediction
 * Owner    producer_new gives, producer_free takes, after it has sent what it can
 * Errors   what finds no room or is given up after five minutes is counted as lost, and told in
 *          the log once a minute; at least once otherwise: an event may come twice, with its id
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/log.h"

struct producer;

/* `kafka` and `log` are borrowed. */
int producer_new(struct producer **out, const struct config_kafka *kafka, const struct log *log,
                 struct err *err);
void producer_free(struct producer *producer);
DEFINE_FREEP(producer)

/* False: no room; counted. The bytes are copied. */
bool producer_send(struct producer *producer, const char *topic, const char *key, const void *bytes,
                   size_t n);

struct producer_counts {
    int64_t sent, refused, undelivered; /* acknowledged · no room · given up */
    int64_t waiting;
};
struct producer_counts producer_counts(struct producer *producer);
/* OpenMetrics lines. */
void producer_metrics(const struct producer_counts *counts, struct buf *out);
