/*
 * One HTTP request to a receiver (common/http_out.h) with its payload and signature.
 *
 * Owner    request_new gives, request_free takes; borrows the receiver
 * Threads  one
 */
#pragma once

#include "alerts/payload.h"
#include "common/cleanup.h"
#include "common/http_out.h"

struct request {
    struct http_out http;
    struct payload payload;
    const struct receiver *receiver;
};

int request_new(struct request **out, const struct receiver *receiver, const char *webhook_id,
                const char *data, int64_t now_ms, struct err *err);
void request_free(struct request *request);
DEFINE_FREEP(request)
