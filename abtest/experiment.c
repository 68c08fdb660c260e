/*
 * One table of keys for each level of the object (name, kind, where it goes, range): parsing,
 * printing and the list of known keys in a refusal all read the same rows.
 */
#include "abtest/experiment.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/experiment_metric.h"
#include "common/text.h"

enum {
    MAX_WORDS = 4
};
#define MOST_MS INT64_C(31536000000000) /* 1000 years: sums of two never overflow */

enum kind {
    KIND_TEXT,
    KIND_NUMBER,
    KIND_COUNT,
    KIND_DURATION,
    KIND_BOOL,
    KIND_WORD,  /* int-sized enum: index into words */
    KIND_OTHER, /* read elsewhere */
};

struct key {
    const char *name;
    enum kind kind;
    size_t at;
    double low, high;
    const char *words[MAX_WORDS];
};

/* clang-format off */
#define NO_RANGE -(double)INFINITY, (double)INFINITY
#define E(field) offsetof(struct experiment, field)
#define S(field) offsetof(struct experiment_step, field)
#define M(field) offsetof(struct experiment_metric, field)

static const struct key experiment_keys[] = {
    {"name",           KIND_TEXT,     E(name),            NO_RANGE, {0}},
    {"model",          KIND_TEXT,     E(model),           NO_RANGE, {0}},
    {"control",        KIND_TEXT,     E(control),         NO_RANGE, {0}},
    {"treatment",      KIND_TEXT,     E(treatment),       NO_RANGE, {0}},
    {"salt",           KIND_TEXT,     E(salt),            NO_RANGE, {0}},
    {"alpha",          KIND_NUMBER,   E(alpha),           1e-9, 0.5, {0}},
    {"steps",          KIND_OTHER,    0,                  NO_RANGE, {0}},
    {"metrics",        KIND_OTHER,    0,                  NO_RANGE, {0}},
    {"control_share",  KIND_WORD,     E(control_equal),   NO_RANGE, {"rest", "equal"}},
    {"assignment",     KIND_WORD,     E(by_served),       NO_RANGE, {"hash", "served"}},
    {"holdback",       KIND_NUMBER,   E(holdback),        0, 50, {0}},
    {"noninferiority", KIND_WORD,     E(strict),          NO_RANGE, {"lenient", "strict"}},
    {"max_duration",   KIND_DURATION, E(max_duration_ms), 1, 0, {0}},
    {"on_timeout",     KIND_WORD,     E(on_timeout),      NO_RANGE, {"hold", "rollback", "promote"}},
    {"stale_after",    KIND_DURATION, E(stale_after_ms),  1, 0, {0}},
    {"max_hold",       KIND_DURATION, E(max_hold_ms),     1, 0, {0}},
    {"maturity",       KIND_DURATION, E(maturity_ms),     0, 0, {0}},
    {"start",          KIND_BOOL,     E(start),           NO_RANGE, {0}},
};
static const struct key step_keys[] = {
    {"weight",         KIND_NUMBER,   S(weight),          0, 100, {0}},
    {"min_duration",   KIND_DURATION, S(min_duration_ms), 0, 0, {0}},
    {"min_units",      KIND_COUNT,    S(min_units),       0, 1e15, {0}},
    {"approval",       KIND_BOOL,     S(approval),        NO_RANGE, {0}},
};
static const struct key metric_keys[] = {
    {"metric",               KIND_TEXT,   M(metric),               NO_RANGE, {0}},
    {"role",                 KIND_WORD,   M(role),                 NO_RANGE, {"guardrail", "primary", "monitor"}},
    {"direction",            KIND_WORD,   M(lower_is_better),      NO_RANGE, {"higher", "lower"}},
    {"margin",               KIND_NUMBER, M(margin),               0, INFINITY, {0}},
    {"margin_relative",      KIND_NUMBER, M(margin_relative),      0, INFINITY, {0}},
    {"harm_margin",          KIND_NUMBER, M(harm_margin),          0, INFINITY, {0}},
    {"harm_margin_relative", KIND_NUMBER, M(harm_margin_relative), 0, INFINITY, {0}},
    {"hard_limit",           KIND_NUMBER, M(hard_limit),           NO_RANGE, {0}},
    {"covariate",            KIND_TEXT,   M(covariate),            NO_RANGE, {0}},
    {"expr",                 KIND_TEXT,   M(expr),                 0, 1000, {0}},
};
#undef E
#undef S
#undef M
/* clang-format on */

