/* The gate of a pipeline: pass, fail or unknown; and the verdict that can be waited for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "storage/alert_rows.h"
#include "storage/catalog.h"
#include "storage/series.h"
#include "web/experiment_json.h"
#include "web/rule_data.h"

enum {
    MAX_WAIT_MS = 60000,
    POLL_MS = 50,
    STALE_MS = 120000, /* as experiments hold by default */
    DEFAULT_WINDOW_MS = 3600000,
};

/* Before the first look. */
static const char *nothing_yet(const struct stored_experiment *experiment)
{
    return strcmp(experiment->state, "draft") == 0
               ? "a draft: nothing is looked at until it is started"
               : "nothing was looked at yet";
}

/* --- the verdict --- */

static int read_wait(const struct api_input *input, int64_t *out_ms, struct api_answer *answer,
                     struct err *err)
{
    const char *text = input_param(input, "wait");
    *out_ms = 0;
    if (text && (duration_parse(out_ms, text, strlen(text)) || *out_ms < 0))
        return api_refuse(answer, err, "wait", "", "\"%.40s\" is not a duration such as 60s", text);
    if (*out_ms > MAX_WAIT_MS)
        *out_ms = MAX_WAIT_MS;
    return 0;
}

static json_t *print_verdict(const struct stored_experiment *experiment)
{
    if (json_object_size(experiment->verdict))
        return json_incref(experiment->verdict);
    return json_pack("{s:s,s:s,s:s,s:i,s:f,s:s,s:n,s:[]}", "experiment", experiment->name,
                     "verdict", "continue", "state", experiment->state, "step", experiment->step,
                     "weight", experiment->weight, "reason", nothing_yet(experiment), "decided_at",
                     "metrics");
}

/* Waits until the experiment has moved on from `seq` or the time is over. */
static int wait_for_change(struct api_context *context, struct store *store, const char *name,
                           int64_t wait_ms, struct stored_experiment *experiment, struct err *err)
{
    int64_t until_ms = clock_boot_ms(clock_system()) + wait_ms;
    int64_t seq = experiment->seq;
    int rc = 0;
    while (!rc && experiment->seq == seq && clock_boot_ms(clock_system()) < until_ms &&
           !(context->stopping && context->stopping(context->web))) {
        struct timespec pause = {0, POLL_MS * 1000000L};
        nanosleep(&pause, NULL);
        stored_finish(experiment);
        rc = stored_read(store, name, experiment, err);
    }
    return rc;
}

int api_verdict(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    const char *name = input_capture(input, "experiment");
    struct stored_experiment experiment = {0};
    struct store *store;
    int64_t wait_ms;
    int rc = read_wait(input, &wait_ms, answer, err);
    if (!rc)
        rc = context_store(context, &store, err);
    if (rc)
        return rc;
    rc = stored_read(store, name, &experiment, err);
    bool final =
        strcmp(experiment.state, "promoted") == 0 || strcmp(experiment.state, "rolled_back") == 0;
    if (!rc && wait_ms > 0 && !final)
        rc = wait_for_change(context, store, name, wait_ms, &experiment, err);
    if (!rc)
        rc = answer_json(answer, print_verdict(&experiment), err);
    stored_finish(&experiment);
    return rc;
}

/* --- gates --- */

struct gate {
    const char *result;
    json_t *reasons;
    json_t *samples_needed; /* borrowed; NULL: unknown */
};

static void give(struct gate *gate, const char *result, const char *reason)
{
    gate->result = result;
    json_array_append_new(gate->reasons, json_string(reason));
}

static int write_gate(struct api_context *context, const struct api_input *input,
                      struct store *store, const char *model, struct gate *gate,
                      struct api_answer *answer, struct err *err)
{
    int64_t complete_ms = -1, labels_ms = -1;
    struct err ignored;
    if (series_complete(store, model, &complete_ms, &labels_ms, &ignored))
        complete_ms = -1;
    json_t *json =
        json_pack("{s:s,s:o,s:O?,s:o,s:I}", "result", gate->result, "reasons", gate->reasons,
                  "samples_needed", gate->samples_needed, "complete_up_to",
                  complete_ms < 0 ? json_null() : json_integer(complete_ms), "evaluated_at",
                  (json_int_t)clock_wall_ms(context->clock));
    if (input_integer(input, "status", 0) == 1)
        answer->status = *gate->result == 'p' ? 200 : *gate->result == 'f' ? 409 : 503;
    int rc = answer_json(answer, json, err);
    if (rc)
        answer->status = 0;
    return rc;
}

