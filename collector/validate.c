/*
 * One hash table finds both feature names and allowed categories: its keys are (scope, text), where
 * scope 0 holds the names and scope f + 1 the categories of feature f.
 *
 * Producers send their features in the same order, event after event: the number that stood at
 * position i last time is tried first, which costs a comparison instead of a hash.
 */
#include "collector/validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "common/arena.h"
#include "common/text.h"

enum {
    ARENA_BYTES = 64 << 20, /* names and categories of one model */
    FUTURE_MS = 5 * 60 * 1000,
};

struct entry {
    uint64_t hash; /* never 0; 0 is a free place */
    uint32_t scope;
    uint32_t number;
    struct view text;
};

struct feature {
    struct view name;
    enum feature_type type;
    bool required;
    bool limited; /* to categories */
    double min, max;
    uint64_t seen_in; /* the event that had it last, by its running number */
    uint64_t violations[N_VIOLATIONS];
};

struct feature_schema {
    struct arena arena;
    struct feature *features;
    uint32_t n_features, max_features, n_required;
    struct entry *entries; /* open addressing, a power of two, at most half full */
    uint32_t n_entries, n_places;
    uint64_t seed;
    uint64_t n_events;
    uint32_t hints[EVENT_MAX_KEYS]; /* the number at each position of the last event */
    char numbers[EVENT_MAX_KEYS][TEXT_NUMBER_BYTES]; /* categorical numbers as text */
};

static const char *const names[N_VIOLATIONS] = {"type", "range", "category", "nan", "required"};

const char *violation_name(enum violation violation)
{
    return (unsigned)violation < N_VIOLATIONS ? names[violation] : NULL;
}

static struct entry *entry_find(const struct feature_schema *schema, uint32_t scope,
                                struct view text, uint64_t *hash)
{
    *hash = XXH3_64bits_withSeed(text.data, text.size, schema->seed + scope) | 1;
    uint32_t mask = schema->n_places - 1, i = (uint32_t)(*hash >> 32) & mask;
    for (;; i = (i + 1) & mask) {
        struct entry *entry = &schema->entries[i];
        if (entry->hash == 0 ||
            (entry->hash == *hash && entry->scope == scope && view_equal(entry->text, text)))
            return entry;
    }
}