struct level {
    const struct key *keys;
    size_t n_keys;
    const char *path; /* "" or "steps[0]." … */
};

/* Words are kept in bools and enums: 1 or 4 bytes. */
static bool is_bool_word(const struct key *key)
{
    return strcmp(key->name, "control_share") == 0 || strcmp(key->name, "noninferiority") == 0 ||
           strcmp(key->name, "direction") == 0 || strcmp(key->name, "assignment") == 0;
}

static int put_text(const struct level *level, const struct key *key, json_t *value, char **out,
                    struct err *err)
{
    const char *text = json_string_value(value);
    if (!text || json_string_length(value) != strlen(text))
        return err_set(err, ERR_DATA, "%s%s: must be a text", level->path, key->name);
    size_t n = strlen(text);
    size_t most = isinf(key->high) ? EXPERIMENT_MAX_NAME_BYTES : (size_t)key->high;
    if (n == 0 || n > most)
        return err_set(err, ERR_DATA, "%s%s: must have 1 to %zu bytes, has %zu", level->path,
                       key->name, most, n);
    free(*out);
    *out = strdup(text);
    return *out ? 0 : err_set(err, -ENOMEM, "%s%s: no memory", level->path, key->name);
}

static int put_number(const struct level *level, const struct key *key, json_t *value, double *out,
                      struct err *err)
{
    double number = json_number_value(value);
    if (!json_is_number(value))
        return err_set(err, ERR_DATA, "%s%s: must be a number", level->path, key->name);
    if (!(number >= key->low && number <= key->high))
        return err_set(err, ERR_DATA, "%s%s: %g is not in %g..%g", level->path, key->name, number,
                       key->low, key->high);
    *out = number;
    return 0;
}

static int put_duration(const struct level *level, const struct key *key, json_t *value,
                        int64_t *out, struct err *err)
{
    int64_t ms = 0;
    const char *text = json_string_value(value);
    if (!text || duration_parse(&ms, text, strlen(text)) != 0)
        return err_set(err, ERR_DATA, "%s%s: must be a duration such as 500ms, 30s, 5m, 1h or 7d",
                       level->path, key->name);
    if (ms < (int64_t)key->low || ms > MOST_MS)
        return err_set(err, ERR_DATA, "%s%s: %s is out of range", level->path, key->name, text);
    *out = ms;
    return 0;
}

static int put_word(const struct level *level, const struct key *key, json_t *value, void *out,
                    struct err *err)
{
    const char *text = json_string_value(value);
    for (int i = 0; i < MAX_WORDS && key->words[i]; i++) {
        if (!text || strcmp(text, key->words[i]) != 0)
            continue;
        if (is_bool_word(key))
            *(bool *)out = i == 1;
        else
            *(unsigned *)out = (unsigned)i;
        return 0;
    }
    return err_set(err, ERR_DATA, "%s%s: must be %s%s%s%s%s", level->path, key->name, key->words[0],
                   key->words[2] ? ", " : " or ", key->words[1], key->words[2] ? " or " : "",
                   key->words[2] ? key->words[2] : "");
}

