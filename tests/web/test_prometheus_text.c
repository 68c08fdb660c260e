#include "web/prometheus_text.h"

#include <string.h>

#include "tests/test.h"

static void a_page_of_openmetrics_becomes_what_older_readers_know(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf page;
    buf_init(&page, 4096);
    buf_printf(&page, "# TYPE assay_events counter\n"
                      "# HELP assay_events Events of a counter.\n"
                      "assay_events_total{reason=\"# EOF\"} 3\n"
                      "# TYPE assay_lag_seconds gauge\n"
                      "# UNIT assay_lag_seconds seconds\n"
                      "# HELP assay_lag_seconds How far behind.\n"
                      "assay_lag_seconds 0.5\n"
                      "# TYPE assay_head info\n"
                      "# HELP assay_head The chain's head.\n"
                      "assay_head_info{hash=\"ab\"} 1\n"
                      "# TYPE assay_state stateset\n"
                      "assay_state{assay_state=\"running\"} 1\n"
                      "# EOF\n");

    assert_int_equal(prometheus_text(&page, &err), 0);
    buf_u8(&page, 0);

    assert_string_equal((const char *)page.data, "# TYPE assay_events_total counter\n"
                                                 "# HELP assay_events_total Events of a counter.\n"
                                                 "assay_events_total{reason=\"# EOF\"} 3\n"
                                                 "# TYPE assay_lag_seconds gauge\n"
                                                 "# HELP assay_lag_seconds How far behind.\n"
                                                 "assay_lag_seconds 0.5\n"
                                                 "# TYPE assay_head_info gauge\n"
                                                 "# HELP assay_head_info The chain's head.\n"
                                                 "assay_head_info{hash=\"ab\"} 1\n"
                                                 "# TYPE assay_state gauge\n"
                                                 "assay_state{assay_state=\"running\"} 1\n");
    buf_finish(&page);
}

static void only_who_asks_for_text_alone_gets_it(void **state)
{
    (void)state;

    assert_true(prometheus_text_wanted("text/plain;version=0.0.4;q=1,*/*;q=0.1"));
    assert_false(prometheus_text_wanted("application/openmetrics-text;version=1.0.0,text/plain"));
    assert_false(prometheus_text_wanted("*/*"));
    assert_false(prometheus_text_wanted(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_openmetrics_becomes_what_older_readers_know),
        cmocka_unit_test(only_who_asks_for_text_alone_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
