/*
 * GET /models/M/metrics: for each version asked for, and each slice, one walk over the windows
 * (storage/series.h); each window's merged state gives a value to every metric. The points of a
 * metric grow in a buf of their own, so that one walk serves all metrics.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "common/text.h"
#include "stats/estimator.h"
#include "storage/catalog.h"
#include "storage/series.h"
#include "web/completeness.h"
#include "web/handlers.h"
#include "web/metrics_memo.h"
#include "web/model_metrics.h"
#include "web/pairs.h"
#include "web/trending.h"

enum {
    DEFAULT_WINDOWS = 24,
    MAX_POINTS = 10000,      /* of one series */
    MAX_ALL_POINTS = 200000, /* of one answer */
    MAX_WINDOW_STEPS = SERIES_MAX_WINDOW_STEPS,
};

struct question {
    struct api_context *context;
    const struct api_input *input;
    struct api_answer *answer;
    struct store *store;
    const char *model;
    struct series_query query;
    struct model_metrics metrics;
    struct pairs pairs;
    int64_t complete_ms, labels_complete_ms;
    int64_t n_capped; /* windows left out because there are too many */
    size_t n_damaged, n_partial;
    bool csv;

    /* of the walk under way */
    const struct pair *pair;
    struct metrics_memo *memo; /* NULL: this walk is not remembered */
    uint64_t reference;        /* that estimates were made by; 0: none */
    struct buf points[MODEL_METRICS_MAX];
    struct trending trends[MODEL_METRICS_MAX];
};

static void question_free(struct question *q)
{
    if (!q)
        return;
    pairs_finish(&q->pairs);
    for (size_t i = 0; i < MODEL_METRICS_MAX; i++)
        buf_finish(&q->points[i]);
    model_metrics_finish(&q->metrics);
    free(q);
}
DEFINE_FREEP(question)

static int64_t align_up(int64_t ms, int64_t to)
{
    return (ms + to - 1) / to * to;
}

static int find_range(struct question *q, struct err *err)
{
    struct series_query *query = &q->query;
    query->window_ms = input_duration(q->input, "window", INT64_C(3600000));
    query->step_ms = input_duration(q->input, "step", query->window_ms);
    if (query->step_ms > query->window_ms)
        return api_refuse(q->answer, err, "step", "not longer than window",
                          "must not be longer than the window");
    if (query->window_ms / query->step_ms > MAX_WINDOW_STEPS)
        return api_refuse(q->answer, err, "step", "at least 1/10080 of window",
                          "is too short for this window; at most %d steps a window",
                          MAX_WINDOW_STEPS);
    const int64_t newest = context_newest_ms(q->context, q->complete_ms);
    int64_t to = input_time(q->input, "to", align_up(newest + 1, query->step_ms));
    int64_t span = query->window_ms + (DEFAULT_WINDOWS - 1) * query->step_ms;
    int64_t from = input_time(q->input, "from", to > span ? to - span : 0);
    if (from > to)
        return api_refuse(q->answer, err, "from", "a time not after `to`",
                          "%" PRId64 " is after to (%" PRId64 ")", from, to);
    query->from_ms = from / query->step_ms * query->step_ms;
    query->to_ms = align_up(to, query->step_ms);
    return 0;
}

/* Too many points: the newest are kept, and the answer says so. */
static void cap_points(struct question *q)
{
    struct series_query *query = &q->query;
    size_t n_series = q->pairs.n * q->metrics.n;
    int64_t most = n_series ? MAX_ALL_POINTS / (int64_t)n_series : MAX_POINTS;
    most = most > MAX_POINTS ? MAX_POINTS : most < 1 ? 1 : most;
    int64_t span = query->to_ms - query->from_ms - query->window_ms;
    int64_t n = span < 0 ? 0 : span / query->step_ms + 1;
    if (n <= most)
        return;
    q->n_capped = n - most;
    query->from_ms += q->n_capped * query->step_ms;
}

/* What came true beside an estimate. Numbers of events can only be compared once all labels are in.
 */
