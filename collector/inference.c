/*
 * Bodies of model servers → one event a row.
 *
 * Whatever form a body has, it becomes a list of rows first, a row being one value, a list or a map
 * of names:
 *
 *     {"instances":[{"a":1},{"a":2}]}                                      rows as they are
 *     {"inputs":{"a":[1,2]}}                                               columns
 *     {"inputs":[{"name":"a","datatype":"FP64","shape":[2,1],"data":[1,2]}]}      V2 tensors
 *     {"dataframe_split":{"columns":["a"],"data":[[1],[2]]}}               MLflow
 *
 * Request row i and answer row i make event i. What a number in the answer means, the model's task
 * decides: 0.83 is P(positive) of a binary model and the value of a regression. Whole numbers and
 * texts are classes.
 */
#include <stdio.h>
#include <string.h>

#include "collector/format_parts.h"

enum {
    MAX_COLUMNS = 256, /* a row of more numbers is an embedding, not features of their own */
};

static enum reject bad(struct format *format, const char *what)
{
    return format_refuse(format, REJECT_BAD_FORMAT, "%s: %s", format->kind->name, what);
}

/* ---- any body → rows ---- */

/* Row-major data, flat or nested, as one flat list. */
static bool flatten(json_t *value, json_t *out, int depth)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value))
        return json_array_append(out, value) == 0;
    if (depth == EVENT_MAX_DEPTH)
        return false;
    json_array_foreach(value, i, item)
    {
        if (!flatten(item, out, depth + 1))
            return false;
    }
    return true;
}

static bool is_tensor(json_t *value)
{
    return json_is_string(json_object_get(value, "name")) &&
           json_is_array(json_object_get(value, "shape")) &&
           json_is_array(json_object_get(value, "data"));
}

/* The member `name` of row i, for as many rows as the tensor has. */
static enum reject add_tensor(struct format *format, json_t *tensor, json_t *rows,
                              size_t max_columns)
{
    json_t *shape = json_object_get(tensor, "shape"), *item;
    size_t n_rows = json_array_size(rows), width = 1, i;
    const char *name = json_string_value(json_object_get(tensor, "name"));
    json_array_foreach(shape, i, item)
    {
        json_int_t size = json_integer_value(item);
        if (!json_is_integer(item) || size < 0 || size > EVENT_MAX_BYTES)
            return bad(format, "a tensor's shape is no list of sizes");
        if (i == 0 && (size_t)size != n_rows)
            return bad(format, "tensors of different numbers of rows");
        width = i == 0 ? 1 : width * (size_t)size;
        if (width > EVENT_MAX_BYTES)
            return bad(format, "a tensor of more values than the message has bytes");
    }
    json_t *flat = json_array();
    bool whole = flat && flatten(json_object_get(tensor, "data"), flat, 0) &&
                 json_array_size(flat) == n_rows * width;
    for (i = 0; whole && i < n_rows; i++) {
        json_t *row = json_array_get(rows, i), *list = json_array();
        for (size_t j = 0; j < width; j++) {
            json_t *value = json_array_get(flat, i * width + j);
            char column[EVENT_MAX_NAME_BYTES + 32];
            if (width == 1) {
                json_object_set(row, name, value);
            } else if (width <= max_columns) {
                snprintf(column, sizeof(column), "%.256s_%zu", name, j);
                json_object_set(row, column, value);
            } else {
                json_array_append(list, value);
            }
        }
        if (json_array_size(list))
            json_object_set(row, name, list);
        json_decref(list);
    }
    json_decref(flat);
    return whole ? REJECT_NONE : bad(format, "a tensor's data does not fill its shape");
}

static enum reject tensors_to_rows(struct format *format, json_t *tensors, json_t *rows,
                                   size_t max_columns)
{
    json_t *first = json_array_get(json_object_get(json_array_get(tensors, 0), "shape"), 0);
    json_int_t n = first ? json_integer_value(first) : 1;
    size_t i;
    json_t *tensor;
    if (n < 0 || n > FORMAT_MAX_ROWS)
        return bad(format, "more than 4096 rows");
    for (json_int_t row = 0; row < n; row++)
        json_array_append_new(rows, json_object());
    json_array_foreach(tensors, i, tensor)
    {
        if (!is_tensor(tensor))
            return bad(format, "a tensor without name, shape or data");
        enum reject reason = add_tensor(format, tensor, rows, max_columns);
        if (reason)
            return reason;
    }
    return REJECT_NONE;
}

