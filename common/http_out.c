#include "common/http_out.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"

enum {
    MAX_HEADER_BYTES = 8192,
    CONNECT_TIMEOUT_MS = 5000
};

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct http_out *http = context;
    if (purpose != CURLSOCKTYPE_IPCXN || !address_allowed(&to->addr, http->allow_private)) {
        http->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Keeps what fits; more ends the transfer, the status has come by then. */
static size_t take_answer(char *bytes, size_t size, size_t n, void *context)
{
    struct http_out *http = context;
    size_t left = http->max_answer - http->answer.size;
    size_t got = size * n;
    buf_bytes(&http->answer, bytes, got < left ? got : left);
    return got <= left ? got : 0;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *context)
{
    static const char name[] = "retry-after:";
    struct http_out *http = context;
    size_t got = size * n;
    if (got > sizeof(name) && strncasecmp(bytes, name, sizeof(name) - 1) == 0) {
        char text[128];
        size_t length = got - (sizeof(name) - 1);
        length = length < sizeof(text) - 1 ? length : sizeof(text) - 1;
        memcpy(text, bytes + sizeof(name) - 1, length);
        text[length] = '\0';
        char *start = text + strspn(text, " ");
        if (isdigit((unsigned char)*start))
            http->retry_after_ms = strtoll(start, NULL, 10) * 1000;
        else if (curl_getdate(start, NULL) > 0)
            http->retry_after_ms =
                ((int64_t)curl_getdate(start, NULL) - (int64_t)time(NULL)) * 1000;
    }
    return got;
}

int http_out_init(struct http_out *http, const char *who, struct err *err)
{
    *http = (struct http_out){.retry_after_ms = -1};
    snprintf(http->who, sizeof(http->who), "%s", who);
    http->curl = curl_easy_init();
    return http->curl ? 0 : err_set(err, -ENOMEM, "%s: no memory", who);
}

void http_out_finish(struct http_out *http)
{
    if (http->curl)
        curl_easy_cleanup(http->curl);
    http->curl = NULL;
    curl_slist_free_all(http->headers);
    http->headers = NULL;
    buf_finish(&http->answer);
}

int http_out_header(struct http_out *http, struct err *err, const char *format, ...)
{
    char line[MAX_HEADER_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line))
        return err_set(err, ERR_DATA, "%s: a header is too long", http->who);
    struct curl_slist *headers = curl_slist_append(http->headers, line);
    if (!headers)
        return err_set(err, -ENOMEM, "%s: no memory", http->who);
    http->headers = headers;
    return 0;
}

int http_out_prepare(struct http_out *http, const struct http_target *target, struct err *err)
{
    CURL *curl = http->curl;
    if (strlen(target->url) >= HTTP_OUT_MAX_URL)
        return err_set(err, ERR_DATA, "%s: the URL is too long", http->who);
    http->allow_private = target->allow_private;
    http->max_answer = target->max_answer ? target->max_answer : HTTP_OUT_MAX_ANSWER;
    buf_init(&http->answer, http->max_answer + 1);
    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(curl, CURLOPT_URL, target->url);
    rc |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(curl, CURLOPT_PROXY, target->proxy ? target->proxy : "");
    rc |= curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    rc |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    rc |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (target->ca_file)
        rc |= curl_easy_setopt(curl, CURLOPT_CAINFO, target->ca_file);
    rc |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)target->timeout_ms);
    rc |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    if (target->packed)
        rc |= curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (strcmp(target->method, "GET") != 0) {
        rc |= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, target->method);
        rc |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, target->body ? target->body : "");
        rc |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)target->body_bytes);
    }
    rc |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, http->headers);
    rc |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "assay");
    rc |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    rc |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, http);
    rc |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    rc |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    rc |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    rc |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    rc |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->problem);
    return rc == CURLE_OK
               ? 0
               : err_set(err, -ENOMEM, "%s: libcurl: %s", http->who, curl_easy_strerror(rc));
}

int http_out_status(struct http_out *http, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    /* An answer that never ends or is too long has said its status: that is what counts. */
    if (result != CURLE_OK && status == 0) {
        if (http->refused_address)
            snprintf(
                http->problem, sizeof(http->problem),
                "the address is private or reserved; allow_private: true permits private ones");
        else if (!http->problem[0])
            snprintf(http->problem, sizeof(http->problem), "%s", curl_easy_strerror(result));
        return 0;
    }
    if (status >= 300) {
        int n = (int)(http->answer.size < 160 ? http->answer.size : 160);
        snprintf(http->problem, sizeof(http->problem), "HTTP %ld: %.*s", status, n,
                 http->answer.data ? (const char *)http->answer.data : "");
    } else {
        http->problem[0] = '\0';
    }
    return (int)status;
}

const char *http_url_problem(const char *url)
{
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
        return "does not begin with http:// or https://";
    const char *host = strstr(url, "//") + 2;
    const char *end = host + strcspn(host, "/?#");
    return memchr(host, '@', (size_t)(end - host)) ? "must not hold a password; use token_file"
                                                   : NULL;
}
