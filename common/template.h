/*
 * `{{value}}` in annotations and free bodies: names in double braces, nothing more.
 *
 * Shape    {{name}} or {{labels.name}}; blanks inside the braces are fine; there are no loops
 * Errors   ERR_USAGE names the unknown field and the near one: found by `assay check`, not at 3
 *          a.m.
 * Source   the words of Prometheus's annotations, without Go's template language
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

/* The text of a field, or NULL: unknown. `n` its bytes. */
typedef const char *template_lookup(void *context, const char *field, size_t n_field, size_t *n);

/* Every {{field}} must be one of `fields` (or begin with one that ends in "."). */
int template_check(const char *text, const char *const *fields, size_t n_fields, struct err *err);

/* Writes the text with its fields; what lookup does not know becomes "". */
void template_render(struct buf *out, const char *text, template_lookup *lookup, void *context);
