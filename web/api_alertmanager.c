/*
 * Silences in the words and on the paths of Alertmanager's API v2, so that amtool works on them. They
 * are the silences of /api/v1: what is made here is seen there.
 *
 * Source   Alertmanager's api/v2/openapi.yaml; what amtool 0.25 sends
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/json_out.h"
#include "common/matcher_text.h"
#include "common/text.h"
#include "storage/alert_rows.h"
#include "web/handlers.h"

struct finding {
    const struct api_input *input;
    struct buf *out;
    int64_t now_ms;
    int64_t id;    /* this one alone; 0: those that the filters leave */
    int64_t ended; /* of the one that was found */
    size_t n;
};

static const char *state_of(const struct silence_row *row, int64_t now_ms)
{
    return row->ends_ms <= now_ms ? "expired" : row->starts_ms > now_ms ? "pending" : "active";
}

static void key_time(struct buf *out, const char *key, int64_t ms)
{
    char time[TEXT_TIME_BYTES];
    out_key_string(out, key, time_print(time, ms));
}

static void write_matcher(struct buf *out, const struct matcher_text *matcher)
{
    out_open(out, '{');
    out_key(out, "name");
    out_bytes(out, matcher->label.data, matcher->label.size);
    out_key(out, "value");
    out_bytes(out, matcher->value.data, matcher->value.size);
    out_key_bool(out, "isRegex", matcher->is_regex);
    out_key_bool(out, "isEqual", !matcher->negative);
    out_close(out, '}');
}

static void write_matchers(struct buf *out, const json_t *matchers)
{
    out_open(out, '[');
    for (size_t i = 0; i < json_array_size(matchers); i++) {
        struct matcher_text matcher;
        if (!matcher_text_parse(&matcher, json_string_value(json_array_get(matchers, i)), NULL))
            write_matcher(out, &matcher);
    }
    out_close(out, ']');
}

static void write_silence(struct finding *finding, const struct silence_row *row,
                          const json_t *matchers)
{
    struct buf *out = finding->out;
    char id[24];
    snprintf(id, sizeof(id), "%" PRId64, row->id);
    out_open(out, '{');
    out_key_string(out, "id", id);
    out_key(out, "status");
    out_open(out, '{');
    out_key_string(out, "state", state_of(row, finding->now_ms));
    out_close(out, '}');
    key_time(out, "updatedAt", row->starts_ms);
    out_key(out, "matchers");
    write_matchers(out, matchers);
    key_time(out, "startsAt", row->starts_ms);
    key_time(out, "endsAt", row->ends_ms);
    out_key_string(out, "createdBy", row->created_by);
    out_key_string(out, "comment", row->comment);
    out_close(out, '}');
}

static bool has_matcher(const json_t *matchers, const struct matcher_text *wanted)
{
    for (size_t i = 0; i < json_array_size(matchers); i++) {
        struct matcher_text matcher;
        if (!matcher_text_parse(&matcher, json_string_value(json_array_get(matchers, i)), NULL) &&
            view_equal(matcher.label, wanted->label) && view_equal(matcher.value, wanted->value) &&
            matcher.is_regex == wanted->is_regex && matcher.negative == wanted->negative)
            return true;
    }
    return false;
}

/* Has it each of the matchers that `filter` names? They were checked before. */
static bool passes(const struct finding *finding, const json_t *matchers)
{
    const struct target *target = finding->input->target;
    for (size_t i = 0; i < target->n_params; i++) {
        struct matcher_text wanted;
        if (!matcher_text_parse(&wanted, target->params[i].value, NULL) &&
            !has_matcher(matchers, &wanted))
            return false;
    }
    return true;
}

static int find(void *context, const struct silence_row *row, struct err *err)
{
    struct finding *finding = context;
    if (finding->id && row->id != finding->id)
        return 0;
    json_t *matchers = json_loads(row->matchers, 0, NULL);
    if (!matchers)
        return err_set(err, ERR_DATA, "silence %" PRId64 ": its matchers are damaged", row->id);
    if (finding->id || passes(finding, matchers)) {
        finding->n++;
        finding->ended = row->ends_ms <= finding->now_ms;
        if (finding->out)
            write_silence(finding, row, matchers);
    }
    json_decref(matchers);
    return 0;
}

static int find_all(struct api_context *context, struct finding *finding, struct err *err)
{
    struct store *store;
    finding->now_ms = clock_wall_ms(context->clock);
    int rc = context_store(context, &store, err);
    return rc ? rc : silences_read(store, INT64_MIN, find, finding, err);
}

int alertmanager_silences(struct api_context *context, const struct api_input *input,
                          struct api_answer *answer, struct err *err)
{
    for (size_t i = 0; i < input->target->n_params; i++) {
        struct matcher_text matcher;
        if (matcher_text_parse(&matcher, input->target->params[i].value, NULL))
            return api_refuse(answer, err, "filter", "a matcher such as alertname=\"auc-low\"",
                              "%.100s is no matcher", input->target->params[i].value);
    }
    struct finding finding = {.input = input, .out = &answer->body};
    out_open(&answer->body, '[');
    int rc = find_all(context, &finding, err);
    out_close(&answer->body, ']');
    return rc;
}

/* The one of that id: 0, or ERR_NOT_FOUND. */
static int find_one(struct api_context *context, struct finding *finding, const char *id,
                    struct err *err)
{
    if (int_parse(&finding->id, id, strlen(id)) || finding->id <= 0)
        return err_set(err, ERR_NOT_FOUND, "no silence \"%.100s\"", id);
    int rc = find_all(context, finding, err);
    return rc || finding->n ? rc : err_set(err, ERR_NOT_FOUND, "no silence \"%.100s\"", id);
}

int alertmanager_silence(struct api_context *context, const struct api_input *input,
                         struct api_answer *answer, struct err *err)
{
    struct finding finding = {.input = input, .out = &answer->body};
    return find_one(context, &finding, input_capture(input, "silence"), err);
}

/* Makes a silence by the body; `former` is the one whose place it takes, or "". */
static int replace(struct api_context *context, const struct api_input *input, const char *former,
                   struct api_answer *answer, struct err *err)
{
    struct finding old = {.input = input};
    int rc = *former ? find_one(context, &old, former, err) : 0;
    if (!rc)
        rc = alert_operate(context, input, "silence", "", answer, err);
    json_t *made =
        rc ? NULL : json_loadb((const char *)answer->body.data, answer->body.size, 0, NULL);
    char id[24];
    snprintf(id, sizeof(id), "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(made, "id")));
    json_decref(made);
    buf_clear(&answer->body);
    if (!rc && *former && !old.ended)
        rc = alert_operate(context, input, "silence-end", former, answer, err);
    buf_clear(&answer->body);
    out_open(&answer->body, '{');
    out_key_string(&answer->body, "silenceID", id);
    out_close(&answer->body, '}');
    return rc;
}

int alertmanager_post_silence(struct api_context *context, const struct api_input *input,
                              struct api_answer *answer, struct err *err)
{
    json_t *body = json_loadb(input->request->body, input->request->body_size, 0, NULL);
    const char *former = json_string_value(json_object_get(body, "id"));
    int rc = replace(context, input, former ? former : "", answer, err);
    json_decref(body);
    return rc;
}
