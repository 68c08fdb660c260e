/*
 * The tree of assay.yaml into structs, by the table of config_keys.c. Nothing here knows a key by
 * its name; what keys have to say about each other is in config_check.c.
 */
#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config_read.h"
#include "common/text.h"

enum {
    ARENA_BYTES = 256 << 20,
    SECRET_MAX_BYTES = 64 << 10,
    MAX_KEYS_OF_A_SECTION = 32,
};

struct config_memory {
    struct config config; /* first: a config is its memory */
    struct arena arena;
    atomic_uint sharers; /* owners beside the first */
};

static void *field_at(void *base, size_t at)
{
    return (char *)base + at;
}

/* Arrays are pointers to const of their own type; all pointers look the same in memory here. */
static void set_array(void *base, const struct key *key, const void *array, size_t n)
{
    memcpy(field_at(base, key->at), &array, sizeof(array));
    memcpy(field_at(base, key->count), &n, sizeof(n));
}

static void section_read(struct config_reader *r, const struct key_section *section, size_t skip,
                         const struct yaml_node *node, const struct place *place, void *base);

static void read_texts(struct config_reader *r, const struct key *key, const struct yaml_node *node,
                       const struct place *place, void *base)
{
    if (node->kind != YAML_LIST) {
        config_complain(r, node->line, place, "has to be a list, as [a, b]");
        return;
    }
    const char **texts = arena_take_array(r->arena, node->n_children, sizeof(*texts));
    if (!texts)
        return;
    /* Each text as a key of its own, whose place is the item. */
    const struct key item = {key->name, key->type == KEY_CLASSES ? KEY_CLASS : KEY_NAME, .at = 0};
    for (size_t i = 0; i < node->n_children; i++) {
        const struct place at = {place, NULL, i};
        config_scalar_read(r, &item, &node->children[i], &at, &texts[i]);
        for (size_t j = 0; texts[i] && j < i; j++)
            if (texts[j] && strcmp(texts[j], texts[i]) == 0)
                config_complain(r, node->children[i].line, &at, "%.100s is here a second time",
                                texts[i]);
    }
    set_array(base, key, texts, node->n_children);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n > n_end && strcmp(text + n - n_end, end) == 0;
}

/* NAME_file: FILE gives NAME what is in the file. */
static bool pair_from_file(struct config_reader *r, const struct yaml_node *node,
                           const struct place *place, const char *path, struct config_pair *pair)
{
    AUTO_FREE char *secret = NULL;
    struct err err;
    if (config_secret_read(&secret, config_path(r, path), &err)) {
        config_complain(r, node->line, place, "%s", err.text);
        return false;
    }
    pair->key = arena_text(r->arena, node->key, strlen(node->key) - strlen("_file"));
    pair->value = arena_text(r->arena, secret, strlen(secret));
    explicit_bzero(secret, strlen(secret));
    return pair->key && pair->value;
}

static void read_pairs(struct config_reader *r, const struct key *key, const struct yaml_node *node,
                       const struct place *place, void *base)
{
    if (node->kind != YAML_MAP) {
        config_complain(r, node->line, place, "has to be a map of name: text");
        return;
    }
    struct config_pair *pairs = arena_take_array(r->arena, node->n_children, sizeof(*pairs));
    size_t n = 0;
    const struct key text = {key->name, KEY_TEXT, .at = 0};
    for (size_t i = 0; pairs && i < node->n_children; i++) {
        const struct yaml_node *child = &node->children[i];
        const struct place at = {place, child->key, 0};
        const char *value = NULL;
        config_scalar_read(r, &text, child, &at, &value);
        if (!value)
            continue;
        pairs[n] = (struct config_pair){child->key, value, child->line};
        if (!ends_with(child->key, "_file") || pair_from_file(r, child, &at, value, &pairs[n]))
            n++;
    }
    set_array(base, key, pairs, n);
}

