#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/content.h"
#include "stats/metric.h"
#include "storage/series.h"
#include "tests/lib/collector_bench.h"
#include "tests/test.h"

#define START INT64_C(1700000000000)

static const char yaml[] = "models:\n"
                           "  - {name: shop, task: ranking, label_horizon: 1h}\n"
                           "  - {name: road, task: segmentation, label_horizon: 1h}\n"
                           "  - {name: credit, task: binary, label_horizon: 1h}\n";

struct bench {
    struct temp *temp;
    struct sim_log log;
    int partition;
    struct collector_bench collector;
};

static void start(struct bench *bench)
{
    const struct sim_options options = {.seed = 1, .max_batch = 16, .ends = true};
    bench_open(&bench->collector, bench->temp, yaml, &bench->log, &options);
}

static void open_bench(struct bench *bench)
{
    *bench = (struct bench){.temp = temp_new()};
    bench->partition = sim_partition(&bench->log, "events", 0);
    start(bench);
}

static void close_bench(struct bench *bench)
{
    bench_balanced(&bench->collector);
    bench_close(&bench->collector);
    temp_free(bench->temp);
    sim_log_finish(&bench->log);
}

/* What has come so far is durable, and the next event meets what a restart brings back. */
static void restart(struct bench *bench)
{
    bench_drain(&bench->collector);
    bench_close(&bench->collector);
    start(bench);
}

static void shown(struct bench *bench, const char *id, const char *items)
{
    sim_add(&bench->log, bench->partition, START,
            "{\"type\":\"prediction\",\"id\":\"%s\",\"ts\":%lld,\"model\":\"shop\",\"version\":"
            "\"v1\",\"ranking\":[%s]}",
            id, (long long)START, items);
}

static void scene(struct bench *bench, const char *id)
{
    sim_add(&bench->log, bench->partition, START,
            "{\"type\":\"prediction\",\"id\":\"%s\",\"ts\":%lld,\"model\":\"road\",\"version\":"
            "\"v1\"}",
            id, (long long)START);
}

static void label(struct bench *bench, const char *id, const char *fields)
{
    sim_add(&bench->log, bench->partition, START + 1000,
            "{\"type\":\"label\",\"id\":\"%s\",\"ts\":%lld,%s}", id, (long long)START + 1000,
            fields);
}

/* A metric of the one minute that all predictions lie in, as the database has it. */
static double value_of(struct bench *bench, const char *model, enum task task, const char *metric)
{
    struct collector_bench *open = &bench->collector;
    struct metric_setup setup = {task, 0, 0.5, NULL};
    AUTO(states) struct states *states = NULL;
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    char sql[128];
    void *bytes = NULL;
    size_t n = 0;
    bench_drain(open);
    must(collector_commit_now(open->collector, &err), &err);
    snprintf(sql, sizeof(sql), "SELECT id FROM series WHERE model = '%s' AND slice = ''", model);
    must(series_pane(open->store, bench_number(open, sql), MINUTE, START - START % MINUTE, &bytes,
                     &n, &err),
         &err);
    must(states_load(&states, &setup, bytes, n, &err), &err);
    free(bytes);
    must(metric_find(&ref, metric, task, &err), &err);
    metric_result(states, &ref, MINUTE, &value);
    return value.value;
}

static double shop(struct bench *bench, const char *metric)
{
    return value_of(bench, "shop", TASK_RANKING, metric);
}

static double road(struct bench *bench, const char *metric)
{
    return value_of(bench, "road", TASK_SEGMENTATION, metric);
}

static void a_ranking_meets_its_relevances(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);

    shown(&bench, "a", "\"x\",\"y\",3"); /* items are classes: 3 is "3" */
    label(&bench, "a", "\"label\":{\"3\":1,\"elsewhere\":0}");
    shown(&bench, "b", "\"x\",\"y\"");
    label(&bench, "b", "\"label\":{\"x\":2,\"y\":1}");

    assert_close(shop(&bench, "mrr"), (1.0 / 3 + 1) / 2, 1e-15);
    assert_close(shop(&bench, "hit_rate_2"), 0.5, 0);
    assert_close(shop(&bench, "ndcg_10"), (0.5 + 1) / 2, 1e-15); /* 1 / log2(4) */
    assert_close(shop(&bench, "map_10"), (1.0 / 3 + 1) / 2, 1e-15);
    assert_close(shop(&bench, "labelled_rate"), 1, 0);
    close_bench(&bench);
}

static void pixels_add_up_by_class(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);

    scene(&bench, "a");
    label(&bench, "a", "\"confusion\":{\"road\":[6,1,1],\"sky\":[1,1,2]}");
    scene(&bench, "b");
    label(&bench, "b", "\"confusion\":{\"road\":[2,0,0]}");

    assert_close(road(&bench, "mean_iou"), (8.0 / 10 + 1.0 / 4) / 2, 1e-15);
    assert_close(road(&bench, "dice"), (16.0 / 18 + 2.0 / 5) / 2, 1e-15);
    assert_close(road(&bench, "iou{class=\"sky\"}"), 0.25, 0);
    assert_int_equal(bench_number(&bench.collector, "SELECT count(*) FROM names WHERE kind = "
                                                    "'class' AND text IN ('road', 'sky')"),
                     2);
    close_bench(&bench);
}

