/*
 * A request stays in the list until all of its items are durable. Offsets are given when items are
 * handed out, so that after a refused commit they are simply handed out again.
 */
#include "collector/source_http.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "collector/event.h"
#include "common/deadline.h"
#include "common/grow.h"
#include "common/text.h"

enum {
    MAX_WAITING_BYTES = 32 << 20,
    MAX_ITEMS = 100000, /* of a body */
    SHOWN_BYTES = 256,  /* of an array without an end */
    WAIT_MS = 30000,
    DETAIL_BYTES = 64,
};

struct item {
    const char *bytes;
    size_t size;
    const char *fault; /* as in struct message */
    int64_t offset;
    enum taken taken;
    int reason;
    char detail[DETAIL_BYTES];
};

struct request {
    struct request *next;
    char *body;
    size_t size;
    int64_t arrived_ms;
    struct item *items;
    size_t n, capacity;
    bool array; /* a whole one: no event in it is no mistake */
    char fault[DETAIL_BYTES];
    size_t given; /* items handed out */
    bool done;
    bool abandoned; /* nobody waits any more: free it when done */
};

struct source_http {
    struct source source;
    const struct clock *clock;
    const struct source_events *events;
    pthread_mutex_t lock;
    pthread_cond_t durable;
    struct request *first, *last;
    size_t waiting_bytes;
    size_t n_waiters;
    int64_t position; /* offset of the next item */
    int wake_fd;
    bool stopped;
    void (*wake)(void *context);
    void *wake_context;
    struct message messages[SOURCE_MAX_BATCH];
};

static struct source_http *http_of(struct source *source)
{
    return (struct source_http *)source;
}

static void request_free(struct request *request)
{
    if (!request)
        return;
    free(request->body);
    free(request->items);
    free(request);
}

static int add_item(struct request *request, const char *bytes, size_t size, struct err *err)
{
    int rc = grow(&request->items, &request->capacity, request->n + 1, sizeof(*request->items),
                  "events", err);
    if (rc)
        return rc;
    request->items[request->n++] = (struct item){.bytes = bytes, .size = size, .offset = -1};
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* End of the JSON object or array that starts at `at`; `end` when it never closes. */
static const char *value_end(const char *at, const char *end)
{
    int depth = 0;
    bool text = false;
    for (; at < end; at++) {
        if (text) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                text = false;
        } else if (*at == '"') {
            text = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (--depth <= 0)
                return at + 1;
        }
    }
    return end;
}

/* What was cut off behind the last event is not known, and told as an item that is refused. */
static int add_missing_end(struct request *request, const char *array, const char *end,
                           struct err *err)
{
    const size_t size = (size_t)(end - array);
    if (request->n == 0) /* an answer of its own: there is no event */
        return 0;
    snprintf(request->fault, sizeof(request->fault),
             "the array has no end: ] is missing at byte %zu", (size_t)(end - request->body));
    int rc = add_item(request, array, size < SHOWN_BYTES ? size : SHOWN_BYTES, err);
    if (!rc)
        request->items[request->n - 1].fault = request->fault;
    return rc;
}

/* `at` is behind its [. */
static int split_array(struct request *request, const char *at, const char *end, struct err *err)
{
    const char *array = at - 1;
    int rc = 0;
    while (!rc && at < end) {
        while (at < end && (is_space(*at) || *at == ','))
            at++;
        if (at == end)
            break;
        if (*at == ']') /* what comes behind it is no event, and is told */
            return end - at > 1 ? add_item(request, at + 1, (size_t)(end - at - 1), err) : 0;
        const char *next = value_end(at, end);
        if (*at != '{' && *at != '[') /* no object: up to the next comma */
            for (next = at; next < end && *next != ',' && *next != ']';)
                next++;
        rc = add_item(request, at, (size_t)(next - at), err);
        at = next > at ? next : at + 1;
    }
    return rc ? rc : add_missing_end(request, array, end, err);
}

static int split_lines(struct request *request, const char *at, const char *end, struct err *err)
{
    int rc = 0;
    while (!rc && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        const char *last = stop;
        while (last > at && is_space(last[-1]))
            last--;
        if (last > at)
            rc = add_item(request, at, (size_t)(last - at), err);
        at = newline ? newline + 1 : end;
    }
    return rc;
}

static int split(struct request *request, struct err *err)
{
    const char *at = request->body;
    const char *end = at + request->size;
    at += text_order_mark(at, request->size);
    while (at < end && is_space(*at))
        at++;
    while (end > at && is_space(end[-1]))
        end--;
    if (at == end)
        return 0;
    request->array = *at == '[' && end[-1] == ']';
    if (*at == '[')
        return split_array(request, at + 1, end, err);
    if (value_end(at, end) == end) /* one object, perhaps over several lines */
        if (!memchr(at, '\n', (size_t)(end - at)) || end[-1] == '}')
            return add_item(request, at, (size_t)(end - at), err);
    return split_lines(request, at, end, err);
}

