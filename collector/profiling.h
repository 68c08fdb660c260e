/*
 * Which slot of a model's profiles a feature has, and an event's values into them.
 *
 * Shape    slots: 0 @score, 1 @prediction, then features as they come; they are only added to, so
 *          that open profiles stay valid. @label has a layout of its own, because labels come late
 *          and touch old panes. A model is profiled when features or a reference are configured for
 *          it, when it has a reference, or when its events carry features
 * Values   a struck value counts as invalid by its reason; a text or a boolean is a category; an
 *          array is an embedding. @score of a multiclass model is the highest class score
 * Owner    profiling_init and profiling_finish; profiling_reference takes the reference
 * Errors   -ENOMEM
 * Threads  one
 */
#pragma once

#include "collector/event.h"
#include "collector/id_set.h"
#include "collector/validate.h"
#include "stats/reference.h"
#include "stats/sample.h"

struct profiling {
    struct profile_layout layout; /* of features; its array is `features` */
    struct profile_layout label_layout;
    struct profile_feature *features;
    enum profile_kind *declared; /* by slot, before the reference had a say */
    struct profile_feature label;
    struct id_set slots; /* name_id → slot */
    uint32_t *slot_of;   /* by number of the schema; SLOT_NONE: not asked yet */
    uint32_t n_numbers;  /* room in slot_of */
    size_t n_slots_room; /* room in features */
    bool wanted;         /* by the configuration */
    struct reference *reference;
    struct reference_origin {
        char source[16];    /* as in storage/references.h */
        int64_t created_ms; /* wall clock */
    } origin;               /* the reference's */
};

enum {
    SLOT_SCORE,
    SLOT_PREDICTION,
    N_OWN_SLOTS
};
#define SLOT_NONE UINT32_MAX

int profiling_init(struct profiling *profiling, struct err *err);
void profiling_finish(struct profiling *profiling);

/* The schema was made anew: its numbers mean other features now. */
void profiling_forget_numbers(struct profiling *profiling);
/* The reference whose grids new values are counted on; NULL: none. */
void profiling_reference(struct profiling *profiling, struct reference *reference);

static inline bool profiling_active(const struct profiling *profiling)
{
    return profiling->wanted || profiling->reference || profiling->layout.n_features > N_OWN_SLOTS;
}

/* The slot of a feature of the schema where it was asked for before, or SLOT_NONE. */
static inline uint32_t profiling_known_slot(const struct profiling *profiling, uint32_t number)
{
    return number < profiling->n_numbers ? profiling->slot_of[number] : SLOT_NONE;
}

/* The slot of a feature of the schema; *is_new: it was made by this call. */
int profiling_slot(struct profiling *profiling, const struct feature_schema *schema,
                   uint32_t number, uint32_t *slot, bool *is_new, struct err *err);

/* One value that goes into a slot, of every pane that the event belongs to. */
struct profile_item {
    uint32_t slot;
    enum value_kind kind;    /* NUMBER, TEXT, ARRAY or INVALID */
    uint32_t n;              /* ARRAY: dimensions; INVALID: enum violation */
    double number;           /* NUMBER; ARRAY: its norm */
    double mean;             /* ARRAY */
    const double *projected; /* ARRAY: the decoder's */
    uint64_t category;
};

/* @score and @prediction; at most N_OWN_SLOTS items. Returns how many. */
size_t profile_own_items(enum task task, const struct sample *sample, struct profile_item *items);
/* @label; at most one item, for slot 0 of label_layout. */
size_t profile_label_items(enum task task, const struct sample *sample, struct profile_item *items);
/* `category`: the class_id of its text, where it is a text or a boolean. Field by field, where it
   ends: a copy of what was just made would wait for the stores that made it. */
static inline void profile_item_set(struct profile_item *item, const struct value *value,
                                    uint32_t slot, uint64_t category)
{
    item->slot = slot;
    item->kind = value->kind;
    item->n = value->n;
    item->number = value->number;
    item->mean = value->mean;
    item->projected = value->projected;
    item->category = category;
}
/* The category of such a value; 0: it is none. */
static inline uint64_t value_category(const struct value *value)
{
    return value->kind == VALUE_TEXT || value->kind == VALUE_BOOL
               ? class_id(value->text.data, value->text.size)
               : 0;
}

/* 0 or -ENOMEM. The profile fits the layout (profile_fit). */
int profile_take(struct profile *profile, const struct profile_item *items, size_t n, int sign);
