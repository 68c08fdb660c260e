/*
 * Server-sent events on real sockets: what a page hears, and what it has missed.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/alert_rows.h"
#include "storage/audit.h"
#include "storage/transition.h"
#include "tests/test.h"
#include "tests/web/site.h"

struct listener {
    int fd;
    char text[65536];
    size_t n;
};

static void tick(struct site *site, int minute)
{
    struct minute row = {
        .model = "credit", .version = "v3", .start_ms = SITE_START + minute * MINUTE, .tp = 4};
    site_minute(site, &row);
}

static struct listener *listen_from(const struct site *site, const char *last_id)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    assert_non_null(listener);
    char request[300];
    int n = snprintf(
        request, sizeof(request), "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n",
        last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
    listener->fd = site_connect(site);
    assert_int_equal(send(listener->fd, request, (size_t)n, MSG_NOSIGNAL), n);
    return listener;
}

static void listener_free(struct listener *listener)
{
    close(listener->fd);
    free(listener);
}

/* Reads until `what` is there; fails after 20 s of silence. */
static const char *hear(struct listener *listener, const char *what)
{
    for (;;) {
        const char *found = strstr(listener->text, what);
        if (found)
            return found;
        struct pollfd fd = {.fd = listener->fd, .events = POLLIN};
        if (poll(&fd, 1, 20000) != 1)
            fail_msg("did not hear %s, but: %s", what, listener->text);
        ssize_t got = recv(listener->fd, listener->text + listener->n,
                           sizeof(listener->text) - 1 - listener->n, 0);
        if (got <= 0)
            fail_msg("the stream ended before %s, after: %s", what, listener->text);
        listener->n += (size_t)got;
    }
}

static void a_commit_is_heard_by_everybody_who_listens(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    tick(site, 0);
    site_serve(site);
    struct listener *one = listen_from(site, NULL), *two = listen_from(site, NULL);
    hear(one, "retry: 2000\n\n");
    hear(two, "retry: 2000\n\n");

    tick(site, 1);

    char expected[300];
    snprintf(expected, sizeof(expected),
             "id: %d\nevent: window\ndata: {\"change\":%d,\"models\":[{\"model\":\"credit\","
             "\"complete_up_to\":%lld,\"labels_complete_up_to\":",
             (int)changes_now(site->changes), (int)changes_now(site->changes),
             (long long)(SITE_START + 2 * MINUTE));
    hear(one, expected);
    hear(two, expected);
    assert_non_null(strstr(one->text, "Content-Type: text/event-stream"));
    listener_free(one);
    listener_free(two);
}

static void who_reconnects_hears_what_was_missed(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    tick(site, 0);
    site_serve(site);
    struct listener *first = listen_from(site, NULL);
    hear(first, "retry: 2000\n\n");
    tick(site, 1);
    char last_id[32], expected[64];
    snprintf(last_id, sizeof(last_id), "%d", (int)changes_now(site->changes));
    snprintf(expected, sizeof(expected), "id: %s\nevent: window", last_id);
    hear(first, expected);
    struct listener *witness = listen_from(site, NULL);
    hear(witness, "retry: 2000\n\n");
    listener_free(first);
    tick(site, 2);
    snprintf(expected, sizeof(expected), "id: %d\nevent: window", (int)changes_now(site->changes));
    hear(witness, expected);

    struct listener *again = listen_from(site, last_id);

    hear(again, expected);
    listener_free(again);
    listener_free(witness);
}

static void who_was_away_for_a_restart_hears_how_things_stand(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    tick(site, 0);
    tick(site, 1);
    tick(site, 2);
    site_serve(site);

    struct listener *listener = listen_from(site, "1");

    hear(listener, "event: window\ndata: {\"change\":3,");
    listener_free(listener);
}

