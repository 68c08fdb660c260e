/*
 * Which headers a proxy passes on, and which are its own (RFC 9110 §7.6).
 *
 * Shape    a name passes unless it is about the one connection, or would be read as ours. Names
 *          are compared with '_' as '-': WSGI servers read both as one
 * Owner    header_join's text is the caller's
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* `nominated`: the Connection header, whose tokens name more of them; NULL: none. */
bool request_header_passes(const char *name, const char *nominated);
bool answer_header_passes(const char *name, const char *nominated);

/* Is this value fit for an HTTP/1.1 header line? */
bool header_value_is_clean(const char *value);

/* Can this method be sent on? CONNECT, TRACE and what nobody knows cannot. */
bool method_passes(const char *method);
