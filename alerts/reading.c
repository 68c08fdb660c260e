/*
 * A look each second finds most windows as they were: then a rule's reading is the one of the look
 * before, or, where one of a trend's many windows changed, only that one is read again.
 */
#include "alerts/reading.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/drift_reading.h"
#include "alerts/event_reading.h"
#include "alerts/reference_reading.h"
#include "alerts/window_reading.h"
#include "alerts/window_values.h"
#include "common/digits.h"
#include "common/text.h"
#include "common/timezone.h"
#include "stats/custom_config.h"
#include "storage/restore.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

struct model_metrics {
    const char *name;
    struct custom_set *set;
    struct timezone_rules *zone;
};

enum {
    N_RESULTS = 512 /* rules whose last reading is kept; of more some are read anew each time */
};

/* A reading that counts while nothing was written that it may depend on. */
struct result {
    const struct alert_rule *rule; /* NULL: none */
    int64_t end_ms;
    uint64_t generation; /* of the store, or of the rule's windows */
    struct reading reading;
};

struct readings {
    const struct config *config;
    struct store *store;
    struct outside outside;
    struct model_metrics *models; /* one for each configured model */

    struct window_reader *reader;
    struct window_values *values;
    struct drift_readings *drift;
    struct reference_readings *references;

    struct result *results; /* N_RESULTS */
    uint64_t n_computed;
};

static int parse_customs(struct readings *readings, struct err *err)
{
    const struct config *config = readings->config;
    int rc = 0;
    for (size_t i = 0; !rc && i < config->n_models; i++) {
        const struct config_model *model = &config->models[i];
        readings->models[i].name = model->name;
        rc =
            custom_set_of(&readings->models[i].set, model, (enum task)task_parse(model->task), err);
        if (!rc)
            rc = timezone_read(&readings->models[i].zone, model->timezone, err);
    }
    return rc;
}

int readings_new(struct readings **out, const struct config *config, struct store *store,
                 struct err *err)
{
    AUTO(readings) struct readings *readings = calloc(1, sizeof(*readings));
    if (!readings)
        return err_set(err, -ENOMEM, "alerts: no memory");
    readings->config = config;
    readings->store = store;
    readings->models = calloc(config->n_models + 1, sizeof(*readings->models));
    readings->results = calloc(N_RESULTS, sizeof(*readings->results));
    if (!readings->models || !readings->results)
        return err_set(err, -ENOMEM, "alerts: no memory");
    int rc = parse_customs(readings, err);
    if (!rc)
        rc = drift_readings_new(&readings->drift, config, store, err);
    if (!rc)
        rc = reference_readings_new(&readings->references, config, store, err);
    if (!rc)
        rc = window_reader_new(&readings->reader, store, err);
    if (!rc)
        rc = window_values_new(&readings->values, config, store, err);
    if (rc)
        return rc;
    *out = readings; /* the caller owns it now */
    readings = NULL;
    return 0;
}

void readings_free(struct readings *readings)
{
    if (!readings)
        return;
    for (size_t i = 0; readings->models && i < readings->config->n_models; i++) {
        custom_set_free(readings->models[i].set);
        timezone_free(readings->models[i].zone);
    }
    drift_readings_free(readings->drift);
    reference_readings_free(readings->references);
    window_reader_free(readings->reader);
    window_values_free(readings->values);
    free(readings->models);
    free(readings->results);
    free(readings);
}

void readings_start(struct readings *readings, const struct outside *outside)
{
    readings->outside = *outside;
    window_reader_start(readings->reader);
    window_values_start(readings->values);
}

const struct custom_set *readings_customs(const struct readings *readings, const char *model)
{
    for (size_t i = 0; i < readings->config->n_models; i++) {
        if (strcmp(readings->models[i].name, model) == 0)
            return readings->models[i].set;
    }
    return NULL;
}

/* The value of the window that ends at end_ms. */
static int value_at(struct readings *readings, const struct alert_rule *rule,
                    const struct series_points *points, int64_t end_ms, struct metric_value *out,
                    struct err *err)
{
    return window_value(readings->reader, rule, readings_customs(readings, rule->model), points,
                        end_ms, out, err);
}

