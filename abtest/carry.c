#include "abtest/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/http_out.h"

enum {
    MAX_TEXT_BYTES = 256 * 1024,
    MAX_ANSWER_BYTES = 1 << 20, /* Kubernetes objects with their managedFields are long */
    MAX_TOKEN_BYTES = 4096
};

static enum carried failed(struct carry_report *report, const char *problem)
{
    /* control characters of a foreign answer do not go into logs and pages */
    size_t n = 0;
    for (; problem[n] && n + 1 < sizeof(report->problem); n++) {
        report->problem[n] = problem[n];
        if ((unsigned char)problem[n] < ' ')
            report->problem[n] = ' ';
    }
    report->problem[n] = '\0';
    return CARRIED_FAILED;
}

static int is_stopped(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct carry *carry = context;
    (void)a, (void)b, (void)c, (void)d;
    return carry->stop && carry->stop(carry->context);
}

/* --- http --- */

static int add_token(struct http_out *http, const struct actuator *a, struct err *err)
{
    char token[MAX_TOKEN_BYTES];
    if (!a->token_file)
        return 0;
    FILE *file = fopen(a->token_file, "re");
    if (!file)
        return err_set(err, -errno, "cannot read %s: %s", a->token_file, err_words(errno));
    size_t n = fread(token, 1, sizeof(token) - 1, file);
    fclose(file);
    while (n && (token[n - 1] == '\n' || token[n - 1] == '\r'))
        n--;
    token[n] = '\0';
    int rc = http_out_header(http, err, "authorization: Bearer %s", token);
    explicit_bzero(token, sizeof(token));
    return rc;
}

static int prepare(struct http_out *http, const struct carry *carry, const char *method,
                   const char *url, const struct buf *body, struct err *err)
{
    const struct actuator *a = carry->actuator;
    char who[160];
    snprintf(who, sizeof(who), "actuator %.140s", a->name);
    int rc = http_out_init(http, who, err);
    for (size_t i = 0; !rc && i < a->n_headers; i++)
        rc = http_out_header(http, err, "%s: %s", a->headers[i].key, a->headers[i].value);
    if (!rc && body)
        rc = http_out_header(http, err, "content-type: %s", a->content_type);
    if (!rc)
        rc = http_out_header(http, err, "expect:");
    if (!rc)
        rc = add_token(http, a, err);
    if (rc)
        return rc;
    struct http_target target = {
        .url = url,
        .method = method,
        .body = body ? (const char *)body->data : NULL,
        .body_bytes = body ? body->size : 0,
        .proxy = a->proxy,
        .ca_file = a->ca_file,
        .allow_private = a->allow_private,
        .timeout_ms = a->timeout_ms,
        .max_answer = MAX_ANSWER_BYTES,
    };
    rc = http_out_prepare(http, &target, err);
    curl_easy_setopt(http->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFOFUNCTION, is_stopped);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)carry);
    return rc;
}

/* The answer stays in `http`, which the caller finishes. */
static enum carried ask(struct http_out *http, const struct carry *carry, const char *method,
                        const char *url, const struct buf *body, struct carry_report *report)
{
    struct err err = {0};
    if (prepare(http, carry, method, url, body, &err))
        return failed(report, err.text);
    CURLcode result = curl_easy_perform(http->curl);
    report->status = http_out_status(http, result);
    report->retry_after_ms = http->retry_after_ms;
    if (report->status >= 200 && report->status < 300 && (body || result == CURLE_OK))
        return CARRIED_DONE; /* of what is only told, the status is enough */
    if (result != CURLE_OK && !http->problem[0])
        return failed(report, curl_easy_strerror(result));
    return failed(report, http->problem[0] ? http->problem : "no answer");
}

static enum carried apply_http(const struct carry *carry, struct carry_report *report)
{
    struct buf url, body;
    struct err err = {0};
    struct http_out http = {0};
    enum carried carried = CARRIED_FAILED;
    buf_init(&url, HTTP_OUT_MAX_URL);
    buf_init(&body, MAX_TEXT_BYTES);
    if (actuator_render_url(carry->actuator, carry->wish, &url, &err) ||
        actuator_render_text(carry->actuator, carry->wish, &body, &err))
        failed(report, err.text);
    else if (buf_failed(&url))
        failed(report, "its URL is too long");
    else
        carried = ask(&http, carry, carry->actuator->method, (const char *)url.data, &body, report);
    http_out_finish(&http);
    buf_finish(&url);
    buf_finish(&body);
    return carried;
}