static int http_start(struct source *source, const struct source_events *events, struct err *err)
{
    struct source_http *self = http_of(source);
    (void)err;
    self->events = events;
    int64_t from = events->assigned(events->context, 0, "@http", 0);
    self->position = from > 0 ? from : 0;
    return 0;
}

static int http_restart(struct source *source, struct err *err)
{
    struct source_http *self = http_of(source);
    (void)err;
    int64_t from = self->events->assigned(self->events->context, 0, "@http", 0);
    pthread_mutex_lock(&self->lock);
    self->position = from > 0 ? from : 0;
    for (struct request *request = self->first; request; request = request->next)
        request->given = 0;
    pthread_mutex_unlock(&self->lock);
    return 0;
}

static size_t hand_out(struct source_http *self)
{
    size_t n = 0;
    pthread_mutex_lock(&self->lock);
    for (struct request *request = self->first; request; request = request->next) {
        while (request->given < request->n && n < SOURCE_MAX_BATCH) {
            struct item *item = &request->items[request->given++];
            item->offset = self->position++;
            self->messages[n++] = (struct message){
                .payload = item->bytes,
                .size = item->size,
                .offset = item->offset,
                .timestamp_ms = request->arrived_ms,
                .handle = item,
                .fault = item->fault,
            };
        }
    }
    pthread_mutex_unlock(&self->lock);
    return n;
}

static int http_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    struct source_http *self = http_of(source);
    (void)err;
    size_t n = hand_out(self);
    if (n == 0 && timeout_ms > 0) {
        struct pollfd wait = {.fd = self->wake_fd, .events = POLLIN};
        uint64_t count;
        if (poll(&wait, 1, timeout_ms) > 0 && read(self->wake_fd, &count, sizeof(count)) > 0)
            n = hand_out(self);
    }
    *out = (struct batch){0, self->messages, n, 0, self->position};
    return n ? SOURCE_BATCH : 0;
}

static void http_taken(struct source *source, const struct message *message, enum taken taken,
                       int reason, const char *detail)
{
    struct item *item = message->handle;
    (void)source;
    item->taken = taken;
    item->reason = reason;
    item->detail[0] = 0;
    if (detail)
        strncat(item->detail, detail, sizeof(item->detail) - 1);
}

/* Requests are durable in the order of coming: all before `next`. */
static void http_stored(struct source *source, int partition, int64_t next)
{
    struct source_http *self = http_of(source);
    (void)partition;
    pthread_mutex_lock(&self->lock);
    while (self->first && self->first->given == self->first->n &&
           self->first->items[self->first->n - 1].offset < next) {
        struct request *request = self->first;
        self->first = request->next;
        if (!self->first)
            self->last = NULL;
        self->waiting_bytes -= request->size;
        request->done = true;
        if (request->abandoned)
            request_free(request);
    }
    pthread_cond_broadcast(&self->durable);
    pthread_mutex_unlock(&self->lock);
}

static void http_wake(struct source *source)
{
    uint64_t one = 1;
    ssize_t written = write(http_of(source)->wake_fd, &one, sizeof(one));
    (void)written; /* the counter is full: it is awake */
}

static void http_on_data(struct source *source, void (*wake)(void *context), void *context)
{
    http_of(source)->wake = wake;
    http_of(source)->wake_context = context;
}

static void http_state(struct source *source, struct source_state *out)
{
    (void)source;
    *out = (struct source_state){.ready = true};
}