/* {name: [value of row 0, value of row 1, …]} */
static enum reject columns_to_rows(struct format *format, json_t *columns, json_t *rows)
{
    const char *name;
    json_t *column;
    size_t i;
    json_object_foreach(columns, name, column)
    {
        if (!json_is_array(column))
            return bad(format, "a column that is no list");
        if (json_array_size(column) > FORMAT_MAX_ROWS)
            return bad(format, "more than 4096 rows");
        while (json_array_size(rows) < json_array_size(column))
            json_array_append_new(rows, json_object());
        for (i = 0; i < json_array_size(column); i++)
            json_object_set(json_array_get(rows, i), name, json_array_get(column, i));
    }
    json_object_foreach(columns, name, column)
    {
        if (json_array_size(column) != json_array_size(rows))
            return bad(format, "columns of different lengths");
    }
    return REJECT_NONE;
}

static enum reject frame_to_rows(struct format *format, json_t *frame, json_t *rows)
{
    json_t *names = json_object_get(frame, "columns");
    json_t *data = json_object_get(frame, "data");
    json_t *values;
    size_t i;
    if (!json_is_array(names) || !json_is_array(data))
        return bad(format, "dataframe_split without columns or data");
    json_array_foreach(data, i, values)
    {
        json_t *row = json_object();
        for (size_t j = 0; j < json_array_size(names); j++) {
            const char *name = json_string_value(json_array_get(names, j));
            json_t *value = json_array_get(values, j);
            if (name && value)
                json_object_set(row, name, value);
        }
        json_array_append_new(rows, row);
    }
    return REJECT_NONE;
}

/*
 * The body's rows in `names`' first member that is there; none at all leaves the list empty. A
 * single tensor of up to max_columns values a row gives a column for each.
 */
static enum reject body_rows(struct format *format, json_t *body, const char *const *names,
                             size_t max_columns, json_t *rows)
{
    json_t *value = NULL;
    for (; !value && *names; names++)
        value = json_object_get(body, *names);
    if (!value)
        return REJECT_NONE;
    if (json_is_object(value) && json_object_get(value, "columns"))
        return frame_to_rows(format, value, rows);
    if (json_is_object(value))
        return columns_to_rows(format, value, rows);
    if (!json_is_array(value))
        return bad(format, "rows that are neither a list nor a map");
    if (is_tensor(json_array_get(value, 0)))
        return tensors_to_rows(format, value, rows, json_array_size(value) == 1 ? max_columns : 0);
    if (json_array_size(value) > FORMAT_MAX_ROWS)
        return bad(format, "more than 4096 rows");
    json_array_extend(rows, value);
    return REJECT_NONE;
}

/* ---- one row → one event ---- */

/* TensorFlow's {"b64": "…"} is a text of bytes: taken as the Base64 it is. */
static json_t *named_features(json_t *row)
{
    const char *name;
    json_t *value, *features = json_object();
    json_object_foreach(row, name, value)
    {
        json_t *text = json_object_get(value, "b64");
        json_object_set(features, name, json_is_string(text) ? text : value);
    }
    return features;
}

static json_t *features_of(json_t *row)
{
    size_t n = json_array_size(row);
    char name[32];
    if (json_is_object(row))
        return named_features(row);
    json_t *features = json_object();
    if (!json_is_array(row) || n > MAX_COLUMNS) {
        json_object_set(features, json_is_array(row) ? "x" : "f0", row);
        return features;
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "f%zu", i);
        json_object_set(features, name, json_array_get(row, i));
    }
    return features;
}

static void set_answer(json_t *event, json_t *value, const char *task);

/* [0.1, 0.9], or the classification API's [["cat", 0.9], …] */
static void set_scores(json_t *event, json_t *list)
{
    json_t *scores = json_object(), *best = NULL, *item;
    double highest = -1;
    size_t i;
    json_array_foreach(list, i, item)
    {
        char number[32];
        json_t *score = json_is_array(item) ? json_array_get(item, 1) : item;
        snprintf(number, sizeof(number), "%zu", i);
        const char *name = json_string_value(json_array_get(item, 0));
        json_object_set(scores, name ? name : number, score);
        if (json_is_number(score) && json_number_value(score) > highest) {
            highest = json_number_value(score);
            json_decref(best);
            best = json_string(name ? name : number);
        }
    }
    event_default(event, "scores", scores);
    event_default(event, "prediction", best);
}

