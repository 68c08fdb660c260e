/*
 * Kafka as a source: one consumer of a group, any number of topics and partitions.
 *
 * Shape    start offsets come from the collector, never from the broker; Kafka's own committed
 *          offsets are written for lag tools alone and never read. A held partition is one whose
 *          queue is not served: no seek, pause or resume.
 * Errors   trouble with brokers is not a failure: next() gives nothing, state() says it in words,
 *          one log line a second at most. source_kafka_new: ERR_USAGE for a property that the
 *          client does not know or that exactly-once rests on
 * Owner    source_kafka_new gives; its close() leaves the group and frees
 * Threads  one; wake: any, also a signal handler
 * Source   librdkafka 2.0.2, INTRODUCTION.md and rdkafka.h; limits of it: design.md
 */
#pragma once

#include "collector/source.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"

/*
 * `kafka` and `log` (may be NULL) must outlive the source. `instance`: a text that no other member
 * of the group has and that stays over restarts (the database's path): a daemon that was killed is
 * then given its partitions again at once, not after the dead one's session. NULL: no such thing.
 */
int source_kafka_new(struct source **out, const struct config_kafka *kafka, const char *instance,
                     const struct log *log, const struct clock *clock, struct err *err);

/* 0, or ERR_USAGE when `key` is one that may not be set: for `assay check`. */
int source_kafka_property(const char *key, struct err *err);
