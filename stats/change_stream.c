#include "stats/change_stream.h"

#include <math.h>

#include "stats/sample.h"

void change_stream_rate(struct change_stream *stream, double expected)
{
    *stream = (struct change_stream){.method = CHANGE_BY_RATE, .expected = expected};
    change_rate_init(&stream->rate, expected);
}

void change_stream_mean(struct change_stream *stream, double expected)
{
    *stream = (struct change_stream){.method = CHANGE_BY_MEAN, .expected = expected};
    change_mean_init(&stream->mean, expected);
}

int change_stream_mix(struct change_stream *stream, double expected, struct err *err)
{
    *stream = (struct change_stream){.expected = expected};
    const int rc = change_mix_new(&stream->mix, expected, err);
    if (!rc)
        stream->method = CHANGE_BY_MIX;
    return rc;
}

void change_stream_finish(struct change_stream *stream)
{
    if (stream->method == CHANGE_BY_MEAN)
        change_mean_finish(&stream->mean);
    if (stream->method != CHANGE_BY_MIX)
        return;
    change_mix_free(stream->mix);
    *stream = (struct change_stream){0};
}

unsigned change_stream_places(const struct change_stream *stream)
{
    static const unsigned places[] = {0, 2, SHAPE_BINS, MEAN_TIES, MIX_PLACES};
    return places[stream->method];
}

const char *change_stream_why_not(const struct reference_feature *feature)
{
    if (!feature)
        return "the reference does not have it";
    return feature->valid < SHAPE_MIN_REFERENCE ? "the reference has fewer than 512 values of it"
                                                : NULL;
}

unsigned change_stream_one(const struct reference_feature *feature)
{
    const struct category *two = feature->categories;
    uint64_t yes = class_id("true", 4);
    return two[1].id == yes || (two[0].id != yes && two[1].count <= two[0].count);
}

int change_stream_feature(struct change_stream *stream, double expected, uint64_t reference,
                          const struct reference_feature *feature, struct err *err)
{
    *stream = (struct change_stream){.expected = expected, .reference = reference};
    if (change_stream_why_not(feature))
        return 0;
    double n = (double)feature->valid;
    if (feature->kind != PROFILE_CATEGORICAL) {
        stream->method = CHANGE_BY_SHAPE;
        change_shape_init(&stream->shape, expected, n, feature->moments.mean);
        return 0;
    }
    if (feature->n_categories == 2 && !feature->partial) {
        stream->method = CHANGE_BY_RATE;
        const struct category *one = &feature->categories[change_stream_one(feature)];
        return change_rate_init_level(&stream->rate, expected, n, (double)one->count, err);
    }
    stream->method = CHANGE_BY_SHAPE;
    change_shape_init(&stream->shape, expected, n, (double)NAN);
    return 0;
}

const struct change_learned *change_stream_learned(const struct change_stream *stream)
{
    const struct change_learned *learned = NULL;
    if (stream->method == CHANGE_BY_RATE)
        learned = &stream->rate.learned;
    else if (stream->method == CHANGE_BY_MEAN)
        learned = &stream->mean.learned;
    else if (stream->method == CHANGE_BY_MIX)
        learned = &stream->mix->learned;
    return learned && learned->n ? learned : NULL;
}

static int update(struct change_stream *stream, int64_t ts_ms, unsigned place, double value,
                  struct change_found *found, struct err *err)
{
    switch (stream->method) {
    case CHANGE_BY_RATE:
        return change_rate_update(&stream->rate, ts_ms, place, found, err);
    case CHANGE_BY_SHAPE:
        return change_shape_update(&stream->shape, ts_ms, place, value, found);
    case CHANGE_BY_MEAN:
        return change_mean_update(&stream->mean, ts_ms, value, place, found, err);
    case CHANGE_BY_MIX:
        return change_mix_update(stream->mix, ts_ms, place, value, found);
    case CHANGE_NOT_WATCHED:
        break;
    }
    return 0;
}

int change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place, double value,
                         struct change_found *found, struct err *err)
{
    if (stream->method == CHANGE_NOT_WATCHED)
        return 0;
    int rc = update(stream, ts_ms, place, value, found, err);
    stream->events += rc >= 0;
    stream->alarms += rc == 1;
    return rc;
}

void change_stream_save(const struct change_stream *stream, struct buf *out)
{
    buf_u8(out, (uint8_t)stream->method);
    buf_double(out, stream->expected);
    buf_u64(out, stream->reference);
    buf_varint(out, stream->events);
    buf_varint(out, stream->alarms);
    if (stream->method == CHANGE_BY_RATE)
        change_rate_save(&stream->rate, out);
    else if (stream->method == CHANGE_BY_SHAPE)
        change_shape_save(&stream->shape, out);
    else if (stream->method == CHANGE_BY_MEAN)
        change_mean_save(&stream->mean, out);
    else if (stream->method == CHANGE_BY_MIX)
        change_mix_save(stream->mix, out);
}

int change_stream_load(struct change_stream *stream, struct reader *in, struct err *err)
{
    unsigned method = reader_u8(in);
    *stream = (struct change_stream){.expected = reader_double(in)};
    stream->reference = reader_u64(in);
    stream->events = reader_varint(in);
    stream->alarms = reader_varint(in);
    if (reader_failed(in) || method > CHANGE_BY_MIX)
        return err_set(err, ERR_CORRUPT, "change of a stream: the bytes are damaged");
    if (method == CHANGE_BY_MIX) { /* it is one only with a mixture */
        const int rc = change_mix_load(&stream->mix, in, err);
        stream->method = rc ? CHANGE_NOT_WATCHED : CHANGE_BY_MIX;
        return rc;
    }
    stream->method = (enum change_method)method;
    if (method == CHANGE_BY_RATE)
        return change_rate_load(&stream->rate, in, err);
    if (method == CHANGE_BY_MEAN)
        return change_mean_load(&stream->mean, in, err);
    return method == CHANGE_BY_SHAPE ? change_shape_load(&stream->shape, in, err) : 0;
}
