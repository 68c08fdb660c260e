/*
 * The table of keys as the two texts that people and editors read: the rows of
 * docs/configuration.md, and schemas/config.schema.json. Tests hold both files against this.
 */
#include <math.h>
#include <string.h>

#include "common/config_keys.h"
#include "common/text.h"

static const char *type_word(enum key_type type)
{
    switch (type) {
    case KEY_BOOL:
        return "true or false";
    case KEY_INT:
        return "whole number";
    case KEY_NUMBER:
        return "number";
    case KEY_DURATION:
        return "duration";
    case KEY_SIZE:
        return "size";
    case KEY_TIME:
        return "time";
    case KEY_LISTEN:
        return "address:port";
    case KEY_PATH:
        return "path";
    case KEY_CLASS:
        return "class";
    case KEY_TEXTS:
        return "list of texts";
    case KEY_CLASSES:
        return "list of classes";
    case KEY_PAIRS:
    case KEY_NAMED:
    case KEY_MAP:
    case KEY_PART_MAP:
        return "map";
    case KEY_LIST:
    case KEY_PART_LIST:
        return "list";
    default:
        return "text";
    }
}

static void markdown_section(const struct key_section *section, size_t skip, const char *prefix,
                             struct buf *out)
{
    for (size_t i = skip; i < section->n_keys; i++) {
        const struct key *key = &section->keys[i];
        bool list = key->type == KEY_LIST || key->type == KEY_PART_LIST;
        const char *end = list ? "[]." : key->type == KEY_NAMED ? ".NAME." : ".";
        struct buf range, below;
        buf_init(&range, 400);
        buf_init(&below, 200);
        key_range_print(key, &range);
        buf_printf(&below, "%s%s%s", prefix, key->name, end);
        buf_u8(&below, 0);

        buf_printf(out, "| `%s%s` | %s%s%.*s | ", prefix, key->name,
                   key->words ? "" : type_word(key->type), range.size && !key->words ? " " : "",
                   (int)range.size, range.size ? (const char *)range.data : "");
        if (key->fallback)
            buf_printf(out, "`%s`", key->fallback);
        else
            buf_printf(out, "%s", key->required ? "(must be given)" : "");
        buf_printf(out, " | %s |\n", key->help);
        if (key->section && !buf_failed(&below))
            markdown_section(key->section, key->type == KEY_NAMED, (char *)below.data, out);
        buf_finish(&range);
        buf_finish(&below);
    }
}

void config_keys_markdown(struct buf *out)
{
    buf_printf(out, "| key | type, range | default | meaning |\n|---|---|---|---|\n");
    markdown_section(&config_root, 0, "", out);
}

static void indent(struct buf *out, int depth)
{
    buf_u8(out, '\n');
    for (int i = 0; i < depth; i++)
        buf_printf(out, "  ");
}

static void schema_section(const struct key_section *section, size_t skip, int depth,
                           struct buf *out);

static void schema_bounds(const struct key *key, struct buf *out)
{
    if (key->min == 0 && key->max == 0)
        return;
    if (!isinf(key->min)) {
        buf_printf(out, ", \"minimum\": ");
        json_number(out, key->min);
    }
    if (!isinf(key->max)) {
        buf_printf(out, ", \"maximum\": ");
        json_number(out, key->max);
    }
}

static void schema_words(const struct key *key, struct buf *out)
{
    buf_printf(out, ", \"enum\": [");
    for (const char *const *word = key->words; *word; word++) {
        buf_printf(out, "%s", word == key->words ? "" : ", ");
        json_text(out, *word, strlen(*word));
    }
    buf_printf(out, "]");
}

/* A text that YAML may have read as a number or a truth, as in `version: 3`. */
#define ANY_SCALAR "[\"string\", \"number\", \"boolean\"]"

