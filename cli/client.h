/*
 * One request to a running daemon, for the subcommands that talk to it.
 *
 * Owner    the answer's buffer is the caller's
 * Errors   ERR_IO: it cannot be reached, the message names the URL · ERR_USAGE: the URL or the
 *          token file is off. An HTTP status of 400 and more is no error here
 * Threads  one at a time
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

struct client {
    const char *url;        /* NULL: the environment's ASSAY_URL, else http://127.0.0.1:8080 */
    const char *token_file; /* NULL: the environment's ASSAY_TOKEN, if there is one */
};

struct client_request {
    const char *method;
    const char *path; /* "/api/v1/…", escaped */
    const char *body; /* JSON; NULL: none */
    long timeout_s;
    size_t body_size; /* of bytes that are no text; 0: body ends with its NUL */
};

int client_call(const struct client *client, const struct client_request *request, long *status,
                struct buf *answer, struct err *err);

/* What a problem+json says, or the status alone. */
int client_refused(const char *body, size_t n, long status, struct err *err);

/* The call, and its answer on standard output as it is; an HTTP status of 400 and more is an error.
 */
int client_print(const struct client *client, const struct client_request *request,
                 struct err *err);
