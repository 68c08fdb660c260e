#include "collector/scrape_values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    MAX_TOLD = 64
};

struct told {
    char text[MAX_TOLD][80]; /* "version name" */
    double value[MAX_TOLD];
    int n;
    struct prometheus_counts counts;
};

static void take(void *context, const char *version, const char *name, double value)
{
    struct told *told = context;
    assert_true(told->n < MAX_TOLD);
    snprintf(told->text[told->n], sizeof(told->text[0]), "%s %s", version, name);
    told->value[told->n++] = value;
}

static void scrape(struct scrape_values *values, const char *answer, int64_t now_ms,
                   struct told *told)
{
    AUTO_FREE char *text = strdup(answer);
    assert_non_null(text);
    told->n = 0;
    scrape_values_take(values, text, strlen(text), now_ms, take, told, &told->counts);
}

static double value_of(const struct told *told, const char *text)
{
    for (int i = 0; i < told->n; i++)
        if (strcmp(told->text[i], text) == 0)
            return told->value[i];
    return (double)NAN;
}

static struct scrape_values *values_of(const struct config_scrape *target)
{
    struct scrape_values *values = NULL;
    struct err err = {0};
    must(scrape_values_new(&values, target, &err), &err);
    return values;
}

static const struct config_scrape fixed = {.url = "http://h/", .model = "m", .version = "v1"};

/* node_exporter 1.5 on two CPUs; `idle` of each. */
static void node(char *out, size_t n, double idle0, double idle1)
{
    snprintf(out, n,
             "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n"
             "# TYPE node_cpu_seconds_total counter\n"
             "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} %.2f\n"
             "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 99999.1\n"
             "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} %.2f\n"
             "node_cpu_seconds_total{cpu=\"1\",mode=\"iowait\"} 12.5\n"
             "node_memory_MemAvailable_bytes 6.0e+09\n"
             "node_memory_MemTotal_bytes 8.2e+09\n"
             "process_resident_memory_bytes 1.9e+07\n"
             "process_cpu_seconds_total 17.3\n",
             idle0, idle1);
}

static void a_node_exporter_tells_cpu_after_two_answers_and_memory_at_once(void **state)
{
    (void)state;
    AUTO(scrape_values) struct scrape_values *values = values_of(&fixed);
    struct told told;
    char text[2048];

    node(text, sizeof(text), 1000, 2000);
    scrape(values, text, 5000, &told);
    assert_int_equal(told.n, 1);
    assert_close(value_of(&told, "v1 memory_bytes"), 2.2e9, 0);
    node(text, sizeof(text), 1009, 2003);
    scrape(values, text, 15000, &told);

    assert_int_equal(told.n, 2); /* of the process, which is the exporter's, nothing */
    assert_close(value_of(&told, "v1 cpu_utilization"), 1 - (0.9 + 0.3) / 2, 1e-12);
    assert_int_equal(told.counts.samples, 8);
    assert_int_equal(told.counts.malformed, 0);
}

static void a_counter_that_goes_down_has_begun_again(void **state)
{
    (void)state;
    AUTO(scrape_values) struct scrape_values *values = values_of(&fixed);
    struct told told;
    char text[2048];

    node(text, sizeof(text), 1000, 2000);
    scrape(values, text, 0, &told);
    node(text, sizeof(text), 4, 2005); /* CPU 0 was switched off and on */
    scrape(values, text, 10000, &told);

    assert_close(value_of(&told, "v1 cpu_utilization"), 1 - (0.4 + 0.5) / 2, 1e-12);
}

/* dcgm-exporter 3.1: two GPUs; the profiling field is there for one answer only. */
static const char dcgm[] =
    "# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).\n"
    "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n"
    "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",UUID=\"GPU-1\",device=\"nvidia0\",modelName=\"NVIDIA "
    "A100\",Hostname=\"a1\",pod=\"credit-v3-abc\"} 80\n"
    "DCGM_FI_DEV_GPU_UTIL{gpu=\"1\",UUID=\"GPU-2\",device=\"nvidia1\",modelName=\"NVIDIA "
    "A100\",Hostname=\"a1\",pod=\"credit-v4-def\"} 20\n"
    "DCGM_FI_DEV_FB_USED{gpu=\"0\",UUID=\"GPU-1\",pod=\"credit-v3-abc\"} 1024\n"
    "DCGM_FI_DEV_FB_USED{gpu=\"1\",UUID=\"GPU-2\",pod=\"credit-v4-def\"} 9223372036854775794\n"
    "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"GPU-1\",pod=\"credit-v3-abc\"} 231.5\n"
    "DCGM_FI_DEV_POWER_USAGE{gpu=\"1\",UUID=\"GPU-2\",pod=\"other\"} 99\n";

