/* GET /models/M/changes: the changes that detectors found by the event, and the detectors. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json_out.h"
#include "stats/change_stream.h"
#include "storage/catalog.h"
#include "storage/change_points.h"
#include "storage/estimates.h"
#include "web/handlers.h"
#include "web/pairs.h"

struct changes_page {
    struct buf *out;
    const char *stream;              /* NULL: all */
    struct reference_mark reference; /* that features are watched against now; seq 0: none */
    int64_t n, last_seq;
};

/* "country:de"; null: the whole. */
static void write_segment(struct buf *out, const char *slice)
{
    char segment[SEGMENT_BYTES];
    slice_segment(slice, segment);
    out_key_string(out, "segment", segment[0] ? segment : NULL);
}

static int write_change(void *context, const struct change_row *row, struct err *err)
{
    (void)err;
    struct changes_page *page = context;
    struct buf *out = page->out;
    page->n++;
    page->last_seq = row->seq;
    out_open(out, '{');
    out_key_int(out, "id", row->seq);
    out_key_string(out, "stream", row->key.name);
    out_key_string(out, "kind", row->key.kind);
    out_key_string(out, "version", row->key.version);
    write_segment(out, row->key.slice);
    out_key_time(out, "at", row->at_ms);
    out_key_time(out, "began", row->began_ms);
    out_key_string(out, "direction", row->direction);
    out_key_double(out, "before", row->mean_before);
    out_key_double(out, "after", row->mean_after);
    out_key_int(out, "run", row->run);
    out_key_int(out, "since", row->n_after);
    out_key_double(out, "expected_run_time", row->expected);
    out_key_double(out, "statistic", row->statistic);
    out_key_double(out, "threshold", row->threshold);
    write_change_reference(out, &row->reference, row->key.slice);
    out_close(out, '}');
    return 0;
}

/* NULL: it is watched. */
static const char *why_not(const struct changes_page *page, const struct change_stream *stream,
                           const char *reference)
{
    if (stream->method == CHANGE_NOT_WATCHED)
        return "the reference has none, or fewer than 512, of its values";
    if (stream->reference && page->reference.seq == 0)
        return "the reference counts no longer, and there is no other that was loaded";
    if (stream->reference && strcmp(page->reference.id, reference) != 0)
        return "another reference counts now: watched again from the next event on";
    return NULL;
}

static const char *state_of(const struct change_stream *stream)
{
    static const char learning[] = "learning", changed[] = "changed", watching[] = "watching";
    switch (stream->method) {
    case CHANGE_BY_RATE:
        return stream->rate.up.limit == 0 ? learning : stream->rate.changed ? changed : watching;
    case CHANGE_BY_SHAPE:
        return stream->shape.changed ? changed : watching;
    case CHANGE_BY_MEAN:
        return change_mean_learns(&stream->mean) ? learning : watching;
    case CHANGE_BY_MIX:
        return change_mix_learns(stream->mix) ? learning : watching;
    case CHANGE_NOT_WATCHED:
        break;
    }
    return "not watched";
}

/* What a detector without a reference has learned of its run. */
static void write_learned(struct buf *out, const struct change_stream *stream)
{
    const struct change_learned *learned = change_stream_learned(stream);
    out_key(out, "learned");
    if (!learned) {
        out_null(out);
        return;
    }
    out_open(out, '{');
    out_key_int(out, "n", (int64_t)learned->n);
    out_key_time(out, "from", learned->from_ms);
    out_key_time(out, "to", learned->to_ms);
    out_close(out, '}');
}

static void write_state(const struct changes_page *page, const struct change_key *key,
                        const struct change_stream *stream)
{
    static const char *const methods[] = {NULL, "cusum", "cvm", "rank_cusum", "cvm"};
    struct buf *out = page->out;
    out_open(out, '{');
    out_key_string(out, "stream", key->name);
    out_key_string(out, "kind", key->kind);
    out_key_string(out, "version", key->version);
    write_segment(out, key->slice);
    out_key_string(out, "method", methods[stream->method]);
    char reference[17];
    snprintf(reference, sizeof(reference), "%016" PRIx64, stream->reference);
    const char *why = why_not(page, stream, reference);
    out_key_string(out, "state", why ? "not watched" : state_of(stream));
    out_key_string(out, "why", why);
    out_key_string(out, "reference", stream->reference ? reference : NULL);
    write_learned(out, stream);
    out_key_double(out, "expected_run_time", stream->expected);
    out_key_int(out, "events", (int64_t)stream->events);
    out_key_int(out, "alarms", (int64_t)stream->alarms);
    bool has_level = stream->method == CHANGE_BY_RATE && stream->rate.up.limit;
    out_key_double(out, "level", has_level ? stream->rate.level : (double)NAN);
    out_close(out, '}');
}

static int write_stream(void *context, const struct change_key *key, const void *bytes, size_t n,
                        struct err *err)
{
    const struct changes_page *page = context;
    struct change_stream stream;
    struct reader in = reader_of(bytes, n);
    if (page->stream && strcmp(page->stream, key->name) != 0)
        return 0;
    int rc = change_stream_load(&stream, &in, err);
    if (!rc)
        write_state(page, key, &stream);
    change_stream_finish(&stream);
    return rc;
}

int api_changes(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    struct buf *out = &answer->body;
    struct changes_page page = {.out = out, .stream = input_param(input, "stream")};
    const char *segment = input_param(input, "segment");
    AUTO_FREE char *slice = segment ? segment_slice(segment) : NULL;
    if (segment && !slice)
        return api_refuse(answer, err, "segment", "key:value\nkey:*",
                          "%.100s is not of the form key:value", segment);
    const struct change_query query = {
        .model = input_capture(input, "model"),
        .version = input_param(input, "version"),
        .slice = slice,
        .name = page.stream,
        .from_ms = input_time(input, "from", 0),
        .to_ms = input_time(input, "to", INT64_MAX),
        .before_seq = input_integer(input, "after", 0),
        .limit = (int)input_integer(input, "limit", 100),
    };
    struct store *store;
    struct model_known known;
    int rc = context_store(context, &store, err);
    if (!rc)
        rc = model_read(store, query.model, &known, err);
    if (rc)
        return rc;
    model_finish(&known);
    rc = reference_newest(store, query.model, NULL, &page.reference, err);
    if (rc)
        return rc;
    out_open(out, '{');
    out_key(out, "items");
    out_open(out, '[');
    rc = change_points_each(store, &query, write_change, &page, err);
    out_close(out, ']');
    out_key(out, "next");
    if (page.n == query.limit)
        out_int(out, page.last_seq);
    else
        out_null(out);
    out_key(out, "streams");
    out_open(out, '[');
    if (!rc)
        rc = change_detectors_each(store, query.model, query.version, slice, write_stream, &page,
                                   err);
    out_close(out, ']');
    out_close(out, '}');
    return rc;
}
