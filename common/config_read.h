/*
 * Reading one value of assay.yaml: between the tree and the structs, inside common/ only.
 *
 * Shape    a place is where we are ("models[0].threshold"), for messages; every complaint is told
 *          and reading goes on, so that one run finds them all
 * Owner    what is made lives in the arena
 * Threads  one at a time
 */
#pragma once

#include "common/config.h"
#include "common/config_keys.h"
#include "common/yaml_tree.h"

struct config_reader {
    const char *path;      /* of the file, for messages */
    const char *directory; /* what relative paths start at: "" or ending in / */
    struct arena *arena;
    struct err *err; /* the first complaint */
    void (*tell)(void *context, const char *complaint);
    void *context;
    int n_complaints;
    bool stored; /* not of this machine: what it lacks is told by whoever needs it */
};

struct place {
    const struct place *above; /* NULL: the top */
    const char *name;          /* NULL: an item of a list */
    size_t index;
};

void config_complain(struct config_reader *r, int line, const struct place *place,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reads a scalar of `key` into the section's struct `base`; complains where it does not fit. */
void config_scalar_read(struct config_reader *r, const struct key *key,
                        const struct yaml_node *node, const struct place *place, void *base);

/* A path as the daemon opens it. */
const char *config_path(struct config_reader *r, const char *path);

/* Once the keys of a section are read: what they have to say about each other. */
void config_section_check(struct config_reader *r, const struct key_section *section,
                          const struct yaml_node *node, const struct place *place, void *base);