static void gpus_are_averaged_by_version_and_blanks_dropped(void **state)
{
    (void)state;
    const struct config_pair power = {"power_watts", "DCGM_FI_DEV_POWER_USAGE", 0};
    const struct config_scrape by_pod = {.url = "http://h/",
                                         .model = "m",
                                         .version_label = "pod",
                                         .version_pattern = "credit-{version}-*",
                                         .values = &power,
                                         .n_values = 1};
    AUTO(scrape_values) struct scrape_values *one = values_of(&fixed);
    AUTO(scrape_values) struct scrape_values *many = values_of(&by_pod);
    struct told told;

    scrape(one, dcgm, 0, &told);
    assert_close(value_of(&told, "v1 gpu_utilization"), 0.5, 1e-15);
    assert_close(value_of(&told, "v1 gpu_memory_bytes"), 1073741824.0, 0);
    scrape(many, dcgm, 0, &told);

    assert_close(value_of(&told, "v3 gpu_utilization"), 0.8, 1e-15);
    assert_close(value_of(&told, "v4 gpu_utilization"), 0.2, 1e-15);
    assert_close(value_of(&told, "v3 power_watts"), 231.5, 0);
    assert_int_equal(told.n, 4);
}

static void the_engine_s_own_measure_is_preferred(void **state)
{
    (void)state;
    AUTO(scrape_values) struct scrape_values *values = values_of(&fixed);
    struct told told;

    scrape(values,
           "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 100\nDCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu=\"0\"} 0.4\n", 0,
           &told);

    assert_close(value_of(&told, "v1 gpu_utilization"), 0.4, 0);
}

static void tf_serving_tells_requests_and_their_latency(void **state)
{
    (void)state;
    static const char text[] =
        "# TYPE :tensorflow:core:graph_runs counter\n"
        ":tensorflow:core:graph_runs{} 21558640\n"
        "# TYPE :tensorflow:serving:request_count counter\n"
        ":tensorflow:serving:request_count{model_name=\"m\",status=\"OK\"} %d\n"
        "# TYPE :tensorflow:serving:request_latency histogram\n"
        ":tensorflow:serving:request_latency_bucket{model_name=\"m\",API=\"predict\",entrypoint="
        "\"REST\",le=\"10\"} 0\n"
        ":tensorflow:serving:request_latency_bucket{model_name=\"m\",API=\"predict\",entrypoint="
        "\"REST\",le=\"+Inf\"} %d\n"
        ":tensorflow:serving:request_latency_sum{model_name=\"m\",API=\"predict\",entrypoint="
        "\"REST\"} %d\n"
        ":tensorflow:serving:request_latency_count{model_name=\"m\",API=\"predict\",entrypoint="
        "\"REST\"} %d\n";
    AUTO(scrape_values) struct scrape_values *values = values_of(&fixed);
    struct told told;
    char answer[2048];

    snprintf(answer, sizeof(answer), text, 100, 100, 500000, 100);
    scrape(values, answer, 0, &told);
    assert_int_equal(told.n, 0);
    snprintf(answer, sizeof(answer), text, 400, 400, 2000000, 400);
    scrape(values, answer, 60000, &told);

    assert_close(value_of(&told, "v1 request_rate"), 5, 1e-12);
    assert_close(value_of(&told, "v1 request_latency_ms"), 5, 1e-12);
    assert_int_equal(told.counts.malformed, 0);
}

static void containers_win_over_the_process_and_pods_sums_are_left_out(void **state)
{
    (void)state;
    AUTO(scrape_values) struct scrape_values *values = values_of(&fixed);
    struct told told;

    scrape(values,
           "container_memory_working_set_bytes{container=\"model\",pod=\"p\"} 100\n"
           "container_memory_working_set_bytes{container=\"side\",pod=\"p\"} 20\n"
           "container_memory_working_set_bytes{container=\"\",pod=\"p\"} 130\n"
           "container_memory_working_set_bytes{container=\"POD\",pod=\"p\"} 10\n"
           "process_resident_memory_bytes 7\n",
           0, &told);
    assert_close(value_of(&told, "v1 memory_bytes"), 120, 0);
    scrape(values, "process_resident_memory_bytes 7\nprocess_cpu_seconds_total 3\n", 10, &told);

    assert_close(value_of(&told, "v1 memory_bytes"), 7, 0);
}

static void further_series_are_chosen_by_label_and_counters_by_rate(void **state)
{
    (void)state;
    const struct config_pair pairs[] = {
        {"temperature", "hot{where=\"gpu \\\"0\\\"\"}", 0},
        {"served", "rate(served_total)", 0},
        {"gpu_utilization", "mine", 0},
    };
    const struct config_scrape target = {
        .url = "http://h/", .model = "m", .version = "v1", .values = pairs, .n_values = 3};
    AUTO(scrape_values) struct scrape_values *values = values_of(&target);
    struct told told;

    scrape(values, "served_total{a=\"1\"} 5\nserved_total{a=\"2\"} 7 1700000000000\n", 1000, &told);
    scrape(values,
           "hot{where=\"gpu \\\"0\\\"\",x=\"y\"} 71\nhot{where=\"gpu 1\"} 40\nnv_gpu_utilization "
           "0.1\nmine 0.9\nserved_total{a=\"1\"} 15 # {trace_id=\"}\"} 1\n"
           "served_total{a=\"2\"} 27\n",
           6000, &told);

    assert_close(value_of(&told, "v1 temperature"), 71, 0);
    assert_close(value_of(&told, "v1 served"), (10 + 20) / 5.0, 1e-12);
    assert_close(value_of(&told, "v1 gpu_utilization"), 0.9, 0);
    assert_int_equal(told.n, 3);
}