static struct reading no_reading(const struct alert_rule *rule, int64_t end_ms)
{
    return (struct reading){.sight = SIGHT_NO_DATA,
                            .value = NAN,
                            .lower = NAN,
                            .upper = NAN,
                            .compared = NAN,
                            .change = NAN,
                            .change_lower = NAN,
                            .change_upper = NAN,
                            .start_ms = end_ms - rule->window_ms,
                            .end_ms = end_ms};
}

static bool too_little(const struct alert_rule *rule, const struct metric_value *value,
                       struct reading *out)
{
    if (value->n == 0 && value->why) { /* there is no window at all */
        snprintf(out->why, sizeof(out->why), "%s", value->why);
        return true;
    }
    if (value->n < rule->min_count) {
        snprintf(out->why, sizeof(out->why),
                 "%" PRId64 " predictions in the window, %" PRId64 " are needed", value->n,
                 rule->min_count);
        return true;
    }
    double share = value->n ? (double)value->labelled / (double)value->n : 0.0;
    if (share < rule->mature_share) {
        snprintf(out->why, sizeof(out->why), "only %.0f%% of the labels are in, %.0f%% are needed",
                 100.0 * share, 100.0 * rule->mature_share);
        return true;
    }
    if (isnan(value->value)) {
        snprintf(out->why, sizeof(out->why), "%s",
                 value->why ? value->why : "the metric has no value in the window");
        return true;
    }
    return false;
}

static void tell_level(const struct alert_rule *rule, struct reading *out)
{
    char value[TEXT_NUMBER_BYTES], level[TEXT_NUMBER_BYTES], interval[80] = "";
    char window[TEXT_DURATION_BYTES], lower[DIGITS_BYTES], upper[DIGITS_BYTES];
    number_print(value, round(out->value * 1e6) / 1e6);
    number_print(level, rule->level);
    if (!isnan(out->lower) && !isnan(out->upper)) {
        digits_general(lower, out->lower, 4);
        digits_general(upper, out->upper, 4);
        snprintf(interval, sizeof(interval), " (%s to %s)", lower, upper);
    }
    duration_print(window, rule->window_ms);
    const char *sign =
        out->sight == SIGHT_BAD ? (rule->above ? ">" : "<") : (rule->above ? "<=" : ">=");
    snprintf(out->why, sizeof(out->why), "%s %s%s %s %s over %s, n %" PRId64, rule->metric, value,
             interval, sign, level, window, out->n);
}

void reading_tell(const struct alert_rule *rule, struct reading *reading)
{
    if (reading->untold)
        tell_level(rule, reading);
    reading->untold = false;
}

static int read_before(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                       struct metric_value *out, struct err *err)
{
    const struct series_points *points;
    int rc = windows_read(readings->reader, rule, end_ms, 1, &points, err);
    return rc ? rc : value_at(readings, rule, points, end_ms, out, err);
}

static int read_reference(struct readings *readings, const struct alert_rule *rule,
                          const struct series_points *points, struct reading *now,
                          struct metric_value *out, struct err *err)
{
    const struct reference_question question = {
        .rule = rule,
        .customs = readings_customs(readings, rule->model),
        .setup = &points->setup,
        .start_ms = now->start_ms,
        .end_ms = now->end_ms,
    };
    return reference_reading(readings->references, &question, out, &now->reference, err);
}

/* The end of the window that a rule compares with: whole days back are those of the model's clock,
   so that the same hour is compared over a change of summer time, too. */
static int64_t end_before(const struct readings *readings, const struct alert_rule *rule,
                          int64_t end_ms)
{
    const struct timezone_rules *zone = NULL;
    for (size_t i = 0; i < readings->config->n_models; i++)
        if (strcmp(readings->models[i].name, rule->model) == 0)
            zone = readings->models[i].zone;
    if (!zone || rule->relative_to != RELATIVE_BACK || rule->relative_ms % (24 * HOUR_MS))
        return end_ms - rule->relative_ms;
    int64_t before_ms = timezone_days_before(zone, end_ms, rule->relative_ms / (24 * HOUR_MS));
    return before_ms - before_ms % MINUTE_MS;
}

static bool looks_back(const struct alert_rule *rule)
{
    return rule->relative_to == RELATIVE_BACK || rule->relative_to == RELATIVE_PREVIOUS;
}

static int is_cut(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                  bool *out, struct err *err)
{
    const struct series_points *points;
    int rc = windows_read(readings->reader, rule, end_ms, 1, &points, err);
    *out = !rc && window_is_cut(points, end_ms);
    return rc;
}

