/*
 * A YAML file as a tree that knows its lines: maps, lists and texts, nothing guessed.
 *
 * Shape    every scalar is text, with `plain` for those without quotes: whoever reads it knows the
 *          type that is wanted, so that `no`, `on` and `1:30` stay what was written. `${NAME}` in a
 *          scalar becomes the environment variable's value, `$${` a bare `${`
 * Owner    nodes and texts live in the arena that was handed in
 * Errors   ERR_DATA with `FILE:LINE: …`: not YAML, not UTF-8, a key twice, more than one document,
 *          a key that is no text, an unknown tag, an environment variable that is not set; and the
 *          limits: 4 MiB, 32 levels, 1,000 anchors, 100,000 nodes (an alias counts as what it
 *          stands for)
 * Threads  one at a time (getenv)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"

enum yaml_kind {
    YAML_EMPTY, /* nothing after the colon */
    YAML_TEXT,
    YAML_LIST,
    YAML_MAP
};

struct yaml_node {
    enum yaml_kind kind;
    bool plain;      /* TEXT: written without quotes */
    int line;        /* from 1 */
    const char *key; /* in a map: its key; NULL in a list and for the root */
    int key_line;
    const char *text;           /* TEXT: with a NUL at its end, and none inside */
    size_t size;                /* TEXT: bytes */
    bool resolved;              /* a path that was made ready to open */
    struct yaml_node *children; /* LIST, MAP: in the file's order */
    size_t n_children;
};

enum {
    YAML_MAX_BYTES = 4 << 20,
    YAML_MAX_DEPTH = 32,
    YAML_MAX_NODES = 250000, /* ten thousand alert rules with labels and annotations */
};

/* `path` is only for messages. An empty file gives a root of kind YAML_EMPTY. */
int yaml_tree_parse(struct yaml_node **out, struct arena *arena, const char *path, const char *yaml,
                    size_t n, struct err *err);

/* The member of a map, or NULL. */
const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key);

/* Null, true and false, or a number in JSON's words? Only plain texts can be. */
bool yaml_is_null(const struct yaml_node *node); /* also YAML_EMPTY */
bool yaml_is_bool(const struct yaml_node *node, bool *out);
bool yaml_is_number(const struct yaml_node *node, double *out);

/* The node as JSON, by these three and text for the rest. */
void yaml_json(const struct yaml_node *node, struct buf *out);
