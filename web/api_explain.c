/* GET /models/M/explain: storage/explain.h as JSON. */
#include <errno.h>
#include <string.h>

#include "common/json_out.h"
#include "storage/catalog.h"
#include "storage/explain.h"
#include "storage/series.h"
#include "web/handlers.h"
#include "web/model_metrics.h"
#include "web/pairs.h"

#define HOUR_MS INT64_C(3600000)

static void write_value(struct buf *out, const char *key, const struct metric_value *value)
{
    out_key(out, key);
    out_open(out, '{');
    out_key_double(out, "value", value->value);
    out_key_double(out, "lower", value->lower);
    out_key_double(out, "upper", value->upper);
    out_key_int(out, "n", value->n);
    out_key_int(out, "labelled", value->labelled);
    out_close(out, '}');
}

void write_rate_change(struct buf *out, const char *key, const struct rate_change *change)
{
    out_key(out, key);
    out_open(out, '{');
    out_key_double(out, "before", change->before);
    out_key_double(out, "now", change->now);
    out_key_double(out, "difference", change->difference);
    out_key_double(out, "lower", change->lower);
    out_key_double(out, "upper", change->upper);
    out_close(out, '}');
}

static void write_slice(struct buf *out, const struct explained_slice *slice)
{
    out_open(out, '{');
    out_key_string(out, "version", slice->version);
    if (slice->slice) {
        char segment[SEGMENT_BYTES];
        struct pair pair = {.slice = slice->slice};
        pair_segment(&pair, segment);
        out_key_string(out, "segment", segment);
    } else {
        out_key_string(out, "segment", NULL);
    }
    write_value(out, "before", &slice->before);
    write_value(out, "now", &slice->now);
    out_key_string(out, "split", explain_split_name(slice->split));
    out_key_double(out, "contribution", slice->contribution);
    out_key_double(out, "within", slice->within);
    out_key_double(out, "between", slice->between);
    out_key_double(out, "share", slice->share);
    out_close(out, '}');
}

static void write_feature(struct buf *out, const struct explained_feature *feature)
{
    const struct drift_verdict *verdict = &feature->drift.verdict;
    char why[DRIFT_WHY_BYTES];
    const struct drift_numeric *numeric = &feature->drift.numeric;
    bool number = !feature->drift.why && feature->drift.is_numeric;
    out_open(out, '{');
    out_key_string(out, "feature", feature->name);
    out_key_string(out, "kind", profile_kind_name(feature->drift.quality.kind));
    out_key_int(out, "n", (int64_t)feature->drift.quality.valid);
    out_key_string(out, "by", explain_by_name(feature->by));
    out_key_double(out, "effect", feature->effect);
    out_key_double(out, "share", feature->share);
    out_key_string(out, "method", verdict->method);
    out_key_double(out, "statistic", verdict->statistic);
    out_key_double(out, "threshold", verdict->threshold);
    out_key_double(out, "p_value", verdict->p_value);
    out_key_double(out, "q_value", verdict->q_value);
    out_key_bool(out, "drifted", verdict->drifted);
    out_key_double(out, "mean", number ? numeric->mean : (double)NAN);
    out_key_double(out, "std", number ? numeric->std : (double)NAN);
    write_rate_change(out, "missing", &feature->missing);
    write_rate_change(out, "invalid", &feature->invalid);
    if (feature->drift.why || verdict->why)
        out_key_string(out, "why",
                       feature->drift.why ? feature->drift.why : drift_why(verdict, why));
    out_close(out, '}');
}

static void write_window(struct buf *out, const char *key, int64_t from_ms, int64_t to_ms)
{
    out_key(out, key);
    out_open(out, '{');
    out_key_int(out, "from", from_ms);
    out_key_int(out, "to", to_ms);
    out_close(out, '}');
}

static void write_change(struct buf *out, const struct explained_change *change)
{
    char segment[SEGMENT_BYTES];
    slice_segment(change->slice, segment);
    out_open(out, '{');
    out_key_string(out, "stream", change->name);
    out_key_string(out, "kind", change->of_feature ? "feature" : "metric");
    out_key_string(out, "version", change->version);
    out_key_string(out, "segment", segment[0] ? segment : NULL);
    out_key_string(out, "direction", change->direction);
    out_key_time(out, "began", change->began_ms);
    out_key_time(out, "at", change->at_ms);
    out_key_double(out, "before", change->before);
    out_key_double(out, "after", change->after);
    out_key_int(out, "since", change->n_after);
    write_change_reference(out, &change->reference, change->slice);
    out_close(out, '}');
}

