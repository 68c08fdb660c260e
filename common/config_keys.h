/*
 * The one table of the keys of assay.yaml: what config.c reads by, and what docs/configuration.md
 * and schemas/config.schema.json are printed from.
 *
 * Shape    a section is the keys of one map and the struct they fill; a key says its type, where
 *          its value goes, its range or words, its default and one line of help
 * Units    of min, max: the value's own (ms, bytes, …)
 * Owner    all const
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

enum key_type {
    KEY_TEXT,
    KEY_NAME,   /* a text of 1..256 bytes without control characters, as URLs and series have it */
    KEY_PATH,   /* of a file; relative to the configuration file */
    KEY_CLASS,  /* canonical text: 1.0 is "1" */
    KEY_WORD,   /* one of `words`, kept as text */
    KEY_CHOICE, /* one of `words`, kept as its number in an enum */
    KEY_SWITCH, /* one of two `words`, kept as bool */
    KEY_BOOL,   /* true or false */
    KEY_INT,    /* int64_t */
    KEY_NUMBER, /* double; NaN when absent without a default */
    KEY_DURATION,  /* ms */
    KEY_SIZE,      /* bytes */
    KEY_TIME,      /* RFC 3339 or ms */
    KEY_LISTEN,    /* address:port; the port goes to `count` */
    KEY_TEXTS,     /* a list of texts */
    KEY_CLASSES,   /* a list of classes */
    KEY_PAIRS,     /* a map name → text; NAME_file reads the value of NAME from a file */
    KEY_MAP,       /* one section */
    KEY_LIST,      /* a list of sections */
    KEY_NAMED,     /* a map name → section; the name goes to its first key's place */
    KEY_PART_LIST, /* checked by its own room: kept as JSON; a section names its keys */
    KEY_PART_MAP,
};

struct key_section;

struct key {
    const char *name;
    enum key_type type;
    size_t at;    /* offset in the section's struct */
    size_t count; /* offset of the number of things, or of the port */
    double min, max;
    const char *const *words;
    const struct key_section *section;
    const char *fallback; /* the default as it would stand in the file; NULL: none */
    bool required;
    const char *help;
};

struct key_section {
    const struct key *keys;
    size_t n_keys;
    size_t bytes;   /* of the struct */
    size_t line_at; /* offset of an int for the line; NO_LINE: none */
    /* What one key alone cannot tell. */
    enum key_check {
        CHECK_NOTHING,
        CHECK_STORAGE,
        CHECK_HTTP,
        CHECK_KAFKA,
        CHECK_TOPIC,
        CHECK_MODEL,
        CHECK_FEATURE,
        CHECK_METRIC,
        CHECK_REFERENCE,
        CHECK_SCRAPE,
        CHECK_ROOT,
    } check;
};
#define NO_LINE ((size_t)-1)

extern const struct key_section config_root;
/* The keys of one gateway, for web to check names against. */
extern const struct key_section config_gateway;

/* librdkafka properties that exactly-once rests on, or that other keys set; NULL ends the list. */
extern const char *const refused_properties[];

/* The range or the words of a key, for messages, docs and the schema: "0..1", "1s..1h". */
void key_range_print(const struct key *key, struct buf *out);

/* The table of docs/configuration.md, and schemas/config.schema.json. */
void config_keys_markdown(struct buf *out);
void config_keys_schema(struct buf *out);