static void read_sections(struct config_reader *r, const struct key *key,
                          const struct yaml_node *node, const struct place *place, void *base)
{
    bool named = key->type == KEY_NAMED;
    if (node->kind != (named ? YAML_MAP : YAML_LIST)) {
        config_complain(r, node->line, place,
                        named ? "has to be a map of name: {…}" : "has to be a list of {…}");
        return;
    }
    const struct key_section *section = key->section;
    char *items = arena_take_array(r->arena, node->n_children, section->bytes);
    if (!items)
        return;
    for (size_t i = 0; i < node->n_children; i++) {
        const struct yaml_node *child = &node->children[i];
        const struct place at = {place, child->key, i};
        void *item = items + i * section->bytes;
        if (named) {
            struct yaml_node name = {
                .kind = YAML_TEXT, .line = child->key_line, .text = child->key};
            name.size = strlen(child->key);
            config_scalar_read(r, &section->keys[0], &name, &at, item);
        }
        section_read(r, section, named, child, &at, item);
    }
    set_array(base, key, items, node->n_children);
}

/* Paths of *_file keys anywhere in a part are made ready to open, and tried. */
static void part_files(struct config_reader *r, struct yaml_node *node, const struct place *place)
{
    for (size_t i = 0; i < node->n_children; i++) {
        struct yaml_node *child = &node->children[i];
        const struct place at = {place, child->key, i};
        part_files(r, child, &at);
        if (!child->key || !ends_with(child->key, "_file") || child->kind != YAML_TEXT ||
            child->resolved)
            continue;
        const char *path = config_path(r, child->text);
        AUTO_FREE char *secret = NULL;
        struct err err;
        if (!path)
            return;
        if (config_secret_read(&secret, path, &err))
            config_complain(r, child->line, &at, "%s", err.text);
        else if (secret)
            explicit_bzero(secret, strlen(secret));
        child->text = path;
        child->size = strlen(path);
        child->plain = false;
        child->resolved = true;
    }
}

static void read_part(struct config_reader *r, const struct key *key, struct yaml_node *node,
                      const struct place *place, void *base)
{
    struct config_part *part = field_at(base, key->at);
    bool list = key->type == KEY_PART_LIST;
    if (node->kind != (list ? YAML_LIST : YAML_MAP)) {
        config_complain(r, node->line, place, list ? "has to be a list of {…}" : "has to be a map");
        return;
    }
    part_files(r, node, place);
    struct buf json;
    buf_init(&json, ARENA_BYTES);
    yaml_json(node, &json);
    part->json = buf_failed(&json) ? NULL : arena_text(r->arena, (char *)json.data, json.size);
    buf_finish(&json);
    part->line = node->line;

    int *lines = arena_take_array(r->arena, node->n_children, sizeof(*lines));
    for (size_t i = 0; lines && list && i < node->n_children; i++)
        lines[i] = node->children[i].line;
    part->item_lines = lines;
    part->n_items = list ? node->n_children : 0;
    if (!part->json)
        r->arena->failed = true;
}

static void read_value(struct config_reader *r, const struct key *key, struct yaml_node *node,
                       const struct place *place, void *base)
{
    switch (key->type) {
    case KEY_TEXTS:
    case KEY_CLASSES:
        read_texts(r, key, node, place, base);
        break;
    case KEY_PAIRS:
        read_pairs(r, key, node, place, base);
        break;
    case KEY_MAP:
        section_read(r, key->section, 0, node, place, field_at(base, key->at));
        break;
    case KEY_LIST:
    case KEY_NAMED:
        read_sections(r, key, node, place, base);
        break;
    case KEY_PART_LIST:
    case KEY_PART_MAP:
        read_part(r, key, node, place, base);
        break;
    default:
        config_scalar_read(r, key, node, place, base);
    }
}