static void write_lists(struct buf *out, const struct explanation *e, int64_t limit)
{
    out_key(out, "slices");
    out_open(out, '[');
    for (size_t i = 0; i < e->n_slices && (int64_t)i < limit; i++)
        write_slice(out, &e->slices[i]);
    out_close(out, ']');
    out_key(out, "features");
    out_open(out, '[');
    for (size_t i = 0; i < e->n_features && (int64_t)i < limit; i++)
        write_feature(out, &e->features[i]);
    out_close(out, ']');
    out_key(out, "changes");
    out_open(out, '[');
    for (size_t i = 0; i < e->changes.n && (int64_t)i < limit; i++)
        write_change(out, &e->changes.rows[i]);
    out_close(out, ']');
    out_key(out, "incomplete_reasons");
    out_open(out, '[');
    if (e->n_damaged)
        out_string(out, "stored panes are damaged and left out; run `assay verify`");
    if (e->partial)
        out_string(out, "a window cuts through older data that is only kept in longer panes");
    out_close(out, ']');
}

static void write_answer(struct buf *out, const struct api_input *input,
                         const struct explanation *e)
{
    out_open(out, '{');
    out_key_string(out, "model", input_capture(input, "model"));
    out_key_string(out, "version", input_param(input, "version"));
    out_key_string(out, "segment", input_param(input, "segment"));
    out_key_int(out, "from", e->from_ms);
    out_key_int(out, "to", e->to_ms);
    write_window(out, "compared_with", e->before_from_ms, e->before_to_ms);
    write_reference(out, &e->model);
    out_key_string(out, "cause", e->cause[0] ? e->cause : NULL);
    out_key_string(out, "metric", e->metric[0] ? e->metric : NULL);
    write_value(out, "before", &e->before);
    write_value(out, "now", &e->now);
    out_key_double(out, "change", e->change);
    out_key_int(out, "n_slices", (int64_t)e->n_slices);
    out_key_int(out, "n_features", (int64_t)e->n_features);
    out_key_int(out, "n_drifted", (int64_t)e->n_drifted);
    out_key_int(out, "n_changes", (int64_t)e->changes.n);
    out_key_bool(out, "complete", !e->partial && e->n_damaged == 0);
    write_lists(out, e, input_integer(input, "limit", 20));
}

static int find_windows(struct api_context *context, const struct api_input *input,
                        struct api_answer *answer, int64_t complete_ms, struct explain_query *query,
                        struct err *err)
{
    const int64_t newest = context_newest_ms(context, complete_ms);
    query->to_ms = input_time(input, "to", newest / 60000 * 60000 + 60000);
    query->from_ms = input_time(input, "from", query->to_ms > HOUR_MS ? query->to_ms - HOUR_MS : 0);
    if (query->from_ms >= query->to_ms)
        return api_refuse(answer, err, "from", "a time before `to`", "must be before to");
    int64_t length = query->to_ms - query->from_ms;
    bool given = input_param(input, "before_from") || input_param(input, "before_to");
    query->before_to_ms = input_time(input, "before_to", query->from_ms);
    query->before_from_ms = input_time(
        input, "before_from", query->before_to_ms > length ? query->before_to_ms - length : 0);
    if (given && query->before_from_ms >= query->before_to_ms)
        return api_refuse(answer, err, "before_from", "a time before `before_to`",
                          "must be before before_to");
    return 0;
}

int api_explain(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    struct store *store;
    struct explain_query query = {.model = input_capture(input, "model"),
                                  .metric = input_param(input, "metric")};
    struct pairs pairs = {0};
    struct model_metrics metrics = {0};
    struct model_known known = {0};
    struct explanation explanation;
    int64_t complete_ms = -1, labels_ms = -1;
    int rc = context_store(context, &store, err);
    if (rc == 0)
        rc = series_complete(store, query.model, &complete_ms, &labels_ms, err);
    if (rc == 0)
        rc = find_windows(context, input, answer, complete_ms, &query, err);
    if (rc == 0)
        rc = pairs_find(&pairs, store, input, answer, err);
    if (rc == 0 && (pairs.n != 1 || strchr(pairs.items[0].slice, '*')))
        rc = api_refuse(answer, err, "version", "one version and one segment",
                        "one explanation at a time, not `*`");
    if (rc == 0)
        rc = model_read(store, query.model, &known, err);
    if (rc == 0)
        rc = model_metrics_open(&metrics, known.setup.task,
                                context->config ? config_model_find(context->config, query.model)
                                                : NULL,
                                query.metric, err);
    if (rc == ERR_USAGE && query.metric)
        rc = api_refuse(answer, err, "metric", "see GET /api/v1/models/{model}", "%s", err->text);
    if (rc == 0) {
        query.version = pairs.items[0].version;
        query.slice = pairs.items[0].slice;
        query.customs = metrics.set;
        rc = explain_read(store, context->config, &query, &explanation, err);
    }
    if (rc == 0) {
        write_answer(&answer->body, input, &explanation);
        out_key_time(&answer->body, "complete_up_to", complete_ms);
        out_key_time(&answer->body, "labels_complete_up_to", labels_ms);
        out_close(&answer->body, '}');
        explanation_finish(&explanation);
    }
    model_metrics_finish(&metrics);
    model_finish(&known);
    pairs_finish(&pairs);
    return rc;
}
