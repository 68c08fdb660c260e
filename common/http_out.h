/*
 * One HTTP request to the outside, as libcurl wants it: limits, TLS checks, no redirects, no proxy
 * or netrc of the environment, and the judgement of the very address that is connected to.
 *
 *     http_out_init → http_out_header… → http_out_prepare → (curl_easy_perform or a multi handle)
 *     → http_out_status → http_out_finish
 *
 * Owner    the caller's memory; http_out_finish gives back what is inside. It must not move between
 *          prepare and finish (libcurl points into it); the target's body is borrowed until then
 * Errors   -ENOMEM · ERR_DATA: a header or URL is too long; the message begins with `who`
 * Threads  one
 * Source   failure-matrix, security checklist line 8
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    HTTP_OUT_MAX_ANSWER = 16 * 1024, /* where the target says nothing */
    HTTP_OUT_MAX_URL = 4096
};

struct http_target {
    const char *url;
    const char *method; /* "GET": no body is sent */
    const char *body;   /* may be NULL */
    size_t body_bytes;
    const char *proxy;   /* NULL: none; the environment is not asked */
    const char *ca_file; /* NULL: the system's */
    bool allow_private;  /* loopback and private addresses, after resolution */
    int64_t timeout_ms;  /* of the whole request */
    size_t max_answer;   /* bytes, unpacked; 0: HTTP_OUT_MAX_ANSWER */
    bool packed;         /* the answer may come compressed */
};

struct http_out {
    char who[160]; /* "receiver oncall": begins messages */
    CURL *curl;
    struct curl_slist *headers;
    struct buf answer; /* its beginning, up to the limit */
    size_t max_answer;
    int64_t retry_after_ms; /* -1: none */
    bool allow_private;
    bool refused_address;
    char problem[CURL_ERROR_SIZE];
};

int http_out_init(struct http_out *http, const char *who, struct err *err);
void http_out_finish(struct http_out *http);

int http_out_header(struct http_out *http, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int http_out_prepare(struct http_out *http, const struct http_target *target, struct err *err);

/* After the transfer: the HTTP status (0: none came), and `problem` in words when it went wrong. */
int http_out_status(struct http_out *http, CURLcode result);

/* http or https, and no password inside: NULL, or what is wrong with it. */
const char *http_url_problem(const char *url);