static void write_realised(struct question *q, size_t metric, const struct series_point *point,
                           const struct metric_value *estimate)
{
    const struct metric_query *query = q->metrics.realised[metric];
    const bool of_events = strcmp(q->metrics.queries[metric].unit, "count") == 0 ||
                           q->metrics.queries[metric].expected;
    struct metric_value value = {.value = NAN};
    if (point->states && states_labelled(point->states) > 0)
        metric_evaluate(point->states, query, q->query.window_ms, &value);
    const bool comparable = !of_events || (point->states && states_unlabelled(point->states) <= 0);
    out_key_double(&q->points[metric], "realised", value.value);
    out_key_double(&q->points[metric], "difference",
                   comparable ? estimate->value - value.value : (double)NAN);
}

static void write_json_point(struct question *q, size_t metric, const struct series_point *point,
                             const struct metric_value *value)
{
    struct buf *out = &q->points[metric];
    out_open(out, '{');
    out_key_int(out, "start", point->start_ms);
    out_key_int(out, "end", point->end_ms);
    out_key_int(out, "n", value->n);
    out_key_int(out, "labelled", value->labelled);
    out_key_double(out, "value", value->value);
    out_key_double(out, "lower", value->lower);
    out_key_double(out, "upper", value->upper);
    out_key_double(out, "error_bound", value->error_bound);
    if (q->metrics.realised[metric])
        write_realised(q, metric, point, value);
    out_key_int(out, "revision", point->revision);
    if (point->partial)
        out_key_bool(out, "partial", true);
    if (value->why)
        out_key_string(out, "why", value->why);
    out_close(out, '}');
}

/* For the memo: a point's value, and what was written of it but for the comma. */
static void record_point(struct buf *record, double value, const struct buf *points, size_t before)
{
    size_t from = before + (before > 0);
    buf_double(record, value);
    buf_string(record, (const char *)points->data + from, points->size - from);
}

static void csv_text(struct buf *out, const char *text)
{
    buf_u8(out, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"')
            buf_u8(out, '"');
        buf_u8(out, (uint8_t)*c);
    }
    buf_bytes(out, "\",", 2);
}

static void csv_number(struct buf *out, double value, char after)
{
    if (!isnan(value) && !isinf(value))
        json_number(out, value);
    buf_u8(out, (uint8_t)after);
}

static void write_csv_point(struct question *q, size_t metric, const struct series_point *point,
                            const struct metric_value *value)
{
    struct buf *out = &q->points[metric];
    char segment[SEGMENT_BYTES];
    pair_segment(q->pair, segment);
    csv_text(out, q->model);
    csv_text(out, q->pair->version ? q->pair->version : "");
    csv_text(out, segment);
    csv_text(out, q->metrics.queries[metric].name);
    buf_printf(out, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", point->start_ms,
               point->end_ms, value->n, value->labelled);
    csv_number(out, value->value, ',');
    csv_number(out, value->lower, ',');
    csv_number(out, value->upper, ',');
    csv_number(out, value->error_bound, ',');
    buf_printf(out, "%" PRId64 "\r\n", point->revision);
}

static void add_trend(struct question *q, size_t metric, int64_t end_ms, double value)
{
    if (end_ms <= q->complete_ms + 1 && q->query.step_ms == q->query.window_ms)
        trending_add(&q->trends[metric], value);
}

static int add_point(void *context, const struct series_point *point, struct err *err)
{
    (void)err;
    struct question *q = context;
    struct buf record;
    buf_init(&record, 1 << 20);
    buf_u8(&record, point->partial);
    q->n_partial += point->partial;
    const struct estimator *estimator =
        point->states ? states_setup(point->states)->estimator : NULL;
    if (estimator)
        q->reference = estimator->reference;
    for (size_t i = 0; i < q->metrics.n; i++) {
        struct metric_value value = {.value = NAN, .lower = NAN, .upper = NAN};
        size_t before = q->points[i].size;
        if (point->states)
            metric_evaluate(point->states, &q->metrics.queries[i], q->query.window_ms, &value);
        add_trend(q, i, point->end_ms, value.value);
        if (q->csv)
            write_csv_point(q, i, point, &value);
        else
            write_json_point(q, i, point, &value);
        if (q->memo && !q->points[i].failed)
            record_point(&record, value.value, &q->points[i], before);
    }
    if (q->memo && point->n_damaged == 0)
        metrics_memo_keep(q->memo, point->start_ms, &record);
    buf_finish(&record);
    return 0;
}