/* The value of a key that the file does not have. */
static void read_default(struct config_reader *r, const struct key *key, const struct place *place,
                         void *base)
{
    static const struct yaml_node absent = {.kind = YAML_EMPTY};
    if (key->type == KEY_MAP) {
        section_read(r, key->section, 0, &absent, place, field_at(base, key->at));
    } else if (key->type == KEY_PART_LIST || key->type == KEY_PART_MAP) {
        struct config_part *part = field_at(base, key->at);
        part->json = key->type == KEY_PART_LIST ? "[]" : "{}";
    } else if (key->fallback) {
        const struct yaml_node text = {YAML_TEXT, .plain = true, .text = key->fallback,
                                       .size = strlen(key->fallback)};
        config_scalar_read(r, key, &text, place, base);
    } else if (key->type == KEY_NUMBER) {
        *(double *)field_at(base, key->at) = __builtin_nan("");
    }
}

static void complain_unknown(struct config_reader *r, const struct key_section *section,
                             size_t skip, const struct yaml_node *child, const struct place *place)
{
    const char *names[MAX_KEYS_OF_A_SECTION];
    size_t n = 0;
    for (size_t i = skip; i < section->n_keys && n < MAX_KEYS_OF_A_SECTION; i++)
        names[n++] = section->keys[i].name;
    const char *near = text_near(child->key, names, n);
    config_complain(r, child->key_line, place, "unknown key%s%s%s", near ? "; did you mean " : "",
                    near ? near : "", near ? "?" : "");
}

/* `skip`: how many of the first keys are not to be had from the map (the name of a named one). */
static void section_read(struct config_reader *r, const struct key_section *section, size_t skip,
                         const struct yaml_node *node, const struct place *place, void *base)
{
    const struct yaml_node *given[MAX_KEYS_OF_A_SECTION] = {NULL};
    const bool absent = yaml_is_null(node);
    if (!absent && node->kind != YAML_MAP) {
        config_complain(r, node->line, place, "has to be a map of keys");
        return;
    }
    for (size_t i = 0; i < node->n_children; i++) {
        const struct place at = {place, node->children[i].key, 0};
        size_t k = skip;
        while (k < section->n_keys && strcmp(section->keys[k].name, node->children[i].key) != 0)
            k++;
        if (k == section->n_keys)
            complain_unknown(r, section, skip, &node->children[i], &at);
        else if (!yaml_is_null(&node->children[i]))
            given[k] = &node->children[i];
    }
    for (size_t k = skip; k < section->n_keys; k++) {
        const struct key *key = &section->keys[k];
        const struct place at = {place, key->name, 0};
        if (given[k])
            read_value(r, key, &node->children[given[k] - node->children], &at, base);
        else if (key->required && !(absent && node->line == 0))
            config_complain(r, node->line, &at, "is missing: %s", key->help);
        else
            read_default(r, key, &at, base);
    }
    if (section->line_at != NO_LINE)
        *(int *)field_at(base, section->line_at) = node->line;
    if (node->line)
        config_section_check(r, section, node, place, base);
}

const char *config_path(struct config_reader *r, const char *path)
{
    if (path[0] == '/' || r->directory[0] == 0)
        return path;
    size_t n = strlen(r->directory), n_path = strlen(path);
    char *whole = arena_take(r->arena, n + n_path + 1);
    if (whole)
        snprintf(whole, n + n_path + 1, "%s%s", r->directory, path);
    return whole;
}

static int read_config(struct config **out, const char *yaml, size_t n, struct config_reader *r)
{
    struct config_memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return err_set(r->err, -ENOMEM, "%s: no memory to read it", r->path);
    AUTO(config) struct config *config = &memory->config;
    arena_init(&memory->arena, ARENA_BYTES);
    r->arena = &memory->arena;

    const char *slash = strrchr(r->path, '/');
    config->path = arena_text(r->arena, r->path, strlen(r->path));
    r->directory = slash ? arena_text(r->arena, r->path, (size_t)(slash - r->path) + 1) : "";
    struct yaml_node *root = NULL;
    if (config->path && r->directory) {
        int rc = yaml_tree_parse(&root, r->arena, r->path, yaml, n, r->err);
        if (rc) {
            if (r->tell && r->err)
                r->tell(r->context, r->err->text);
            return rc;
        }
        section_read(r, &config_root, 0, root, NULL, config);
    }
    if (memory->arena.failed)
        return err_set(r->err, -ENOMEM, "%s: no memory to read it", r->path);
    if (r->n_complaints)
        return ERR_DATA;
    *out = config;
    config = NULL; /* the caller owns it now */
    return 0;
}

