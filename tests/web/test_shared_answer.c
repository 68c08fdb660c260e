/*
 * Equal questions at the same time, on real sockets: a clock that stands still holds the first one
 * while the others come.
 */
#include "web/shared_answer.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "tests/test.h"
#include "tests/web/site.h"

enum {
    N_ASKERS = 12
};

#define QUESTION "/api/v1/models/credit/metrics?metric=count"

/* A worker that asks for the time waits until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int n_asked;
};

/* The server's own thread asks, too, who may ask what now: it must go on. */
static bool on_worker(void)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return strcmp(name, "web-work") == 0;
}

static int64_t wait_at(void *context)
{
    struct gate *gate = context;
    if (!on_worker())
        return SITE_START;
    pthread_mutex_lock(&gate->lock);
    gate->n_asked++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return SITE_START;
}

static void gate_wait_for(struct gate *gate, int n_asked)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->n_asked < n_asked)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* A model without events: what is asked of it without a range asks the clock. */
static struct site *serving(struct gate *gate)
{
    struct site *site = site_new();
    struct err err = {0};
    struct model_row model = {"credit", "binary", "1", 0.5, 60000};
    must(commit_begin(site->store, &err), &err);
    must(commit_model(site->store, &model, &err), &err);
    must(commit_end(site->store, &err), &err);
    site->clock.context = gate;
    site->clock.wall_ms = wait_at;
    site_serve(site);
    return site;
}

static int ask(const struct site *site)
{
    static const char request[] = "GET " QUESTION " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = site_connect(site);
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    return fd;
}

/* What came before is stepped: the server has one thread, which takes all that is there by turns. The
   first answer may be of the same turn, the second is of a later one. */
static void wait_for_a_turn(const struct site *site)
{
    for (int i = 0; i < 2; i++) {
        struct reply reply;
        site_get(site, "/-/healthy", "", &reply);
        assert_int_equal(reply.status, 200);
        reply_finish(&reply);
    }
}

static void read_answer(int fd, char *out, size_t n)
{
    size_t got = 0;
    out[0] = '\0';
    while (!strstr(out, "\r\n\r\n") || !strstr(out, "\"incomplete_reasons\":[]}")) {
        ssize_t more = recv(fd, out + got, n - 1 - got, 0);
        if (more <= 0)
            fail_msg("the connection ended after: %s", out);
        got += (size_t)more;
        out[got] = '\0';
    }
    close(fd);
}

static void the_same_question_is_computed_once_for_all_who_ask(void **state)
{
    (void)state;
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    __attribute__((cleanup(site_freep))) struct site *site = serving(&gate);
    char first[8192], other[8192];
    int fds[N_ASKERS];

    fds[0] = ask(site);
    gate_wait_for(&gate, 1);
    for (int i = 1; i < N_ASKERS; i++)
        fds[i] = ask(site);
    wait_for_a_turn(site);
    gate_open(&gate);

    read_answer(fds[0], first, sizeof(first));
    for (int i = 1; i < N_ASKERS; i++) {
        read_answer(fds[i], other, sizeof(other));
        assert_string_equal(strstr(other, "\r\n\r\n"), strstr(first, "\r\n\r\n"));
    }
    assert_int_equal(gate.n_asked, 1);
}

static void whoever_waits_goes_on_when_the_first_client_leaves(void **state)
{
    (void)state;
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    __attribute__((cleanup(site_freep))) struct site *site = serving(&gate);
    char text[8192];

    int gone = ask(site);
    gate_wait_for(&gate, 1);
    int waiting = ask(site);
    wait_for_a_turn(site);
    close(gone);
    gate_open(&gate);

    read_answer(waiting, text, sizeof(text));
    assert_memory_equal(text, "HTTP/1.1 200", 12);
}

static void the_server_stops_while_somebody_waits(void **state)
{
    (void)state;
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    struct site *site = serving(&gate);
    int fds[3] = {ask(site)};
    gate_wait_for(&gate, 1);
    fds[1] = ask(site);
    fds[2] = ask(site);
    wait_for_a_turn(site);

    gate_open(&gate);
    site_free(site); /* the library aborts when a connection is suspended then */

    for (int i = 0; i < 3; i++)
        close(fds[i]);
    assert_in_range(gate.n_asked, 1, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_question_is_computed_once_for_all_who_ask),
        cmocka_unit_test(whoever_waits_goes_on_when_the_first_client_leaves),
        cmocka_unit_test(the_server_stops_while_somebody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
