#include <stdio.h>
#include <string.h>

#include "collector/producer.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static struct config *config_of(const char *properties)
{
    char yaml[500];
    struct config *config = NULL;
    struct err err = {0};
    snprintf(yaml, sizeof(yaml),
             "kafka: {brokers: \"127.0.0.1:1\", group: g, topics: [{name: t}], properties: %s}\n"
             "models: [{name: credit, task: binary}]\n",
             properties);
    must(config_parse(&config, "test.yaml", yaml, strlen(yaml), &err), &err);
    return config;
}

static void a_full_queue_refuses_at_once_and_counts(void **state)
{
    (void)state;
    struct config *config = config_of("{queue.buffering.max.messages: 3}");
    AUTO(producer) struct producer *producer = NULL;
    struct err err = {0};
    must(producer_new(&producer, &config->kafka, NULL, &err), &err);

    int n = 0;
    for (int i = 0; i < 10; i++)
        n += producer_send(producer, "t", "key", "{}", 2);

    assert_in_range(n, 3, 4); /* the client lets one more in than it says */
    struct producer_counts counts = producer_counts(producer);
    assert_int_equal(counts.refused, 10 - n);
    assert_int_equal(counts.waiting, n);
    assert_int_equal(counts.sent, 0);
    config_free(config);
}

static void what_is_given_up_is_counted_as_undelivered(void **state)
{
    (void)state;
    struct config *config = config_of("{message.timeout.ms: 1, linger.ms: 0}");
    AUTO(producer) struct producer *producer = NULL;
    struct err err = {0};
    must(producer_new(&producer, &config->kafka, NULL, &err), &err);
    struct buf text;
    buf_init(&text, 4096);

    assert_true(producer_send(producer, "t", "key", "{}", 2));
    while (producer_counts(producer).undelivered == 0) { /* the client's own clock */
    }

    struct producer_counts counts = producer_counts(producer);
    producer_metrics(&counts, &text);
    buf_u8(&text, 0);
    assert_non_null(strstr((char *)text.data, "assay_own_events_total{state=\"undelivered\"} 1\n"));
    assert_non_null(strstr((char *)text.data, "assay_own_events_waiting 0\n"));
    buf_finish(&text);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_at_once_and_counts),
        cmocka_unit_test(what_is_given_up_is_counted_as_undelivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
