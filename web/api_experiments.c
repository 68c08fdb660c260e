/* Experiments as resources: what is stored of them, their history, and the audit log. What changes
   them goes through web_commands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "common/json_print.h"
#include "common/text.h"
#include "stats/bucket.h"
#include "storage/actuation.h"
#include "storage/audit.h"
#include "storage/looks.h"
#include "web/experiment_json.h"

int answer_json(struct api_answer *answer, json_t *json, struct err *err)
{
    if (!json)
        return err_set(err, -ENOMEM, "no memory for the answer");
    out_value(&answer->body, json);
    json_decref(json);
    return 0;
}

void stored_take(struct stored_experiment *out, const struct experiment_row *row)
{
    *out = (struct stored_experiment){
        .object = json_loads(row->object, 0, NULL),
        .verdict = json_loads(row->verdict, 0, NULL),
        .step = row->step,
        .weight = row->weight,
        .since_ms = row->since_ms,
        .seq = row->seq,
        .created_ms = row->created_ms,
        .applying = row->applying,
    };
    json_t *ramp = json_loads(row->ramp, 0, NULL);
    out->frozen = json_is_true(json_object_get(ramp, "frozen"));
    out->approved = ramp ? (int)json_integer_value(json_object_get(ramp, "approved")) : -1;
    json_decref(ramp);
    strncat(out->name, row->name, sizeof(out->name) - 1);
    strncat(out->state, row->state, sizeof(out->state) - 1);
}

void stored_finish(struct stored_experiment *experiment)
{
    json_decref(experiment->object);
    json_decref(experiment->verdict);
    experiment->object = experiment->verdict = NULL;
}

static int take_one(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    stored_take(context, row);
    return 0;
}

enum {
    MAX_NAMES = 100
};
struct names {
    char *texts[MAX_NAMES];
    size_t n;
};

static int take_name(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    struct names *names = context;
    if (names->n < MAX_NAMES)
        names->texts[names->n++] = strdup(row->name);
    return 0;
}

static int not_found(struct store *store, const char *name, struct err *err)
{
    struct names names = {0};
    int rc = experiments_read(store, NULL, take_name, &names, err);
    const char *texts[MAX_NAMES];
    size_t n = 0;
    for (size_t i = 0; i < names.n; i++)
        if (names.texts[i])
            texts[n++] = names.texts[i];
    const char *near = text_near(name, texts, n);
    if (rc >= 0)
        rc = err_set(err, ERR_NOT_FOUND, "there is no experiment \"%s\"%s%s%s", name,
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    for (size_t i = 0; i < names.n; i++)
        free(names.texts[i]);
    return rc;
}

int stored_read(struct store *store, const char *name, struct stored_experiment *out,
                struct err *err)
{
    *out = (struct stored_experiment){0};
    int rc = experiments_read(store, name, take_one, out, err);
    if (rc)
        return rc;
    return out->object && out->verdict ? 0
           : out->name[0]              ? err_set(err, ERR_CORRUPT, "experiment %s is damaged", name)
                                       : not_found(store, name, err);
}

int stored_asked(struct api_context *context, const struct api_input *input, struct store **store,
                 struct stored_experiment *out, struct err *err)
{
    *out = (struct stored_experiment){0};
    int rc = context_store(context, store, err);
    return rc ? rc : stored_read(*store, input_capture(input, "experiment"), out, err);
}

const char *stored_text(const struct stored_experiment *experiment, const char *key)
{
    const char *text = json_string_value(json_object_get(experiment->object, key));
    return text ? text : "";
}

bool stored_treats(const struct stored_experiment *experiment, const char *unit, size_t n)
{
    const char *salt = stored_text(experiment, "salt");
    return bucket_of(salt, strlen(salt), unit, n) < experiment->weight / 100;
}

json_t *stored_print(const struct stored_experiment *experiment)
{
    json_t *json = json_deep_copy(experiment->object);
    json_t *units = json_object_get(experiment->verdict, "units");
    json_t *more = json_pack(
        "{s:s,s:i,s:f,s:I,s:I,s:b,s:b,s:i,s:I,s:O?}", "state", experiment->state, "step",
        experiment->step, "weight", experiment->weight, "since", (json_int_t)experiment->since_ms,
        "created", (json_int_t)experiment->created_ms, "applying", (int)experiment->applying,
        "frozen", (int)experiment->frozen, "approved", experiment->approved, "seq",
        (json_int_t)experiment->seq, "units", units);
    if (json && more) {
        json_object_update(json, more);
        json_object_set(json, "verdict",
                        json_object_size(experiment->verdict) ? experiment->verdict : json_null());
    }
    json_decref(more);
    return json;
}

static int take_item(void *context, const struct experiment_row *row, struct err *err)
{
    struct stored_experiment one;
    stored_take(&one, row);
    int rc = json_array_append_new(context, stored_print(&one))
                 ? err_set(err, -ENOMEM, "no memory for the answer")
                 : 0;
    stored_finish(&one);
    return rc;
}

int api_experiments(struct api_context *context, const struct api_input *input,
                    struct api_answer *answer, struct err *err)
{
    (void)input;
    struct store *store;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    json_t *items = json_array();
    rc = experiments_read(store, NULL, take_item, items, err);
    json_t *list = json_pack("{s:o,s:n}", "items", items, "next");
    if (!rc)
        return answer_json(answer, list, err);
    json_decref(list);
    return rc;
}

static int take_actuation(void *context, const struct actuation_row *row, struct err *err)
{
    json_t *json =
        json_pack("{s:s,s:f,s:b,s:I,s:I,s:I,s:s,s:o}", "name", row->actuator, "weight", row->weight,
                  "confirmed", (int)row->confirmed, "wanted_at", (json_int_t)row->wanted_ms,
                  "attempts", (json_int_t)row->attempts, "corrections",
                  (json_int_t)row->corrections, "problem", row->problem, "confirmed_at",
                  row->confirmed_ms ? json_integer((json_int_t)row->confirmed_ms) : json_null());
    return json_array_append_new(context, json) ? err_set(err, -ENOMEM, "no memory for the answer")
                                                : 0;
}

static int write_one(struct api_context *context, const char *name, struct api_answer *answer,
                     struct err *err)
{
    struct stored_experiment experiment;
    struct store *store;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    rc = stored_read(store, name, &experiment, err);
    json_t *actuators = json_array(), *json = NULL;
    if (!rc)
        rc = actuations_read(store, NULL, name, take_actuation, actuators, err);
    if (!rc)
        json = stored_print(&experiment);
    if (json && json_array_size(actuators))
        json_object_set(json, "actuators", actuators);
    if (!rc)
        rc = answer_json(answer, json, err);
    json_decref(actuators);
    stored_finish(&experiment);
    return rc;
}

int api_experiment(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    return write_one(context, input_capture(input, "experiment"), answer, err);
}

/* --- changes --- */