static void F21_a_content_that_comes_first_waits_for_its_prediction(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);

    label(&bench, "a", "\"label\":{\"x\":0,\"y\":1}");
    label(&bench, "b", "\"confusion\":{\"sky\":[1,1,2]}");
    restart(&bench);
    assert_int_equal(bench_number(&bench.collector, "SELECT sum(waiting) FROM offsets"), 2);
    shown(&bench, "a", "\"x\",\"y\"");
    scene(&bench, "b");

    assert_close(shop(&bench, "mrr"), 0.5, 0);
    assert_close(road(&bench, "iou{class=\"sky\"}"), 0.25, 0);
    assert_int_equal(bench_number(&bench.collector, "SELECT count(*) FROM names WHERE kind = "
                                                    "'class' AND text = 'sky'"),
                     1);
    assert_int_equal(bench_number(&bench.collector, "SELECT sum(waiting) FROM offsets"), 0);
    close_bench(&bench);
}

/* What the last labels alone give, as bytes. */
static char *panes_of(void (*fill)(struct bench *bench))
{
    struct bench bench;
    open_bench(&bench);
    fill(&bench);
    bench_drain(&bench.collector);
    struct err err = {0};
    must(collector_commit_now(bench.collector.collector, &err), &err);
    char *panes = bench_panes(&bench.collector);
    close_bench(&bench);
    return panes;
}

static void predictions(struct bench *bench)
{
    shown(bench, "a", "\"x\",\"y\",\"z\"");
    shown(bench, "b", "");
    scene(bench, "c");
}

static void last_labels(struct bench *bench)
{
    predictions(bench);
    label(bench, "a", "\"label\":{\"z\":3}");
    label(bench, "b", "\"label\":{}");
    label(bench, "c", "\"confusion\":{\"sky\":[5,0,1]}");
}

static void corrected_labels(struct bench *bench)
{
    label(bench, "a", "\"label\":{\"x\":1}");
    label(bench, "c", "\"confusion\":{\"road\":[1,2,3],\"sky\":[1,1,1]}");
    predictions(bench);
    label(bench, "a", "\"label\":{\"y\":1,\"z\":1,\"w\":2}");
    label(bench, "b", "\"label\":{\"z\":1}");
    restart(bench);
    label(bench, "a", "\"label\":{\"x\":1,\"y\":1}");
    label(bench, "c", "\"confusion\":{\"road\":[9,0,0]}");
    restart(bench);
    label(bench, "a", "\"label\":{\"z\":3}");
    label(bench, "b", "\"label\":{}");
    label(bench, "c", "\"confusion\":{\"sky\":[5,0,1]}");
    label(bench, "c", "\"confusion\":{\"sky\":[5,0,1]}"); /* the same again */
}

static void F23_a_corrected_content_is_taken_out_to_the_last_bit(void **state)
{
    (void)state;

    char *expected = panes_of(last_labels), *got = panes_of(corrected_labels);

    assert_non_null(strstr(expected, "shop v1"));
    assert_string_equal(expected, got);
    free(expected);
    free(got);
}

static void F14_what_says_nothing_for_the_task_is_a_dead_letter_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *payload, *reason, *detail;
    } bad[] = {
        {"\"type\":\"prediction\",\"id\":\"1\",\"model\":\"shop\"", "wrong_task", "ranking"},
        {"\"type\":\"prediction\",\"id\":\"1\",\"model\":\"shop\",\"ranking\":[\"x\",\"y\",\"x\"]",
         "duplicate_key", "ranking"},
        {"\"type\":\"prediction\",\"id\":\"1\",\"model\":\"shop\",\"ranking\":[\"x\",{}]",
         "wrong_type", "ranking"},
        {"\"type\":\"prediction\",\"id\":\"1\",\"model\":\"shop\",\"ranking\":[null]", "wrong_type",
         "ranking"},
        {"\"type\":\"label\",\"id\":\"a\",\"label\":1", "wrong_task", "label"},
        {"\"type\":\"label\",\"id\":\"a\",\"confusion\":{\"x\":[1,1,1]}", "wrong_task", "label"},
        {"\"type\":\"label\",\"id\":\"a\",\"label\":{\"x\":\"much\"}", "wrong_type", "label.x"},
        {"\"type\":\"label\",\"id\":\"a\",\"label\":{\"x\":\"NaN\"}", "not_finite", "label.x"},
        {"\"type\":\"label\",\"id\":\"c\",\"label\":{\"x\":1}", "wrong_task", "label"},
        {"\"type\":\"label\",\"id\":\"c\",\"confusion\":{\"x\":[1,1]}", "wrong_type",
         "confusion.x"},
        {"\"type\":\"label\",\"id\":\"c\",\"confusion\":{\"x\":[1,-1,1]}", "out_of_range",
         "confusion.x"},
        {"\"type\":\"label\",\"id\":\"c\",\"confusion\":{\"x\":[0.5,1,1]}", "out_of_range",
         "confusion.x"},
        {"\"type\":\"label\",\"id\":\"c\",\"confusion\":{\"x\":[1e13,1,1]}", "out_of_range",
         "confusion.x"},
        {"\"type\":\"label\",\"id\":\"d\",\"label\":{\"x\":1}", "wrong_task", "label"},
        {"\"type\":\"label\",\"id\":\"early\",\"label\":{\"x\":1}", NULL, NULL},
        {"\"type\":\"prediction\",\"id\":\"early\",\"model\":\"credit\",\"score\":0.5",
         "wrong_task", "label"},
    };
    struct bench bench;
    open_bench(&bench);
    predictions(&bench);
    sim_add(&bench.log, bench.partition, START,
            "{\"type\":\"prediction\",\"id\":\"d\",\"ts\":%lld,\"model\":\"credit\"}",
            (long long)START);

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        sim_add(&bench.log, bench.partition, START, "{%s,\"ts\":%lld}", bad[i].payload,
                (long long)START);
        bench_drain(&bench.collector);
        must(collector_commit_now(bench.collector.collector, NULL), NULL);
        if (!bad[i].reason)
            continue;
        char sql[256];
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM dead_letter WHERE id = (SELECT max(id) FROM dead_letter) "
                 "AND reason = '%s' AND detail = '%s'",
                 bad[i].reason, bad[i].detail);
        if (bench_number(&bench.collector, sql) != 1)
            fail_msg("%s: not %s %s", bad[i].payload, bad[i].reason, bad[i].detail);
    }

    assert_close(shop(&bench, "labelled_rate"), 0, 0);
    assert_close(road(&bench, "labelled_rate"), 0, 0);
    close_bench(&bench);
}

