/*
 * The thread's round: what has ended is judged; what is due is started; outcomes are handed to the
 * writer in one transaction; then it sleeps in curl_multi_poll until a socket moves, deliver_wake is
 * called, or the next row is due. All state of a notification is in its row, so a crash at any
 * point repeats at most the attempts under way, with the same webhook-id.
 */
#include "alerts/deliver.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/request.h"
#include "common/backoff.h"
#include "storage/commit.h"
#include "storage/outbox.h"

enum {
    MAX_FLIGHTS = 64,
    PER_RECEIVER = 4,
    DUE_AT_ONCE = 256,
    BREAKER_FAILURES = 5, /* in a row: then the receiver is left alone … */
    BREAKER_REST_MS = 30000,
    LONGEST_SLEEP_MS = 1000,
    LOOK_AGAIN_MS = 50, /* while something waits for others, not for a time */
    SETTLE_MS = 500,    /* while others are under way, outcomes are written together */
};

struct flight { /* one attempt under way */
    int64_t id;
    int64_t attempts; /* with this one */
    int64_t created_ms;
    size_t receiver;          /* in the present set; SIZE_MAX: it is there no more */
    struct receiver_set *set; /* that the request belongs to; held */
    struct request *request;
};

struct post { /* what is known of one receiver */
    int flying;
    int failures; /* in a row */
    int64_t rests_until_ms;
    bool gone; /* it answered 410 */
    char problem[CURL_ERROR_SIZE];
    int64_t problem_ms; /* 0: nothing failed yet */
    atomic_int_fast64_t sent, failed, retried;
};

struct deliver {
    struct deliver_options options;
    struct store *store;
    pthread_mutex_t lock;           /* receivers and posts change under it, next_receivers too */
    struct receiver_set *receivers; /* held */
    struct post *posts;             /* one a receiver, in the set's order */
    struct receiver_set *next_receivers; /* of a reload; held; NULL: none */
    char url[512];                       /* of the page, for test messages */
    CURLM *multi;
    struct rng rng;
    struct flight flights[MAX_FLIGHTS];
    size_t n_flights;
    struct outbox_attempt *attempts; /* ended, not yet written; room for MAX_FLIGHTS + DUE */
    char (*problems)[CURL_ERROR_SIZE];
    size_t n_attempts;
    int64_t noted_boot_ms; /* of the first of them */
    atomic_bool stopping;
    pthread_t thread;
    bool running;
};

enum {
    MAX_ATTEMPTS = MAX_FLIGHTS + DUE_AT_ONCE
};

static int64_t now(const struct deliver *deliver)
{
    return clock_wall_ms(deliver->options.clock);
}