static int put(const struct level *level, const struct key *key, json_t *value, char *object,
               struct err *err)
{
    void *out = object + key->at;
    switch (key->kind) {
    case KIND_TEXT:
        return put_text(level, key, value, (char **)out, err);
    case KIND_NUMBER:
        return put_number(level, key, value, (double *)out, err);
    case KIND_COUNT: {
        double count = 0;
        if (!json_is_integer(value))
            return err_set(err, ERR_DATA, "%s%s: must be a whole number", level->path, key->name);
        int rc = put_number(level, key, value, &count, err);
        if (rc == 0)
            *(int64_t *)out = json_integer_value(value);
        return rc;
    }
    case KIND_DURATION:
        return put_duration(level, key, value, (int64_t *)out, err);
    case KIND_BOOL:
        if (!json_is_boolean(value))
            return err_set(err, ERR_DATA, "%s%s: must be true or false", level->path, key->name);
        *(bool *)out = json_is_true(value);
        return 0;
    case KIND_WORD:
        return put_word(level, key, value, out, err);
    case KIND_OTHER:
        break;
    }
    return 0;
}

static int unknown_key(const struct level *level, const char *name, struct err *err)
{
    const char *words[32];
    for (size_t i = 0; i < level->n_keys; i++)
        words[i] = level->keys[i].name;
    const char *near = text_near(name, words, level->n_keys);
    if (near)
        return err_set(err, ERR_DATA, "%s%s: unknown key, did you mean %s?", level->path, name,
                       near);
    return err_set(err, ERR_DATA, "%s%s: unknown key", level->path, name);
}

static int put_all(const struct level *level, json_t *json, char *object, struct err *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return err_set(err, ERR_DATA, "%s: must be an object",
                       *level->path ? level->path : "experiment");
    json_object_foreach(json, name, value)
    {
        const struct key *key = NULL;
        for (size_t i = 0; i < level->n_keys; i++)
            if (strcmp(level->keys[i].name, name) == 0)
                key = &level->keys[i];
        if (!key)
            return unknown_key(level, name, err);
        int rc = json_is_null(value) ? 0 : put(level, key, value, object, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int parse_steps(struct experiment *e, json_t *steps, struct err *err)
{
    if (!json_is_array(steps))
        return err_set(err, ERR_DATA, "steps: must be a list");
    size_t n = json_array_size(steps);
    if (n < 1 || n > EXPERIMENT_MAX_STEPS)
        return err_set(err, ERR_DATA, "steps: needs 1 to %d of them, has %zu", EXPERIMENT_MAX_STEPS,
                       n);
    e->n_steps = (int)n;
    for (size_t i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof(path), "steps[%zu].", i);
        struct level level = {step_keys, sizeof(step_keys) / sizeof(step_keys[0]), path};
        struct experiment_step *step = &e->steps[i];
        *step = (struct experiment_step){.min_duration_ms = 600000};
        int rc = put_all(&level, json_array_get(steps, i), (char *)step, err);
        if (rc)
            return rc;
        double before = i ? e->steps[i - 1].weight : 0;
        if (!(step->weight > before))
            return err_set(err, ERR_DATA,
                           "steps[%zu].weight: %g is not above %g: weights must rise from step to "
                           "step",
                           i, step->weight, before);
    }
    return 0;
}

int measure_of(struct measure *out, const struct experiment_metric *metric, struct err *err)
{
    if (!metric->expr)
        return measure_resolve(out, metric->metric, err);
    *out = measure_of_formula();
    out->lower_is_better = metric->lower_is_better;
    return 0;
}

static int parse_metrics(struct experiment *e, json_t *metrics, struct err *err)
{
    if (!json_is_array(metrics))
        return err_set(err, ERR_DATA, "metrics: must be a list");
    size_t n = json_array_size(metrics);
    if (n < 1 || n > EXPERIMENT_MAX_METRICS)
        return err_set(err, ERR_DATA, "metrics: needs 1 to %d of them, has %zu",
                       EXPERIMENT_MAX_METRICS, n);
    double none = (double)NAN;
    bool decides = false;
    for (size_t i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof(path), "metrics[%zu].", i);
        struct level level = {metric_keys, sizeof(metric_keys) / sizeof(metric_keys[0]), path};
        struct experiment_metric *m = &e->metrics[i];
        *m =
            (struct experiment_metric){.margin = none, .margin_relative = none, .hard_limit = none};
        e->n_metrics = (int)i + 1;
        struct measure measure;
        json_t *one = json_array_get(metrics, i);
        const char *name = json_string_value(json_object_get(one, "metric"));
        if (name && measure_resolve(&measure, name, NULL) == 0)
            m->lower_is_better = measure.lower_is_better;
        else if (json_object_get(one, "expr") && !json_object_get(one, "direction"))
            return err_set(err, ERR_DATA,
                           "metrics[%zu].direction: is missing; a formula does not say whether "
                           "higher or lower is better",
                           i);
        int rc = put_all(&level, one, (char *)m, err);
        if (rc == 0)
            rc = experiment_metric_check(e, (int)i, err);
        if (rc)
            return rc;
        decides |= m->role != ROLE_MONITOR;
    }
    if (!decides)
        return err_set(err, ERR_DATA,
                       "metrics: all are monitors; at least one guardrail or primary must decide");
    return 0;
}

static int check_whole(struct experiment *e, struct err *err)
{
    const struct {
        const char *key, *value;
    } needed[] = {{"name", e->name},
                  {"model", e->model},
                  {"control", e->control},
                  {"treatment", e->treatment}};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!needed[i].value)
            return err_set(err, ERR_DATA, "%s: is missing", needed[i].key);
    for (const char *c = e->name; *c; c++)
        if (strchr("/?#%", *c) || (unsigned char)*c <= ' ')
            return err_set(err, ERR_DATA, "name: \"%s\" must be free of blanks and / ? # %%",
                           e->name);
    if (strcmp(e->control, e->treatment) == 0)
        return err_set(err, ERR_DATA, "treatment: %s is the control as well; name two versions",
                       e->treatment);
    if (e->by_served && e->control_equal)
        return err_set(err, ERR_DATA,
                       "control_share: equal needs assignment hash: who else splits the traffic "
                       "does not know who stands outside");
    if (!e->salt && !(e->salt = strdup(e->name)))
        return err_set(err, -ENOMEM, "experiment %s: no memory", e->name);
    int below = e->n_steps > 1 ? e->n_steps - 2 : -1;
    if (below >= 0 && e->steps[below].weight > 100 - e->holdback)
        return err_set(err, ERR_DATA, "holdback: %g leaves less than the %g of steps[%d].weight",
                       e->holdback, e->steps[below].weight, below);
    if (experiment_share(e, 0) >= 1)
        return err_set(err, ERR_DATA,
                       "steps[0].weight: %g leaves no control to compare with; start lower or keep "
                       "a holdback",
                       e->steps[0].weight);
    return 0;
}