/* `n` members `"head0000…":value`. */
static char *many(const char *head, const char *value, int n, int width)
{
    struct buf text;
    buf_init(&text, (size_t)1 << 20);
    for (int i = 0; i < n; i++)
        buf_printf(&text, "%s\"%s%0*d\"%s", i ? "," : "", head, width, i, value);
    buf_u8(&text, 0);
    assert_false(buf_failed(&text));
    return (char *)text.data; /* the caller owns it now */
}

static void lists_beyond_their_limits_are_too_large(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);
    char *items = many("", "", EVENT_MAX_ITEMS, 1),
         *too_many = many("", "", EVENT_MAX_ITEMS + 1, 1);
    char *classes = many("c", ":[1,0,1]", 300, 200);

    shown(&bench, "most", items);
    label(&bench, "most", "\"label\":{\"1023\":1}");
    shown(&bench, "more", too_many);
    scene(&bench, "long names");
    sim_add(&bench.log, bench.partition, START,
            "{\"type\":\"label\",\"id\":\"long names\",\"ts\":%lld,\"confusion\":{%s}}",
            (long long)START, classes);

    assert_close(shop(&bench, "mrr"), 1.0 / 1024, 1e-15);
    assert_int_equal(bench_number(&bench.collector, "SELECT count(*) FROM dead_letter WHERE reason "
                                                    "= 'too_large' AND detail = 'ranking'"),
                     1);
    assert_int_equal(bench_number(&bench.collector, "SELECT count(*) FROM dead_letter WHERE reason "
                                                    "= 'too_large' AND detail = 'label'"),
                     1);
    free(items);
    free(too_many);
    free(classes);
    close_bench(&bench);
}

static void bytes_that_are_no_content_are_refused(void **state)
{
    (void)state;
    _Alignas(8) unsigned char bytes[CONTENT_MAX_BYTES];
    const struct class_confusion classes[] = {{view_of("sky"), 1, 2, 3}};
    const struct event event = {.type = EVENT_LABEL,
                                .class_text = view_of("beside"),
                                .confusion = classes,
                                .n_confusion = 1,
                                .is_confusion = true};
    uint32_t n = 0;
    struct content content;
    assert_int_equal(content_pack(&event, bytes, &n), REJECT_NONE);
    assert_true(content_read((struct view){(char *)bytes, n}, &content));
    const unsigned char *place = content.names;
    assert_true(view_is(content_name(&content, &place), "sky"));
    assert_null(content_name(&content, &place).data);
    assert_true(view_is(content.text, "beside"));
    assert_close(content.pixels[0].fn, 3, 0);

    for (uint32_t cut = 0; cut < n; cut++) {
        bool readable = content_read((struct view){(char *)bytes, cut}, &content);
        place = content.names;
        if (readable && content_name(&content, &place).data)
            assert_true(cut >= n - 6); /* the class beside, and nothing else, may be cut */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ranking_meets_its_relevances),
        cmocka_unit_test(pixels_add_up_by_class),
        cmocka_unit_test(F21_a_content_that_comes_first_waits_for_its_prediction),
        cmocka_unit_test(F23_a_corrected_content_is_taken_out_to_the_last_bit),
        cmocka_unit_test(F14_what_says_nothing_for_the_task_is_a_dead_letter_with_the_reason),
        cmocka_unit_test(lists_beyond_their_limits_are_too_large),
        cmocka_unit_test(bytes_that_are_no_content_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
