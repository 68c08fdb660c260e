/*
 * libyaml's events, one after the other, onto a stack of open maps and lists:
 *
 *     models:                     stack: root map
 *       - name: credit            stack: root map, list, map       (key "name" waits for its value)
 *
 * Children of an open node are a linked list; when it ends they become an array in the arena. An
 * alias is a copy of what its anchor stands for, and counts as many nodes, so that a bomb of
 * aliases meets the limit before it takes memory.
 */
#include "common/yaml_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "common/text.h"

enum {
    MAX_ANCHORS = 1000
};

struct child {
    struct yaml_node node;
    struct child *next;
};

struct open_node {
    struct yaml_node node;
    struct child *first, *last;
    size_t n_children;
    const char *key; /* of a map: read, and waiting for its value */
    int key_line;
    const char *anchor;
};

struct anchor {
    const char *name;
    struct yaml_node node;
    struct anchor *next;
};

struct builder {
    const char *path;
    struct arena *arena;
    struct err *err;
    struct open_node stack[YAML_MAX_DEPTH];
    size_t depth;
    struct anchor *anchors;
    size_t n_anchors;
    size_t n_nodes;
    struct yaml_node *root;
};

static int refuse(const struct builder *b, size_t line, const char *what)
{
    return err_set(b->err, ERR_DATA, "%s:%zu: %s", b->path, line + 1, what);
}

static int no_memory(const struct builder *b)
{
    return err_set(b->err, -ENOMEM, "%s: no memory to read it", b->path);
}

static int count_nodes(struct builder *b, size_t line, size_t n)
{
    b->n_nodes += n;
    return b->n_nodes > YAML_MAX_NODES ? refuse(b, line, "more than 250000 values") : 0;
}

static int anchor_add(struct builder *b, const char *name, const struct yaml_node *node)
{
    if (!name)
        return 0;
    if (++b->n_anchors > MAX_ANCHORS)
        return refuse(b, (size_t)node->line - 1, "more than 1000 anchors");
    struct anchor *anchor = arena_take(b->arena, sizeof(*anchor));
    if (!anchor)
        return no_memory(b);
    *anchor = (struct anchor){name, *node, b->anchors};
    b->anchors = anchor;
    return 0;
}

/* Puts a finished node where it belongs: into the open map or list, or to be the root. */
static int place(struct builder *b, struct yaml_node node, size_t line)
{
    if (b->depth == 0) {
        b->root = arena_take(b->arena, sizeof(*b->root));
        if (!b->root)
            return no_memory(b);
        *b->root = node;
        return 0;
    }
    struct open_node *open = &b->stack[b->depth - 1];
    if (open->node.kind == YAML_MAP) {
        if (!open->key) {
            if (node.kind != YAML_TEXT)
                return refuse(b, line, "a key has to be a text");
            open->key = node.text;
            open->key_line = node.line;
            return 0;
        }
        node.key = open->key;
        node.key_line = open->key_line;
        open->key = NULL;
    }
    struct child *child = arena_take(b->arena, sizeof(*child));
    if (!child)
        return no_memory(b);
    *child = (struct child){node, NULL};
    if (open->last)
        open->last->next = child;
    else
        open->first = child;
    open->last = child;
    open->n_children++;
    return 0;
}

/* Where the text that is read belongs: `receivers[0].url: `; "" for a key, or at the root. */
static void tell_place(const struct builder *b, struct buf *out)
{
    for (size_t i = 0; i < b->depth; i++) {
        const struct open_node *open = &b->stack[i];
        if (open->node.kind == YAML_LIST)
            buf_printf(out, "[%zu]", open->n_children);
        else if (open->key)
            buf_printf(out, "%s%.60s", i ? "." : "", open->key);
    }
    buf_printf(out, "%s", out->size ? ": " : "");
    buf_u8(out, 0);
}

static int refuse_unset(const struct builder *b, size_t line, const char *name)
{
    struct buf at;
    buf_init(&at, 4096);
    tell_place(b, &at);
    int rc = err_set(b->err, ERR_DATA, "%s:%zu: %senvironment variable %s is not set", b->path,
                     line + 1, buf_failed(&at) ? "" : (const char *)at.data, name);
    buf_finish(&at);
    return rc;
}

/* `${NAME}` → its value. */
static int expand(struct builder *b, const char *text, size_t n, size_t line, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '$' && n - i > 2 && text[i + 1] == '$' && text[i + 2] == '{') {
            buf_bytes(out, "${", 2);
            i += 2;
            continue;
        }
        if (text[i] != '$' || i + 1 == n || text[i + 1] != '{') {
            buf_u8(out, (uint8_t)text[i]);
            continue;
        }
        const char *name = text + i + 2;
        const char *end = memchr(name, '}', n - i - 2);
        char copy[128];
        size_t size = end ? (size_t)(end - name) : 0;
        if (size == 0 || size >= sizeof(copy))
            return refuse(b, line, "${ needs a name and }; a bare ${ is written $${");
        memcpy(copy, name, size);
        copy[size] = 0;
        const char *value = getenv(copy); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
        if (!value)
            return refuse_unset(b, line, copy);
        buf_bytes(out, value, strlen(value));
        i += size + 2;
    }
    return 0;
}