static void set_defaults(struct experiment *e)
{
    static const struct experiment_step steps[] = {
        {5, 600000, 2000, false}, {50, 1800000, 5000, false}, {100, 1800000, 0, false}};
    e->alpha = 0.05;
    e->n_steps = 3;
    memcpy(e->steps, steps, sizeof(steps));
    e->strict = true;
    e->max_duration_ms = 24 * INT64_C(3600000);
    e->stale_after_ms = 120000;
    e->max_hold_ms = 3600000;
}

static int read_object(struct experiment *e, json_t *json, struct err *err)
{
    struct level level = {experiment_keys, sizeof(experiment_keys) / sizeof(experiment_keys[0]),
                          ""};
    json_t *steps = json_object_get(json, "steps"), *metrics = json_object_get(json, "metrics");
    set_defaults(e);
    int rc = put_all(&level, json, (char *)e, err);
    if (rc == 0 && steps && !json_is_null(steps))
        rc = parse_steps(e, steps, err);
    if (rc == 0 && (!metrics || json_is_null(metrics)))
        rc = err_set(err, ERR_DATA, "metrics: is missing; name at least one guardrail");
    if (rc == 0)
        rc = parse_metrics(e, metrics, err);
    return rc ? rc : check_whole(e, err);
}

int experiment_parse(struct experiment **out, json_t *json, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "experiment: no memory");
    int rc = read_object(*out, json, err);
    if (rc) {
        experiment_free(*out);
        *out = NULL;
    }
    return rc;
}