static int refused(int rc, struct api_answer *answer, const struct err *err)
{
    if (rc <= 0)
        return rc;
    answer->status = rc == WEB_UNKNOWN ? 404 : rc == WEB_CONFLICT ? 409 : 422;
    return err && err->code < 0 ? err->code : ERR_DATA;
}

static const char *who_of(const struct api_input *input)
{
    return input->request->who ? input->request->who : "operator";
}

int api_create_experiment(struct api_context *context, const struct api_input *input,
                          struct api_answer *answer, struct err *err)
{
    char name[129] = "";
    if (!context->commands.experiment_create)
        return err_set(err, ERR_NOT_FOUND, "experiments are only created by a running daemon");
    AUTO_FREE char *body = strndup(input->request->body, input->request->body_size);
    if (!body)
        return err_set(err, -ENOMEM, "no memory for an experiment");
    int rc = context->commands.experiment_create(context->commands.context, body, who_of(input),
                                                 name, err);
    if (rc)
        return refused(rc, answer, err);
    api_answer_locate(answer, input->route->pattern, name);
    return write_one(context, name, answer, err);
}

/* The body's members into the order; ERR_USAGE names the wrong one. */
static int read_order(json_t *body, struct web_order *order, struct api_answer *answer,
                      struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        if (strcmp(key, "reason") == 0 && json_is_string(value))
            order->reason = json_string_value(value);
        else if (strcmp(key, "id") == 0 && json_is_string(value))
            order->id = json_string_value(value);
        else if (strcmp(key, "step") == 0 && json_is_integer(value) &&
                 json_integer_value(value) >= 0 && json_integer_value(value) < 1000)
            order->step = (int)json_integer_value(value);
        else
            return api_refuse(
                answer, err, key, "reason\nstep\nid",
                "a command takes \"reason\" and \"id\" as text, \"step\" as a number");
    }
    return 0;
}