static int scalar_text(struct builder *b, const yaml_event_t *event, struct yaml_node *node)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length, line = event->start_mark.line;
    struct buf expanded;
    buf_init(&expanded, YAML_MAX_BYTES);
    int rc = 0;
    if (memchr(text, '$', n)) {
        rc = expand(b, text, n, line, &expanded);
        text = (const char *)expanded.data;
        n = expanded.size;
    }
    if (rc == 0 && n && (memchr(text, 0, n) || !text_is_utf8(text, n)))
        rc = refuse(b, line, "a text with NUL or with bytes that are not UTF-8");
    if (rc == 0) {
        node->text = arena_text(b->arena, text, n);
        node->size = n;
        if (!node->text || buf_failed(&expanded))
            rc = no_memory(b);
    }
    buf_finish(&expanded);
    return rc;
}

static int take_scalar(struct builder *b, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;
    const char *tag = (const char *)event->data.scalar.tag;
    if (tag && strcmp(tag, YAML_STR_TAG) != 0 && strcmp(tag, "!") != 0)
        return refuse(b, line, "tags other than !!str are not used here");

    struct yaml_node node = {.kind = YAML_TEXT, .line = (int)line + 1};
    node.plain = !tag && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (node.plain && event->data.scalar.length == 0)
        node.kind = YAML_EMPTY;
    int rc = scalar_text(b, event, &node);
    const char *anchor = (const char *)event->data.scalar.anchor;
    if (rc == 0 && anchor)
        rc = anchor_add(b, arena_text(b->arena, anchor, strlen(anchor)), &node);
    return rc ? rc : place(b, node, line);
}

static int open_container(struct builder *b, enum yaml_kind kind, const char *anchor,
                          const char *tag, size_t line)
{
    if (tag && strcmp(tag, YAML_MAP_TAG) != 0 && strcmp(tag, YAML_SEQ_TAG) != 0)
        return refuse(b, line, "tags other than !!str are not used here");
    if (b->depth == YAML_MAX_DEPTH)
        return refuse(b, line, "more than 32 levels");
    b->stack[b->depth++] = (struct open_node){
        .node = {.kind = kind, .line = (int)line + 1},
        .anchor = anchor ? arena_text(b->arena, anchor, strlen(anchor)) : NULL,
    };
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct yaml_node *const *x = a, *const *y = b;
    int order = strcmp((*x)->key, (*y)->key);
    return order ? order : (*x > *y) - (*x < *y);
}

static int refuse_duplicates(struct builder *b, const struct yaml_node *map)
{
    if (map->n_children < 2)
        return 0;
    const struct yaml_node **sorted = malloc(map->n_children * sizeof(void *));
    if (!sorted)
        return no_memory(b);
    for (size_t i = 0; i < map->n_children; i++)
        sorted[i] = &map->children[i];
    qsort(sorted, map->n_children, sizeof(void *), by_key);
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < map->n_children; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            rc = err_set(b->err, ERR_DATA, "%s:%d: %.100s is here a second time, first in line %d",
                         b->path, sorted[i]->key_line, sorted[i]->key, sorted[i - 1]->key_line);
    free(sorted);
    return rc;
}

static int close_container(struct builder *b, size_t line)
{
    struct open_node *open = &b->stack[b->depth - 1];
    struct yaml_node node = open->node;
    node.n_children = open->n_children;
    node.children = arena_take_array(b->arena, open->n_children, sizeof(*node.children));
    if (!node.children)
        return no_memory(b);
    size_t i = 0;
    for (const struct child *child = open->first; child; child = child->next)
        node.children[i++] = child->node;

    int rc = node.kind == YAML_MAP ? refuse_duplicates(b, &node) : 0;
    if (rc == 0)
        rc = anchor_add(b, open->anchor, &node);
    b->depth--;
    return rc ? rc : place(b, node, line);
}

static size_t node_count(const struct yaml_node *node)
{
    size_t n = 1;
    for (size_t i = 0; i < node->n_children; i++)
        n += node_count(&node->children[i]);
    return n;
}

static int take_alias(struct builder *b, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = b->anchors;
    while (anchor && strcmp(anchor->name, name) != 0)
        anchor = anchor->next;
    if (!anchor)
        return refuse(b, line, "an alias of an anchor that is not there (yet)");
    int rc = count_nodes(b, line, node_count(&anchor->node));
    if (rc)
        return rc;
    /* The children are shared: nobody writes to a finished node. */
    struct yaml_node node = anchor->node;
    node.key = NULL;
    return place(b, node, line);
}

