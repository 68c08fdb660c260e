/* What a rule is about: each kind has a key of its own, and reads its further keys here. */
#include "alerts/rule_kinds.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "stats/custom_config.h"
#include "stats/trend.h"
#include "storage/drift_components.h"

static int check_model(struct part *part, const struct config *config,
                       const struct alert_rule *rule)
{
    if (!rule->model)
        return part_refuse(part, "", "needs `model`");
    if (config_model_find(config, rule->model) || config->auto_models.task)
        return 0;
    const char *names[256];
    size_t n = 0;
    for (size_t i = 0; i < config->n_models && n < 256; i++)
        names[n++] = config->models[i].name;
    const char *near = text_near(rule->model, names, n);
    return near ? part_refuse(part, "model", "\"%s\" is not configured; did you mean %s?",
                              rule->model, near)
                : part_refuse(part, "model", "\"%s\" is not configured", rule->model);
}

/* What the model's own formulas come to before the labels do. */
static int check_own_estimate(struct part *part, const struct config_model *model, enum task task,
                              const char *name)
{
    AUTO(custom_set) struct custom_set *set = NULL;
    struct metric_query metric;
    struct err why = {0};
    if (custom_set_of(&set, model, task, &why) || metric_resolve(&metric, set, task, name, &why))
        return part_refuse(part, "metric", "%s", why.text);
    return 0;
}

/* The metric must exist for the model's task, be it built-in or the model's own. */
static int check_metric(struct part *part, const struct config *config,
                        const struct alert_rule *rule)
{
    const struct config_model *model = config_model_find(config, rule->model);
    const char *task = model ? model->task : config->auto_models.task;
    if (!rule->metric || !task)
        return 0;
    for (size_t i = 0; model && i < model->n_metrics; i++) {
        if (strcmp(model->metrics[i].name, rule->metric) == 0)
            return 0;
        const char *of = metric_estimated(rule->metric);
        if (of && model->metrics[i].expr && strcmp(model->metrics[i].name, of) == 0)
            return check_own_estimate(part, model, (enum task)task_parse(task), rule->metric);
    }
    struct metric_ref metric;
    struct err why = {0};
    if (metric_find(&metric, rule->metric, (enum task)task_parse(task), &why))
        return part_refuse(part, "metric", "%s", why.text);
    return 0;
}

