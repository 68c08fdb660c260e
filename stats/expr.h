/*
 * Formulas over metrics: `100*tp - 20*fp`, `min(precision, recall) / throughput`.
 *
 * Shape    + - * / ( ), min(a, b, …), max(a, b, …), numbers, names; a name is letters, digits and
 *          _, with an optional `{key="value"}` behind it. At most 1,000 bytes, 256 steps, 32
 *          levels of brackets and signs
 * Errors   `column 5: …`, counted in bytes from 1; the caller puts the metric's name before it
 * Owner    expr_parse gives, expr_free takes
 * Threads  read-only after parsing
 * Source   contract §7: x/0 is null; so is whatever has a null in it. Bounds by the rules of
 *          interval arithmetic, to first order exact and never too small
 */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"
#include "common/err.h"

struct expr;

struct expr_number {
    double value; /* NaN: null */
    double bound; /* |value - exact| <= bound; NaN: not known */
};

/* The names' side. `resolve` gives a name its number >= 0, or fails with a message. */
struct expr_names {
    void *context;
    int (*resolve)(void *context, const char *name, struct err *err);
};
int expr_parse(struct expr **out, const char *text, const struct expr_names *names,
               struct err *err);
void expr_free(struct expr *expr);
DEFINE_FREEP(expr)

typedef struct expr_number expr_lookup(void *context, int name);
struct expr_number expr_value(const struct expr *expr, expr_lookup *lookup, void *context);
