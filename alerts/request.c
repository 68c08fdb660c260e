#include "alerts/request.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alerts/address.h"

enum {
    MAX_URL_BYTES = 4096,
    CONNECT_TIMEOUT_MS = 5000
};

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct request *request = context;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        !address_allowed(&to->addr, request->receiver->allow_private)) {
        request->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Keeps the first 16 KiB; more ends the transfer, the status has come by then. */
static size_t take_answer(char *bytes, size_t size, size_t n, void *context)
{
    struct request *request = context;
    size_t left = REQUEST_MAX_ANSWER - request->answer.size;
    size_t got = size * n;
    buf_bytes(&request->answer, bytes, got < left ? got : left);
    return got <= left ? got : 0;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *context)
{
    static const char name[] = "retry-after:";
    struct request *request = context;
    size_t got = size * n;
    if (got > sizeof(name) && strncasecmp(bytes, name, sizeof(name) - 1) == 0) {
        char text[128];
        size_t length = got - (sizeof(name) - 1);
        length = length < sizeof(text) - 1 ? length : sizeof(text) - 1;
        memcpy(text, bytes + sizeof(name) - 1, length);
        text[length] = '\0';
        char *start = text + strspn(text, " ");
        if (isdigit((unsigned char)*start))
            request->retry_after_ms = strtoll(start, NULL, 10) * 1000;
        else if (curl_getdate(start, NULL) > 0)
            request->retry_after_ms =
                ((int64_t)curl_getdate(start, NULL) - (int64_t)time(NULL)) * 1000;
    }
    return got;
}

static int add_header(struct request *request, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int add_header(struct request *request, struct err *err, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line))
        return err_set(err, ERR_DATA, "receiver %s: a header is too long", request->receiver->name);
    struct curl_slist *headers = curl_slist_append(request->headers, line);
    if (!headers)
        return err_set(err, -ENOMEM, "receiver %s: no memory", request->receiver->name);
    request->headers = headers;
    return 0;
}

static int sign(struct request *request, const char *webhook_id, int64_t now_s, struct err *err)
{
    int rc = add_header(request, err, "webhook-id: %s", webhook_id);
    if (!rc)
        rc = add_header(request, err, "webhook-timestamp: %" PRId64, now_s);
    if (rc || !request->receiver->n_keys)
        return rc;
    struct buf signature;
    buf_init(&signature, 1024);
    rc = sign_webhook(&signature, request->receiver->keys, request->receiver->n_keys, webhook_id,
                      now_s, request->payload.body.data, request->payload.body.size, err);
    buf_u8(&signature, 0);
    if (!rc)
        rc = add_header(request, err, "webhook-signature: %s", (const char *)signature.data);
    buf_finish(&signature);
    return rc;
}

static int add_headers(struct request *request, const char *webhook_id, int64_t now_ms,
                       struct err *err)
{
    const struct receiver *receiver = request->receiver;
    int rc = add_header(request, err, "content-type: %s", request->payload.content_type);
    if (!rc)
        rc = add_header(request, err, "expect:"); /* no pause for "100 Continue" */
    if (!rc && receiver->type == RECEIVER_WEBHOOK)
        rc = sign(request, webhook_id, now_ms / 1000, err);
    if (!rc && receiver->type == RECEIVER_OPSGENIE)
        rc = add_header(request, err, "authorization: GenieKey %s", receiver->token);
    else if (!rc && receiver->token && receiver->type != RECEIVER_PAGERDUTY)
        rc = add_header(request, err, "authorization: Bearer %s", receiver->token);
    return rc;
}

static int set_options(struct request *request, struct err *err)
{
    const struct receiver *receiver = request->receiver;
    CURL *curl = request->curl;
    char url[MAX_URL_BYTES];
    const char *base = request->payload.url[0] ? request->payload.url : receiver->url;
    size_t n = strlen(base);
    while (request->payload.url_suffix[0] && n && base[n - 1] == '/')
        n--;
    if (snprintf(url, sizeof(url), "%.*s%s", (int)n, base, request->payload.url_suffix) >=
        (int)sizeof(url))
        return err_set(err, ERR_DATA, "receiver %s: the URL is too long", receiver->name);

    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(curl, CURLOPT_URL, url);
    rc |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(curl, CURLOPT_PROXY, receiver->proxy ? receiver->proxy : "");
    rc |= curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    rc |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    rc |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (receiver->ca_file)
        rc |= curl_easy_setopt(curl, CURLOPT_CAINFO, receiver->ca_file);
    rc |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)receiver->timeout_ms);
    rc |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    rc |= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->payload.method);
    rc |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (char *)request->payload.body.data);
    rc |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->payload.body.size);
    rc |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->headers);
    rc |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "assay");
    rc |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    rc |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, request);
    rc |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    rc |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
    rc |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    rc |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, request);
    rc |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, request->problem);
    rc |= curl_easy_setopt(curl, CURLOPT_PRIVATE, request);
    return rc == CURLE_OK ? 0
                          : err_set(err, -ENOMEM, "receiver %s: libcurl: %s", receiver->name,
                                    curl_easy_strerror(rc));
}

int request_new(struct request **out, const struct receiver *receiver, const char *webhook_id,
                const char *data, int64_t now_ms, struct err *err)
{
    AUTO(request) struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return err_set(err, -ENOMEM, "receiver %s: no memory", receiver->name);
    request->receiver = receiver;
    request->retry_after_ms = -1;
    buf_init(&request->answer, REQUEST_MAX_ANSWER + 1);
    int rc = payload_render(&request->payload, receiver, data, now_ms, err);
    if (rc)
        return rc;
    request->curl = curl_easy_init();
    if (!request->curl)
        return err_set(err, -ENOMEM, "receiver %s: no memory", receiver->name);
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
    if (request->curl)
        curl_easy_cleanup(request->curl);
    curl_slist_free_all(request->headers);
    payload_finish(&request->payload);
    buf_finish(&request->answer);
    free(request);
}

int request_status(struct request *request, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    /* An answer that never ends or is too long has said its status: that is what counts. */
    if (result != CURLE_OK && status == 0) {
        if (request->refused_address)
            snprintf(
                request->problem, sizeof(request->problem),
                "the address is private or reserved; allow_private: true permits private ones");
        else if (!request->problem[0])
            snprintf(request->problem, sizeof(request->problem), "%s", curl_easy_strerror(result));
        return 0;
    }
    if (status >= 300) {
        int n = (int)(request->answer.size < 160 ? request->answer.size : 160);
        snprintf(request->problem, sizeof(request->problem), "HTTP %ld: %.*s", status, n,
                 request->answer.data ? (const char *)request->answer.data : "");
    } else {
        request->problem[0] = '\0';
    }
    return (int)status;
}
