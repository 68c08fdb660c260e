#include "collector/profiling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct profile_feature feature_named(const char *name, size_t n)
{
    return (struct profile_feature){
        .name_id = class_id(name, n), .min = (double)NAN, .max = (double)NAN};
}

static int add_slot(struct profiling *profiling, const char *name, size_t n,
                    enum profile_kind declared, uint32_t *slot, struct err *err)
{
    *slot = profiling->layout.n_features;
    if (*slot == profiling->n_slots_room) {
        size_t room = profiling->n_slots_room ? profiling->n_slots_room * 2 : 16;
        struct profile_feature *features =
            realloc(profiling->features, room * sizeof(*profiling->features));
        if (features)
            profiling->layout.features = profiling->features = features;
        enum profile_kind *kinds = realloc(profiling->declared, room * sizeof(*kinds));
        if (kinds)
            profiling->declared = kinds;
        if (!features || !kinds)
            return err_set(err, -ENOMEM, "collector: no memory for %zu features", room);
        profiling->n_slots_room = room;
    }
    struct profile_feature feature = feature_named(name, n);
    int rc = id_set_put(&profiling->slots, feature.name_id, *slot, err);
    if (rc)
        return rc;
    feature.kind = declared;
    const struct reference_feature *known = reference_find(profiling->reference, feature.name_id);
    if (known) {
        feature.grid = known->grid;
        feature.bins = known->bins;
        feature.kind = declared == PROFILE_AUTO ? known->kind : declared;
    }
    profiling->features[*slot] = feature;
    profiling->declared[*slot] = declared;
    profiling->layout.n_features++;
    return 0;
}

int profiling_init(struct profiling *profiling, struct err *err)
{
    uint32_t slot;
    *profiling = (struct profiling){.label = feature_named("@label", 6)};
    profiling->label_layout = (struct profile_layout){0, 1, &profiling->label};
    int rc = add_slot(profiling, "@score", 6, PROFILE_AUTO, &slot, err);
    return rc ? rc : add_slot(profiling, "@prediction", 11, PROFILE_AUTO, &slot, err);
}

void profiling_finish(struct profiling *profiling)
{
    id_set_finish(&profiling->slots);
    free(profiling->features);
    free(profiling->declared);
    free(profiling->slot_of);
    reference_free(profiling->reference);
    *profiling = (struct profiling){0};
}

void profiling_forget_numbers(struct profiling *profiling)
{
    for (uint32_t i = 0; i < profiling->n_numbers; i++)
        profiling->slot_of[i] = SLOT_NONE;
}

void profiling_reference(struct profiling *profiling, struct reference *reference)
{
    for (uint32_t i = 0; i < profiling->layout.n_features; i++)
        profiling->features[i].kind = profiling->declared[i];
    profiling->label.kind = PROFILE_AUTO;
    reference_layout(reference, &profiling->layout, profiling->features);
    reference_layout(reference, &profiling->label_layout, &profiling->label);
    reference_free(profiling->reference);
    profiling->reference = reference;
}

static enum profile_kind kind_of(enum feature_type type)
{
    static const enum profile_kind kinds[] = {
        [FEATURE_AUTO] = PROFILE_AUTO,
        [FEATURE_NUMERIC] = PROFILE_NUMERIC,
        [FEATURE_CATEGORICAL] = PROFILE_CATEGORICAL,
        [FEATURE_EMBEDDING] = PROFILE_EMBEDDING,
    };
    return kinds[type];
}

static int number_room(struct profiling *profiling, uint32_t number, struct err *err)
{
    uint32_t room = number + 64;
    uint32_t *slots = realloc(profiling->slot_of, room * sizeof(*slots));
    if (!slots)
        return err_set(err, -ENOMEM, "collector: no memory for %u features", room);
    for (uint32_t i = profiling->n_numbers; i < room; i++)
        slots[i] = SLOT_NONE;
    profiling->slot_of = slots;
    profiling->n_numbers = room;
    return 0;
}

int profiling_slot(struct profiling *profiling, const struct feature_schema *schema,
                   uint32_t number, uint32_t *slot, bool *is_new, struct err *err)
{
    *is_new = false;
    *slot = profiling_known_slot(profiling, number);
    if (*slot != SLOT_NONE)
        return 0;
    int rc = number < profiling->n_numbers ? 0 : number_room(profiling, number, err);
    if (rc)
        return rc;
    struct view name = feature_name(schema, number);
    enum profile_kind declared = kind_of(feature_type(schema, number));
    *slot = id_set_find(&profiling->slots, class_id(name.data, name.size));
    if (*slot == ID_NONE) {
        rc = add_slot(profiling, name.data, name.size, declared, slot, err);
        *is_new = rc == 0;
    } else {
        profiling->declared[*slot] = declared;
        if (declared != PROFILE_AUTO)
            profiling->features[*slot].kind = declared;
    }
    if (!rc)
        profiling->slot_of[number] = *slot;
    return rc;
}

/* --- values --- */

static void set_number(struct profile_item *item, uint32_t slot, double number)
{
    const struct value value = {.kind = VALUE_NUMBER, .number = number};
    profile_item_set(item, &value, slot, 0);
}

static void set_category(struct profile_item *item, uint32_t slot, uint64_t id)
{
    const struct value value = {.kind = VALUE_TEXT};
    profile_item_set(item, &value, slot, id);
}

size_t profile_own_items(enum task task, const struct sample *sample, struct profile_item *items)
{
    size_t n = 0;
    double score = sample->score;
    for (uint32_t i = 0; task == TASK_MULTICLASS && i < sample->n_scores; i++)
        score = i == 0 ? sample->scores[i].score : fmax(score, sample->scores[i].score);
    if (task != TASK_REGRESSION && !isnan(score))
        set_number(&items[n++], SLOT_SCORE, score);
    if (task == TASK_REGRESSION && !isnan(sample->value))
        set_number(&items[n++], SLOT_PREDICTION, sample->value);
    else if (sample->predicted)
        set_category(&items[n++], SLOT_PREDICTION, sample->predicted);
    return n;
}

size_t profile_label_items(enum task task, const struct sample *sample, struct profile_item *items)
{
    if (task == TASK_REGRESSION && !isnan(sample->label_value))
        set_number(items, 0, sample->label_value);
    else if (sample->label_class)
        set_category(items, 0, sample->label_class);
    else
        return 0;
    return 1;
}

static enum profile_invalid invalid_of(uint32_t violation)
{
    switch (violation) {
    case VIOLATION_RANGE:
        return INVALID_RANGE;
    case VIOLATION_CATEGORY:
        return INVALID_CATEGORY;
    case VIOLATION_NAN:
        return INVALID_NUMBER;
    default:
        return INVALID_TYPE;
    }
}

static int take_item(struct profile *profile, const struct profile_item *item, int sign)
{
    switch (item->kind) {
    case VALUE_NUMBER:
        return profile_number(profile, item->slot, item->number, sign);
    case VALUE_TEXT:
    case VALUE_BOOL:
        return profile_category(profile, item->slot, item->category, sign);
    case VALUE_ARRAY:
        return profile_embedding(
            profile, item->slot,
            &(struct embedding){item->number, item->mean, item->projected, item->n}, sign);
    case VALUE_INVALID:
        profile_invalid(profile, item->slot, invalid_of(item->n), sign);
        return 0;
    default:
        return 0;
    }
}

int profile_take(struct profile *profile, const struct profile_item *items, size_t n, int sign)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = take_item(profile, &items[i], sign);
    return rc;
}
