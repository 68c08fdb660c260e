/* GET /models/M/changes: the changes that detectors found by the event, and the detectors. */
#include <math.h>
#include <string.h>

#include "common/json_out.h"
#include "stats/change_stream.h"
#include "storage/catalog.h"
#include "storage/change_points.h"
#include "web/handlers.h"

struct changes_page {
    struct buf *out;
    const char *stream; /* NULL: all */
    int64_t n, last_seq;
};

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
    out_close(out, '}');
    return 0;
}

static const char *state_of(const struct change_stream *stream)
{
    if (stream->method == CHANGE_NOT_WATCHED)
        return "not watched";
    bool by_rate = stream->method == CHANGE_BY_RATE;
    if (by_rate && stream->rate.up.limit == 0)
        return "learning";
    return (by_rate ? stream->rate.changed : stream->shape.changed) ? "changed" : "watching";
}

static int write_stream(void *context, const struct change_key *key, const void *bytes, size_t n,
                        struct err *err)
{
    static const char *const methods[] = {NULL, "cusum", "cvm"};
    struct changes_page *page = context;
    struct buf *out = page->out;
    struct change_stream stream;
    struct reader in = reader_of(bytes, n);
    if (page->stream && strcmp(page->stream, key->name) != 0)
        return 0;
    int rc = change_stream_load(&stream, &in, err);
    if (rc)
        return rc;
    out_open(out, '{');
    out_key_string(out, "stream", key->name);
    out_key_string(out, "kind", key->kind);
    out_key_string(out, "version", key->version);
    out_key_string(out, "method", methods[stream.method]);
    out_key_string(out, "state", state_of(&stream));
    out_key_string(out, "why",
                   stream.method == CHANGE_NOT_WATCHED
                       ? "the reference has none, or fewer than 512, of its values"
                       : NULL);
    out_key_double(out, "expected_run_time", stream.expected);
    out_key_int(out, "events", (int64_t)stream.events);
    out_key_int(out, "alarms", (int64_t)stream.alarms);
    bool has_level = stream.method == CHANGE_BY_RATE && stream.rate.up.limit;
    out_key_double(out, "level", has_level ? stream.rate.level : (double)NAN);
    out_close(out, '}');
    return 0;
}

int api_changes(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    struct buf *out = &answer->body;
    struct changes_page page = {.out = out, .stream = input_param(input, "stream")};
    const struct change_query query = {
        .model = input_capture(input, "model"),
        .version = input_param(input, "version"),
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
        rc = change_detectors_each(store, query.model, query.version, write_stream, &page, err);
    out_close(out, ']');
    out_close(out, '}');
    return rc;
}
