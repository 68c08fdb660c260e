#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/config.h"

static size_t take(char *bytes, size_t size, size_t n, void *context)
{
    struct buf *answer = context;
    buf_bytes(answer, bytes, size * n);
    return buf_failed(answer) ? 0 : size * n;
}

static int read_token(const struct client *client, char **out, struct err *err)
{
    const char *given = getenv("ASSAY_TOKEN");
    *out = NULL;
    if (client->token_file)
        return config_secret_read(out, client->token_file, err);
    if (!given || !*given)
        return 0;
    *out = strdup(given);
    return *out ? 0 : err_set(err, -ENOMEM, "no memory");
}

static const char *base_of(const struct client *client)
{
    const char *given = getenv("ASSAY_URL"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    return client->url ? client->url : given && *given ? given : "http://127.0.0.1:8080";
}

static struct curl_slist *headers_of(const char *token)
{
    struct buf line;
    buf_init(&line, 8192);
    struct curl_slist *headers = curl_slist_append(NULL, "content-type: application/json");
    if (token) {
        buf_printf(&line, "authorization: Bearer %s", token);
        buf_u8(&line, 0);
        if (!buf_failed(&line))
            headers = curl_slist_append(headers, (const char *)line.data);
    }
    buf_finish(&line);
    return headers;
}

int client_call(const struct client *client, const struct client_request *request, long *status,
                struct buf *answer, struct err *err)
{
    const char *base = base_of(client);
    AUTO_FREE char *token = NULL;
    struct buf url;
    int rc = read_token(client, &token, err);
    if (rc)
        return rc;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = headers_of(token);
    buf_init(&url, 16384);
    size_t n = strlen(base);
    buf_printf(&url, "%.*s%s", (int)(n && base[n - 1] == '/' ? n - 1 : n), base, request->path);
    buf_u8(&url, 0);
    *status = 0;
    buf_clear(answer);
    if (!curl || !headers || buf_failed(&url)) {
        rc = err_set(err, -ENOMEM, "no memory");
    } else {
        curl_easy_setopt(curl, CURLOPT_URL, (const char *)url.data);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
        if (request->body_size)
            curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        if (request->body)
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, request->timeout_s);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        CURLcode code = curl_easy_perform(curl);
        if (code != CURLE_OK)
            rc = err_set(err, ERR_IO, "cannot reach %s: %s", base, curl_easy_strerror(code));
        else
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    }
    buf_finish(&url);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return rc;
}

int client_refused(const char *body, size_t n, long status, struct err *err)
{
    json_t *json = json_loadb(body ? body : "", n, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    int code = status == 404                    ? ERR_NOT_FOUND
               : status == 422 || status == 409 ? ERR_DATA
                                                : ERR_USAGE;
    int rc = detail ? err_set(err, code, "%s", detail)
                    : err_set(err, code, "the daemon answered with HTTP status %ld", status);
    json_decref(json);
    return rc;
}

int client_print(const struct client *client, const struct client_request *request, struct err *err)
{
    struct buf answer;
    long status;
    buf_init(&answer, 64 << 20);
    int rc = client_call(client, request, &status, &answer, err);
    if (!rc && status >= 400)
        rc = client_refused((const char *)answer.data, answer.size, status, err);
    if (!rc)
        printf("%.*s\n", (int)answer.size, (const char *)answer.data);
    buf_finish(&answer);
    return rc;
}