static int write_attempts(void *context, struct store *store, struct err *err)
{
    const struct deliver *deliver = context;
    int rc = commit_begin(store, err);
    for (size_t i = 0; i < deliver->n_attempts && !rc; i++)
        rc = commit_outbox_attempt(store, &deliver->attempts[i], err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

static void note(struct deliver *deliver, int64_t id, enum outbox_state state, int64_t next_ms,
                 int status, const char *problem)
{
    struct outbox_attempt *attempt = &deliver->attempts[deliver->n_attempts];
    char *text = deliver->problems[deliver->n_attempts];
    snprintf(text, CURL_ERROR_SIZE, "%.*s", CURL_ERROR_SIZE - 1, problem);
    *attempt = (struct outbox_attempt){id, state, next_ms, status, text, now(deliver)};
    if (deliver->n_attempts++ == 0)
        deliver->noted_boot_ms = clock_boot_ms(deliver->options.clock);
}

/* What others are told of a receiver changes under the lock. */
static void note_problem(struct deliver *deliver, struct post *post, const char *problem,
                         enum delivery delivery)
{
    pthread_mutex_lock(&deliver->lock);
    snprintf(post->problem, sizeof(post->problem), "%s", problem);
    post->problem_ms = now(deliver);
    post->gone = post->gone || delivery == DELIVERY_GONE;
    if (delivery == DELIVERY_RETRY && ++post->failures >= BREAKER_FAILURES)
        post->rests_until_ms = post->problem_ms + BREAKER_REST_MS;
    pthread_mutex_unlock(&deliver->lock);
}

static void note_outcome(struct deliver *deliver, const struct flight *flight, int status)
{
    struct post removed = {0};
    struct post *post = flight->receiver == SIZE_MAX ? &removed : &deliver->posts[flight->receiver];
    const char *problem = flight->request->http.problem;
    enum delivery delivery = delivery_judge(status);
    int64_t now_ms = now(deliver);
    if (delivery == DELIVERY_DONE) {
        post->failures = 0;
        atomic_fetch_add(&post->sent, 1);
        note(deliver, flight->id, OUTBOX_SENT, 0, status, "");
        return;
    }
    bool too_old = now_ms - flight->created_ms > BACKOFF_GIVE_UP_MS;
    note_problem(deliver, post, problem, delivery);
    if (delivery != DELIVERY_RETRY || too_old) {
        atomic_fetch_add(&post->failed, 1);
        log_write(deliver->options.log, LEVEL_ERROR, "alerts", "%s: a notification failed: %s",
                  flight->request->receiver->name, problem);
        note(deliver, flight->id, OUTBOX_FAILED, 0, status, problem);
        return;
    }
    atomic_fetch_add(&post->retried, 1);
    int64_t delay =
        backoff_delay(flight->attempts, flight->request->http.retry_after_ms, &deliver->rng);
    note(deliver, flight->id, OUTBOX_WAITING, now_ms + delay, status, problem);
}

static void end_flight(struct deliver *deliver, struct flight *flight)
{
    if (flight->receiver != SIZE_MAX)
        deliver->posts[flight->receiver].flying--;
    curl_multi_remove_handle(deliver->multi, flight->request->http.curl);
    request_free(flight->request);
    receiver_set_free(flight->set);
}

static void land(struct deliver *deliver, CURL *curl, CURLcode result)
{
    for (size_t i = 0; i < deliver->n_flights; i++) {
        struct flight *flight = &deliver->flights[i];
        if (flight->request->http.curl != curl)
            continue;
        note_outcome(deliver, flight, http_out_status(&flight->request->http, result));
        end_flight(deliver, flight);
        *flight = deliver->flights[--deliver->n_flights];
        return;
    }
}

static size_t place_of(const struct receiver_set *set, const char *name)
{
    size_t n = receiver_set_count(set), i = 0;
    while (i < n && strcmp(receiver_set_at(set, i)->name, name) != 0)
        i++;
    return i;
}

/* On the thread itself: between two rounds nothing else looks at posts without the lock. */
static void take_receivers(struct deliver *deliver)
{
    pthread_mutex_lock(&deliver->lock);
    struct receiver_set *next = deliver->next_receivers;
    size_t n = next ? receiver_set_count(next) : 0;
    struct post *posts = next ? calloc(n + 1, sizeof(*posts)) : NULL;
    if (posts) {
        for (size_t i = 0; i < n; i++) {
            size_t old = place_of(deliver->receivers, receiver_set_at(next, i)->name);
            if (old < receiver_set_count(deliver->receivers))
                posts[i] = deliver->posts[old];
            posts[i].gone = false;
        }
        for (size_t i = 0; i < deliver->n_flights; i++) {
            struct flight *flight = &deliver->flights[i];
            size_t at =
                flight->receiver == SIZE_MAX
                    ? n
                    : place_of(next, receiver_set_at(deliver->receivers, flight->receiver)->name);
            flight->receiver = at < n ? at : SIZE_MAX;
        }
        receiver_set_free(deliver->receivers);
        free(deliver->posts);
        deliver->receivers = next;
        deliver->posts = posts;
        deliver->next_receivers = NULL;
    }
    pthread_mutex_unlock(&deliver->lock);
}

static bool is_under_way(const struct deliver *deliver, int64_t id)
{
    for (size_t i = 0; i < deliver->n_flights; i++) {
        if (deliver->flights[i].id == id)
            return true;
    }
    for (size_t i = 0; i < deliver->n_attempts; i++) { /* landed; the database does not know yet */
        if (deliver->attempts[i].id == id)
            return true;
    }
    return false;
}

static void take_off(struct deliver *deliver, const struct outbox_row *row, size_t receiver)
{
    struct flight *flight = &deliver->flights[deliver->n_flights];
    *flight = (struct flight){row->id, row->attempts + 1, row->created_ms, receiver, NULL, NULL};
    struct err err = {0};
    AUTO_FREE char *webhook_id = NULL;
    AUTO_FREE char *data = NULL;
    int rc = outbox_letter(deliver->store, row->id, &webhook_id, &data, &err);
    if (!rc)
        rc = request_new(&flight->request, receiver_set_at(deliver->receivers, receiver),
                         webhook_id, data, now(deliver), &err);
    if (!rc && curl_multi_add_handle(deliver->multi, flight->request->http.curl) != CURLM_OK) {
        request_free(flight->request);
        rc = err_set(&err, -ENOMEM, "no memory for a request");
    }
    if (rc == ERR_DATA) { /* it will never be better */
        note(deliver, row->id, OUTBOX_FAILED, 0, 0, err.text);
    } else if (rc) {
        note(deliver, row->id, OUTBOX_WAITING, now(deliver) + BACKOFF_FIRST_MS, 0, err.text);
    } else {
        flight->set = receiver_set_hold(deliver->receivers);
        deliver->posts[receiver].flying++;
        deliver->n_flights++;
    }
}

static bool reload_waits(struct deliver *deliver)
{
    pthread_mutex_lock(&deliver->lock);
    bool waits = deliver->next_receivers != NULL;
    pthread_mutex_unlock(&deliver->lock);
    return waits;
}

static int start_due(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    struct deliver *deliver = context;
    size_t n = receiver_set_count(deliver->receivers);
    size_t i = place_of(deliver->receivers, row->receiver);
    if (deliver->n_flights == MAX_FLIGHTS || deliver->n_attempts == MAX_ATTEMPTS)
        return 0;
    if (i == n && reload_waits(deliver)) /* it may be one of the next round's receivers */
        return 0;
    if (i == n) {
        note(deliver, row->id, OUTBOX_FAILED, 0, 0, "no receiver of that name is configured");
        return 0;
    }
    struct post *post = &deliver->posts[i];
    if (post->gone) {
        note(deliver, row->id, OUTBOX_FAILED, 0, 410, "the receiver answered 410 Gone before");
        atomic_fetch_add(&post->failed, 1);
    } else if (post->flying < PER_RECEIVER && post->rests_until_ms <= now(deliver) &&
               !is_under_way(deliver, row->id)) {
        take_off(deliver, row, i);
    }
    return 0;
}

static void flush_attempts(struct deliver *deliver)
{
    struct err err = {0};
    if (writer_call(&deliver->options.writer, write_attempts, deliver, &err) &&
        !atomic_load(&deliver->stopping))
        log_write(deliver->options.log, LEVEL_WARNING, "alerts",
                  "an attempt's outcome is not stored, it will be repeated: %s", err.text);
    deliver->n_attempts = 0;
}

/* Each writing interrupts the writer with a commit, and while it catches up, with two. Lost
   outcomes are only sent again. True: it was time for it. */
static bool settle(struct deliver *deliver)
{
    int64_t since_ms = clock_boot_ms(deliver->options.clock) - deliver->noted_boot_ms;
    const bool due =
        deliver->n_flights == 0 || since_ms >= SETTLE_MS || deliver->n_attempts > MAX_FLIGHTS;
    if (!deliver->n_attempts || !due)
        return false;
    flush_attempts(deliver);
    return true;
}

static void start_all_due(struct deliver *deliver)
{
    struct err err = {0};
    if (outbox_due(deliver->store, now(deliver), DUE_AT_ONCE, start_due, deliver, &err))
        log_write(deliver->options.log, LEVEL_WARNING, "alerts", "%s", err.text);
}

static int sleep_ms(struct deliver *deliver)
{
    struct err err = {0};
    int64_t next_ms = INT64_MAX;
    if (deliver->n_attempts)
        return LOOK_AGAIN_MS;
    if (outbox_next(deliver->store, &next_ms, &err) || next_ms == INT64_MAX)
        return LONGEST_SLEEP_MS;
    int64_t left = next_ms - now(deliver);
    /* What is due but waits for a slot or a resting receiver is looked at again soon enough. */
    return left <= 0 ? LOOK_AGAIN_MS : left < LONGEST_SLEEP_MS ? (int)left : LONGEST_SLEEP_MS;
}

static void *run(void *context)
{
    struct deliver *deliver = context;
    pthread_setname_np(pthread_self(), "postman"); /* as `top -H` shows it */
    while (!atomic_load(&deliver->stopping)) {
        int running = 0, left = 0;
        take_receivers(deliver);
        curl_multi_perform(deliver->multi, &running);
        CURLMsg *message;
        while ((message = curl_multi_info_read(deliver->multi, &left))) {
            if (message->msg == CURLMSG_DONE)
                land(deliver, message->easy_handle, message->data.result);
        }
        start_all_due(deliver); /* first: those that land together are not the last ones yet */
        if (settle(deliver))
            start_all_due(deliver); /* what waited in its group for what is stored now */
        curl_multi_perform(deliver->multi, &running);
        curl_multi_poll(deliver->multi, NULL, 0, sleep_ms(deliver), NULL);
    }
    return NULL;
}

int deliver_start(struct deliver **out, const struct deliver_options *options, struct err *err)
{
    struct deliver *deliver = calloc(1, sizeof(*deliver));
    if (!deliver)
        return err_set(err, -ENOMEM, "deliver: no memory");
    deliver->options = *options;
    deliver->rng = rng_of(options->seed);
    pthread_mutex_init(&deliver->lock, NULL);
    deliver->receivers = receiver_set_hold(options->receivers);
    size_t n = receiver_set_count(options->receivers);
    deliver->posts = calloc(n + 1, sizeof(*deliver->posts));
    deliver->attempts = calloc(MAX_ATTEMPTS, sizeof(*deliver->attempts));
    deliver->problems = calloc(MAX_ATTEMPTS, sizeof(*deliver->problems));
    deliver->multi = curl_multi_init();
    int rc = 0;
    if (!deliver->posts || !deliver->attempts || !deliver->problems || !deliver->multi)
        rc = err_set(err, -ENOMEM, "deliver: no memory");
    if (!rc)
        rc = store_open(&deliver->store, options->store_path, STORE_READ, err);
    if (!rc) {
        rc = -pthread_create(&deliver->thread, NULL, run, deliver);
        deliver->running = rc == 0;
        if (rc)
            err_set(err, rc, "deliver: cannot start its thread: %s", err_words(-rc));
    }
    if (rc) {
        deliver_stop(deliver);
        return rc;
    }
    *out = deliver; /* the caller owns it now */
    return 0;
}

void deliver_stop(struct deliver *deliver)
{
    if (!deliver)
        return;
    atomic_store(&deliver->stopping, true);
    if (deliver->running) {
        curl_multi_wakeup(deliver->multi);
        pthread_join(deliver->thread, NULL);
    }
    for (size_t i = 0; i < deliver->n_flights; i++)
        end_flight(deliver, &deliver->flights[i]);
    if (deliver->multi)
        curl_multi_cleanup(deliver->multi);
    store_free(deliver->store);
    receiver_set_free(deliver->receivers);
    receiver_set_free(deliver->next_receivers);
    pthread_mutex_destroy(&deliver->lock);
    free(deliver->posts);
    free(deliver->attempts);
    free(deliver->problems);
    free(deliver);
}

void deliver_reload(struct deliver *deliver, struct receiver_set *receivers, const char *url)
{
    pthread_mutex_lock(&deliver->lock);
    snprintf(deliver->url, sizeof(deliver->url), "%s", url);
    receiver_set_free(deliver->next_receivers);
    deliver->next_receivers = receiver_set_hold(receivers);
    pthread_mutex_unlock(&deliver->lock);
    deliver_wake(deliver);
}

void deliver_wake(struct deliver *deliver)
{
    if (deliver)
        curl_multi_wakeup(deliver->multi);
}

static void metric(struct deliver *deliver, struct buf *out, const char *name, const char *help,
                   size_t offset)
{
    buf_printf(out, "# TYPE %s counter\n# HELP %s %s\n", name, name, help);
    for (size_t i = 0; i < receiver_set_count(deliver->receivers); i++) {
        const char *post = (const char *)&deliver->posts[i];
        const atomic_int_fast64_t *count = (const void *)(post + offset);
        buf_printf(out, "%s_total{receiver=\"%s\"} %" PRId64 "\n", name,
                   receiver_set_at(deliver->receivers, i)->name, (int64_t)atomic_load(count));
    }
}

void deliver_own_metrics(struct deliver *deliver, struct buf *out)
{
    if (!deliver)
        return;
    pthread_mutex_lock(&deliver->lock);
    metric(deliver, out, "assay_notifications_sent", "Notifications that a receiver took.",
           offsetof(struct post, sent));
    metric(deliver, out, "assay_notifications_failed", "Notifications that failed for good.",
           offsetof(struct post, failed));
    metric(deliver, out, "assay_notifications_retried", "Attempts that will be repeated.",
           offsetof(struct post, retried));
    pthread_mutex_unlock(&deliver->lock);
}

void deliver_states(struct deliver *deliver,
                    void (*row)(void *context, const struct deliver_state *state), void *context)
{
    if (!deliver)
        return;
    pthread_mutex_lock(&deliver->lock);
    for (size_t i = 0; i < receiver_set_count(deliver->receivers); i++) {
        const struct receiver *receiver = receiver_set_at(deliver->receivers, i);
        struct post *post = &deliver->posts[i];
        const struct deliver_state state = {
            .receiver = receiver->name,
            .type = receiver_type_name(receiver->type),
            .sent = atomic_load(&post->sent),
            .failed = atomic_load(&post->failed),
            .retried = atomic_load(&post->retried),
            .rests_until_ms = post->rests_until_ms > now(deliver) ? post->rests_until_ms : 0,
            .gone = post->gone,
            .problem = post->problem[0] ? post->problem : NULL,
            .problem_ms = post->problem_ms,
        };
        row(context, &state);
    }
    pthread_mutex_unlock(&deliver->lock);
}

int deliver_test_now(struct deliver *deliver, const char *name, struct buf *answer, struct err *err)
{
    char url[sizeof(deliver->url)];
    pthread_mutex_lock(&deliver->lock);
    struct receiver_set *receivers = receiver_set_hold(deliver->receivers);
    memcpy(url, deliver->url, sizeof(url));
    pthread_mutex_unlock(&deliver->lock);
    int rc = deliver_test(receivers, name, url, deliver->options.clock, answer, err);
    receiver_set_free(receivers);
    return rc;
}
