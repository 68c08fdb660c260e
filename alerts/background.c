#include "alerts/background.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "storage/explain.h"
#include "storage/transition.h"

struct choice { /* the experiment on the model that changed last */
    const struct alert_rule *rule;
    int64_t since_ms;
    char *out;
    size_t n_out;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void tell(const struct choice *choice, const struct experiment_row *row,
                 const json_t *object, const json_t *verdict)
{
    const char *control = text_of(object, "control"), *treatment = text_of(object, "treatment");
    const char *reason = text_of(verdict, "reason");
    char at[TEXT_TIME_BYTES];
    time_print(at, row->since_ms);
    if (strcmp(row->state, "rolled_back") == 0)
        snprintf(choice->out, choice->n_out,
                 "rolled %.60s back to %.60s at %s (experiment %.60s%s%s)", treatment, control, at,
                 row->name, *reason ? ": " : "", reason);
    else if (strcmp(row->state, "promoted") == 0)
        snprintf(choice->out, choice->n_out,
                 "nothing rolled back: experiment %.60s promoted %.60s at %s", row->name, treatment,
                 at);
    else
        snprintf(choice->out, choice->n_out,
                 "not rolled back: experiment %.60s is %.20s with %.60s at %.4g%%%s", row->name,
                 row->state, treatment, row->weight,
                 strcmp(text_of(verdict, "verdict"), "hold") == 0 ? ", and holds" : "");
    choice->out[text_fit(choice->out, choice->n_out - 1)] = '\0';
}

static int choose(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    struct choice *choice = context;
    const struct alert_rule *rule = choice->rule;
    if (strcmp(row->model, rule->model) != 0 || strcmp(row->state, "draft") == 0 ||
        row->since_ms < choice->since_ms)
        return 0;
    json_t *object = json_loads(row->object, 0, NULL);
    json_t *verdict = json_loads(row->verdict, 0, NULL);
    bool other = rule->version && strcmp(rule->version, text_of(object, "control")) != 0 &&
                 strcmp(rule->version, text_of(object, "treatment")) != 0;
    if (object && !other) {
        choice->since_ms = row->since_ms;
        tell(choice, row, object, verdict);
    }
    json_decref(object);
    json_decref(verdict);
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_series(const struct alert_rule *a, const struct alert_rule *b)
{
    return a->kind == b->kind && a->window_ms == b->window_ms && a->relative_to == b->relative_to &&
           a->relative_ms == b->relative_ms && same_text(a->model, b->model) &&
           same_text(a->version, b->version) && same_text(a->slice, b->slice) &&
           same_text(a->metric, b->metric);
}

static void look_up(struct background *out, struct store *store, const struct config *config,
                    const struct readings *readings, const struct alert_rule *rule,
                    const struct reading *reading)
{
    struct explain_query query = {
        .model = rule->model,
        .version = rule->version,
        .slice = rule->slice,
        .from_ms = reading->start_ms,
        .to_ms = reading->end_ms + (rule->kind == RULE_CHANGE), /* what was found just now, too */
        .metric = rule->metric,
        .customs = readings_customs(readings, rule->model),
    };
    if (reading->compared_end_ms) { /* as the rule compared */
        query.before_to_ms = reading->compared_end_ms;
        query.before_from_ms = reading->compared_end_ms - rule->window_ms;
    }
    struct err err = {0};
    bool compares =
        rule->kind == RULE_LEVEL || rule->kind == RULE_TREND || rule->kind == RULE_CHANGE;
    if (compares && explain_cause(store, config, &query, out->cause, sizeof(out->cause), &err))
        out->cause[0] = '\0';
    struct choice choice = {rule, INT64_MIN, out->action, sizeof(out->action)};
    snprintf(out->action, sizeof(out->action),
             "nothing rolled back: no experiment runs on the model");
    if (experiments_read(store, NULL, choose, &choice, &err))
        out->action[0] = '\0';
}

void background_read(struct background *out, struct backgrounds *known, struct store *store,
                     const struct config *config, const struct readings *readings,
                     const struct alert_rule *rule, const struct reading *reading)
{
    *out = (struct background){.cause = "", .action = ""};
    size_t i = 0;
    while (i < known->n &&
           !(known->rows[i].end_ms == reading->end_ms && same_series(known->rows[i].rule, rule)))
        i++;
    if (rule->model && i == known->n && i < MAX_BACKGROUNDS) {
        known->rows[i].rule = rule;
        known->rows[i].end_ms = reading->end_ms;
        known->rows[i].background = *out;
        look_up(&known->rows[i].background, store, config, readings, rule, reading);
        known->n++;
    }
    if (i < known->n)
        *out = known->rows[i].background;
    if (reading->cause[0])
        snprintf(out->cause, sizeof(out->cause), "%s", reading->cause);
}