/*
 * Older events are only kept by the hour, then by the day. Where the window, or the one before that
 * it is compared with, would cut through such a pane, and so lack what is in it, both become those
 * that ended with the last whole hour (day): the same stretch of the clock, whole on either side.
 * *whole: there are such.
 */
static int end_of_whole(const struct alert_rule *rule, struct readings *readings, int64_t *end_ms,
                        bool *whole, struct err *err)
{
    static const int64_t lengths_ms[] = {MINUTE_MS, HOUR_MS, 24 * HOUR_MS};
    int rc = 0;
    *whole = false;
    for (size_t i = 0; i < sizeof(lengths_ms) / sizeof(*lengths_ms) && !*whole && !rc; i++) {
        const int64_t at_ms = *end_ms - *end_ms % lengths_ms[i];
        bool cut = false;
        if (rule->window_ms % lengths_ms[i])
            break;
        rc = is_cut(readings, rule, at_ms, &cut, err);
        if (!rc && !cut && looks_back(rule))
            rc = is_cut(readings, rule, end_before(readings, rule, at_ms), &cut, err);
        *whole = !rc && !cut;
        if (*whole)
            *end_ms = at_ms;
    }
    return rc;
}

/* What came true of the estimate, as far as labels are in: of the same window. */
static int read_realised(struct readings *readings, const struct alert_rule *rule,
                         const struct series_points *points, const struct reading *now,
                         struct metric_value *out, struct err *err)
{
    struct alert_rule realised = *rule;
    realised.metric = metric_estimated(rule->metric);
    int rc = value_at(readings, &realised, points, now->end_ms, out, err);
    if (!rc && window_awaits_labels(readings->reader, points, now->end_ms)) {
        out->value = NAN;
        out->why = "numbers of events are compared once all labels are in";
    }
    return rc;
}

static int read_compared(struct readings *readings, const struct alert_rule *rule,
                         const struct series_points *points, struct reading *now,
                         struct metric_value *out, struct err *err)
{
    switch (rule->relative_to) {
    case RELATIVE_REFERENCE:
        return read_reference(readings, rule, points, now, out, err);
    case RELATIVE_REALISED:
        return read_realised(readings, rule, points, now, out, err);
    default:
        now->compared_end_ms = end_before(readings, rule, now->end_ms);
        return read_before(readings, rule, now->compared_end_ms, out, err);
    }
}

static int read_level(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                      struct reading *out, struct err *err)
{
    struct metric_value value;
    const struct series_points *points;
    int rc = windows_read(readings->reader, rule, end_ms, 1, &points, err);
    if (!rc)
        rc = value_at(readings, rule, points, end_ms, &value, err);
    if (rc)
        return rc;
    out->n = value.n;
    out->labelled = value.labelled;
    if (too_little(rule, &value, out))
        return 0;
    out->value = value.value;
    out->lower = value.lower;
    out->upper = value.upper;
    if (rule->relative_to == RELATIVE_NONE) {
        out->sight = reading_judge(rule, value.value, value.lower, value.upper);
        out->untold = true;
        return 0;
    }

    struct metric_value compared;
    rc = read_compared(readings, rule, points, out, &compared, err);
    if (!rc && !too_little(rule, &compared, out))
        reading_judge_change(rule, &value, &compared, out);
    return rc;
}

/* Those of the rule's windows up to end_ms that are not kept; `whole`: all of them from one stretch. */
static int read_missing(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                        int64_t at_ms, bool whole, struct metric_value *out, struct err *err)
{
    const struct series_points *points;
    int rc = whole ? windows_read(readings->reader, rule, end_ms, rule->points, &points, err)
                   : windows_read_whole(readings->reader, rule, at_ms, &points, err);
    return rc ? rc : value_at(readings, rule, points, at_ms, out, err);
}

/* The values of the rule's windows, oldest first, the last of which ends at end_ms. */
static int read_values(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                       struct metric_value *out, struct err *err)
{
    struct window_row *row = window_values_row(readings->values, rule, end_ms);
    const int64_t first_ms = end_ms - (rule->points - 1) * rule->window_ms;
    int n_missing = 0, rc = 0;
    for (int i = 0; i < rule->points; i++)
        n_missing += !row || !window_row_get(row, first_ms + i * rule->window_ms);
    /* An estimate hangs on the time before the stretch: it is read as one, always. */
    const bool whole = n_missing > rule->points / 4 + 1 || metric_estimated(rule->metric);
    for (int i = 0; i < rule->points && !rc; i++) {
        const int64_t at_ms = first_ms + i * rule->window_ms;
        const struct metric_value *kept = row ? window_row_get(row, at_ms) : NULL;
        if (kept)
            out[i] = *kept;
        else
            rc = read_missing(readings, rule, end_ms, at_ms, whole, &out[i], err);
        if (row && !kept && !rc)
            window_row_keep(row, at_ms, &out[i]);
    }
    return rc;
}

