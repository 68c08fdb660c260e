/*
 * What stands in a request line, and in headers, taken apart with suspicion: what two programs
 * could read in two ways is refused (failure-matrix.md F48; security checklist, line 6).
 *
 * Shape    target = path [ '?' query ]; segments and query values are percent-decoded here, after
 *          splitting, so that a model may have a '/' in its name as %2F
 * Owner    a struct target keeps its own memory: target_finish
 * Errors   ERR_USAGE with what is wrong with it
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "web/api.h"

enum {
    TARGET_MAX_SEGMENTS = 16,
};

struct target {
    char *memory;
    const char *segments[TARGET_MAX_SEGMENTS]; /* decoded */
    size_t n_segments;
    struct api_param params[API_MAX_PARAMS]; /* decoded, in order */
    size_t n_params;
};

int target_parse(struct target *out, const char *text, struct err *err);
void target_finish(struct target *target);

/* Is `name` a header name, and `value` free of control characters? */
bool header_is_clean(const char *name, size_t name_size, const char *value, size_t value_size);

/* "Example.org:8080" → "example.org" in `out`; false when it is no host. */
bool host_name(char *out, size_t n, const char *host);
/* "127.0.0.1", "[::1]": such a host cannot be rebound by DNS. */
bool host_is_address(const char *name);
/* "localhost" and below, 127.0.0.0/8, ::1 */
bool host_is_loopback(const char *name);