void source_http_stop(struct source *source)
{
    struct source_http *self = http_of(source);
    pthread_mutex_lock(&self->lock);
    self->stopped = true;
    pthread_cond_broadcast(&self->durable);
    while (self->n_waiters)
        pthread_cond_wait(&self->durable, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void http_close(struct source *source)
{
    struct source_http *self = http_of(source);
    source_http_stop(source);
    while (self->first) {
        struct request *next = self->first->next;
        request_free(self->first);
        self->first = next;
    }
    if (self->wake_fd >= 0)
        close(self->wake_fd);
    pthread_cond_destroy(&self->durable);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

int source_http_new(struct source **out, const struct clock *clock, struct err *err)
{
    struct source_http *self = calloc(1, sizeof(*self));
    if (!self)
        return err_set(err, -ENOMEM, "no memory for the source of posted events");
    self->clock = clock;
    self->source = (struct source){
        .name = "http",
        .prompt = true,
        .start = http_start,
        .next = http_next,
        .stored = http_stored,
        .restart = http_restart,
        .state = http_state,
        .close = http_close,
        .wake = http_wake,
        .on_data = http_on_data,
        .taken = http_taken,
    };
    pthread_mutex_init(&self->lock, NULL);
    deadline_cond_init(&self->durable);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0) {
        int code = -errno;
        http_close(&self->source);
        return err_set(err, code, "no event counter: %s", err_words(-code));
    }
    *out = &self->source;
    return 0;
}

static const char *reason_of(const struct item *item)
{
    switch (item->taken) {
    case TAKEN_DEAD:
        return reject_name((enum reject)item->reason);
    case TAKEN_LATE:
        return "late";
    case TAKEN_ORPHANED:
        return "orphaned";
    default:
        return NULL;
    }
}

static void write_answer(const struct request *request, struct buf *answer)
{
    int64_t accepted = 0;
    int64_t duplicates = 0;
    for (size_t i = 0; i < request->n; i++) {
        duplicates += request->items[i].taken == TAKEN_DUPLICATE;
        accepted += request->items[i].taken != TAKEN_DUPLICATE && !reason_of(&request->items[i]);
    }
    buf_printf(answer, "{\"accepted\":%lld,\"duplicates\":%lld,\"rejected\":[", (long long)accepted,
               (long long)duplicates);
    bool first = true;
    for (size_t i = 0; i < request->n; i++) {
        const struct item *item = &request->items[i];
        const char *reason = reason_of(item);
        if (!reason)
            continue;
        buf_printf(answer, "%s{\"index\":%zu,\"reason\":\"%s\"", first ? "" : ",", i, reason);
        if (item->detail[0]) {
            buf_printf(answer, ",\"detail\":");
            json_text(answer, item->detail, strlen(item->detail));
        }
        buf_printf(answer, "}");
        first = false;
    }
    buf_printf(answer, "]}");
}

/* Waits until the request is durable; the lock is held. */
static int wait_durable(struct source_http *self, const struct request *request)
{
    const struct timespec until = deadline_after(WAIT_MS);
    int rc = 0;
    self->n_waiters++;
    while (!request->done && !self->stopped && rc == 0)
        rc = pthread_cond_timedwait(&self->durable, &self->lock, &until);
    self->n_waiters--;
    pthread_cond_broadcast(&self->durable);
    return request->done ? 0 : self->stopped ? -ECANCELED : -ETIMEDOUT;
}

static int request_new(struct source_http *self, const char *body, size_t n, struct request **out,
                       struct err *err)
{
    struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return err_set(err, -ENOMEM, "no memory for posted events");
    request->body = malloc(n + 1);
    request->size = n;
    request->arrived_ms = clock_wall_ms(self->clock);
    if (!request->body) {
        request_free(request);
        return err_set(err, -ENOMEM, "no memory for %zu bytes of events", n);
    }
    memcpy(request->body, body, n);
    int rc = split(request, err);
    if (rc) {
        request_free(request);
        return rc;
    }
    *out = request; /* the caller owns it now */
    return 0;
}

/* The body holds none, or more than are taken at a time. */
static int answer_without_events(const struct request *request, struct buf *answer, struct err *err)
{
    if (request->n) {
        err_set(err, ERR_DATA, "%zu events at a time are more than %d: send fewer", request->n,
                MAX_ITEMS);
        return SOURCE_HTTP_MANY;
    }
    if (!request->array)
        return SOURCE_HTTP_EMPTY;
    write_answer(request, answer);
    return 0;
}

int source_http_ingest(struct source *source, const char *body, size_t n, struct buf *answer,
                       struct err *err)
{
    struct source_http *self = http_of(source);
    struct request *request = NULL;
    int rc = request_new(self, body, n, &request, err);
    if (rc)
        return rc;
    if (request->n == 0 || request->n > MAX_ITEMS) {
        rc = answer_without_events(request, answer, err);
        request_free(request);
        return rc;
    }
    pthread_mutex_lock(&self->lock);
    if (self->stopped || self->waiting_bytes + n > MAX_WAITING_BYTES) {
        rc = self->stopped ? err_set(err, -ECANCELED, "the collector has stopped")
                           : SOURCE_HTTP_BUSY;
        pthread_mutex_unlock(&self->lock);
        request_free(request);
        return rc;
    }
    if (self->last)
        self->last->next = request;
    else
        self->first = request;
    self->last = request;
    self->waiting_bytes += n;
    pthread_mutex_unlock(&self->lock);
    if (self->wake)
        self->wake(self->wake_context);

    pthread_mutex_lock(&self->lock);
    rc = wait_durable(self, request);
    request->abandoned = rc != 0; /* the list still has it */
    pthread_mutex_unlock(&self->lock);
    if (rc)
        return err_set(err, rc,
                       rc == -ETIMEDOUT ? "the events were not durable in time: send them again"
                                        : "the collector has stopped");
    write_answer(request, answer);
    request_free(request);
    return buf_failed(answer) ? err_set(err, -ENOMEM, "no memory for the answer") : 0;
}