int api_gate_experiment(struct api_context *context, const struct api_input *input,
                        struct api_answer *answer, struct err *err)
{
    struct stored_experiment experiment;
    struct store *store;
    int rc = stored_asked(context, input, &store, &experiment, err);
    if (!rc) {
        const char *why = json_string_value(json_object_get(experiment.verdict, "reason"));
        struct gate gate = {.reasons = json_array(),
                            .samples_needed =
                                json_object_get(experiment.verdict, "samples_needed")};
        give(&gate,
             strcmp(experiment.state, "promoted") == 0      ? "pass"
             : strcmp(experiment.state, "rolled_back") == 0 ? "fail"
                                                            : "unknown",
             why ? why : nothing_yet(&experiment));
        rc = write_gate(context, input, store, stored_text(&experiment, "model"), &gate, answer,
                        err);
    }
    stored_finish(&experiment);
    return rc;
}

/* Flagger's `rollback` hook: 2xx means roll back, everything else go on. */
int api_gate_rollback(struct api_context *context, const struct api_input *input,
                      struct api_answer *answer, struct err *err)
{
    struct stored_experiment experiment;
    struct store *store;
    int rc = stored_asked(context, input, &store, &experiment, err);
    if (!rc) {
        bool due = strcmp(experiment.state, "rolled_back") == 0;
        const char *why = json_string_value(json_object_get(experiment.verdict, "reason"));
        answer->status = due ? 200 : 409;
        rc = answer_json(answer,
                         json_pack("{s:b,s:s,s:s}", "rollback", (int)due, "state", experiment.state,
                                   "reason", why ? why : ""),
                         err);
    }
    stored_finish(&experiment);
    return rc;
}

/* --- a model: by its alert rules --- */

struct rule_states {
    struct gate *gate;
    const char *model;
    json_t *rules; /* of the configuration */
    const char *version;
    json_t *judged; /* names of the rules that have a row */
    bool fails, open;
};

static bool is_of(const json_t *rule, const char *key, const char *value)
{
    const char *named = json_string_value(json_object_get(rule, key));
    return !named || !value || strcmp(named, value) == 0;
}

static int take_alert(void *context, const struct alert_row *row, struct err *err)
{
    (void)err;
    struct rule_states *states = context;
    char text[320];
    bool configured = false;
    size_t i;
    json_t *rule;
    json_array_foreach(states->rules, i, rule)
    {
        const char *name = json_string_value(json_object_get(rule, "name"));
        configured |= name && strcmp(name, row->rule) == 0;
    }
    if (!configured || (*row->model && strcmp(row->model, states->model) != 0) ||
        (states->version && *row->version && strcmp(row->version, states->version) != 0))
        return 0;
    json_object_set_new(states->judged, row->rule, json_true());
    bool firing = row->phase == 2;
    const char *what = firing                            ? "fires"
                       : row->phase == 1                 ? "is pending"
                       : row->phase == 3 || row->no_data ? "has no data"
                                                         : NULL;
    if (!what)
        return 0;
    states->fails |= firing;
    states->open |= !firing;
    snprintf(text, sizeof(text), "rule %.200s %s", row->rule, what);
    json_array_append_new(states->gate->reasons, json_string(text));
    return 0;
}

static size_t count_rules(const struct rule_states *states)
{
    size_t n = 0, i;
    json_t *rule;
    json_array_foreach(states->rules, i, rule)
    {
        n += is_of(rule, "model", states->model) && is_of(rule, "version", states->version);
    }
    return n;
}

