#include "storage/drift_model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timezone.h"
#include "storage/reference_panes.h"
#include "storage/rhythm.h"

enum {
    MOST_OF_A_NAME = 96 /* bytes of a version, in a reason */
};

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
    return reference_panes_read(store, out, &query, "trailing", err);
}

static int read_panes(struct store *store, const struct config_model *known, const char *slice,
                      const struct profile_span *window, struct profile_model *out, struct err *err)
{
    const struct config_reference *from = &known->reference;
    struct profile_query span = {.model = known->name, .slice = slice, .to_ms = window->from_ms};
    if (from->to_ms > from->from_ms) {
        span.from_ms = from->from_ms;
        span.to_ms = from->to_ms;
        return reference_panes_read(store, out, &span, "range", err);
    }
    if (from->version) {
        span.version = from->version;
        return reference_panes_read(store, out, &span, "version", err);
    }
    if (!from->trailing_ms)
        return 0;
    if (rhythm_days(from->rhythm)) {
        out->rhythm = rhythm_days(from->rhythm) == 7 ? "week" : "day";
        return read_rhythm(store, known, slice, window, out, err);
    }
    if (window->from_ms > from->trailing_ms)
        span.from_ms = window->from_ms - from->trailing_ms;
    return reference_panes_read(store, out, &span, "trailing", err);
}

/* Why there is none though one is named. */
static void tell_lack(const struct config_model *known, struct profile_model *out)
{
    const struct config_reference *from = &known->reference;
    const bool range = from->to_ms > from->from_ms;
    const size_t n = sizeof(out->no_reference);
    char *why = out->no_reference;
    why[0] = '\0';
    if (out->reference.reference || (!range && !from->version && !from->trailing_ms))
        return;
    if (out->cut)
        snprintf(why, n,
                 "the reference's time is only kept in longer panes now; name whole hours (days) "
                 "of UTC, or load a file");
    else if (out->slice)
        snprintf(why, n, "nothing is stored of the segment in the reference's time");
    else if (range)
        snprintf(why, n, "nothing is stored of the reference's time");
    else if (from->version && strlen(from->version) <= MOST_OF_A_NAME)
        snprintf(why, n, "version %s, the reference, has nothing stored before the window",
                 from->version);
    else if (from->version)
        snprintf(why, n, "the reference's version has nothing stored before the window");
    else
        snprintf(why, n, "nothing is stored of the time before the window");
}

/* A feature has no more values than there are events: of fewer none would be judged. */
static uint64_t least_events(enum drift_method method)
{
    const uint64_t numbers = drift_least_values(method, true, false);
    const uint64_t categories = drift_least_values(method, false, false);
    return numbers < categories ? numbers : categories;
}

static void refuse_few(const struct config *config, const char *name, struct profile_model *model)
{
    struct reference *reference = model->reference.reference;
    const struct drift_rule rule = drift_rule_of(config, name);
    const uint64_t least = least_events(rule.method);
    if (!model->slice || !reference || reference->events >= least)
        return;
    snprintf(model->no_reference, sizeof(model->no_reference),
             "the reference holds %" PRIu64 " events of the segment, %" PRIu64 " are needed",
             reference->events, least);
    if (!model->whole) /* the layout's grids are this one's */
        reference_layout(NULL, &model->layout, model->features);
    reference_free(reference);
    model->reference.reference = NULL;
}

/* The configuration's, where none was loaded. */
static int read_configured(struct store *store, const struct config *config,
                           const struct drift_slice *of, const struct profile_span *window,
                           struct profile_model *out, struct err *err)
{
    const struct config_model *known = config ? config_model_find(config, of->model) : NULL;
    int rc = 0;
    if (!out->reference.reference && !out->whole && known) {
        rc = read_panes(store, known, out->slice, window, out, err);
        tell_lack(known, out);
    }
    refuse_few(config, of->model, out);
    return rc;
}

int drift_model_read(struct store *store, const struct config *config, const struct drift_slice *of,
                     const struct profile_span *window, struct profile_model *out, struct err *err)
{
    int rc = profile_model_read(store, of->model, of->version, out, err);
    if (!rc && of->slice && of->slice[0])
        rc = profile_model_refer(store, of->model, of->version, of->slice, out, err);
    if (!rc)
        rc = read_configured(store, config, of, window, out, err);
    if (rc)
        profile_model_finish(out);
    return rc;
}

int drift_model_turn(struct store *store, const struct config *config, const struct drift_slice *of,
                     const struct profile_span *window, struct profile_model *model,
                     struct err *err)
{
    model->rhythm = NULL;
    int rc = profile_model_refer(store, of->model, of->version, of->slice, model, err);
    return rc ? rc : read_configured(store, config, of, window, model, err);
}

int drift_model_move(struct store *store, const struct config *config, const char *model,
                     const struct profile_span *window, struct profile_model *out, struct err *err)
{
    if (!out->rhythm)
        return 0;
    const struct config_model *known = config_model_find(config, model);
    int rc = read_rhythm(store, known, out->slice, window, out, err);
    tell_lack(known, out);
    refuse_few(config, model, out);
    return rc;
}