/* A window as it was written before. */
static void recall_point(struct question *q, size_t window)
{
    struct reader record = metrics_memo_read(q->memo, window);
    int64_t end_ms = q->query.from_ms + ((int64_t)window + 1) * q->query.step_ms;
    q->n_partial += reader_u8(&record);
    for (size_t i = 0; i < q->metrics.n; i++) {
        size_t n;
        add_trend(q, i, end_ms, reader_double(&record));
        const char *text = reader_string(&record, &n);
        out_raw(&q->points[i], text, n);
    }
}

/* Computes the windows that nothing is kept of, as few questions as there are gaps. */
static int walk_gaps(struct question *q, const struct series_query *query, struct err *err)
{
    const size_t n = q->memo->n;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n;) {
        if (metrics_memo_has(q->memo, i)) {
            recall_point(q, i++);
            continue;
        }
        struct series_points about;
        struct series_query gap = *query;
        gap.from_ms = query->from_ms + (int64_t)i * query->step_ms;
        while (i < n && !metrics_memo_has(q->memo, i))
            i++;
        gap.to_ms = query->from_ms + (int64_t)i * query->step_ms;
        rc = series_each(q->store, &gap, add_point, q, &about, err);
        q->n_damaged += rc ? 0 : about.n_damaged;
    }
    return rc;
}

static int walk_remembering(struct question *q, const struct series_query *query, struct err *err)
{
    struct metrics_memo memo;
    int rc = store_read_begin(q->store, err);
    if (rc)
        return rc;
    rc = metrics_memo_open(&memo, q->context->memo, q->store, query, &q->metrics, err);
    q->memo = &memo;
    if (rc == 0)
        rc = walk_gaps(q, query, err);
    q->memo = NULL;
    metrics_memo_finish(&memo);
    store_read_end(q->store);
    return rc;
}

static int walk_windows(struct question *q, const struct series_query *query, struct err *err)
{
    struct series_points about;
    if (q->context->memo && !q->csv && metrics_memo_fits(&q->metrics, query))
        return walk_remembering(q, query, err);
    int rc = series_each(q->store, query, add_point, q, &about, err);
    q->n_damaged += rc ? 0 : about.n_damaged;
    return rc;
}

/* Which reference the estimates of this series rest on. */
static void write_reference_id(struct question *q)
{
    char id[17];
    snprintf(id, sizeof(id), "%016" PRIx64, q->reference);
    out_key_string(&q->answer->body, "reference", q->reference ? id : NULL);
}

static int write_series(struct question *q, struct err *err)
{
    struct buf *out = &q->answer->body;
    char segment[SEGMENT_BYTES];
    pair_segment(q->pair, segment);
    for (size_t i = 0; i < q->metrics.n; i++) {
        struct buf *points = &q->points[i];
        out->failed |= points->failed;
        if (q->csv) {
            buf_bytes(out, points->data, points->size);
            continue;
        }
        const struct metric_query *metric = &q->metrics.queries[i];
        out_open(out, '{');
        out_key_string(out, "metric", metric->name);
        out_key_string(out, "version", q->pair->version);
        out_key_string(out, "segment", segment[0] ? segment : NULL);
        out_key_string(out, "unit", metric->unit);
        out_key_string(out, "better", better_word(metric->better));
        if (q->metrics.realised[i])
            write_reference_id(q);
        int rc = trending_write(&q->trends[i], out, err);
        if (rc)
            return rc;
        out_key(out, "points");
        out_open(out, '[');
        buf_bytes(out, points->data, points->size);
        out_close(out, ']');
        out_close(out, '}');
    }
    return 0;
}

