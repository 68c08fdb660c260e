#include "web/gateway/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_print.h"
#include "common/text.h"

enum {
    POINTER_MAX_BYTES = 1024,
    NAME_MAX_BYTES = 256,
    VALUE_MAX_BYTES = 4096,
    EMBEDDING_MAX = 4096,
};

static void text(struct buf *out, const char *value)
{
    json_text(out, value, strlen(value));
}

static bool is_embedding(json_t *value)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value) || json_array_size(value) > EMBEDDING_MAX)
        return false;
    json_array_foreach(value, i, item)
    {
        if (!json_is_number(item) && !is_embedding(item))
            return false;
    }
    return true;
}

static bool is_scalar(json_t *value)
{
    return json_is_number(value) || json_is_boolean(value) ||
           (json_is_string(value) && json_string_length(value) <= VALUE_MAX_BYTES);
}

static bool may_be_feature(json_t *value)
{
    return json_is_null(value) || is_scalar(value) || is_embedding(value);
}

static bool may_be_segment(json_t *value)
{
    return is_scalar(value) &&
           (!json_is_string(value) || json_string_length(value) <= NAME_MAX_BYTES);
}

static bool may_be_share(json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) <= 1;
}

int event_rows(const struct gateway_settings *settings, json_t *request)
{
    json_t *rows = settings->rows ? pointer_get(request, settings->rows) : NULL;
    size_t n = json_array_size(rows);
    return n <= EVENT_MAX_ROWS ? (int)n : 0;
}

/* `/instances/` `*` `/income` in row 7: what /instances/7/income leads to. */
static json_t *find(json_t *from, const char *pointer, int row)
{
    char at[POINTER_MAX_BYTES];
    size_t n = 0;
    if (row < 0 || !strchr(pointer, '*'))
        return pointer_get(from, pointer);
    for (const char *c = pointer; *c; c++) {
        bool star = c[0] == '*' && c > pointer && c[-1] == '/' && (c[1] == '/' || c[1] == '\0');
        if (n + 12 >= sizeof(at))
            return NULL;
        if (star)
            n += (size_t)snprintf(at + n, sizeof(at) - n, "%d", row);
        else
            at[n++] = *c;
    }
    at[n] = '\0';
    return pointer_get(from, at);
}

struct members {
    struct buf *out;
    const char *key;
    bool (*fits)(json_t *value);
    size_t n;
};

static void add_member(struct members *to, const char *name, json_t *value)
{
    size_t n = strlen(name);
    if (!value || !to->fits(value) || n == 0 || n > NAME_MAX_BYTES || to->n >= FIELDS_MAX)
        return;
    buf_printf(to->out, to->n++ ? "," : ",\"%s\":{", to->key);
    text(to->out, name);
    buf_printf(to->out, ":");
    out_value(to->out, value);
}

static void fields_write(struct members *to, const struct fields *fields, json_t *from, int row)
{
    json_t *whole = fields->pointer ? find(from, fields->pointer, row) : NULL, *value;
    const char *name;
    json_object_foreach(whole, name, value)
    {
        add_member(to, name, value);
    }
    for (size_t i = 0; i < fields->n; i++)
        add_member(to, fields->items[i].name, find(from, fields->items[i].pointer, row));
    if (to->n)
        buf_printf(to->out, "}");
}

static void answer_write(struct buf *out, const struct gateway_settings *s, json_t *answer, int row)
{
    json_t *value = s->prediction ? find(answer, s->prediction, row) : NULL;
    if (is_scalar(value)) {
        buf_printf(out, ",\"prediction\":");
        out_value(out, value);
    }
    value = s->score ? find(answer, s->score, row) : NULL;
    if (may_be_share(value)) {
        buf_printf(out, ",\"score\":");
        out_value(out, value);
    }
    struct members scores = {out, "scores", may_be_share, 0};
    struct fields where = {.pointer = s->scores};
    fields_write(&scores, &where, answer, row);
}

void event_write(struct buf *out, const struct event_facts *facts)
{
    const struct gateway_settings *s = facts->settings;
    buf_printf(out, "{\"type\":\"prediction\",\"id\":");
    text(out, facts->id);
    buf_printf(out, ",\"ts\":%" PRId64 ",\"model\":", facts->ts_ms);
    text(out, s->model);
    buf_printf(out, ",\"version\":");
    text(out, facts->version);
    if (facts->unit) {
        buf_printf(out, ",\"unit\":");
        text(out, facts->unit);
    }
    struct members features = {out, "features", may_be_feature, 0};
    fields_write(&features, &s->features, facts->request, facts->row);
    struct members segment = {out, "segment", may_be_segment, 0};
    fields_write(&segment, &s->segment, facts->request, facts->row);
    if (facts->error) {
        buf_printf(out, ",\"error\":");
        text(out, facts->error);
    } else {
        answer_write(out, s, facts->answer, facts->row);
        if (facts->latency_us >= 0)
            buf_printf(out, ",\"latency_ms\":%" PRId64 ".%03d", facts->latency_us / 1000,
                       (int)(facts->latency_us % 1000));
    }
    buf_printf(out, "}");
}