static int entries_grow(struct feature_schema *schema)
{
    uint32_t n_old = schema->n_places;
    struct entry *old = schema->entries;
    struct entry *entries = calloc((size_t)n_old * 2, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    schema->entries = entries;
    schema->n_places = n_old * 2;
    for (uint32_t i = 0; i < n_old; i++) {
        uint64_t hash;
        if (old[i].hash)
            *entry_find(schema, old[i].scope, old[i].text, &hash) = old[i];
    }
    free(old);
    return 0;
}

/* Puts (scope, text) → number; the text is copied. 1: it was there already. */
static int entry_put(struct feature_schema *schema, uint32_t scope, struct view *text,
                     uint32_t number)
{
    if ((schema->n_entries + 1) * 2 > schema->n_places && entries_grow(schema))
        return -ENOMEM;
    uint64_t hash;
    struct entry *entry = entry_find(schema, scope, *text, &hash);
    if (entry->hash)
        return 1;
    char *copy = arena_text(&schema->arena, text->data, text->size);
    if (!copy)
        return -ENOMEM;
    text->data = copy;
    *entry = (struct entry){hash, scope, number, *text};
    schema->n_entries++;
    return 0;
}

/* What a model makes and its label are profiled under these names: a feature would be mixed in. And
   nobody could ask for one without a name, as the configuration cannot. */
static bool is_reserved(struct view name)
{
    return name.size == 0 || view_is(name, "@score") || view_is(name, "@prediction") ||
           view_is(name, "@label");
}

static uint32_t feature_add(struct feature_schema *schema, struct view name)
{
    if (schema->n_features == schema->max_features || is_reserved(name) ||
        entry_put(schema, 0, &name, schema->n_features) != 0)
        return FEATURE_NONE;
    schema->features[schema->n_features] =
        (struct feature){.name = name, .min = -HUGE_VAL, .max = HUGE_VAL};
    return schema->n_features++;
}

static int configure(struct feature_schema *schema, const struct config_feature *config,
                     struct err *err)
{
    uint32_t number = feature_add(schema, view_of(config->name));
    if (number == FEATURE_NONE)
        return err_set(err, ERR_DATA, "feature %s: more than %u features, or no memory for them",
                       config->name, schema->max_features);
    struct feature *feature = &schema->features[number];
    feature->type = config->type;
    feature->required = config->required;
    feature->limited = config->n_values > 0;
    schema->n_required += config->required;
    if (!isnan(config->min))
        feature->min = config->min;
    if (!isnan(config->max))
        feature->max = config->max;
    for (size_t i = 0; i < config->n_values; i++) {
        struct view category = view_of(config->values[i]);
        if (entry_put(schema, number + 1, &category, 0) < 0)
            return err_set(err, -ENOMEM, "feature %s: no memory for its values", config->name);
    }
    return 0;
}

int feature_schema_new(struct feature_schema **out, const struct config_model *model,
                       uint32_t max_features, struct err *err)
{
    AUTO(feature_schema) struct feature_schema *schema = calloc(1, sizeof(*schema));
    if (!schema)
        return err_set(err, -ENOMEM, "features: no memory");
    arena_init(&schema->arena, ARENA_BYTES);
    schema->seed = (uint64_t)(uintptr_t)schema; /* order and results do not depend on it */
    schema->max_features = max_features;
    schema->n_places = 64;
    schema->entries = calloc(schema->n_places, sizeof(*schema->entries));
    schema->features = calloc(max_features ? max_features : 1, sizeof(*schema->features));
    if (!schema->entries || !schema->features)
        return err_set(err, -ENOMEM, "features: no memory for %u", max_features);
    for (size_t i = 0; model && i < model->n_features; i++) {
        int rc = configure(schema, &model->features[i], err);
        if (rc)
            return rc;
    }
    *out = schema;
    schema = NULL; /* the caller owns it now */
    return 0;
}

void feature_schema_free(struct feature_schema *schema)
{
    if (!schema)
        return;
    arena_finish(&schema->arena);
    free(schema->entries);
    free(schema->features);
    free(schema);
}

uint32_t feature_count(const struct feature_schema *schema)
{
    return schema->n_features;
}

struct view feature_name(const struct feature_schema *schema, uint32_t feature)
{
    return schema->features[feature].name;
}

enum feature_type feature_type(const struct feature_schema *schema, uint32_t feature)
{
    return schema->features[feature].type;
}

uint32_t feature_register(struct feature_schema *schema, struct view name)
{
    uint64_t hash;
    const struct entry *entry = entry_find(schema, 0, name, &hash);
    return entry->hash ? entry->number : feature_add(schema, name);
}

static void strike(struct feature *feature, struct value *value, enum violation violation)
{
    feature->violations[violation]++;
    value->kind = VALUE_INVALID;
    value->n = violation;
}

static void check_numeric(struct feature *feature, struct value *value)
{
    if (value->kind != VALUE_NUMBER)
        strike(feature, value, VIOLATION_TYPE);
    else if (value->number < feature->min || value->number > feature->max)
        strike(feature, value, VIOLATION_RANGE);
}

static void check_categorical(struct feature_schema *schema, uint32_t number, struct value *value,
                              char text[TEXT_NUMBER_BYTES])
{
    struct feature *feature = &schema->features[number];
    if (value->kind == VALUE_NUMBER) {
        value->text = view_of(number_print(text, value->number));
        value->kind = VALUE_TEXT;
    }
    if (value->kind != VALUE_TEXT && value->kind != VALUE_BOOL) {
        strike(feature, value, VIOLATION_TYPE);
        return;
    }
    uint64_t hash;
    if (feature->limited && entry_find(schema, number + 1, value->text, &hash)->hash == 0)
        strike(feature, value, VIOLATION_CATEGORY);
}

/* What the decoder could not take as a value: NaN and the like, a text beyond all categories, or an
   array without a number, which is no embedding. */
static enum violation decoder_violation(const struct value *value)
{
    const bool is_empty = value->projected && value->n == 0;
    return is_empty || value->text.size > EVENT_MAX_NAME_BYTES ? VIOLATION_TYPE : VIOLATION_NAN;
}

static void check_value(struct feature_schema *schema, uint32_t number, struct value *value,
                        char text[TEXT_NUMBER_BYTES])
{
    struct feature *feature = &schema->features[number];
    if (value->kind == VALUE_INVALID) {
        strike(feature, value, decoder_violation(value));
        return;
    }
    if (value->kind == VALUE_NULL || value->kind == VALUE_ABSENT) {
        feature->violations[VIOLATION_REQUIRED] += feature->required;
        return;
    }
    switch (feature->type) {
    case FEATURE_AUTO:
        break;
    case FEATURE_NUMERIC:
        check_numeric(feature, value);
        break;
    case FEATURE_CATEGORICAL:
        check_categorical(schema, number, value, text);
        break;
    case FEATURE_EMBEDDING:
        if (value->kind != VALUE_ARRAY)
            strike(feature, value, VIOLATION_TYPE);
        break;
    }
}

void event_validate(struct feature_schema *schema, struct event *event, uint32_t *features)
{
    uint64_t now = ++schema->n_events;
    uint32_t n_required = 0;
    for (uint32_t i = 0; i < event->n_features; i++) {
        struct named_value *item = &event->features[i];
        uint32_t number = schema->hints[i];
        if (number >= schema->n_features ||
            !view_equal(schema->features[number].name, item->name)) {
            number = feature_register(schema, item->name);
            if (number != FEATURE_NONE)
                schema->hints[i] = number;
        }
        features[i] = number;
        if (number == FEATURE_NONE) {
            event->n_unknown_fields++;
            continue;
        }
        struct feature *feature = &schema->features[number];
        feature->seen_in = now;
        n_required += feature->required;
        check_value(schema, number, &item->value, schema->numbers[i]);
    }
    for (uint32_t i = 0; n_required < schema->n_required && i < schema->n_features; i++) {
        struct feature *feature = &schema->features[i];
        if (feature->required && feature->seen_in != now)
            feature->violations[VIOLATION_REQUIRED]++;
    }
}

uint64_t violation_count(const struct feature_schema *schema, uint32_t feature,
                         enum violation violation)
{
    return schema->features[feature].violations[violation];
}

void violations_clear(struct feature_schema *schema)
{
    for (uint32_t i = 0; i < schema->n_features; i++)
        memset(schema->features[i].violations, 0, sizeof(schema->features[i].violations));
}

enum reject event_time(struct event *event, int64_t message_ms)
{
    if (event->ts_ms == EVENT_NO_TS)
        event->ts_ms = message_ms;
    if (event->ts_ms == EVENT_NO_TS || event->ts_ms < 0)
        return REJECT_OUT_OF_RANGE;
    if (message_ms != EVENT_NO_TS && event->ts_ms - message_ms > FUTURE_MS)
        return REJECT_FUTURE;
    return REJECT_NONE;
}