static int read_trend(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                      struct reading *out, struct err *err)
{
    end_ms -= end_ms % rule->window_ms; /* whole windows: the newest one must be complete */
    out->end_ms = end_ms;
    out->start_ms = end_ms - rule->points * rule->window_ms;
    bool falling = true;
    double last = NAN;
    size_t n_known = 0;
    AUTO_FREE double *values = calloc((size_t)rule->points, sizeof(*values));
    AUTO_FREE struct metric_value *windows = calloc((size_t)rule->points, sizeof(*windows));
    if (!values || !windows)
        return err_set(err, -ENOMEM, "alerts: no memory");
    int rc = read_values(readings, rule, end_ms, windows, err);
    for (int i = 0; i < rule->points && !rc; i++) {
        const struct metric_value *value = &windows[i];
        values[i] = NAN;
        /* A night without traffic ends no trend: Mann–Kendall's test does without such windows. */
        if (too_little(rule, value, out)) {
            if (rule->trend_rate > 0 && i < rule->points - 1)
                continue;
            return 0;
        }
        n_known++;
        if (!isnan(last) && (rule->decreasing ? value->value >= last : value->value <= last))
            falling = false;
        last = values[i] = value->value;
        out->n += value->n;
        out->labelled += value->labelled;
    }
    out->value = last;
    if (rc || rule->trend_rate > 0)
        return rc ? rc : reading_judge_trend(rule, values, n_known, out, err);
    reading_judge_declines(rule, falling, out);
    return rc;
}

static int read_metric(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                       struct reading *out, struct err *err)
{
    bool whole = true;
    int rc = rule->kind == RULE_LEVEL ? end_of_whole(rule, readings, &end_ms, &whole, err) : 0;
    *out = no_reading(rule, end_ms);
    if (rc)
        return rc;
    if (rule->kind == RULE_TREND)
        return read_trend(readings, rule, end_ms, out, err);
    if (whole || !looks_back(rule))
        return read_level(readings, rule, end_ms, out, err);
    snprintf(out->why, sizeof(out->why),
             "what it is compared with is only kept in longer panes; take a window of whole hours, "
             "or days");
    return 0;
}

/*
 * Labels come late: the newest window is judged once enough of them are in; until then, that of
 * `mature_after` ago, in which those that come at all are.
 */
static int read_mature(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                       struct reading *out, struct err *err)
{
    bool by_share = rule->mature_share > 0 || rule->mature_ms == 0;
    int rc = by_share ? read_metric(readings, rule, end_ms, out, err) : 0;
    if (rc || !rule->mature_ms || (by_share && out->sight != SIGHT_NO_DATA))
        return rc;
    struct alert_rule patient = *rule;
    patient.mature_share = 0;
    return read_metric(readings, &patient, end_ms - rule->mature_ms, out, err);
}

uint64_t readings_computed(const struct readings *readings)
{
    return readings->n_computed;
}

/* Rules of a set lie side by side. */
static struct result *result_of(struct readings *readings, const struct alert_rule *rule)
{
    return &readings->results[(uintptr_t)rule / sizeof(*rule) % N_RESULTS];
}

/* What a reading that is kept was made of: grows when that may have changed. */
static uint64_t generation_of(const struct readings *readings, const struct alert_rule *rule)
{
    const uint64_t drops =
        rule->kind == RULE_TREND ? window_values_drops(readings->values, rule) : 0;
    return drops ? drops : store_generation(readings->store);
}

/* The reading of the look before, or a new one. */
static int read_window(struct readings *readings, const struct alert_rule *rule, int64_t end_ms,
                       struct reading *out, struct err *err)
{
    struct result *result = result_of(readings, rule);
    if (result->rule == rule && result->end_ms == end_ms &&
        result->generation == generation_of(readings, rule)) {
        *out = result->reading;
        return 0;
    }
    readings->n_computed++;
    int rc = read_mature(readings, rule, end_ms, out, err);
    *result = (struct result){rc ? NULL : rule, end_ms, generation_of(readings, rule), *out};
    return rc;
}