int config_parse(struct config **out, const char *path, const char *yaml, size_t n, struct err *err)
{
    struct config_reader r = {.path = path, .err = err};
    return read_config(out, yaml, n, &r);
}

int config_parse_stored(struct config **out, const char *path, const char *json, size_t n,
                        struct err *err)
{
    struct config_reader r = {.path = path, .err = err, .stored = true};
    return read_config(out, json, n, &r);
}

/* The whole file, with a NUL behind it. */
static int file_read(char **out, size_t *n, const char *path, size_t max_bytes, struct err *err)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) < 0)
        return err_set(err, -errno, "cannot read %s: %s", path, strerrordesc_np(errno));
    if (S_ISDIR(stat.st_mode))
        return err_set(err, -EISDIR, "cannot read %s: it is a directory", path);
    AUTO_FREE char *bytes = malloc(max_bytes + 1);
    if (!bytes)
        return err_set(err, -ENOMEM, "cannot read %s: no memory", path);
    size_t size = 0;
    for (;;) {
        ssize_t got = read(fd, bytes + size, max_bytes + 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, -errno, "cannot read %s: %s", path, strerrordesc_np(errno));
        size += (size_t)got;
        if (got == 0)
            break;
        if (size > max_bytes)
            return err_set(err, ERR_DATA, "cannot read %s: more than %zu bytes", path, max_bytes);
    }
    bytes[size] = 0;
    *n = size;
    *out = bytes;
    bytes = NULL; /* the caller owns it now */
    return 0;
}

int config_secret_read(char **out, const char *path, struct err *err)
{
    size_t n = 0;
    AUTO_FREE char *text = NULL;
    int rc = file_read(&text, &n, path, SECRET_MAX_BYTES, err);
    if (rc)
        return rc;
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = 0;
    if (n == 0)
        return err_set(err, ERR_DATA, "%s is empty", path);
    if (memchr(text, 0, n)) {
        explicit_bzero(text, n);
        return err_set(err, ERR_DATA, "%s has a NUL inside: not a text", path);
    }
    *out = text;
    text = NULL; /* the caller owns it now */
    return 0;
}

int config_read(struct config **out, const char *path, struct err *err)
{
    AUTO_FREE char *yaml = NULL;
    size_t n = 0;
    int rc = file_read(&yaml, &n, path, YAML_MAX_BYTES, err);
    return rc ? rc : config_parse(out, path, yaml, n, err);
}

int config_check(const char *path, void (*tell)(void *context, const char *complaint),
                 void *context, struct err *err)
{
    AUTO_FREE char *yaml = NULL;
    size_t n = 0;
    int rc = file_read(&yaml, &n, path, YAML_MAX_BYTES, err);
    if (rc)
        return rc;
    AUTO(config) struct config *config = NULL;
    struct config_reader r = {.path = path, .err = err, .tell = tell, .context = context};
    return read_config(&config, yaml, n, &r);
}

struct config *config_share(const struct config *config)
{
    struct config_memory *memory = (struct config_memory *)(uintptr_t)config;
    atomic_fetch_add(&memory->sharers, 1); /* only the count changes */
    return &memory->config;
}

void config_free(struct config *config)
{
    struct config_memory *memory = (struct config_memory *)config;
    if (!memory || atomic_fetch_sub(&memory->sharers, 1) > 0)
        return;
    arena_finish(&memory->arena);
    free(memory);
}

const struct config_model *config_model_find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_models; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}