static void who_knows_a_later_change_than_there_is_hears_how_things_stand(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    tick(site, 0);
    site_serve(site);

    struct listener *listener = listen_from(site, "812");

    hear(listener, "event: window\ndata: {\"change\":1,");
    hear(listener, "event: alert\ndata: {\"change\":1,\"alerts\":[],\"more\":0,\"firing\":0}");
    hear(listener, "event: transition\ndata: {\"change\":1,\"experiments\":[]}");
    listener_free(listener);
}

/* Alert i enters a phase, with its row of history. */
static void write_alert(struct site *site, int i, int phase)
{
    struct err err = {0};
    char id[17];
    snprintf(id, sizeof(id), "%016x", 0xa0u + (unsigned)i);
    struct alert_row row = {.id = id,
                            .rule = "auc-low",
                            .model = "credit",
                            .version = "",
                            .slice = "",
                            .severity = "critical",
                            .phase = phase,
                            .since_ms = SITE_START};
    struct alert_event_row event = {
        .alert = id, .event = "firing", .at_ms = SITE_START, .clock = "event", .data = "{}"};
    must(commit_alert_event(site->store, &event, &row.event, &err), &err);
    must(commit_alert(site->store, &row, &err), &err);
}

static void change_alert(struct site *site, int i, int phase)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    write_alert(site, i, phase);
    must(commit_end(site->store, &err), &err);
}

static void an_alert_that_changes_is_heard_once(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    tick(site, 0);
    site_serve(site);
    struct listener *listener = listen_from(site, NULL);
    hear(listener, "retry: 2000\n\n");

    change_alert(site, 1, 2);

    hear(listener, "event: alert\ndata: {\"change\":2,\"alerts\":[{\"id\":\"00000000000000a1\","
                   "\"rule\":\"auc-low\",\"state\":\"firing\",\"model\":\"credit\","
                   "\"severity\":\"critical\",\"since\":1700006400000}],\"more\":0,"
                   "\"firing\":1}\n\n");
    tick(site, 1);
    hear(listener, "id: 3\nevent: window");
    tick(site, 2);
    hear(listener, "id: 4\nevent: window");
    assert_null(strstr(strstr(listener->text, "event: alert") + 1, "event: alert"));
    listener_free(listener);
}

static void only_what_changed_is_told_of_alerts_also_their_end_and_an_acknowledgement(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    struct err err = {0};
    change_alert(site, 1, 2); /* before anybody listens: no news */
    change_alert(site, 2, 2);
    site_serve(site);
    struct listener *listener = listen_from(site, NULL);
    hear(listener, "retry: 2000\n\n");

    change_alert(site, 2, 0);

    hear(listener, "\"alerts\":[{\"id\":\"00000000000000a2\",\"rule\":\"auc-low\",\"state\":"
                   "\"inactive\",\"model\":\"credit\",\"severity\":\"critical\",\"since\":"
                   "1700006400000}],\"more\":0,\"firing\":1}\n\n");

    must(commit_begin(site->store, &err), &err);
    must(commit_alert_ack(site->store, "00000000000000a1", "maria", 5000, &err), &err);
    struct audit_row audit = {.at_ms = 5000,
                              .clock = "wall",
                              .who = "maria",
                              .action = "ack",
                              .subject = "a1",
                              .detail = "{}"};
    must(commit_audit(site->store, &audit, &err), &err);
    must(commit_end(site->store, &err), &err);

    hear(listener, "\"alerts\":[{\"id\":\"00000000000000a1\",\"rule\":\"auc-low\",\"state\":"
                   "\"firing\"");
    listener_free(listener);
}

static void of_many_alerts_at_once_a_hundred_are_named_and_the_rest_counted(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    struct err err = {0};
    tick(site, 0);
    site_serve(site);
    struct listener *listener = listen_from(site, NULL);
    hear(listener, "retry: 2000\n\n");

    must(commit_begin(site->store, &err), &err);
    for (int i = 0; i < 250; i++)
        write_alert(site, i, 2);
    must(commit_end(site->store, &err), &err);

    hear(listener, "],\"more\":150,\"firing\":250}\n\n");
    size_t n = 0;
    for (const char *at = listener->text; (at = strstr(at, "\"rule\":")); at++)
        n++;
    assert_int_equal(n, 100);
    listener_free(listener);
}

