#include "alerts/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int sign(struct request *request, const char *webhook_id, int64_t now_s, struct err *err)
{
    int rc = http_out_header(&request->http, err, "webhook-id: %s", webhook_id);
    if (!rc)
        rc = http_out_header(&request->http, err, "webhook-timestamp: %" PRId64, now_s);
    if (rc || !request->receiver->n_keys)
        return rc;
    struct buf signature;
    buf_init(&signature, 1024);
    rc = sign_webhook(&signature, request->receiver->keys, request->receiver->n_keys, webhook_id,
                      now_s, request->payload.body.data, request->payload.body.size, err);
    buf_u8(&signature, 0);
    if (!rc)
        rc = http_out_header(&request->http, err, "webhook-signature: %s",
                             (const char *)signature.data);
    buf_finish(&signature);
    return rc;
}

static int add_headers(struct request *request, const char *webhook_id, int64_t now_ms,
                       struct err *err)
{
    const struct receiver *receiver = request->receiver;
    int rc =
        http_out_header(&request->http, err, "content-type: %s", request->payload.content_type);
    if (!rc)
        rc = http_out_header(&request->http, err, "expect:"); /* no pause for "100 Continue" */
    if (!rc && receiver->type == RECEIVER_WEBHOOK)
        rc = sign(request, webhook_id, now_ms / 1000, err);
    if (!rc && receiver->type == RECEIVER_OPSGENIE)
        rc = http_out_header(&request->http, err, "authorization: GenieKey %s", receiver->token);
    else if (!rc && receiver->token && receiver->type != RECEIVER_PAGERDUTY)
        rc = http_out_header(&request->http, err, "authorization: Bearer %s", receiver->token);
    return rc;
}

static int set_options(struct request *request, struct err *err)
{
    const struct receiver *receiver = request->receiver;
    char url[HTTP_OUT_MAX_URL];
    const char *base = request->payload.url[0] ? request->payload.url : receiver->url;
    size_t n = strlen(base);
    while (request->payload.url_suffix[0] && n && base[n - 1] == '/')
        n--;
    if (snprintf(url, sizeof(url), "%.*s%s", (int)n, base, request->payload.url_suffix) >=
        (int)sizeof(url))
        return err_set(err, ERR_DATA, "receiver %s: the URL is too long", receiver->name);

    struct http_target target = {
        .url = url,
        .method = request->payload.method,
        .body = (const char *)request->payload.body.data,
        .body_bytes = request->payload.body.size,
        .proxy = receiver->proxy,
        .ca_file = receiver->ca_file,
        .allow_private = receiver->allow_private,
        .timeout_ms = receiver->timeout_ms,
    };
    return http_out_prepare(&request->http, &target, err);
}

int request_new(struct request **out, const struct receiver *receiver, const char *webhook_id,
                const char *data, int64_t now_ms, struct err *err)
{
    AUTO(request) struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return err_set(err, -ENOMEM, "receiver %s: no memory", receiver->name);
    request->receiver = receiver;
    char who[160];
    snprintf(who, sizeof(who), "receiver %s", receiver->name);
    int rc = http_out_init(&request->http, who, err);
    if (!rc)
        rc = payload_render(&request->payload, receiver, data, now_ms, err);
    if (rc)
        return rc;
    rc = add_headers(request, webhook_id, now_ms, err);
    if (!rc)
        rc = set_options(request, err);
    if (rc)
        return rc;
    *out = request; /* the caller owns it now */
    request = NULL;
    return 0;
}

void request_free(struct request *request)
{
    if (!request)
        return;
    http_out_finish(&request->http);
    payload_finish(&request->payload);
    free(request);
}