static enum carried look_http(const struct carry *carry, struct carry_report *report)
{
    struct buf url;
    struct err err = {0};
    struct http_out http = {0};
    enum carried carried = CARRIED_FAILED;
    buf_init(&url, HTTP_OUT_MAX_URL);
    if (actuator_render_confirm_url(carry->actuator, carry->wish, &url, &err) || buf_failed(&url))
        failed(report, err.text[0] ? err.text : "its URL is too long");
    else
        carried = ask(&http, carry, "GET", (const char *)url.data, NULL, report);
    if (carried == CARRIED_DONE &&
        !actuator_confirms(carry->actuator, carry->wish,
                           http.answer.data ? (const char *)http.answer.data : "", http.answer.size,
                           report->found))
        carried = CARRIED_OTHER;
    http_out_finish(&http);
    buf_finish(&url);
    return carried;
}

/* --- file --- */

static enum carried look_file(const struct carry *carry, struct carry_report *report)
{
    struct buf wanted, there;
    struct err err = {0};
    enum carried carried = CARRIED_OTHER;
    buf_init(&wanted, MAX_TEXT_BYTES);
    buf_init(&there, MAX_TEXT_BYTES + 1);
    FILE *file = fopen(carry->actuator->path, "re");
    snprintf(report->found, sizeof(report->found), file ? "another text" : "no file");
    char part[4096];
    size_t n;
    while (file && (n = fread(part, 1, sizeof(part), file)) > 0)
        buf_bytes(&there, part, n);
    if (file)
        fclose(file);
    if (actuator_render_text(carry->actuator, carry->wish, &wanted, &err))
        carried = failed(report, err.text);
    else if (file && !buf_failed(&there) && there.size == wanted.size &&
             (wanted.size == 0 || memcmp(there.data, wanted.data, wanted.size) == 0))
        carried = CARRIED_DONE;
    buf_finish(&wanted);
    buf_finish(&there);
    return carried;
}

static int sync_directory(const char *path)
{
    char directory[4096];
    snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Beside it, synced, renamed over it: a reader sees the old text or the new one, never a part. */
static int replace(const char *path, const struct buf *text, struct err *err)
{
    char beside[4096];
    struct stat there;
    if (snprintf(beside, sizeof(beside), "%s.assay-XXXXXX", path) >= (int)sizeof(beside))
        return err_set(err, ERR_DATA, "the path is too long");
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "cannot write beside %s: %s", path, err_words(errno));
    mode_t mode = stat(path, &there) == 0 ? there.st_mode & 0777 : 0644;
    size_t done = 0;
    int rc = fchmod(fd, mode);
    while (rc == 0 && done < text->size) {
        ssize_t n = write(fd, text->data + done, text->size - done);
        if (n < 0 && errno != EINTR)
            rc = -1;
        done += n > 0 ? (size_t)n : 0;
    }
    if (rc == 0)
        rc = fsync(fd);
    if (close(fd) != 0)
        rc = -1;
    if (rc == 0)
        rc = rename(beside, path);
    if (rc == 0)
        rc = sync_directory(path);
    if (rc) {
        err_set(err, -errno, "cannot write %s: %s", path, err_words(errno));
        unlink(beside);
    }
    return rc ? -EIO : 0;
}

static int hang_up(const char *notify_pid, struct err *err)
{
    long pid = 0;
    FILE *file = fopen(notify_pid, "re");
    if (!file)
        return err_set(err, -errno, "cannot read %s: %s", notify_pid, err_words(errno));
    char line[32] = "";
    if (fgets(line, sizeof(line), file))
        pid = strtol(line, NULL, 10);
    fclose(file);
    if (pid <= 1)
        return err_set(err, ERR_DATA, "%s holds no process id", notify_pid);
    return kill((pid_t)pid, SIGHUP) == 0
               ? 0
               : err_set(err, -errno, "process %ld of %s takes no HUP: %s", pid, notify_pid,
                         err_words(errno));
}

static enum carried apply_file(const struct carry *carry, struct carry_report *report)
{
    struct buf text;
    struct err err = {0};
    buf_init(&text, MAX_TEXT_BYTES);
    int rc = actuator_render_text(carry->actuator, carry->wish, &text, &err);
    if (!rc)
        rc = replace(carry->actuator->path, &text, &err);
    if (!rc && carry->actuator->notify_pid)
        rc = hang_up(carry->actuator->notify_pid, &err);
    buf_finish(&text);
    return rc ? failed(report, err.text) : CARRIED_DONE;
}

/* --- either --- */

enum carried carry_apply(const struct carry *carry, struct carry_report *report)
{
    *report = (struct carry_report){.retry_after_ms = -1};
    return carry->actuator->type == ACTUATOR_HTTP ? apply_http(carry, report)
                                                  : apply_file(carry, report);
}

enum carried carry_look(const struct carry *carry, struct carry_report *report)
{
    *report = (struct carry_report){.retry_after_ms = -1};
    enum carried carried = CARRIED_BLIND;
    if (carry->actuator->type == ACTUATOR_FILE)
        carried = look_file(carry, report);
    bool as_wished = carried == CARRIED_DONE || carried == CARRIED_BLIND;
    return as_wished && carry->actuator->confirm.url ? look_http(carry, report) : carried;
}