/* A rule without a row was quiet, or was never judged: then nothing is known. */
static int find_blind(struct store *store, const struct config *config, struct rule_states *states,
                      int64_t complete_ms, struct err *err)
{
    int rc = 0;
    size_t i;
    json_t *rule;
    json_array_foreach(states->rules, i, rule)
    {
        const char *name = json_string_value(json_object_get(rule, "name"));
        bool has_data = true;
        if (rc || !name || json_object_get(states->judged, name) ||
            !is_of(rule, "model", states->model) || !is_of(rule, "version", states->version))
            continue;
        rc = rule_has_data(store, config, rule, states->model, complete_ms, &has_data, err);
        if (rc || has_data)
            continue;
        char text[320];
        states->open = true;
        snprintf(text, sizeof(text), "rule %.200s has no data", name);
        json_array_append_new(states->gate->reasons, json_string(text));
    }
    return rc;
}

static int count_point(void *context, const struct series_point *point, struct err *err)
{
    (void)err;
    int64_t *n = context;
    *n += point->states ? states_count(point->states) : 0;
    return 0;
}

/* Is there anything of it in the last window? */
static int count_recent(struct store *store, const struct api_input *input, const char *model,
                        int64_t *n, struct err *err)
{
    int64_t complete_ms = -1, labels_ms = -1;
    int64_t window_ms = input_duration(input, "window", DEFAULT_WINDOW_MS);
    *n = 0;
    int rc = series_complete(store, model, &complete_ms, &labels_ms, err);
    if (rc || complete_ms < 0)
        return rc;
    struct series_query query = {
        .model = model,
        .version = input_param(input, "version"),
        .from_ms = complete_ms > window_ms ? complete_ms - window_ms : 0,
        .to_ms = complete_ms + 1,
        .window_ms = 60000,
        .step_ms = 60000,
    };
    struct series_points about; /* keeps no points */
    return series_each(store, &query, count_point, n, &about, err);
}

/* Why our own input says nothing about now; NULL: it does. A broker that is away may hold messages
   that we do not know of; where it is there, a quiet model has its window's time. */
static const char *why_stale(const struct web_health *health, int64_t window_ms)
{
    if (!health->ready)
        return "own input is not ready";
    if (health->behind_ms > STALE_MS)
        return "own input is stale: messages have waited in the log for minutes";
    if (!health->broker_up && health->silent_ms > STALE_MS)
        return "own input is stale: the broker has been away for minutes";
    if (health->silent_ms > STALE_MS && health->silent_ms > window_ms)
        return "own input is stale: nothing has come for longer than the window";
    return NULL;
}

int api_gate_model(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    const char *model = input_capture(input, "model");
    struct model_known known = {0};
    struct store *store;
    int64_t recent = 0;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    rc = model_read(store, model, &known, err);
    model_finish(&known);
    if (!rc)
        rc = count_recent(store, input, model, &recent, err);
    if (rc)
        return rc;
    struct gate gate = {.result = "pass", .reasons = json_array()};
    struct rule_states states = {
        .gate = &gate,
        .model = model,
        .version = input_param(input, "version"),
        .rules = context->config ? json_loads(context->config->alerts.json, 0, NULL) : json_array(),
        .judged = json_object(),
    };
    int64_t complete_ms = -1, labels_ms = -1;
    rc = alerts_read(store, false, take_alert, &states, err);
    if (!rc)
        rc = series_complete(store, model, &complete_ms, &labels_ms, err);
    if (!rc)
        rc = find_blind(store, context->config, &states, complete_ms, err);
    struct web_health health = {.ready = true, .broker_up = true};
    if (context->commands.health)
        context->commands.health(context->commands.context, &health);
    const char *stale = why_stale(&health, input_duration(input, "window", DEFAULT_WINDOW_MS));
    if (states.fails)
        gate.result = "fail";
    else if (stale)
        give(&gate, "unknown", stale);
    else if (count_rules(&states) == 0)
        give(&gate, "unknown", "no rule watches this model");
    else if (recent == 0)
        give(&gate, "unknown", "no predictions in the window");
    else if (states.open)
        gate.result = "unknown";
    json_decref(states.rules);
    json_decref(states.judged);
    if (!rc)
        return write_gate(context, input, store, model, &gate, answer, err);
    json_decref(gate.reasons);
    return rc;
}