int experiment_parse_text(struct experiment **out, const char *text, size_t n, struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return err_set(err, ERR_DATA, "experiment: not JSON at line %d, column %d: %s", error.line,
                       error.column, error.text);
    int rc = experiment_parse(out, json, err);
    json_decref(json);
    return rc;
}

void experiment_free(struct experiment *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->n_metrics; i++) {
        free(e->metrics[i].metric);
        free(e->metrics[i].covariate);
        free(e->metrics[i].expr);
    }
    free(e->name);
    free(e->model);
    free(e->control);
    free(e->treatment);
    free(e->salt);
    free(e);
}

/* As people write them, so that what was sent comes back: a day or two in hours. */
static json_t *print_duration(int64_t ms)
{
    const int64_t hour_ms = 3600000;
    char text[TEXT_DURATION_BYTES];
    return ms > 0 && ms % hour_ms == 0 && ms <= 48 * hour_ms
               ? json_sprintf("%" PRId64 "h", ms / hour_ms)
               : json_string(duration_print(text, ms));
}

static json_t *print_value(const struct key *key, const char *object)
{
    const void *at = object + key->at;
    switch (key->kind) {
    case KIND_TEXT: {
        const char *string = *(char *const *)at;
        return string ? json_string(string) : NULL;
    }
    case KIND_NUMBER: {
        double number = *(const double *)at;
        if (isnan(number))
            return NULL;
        return number == floor(number) && fabs(number) < 1e15 ? json_integer((json_int_t)number)
                                                              : json_real(number);
    }
    case KIND_COUNT:
        return json_integer(*(const int64_t *)at);
    case KIND_DURATION:
        return print_duration(*(const int64_t *)at);
    case KIND_BOOL:
        return json_boolean(*(const bool *)at);
    case KIND_WORD:
        return json_string(
            key->words[is_bool_word(key) ? (unsigned)*(const bool *)at : *(const unsigned *)at]);
    case KIND_OTHER:
        break;
    }
    return NULL;
}

static json_t *print_level(const struct key *keys, size_t n, const char *object)
{
    json_t *json = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *value = print_value(&keys[i], object);
        if (value)
            json_object_set_new(json, keys[i].name, value);
    }
    return json;
}

json_t *experiment_print(const struct experiment *e)
{
    json_t *json = print_level(
        experiment_keys, sizeof(experiment_keys) / sizeof(experiment_keys[0]), (const char *)e);
    json_t *steps = json_array(), *metrics = json_array();
    for (int i = 0; i < e->n_steps; i++)
        json_array_append_new(steps,
                              print_level(step_keys, sizeof(step_keys) / sizeof(step_keys[0]),
                                          (const char *)&e->steps[i]));
    for (int i = 0; i < e->n_metrics; i++)
        json_array_append_new(metrics,
                              print_level(metric_keys, sizeof(metric_keys) / sizeof(metric_keys[0]),
                                          (const char *)&e->metrics[i]));
    json_object_set_new(json, "steps", steps);
    json_object_set_new(json, "metrics", metrics);
    return json;
}

double experiment_weight(const struct experiment *e, int step)
{
    return fmin(e->steps[step].weight, 100 - e->holdback);
}

double experiment_control_share(const struct experiment *e, int step)
{
    double w = experiment_weight(e, step) / 100;
    return e->control_equal ? fmin(w, 1 - w) : 1 - w;
}

double experiment_share(const struct experiment *e, int step)
{
    double w = experiment_weight(e, step) / 100;
    return w / (w + experiment_control_share(e, step));
}

enum arm_served experiment_arm(const struct experiment *e, int step, double bucket)
{
    double w = experiment_weight(e, step) / 100;
    if (bucket < w)
        return ARM_TREATMENT;
    return e->control_equal && bucket < fmax(w, 1 - w) ? ARM_OUTSIDE : ARM_CONTROL;
}
