#include "collector/source_http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "collector/collect.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const char yaml[] = "models:\n  - {name: credit, task: binary, label_horizon: 1h}\n";

struct daemon {
    struct temp *temp;
    struct config *config;
    struct store *store;
    struct source *http;
    struct collector *collector;
    pthread_t thread;
    int rc;
};

static void *run(void *context)
{
    struct daemon *daemon = context;
    daemon->rc = collector_run(daemon->collector, NULL);
    return NULL;
}

static void start(struct daemon *daemon)
{
    struct err err = {0};
    *daemon = (struct daemon){.temp = temp_new()};
    must(config_parse(&daemon->config, "test.yaml", yaml, strlen(yaml), &err), &err);
    daemon->store = temp_store(daemon->temp, STORE_WRITE);
    must(source_http_new(&daemon->http, clock_system(), &err), &err);
    struct collector_options options = {
        .config = daemon->config, .store = daemon->store, .sources = &daemon->http, .n_sources = 1};
    must(collector_new(&daemon->collector, &options, &err), &err);
    assert_int_equal(pthread_create(&daemon->thread, NULL, run, daemon), 0);
}

static void stop(struct daemon *daemon)
{
    collector_stop(daemon->collector);
    pthread_join(daemon->thread, NULL);
    assert_int_equal(daemon->rc, 0);
    collector_free(daemon->collector);
    source_free(daemon->http);
    store_free(daemon->store);
    config_free(daemon->config);
    temp_free(daemon->temp);
}

/* The answer to a body, or "" where it is one of the outcomes. */
static const char *post(struct daemon *daemon, const char *body, int *rc)
{
    static char text[1024];
    struct buf answer;
    struct err err = {0};
    buf_init(&answer, sizeof(text) - 1);
    *rc = source_http_ingest(daemon->http, body, strlen(body), &answer, &err);
    memcpy(text, answer.data ? answer.data : (const unsigned char *)"", answer.size);
    text[answer.size] = 0;
    buf_finish(&answer);
    return text;
}

#define PREDICTION(ID)                                                 \
    "{\"type\":\"prediction\",\"id\":\"" ID "\",\"model\":\"credit\"," \
    "\"version\":\"v1\",\"score\":0.5}"

static void one_object_an_array_and_lines_are_all_taken(void **state)
{
    (void)state;
    struct daemon daemon;
    int rc;
    start(&daemon);

    assert_string_equal(post(&daemon, PREDICTION("a"), &rc),
                        "{\"accepted\":1,\"duplicates\":0,\"rejected\":[]}");
    assert_string_equal(
        post(&daemon, " {\"type\":\"label\",\n \"id\":\"a\",\n \"label\":1}\n", &rc),
        "{\"accepted\":1,\"duplicates\":0,\"rejected\":[]}");
    assert_string_equal(post(&daemon, "[" PREDICTION("b") ", " PREDICTION("a") "]", &rc),
                        "{\"accepted\":1,\"duplicates\":1,\"rejected\":[]}");
    assert_string_equal(post(&daemon, PREDICTION("c") "\n" PREDICTION("d") "\n\n", &rc),
                        "{\"accepted\":2,\"duplicates\":0,\"rejected\":[]}");
    stop(&daemon);
}

static void a_bad_item_is_named_by_its_place_and_the_rest_is_taken(void **state)
{
    (void)state;
    struct daemon daemon;
    int rc;
    start(&daemon);

    assert_string_equal(
        post(&daemon, "[" PREDICTION("a") ",17,{\"type\":\"prediction\",\"model\":\"credit\"}]",
             &rc),
        "{\"accepted\":1,\"duplicates\":0,\"rejected\":["
        "{\"index\":1,\"reason\":\"wrong_type\",\"detail\":\"the event is not an object\"},"
        "{\"index\":2,\"reason\":\"missing_id\",\"detail\":\"id\"}]}");
    assert_string_equal(post(&daemon, PREDICTION("b") "\n{\"broken\n" PREDICTION("c"), &rc),
                        "{\"accepted\":2,\"duplicates\":0,\"rejected\":["
                        "{\"index\":1,\"reason\":\"not_json\","
                        "\"detail\":\"a string without an end\"}]}");
    assert_string_equal(post(&daemon, " \n ", &rc), "");
    assert_int_equal(rc, SOURCE_HTTP_EMPTY);
    stop(&daemon);
}

static void an_empty_array_is_no_mistake_but_half_of_one_is(void **state)
{
    (void)state;
    struct daemon daemon;
    int rc;
    start(&daemon);

    assert_string_equal(post(&daemon, " [ ]\n", &rc),
                        "{\"accepted\":0,\"duplicates\":0,\"rejected\":[]}");
    assert_int_equal(rc, 0);
    assert_string_equal(post(&daemon, "[", &rc), "");
    assert_int_equal(rc, SOURCE_HTTP_EMPTY);
    stop(&daemon);
}

