/*
 * Where a request begins and ends, judged with suspicion: what two programs could read in two ways
 * is refused, so that nothing can be smuggled past whoever stands before or behind.
 *
 * Shape    in the URI callback: framing_line_is_bare; once the header is in: framing_read, then
 *          framing_check
 * Owner    texts are the connection's, as long as its request
 * Threads  the HTTP library's
 * Source   failure-matrix.md F48: libmicrohttpd 0.9.75 itself takes two lengths and bare LF
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    HEADER_MAX_BYTES = 32 * 1024,
    TARGET_MAX_BYTES = 8 * 1024,
};

struct framing {
    size_t bytes;
    int n_length, n_encoding, n_host;
    bool dirty, bare_newline;
    const char *encoding, *host;
    long long length; /* -1: none */
};

/* Did the request line end with a bare LF? `target` as the URI callback gets it. */
bool framing_line_is_bare(const char *target);
void framing_read(struct framing *out, struct MHD_Connection *connection);
/* 0, or the status to refuse with and why; the connection has to end with that answer. */
int framing_check(const struct framing *framing, const char *target, const char *version,
                  const char **why);
