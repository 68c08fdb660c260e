/*
 * One stream that is watched for changes: a rate, a mean, or a feature against its reference;
 * whichever detector it needs.
 *
 * Shape    a metric's zeros and ones: a rate that learns its level · a metric's numbers, and those of
 *          a feature in a slice: ranks among those it learned · a feature's categories in a slice: a
 *          mixture that it learned · a feature with two categories: a rate around the reference's · any
 *          other feature: its distribution. What cannot be watched says why
 * Counts   events and alarms since the stream began: the measured run length
 * Owner    nothing is borrowed; change_stream_finish frees what a mean is learned from, and a mixture
 * Errors   -ENOMEM · ERR_CORRUPT from load
 * Threads  one at a time
 */
#pragma once

#include "stats/change_mean.h"
#include "stats/change_mix.h"
#include "stats/change_rate.h"
#include "stats/change_shape.h"

enum change_method {
    CHANGE_NOT_WATCHED,
    CHANGE_BY_RATE,
    CHANGE_BY_SHAPE,
    CHANGE_BY_MEAN,
    CHANGE_BY_MIX
};

struct change_stream {
    enum change_method method;
    double expected;
    uint64_t reference; /* its id; 0: none */
    uint64_t events, alarms;
    union {
        struct change_rate rate;
        struct change_shape shape;
        struct change_mean mean;
        struct change_mix *mix;
    };
};

/* A metric: the share of ones among zeros and ones, or the mean of numbers. */
void change_stream_rate(struct change_stream *stream, double expected);
void change_stream_mean(struct change_stream *stream, double expected);
int change_stream_mix(struct change_stream *stream, double expected, struct err *err);
int change_stream_feature(struct change_stream *stream, double expected, uint64_t reference,
                          const struct reference_feature *feature, struct err *err);
void change_stream_finish(struct change_stream *stream);
/* Which of two categories is the one whose share is watched: true, else the rarer. */
unsigned change_stream_one(const struct reference_feature *feature);
/* Why a feature is not watched, NULL: it is. */
const char *change_stream_why_not(const struct reference_feature *feature);

/* What it has learned of its run so far; NULL: nothing, or it has a reference. */
const struct change_learned *change_stream_learned(const struct change_stream *stream);

/* 1: an alarm in *found · 0 · < 0. `place`: 0 or 1 of a rate, the bin of a distribution, the tie of
   a mean, change_mix_place of a mixture, whose `value` is the tie. */
int change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place, double value,
                         struct change_found *found, struct err *err);

/* How many places there are. */
unsigned change_stream_places(const struct change_stream *stream);

void change_stream_save(const struct change_stream *stream, struct buf *out);
int change_stream_load(struct change_stream *stream, struct reader *in, struct err *err);
