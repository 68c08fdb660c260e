#include "stats/change_stream.h"

#include <math.h>

#include "stats/sample.h"

void change_stream_metric(struct change_stream *stream, double expected)
{
    *stream = (struct change_stream){.method = CHANGE_BY_RATE, .expected = expected};
    change_rate_init(&stream->rate, expected);
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

int change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place, double value,
                         struct change_found *found, struct err *err)
{
    int rc = 0;
    if (stream->method == CHANGE_NOT_WATCHED)
        return 0;
    if (stream->method == CHANGE_BY_RATE)
        rc = change_rate_update(&stream->rate, ts_ms, place, found, err);
    else
        rc = change_shape_update(&stream->shape, ts_ms, place, value, found);
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
}

int change_stream_load(struct change_stream *stream, struct reader *in, struct err *err)
{
    unsigned method = reader_u8(in);
    *stream =
        (struct change_stream){.method = (enum change_method)method, .expected = reader_double(in)};
    stream->reference = reader_u64(in);
    stream->events = reader_varint(in);
    stream->alarms = reader_varint(in);
    if (reader_failed(in) || method > CHANGE_BY_SHAPE)
        return err_set(err, ERR_CORRUPT, "change of a stream: the bytes are damaged");
    if (method == CHANGE_BY_RATE)
        return change_rate_load(&stream->rate, in, err);
    return method == CHANGE_BY_SHAPE ? change_shape_load(&stream->shape, in, err) : 0;
}
