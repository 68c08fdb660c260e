/* Alerts, their history, silences and notifications; what changes them goes through web_commands.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/json_out.h"
#include "storage/alert_rows.h"
#include "storage/outbox.h"
#include "web/handlers.h"

/* A page of a list while it is written. */
struct list {
    struct api_context *context;
    const struct api_input *input;
    struct buf *out;
    int64_t limit; /* rows; 0: all of them are on one page */
    int64_t n, last_id;
};

/* Those that a `state` of all asks for, besides the active ones. */
static bool wants_all(const struct list *list)
{
    const char *state = input_param(list->input, "state");
    return state && strcmp(state, "all") == 0;
}

static void count_row(struct list *list, int64_t id)
{
    list->n++;
    list->last_id = id;
}

static int64_t first_id(const struct list *list)
{
    return input_integer(list->input, "after", INT64_MAX);
}

/* `next` is the cursor of the following page: the last id when the page is full. */
static int write_list(struct list *list,
                      int (*read)(struct store *store, struct list *list, struct err *err),
                      struct err *err)
{
    struct store *store;
    int rc = context_store(list->context, &store, err);
    if (rc)
        return rc;
    out_open(list->out, '{');
    out_key(list->out, "items");
    out_open(list->out, '[');
    rc = read(store, list, err);
    out_close(list->out, ']');
    out_key(list->out, "next");
    if (list->limit && list->n == list->limit)
        out_int(list->out, list->last_id);
    else
        out_null(list->out);
    out_close(list->out, '}');
    return rc;
}

static void key_json(struct buf *out, const char *key, const char *json)
{
    out_key(out, key);
    out_raw(out, json, strlen(json));
}

static int write_alert(void *context, const struct alert_row *row, struct err *err)
{
    (void)err;
    static const char *const states[] = {"inactive", "pending", "firing", "no_data"};
    struct buf *out = ((struct list *)context)->out;
    out_open(out, '{');
    out_key_string(out, "id", row->id);
    out_key_string(out, "rule", row->rule);
    out_key_string(out, "state", states[row->phase & 3]);
    out_key_string(out, "model", row->model);
    out_key_string(out, "version", *row->version ? row->version : NULL);
    out_key_string(out, "segment", *row->slice ? row->slice : NULL);
    out_key_string(out, "severity", row->severity);
    out_key_time(out, "since", row->since_ms);
    out_key_time(out, "bad_since", row->bad_since_ms);
    out_key_bool(out, "flapping", row->flapping);
    out_key_bool(out, "no_data", row->no_data);
    out_key_string(out, "acked_by", row->acked_by);
    out_key_time(out, "acked_at", row->acked_by ? row->acked_ms : -1);
    key_json(out, "data", row->data);
    out_close(out, '}');
    return 0;
}

static int read_alerts(struct store *store, struct list *list, struct err *err)
{
    return alerts_read(store, !wants_all(list), write_alert, list, err);
}

int api_alerts(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    struct list list = {.context = context, .input = input, .out = &answer->body};
    return write_list(&list, read_alerts, err);
}

static int write_event(void *context, const struct alert_event_row *row, struct err *err)
{
    (void)err;
    struct list *list = context;
    struct buf *out = list->out;
    out_open(out, '{');
    out_key_int(out, "id", row->id);
    out_key_string(out, "alert", row->alert);
    out_key_string(out, "event", row->event);
    out_key_time(out, "at", row->at_ms);
    out_key_string(out, "clock", row->clock);
    key_json(out, "data", row->data);
    out_close(out, '}');
    count_row(list, row->id);
    return 0;
}

static int read_history(struct store *store, struct list *list, struct err *err)
{
    return alert_history_read(store, input_param(list->input, "alert"), first_id(list),
                              (int)list->limit, write_event, list, err);
}

int api_alert_history(struct api_context *context, const struct api_input *input,
                      struct api_answer *answer, struct err *err)
{
    struct list list = {.context = context,
                        .input = input,
                        .out = &answer->body,
                        .limit = input_integer(input, "limit", 100)};
    return write_list(&list, read_history, err);
}

static int write_silence(void *context, const struct silence_row *row, struct err *err)
{
    (void)err;
    struct buf *out = ((struct list *)context)->out;
    out_open(out, '{');
    out_key_int(out, "id", row->id);
    key_json(out, "matchers", row->matchers);
    out_key_time(out, "starts", row->starts_ms);
    out_key_time(out, "ends", row->ends_ms);
    out_key_string(out, "created_by", row->created_by);
    out_key_string(out, "comment", row->comment);
    out_close(out, '}');
    return 0;
}

static int read_silences(struct store *store, struct list *list, struct err *err)
{
    const int64_t now = clock_wall_ms(list->context->clock);
    return silences_read(store, wants_all(list) ? INT64_MIN : now, write_silence, list, err);
}

int api_silences(struct api_context *context, const struct api_input *input,
                 struct api_answer *answer, struct err *err)
{
    struct list list = {.context = context, .input = input, .out = &answer->body};
    return write_list(&list, read_silences, err);
}

