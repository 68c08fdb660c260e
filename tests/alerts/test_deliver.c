/* The postman against a receiver that refuses each connection, with time handed in. */
#include "alerts/deliver.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/backoff.h"
#include "storage/outbox.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

/* Port 1 of loopback: nobody listens, each attempt is refused at once. */
static const char yaml[] =
    "receivers:\n"
    "  - {name: dead, type: webhook, url: 'http://127.0.0.1:1/', allow_private: true}\n";

struct world {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct receiver_set *receivers;
    struct deliver *deliver;
    pthread_mutex_t lock; /* of the store: the postman writes through it from its thread */
    atomic_int_fast64_t now_ms;
    atomic_int n_writes; /* transactions that the postman asked for */
    struct clock clock;
};

static int64_t now(void *context)
{
    return atomic_load(&((struct world *)context)->now_ms);
}

static int write_through(void *context, writer_fn *fn, void *fn_context, struct err *err)
{
    struct world *w = context;
    pthread_mutex_lock(&w->lock);
    int rc = fn(fn_context, w->store, err);
    atomic_fetch_add(&w->n_writes, 1);
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static void start(struct world *w)
{
    struct err err = {0};
    struct deliver_options options = {.receivers = w->receivers,
                                      .store_path = w->temp->path,
                                      .writer = {w, write_through},
                                      .clock = &w->clock,
                                      .seed = 1};
    must(deliver_start(&w->deliver, &options, &err), &err);
}

static void begin_with(struct world *w, const char *text)
{
    struct err err = {0};
    w->temp = temp_new();
    w->store = temp_store(w->temp, STORE_WRITE);
    w->clock = (struct clock){w, now, now};
    pthread_mutex_init(&w->lock, NULL);
    must(config_parse(&w->config, "assay.yaml", text, strlen(text), &err), &err);
    must(receiver_set_parse(&w->receivers, w->config, &err), &err);
}

static void begin(struct world *w)
{
    begin_with(w, yaml);
}

static void end(struct world *w)
{
    deliver_stop(w->deliver);
    receiver_set_free(w->receivers);
    config_free(w->config);
    store_free(w->store);
    temp_free(w->temp);
    pthread_mutex_destroy(&w->lock);
}

static void write_row(struct world *w, const char *receiver, const char *group)
{
    struct err err = {0};
    struct outbox_row row = {.receiver = receiver,
                             .group_key = group,
                             .type = "alert.firing",
                             .data = "{\"type\":\"alert.firing\",\"at\":0}"};
    pthread_mutex_lock(&w->lock);
    must(commit_begin(w->store, &err), &err);
    must(commit_outbox(w->store, &row, &err), &err);
    must(commit_end(w->store, &err), &err);
    pthread_mutex_unlock(&w->lock);
}

/* A receiver that gives each request the same answer, and counts them. */
struct answering {
    int fd;
    char yaml[200];
    const char *answer;
    atomic_int n;
    pthread_t thread;
};

static void *answer_all(void *context)
{
    struct answering *r = context;
    int fd;
    while ((fd = accept(r->fd, NULL, NULL)) >= 0) {
        char request[4096];
        if (read(fd, request, sizeof(request)) > 0 && write(fd, r->answer, strlen(r->answer)) > 0)
            atomic_fetch_add(&r->n, 1);
        shutdown(fd, SHUT_WR);
        while (read(fd, request, sizeof(request)) > 0) { /* unread bytes would reset the answer */
        }
        close(fd);
    }
    return NULL;
}

static void answering_start(struct answering *r, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    *r = (struct answering){.fd = socket(AF_INET, SOCK_STREAM, 0), .answer = answer};
    assert_int_equal(bind(r->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(r->fd, 4), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&at, &size), 0);
    snprintf(r->yaml, sizeof(r->yaml),
             "receivers:\n  - {name: dead, type: webhook, url: 'http://127.0.0.1:%u/', "
             "allow_private: true}\n",
             ntohs(at.sin_port));
    assert_int_equal(pthread_create(&r->thread, NULL, answer_all, r), 0);
}

static void answering_stop(struct answering *r)
{
    shutdown(r->fd, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->fd);
}

struct seen { /* over all rows of the outbox */
    int64_t attempts, next_ms, failed, failed_ms;
    char problem[200];
    char newest[200]; /* the problem of the newest row */
};

static int add(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    struct seen *seen = context;
    seen->attempts += row->attempts;
    if (row->state == OUTBOX_WAITING && row->next_ms < seen->next_ms)
        seen->next_ms = row->next_ms;
    if (row->state == OUTBOX_FAILED) {
        seen->failed++;
        seen->failed_ms = row->done_ms;
    }
    if (!seen->newest[0])
        snprintf(seen->newest, sizeof(seen->newest), "%s", row->problem);
    snprintf(seen->problem, sizeof(seen->problem), "%s", row->problem);
    return 0;
}

static struct seen look(struct world *w)
{
    struct err err = {0};
    struct seen seen = {.next_ms = INT64_MAX};
    pthread_mutex_lock(&w->lock);
    must(outbox_read(w->store, INT64_MAX, 1000, add, &seen, &err), &err);
    pthread_mutex_unlock(&w->lock);
    return seen;
}

/* Sets the time, and gives the postman a while to do what is due then. */
static struct seen at(struct world *w, int64_t now_ms, int64_t attempts_before)
{
    struct seen seen = {0};
    atomic_store(&w->now_ms, now_ms);
    deliver_wake(w->deliver);
    for (int i = 0; i < 200; i++) {
        seen = look(w);
        if (seen.attempts > attempts_before || seen.failed)
            break;
        usleep(1000);
        if (i % 20 == 19)
            deliver_wake(w->deliver);
    }
    return seen;
}

static void
a_receiver_that_is_down_for_days_is_tried_for_72_hours_and_then_shown_as_failed(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    write_row(&w, "dead", "g");
    start(&w);
    struct seen seen = at(&w, 0, 0);
    assert_int_equal(seen.attempts, 1);
    int restarts = 0;
    while (!seen.failed && seen.attempts < 2000) {
        int64_t next_ms = seen.next_ms;
        assert_true(next_ms <= now(&w) + BACKOFF_LONGEST_MS * 6 / 5);
        if (seen.attempts == 50) { /* a restart in the midst of it changes nothing */
            deliver_stop(w.deliver);
            start(&w);
            restarts++;
        }
        /* The breaker may leave it alone for up to half a minute longer. */
        struct seen later = at(&w, next_ms, seen.attempts);
        if (later.attempts == seen.attempts && !later.failed)
            later = at(&w, next_ms + 30000, seen.attempts);
        assert_true(later.attempts == seen.attempts + 1);
        seen = later;
    }
    assert_int_equal(restarts, 1);
    assert_int_equal(seen.failed, 1);
    assert_true(seen.failed_ms > 72 * HOUR);
    assert_true(seen.failed_ms < 72 * HOUR + BACKOFF_LONGEST_MS * 6 / 5 + 60000);
    assert_true(seen.attempts > 250 && seen.attempts < 450); /* one each quarter of an hour */
    assert_non_null(strstr(seen.problem, "onnect"));
    end(&w);
}

static void count_resting(void *context, const struct deliver_state *state)
{
    int *n = context;
    if (!state->rests_until_ms)
        return;
    ++*n;
    assert_string_equal(state->receiver, "dead");
    assert_string_equal(state->type, "webhook");
    assert_int_equal(state->sent + state->failed, 0);
    assert_true(state->retried >= 5);
    assert_non_null(strstr(state->problem, "onnect"));
}

static void after_five_failures_in_a_row_a_receiver_is_left_alone_for_a_while(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    for (int i = 0; i < 40; i++) {
        char group[16];
        snprintf(group, sizeof(group), "g%d", i);
        write_row(&w, "dead", group);
    }
    start(&w);
    int64_t attempts = 0;
    for (int i = 0; i < 100; i++) { /* time stands still: as long as anything happens */
        struct seen seen = at(&w, 0, attempts);
        if (seen.attempts == attempts)
            break;
        attempts = seen.attempts;
    }
    assert_true(attempts >= 5 && attempts <= 8); /* four fly at once */
    int n_resting = 0;
    deliver_states(w.deliver, count_resting, &n_resting);
    assert_int_equal(n_resting, 1);

    assert_int_equal(at(&w, 29000, attempts).attempts, attempts);
    assert_true(at(&w, 31000, attempts).attempts > attempts);
    end(&w);
}

static void what_goes_to_a_receiver_that_is_configured_no_more_fails_and_says_so(void **state)
{
    (void)state;
    struct world w = {0};
    begin(&w);
    write_row(&w, "gone", "g");
    start(&w);
    struct seen seen = at(&w, 0, 0);
    assert_int_equal(seen.failed, 1);
    assert_string_equal(seen.problem, "no receiver of that name is configured");
    end(&w);
}

static void a_reload_brings_other_receivers(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    static const char other[] =
        "receivers:\n"
        "  - {name: second, type: webhook, url: 'http://127.0.0.1:1/', allow_private: true}\n"
        "  - {name: dead, type: webhook, url: 'http://127.0.0.1:1/', allow_private: true}\n";
    AUTO(config) struct config *config = NULL;
    AUTO(receiver_set) struct receiver_set *receivers = NULL;
    begin(&w);
    write_row(&w, "dead", "g");
    start(&w);
    assert_int_equal(at(&w, 0, 0).attempts, 1);
    must(config_parse(&config, "assay.yaml", other, strlen(other), &err), &err);
    must(receiver_set_parse(&receivers, config, &err), &err);

    deliver_reload(w.deliver, receivers, "http://page");
    write_row(&w, "second", "h");

    assert_int_equal(at(&w, 1, 1).attempts, 2); /* tried, not refused as unknown */
    struct buf out;
    buf_init(&out, 1 << 16);
    deliver_own_metrics(w.deliver, &out);
    buf_u8(&out, 0);
    assert_non_null(strstr((const char *)out.data, "retried_total{receiver=\"dead\"} 1\n"));
    assert_non_null(strstr((const char *)out.data, "retried_total{receiver=\"second\"} 1\n"));
    buf_finish(&out);
    end(&w);
}

/* Waits until the postman has come to an end with what is due. */
static struct seen until_attempts(struct world *w, int64_t attempts)
{
    struct seen seen = look(w);
    while (seen.attempts < attempts) {
        usleep(1000);
        deliver_wake(w->deliver);
        seen = look(w);
    }
    return seen;
}

static void a_receiver_is_not_tried_before_the_time_it_asked_for(void **state)
{
    (void)state;
    struct world w = {0};
    struct answering receiver;
    answering_start(&receiver, "HTTP/1.1 429 Too Many Requests\r\nretry-after: 77\r\n"
                               "content-length: 0\r\nconnection: close\r\n\r\n");
    begin_with(&w, receiver.yaml);
    write_row(&w, "dead", "g");
    start(&w);

    struct seen seen = until_attempts(&w, 1);

    assert_int_equal(seen.failed, 0);
    assert_int_equal(seen.next_ms, 77000); /* the back-off alone would be about a second */
    end(&w);
    answering_stop(&receiver);
}

/* A socket that takes connections and never says a word. */
static int silent_receiver(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static bool has_sent(struct world *w, int n)
{
    char wanted[80];
    struct buf out;
    snprintf(wanted, sizeof(wanted), "sent_total{receiver=\"dead\"} %d\n", n);
    buf_init(&out, 1 << 16);
    deliver_own_metrics(w->deliver, &out);
    buf_u8(&out, 0);
    bool found = strstr((const char *)out.data, wanted) != NULL;
    buf_finish(&out);
    return found;
}

/* Each writing interrupts the collector with a commit. */
static void while_others_are_under_way_outcomes_are_written_together(void **state)
{
    (void)state;
    struct world w = {0};
    struct answering receiver;
    uint16_t port;
    char both[400];
    int silent = silent_receiver(&port);
    answering_start(&receiver, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    snprintf(
        both, sizeof(both),
        "%s  - {name: silent, type: webhook, url: 'http://127.0.0.1:%u/', allow_private: true}\n",
        receiver.yaml, port);
    begin_with(&w, both);
    write_row(&w, "silent", "s");
    for (int i = 0; i < 6; i++) {
        char group[16];
        snprintf(group, sizeof(group), "g%d", i);
        write_row(&w, "dead", group);
    }
    start(&w); /* its clock stands still */
    while (!has_sent(&w, 6))
        usleep(1000);
    assert_int_equal(atomic_load(&w.n_writes), 0);
    assert_int_equal(look(&w).attempts, 0);

    atomic_store(&w.now_ms, 500);
    until_attempts(&w, 6);

    assert_int_equal(atomic_load(&w.n_writes), 1);
    assert_int_equal(atomic_load(&receiver.n), 6);
    end(&w);
    answering_stop(&receiver);
    close(silent);
}

static void outcomes_that_come_together_wait_for_those_that_are_started_after_them(void **state)
{
    (void)state;
    struct world w = {0};
    struct answering receiver;
    answering_start(&receiver, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    begin_with(&w, receiver.yaml);
    for (int i = 0; i < 12; i++) { /* a receiver is sent four at a time */
        char group[16];
        snprintf(group, sizeof(group), "g%d", i);
        write_row(&w, "dead", group);
    }
    start(&w); /* its clock stands still */

    until_attempts(&w, 12);

    assert_int_equal(atomic_load(&w.n_writes), 1);
    assert_int_equal(atomic_load(&receiver.n), 12);
    end(&w);
    answering_stop(&receiver);
}

static void after_410_nothing_more_is_sent_there(void **state)
{
    (void)state;
    struct world w = {0};
    struct answering receiver;
    answering_start(&receiver, "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n"
                               "connection: close\r\n\r\n");
    begin_with(&w, receiver.yaml);
    write_row(&w, "dead", "g");
    start(&w);
    assert_int_equal(until_attempts(&w, 1).failed, 1);

    write_row(&w, "dead", "h");
    struct seen seen = until_attempts(&w, 2);

    assert_int_equal(seen.failed, 2);
    assert_int_equal(receiver.n, 1);
    assert_non_null(strstr(seen.newest, "the receiver answered 410 Gone before"));
    end(&w);
    answering_stop(&receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_receiver_that_is_down_for_days_is_tried_for_72_hours_and_then_shown_as_failed),
        cmocka_unit_test(after_five_failures_in_a_row_a_receiver_is_left_alone_for_a_while),
        cmocka_unit_test(what_goes_to_a_receiver_that_is_configured_no_more_fails_and_says_so),
        cmocka_unit_test(a_reload_brings_other_receivers),
        cmocka_unit_test(a_receiver_is_not_tried_before_the_time_it_asked_for),
        cmocka_unit_test(while_others_are_under_way_outcomes_are_written_together),
        cmocka_unit_test(outcomes_that_come_together_wait_for_those_that_are_started_after_them),
        cmocka_unit_test(after_410_nothing_more_is_sent_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