static void a_transition_is_heard_once(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    struct err err = {0};
    struct experiment_row row = {.name = "credit-v4",
                                 .model = "credit",
                                 .object = "{}",
                                 .state = "draft",
                                 .created_ms = SITE_START,
                                 .since_ms = SITE_START,
                                 .ramp = "{}",
                                 .verdict = "{}"};
    must(commit_begin(site->store, &err), &err);
    must(commit_experiment_new(site->store, &row, &err), &err);
    must(commit_end(site->store, &err), &err);
    tick(site, 0);
    site_serve(site);
    struct listener *listener = listen_from(site, NULL);
    hear(listener, "retry: 2000\n\n");
    row.state = "running";
    row.seq = 1;
    row.weight = 5;
    struct transition_row transition = {.experiment = "credit-v4",
                                        .seq = 1,
                                        .at_ms = SITE_START,
                                        .clock = "wall",
                                        .who = "ann",
                                        .command = "",
                                        .verdict = "start",
                                        .from_state = "draft",
                                        .to_state = "running",
                                        .to_weight = 5,
                                        .reason = "go",
                                        .evidence = "{}"};

    must(commit_begin(site->store, &err), &err);
    must(commit_transition(site->store, &row, &transition, &err), &err);
    must(commit_end(site->store, &err), &err);

    hear(listener, "event: transition\ndata: {\"change\":3,\"experiments\":[{\"name\":"
                   "\"credit-v4\",\"model\":\"credit\",\"state\":\"running\",\"step\":0,"
                   "\"weight\":5,\"since\":1700006400000,\"seq\":1,\"applying\":false}]}\n\n");
    tick(site, 1);
    hear(listener, "id: 4\nevent: window");
    tick(site, 2);
    hear(listener, "id: 5\nevent: window");
    assert_null(strstr(strstr(listener->text, "event: transition") + 1, "event: transition"));
    listener_free(listener);
}

static void a_client_may_hold_only_so_many_streams(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    site->config.http.max_streams_per_token = 2;
    site_serve(site);
    struct listener *one = listen_from(site, NULL), *two = listen_from(site, NULL);
    hear(one, "retry: 2000\n\n");
    hear(two, "retry: 2000\n\n");
    struct reply reply;

    site_get(site, "/api/v1/stream", "", &reply);

    assert_int_equal(reply.status, 429);
    assert_non_null(strstr(reply.body, "too many event streams are open"));
    reply_finish(&reply);
    listener_free(one);
    listener_free(two);
}

static void the_server_stops_while_pages_listen(void **state)
{
    (void)state;
    struct site *site = site_new();
    site_serve(site);
    struct listener *listener = listen_from(site, NULL);
    hear(listener, "retry: 2000\n\n");

    site_free(site);

    char byte[64];
    while (recv(listener->fd, byte, sizeof(byte), 0) > 0) {
    }
    listener_free(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_heard_by_everybody_who_listens),
        cmocka_unit_test(who_reconnects_hears_what_was_missed),
        cmocka_unit_test(who_was_away_for_a_restart_hears_how_things_stand),
        cmocka_unit_test(who_knows_a_later_change_than_there_is_hears_how_things_stand),
        cmocka_unit_test(an_alert_that_changes_is_heard_once),
        cmocka_unit_test(only_what_changed_is_told_of_alerts_also_their_end_and_an_acknowledgement),
        cmocka_unit_test(of_many_alerts_at_once_a_hundred_are_named_and_the_rest_counted),
        cmocka_unit_test(a_transition_is_heard_once),
        cmocka_unit_test(a_client_may_hold_only_so_many_streams),
        cmocka_unit_test(the_server_stops_while_pages_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