/* 1: the stream has ended. */
static int take_event(struct builder *b, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;
    int rc;
    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_DOCUMENT_START_EVENT:
        return b->root ? refuse(b, line, "a second document; one file is one document") : 0;
    case YAML_SCALAR_EVENT:
        rc = count_nodes(b, line, 1);
        return rc ? rc : take_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        rc = count_nodes(b, line, 1);
        return rc ? rc
                  : open_container(b, YAML_LIST, (const char *)event->data.sequence_start.anchor,
                                   (const char *)event->data.sequence_start.tag, line);
    case YAML_MAPPING_START_EVENT:
        rc = count_nodes(b, line, 1);
        return rc ? rc
                  : open_container(b, YAML_MAP, (const char *)event->data.mapping_start.anchor,
                                   (const char *)event->data.mapping_start.tag, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_container(b, line);
    case YAML_ALIAS_EVENT:
        return take_alias(b, event);
    default:
        return 0;
    }
}

/* Where that line begins; NULL: there is none. */
static const char *line_of(const char *yaml, size_t n, size_t line)
{
    const char *at = yaml, *end = yaml + n;
    while (line && at) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at)
            at++;
        line--;
    }
    return at;
}

/* `{path: ${NAME}}` is the usual slip: between braces its own braces count. */
static bool has_variable(const char *yaml, size_t n, size_t line)
{
    const char *at = line_of(yaml, n, line), *end = yaml + n;
    const char *stop = at ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    return at && memmem(at, (size_t)((stop ? stop : end) - at), "${", 2);
}

static bool has_tab(const char *yaml, size_t n, size_t line)
{
    const char *at = line_of(yaml, n, line), *end = yaml + n;
    while (at && at < end && *at == ' ')
        at++;
    return at && at < end && *at == '\t';
}

static int refuse_yaml(const struct builder *b, const yaml_parser_t *parser, const char *yaml,
                       size_t n)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(b);
    size_t line = parser->problem_mark.line;
    if (has_tab(yaml, n, line))
        return err_set(b->err, ERR_DATA, "%s:%zu: not YAML: begins with a tab; indent with blanks",
                       b->path, line + 1);
    return err_set(b->err, ERR_DATA, "%s:%zu: not YAML: %s%s", b->path, line + 1,
                   parser->problem ? parser->problem : "unreadable",
                   has_variable(yaml, n, line)
                       ? "; between { } and [ ] a variable needs quotes: \"${NAME}\""
                       : "");
}

int yaml_tree_parse(struct yaml_node **out, struct arena *arena, const char *path, const char *yaml,
                    size_t n, struct err *err)
{
    if (n > YAML_MAX_BYTES)
        return err_set(err, ERR_DATA, "%s: %zu bytes, more than 4 MiB", path, n);
    struct builder *b = calloc(1, sizeof(*b));
    yaml_parser_t parser;
    if (!b || !yaml_parser_initialize(&parser)) {
        free(b);
        return err_set(err, -ENOMEM, "%s: no memory to read it", path);
    }
    b->path = path;
    b->arena = arena;
    b->err = err;
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, n);

    int rc = 0;
    while (rc == 0) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            rc = refuse_yaml(b, &parser, yaml, n);
            break;
        }
        rc = take_event(b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);

    if (rc == 1 && !b->root)
        rc = place(b, (struct yaml_node){.kind = YAML_EMPTY, .line = 1, .plain = true}, 0) ?: 1;
    *out = b->root;
    free(b);
    return rc == 1 ? 0 : rc;
}

const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map->kind == YAML_MAP && i < map->n_children; i++)
        if (strcmp(map->children[i].key, key) == 0)
            return &map->children[i];
    return NULL;
}

bool yaml_is_null(const struct yaml_node *node)
{
    if (node->kind == YAML_EMPTY)
        return true;
    return node->kind == YAML_TEXT && node->plain &&
           (strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0);
}

bool yaml_is_bool(const struct yaml_node *node, bool *out)
{
    if (node->kind != YAML_TEXT || !node->plain)
        return false;
    *out = strcmp(node->text, "true") == 0;
    return *out || strcmp(node->text, "false") == 0;
}

bool yaml_is_number(const struct yaml_node *node, double *out)
{
    return node->kind == YAML_TEXT && node->plain && number_parse(out, node->text, node->size) == 0;
}

static void json_children(const struct yaml_node *node, struct buf *out)
{
    bool map = node->kind == YAML_MAP;
    buf_u8(out, map ? '{' : '[');
    for (size_t i = 0; i < node->n_children; i++) {
        if (i)
            buf_u8(out, ',');
        if (map) {
            json_text(out, node->children[i].key, strlen(node->children[i].key));
            buf_u8(out, ':');
        }
        yaml_json(&node->children[i], out);
    }
    buf_u8(out, map ? '}' : ']');
}

void yaml_json(const struct yaml_node *node, struct buf *out)
{
    bool truth;
    double number;
    int64_t whole;
    if (node->kind == YAML_LIST || node->kind == YAML_MAP)
        json_children(node, out);
    else if (yaml_is_null(node))
        buf_bytes(out, "null", 4);
    else if (yaml_is_bool(node, &truth))
        buf_printf(out, "%s", truth ? "true" : "false");
    else if (node->plain && int_parse(&whole, node->text, node->size) == 0)
        buf_printf(out, "%" PRId64, whole); /* all its digits */
    else if (yaml_is_number(node, &number))
        json_number(out, number);
    else
        json_text(out, node->text, node->size);
}