static void schema_type(const struct key *key, int depth, struct buf *out)
{
    switch (key->type) {
    case KEY_WORD:
    case KEY_CHOICE:
    case KEY_SWITCH:
        buf_printf(out, "\"type\": \"string\"");
        schema_words(key, out);
        break;
    case KEY_BOOL:
        buf_printf(out, "\"type\": \"boolean\"");
        break;
    case KEY_INT:
        buf_printf(out, "\"type\": \"integer\"");
        schema_bounds(key, out);
        break;
    case KEY_NUMBER:
        buf_printf(out, "\"type\": \"number\"");
        schema_bounds(key, out);
        break;
    case KEY_DURATION:
        buf_printf(out, "\"type\": \"string\", \"pattern\": \"^[0-9]+(ms|s|m|h|d)$\"");
        break;
    case KEY_SIZE:
        buf_printf(out, "\"type\": [\"string\", \"integer\"], "
                        "\"pattern\": \"^[0-9]+(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?$\"");
        break;
    case KEY_TIME:
        buf_printf(out, "\"type\": [\"string\", \"integer\"]");
        break;
    case KEY_LISTEN:
        buf_printf(out, "\"type\": \"string\", \"pattern\": \".:[0-9]{1,5}$\"");
        break;
    case KEY_TEXTS:
    case KEY_CLASSES:
        buf_printf(out, "\"type\": \"array\", \"uniqueItems\": true, \"items\": {\"type\": %s}",
                   ANY_SCALAR);
        break;
    case KEY_PAIRS:
        buf_printf(out, "\"type\": \"object\", \"additionalProperties\": {\"type\": %s}",
                   ANY_SCALAR);
        break;
    case KEY_MAP:
        schema_section(key->section, 0, depth, out);
        break;
    case KEY_LIST:
        buf_printf(out, "\"type\": \"array\", \"items\": {");
        schema_section(key->section, 0, depth, out);
        buf_printf(out, "}");
        break;
    case KEY_NAMED:
        buf_printf(out, "\"type\": \"object\", \"additionalProperties\": {");
        schema_section(key->section, 1, depth, out);
        buf_printf(out, "}");
        break;
    case KEY_PART_LIST:
        buf_printf(out, "\"type\": \"array\", \"items\": {");
        if (key->section)
            schema_section(key->section, 0, depth, out);
        else
            buf_printf(out, "\"type\": \"object\"");
        buf_printf(out, "}");
        break;
    case KEY_PART_MAP:
        buf_printf(out, "\"type\": \"object\"");
        break;
    default:
        buf_printf(out, "\"type\": %s", ANY_SCALAR);
    }
}

/* The members of an object's schema, without its braces. */
static void schema_section(const struct key_section *section, size_t skip, int depth,
                           struct buf *out)
{
    buf_printf(out, "\"type\": \"object\", \"additionalProperties\": false");
    bool any = false;
    for (size_t i = skip; i < section->n_keys; i++) {
        if (!section->keys[i].required)
            continue;
        buf_printf(out, "%s\"%s\"", any ? ", " : ", \"required\": [", section->keys[i].name);
        any = true;
    }
    buf_printf(out, "%s, \"properties\": {", any ? "]" : "");
    for (size_t i = skip; i < section->n_keys; i++) {
        const struct key *key = &section->keys[i];
        indent(out, depth + 1);
        buf_printf(out, "\"%s\": {", key->name);
        schema_type(key, depth + 1, out);
        buf_printf(out, ", \"description\": ");
        json_text(out, key->help, strlen(key->help));
        if (key->fallback) {
            buf_printf(out, ", \"default\": ");
            if (key->type == KEY_BOOL || key->type == KEY_INT || key->type == KEY_NUMBER)
                buf_printf(out, "%s", key->fallback);
            else
                json_text(out, key->fallback, strlen(key->fallback));
        }
        buf_printf(out, "}%s", i + 1 < section->n_keys ? "," : "");
    }
    indent(out, depth);
    buf_printf(out, "}");
}

void config_keys_schema(struct buf *out)
{
    buf_printf(out, "{\n\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                    "\"$id\": \"config.schema.json\",\n\"title\": \"assay.yaml\",\n");
    schema_section(&config_root, 0, 0, out);
    buf_printf(out, "\n}\n");
}
