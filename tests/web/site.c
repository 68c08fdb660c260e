#include "tests/web/site.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stats/metric.h"
#include "storage/memo.h"
#include "tests/test.h"

static int64_t site_now(void *context)
{
    const struct site *site = context;
    return site->now_ms;
}

struct site *site_new(void)
{
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    assert_int_equal(changes_new(&site->changes, NULL), 0);
    struct err err = {0};
    must(store_set_changes(site->store, site->changes, &err), &err);
    site->config.http.address = "127.0.0.1";
    site->now_ms = SITE_START;
    site->clock = (struct clock){site, site_now, clock_system()->boot_ms};
    return site;
}

void site_serve(struct site *site)
{
    struct err err = {0};
    struct web_options options = {
        .config = &site->config,
        .store_path = site->temp->path,
        .changes = site->changes,
        .commands = &site->commands,
        .clock = &site->clock,
    };
    must(web_start(&site->web, &options, &err), &err);
    site->port = web_port(site->web);
}

void site_free(struct site *site)
{
    if (!site)
        return;
    web_stop(site->web);
    memo_free(site->memo);
    store_free(site->store);
    changes_free(site->changes);
    temp_free(site->temp);
    free(site);
}

static void add(struct states *states, int n, double score, const char *label)
{
    for (int i = 0; i < n; i++) {
        struct sample sample = {
            .latency_ms = 10 + i % 10,
            .score = score,
            .value = NAN,
            .predicted = class_id(score >= 0.5 ? "1" : "0", 1),
            .label_class = label ? class_id(label, 1) : 0,
            .label_value = NAN,
        };
        assert_int_equal(states_predict(states, &sample), 0);
        if (label)
            assert_int_equal(states_label(states, &sample, 1), 0);
    }
}

static void add_failed(struct states *states, int n)
{
    struct sample sample = {.latency_ms = 500, .score = NAN, .value = NAN, .failed = true};
    for (int i = 0; i < n; i++)
        assert_int_equal(states_predict(states, &sample), 0);
}

void site_minute(struct site *site, const struct minute *minute)
{
    struct err err = {0};
    struct metric_setup setup = {TASK_BINARY, class_id("1", 1), 0.5, NULL};
    AUTO(states) struct states *states = NULL;
    must(states_new(&states, &setup, &err), &err);
    add(states, minute->tp, 0.9, "1");
    add(states, minute->fn, 0.2, "1");
    add(states, minute->tn, 0.1, "0");
    add(states, minute->fp, 0.7, "0");
    add(states, minute->unlabelled, 0.6, NULL);
    add_failed(states, minute->failed);

    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    struct model_row model = {minute->model, "binary", "1", 0.5, 60000};
    int64_t series;
    must(commit_begin(site->store, &err), &err);
    must(commit_model(site->store, &model, &err), &err);
    must(commit_series(site->store, minute->model, minute->version,
                       minute->slice ? minute->slice : "", &series, &err),
         &err);
    must(commit_pane(site->store, series, MINUTE, minute->start_ms, bytes.data, bytes.size, &err),
         &err);
    must(commit_fact(site->store, "watermark_ms", minute->start_ms + MINUTE, &err), &err);
    must(commit_end(site->store, &err), &err);
    buf_finish(&bytes);
}

int site_connect(const struct site *site)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)site->port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void reply_finish(struct reply *reply)
{
    buf_finish(&reply->text);
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[1024];
    const char *line = reply->text.data ? (const char *)reply->text.data : "";
    size_t n = strlen(name);
    for (line = strstr(line, "\r\n"); line && line < reply->body; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        const char *from = line + n + 1;
        from += strspn(from, " ");
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(from, "\r"), from);
        return value;
    }
    return NULL;
}

static void read_all(int fd, int quiet_ms, struct buf *text)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, quiet_ms) > 0) {
        unsigned char *to = buf_reserve(text, 65536);
        assert_non_null(to);
        ssize_t got = recv(fd, to, 65536, 0);
        if (got <= 0)
            break;
        text->size += (size_t)got;
    }
}

void site_send(const struct site *site, const char *bytes, size_t n, int quiet_ms,
               struct reply *reply)
{
    *reply = (struct reply){0};
    buf_init(&reply->text, 128 << 20);
    int fd = site_connect(site);
    for (size_t at = 0; at < n;) { /* a server that closes early is an answer, too */
        ssize_t sent = send(fd, bytes + at, n - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    read_all(fd, quiet_ms, &reply->text);
    close(fd);
    buf_u8(&reply->text, 0);
    const char *text = (const char *)reply->text.data;
    if (strncmp(text, "HTTP/1.", 7) == 0)
        reply->status = atoi(text + 9); /* NOLINT(cert-err34-c): 0 is what no number gives */
    const char *end = strstr(text, "\r\n\r\n");
    reply->body = end ? end + 4 : text + reply->text.size - 1;
    reply->body_size = (size_t)(text + reply->text.size - 1 - reply->body);
}

void site_get(const struct site *site, const char *target, const char *headers, struct reply *reply)
{
    char request[16384];
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", target,
                     headers);
    site_send(site, request, (size_t)n, 10000, reply);
}