/* 0, or RESTORE_NONE: nothing has ever come. */
static int newest_event(struct store *store, const char *model, int64_t *out, struct err *err)
{
    AUTO_FREE char *text = NULL;
    int rc = restore_model_counts(store, model, &text, err);
    if (rc)
        return rc;
    json_t *counts = json_loads(text, 0, NULL);
    const json_t *newest = json_object_get(counts, "last_event");
    if (json_integer_value(newest) > 0)
        *out = json_integer_value(newest);
    else
        rc = RESTORE_NONE;
    json_decref(counts);
    return rc;
}

static int read_absent(struct readings *readings, const struct alert_rule *rule,
                       struct reading *out, struct err *err)
{
    int64_t newest_ms = 0;
    int rc = newest_event(readings->store, rule->model, &newest_ms, err);
    if (rc < 0)
        return rc;
    int64_t silent_ms = rc ? INT64_MAX : readings->outside.now_ms - newest_ms;
    out->sight = silent_ms > rule->absent_ms ? SIGHT_BAD : SIGHT_CLEAR;
    out->value = rc ? (double)NAN : (double)silent_ms / 1000.0;
    char limit[TEXT_DURATION_BYTES];
    duration_print(limit, rule->absent_ms);
    if (rc)
        snprintf(out->why, sizeof(out->why), "no event has ever come");
    else
        snprintf(out->why, sizeof(out->why), "no event for %.0f s, %s are allowed", out->value,
                 limit);
    return 0;
}

static void read_certificate(const struct outside *outside, const struct alert_rule *rule,
                             struct reading *out)
{
    if (outside->certificate_end_ms == 0) {
        snprintf(out->why, sizeof(out->why), "no certificate is served");
        return;
    }
    char end[TEXT_TIME_BYTES], wanted[TEXT_DURATION_BYTES];
    const int64_t left_ms = outside->certificate_end_ms - outside->wall_ms;
    out->value = (double)left_ms / 1000.0;
    out->sight = left_ms < rule->certificate_ms ? SIGHT_BAD : SIGHT_CLEAR;
    duration_print(wanted, rule->certificate_ms);
    snprintf(out->why, sizeof(out->why),
             "the certificate that is served %s %s; replace it %s before, and send SIGHUP",
             left_ms < 0 ? "ended at" : "ends at", time_print(end, outside->certificate_end_ms),
             wanted);
}

int readings_read(struct readings *readings, const struct alert_rule *rule, struct reading *out,
                  struct err *err)
{
    int64_t now_ms = readings->outside.now_ms;
    int64_t end_ms = (now_ms + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS;
    *out = no_reading(rule, end_ms);
    struct err why = {0};
    int rc = 0;
    switch (rule->kind) {
    case RULE_LEVEL:
    case RULE_TREND:
        rc = read_window(readings, rule, end_ms, out, &why);
        break;
    case RULE_ABSENT:
        rc = read_absent(readings, rule, out, &why);
        break;
    case RULE_DRIFT:
    case RULE_QUALITY:
        rc = drift_reading(readings->drift, rule, now_ms, out, &why);
        break;
    case RULE_CHANGE:
        rc = change_reading(readings->store, rule, now_ms, out, &why);
        break;
    case RULE_EXPERIMENT:
        rc = experiment_reading(readings->store, rule, now_ms, out, &why);
        break;
    case RULE_AUDIT:
        rc = audit_reading(readings->store, out, &why);
        break;
    case RULE_CERTIFICATE:
        read_certificate(&readings->outside, rule, out);
        break;
    case RULE_LAG:
        out->value = readings->outside.lag < 0 ? (double)NAN : (double)readings->outside.lag;
        out->sight = reading_judge(rule, out->value, NAN, NAN);
        snprintf(out->why, sizeof(out->why), "%" PRId64 " messages behind, %.0f are allowed",
                 readings->outside.lag, rule->level);
        break;
    }
    if (rc == ERR_NOT_FOUND) { /* a configured model of which nothing has come yet */
        snprintf(out->why, sizeof(out->why), "no event of the model has come yet");
        return 0;
    }
    if (rc && err)
        *err = why;
    return rc;
}
