/* Which version serves a unit: by our own call, and as an OFREP flag server (OpenFeature). */
#include <errno.h>
#include <string.h>

#include "storage/catalog.h"
#include "web/assigned.h"
#include "web/experiment_json.h"

enum {
    VALID_MS = 2000 /* without a daemon to say */
};

static int64_t valid_ms(const struct api_context *context)
{
    return context->commands.experiment_valid_ms > 0 ? context->commands.experiment_valid_ms
                                                     : VALID_MS;
}

int api_assignment(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    const char *unit = input_param(input, "unit");
    const struct stored_experiment *experiment;
    if (!unit || !*unit)
        return api_refuse(answer, err, "unit", "", "is needed: the user, session … to be served");
    int rc = assigned_find(context, input_capture(input, "experiment"), &experiment, err);
    if (rc)
        return rc;
    const char *arm = stored_treats(experiment, unit, strlen(unit)) ? "treatment" : "control";
    return answer_json(answer,
                       json_pack("{s:s,s:s,s:s,s:s,s:f,s:I}", "experiment", experiment->name,
                                 "unit", unit, "arm", arm, "version", stored_text(experiment, arm),
                                 "weight", experiment->weight, "valid_for_ms",
                                 (json_int_t)valid_ms(context)),
                       err);
}

/* --- OFREP 0.3: its own error shapes, with HTTP status 400 and 404 --- */

static json_t *flag_error(const char *key, const char *code, const char *details)
{
    json_t *json = json_pack("{s:s,s:s}", "errorCode", code, "errorDetails", details);
    if (json && key)
        json_object_set_new(json, "key", json_string(key));
    return json;
}

static const char *reason_of(const struct stored_experiment *experiment)
{
    if (strcmp(experiment->state, "draft") == 0)
        return "DISABLED";
    return strcmp(experiment->state, "running") == 0 || strcmp(experiment->state, "paused") == 0
               ? "SPLIT"
               : "STATIC";
}

static json_t *flag(const struct stored_experiment *experiment, const char *unit)
{
    bool treated = stored_treats(experiment, unit, strlen(unit));
    const char *arm = treated ? "treatment" : "control";
    return json_pack("{s:s,s:s,s:s,s:s,s:{s:s,s:s,s:f,s:i}}", "key", experiment->name, "value",
                     stored_text(experiment, arm), "reason", reason_of(experiment), "variant", arm,
                     "metadata", "model", stored_text(experiment, "model"), "state",
                     experiment->state, "weight", experiment->weight, "step", experiment->step);
}

/* The targeting key of the body, or the error that OFREP has for its absence. */
static json_t *read_context(const struct api_input *input, const char *key, json_t **body,
                            const char **unit)
{
    *body =
        json_loadb(input->request->body, input->request->body_size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(*body))
        return flag_error(key, "PARSE_ERROR", "the body is not a JSON object");
    json_t *context = json_object_get(*body, "context");
    if (!json_is_object(context))
        return flag_error(key, "INVALID_CONTEXT", "\"context\" must be an object");
    json_t *target = json_object_get(context, "targetingKey");
    *unit = json_string_value(target);
    if (!target || (*unit && !**unit))
        return flag_error(key, "TARGETING_KEY_MISSING", "\"context.targetingKey\" is needed");
    return *unit ? NULL
                 : flag_error(key, "INVALID_CONTEXT", "\"context.targetingKey\" must be text");
}

int ofrep_flag(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    const char *key = input_capture(input, "key"), *unit = NULL;
    const struct stored_experiment *experiment;
    json_t *body = NULL;
    int rc = 0;
    json_t *out = read_context(input, key, &body, &unit);
    answer->status = out ? 400 : 200;
    if (!out) {
        struct err why = {0};
        rc = assigned_find(context, key, &experiment, &why);
        if (rc == ERR_NOT_FOUND) {
            answer->status = 404;
            out = flag_error(key, "FLAG_NOT_FOUND", why.text);
            rc = 0;
        } else if (rc) {
            err_set(err, rc, "%s", why.text);
        } else {
            out = flag(experiment, unit);
        }
    }
    if (!rc)
        rc = answer_json(answer, out, err);
    if (rc)
        answer->status = 0;
    json_decref(body);
    return rc;
}

struct bulk {
    json_t *flags;
    const char *unit;
};

static int take_flag(void *context, const struct experiment_row *row, struct err *err)
{
    struct bulk *bulk = context;
    struct stored_experiment experiment;
    stored_take(&experiment, row);
    int rc = json_array_append_new(bulk->flags, flag(&experiment, bulk->unit))
                 ? err_set(err, -ENOMEM, "no memory for the answer")
                 : 0;
    stored_finish(&experiment);
    return rc;
}

int ofrep_flags(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    struct bulk bulk = {0};
    struct store *store;
    json_t *body = NULL;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    json_t *out = read_context(input, NULL, &body, &bulk.unit);
    answer->status = out ? 400 : 200;
    if (!out) {
        bulk.flags = json_array();
        rc = experiments_read(store, NULL, take_flag, &bulk, err);
        out = json_pack("{s:o,s:{}}", "flags", bulk.flags, "metadata");
    }
    if (!rc)
        rc = answer_json(answer, out, err);
    else
        json_decref(out);
    if (rc)
        answer->status = 0;
    json_decref(body);
    return rc;
}