static void a_selector_that_is_none_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"9x", "a{", "a b", "", "a{x=y}", "rate(a b)"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct config_pair pair = {"mine", bad[i], 0};
        const struct config_scrape target = {
            .url = "http://h/", .model = "m", .version = "v1", .values = &pair, .n_values = 1};
        struct scrape_values *values = NULL;
        struct err err = {0};
        char text[128];
        snprintf(text, sizeof(text),
                 "scrape: values.mine: '%s' is not like series, series{label=\"x\"} or "
                 "rate(series)",
                 bad[i]);
        assert_int_equal(scrape_values_new(&values, &target, &err), ERR_DATA);
        assert_string_equal(err.text, text);
    }
}

static void lines_that_are_no_sample_are_counted_and_the_rest_goes_on(void **state)
{
    (void)state;
    AUTO(scrape_values) struct scrape_values *values = values_of(&fixed);
    struct told told;

    scrape(values,
           "\n  \r\n# EOF\n<html>\nnv_gpu_utilization\nnv_gpu_utilization x\n"
           "nv_gpu_utilization{a=\"} 1\nnv_gpu_utilization{a=b} 1\nnv_gpu_utilization NaN\n"
           "nv_gpu_utilization +Inf\n\tnv_gpu_utilization {gpu=\"0\"}\t0.25\r\n{} 1\n"
           "nv_gpu_utilization{a=\"1\",} 0.75",
           0, &told);

    assert_close(value_of(&told, "v1 gpu_utilization"), 0.5, 0);
    assert_int_equal(told.counts.samples, 4);
    assert_int_equal(told.counts.malformed, 6);
}

static void hostile_answers_stay_within_their_bounds(void **state)
{
    (void)state;
    const struct config_scrape by_pod = {.url = "http://h/",
                                         .model = "m",
                                         .version_label = "pod",
                                         .version_pattern = "*a*{version}*a*a*b"};
    AUTO(scrape_values) struct scrape_values *values = values_of(&by_pod);
    struct buf text;
    struct told told = {.n = 0};
    buf_init(&text, 8 << 20);
    for (int i = 0; i < 20000; i++)
        buf_printf(&text, "nv_gpu_utilization{pod=\"%0200d%s\"} 1\n", i, i % 300 ? "" : "aaab");
    for (int i = 0; i < 40; i++)
        buf_printf(&text, "nv_gpu_utilization{l%d=\"1\"", i);
    assert_false(buf_failed(&text));

    scrape_values_take(values, (char *)text.data, text.size, 0, take, &told, &told.counts);

    assert_true(told.n <= SCRAPE_MAX_VERSIONS);
    assert_int_equal(told.counts.malformed, 1);
    buf_finish(&text);
}

static void a_version_stands_where_the_pattern_says(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *label, *version; /* NULL: none */
    } cases[] = {
        {NULL, "v3", "v3"},
        {"{version}", "v3", "v3"},
        {"credit-{version}-*", "credit-v3-7d9f-x1", "v3"},
        {"credit-{version}-*", "fraud-v3-7d9f-x1", NULL},
        {"*-{version}", "a-b", "b"},
        {"*/{version}.bin", "models/credit/7.bin", "credit/7"},
        {"credit-{version}", "credit-", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct config_scrape target = {.url = "http://h/",
                                             .model = "m",
                                             .version_label = "pod",
                                             .version_pattern = cases[i].pattern};
        AUTO(scrape_values) struct scrape_values *values = values_of(&target);
        struct told told;
        char text[128], expected[64];
        snprintf(text, sizeof(text), "nv_gpu_utilization{pod=\"%s\"} 1\nnv_gpu_utilization 1\n",
                 cases[i].label);
        scrape(values, text, 0, &told);
        if (!cases[i].version) {
            assert_int_equal(told.n, 0);
            continue;
        }
        snprintf(expected, sizeof(expected), "%s gpu_utilization", cases[i].version);
        assert_int_equal(told.n, 1);
        assert_string_equal(told.text[0], expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_exporter_tells_cpu_after_two_answers_and_memory_at_once),
        cmocka_unit_test(a_counter_that_goes_down_has_begun_again),
        cmocka_unit_test(gpus_are_averaged_by_version_and_blanks_dropped),
        cmocka_unit_test(the_engine_s_own_measure_is_preferred),
        cmocka_unit_test(tf_serving_tells_requests_and_their_latency),
        cmocka_unit_test(containers_win_over_the_process_and_pods_sums_are_left_out),
        cmocka_unit_test(further_series_are_chosen_by_label_and_counters_by_rate),
        cmocka_unit_test(a_selector_that_is_none_is_refused_by_name),
        cmocka_unit_test(lines_that_are_no_sample_are_counted_and_the_rest_goes_on),
        cmocka_unit_test(hostile_answers_stay_within_their_bounds),
        cmocka_unit_test(a_version_stands_where_the_pattern_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
