/*
 * Reading the reference answers that come with the project's shared texts, not with its tree.
 *
 * Shape    reference_read("abtest/welch_t.json") looks under $ASSAY_SHARED/reference, else under
 *          ../shared/reference and ../../shared/reference beside the source; NULL when absent:
 *          the test then skips and says so (reference_skip)
 * Owner    the caller's json_t
 */
#pragma once

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

/* Where reference/`name` is; false when it is nowhere. */
static inline bool reference_path(char *path, size_t size, const char *name)
{
    const char *shared = getenv("ASSAY_SHARED"), *source = getenv("ASSAY_SOURCE");
    const char *places[] = {"", "/../shared", "/../../shared"};
    for (size_t i = shared ? 0 : 1; i < (shared ? 1 : 3); i++) {
        snprintf(path, size, "%s%s/reference/%s",
                 shared   ? shared
                 : source ? source
                          : "..",
                 places[i], name);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

static inline json_t *reference_read(const char *name)
{
    char path[4096];
    json_error_t error;
    return reference_path(path, sizeof(path), name) ? json_load_file(path, 0, &error) : NULL;
}

#define reference_skip(name)                                                \
    do {                                                                    \
        print_message("SKIP: no reference/%s; set ASSAY_SHARED\n", (name)); \
        skip();                                                             \
    } while (0)

/* The number at a path of keys, e.g. reference_number(case, "input", "a", "n", NULL). */
static inline json_t *reference_at(json_t *json, const char *key, ...)
{
    va_list keys;
    va_start(keys, key);
    for (; key && json; key = va_arg(keys, const char *))
        json = json_object_get(json, key);
    va_end(keys);
    return json;
}

/* Relative 1e-6, absolute 1e-9 below 1e-3: the tolerance of the reference's README. */
static inline void reference_meets(double value, json_t *expected, const char *what)
{
    if (json_is_null(expected)) {
        if (!isnan(value))
            fail_msg("%s: %.17g where the reference has null", what, value);
        return;
    }
    if (!json_is_number(expected))
        fail_msg("%s: the reference has no such number", what);
    double wanted = json_number_value(expected);
    double tolerance = fmax(1e-6 * fabs(wanted), fabs(wanted) < 1e-3 ? 1e-9 : 0);
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%s: %.17g, the reference has %.17g", what, value, wanted);
}