static int walk_pair(struct question *q, const struct pair *pair, struct err *err)
{
    struct series_query query = q->query;
    query.model = q->model;
    for (size_t i = 0; i < q->metrics.n; i++)
        query.estimates |= q->metrics.realised[i] != NULL;
    query.version = pair->version;
    query.slice = pair->slice;
    q->pair = pair;
    q->reference = 0;
    for (size_t i = 0; i < q->metrics.n; i++) {
        buf_clear(&q->points[i]);
        q->trends[i].n = 0;
    }
    int rc = walk_windows(q, &query, err);
    return rc ? rc : write_series(q, err);
}

/* What an answer may lack, and what was left out of it because it was too much. */
static int write_completeness(struct question *q, struct err *err)
{
    struct buf *out = &q->answer->body;
    const struct completeness lacks = {
        .what = "windows", .n_damaged = q->n_damaged, .n_partial = q->n_partial};
    int rc = completeness_write(&lacks, q->store, out, err);
    if (q->n_capped) {
        char text[200];
        snprintf(text, sizeof(text),
                 "%" PRId64 " older windows are left out; ask for a longer "
                 "step, fewer metrics or a shorter range",
                 q->n_capped);
        out_key_string(out, "notice", text);
    }
    return rc;
}

static int write_answer(struct question *q, struct err *err)
{
    struct buf *out = &q->answer->body;
    int rc = 0;
    if (q->csv) {
        static const char head[] = "model,version,segment,metric,start,end,n,labelled,value,lower,"
                                   "upper,error_bound,revision\r\n";
        q->answer->content_type = "text/csv; charset=utf-8";
        buf_bytes(out, head, sizeof(head) - 1);
        for (size_t i = 0; rc == 0 && i < q->pairs.n; i++)
            rc = walk_pair(q, &q->pairs.items[i], err);
        return rc;
    }
    out_open(out, '{');
    out_key_string(out, "model", q->model);
    out_key_string(out, "version", input_param(q->input, "version"));
    out_key_string(out, "segment", input_param(q->input, "segment"));
    out_key_int(out, "window", q->query.window_ms);
    out_key_int(out, "step", q->query.step_ms);
    out_key_int(out, "from", q->query.from_ms);
    out_key_int(out, "to", q->query.to_ms);
    out_key(out, "series");
    out_open(out, '[');
    for (size_t i = 0; rc == 0 && i < q->pairs.n; i++)
        rc = walk_pair(q, &q->pairs.items[i], err);
    out_close(out, ']');
    out_key_time(out, "complete_up_to", q->complete_ms);
    out_key_time(out, "labels_complete_up_to", q->labels_complete_ms);
    if (rc == 0)
        rc = write_completeness(q, err);
    out_close(out, '}');
    return rc;
}

static int open_metrics(struct question *q, struct err *err)
{
    struct model_known known;
    int rc = model_read(q->store, q->model, &known, err);
    if (rc)
        return rc;
    enum task task = known.setup.task;
    model_finish(&known);
    const struct config_model *config =
        q->context->config ? config_model_find(q->context->config, q->model) : NULL;
    rc = model_metrics_open(&q->metrics, task, config, input_param(q->input, "metric"), err);
    if (rc == ERR_USAGE)
        return api_refuse(q->answer, err, "metric", "see GET /api/v1/models/{model}", "%s",
                          err->text);
    return rc;
}

int api_metrics(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    AUTO(question) struct question *q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(err, -ENOMEM, "no memory for a question");
    q->context = context;
    q->input = input;
    q->answer = answer;
    q->model = input_capture(input, "model");
    q->csv = input_csv(input);
    for (size_t i = 0; i < MODEL_METRICS_MAX; i++)
        buf_init(&q->points[i], 32 * 1024 * 1024);
    int rc = context_store(context, &q->store, err);
    if (rc == 0)
        rc = open_metrics(q, err);
    if (rc == 0)
        rc = series_complete(q->store, q->model, &q->complete_ms, &q->labels_complete_ms, err);
    if (rc == 0)
        rc = find_range(q, err);
    if (rc == 0)
        rc = pairs_find(&q->pairs, q->store, input, answer, err);
    if (rc)
        return rc;
    cap_points(q);
    return write_answer(q, err);
}
