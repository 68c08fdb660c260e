#include <stdio.h>
#include <string.h>

#include "collector/own_events.h"
#include "collector/source_http.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static void a_full_queue_refuses_at_once_and_counts(void **state)
{
    (void)state;
    struct source *http = NULL;
    struct own_events *own = NULL;
    struct err err = {0};
    static char event[1 << 20];
    memset(event, ' ', sizeof(event));
    memcpy(event, "{}", 2);
    must(source_http_new(&http, clock_system(), &err), &err);
    must(own_events_new(&own, http, NULL, &err), &err);

    /* Nobody collects: what the thread has posted waits, and behind it the queue fills up. */
    int n = 0, n_sent = 0;
    while (own_events_send(own, event, sizeof(event)) && n < 100)
        n++;
    for (int i = 0; i < 10; i++)
        n_sent += own_events_send(own, event, sizeof(event));

    assert_in_range(n, 3, 7); /* one queue, or two where the thread has taken the first */
    struct producer_counts counts = own_events_counts(own);
    assert_int_equal(counts.waiting, n + n_sent);
    assert_int_equal(counts.refused, 11 - n_sent);
    assert_int_equal(counts.sent, 0);
    source_http_stop(http); /* who waits is sent away, and counted */
    own_events_free(own);
    source_free(http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_at_once_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
