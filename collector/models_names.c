/*
 * Texts of a model's events as small numbers: slices of its segments, classes, features,
 * categories. Each is bounded; what comes beyond is `__other__`.
 */
#include "collector/models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/models_inside.h"
#include "common/grow.h"
#include "common/text.h"

/* A segment's value as text; NULL data: missing. `room` is for numbers. */
static struct view segment_text(const struct value *value, char room[TEXT_NUMBER_BYTES])
{
    switch (value->kind) {
    case VALUE_TEXT:
    case VALUE_BOOL:
        return value->text;
    case VALUE_NUMBER:
        return value->text.size ? value->text : view_of(number_print(room, value->number));
    default:
        return (struct view){NULL, 0};
    }
}

static const struct value *find_value(const struct named_value *values, uint32_t n,
                                      const char *name, size_t size)
{
    for (uint32_t i = 0; i < n; i++)
        if (values[i].name.size == size && memcmp(values[i].name.data, name, size) == 0)
            return &values[i].value;
    return NULL;
}

static int new_slice(struct model *model, const struct segment_key *key, struct view value,
                     uint32_t *slice, struct err *err)
{
    char text[2 * EVENT_MAX_NAME_BYTES + 2];
    int n = snprintf(text, sizeof(text), "%s=%.*s", key->name, (int)value.size, value.data);
    return model_new_slice(model, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1,
                           slice, err);
}

static int key_slice(const struct models *models, struct model *model, struct segment_key *key,
                     struct view value, uint32_t *slice, struct err *err)
{
    uint64_t id = 0;
    uint32_t *named = NULL;
    if (!value.data || value.size == 0) {
        named = &key->none;
        value = view_of(NONE);
    } else {
        id = id_of(value);
        *slice = id_set_find(&key->values, id);
        if (*slice != ID_NONE)
            return 0;
        if (key->values.n >= models->config->limits.slices || view_is(value, OTHER) ||
            model->n_slices >= UINT16_MAX - 2 * MAX_SEGMENT_KEYS) {
            named = &key->other;
            value = view_of(OTHER);
        }
    }
    if (named && *named) {
        *slice = *named;
        return 0;
    }
    int rc = new_slice(model, key, value, slice, err);
    if (!rc && named)
        *named = *slice;
    return rc || named ? rc : id_set_put(&key->values, id, *slice, err);
}

int model_slices(struct models *models, struct model *model, const struct event *event,
                 uint16_t *slices, uint32_t *n, struct err *err)
{
    *n = 0;
    for (uint32_t i = 0; i < model->n_keys; i++) {
        struct segment_key *key = &model->keys[i];
        size_t size = strlen(key->name);
        const struct value *value = find_value(event->segment, event->n_segment, key->name, size);
        if (!value)
            value = find_value(event->features, event->n_features, key->name, size);
        char room[TEXT_NUMBER_BYTES];
        struct view text = value ? segment_text(value, room) : (struct view){NULL, 0};
        uint32_t slice = 0;
        int rc = key_slice(models, model, key, text, &slice, err);
        if (rc)
            return rc;
        slices[(*n)++] = (uint16_t)slice;
    }
    return 0;
}

static int record_name(struct models *models, struct model *model, struct id_set *known,
                       const char *kind, struct view text, uint64_t id, struct err *err)
{
    int rc = grow(&models->names, &models->names_capacity, models->n_names + 1,
                  sizeof(*models->names), "collector: names", err);
    char *copy = rc ? NULL : strndup(text.data, text.size);
    if (!rc && !copy)
        rc = err_set(err, -ENOMEM, "collector: no memory for a name");
    if (!rc)
        rc = id_set_put(known, id, 0, err);
    if (rc) {
        free(copy);
        return rc;
    }
    models->names[models->n_names++] = (struct new_name){model, kind, id, copy, text.size};
    return 0;
}

static int name_of(struct models *models, struct model *model, struct id_set *known,
                   const char *kind, struct view text, uint64_t *id, struct err *err)
{
    *id = id_of(text);
    if (id_set_find(known, *id) != ID_NONE)
        return 0;
    if (known->n >= models->config->limits.categories) {
        text = view_of(OTHER);
        *id = id_of(text);
        if (id_set_find(known, *id) != ID_NONE)
            return 0;
    }
    return record_name(models, model, known, kind, text, *id, err);
}

int model_class(struct models *models, struct model *model, struct view text, uint64_t *id,
                struct err *err)
{
    return name_of(models, model, &model->classes, "class", text, id, err);
}

int model_outcome_name(struct models *models, struct model *model, struct view text, uint64_t *id,
                       struct err *err)
{
    return name_of(models, model, &model->outcome_names, "outcome", text, id, err);
}

int model_system_name(struct models *models, struct model *model, struct view text, uint64_t *id,
                      struct err *err)
{
    return name_of(models, model, &model->system_names, "system", text, id, err);
}

static int feature_name_of(struct models *models, struct model *model, struct view name,
                           struct err *err)
{
    uint64_t id = id_of(name);
    return id_set_find(&model->feature_names, id) != ID_NONE
               ? 0
               : record_name(models, model, &model->feature_names, "feature", name, id, err);
}

int model_own_features(struct models *models, struct model *model, struct err *err)
{
    static const char *const names[] = {"@score", "@prediction", "@label"};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(names) / sizeof(names[0]); i++)
        rc = feature_name_of(models, model, view_of(names[i]), err);
    return rc;
}

int model_profile_slot(struct models *models, struct model *model, uint32_t feature, uint32_t *slot,
                       struct err *err)
{
    bool is_new;
    int rc = profiling_slot(&model->profiling, model->schema, feature, slot, &is_new, err);
    return rc || !is_new
               ? rc
               : feature_name_of(models, model, feature_name(model->schema, feature), err);
}

int model_category(struct models *models, struct model *model, struct view text, uint64_t id,
                   struct err *err)
{
    if (id_set_find(&model->category_names, id) != ID_NONE ||
        model->category_names.n >= models->config->limits.categories)
        return 0;
    return name_of(models, model, &model->category_names, "category", text, &id, err);
}
