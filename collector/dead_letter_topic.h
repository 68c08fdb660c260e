/*
 * Rejected events on to a Kafka topic: rows of the database that are not marked as sent are
 * produced, and marked in a later commit. A topic that refuses (missing, too small, no replicas)
 * leaves them where they are, and ingest goes on (failure-matrix.md, F15).
 *
 * Shape    headers: assay.topic, assay.partition, assay.offset, assay.reason; and
 *          assay.truncated = true where only the first 4 KiB were kept. At least once
 * Owner    dead_letter_topic_new gives, dead_letter_topic_free takes (waits a second for what is on
 *          its way)
 * Errors   of storage; a refusing topic is no failure
 * Threads  the collector's
 */
#pragma once

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"
#include "storage/store.h"

struct dead_letter_topic;

/* `kafka` (its dead_letter is set), log and clock are borrowed. */
int dead_letter_topic_new(struct dead_letter_topic **out, const struct config_kafka *kafka,
                          const struct log *log, const struct clock *clock, struct err *err);
void dead_letter_topic_free(struct dead_letter_topic *topic);
DEFINE_FREEP(dead_letter_topic)

/* Sends and marks a little; between two commits. */
int dead_letter_topic_step(struct dead_letter_topic *topic, struct store *store, struct err *err);

struct dead_letter_topic_counts {
    int64_t sent, refused;
};
struct dead_letter_topic_counts dead_letter_topic_counts(const struct dead_letter_topic *topic);
