#include "storage/drift_model.h"

#include <errno.h>
#include <stdlib.h>

#include "common/timezone.h"
#include "storage/rhythm.h"

struct drift_rule drift_rule_of(const struct config *config, const char *model)
{
    const struct config_model *known = config ? config_model_find(config, model) : NULL;
    struct drift_rule rule = {DRIFT_AUTO, 0.01, 0.05};
    if (!known)
        return rule;
    int method = drift_method_parse(known->drift.method ? known->drift.method : "auto");
    rule.method = method < 0 ? DRIFT_AUTO : (enum drift_method)method;
    rule.false_alarm_rate = known->drift.false_alarm_rate;
    rule.min_effect = known->drift.min_effect;
    return rule;
}

/* Puts the hours that the window is compared with into `out`. */
static int find_spans(const struct config_model *known, const struct profile_span *window,
                      struct profile_model *out, struct err *err)
{
    struct rhythm rhythm = {rhythm_days(known->reference.rhythm), known->reference.trailing_ms};
    __attribute__((cleanup(timezone_freep))) struct timezone_rules *zone = NULL;
    struct err why = {0};
    int rc = timezone_read(&zone, known->timezone, &why);
    if (rc)
        return err_set(err, rc, "model %s: its reference needs the hours of its days: %s",
                       known->name, why.text);
    free(out->spans);
    out->spans = calloc(rhythm_room(&rhythm), sizeof(*out->spans));
    if (!out->spans)
        return err_set(err, -ENOMEM, "model %s: no memory for its rhythm", known->name);
    out->n_spans = rhythm_spans(&rhythm, zone, window->from_ms, window->to_ms, out->spans);
    return 0;
}

static int read_rhythm(struct store *store, const struct config_model *known, const char *slice,
                       const struct profile_span *window, struct profile_model *out,
                       struct err *err)
{
    reference_row_finish(&out->reference);
    reference_layout(NULL, &out->layout, out->features);
    int rc = find_spans(known, window, out, err);
    if (rc || out->n_spans == 0)
        return rc;
    const struct profile_query query = {
        .model = known->name,
        .slice = slice,
        .from_ms = out->spans[out->n_spans - 1].from_ms,
        .to_ms = out->spans[0].to_ms,
        .spans = out->spans,
        .n_spans = out->n_spans,
    };
    return profile_model_from_panes(store, out, &query, "trailing", err);
}

static int read_panes(struct store *store, const struct config_model *known, const char *slice,
                      const struct profile_span *window, struct profile_model *out, struct err *err)
{
    const struct config_reference *from = &known->reference;
    struct profile_query span = {.model = known->name, .slice = slice, .to_ms = window->from_ms};
    if (from->to_ms > from->from_ms) {
        span.from_ms = from->from_ms;
        span.to_ms = from->to_ms;
        return profile_model_from_panes(store, out, &span, "range", err);
    }
    if (from->version) {
        span.version = from->version;
        return profile_model_from_panes(store, out, &span, "version", err);
    }
    if (!from->trailing_ms)
        return 0;
    if (rhythm_days(from->rhythm)) {
        out->rhythm = rhythm_days(from->rhythm) == 7 ? "week" : "day";
        return read_rhythm(store, known, slice, window, out, err);
    }
    if (window->from_ms > from->trailing_ms)
        span.from_ms = window->from_ms - from->trailing_ms;
    return profile_model_from_panes(store, out, &span, "trailing", err);
}

int drift_model_read(struct store *store, const struct config *config, const char *model,
                     const char *version, const struct profile_span *window,
                     struct profile_model *out, struct err *err)
{
    int rc = profile_model_read(store, model, version, out, err);
    const struct config_model *known = config ? config_model_find(config, model) : NULL;
    if (rc || out->reference.reference || !known)
        return rc;
    rc = read_panes(store, known, NULL, window, out, err);
    if (rc)
        profile_model_finish(out);
    return rc;
}

int drift_model_read_slice(struct store *store, const struct config *config,
                           const struct drift_slice *slice, const struct profile_span *window,
                           struct profile_model *out, struct err *err)
{
    if (!slice->slice || !slice->slice[0])
        return drift_model_read(store, config, slice->model, slice->version, window, out, err);
    int rc = profile_model_read(store, slice->model, slice->version, out, err);
    const struct config_model *known = config ? config_model_find(config, slice->model) : NULL;
    if (rc)
        return rc;
    const bool loaded = out->reference.reference != NULL;
    reference_row_finish(&out->reference);
    reference_layout(NULL, &out->layout, out->features);
    rc = known && !loaded ? read_panes(store, known, slice->slice, window, out, err) : 0;
    if (rc)
        profile_model_finish(out);
    return rc;
}

int drift_model_move(struct store *store, const struct config *config, const char *model,
                     const struct profile_span *window, struct profile_model *out, struct err *err)
{
    if (!out->rhythm)
        return 0;
    return read_rhythm(store, config_model_find(config, model), NULL, window, out, err);
}