static int write_delivery(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    struct list *list = context;
    struct buf *out = list->out;
    out_open(out, '{');
    out_key_int(out, "id", row->id);
    out_key_string(out, "webhook_id", row->webhook_id);
    out_key_string(out, "receiver", row->receiver);
    out_key_string(out, "group", row->group_key);
    out_key_string(out, "type", row->type);
    out_key_string(out, "state", outbox_state_name(row->state));
    out_key_time(out, "created", row->created_ms);
    out_key_time(out, "next", row->state == OUTBOX_WAITING ? row->next_ms : -1);
    out_key_int(out, "attempts", row->attempts);
    out_key(out, "status");
    if (row->status)
        out_int(out, row->status);
    else
        out_null(out);
    out_key_string(out, "problem", *row->problem ? row->problem : NULL);
    out_key_time(out, "done", row->state == OUTBOX_WAITING ? -1 : row->done_ms);
    out_close(out, '}');
    count_row(list, row->id);
    return 0;
}

static int read_deliveries(struct store *store, struct list *list, struct err *err)
{
    return outbox_read(store, first_id(list), (int)list->limit, write_delivery, list, err);
}

int api_deliveries(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    struct list list = {.context = context,
                        .input = input,
                        .out = &answer->body,
                        .limit = input_integer(input, "limit", 100)};
    return write_list(&list, read_deliveries, err);
}

/* Commands take the body as text: that ends at a NUL, wherever it stands. Who only asks for a test, or
   for a message once more, need not send one, but no other than an object, whose reason is a text. */
static int refuse_body(const struct api_request *request, const char *action,
                       struct api_answer *answer, struct err *err)
{
    if (request->body_size == 0)
        return 0;
    bool object = !memchr(request->body, '\0', request->body_size), reason = true;
    if (object && (strcmp(action, "test") == 0 || strcmp(action, "send-again") == 0)) {
        json_t *body = json_loadb(request->body, request->body_size, 0, NULL);
        const json_t *text = json_object_get(body, "reason");
        object = json_is_object(body);
        reason = !text || json_is_string(text);
        json_decref(body);
    }
    if (!object)
        return api_refuse(answer, err, "body", "a JSON object", "the body is no JSON object");
    return reason ? 0 : api_refuse(answer, err, "reason", "a text", "reason is no text");
}

int alert_operate(struct api_context *context, const struct api_input *input, const char *action,
                  const char *subject, struct api_answer *answer, struct err *err)
{
    if (!context->commands.alert)
        return err_set(err, ERR_NOT_FOUND, "rules and changes of alerts need a running daemon");
    const struct api_request *request = input->request;
    int rc = refuse_body(request, action, answer, err);
    if (rc)
        return rc;
    AUTO_FREE char *body = strndup(request->body_size ? request->body : "{}",
                                   request->body_size ? request->body_size : 2);
    if (!body)
        return err_set(err, -ENOMEM, "alerts: no memory");
    rc = context->commands.alert(context->commands.context, action, subject, body,
                                 request->who ? request->who : "operator", &answer->body, err);
    if (!rc && answer->body.size == 0)
        buf_printf(&answer->body, "{}");
    return rc;
}

int api_alert_rules(struct api_context *context, const struct api_input *input,
                    struct api_answer *answer, struct err *err)
{
    return alert_operate(context, input, "rules", "", answer, err);
}

int api_post_silence(struct api_context *context, const struct api_input *input,
                     struct api_answer *answer, struct err *err)
{
    int rc = alert_operate(context, input, "silence", "", answer, err);
    json_t *made = json_loadb((const char *)answer->body.data, answer->body.size, 0, NULL);
    const json_t *id = json_object_get(made, "id");
    if (!rc && json_is_integer(id)) {
        char segment[24];
        snprintf(segment, sizeof(segment), "%" JSON_INTEGER_FORMAT, json_integer_value(id));
        api_answer_locate(answer, input->route->pattern, segment);
    }
    json_decref(made);
    return rc;
}

int api_delete_silence(struct api_context *context, const struct api_input *input,
                       struct api_answer *answer, struct err *err)
{
    return alert_operate(context, input, "silence-end", input_capture(input, "silence"), answer,
                         err);
}

int api_ack_alert(struct api_context *context, const struct api_input *input,
                  struct api_answer *answer, struct err *err)
{
    return alert_operate(context, input, "ack", input_capture(input, "alert"), answer, err);
}

int api_send_again(struct api_context *context, const struct api_input *input,
                   struct api_answer *answer, struct err *err)
{
    return alert_operate(context, input, "send-again", input_capture(input, "delivery"), answer,
                         err);
}

int api_test_receiver(struct api_context *context, const struct api_input *input,
                      struct api_answer *answer, struct err *err)
{
    return alert_operate(context, input, "test", input_capture(input, "receiver"), answer, err);
}
