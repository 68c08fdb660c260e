/*
 * One HTTP request to a receiver, as libcurl wants it: limits, TLS checks, signature, and the
 * judgement of the address that is connected to.
 *
 * Owner    request_new gives, request_free takes; borrows the receiver
 * Threads  one
 */
#pragma once

#include <curl/curl.h>

#include "alerts/payload.h"
#include "common/cleanup.h"

enum {
    REQUEST_MAX_ANSWER = 16 * 1024
};

struct request {
    CURL *curl;
    struct curl_slist *headers;
    struct payload payload;
    const struct receiver *receiver;
    struct buf answer;      /* the first 16 KiB of it */
    int64_t retry_after_ms; /* -1: none */
    bool refused_address;
    char problem[CURL_ERROR_SIZE];
};

int request_new(struct request **out, const struct receiver *receiver, const char *webhook_id,
                const char *data, int64_t now_ms, struct err *err);
void request_free(struct request *request);
DEFINE_FREEP(request)

/* After the transfer: the HTTP status (0: none came), and `problem` in words when it went wrong. */
int request_status(struct request *request, CURLcode result);
