#include "common/part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

void *part_keep(struct part *part, void *memory)
{
    if (!memory)
        return NULL;
    void **all = realloc(part->memory, (part->n_memory + 1) * sizeof(void *));
    if (!all) {
        free(memory);
        return NULL;
    }
    part->memory = all;
    all[part->n_memory++] = memory;
    return memory;
}

void part_finish(struct part *part)
{
    for (size_t i = 0; i < part->n_memory; i++)
        free(part->memory[i]);
    free(part->memory);
    part->memory = NULL;
    part->n_memory = 0;
}

int part_refuse(struct part *part, const char *key, const char *format, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(part->err, ERR_DATA, "%s:%d: %s%s%s: %s", part->path, part->line, part->where,
                   *key ? "." : "", key, text);
}

int part_no_memory(struct part *part)
{
    return err_set(part->err, -ENOMEM, "%s: no memory", part->where);
}

int part_keys(struct part *part, const json_t *object, const char *const *keys, size_t n_keys)
{
    if (!json_is_object(object))
        return part_refuse(part, "", "must be a map");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (i < n_keys && strcmp(keys[i], key) != 0)
            i++;
        if (i < n_keys)
            continue;
        const char *near = text_near(key, keys, n_keys);
        return near ? part_refuse(part, key, "unknown key; did you mean %s?", near)
                    : part_refuse(part, key, "unknown key");
    }
    return 0;
}

int part_flag(struct part *part, const json_t *object, const char *key, bool *out)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return part_refuse(part, key, "must be true or false");
    *out = json_is_true(value);
    return 0;
}

int part_text(struct part *part, const json_t *object, const char *key, const char **out)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_string(value) || !*json_string_value(value))
        return part_refuse(part, key, "must be text");
    *out = json_string_value(value);
    return 0;
}

int part_duration(struct part *part, const json_t *object, const char *key, int64_t *out)
{
    const char *text = NULL;
    int rc = part_text(part, object, key, &text);
    if (rc || !text)
        return rc;
    if (duration_parse(out, text, strlen(text)))
        return part_refuse(part, key, "\"%s\" is not a duration such as 10m", text);
    return 0;
}

int part_number(struct part *part, const json_t *object, const char *key, double *out, bool *given)
{
    const json_t *value = json_object_get(object, key);
    *given = value != NULL;
    if (!value)
        return 0;
    if (!json_is_number(value))
        return part_refuse(part, key, "must be a number");
    *out = json_number_value(value);
    return 0;
}

int part_word(struct part *part, const json_t *object, const char *key, const char *const *words,
              int n_words, int *out)
{
    const char *text = NULL;
    int rc = part_text(part, object, key, &text);
    if (rc || !text)
        return rc;
    for (int i = 0; i < n_words; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return 0;
        }
    }
    const char *near = text_near(text, words, (size_t)n_words);
    if (near)
        return part_refuse(part, key, "\"%s\" is unknown; did you mean %s?", text, near);
    char known[256] = "";
    for (int i = 0, at = 0; i < n_words && at < (int)sizeof(known); i++)
        at += snprintf(known + at, sizeof(known) - (size_t)at, "%s%s", i ? ", " : "", words[i]);
    return part_refuse(part, key, "\"%s\" is none of %s", text, known);
}

int part_pairs(struct part *part, const json_t *object, const char *key,
               const struct part_pair **out, size_t *n)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_object(value))
        return part_refuse(part, key, "must be a map of name: text");
    struct part_pair *pairs = part_keep(part, calloc(json_object_size(value) + 1, sizeof(*pairs)));
    if (!pairs)
        return part_no_memory(part);
    const char *name;
    json_t *text;
    json_object_foreach((json_t *)(uintptr_t)value, name, text)
    {
        if (!json_is_string(text))
            return part_refuse(part, key, "%s must be text", name);
        pairs[(*n)++] = (struct part_pair){name, json_string_value(text)};
    }
    *out = pairs;
    return 0;
}

int part_names(struct part *part, const json_t *object, const char *key, const char *const **out,
               size_t *n)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_array(value))
        return part_refuse(part, key, "must be a list of rule names");
    const char **names = part_keep(part, calloc(json_array_size(value) + 1, sizeof(*names)));
    if (!names)
        return part_no_memory(part);
    for (size_t i = 0; i < json_array_size(value); i++) {
        names[i] = json_string_value(json_array_get(value, i));
        if (!names[i])
            return part_refuse(part, key, "must be a list of rule names");
    }
    *out = names;
    *n = json_array_size(value);
    return 0;
}