/* A slice of a key that the model has no series of would never have data. */
int rule_check_segment(struct part *part, const struct config *config,
                       const struct alert_rule *rule)
{
    const struct config_model *model =
        rule->model && rule->slice[0] ? config_model_find(config, rule->model) : NULL;
    if (!model)
        return 0;
    char key[300];
    snprintf(key, sizeof(key), "%.*s", (int)strcspn(rule->slice, "="), rule->slice);
    for (size_t i = 0; i < model->n_segments; i++)
        if (strcmp(model->segments[i], key) == 0)
            return 0;
    const char *near = text_near(key, model->segments, model->n_segments);
    return part_refuse(part, "segment", "\"%s\" is none of the model's `segments`%s%s%s", key,
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int read_level(struct part *part, const json_t *object, struct alert_rule *rule)
{
    bool below = false, above = false, clear = false;
    double level = 0, other = 0;
    int rc = part_number(part, object, "below", &level, &below);
    if (!rc)
        rc = part_number(part, object, "above", &other, &above);
    if (rc)
        return rc;
    if (below == above)
        return part_refuse(part, "", "needs exactly one of `below` and `above`");
    rule->above = above;
    rule->level = above ? other : level;
    rule->clear = rule->level;
    rc = part_number(part, object, "clear", &rule->clear, &clear);
    if (!rc && clear && (above ? rule->clear > rule->level : rule->clear < rule->level))
        return part_refuse(part, "clear", "%g must lie on the good side of %g", rule->clear,
                           rule->level);
    return rc;
}

/* An estimate beside what came true: the metric without `estimated_`, which the model must have. */
static int check_realised(struct part *part, const struct config *config,
                          const struct alert_rule *rule)
{
    struct alert_rule realised = *rule;
    realised.metric = metric_estimated(rule->metric);
    if (!realised.metric)
        return part_refuse(part, "relative_to",
                           "realised is for estimates, as estimated_accuracy; \"%s\" is none",
                           rule->metric);
    return check_metric(part, config, &realised);
}

static int read_relative(struct part *part, const struct config *config, const json_t *object,
                         struct alert_rule *rule)
{
    const char *text = NULL;
    int rc = part_text(part, object, "relative_to", &text);
    if (rc || !text)
        return rc;
    if (strcmp(text, "reference") == 0) {
        rule->relative_to = RELATIVE_REFERENCE;
        return 0;
    }
    if (strcmp(text, "realised") == 0) {
        rule->relative_to = RELATIVE_REALISED;
        return check_realised(part, config, rule);
    }
    if (strcmp(text, "previous") == 0) {
        rule->relative_to = RELATIVE_PREVIOUS;
        rule->relative_ms = rule->window_ms;
        return 0;
    }
    if (duration_parse(&rule->relative_ms, text, strlen(text)) || rule->relative_ms <= 0)
        return part_refuse(part, "relative_to",
                           "\"%s\" is not previous, reference, realised or a time back such as 7d",
                           text);
    rule->relative_to = RELATIVE_BACK;
    return 0;
}

static int read_trend(struct part *part, const json_t *object, struct alert_rule *rule)
{
    static const char *const ways[] = {"increasing", "decreasing"};
    int way = 0;
    int rc = part_word(part, object, "trend", ways, 2, &way);
    rule->decreasing = way == 1;
    bool given = false;
    double points = 6;
    if (!rc)
        rc = part_number(part, object, "points", &points, &given);
    if (!rc && (points < 3 || points > 1000 || points != floor(points)))
        return part_refuse(part, "points", "%g is not a whole number in 3..1000", points);
    rule->points = (int)points;
    if (!rc)
        rc = part_number(part, object, "false_alarm_rate", &rule->trend_rate, &given);
    if (!rc && given && !(rule->trend_rate > 0 && rule->trend_rate <= 0.5))
        return part_refuse(part, "false_alarm_rate", "%g is not above 0 and at most 0.5",
                           rule->trend_rate);
    if (!rc && given && rule->trend_rate < trend_least_p(rule->points))
        return part_refuse(part, "false_alarm_rate",
                           "%g cannot be reached with %d points: even a rise each time is as "
                           "probable as %.2g",
                           rule->trend_rate, rule->points, trend_least_p(rule->points));
    return rc;
}

/* `drift: any`, `drift: feature` with its name, or `drift: share` with `above`. */
static int read_drift(struct part *part, const json_t *object, struct alert_rule *rule)
{
    static const char *const ways[] = {"any", "feature", "share"};
    int way = 0;
    bool above = false;
    int rc = part_word(part, object, "drift", ways, 3, &way);
    if (!rc)
        rc = part_text(part, object, "feature", &rule->feature);
    if (!rc && (way == 1) != (rule->feature != NULL))
        return part_refuse(part, "feature", "is given with `drift: feature`, and only there");
    rule->kind = RULE_DRIFT;
    rule->above = true;
    rule->drift_share = way == 2;
    if (!rc)
        rc = part_number(part, object, "above", &rule->level, &above);
    if (!rc && above != rule->drift_share)
        return part_refuse(part, "above", "is given with `drift: share`, and only there");
    if (!rc && above && !(rule->level >= 0 && rule->level < 1))
        return part_refuse(part, "above", "%g is not in 0..1", rule->level);
    rule->clear = rule->level;
    return rc;
}

/* What was fitted on all rows of a reference says nothing of one slice. */
static int check_drift(struct part *part, const struct alert_rule *rule)
{
    if (!rule->slice[0] || !is_of_components(rule->feature))
        return 0;
    return part_refuse(part, "segment",
                       "%s judges all features together, and those of the whole model only; leave "
                       "the segment out, or give it `drift: any`, which judges its features one by "
                       "one",
                       rule->feature);
}

/* `change: any`, or a metric's or a feature's name. */
static int read_change(struct part *part, const json_t *object, struct alert_rule *rule)
{
    rule->kind = RULE_CHANGE;
    int rc = part_text(part, object, "change", &rule->stream);
    if (!rc && strcmp(rule->stream, "any") == 0)
        rule->stream = NULL;
    return rc;
}

static bool slices_are_watched(const struct config_changes *changes, const char *slice)
{
    const size_t n = strcspn(slice, "=");
    for (size_t i = 0; i < changes->n_segments; i++)
        if (strlen(changes->segments[i]) == n && strncmp(changes->segments[i], slice, n) == 0)
            return true;
    return false;
}

static bool is_feature(const struct config_model *model, const char *stream)
{
    bool found = strcmp(stream, "@score") == 0 || strcmp(stream, "@prediction") == 0;
    for (size_t i = 0; !found && i < model->n_features; i++)
        found = strcmp(model->features[i].name, stream) == 0;
    return found;
}

static bool is_watched_in_slices(const struct config_changes *changes, const char *feature)
{
    for (size_t i = 0; i < changes->n_segment_features; i++)
        if (strcmp(changes->segment_features[i], feature) == 0)
            return true;
    return false;
}

/* A model or a slice whose changes nobody looks for would never alarm. */
static int check_change(struct part *part, const struct config *config,
                        const struct alert_rule *rule)
{
    const struct config_model *model = config_model_find(config, rule->model);
    if (!model || !model->changes.expected_run_time)
        return part_refuse(part, "change", "model %s has no `changes`: {expected_run_time: …}",
                           rule->model);
    if (rule->slice[0] && !slices_are_watched(&model->changes, rule->slice))
        return part_refuse(part, "segment",
                           "model %s looks for no changes there: its `changes` "
                           "has no such key in `segments`",
                           rule->model);
    if (rule->slice[0] && rule->stream && is_feature(model, rule->stream) &&
        !is_watched_in_slices(&model->changes, rule->stream))
        return part_refuse(part, "change",
                           "%s is a feature, which is watched in slices only where "
                           "`changes.segment_features` names it",
                           rule->stream);
    return 0;
}

/* `quality: missing`, `invalid` or a reason of it, with `above`: a share; of one feature or of any.
 */
static int read_quality(struct part *part, const json_t *object, struct alert_rule *rule)
{
    static const char *const words[] = {"missing", "invalid",  "type",
                                        "range",   "category", "not_finite"};
    int word = 0;
    bool above = false;
    rule->kind = RULE_QUALITY;
    rule->above = true;
    int rc = part_word(part, object, "quality", words, 6, &word);
    rule->quality = (enum rule_quality)word;
    if (!rc)
        rc = part_text(part, object, "feature", &rule->feature);
    if (!rc)
        rc = part_number(part, object, "above", &rule->level, &above);
    if (!rc && !above)
        return part_refuse(part, "above", "is missing: the share of values that is too much");
    if (!rc && !(rule->level >= 0 && rule->level < 1))
        return part_refuse(part, "above", "%g is not in 0..1", rule->level);
    rule->clear = rule->level;
    return rc ? rc : part_number(part, object, "clear", &rule->clear, &above);
}

/* `experiment: NAME` (or `any`) with `on:` what happened. */
static int read_experiment(struct part *part, const json_t *object, struct alert_rule *rule)
{
    static const char *const words[] = {"rolled_back", "promoted", "step", "held", "srm"};
    int word = -1;
    rule->kind = RULE_EXPERIMENT;
    int rc = part_text(part, object, "experiment", &rule->experiment);
    if (!rc)
        rc = part_word(part, object, "on", words, 5, &word);
    if (!rc && word < 0)
        return part_refuse(part, "on", "is missing: rolled_back, promoted, step, held or srm");
    rule->on = (enum rule_on)word;
    return rc;
}

static int read_audit(struct part *part, const json_t *object, struct alert_rule *rule)
{
    static const char *const words[] = {"broken"};
    int word = 0;
    rule->kind = RULE_AUDIT;
    return part_word(part, object, "audit", words, 1, &word);
}

static int read_lag(struct part *part, const json_t *object, struct alert_rule *rule)
{
    bool given = false;
    rule->kind = RULE_LAG;
    rule->above = true;
    int rc = part_number(part, object, "lag", &rule->level, &given);
    rule->clear = rule->level;
    return rc;
}

static int read_absent(struct part *part, const json_t *object, struct alert_rule *rule)
{
    rule->kind = RULE_ABSENT;
    int rc = part_duration(part, object, "absent", &rule->absent_ms);
    return rc || rule->absent_ms > 0 ? rc : part_refuse(part, "absent", "must be above 0");
}

static int read_certificate(struct part *part, const json_t *object, struct alert_rule *rule)
{
    rule->kind = RULE_CERTIFICATE;
    int rc = part_duration(part, object, "certificate", &rule->certificate_ms);
    return rc || rule->certificate_ms > 0 ? rc
                                          : part_refuse(part, "certificate", "must be above 0");
}

static int read_metric(struct part *part, const struct config *config, const json_t *object,
                       struct alert_rule *rule)
{
    if (!rule->metric)
        return part_refuse(part, "", "needs `metric`");
    int rc = check_metric(part, config, rule);
    bool trend = json_object_get(object, "trend") != NULL;
    rule->kind = trend ? RULE_TREND : RULE_LEVEL;
    if (rc || trend)
        return rc ? rc : read_trend(part, object, rule);
    rc = read_level(part, object, rule);
    return rc ? rc : read_relative(part, config, object, rule);
}

static const struct kind {
    const char *key;
    bool of_a_model;
    int (*read)(struct part *part, const json_t *object, struct alert_rule *rule);
} kinds[] = {
    {"absent", true, read_absent},   {"drift", true, read_drift},
    {"quality", true, read_quality}, {"experiment", false, read_experiment},
    {"audit", false, read_audit},    {"lag", false, read_lag},
    {"change", true, read_change},   {"certificate", false, read_certificate},
};

int rule_read_kind(struct part *part, const struct config *config, const json_t *object,
                   struct alert_rule *rule)
{
    const struct kind *kind = NULL;
    size_t n = json_object_get(object, "trend") != NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!json_object_get(object, kinds[i].key))
            continue;
        kind = &kinds[i];
        n++;
    }
    if (n > 1)
        return part_refuse(
            part, "",
            "is only one of `absent`, `drift`, `quality`, `experiment`, `audit`, `trend`, "
            "`change`, `certificate` and `lag`");
    if (json_object_get(object, "on") && (!kind || kind->read != read_experiment))
        return part_refuse(part, "on", "belongs to `experiment`");
    bool of_a_model = !kind || kind->of_a_model;
    int rc = of_a_model || rule->model ? check_model(part, config, rule) : 0;
    if (rc)
        return rc;
    if (!kind)
        return read_metric(part, config, object, rule);
    rc = kind->read(part, object, rule);
    if (!rc && rule->kind == RULE_DRIFT)
        rc = check_drift(part, rule);
    return !rc && rule->kind == RULE_CHANGE ? check_change(part, config, rule) : rc;
}