static void set_list(json_t *event, json_t *list, const char *task)
{
    size_t n = json_array_size(list);
    if (strcmp(task, "ranking") == 0)
        event_default(event, "ranking", json_incref(list));
    else if (n == 1)
        set_answer(event, json_array_get(list, 0), task);
    else if (n == 2 && strcmp(task, "binary") == 0 && json_is_number(json_array_get(list, 1)))
        event_default(event, "score", json_incref(json_array_get(list, 1)));
    else
        set_scores(event, list);
}

static void set_named(json_t *event, json_t *outputs, const char *task)
{
    static const char *const scores[] = {"score", "scores", "probability", "probabilities"};
    static const char *const classes[] = {"prediction", "predictions", "class",
                                          "classes",    "label",       "predicted_class"};
    bool known = false;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        json_t *value = json_object_get(outputs, classes[i]);
        if (json_array_size(value) == 1)
            value = json_array_get(value, 0);
        known |= value != NULL;
        event_default(event, "prediction", json_incref(value));
    }
    for (size_t i = 0; i < sizeof(scores) / sizeof(scores[0]); i++) {
        json_t *value = json_object_get(outputs, scores[i]);
        known |= value != NULL;
        if (json_is_object(value))
            event_default(event, "scores", json_incref(value));
        else if (json_is_number(value))
            event_default(event, "score", json_incref(value));
        else if (value)
            set_answer(event, value, task);
    }
    if (!known && json_object_size(outputs) == 1)
        set_answer(event, json_object_iter_value(json_object_iter(outputs)), task);
    else if (!known)
        event_default(event, "prediction", json_incref(outputs)); /* refused as a wrong type */
}

static void set_answer(json_t *event, json_t *value, const char *task)
{
    bool is_share =
        json_is_real(value) && json_real_value(value) >= 0 && json_real_value(value) <= 1;
    bool wants_score = strcmp(task, "binary") == 0 || (task[0] == 0 && is_share);
    if (json_is_array(value))
        set_list(event, value, task);
    else if (json_is_object(value))
        set_named(event, value, task);
    else
        event_default(event, json_is_real(value) && wants_score ? "score" : "prediction",
                      json_incref(value));
}

static const char *task_of(const struct format *format, json_t *common)
{
    const char *name = json_string_value(json_object_get(common, "model"));
    const struct config_model *model =
        name && format->config ? config_model_find(format->config, name) : NULL;
    const char *task = NULL;
    if (model)
        task = model->task;
    else if (format->config)
        task = format->config->auto_models.task;
    return task ? task : "";
}

static enum reject add_row(struct format *format, const struct batch_facts *facts, size_t i,
                           size_t n, json_t *features, json_t *answer)
{
    json_t *event = json_object();
    if (!event)
        return format_refuse(format, REJECT_TOO_LARGE, "no memory for it");
    json_object_set_new(event, "type", json_string("prediction"));
    if (facts->id)
        json_object_set_new(event, "id",
                            n == 1 ? json_string(facts->id) : json_sprintf("%s/%zu", facts->id, i));
    json_object_update_missing(event, facts->common);
    if (features)
        event_default(event, "features", features_of(features));
    set_answer(event, answer, task_of(format, facts->common));
    enum reject reason = row_add(format, event);
    json_decref(event);
    return reason;
}

enum reject inference_rows(struct format *format, json_t *request, json_t *answer,
                           const struct batch_facts *facts)
{
    static const char *const of_request[] = {"instances", "inputs", "dataframe_split",
                                             "dataframe_records", NULL};
    static const char *const of_answer[] = {"predictions", "outputs", "result", NULL};
    json_t *features = json_array(), *answers = json_array();
    enum reject reason = body_rows(format, answer, of_answer, 0, answers);
    if (reason == REJECT_NONE)
        reason = body_rows(format, request, of_request, MAX_COLUMNS, features);
    size_t n = json_array_size(answers), n_features = json_array_size(features);
    if (reason == REJECT_NONE && n == 0)
        reason = bad(format, "neither predictions nor outputs");
    if (reason == REJECT_NONE && n_features && n_features != n)
        reason = bad(format, "another number of rows asked than answered");
    for (size_t i = 0; reason == REJECT_NONE && i < n; i++)
        reason =
            add_row(format, facts, i, n, json_array_get(features, i), json_array_get(answers, i));
    json_decref(features);
    json_decref(answers);
    return reason;
}
