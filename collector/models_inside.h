/*
 * The inside of models: what models.c and models_names.c share. Nobody else includes this.
 */
#pragma once

#include "collector/models.h"

#define NONE "__none__"
#define OTHER "__other__"

static inline uint64_t id_of(struct view text)
{
    return class_id(text.data ? text.data : "", text.size);
}

/* Makes a slice of that text. */
int model_new_slice(struct model *model, const char *text, size_t n, uint32_t *slice,
                    struct err *err);
