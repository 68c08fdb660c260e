/* What was read is kept for each rule: a reference changes seldom, and rules look every second. */
#include "alerts/reference_reading.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/estimates.h"
#include "storage/series.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define LONG_SPAN_MS (48 * HOUR_MS) /* minutes are kept no longer than that */

struct kept {
    const char *rule; /* its name, as the rule set keeps it: a copy of a rule has the same */
    int64_t of;       /* the value's: number of the loaded reference, or the hour (ms) of a span */
    struct metric_value value;
};

struct reference_readings {
    const struct config *config;
    struct store *store;
    struct kept *kept;
    size_t n;
};

int reference_readings_new(struct reference_readings **out, const struct config *config,
                           struct store *store, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "alerts: no memory");
    (*out)->config = config;
    (*out)->store = store;
    return 0;
}

void reference_readings_free(struct reference_readings *readings)
{
    if (!readings)
        return;
    free(readings->kept);
    free(readings);
}

static struct metric_value no_value(const char *why)
{
    return (struct metric_value){.value = NAN, .lower = NAN, .upper = NAN, .why = why};
}

static int evaluate(const struct states *states, const struct reference_question *question,
                    int64_t window_ms, struct metric_value *out, struct err *err)
{
    struct metric_query metric;
    int rc = metric_resolve(&metric, question->customs, states_setup(states)->task,
                            question->rule->metric, err);
    if (rc)
        return rc;
    metric_evaluate(states, &metric, window_ms, out);
    out->n = states_count(states);
    out->labelled = states_labelled(states);
    return 0;
}

/* --- stored windows --- */

static int read_span(struct reference_readings *readings, const struct reference_question *question,
                     const char *version, int64_t from_ms, int64_t to_ms, struct metric_value *out,
                     struct err *err)
{
    struct series_points points;
    const int64_t step_ms = to_ms - from_ms > LONG_SPAN_MS ? HOUR_MS : MINUTE_MS;
    struct series_query query = {
        .model = question->rule->model,
        .version = version,
        .slice = question->rule->slice,
        .from_ms = from_ms / step_ms * step_ms,
        .to_ms = to_ms / step_ms * step_ms,
        .step_ms = step_ms,
        .estimates = metric_estimated(question->rule->metric) != NULL,
    };
    query.window_ms = query.to_ms - query.from_ms;
    *out = no_value("the reference holds no event");
    if (query.window_ms <= 0)
        return 0;
    int rc = series_read(readings->store, &query, &points, err);
    if (rc)
        return rc;
    if (points.n && points.points[0].states)
        rc = evaluate(points.points[0].states, question, query.window_ms, out, err);
    else if (points.n && points.points[0].partial)
        *out = no_value("the reference's time is only kept in longer panes now; name whole hours "
                        "(days) of UTC, or load a file");
    series_points_free(&points);
    return rc;
}

static struct kept *kept_of(struct reference_readings *readings, const struct alert_rule *rule)
{
    for (size_t i = 0; i < readings->n; i++) {
        if (readings->kept[i].rule == rule->name)
            return &readings->kept[i];
    }
    struct kept *more = realloc(readings->kept, (readings->n + 1) * sizeof(*more));
    if (!more)
        return NULL;
    readings->kept = more;
    more[readings->n] = (struct kept){.rule = rule->name, .of = -1};
    return &more[readings->n++];
}

/* The model's own past, whichever version served, as for drift. It changes little: it is read once
   an hour of event time for each rule. */
static int read_hourly(struct reference_readings *readings,
                       const struct reference_question *question,
                       const struct config_reference *reference, struct kept *kept, struct err *err)
{
    const int64_t hour_ms = question->start_ms / HOUR_MS * HOUR_MS;
    if (kept->of == hour_ms)
        return 0;
    int64_t from_ms = reference->from_ms, to_ms = reference->to_ms;
    if (reference->trailing_ms) {
        from_ms = hour_ms - reference->trailing_ms;
        to_ms = hour_ms;
    }
    int rc = read_span(readings, question, NULL, from_ms, to_ms, &kept->value, err);
    kept->of = rc ? -1 : hour_ms;
    return rc;
}

/* --- loaded events --- */

static int read_loaded(struct reference_readings *readings,
                       const struct reference_question *question,
                       const struct reference_mark *newest, struct kept *kept, struct err *err)
{
    AUTO(states) struct states *states = NULL;
    const int64_t window_ms =
        newest->span_ms ? newest->span_ms : question->end_ms - question->start_ms;
    if (kept->of == newest->seq)
        return 0;
    int rc = reference_states_read(readings->store, newest->seq, question->rule->slice,
                                   question->setup, &states, err);
    if (rc == ERR_CORRUPT) {
        kept->value = no_value("the metrics of the reference are damaged; load it again");
        rc = 0;
    } else if (!rc && !states) {
        kept->value = no_value(question->rule->slice[0]
                                   ? "the reference holds no event of the segment"
                                   : "the reference holds no metrics; load its events again");
    } else if (!rc) {
        rc = evaluate(states, question, window_ms, &kept->value, err);
    }
    kept->of = rc ? -1 : newest->seq;
    return rc;
}

/* What `reference:` of the configuration names, where nothing was loaded. */
static int read_configured(struct reference_readings *readings,
                           const struct reference_question *question, struct metric_value *out,
                           const char **source, struct err *err)
{
    const struct config_model *model = config_model_find(readings->config, question->rule->model);
    const struct config_reference none = {0}, *reference = model ? &model->reference : &none;
    *out = no_value("the model has no reference yet: `assay reference load`");
    *source = "";
    if (reference->version) {
        *source = "version";
        return read_span(readings, question, reference->version, question->start_ms,
                         question->end_ms, out, err);
    }
    if (!reference->trailing_ms && !reference->to_ms)
        return 0;
    *source = reference->trailing_ms ? "trailing" : "range";
    struct kept *kept = kept_of(readings, question->rule);
    if (!kept)
        return err_set(err, -ENOMEM, "alerts: no memory");
    int rc = read_hourly(readings, question, reference, kept, err);
    *out = kept->value;
    return rc;
}

static int read_newest(struct reference_readings *readings,
                       const struct reference_question *question,
                       const struct reference_mark *newest, struct metric_value *out,
                       struct err *err)
{
    struct kept *kept = kept_of(readings, question->rule);
    if (!kept)
        return err_set(err, -ENOMEM, "alerts: no memory");
    int rc = read_loaded(readings, question, newest, kept, err);
    *out = kept->value;
    return rc;
}

int reference_reading(struct reference_readings *readings,
                      const struct reference_question *question, struct metric_value *out,
                      struct reading_reference *which, struct err *err)
{
    struct reference_mark newest;
    const char *source = newest.source;
    int rc = reference_newest(readings->store, question->rule->model, question->rule->version,
                              &newest, err);
    if (!rc)
        rc = newest.seq ? read_newest(readings, question, &newest, out, err)
                        : read_configured(readings, question, out, &source, err);
    if (rc)
        return rc;
    *which = (struct reading_reference){.n = out->n, .of_slice = question->rule->slice[0] != '\0'};
    snprintf(which->id, sizeof(which->id), "%s", newest.id);
    snprintf(which->source, sizeof(which->source), "%s", source);
    return 0;
}