int api_command_experiment(struct api_context *context, const struct api_input *input,
                           struct api_answer *answer, struct err *err)
{
    struct web_order order = {
        .experiment = input_capture(input, "experiment"),
        .command = input_capture(input, "command"),
        .step = -1,
        .reason = "",
        .id = "",
    };
    if (!context->commands.experiment_command)
        return err_set(err, ERR_NOT_FOUND, "experiments are only operated by a running daemon");
    const struct api_request *request = input->request;
    json_error_t where;
    json_t *body = request->body_size ? json_loadb(request->body, request->body_size,
                                                   JSON_REJECT_DUPLICATES, &where)
                                      : json_object();
    int rc = json_is_object(body) ? read_order(body, &order, answer, err)
                                  : api_refuse(answer, err, "body", "a JSON object",
                                               "must be a JSON object such as {\"reason\":\"…\"}");
    if (!rc)
        rc = context->commands.experiment_command(context->commands.context, &order, who_of(input),
                                                  err);
    json_decref(body);
    return rc ? refused(rc, answer, err) : write_one(context, order.experiment, answer, err);
}

/* --- what happened --- */

struct history {
    json_t *items;
    bool full;
    size_t at; /* the first item that has no audit row yet */
};

static void print_hash(char *out, const unsigned char *hash)
{
    for (int i = 0; i < AUDIT_HASH_BYTES; i++)
        snprintf(out + (size_t)i * 2, 3, "%02x", hash[i]);
}

/* Rows and transitions come in the same order; other rows about the subject lie between. */
static int join_audit(void *context, const struct audit_row *row, struct err *err)
{
    struct history *history = context;
    json_t *item = json_array_get(history->items, history->at);
    const char *verdict = json_string_value(json_object_get(item, "verdict"));
    const char prefix[] = "experiment.";
    size_t n = sizeof(prefix) - 1;
    bool same = verdict && strncmp(row->action, prefix, n) == 0 &&
                strcmp(row->action + n, verdict) == 0 &&
                json_integer_value(json_object_get(item, "at")) == row->at_ms;
    if (!same)
        return 0;
    char hash[2 * AUDIT_HASH_BYTES + 1];
    print_hash(hash, row->hash);
    json_t *audit = json_pack("{s:I,s:s}", "seq", (json_int_t)row->seq, "hash", hash);
    history->at++;
    return json_object_set_new(item, "audit", audit)
               ? err_set(err, -ENOMEM, "no memory for the answer")
               : 0;
}

/* Without `full` the packed evidence stays out: the verdict says what people read. */
static json_t *evidence_of(const char *text, bool full)
{
    json_t *json = json_loads(text, 0, NULL);
    if (!full && json) {
        json_object_del(json, "evidence");
        json_object_del(json, "situation");
        json_object_del(json, "object");
        json_object_del(json, "engine");
    }
    return json;
}

static int take_transition(void *context, const struct transition_row *row, struct err *err)
{
    struct history *history = context;
    json_t *json = json_pack(
        "{s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:{s:s,s:i,s:f},s:{s:s,s:i,s:f},s:s,s:o,s:n}", "id",
        (json_int_t)row->id, "seq", (json_int_t)row->seq, "at", (json_int_t)row->at_ms, "clock",
        row->clock, "who", row->who, "command", row->command, "verdict", row->verdict, "from",
        "state", row->from_state, "step", row->from_step, "weight", row->from_weight, "to", "state",
        row->to_state, "step", row->to_step, "weight", row->to_weight, "reason", row->reason,
        "evidence", evidence_of(row->evidence, history->full), "audit");
    return json_array_append_new(history->items, json)
               ? err_set(err, -ENOMEM, "no memory for the answer")
               : 0;
}

/* The store, where the experiment that is asked for is there and whole. */
static int store_asked(struct api_context *context, const struct api_input *input,
                       struct store **store, struct err *err)
{
    struct stored_experiment experiment;
    int rc = stored_asked(context, input, store, &experiment, err);
    stored_finish(&experiment);
    return rc;
}

