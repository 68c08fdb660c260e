/*
 * Reading the parts of assay.yaml that belong to this room (`alerts`, `receivers`, `route`), which
 * the configuration hands over as JSON text: typed reads whose messages name file, line and key.
 *
 * Owner    part_keep takes memory that part_finish frees; texts point into the JSON, so the json_t
 *          must outlive what was read
 * Errors   ERR_USAGE: `assay.yaml:31: alerts[2].window: "1x" is not a duration such as 10m`
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct part {
    const char *path; /* of the configuration file */
    int line;
    char where[96]; /* "alerts[2]" */
    void **memory;
    size_t n_memory;
    struct err *err;
};

struct part_pair {
    const char *key;
    const char *value;
};

void *part_keep(struct part *part, void *memory); /* NULL stays NULL; frees it when full */
void part_finish(struct part *part);

/* Writes "PATH:LINE: WHERE.key: …" and returns ERR_USAGE; key "" names the object itself. */
int part_refuse(struct part *part, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int part_no_memory(struct part *part);

/* Every key of `object` must be one of `keys`; else the message has the near match. */
int part_keys(struct part *part, const json_t *object, const char *const *keys, size_t n_keys);

/* Each leaves *out as it was when the key is absent. */
int part_text(struct part *part, const json_t *object, const char *key, const char **out);
int part_duration(struct part *part, const json_t *object, const char *key, int64_t *out_ms);
int part_number(struct part *part, const json_t *object, const char *key, double *out, bool *given);
int part_flag(struct part *part, const json_t *object, const char *key, bool *out);
int part_word(struct part *part, const json_t *object, const char *key, const char *const *words,
              int n_words, int *out);
int part_pairs(struct part *part, const json_t *object, const char *key,
               const struct part_pair **out, size_t *n);
int part_names(struct part *part, const json_t *object, const char *key, const char *const **out,
               size_t *n);
