/*
 * TensorBoard's event files: scalars and histograms that TensorBoard reads beside a training run.
 *
 * Shape    LOGDIR/RUN/events.out.tfevents.<unix seconds>.<host>.<pid>.<n>: records
 *          u64 length · masked CRC-32C of it · an Event (protobuf) · masked CRC-32C of that.
 *          One Event a step: event_begin, any number of values, event_end
 * Units    wall_time: seconds since the epoch · step: any whole number that grows
 * Owner    event_file_new gives, event_file_free closes; texts and numbers are copied
 * Errors   -errno with the path (no room, no permission); a file that failed once stays failed
 * Threads  one at a time
 * Source   tensorflow/core/lib/io/record_writer, tensorboard/compat/proto/{event,summary}.proto
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

struct event_file;

/* Makes the directory, with those above it, and a new file in it, beginning with the version
   record; now_ms: in its name and first record. */
int event_file_new(struct event_file **out, const char *directory, int64_t now_ms, struct err *err);
void event_file_free(struct event_file *file);
DEFINE_FREEP(event_file)

void event_begin(struct event_file *file, int64_t step, double wall_time);
void event_scalar(struct event_file *file, const char *tag, double value);
/* n buckets of 3 numbers each: left edge, right edge, count. */
void event_histogram(struct event_file *file, const char *tag, const double (*buckets)[3],
                     size_t n);
/* Writes the record, and flushes it to the system; an event without values writes nothing. */
int event_end(struct event_file *file, struct err *err);

/* CRC-32C (Castagnoli), as RFC 3720 has it. */
uint32_t crc32c(const void *bytes, size_t n);