int api_experiment_history(struct api_context *context, const struct api_input *input,
                           struct api_answer *answer, struct err *err)
{
    const char *name = input_capture(input, "experiment");
    struct store *store;
    int rc = store_asked(context, input, &store, err);
    if (rc)
        return rc;
    struct history history = {json_array(), input_integer(input, "full", 0) == 1, 0};
    rc = transitions_read(store, name, take_transition, &history, err);
    if (!rc)
        rc = audit_of(store, name, join_audit, &history, err);
    json_t *list = json_pack("{s:o,s:n}", "items", history.items, "next");
    if (!rc)
        return answer_json(answer, list, err);
    json_decref(list);
    return rc;
}

struct look_list {
    json_t *items;
    int64_t n, last_ms;
};

static int take_look(void *context, const struct look_row *row, struct err *err)
{
    struct look_list *list = context;
    json_t *json = json_loads(row->detail, 0, NULL);
    json_t *more = json_pack("{s:I,s:i,s:f}", "at", (json_int_t)row->at_ms, "step", row->step,
                             "weight", row->weight);
    int rc =
        !json || !more || json_object_update(json, more) || json_array_append(list->items, json);
    json_decref(more);
    json_decref(json);
    list->n++;
    list->last_ms = row->at_ms;
    return rc ? err_set(err, -ENOMEM, "no memory for the answer") : 0;
}

int api_experiment_looks(struct api_context *context, const struct api_input *input,
                         struct api_answer *answer, struct err *err)
{
    const char *name = input_capture(input, "experiment");
    int64_t limit = input_integer(input, "limit", 2000);
    struct store *store;
    int rc = store_asked(context, input, &store, err);
    if (rc)
        return rc;
    struct look_list list = {.items = json_array()};
    rc = looks_read(store, name, input_time(input, "after", -1), (int)limit, take_look, &list, err);
    json_t *next = list.n == limit ? json_integer(list.last_ms) : json_null();
    json_t *json = json_pack("{s:o,s:o}", "items", list.items, "next", next);
    if (!rc)
        return answer_json(answer, json, err);
    json_decref(json);
    return rc;
}

struct audit_list {
    struct buf *out;
    int64_t n, last;
};

static int write_audit(void *context, const struct audit_row *row, struct err *err)
{
    (void)err;
    struct audit_list *list = context;
    struct buf *out = list->out;
    char hash[2 * AUDIT_HASH_BYTES + 1];
    print_hash(hash, row->hash);
    out_open(out, '{');
    out_key_int(out, "seq", row->seq);
    out_key_time(out, "at", row->at_ms);
    out_key_string(out, "clock", row->clock);
    out_key_string(out, "who", row->who);
    out_key_string(out, "action", row->action);
    out_key_string(out, "subject", row->subject);
    out_key(out, "detail");
    out_raw(out, row->detail, strlen(row->detail));
    out_key_string(out, "hash", hash);
    out_close(out, '}');
    list->n++;
    list->last = row->seq;
    return 0;
}

/* Below 0: so many rows before the end. */
static int audit_place(struct store *store, int64_t *after, struct err *err)
{
    unsigned char hash[AUDIT_HASH_BYTES];
    int64_t last = 0;
    int rc = *after < 0 ? audit_head(store, &last, hash, err) : 0;
    if (*after < 0)
        *after = last + *after > 0 ? last + *after : 0;
    return rc;
}

int api_audit(struct api_context *context, const struct api_input *input, struct api_answer *answer,
              struct err *err)
{
    struct buf *out = &answer->body;
    struct audit_list list = {.out = out};
    int64_t limit = input_integer(input, "limit", 100), after = input_integer(input, "after", 0);
    struct store *store;
    int rc = context_store(context, &store, err);
    if (!rc)
        rc = audit_place(store, &after, err);
    if (rc)
        return rc;
    out_open(out, '{');
    out_key(out, "items");
    out_open(out, '[');
    rc = audit_read(store, after, (int)limit, write_audit, &list, err);
    out_close(out, ']');
    out_key(out, "next");
    if (list.n == limit)
        out_int(out, list.last);
    else
        out_null(out);
    out_close(out, '}');
    return rc;
}
