/*
 * One stream that is watched for changes: a rate, or a feature against its reference; whichever
 * detector it needs.
 *
 * Shape    a metric's zeros and ones: a rate that learns its level · a feature with two categories:
 *          a rate around the reference's · any other feature: its distribution. What cannot be
 *          watched says why
 * Counts   events and alarms since the stream began: the measured run length
 * Owner    plain values; nothing is borrowed
 * Errors   -ENOMEM · ERR_CORRUPT from load
 * Threads  one at a time
 */
#pragma once

#include "stats/change_rate.h"
#include "stats/change_shape.h"

enum change_method {
    CHANGE_NOT_WATCHED,
    CHANGE_BY_RATE,
    CHANGE_BY_SHAPE
};

struct change_stream {
    enum change_method method;
    double expected;
    uint64_t reference; /* its id; 0: none */
    uint64_t events, alarms;
    union {
        struct change_rate rate;
        struct change_shape shape;
    };
};

/* A metric of zeros and ones. */
void change_stream_metric(struct change_stream *stream, double expected);
int change_stream_feature(struct change_stream *stream, double expected, uint64_t reference,
                          const struct reference_feature *feature, struct err *err);
/* Which of two categories is the one whose share is watched: true, else the rarer. */
unsigned change_stream_one(const struct reference_feature *feature);
/* Why a feature is not watched, NULL: it is. */
const char *change_stream_why_not(const struct reference_feature *feature);

/* 1: an alarm in *found · 0 · < 0. `place`: 0 or 1 of a rate, else the bin. */
int change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place, double value,
                         struct change_found *found, struct err *err);

void change_stream_save(const struct change_stream *stream, struct buf *out);
int change_stream_load(struct change_stream *stream, struct reader *in, struct err *err);