/* Events behind the cut are lost, and whoever sent them would not know. */
static void an_array_without_its_end_is_told_with_the_place(void **state)
{
    (void)state;
    struct daemon daemon;
    int rc;
    start(&daemon);

    assert_string_equal(
        post(&daemon, "[17,18", &rc),
        "{\"accepted\":0,\"duplicates\":0,\"rejected\":["
        "{\"index\":0,\"reason\":\"wrong_type\",\"detail\":\"the event is not an "
        "object\"},{\"index\":1,\"reason\":\"wrong_type\",\"detail\":\"the event is "
        "not an object\"},{\"index\":2,\"reason\":\"not_json\",\"detail\":\"the "
        "array has no end: ] is missing at byte 6\"}]}");
    const char *answer = post(&daemon, "[" PREDICTION("a") ",", &rc);
    assert_non_null(strstr(answer, "{\"accepted\":1,"));
    assert_non_null(strstr(answer,
                           "{\"index\":1,\"reason\":\"not_json\",\"detail\":\"the array has "
                           "no end: ] is missing at byte "));
    stop(&daemon);
}

static void a_byte_order_mark_is_no_part_of_the_first_event(void **state)
{
    (void)state;
    struct daemon daemon;
    int rc;
    start(&daemon);

    assert_string_equal(post(&daemon, "\xef\xbb\xbf" PREDICTION("a") "\n" PREDICTION("b"), &rc),
                        "{\"accepted\":2,\"duplicates\":0,\"rejected\":[]}");
    assert_string_equal(post(&daemon, "\xef\xbb\xbf[" PREDICTION("c") "]", &rc),
                        "{\"accepted\":1,\"duplicates\":0,\"rejected\":[]}");
    stop(&daemon);
}

static void what_stands_behind_an_array_is_told(void **state)
{
    (void)state;
    struct daemon daemon;
    int rc;
    start(&daemon);

    assert_string_equal(post(&daemon, "[" PREDICTION("a") "]\n[" PREDICTION("b") "]", &rc),
                        "{\"accepted\":1,\"duplicates\":0,\"rejected\":["
                        "{\"index\":1,\"reason\":\"wrong_type\","
                        "\"detail\":\"the event is not an object\"}]}");
    stop(&daemon);
}

static void more_events_than_are_taken_at_a_time_are_refused_for_good(void **state)
{
    (void)state;
    struct daemon daemon;
    struct err err = {0};
    struct buf answer;
    AUTO_FREE char *body = malloc(200004);
    assert_non_null(body);
    memset(body, '1', 200003);
    for (size_t i = 1; i < 200002; i += 2)
        body[i] = '\n';
    start(&daemon);
    buf_init(&answer, 1000);

    assert_int_equal(source_http_ingest(daemon.http, body, 200002, &answer, &err),
                     SOURCE_HTTP_MANY);

    assert_string_equal(err.text, "100001 events at a time are more than 100000: send fewer");
    buf_finish(&answer);
    stop(&daemon);
}

static int count_rows(void *context, struct store *store, struct err *err)
{
    (void)store;
    (void)err;
    ++*(int *)context;
    return 7;
}

static void another_thread_s_call_runs_between_batches_until_the_end(void **state)
{
    (void)state;
    struct daemon daemon;
    struct err err = {0};
    int n = 0;
    start(&daemon);

    assert_int_equal(collector_call(daemon.collector, count_rows, &n, &err), 7);
    assert_int_equal(collector_call(daemon.collector, count_rows, &n, &err), 7);
    collector_stop(daemon.collector);
    pthread_join(daemon.thread, NULL);
    assert_int_equal(collector_call(daemon.collector, count_rows, &n, &err), -ECANCELED);

    assert_int_equal(n, 2);
    assert_string_equal(err.text, "the collector has stopped");
    assert_int_equal(pthread_create(&daemon.thread, NULL, run, &daemon), 0);
    stop(&daemon);
}

struct poster {
    struct daemon *daemon;
    int number;
    int accepted;
};

static void *post_many(void *context)
{
    struct poster *poster = context;
    for (int i = 0; i < 20; i++) {
        char body[512];
        struct buf answer;
        snprintf(body, sizeof(body),
                 "{\"type\":\"prediction\",\"id\":\"t%d-%d\",\"model\":\"credit\",\"score\":0.5}",
                 poster->number, i);
        buf_init(&answer, 1024);
        if (source_http_ingest(poster->daemon->http, body, strlen(body), &answer, NULL) == 0)
            poster->accepted += answer.size > 12 && answer.data[12] == '1';
        buf_finish(&answer);
    }
    return NULL;
}

static void many_who_post_at_once_are_all_answered(void **state)
{
    (void)state;
    enum {
        N = 8
    };
    struct daemon daemon;
    struct poster posters[N];
    pthread_t threads[N];
    start(&daemon);
    for (int i = 0; i < N; i++) {
        posters[i] = (struct poster){&daemon, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(posters[i].accepted, 20);
    }
    struct collector_health health;
    collector_health(daemon.collector, &health);
    assert_int_equal(health.totals.folded, N * 20);
    stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_object_an_array_and_lines_are_all_taken),
        cmocka_unit_test(an_empty_array_is_no_mistake_but_half_of_one_is),
        cmocka_unit_test(an_array_without_its_end_is_told_with_the_place),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_event),
        cmocka_unit_test(what_stands_behind_an_array_is_told),
        cmocka_unit_test(more_events_than_are_taken_at_a_time_are_refused_for_good),
        cmocka_unit_test(a_bad_item_is_named_by_its_place_and_the_rest_is_taken),
        cmocka_unit_test(another_thread_s_call_runs_between_batches_until_the_end),
        cmocka_unit_test(many_who_post_at_once_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
