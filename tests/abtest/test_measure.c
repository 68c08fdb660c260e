#include "abtest/measure.h"

#include <math.h>
#include <string.h>

#include "abtest/evidence.h"
#include "stats/metric.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const uint64_t shown[] = {1, 2, 3};
static const struct item_relevance third_is_good[] = {{3, 1}};
static const struct class_pixels pixels[] = {{0, 6, 1, 1}, {0, 1, 1, 2}};

static const struct sample list = {
    .items = shown, .n_items = 3, .relevances = third_is_good, .n_relevances = 1};

static struct observation label_of(const struct sample *content)
{
    return (struct observation){.stage = STAGE_LABEL,
                                .score = (double)NAN,
                                .value = (double)NAN,
                                .label_value = (double)NAN,
                                .log_loss = (double)NAN,
                                .brier = (double)NAN,
                                .covariate = (double)NAN,
                                .content = content};
}

static double ratio_of(const char *metric, const struct observation *o)
{
    struct measure measure;
    struct err err = {0};
    double numerator = (double)NAN, denominator = (double)NAN;
    must(measure_resolve(&measure, metric, &err), &err);
    assert_int_equal(measure.kind, MEASURE_RATIO);
    if (!measure_ratio(&measure, o, &numerator, &denominator))
        return (double)NAN;
    return numerator / denominator;
}

static void a_list_brings_what_it_adds_to_the_mean(void **state)
{
    (void)state;
    const struct observation o = label_of(&list);

    assert_close(ratio_of("ndcg_10", &o), 0.5, 1e-15); /* 1 / log2(4) */
    assert_close(ratio_of("ndcg_2", &o), 0, 0);
    assert_close(ratio_of("mrr", &o), 1.0 / 3, 1e-15);
    assert_close(ratio_of("hit_rate_2", &o), 0, 0);
    assert_close(ratio_of("hit_rate_3", &o), 1, 0);
    assert_close(ratio_of("map_10", &o), 1.0 / 3, 1e-15);
    assert_true(isnan(ratio_of("accuracy", &o)));
    assert_true(isnan(ratio_of("brier", &o)));
}

static void a_scene_brings_the_pixels_of_the_class(void **state)
{
    (void)state;
    struct class_pixels classes[2];
    memcpy(classes, pixels, sizeof(classes));
    classes[0].class_id = class_id("road", 4);
    classes[1].class_id = class_id("sky", 3);
    const struct sample scene = {.pixels = classes, .n_pixels = 2};
    const struct observation o = label_of(&scene);

    assert_close(ratio_of("iou{class=\"road\"}", &o), 6.0 / 8, 0);
    assert_close(ratio_of("dice{class=\"road\"}", &o), 12.0 / 14, 0);
    assert_close(ratio_of("iou{class=\"sky\"}", &o), 0.25, 0);
    assert_true(isnan(ratio_of("iou{class=\"car\"}", &o)));
}

static void what_cannot_decide_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"ndcg_101", "ndcg_", "ndcg_k", "ndcg_05",
                                        "reconstruction_error"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct measure measure;
        struct err err = {0};
        char text[64];
        snprintf(text, sizeof(text), "metric %s cannot decide an experiment", names[i]);
        assert_true(measure_resolve(&measure, names[i], &err) < 0);
        assert_ptr_equal(strstr(err.text, text), err.text);
    }
}

static void why_it_cannot_decide_is_told_with_what_can(void **state)
{
    (void)state;
    const struct {
        const char *name, *text;
    } cases[] = {
        {"reconstruction_error", "metric reconstruction_error cannot decide an experiment: it is "
                                 "of the inputs, which both arms draw from the same units"},
        {"f1_macr", "metric f1_macr cannot decide an experiment; did you mean f1_macro?"},
        {"estimated_foo", "metric estimated_foo cannot decide an experiment"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct measure measure;
        struct err err = {0};

        assert_int_equal(measure_resolve(&measure, cases[i].name, &err), ERR_DATA);

        assert_string_equal(err.text, cases[i].text);
    }
}

/* `precision{class=` and `ndcg_k` as a user writes them. */
static void print_whole(char out[80], const char *name)
{
    size_t n = strlen(name);
    bool family = name[n - 1] == '=', counted = n > 2 && strcmp(name + n - 2, "_k") == 0;
    snprintf(out, 80, "%.*s%s", (int)(n - counted), name, family ? "\"x\"}" : counted ? "10" : "");
}

static void every_metric_of_the_collector_but_one_decides(void **state)
{
    (void)state;
    size_t n;
    const struct metric_def *table = metric_table(&n);
    for (size_t i = 0; i < n; i++) {
        struct measure measure;
        struct err err = {0};
        char name[80];
        print_whole(name, table[i].name);

        int rc = measure_resolve(&measure, name, &err);

        if ((rc == 0) == (strcmp(name, "reconstruction_error") == 0))
            fail_msg("%s: %s", name, rc ? err.text : "is no metric of an arm");
    }
}

/* A label that waits for its maturity outlives its content. */
static void contributions_stand_for_a_content_that_is_gone(void **state)
{
    (void)state;
    static const char object[] =
        "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\",\"metrics\":["
        "{\"metric\":\"error_rate\",\"margin_relative\":0.5},"
        "{\"metric\":\"mrr\",\"margin\":0.1},{\"metric\":\"iou{class=\\\"x\\\"}\",\"margin\":1}]}";
    AUTO(experiment) struct experiment *experiment = NULL;
    AUTO(evidence) struct evidence *whole = NULL, *later = NULL;
    struct err err = {0};
    must(experiment_parse_text(&experiment, object, strlen(object), &err), &err);
    must(evidence_new(&whole, experiment, 0, &err), &err);
    must(evidence_new(&later, experiment, 0, &err), &err);
    const struct exposure exposure = {0, ARM_TREATMENT, false, 77, 1000};
    struct observation o = label_of(&list);
    struct contribution contributions[EXPERIMENT_MAX_METRICS];

    must(evidence_observe(whole, &exposure, &o, 1, &err), &err);
    evidence_contributions(later, &o, contributions);
    o.content = NULL;
    o.contributions = contributions;
    must(evidence_observe(later, &exposure, &o, 1, &err), &err);

    assert_close(evidence_ratio(later, 0, 1, ARM_TREATMENT).value, 1.0 / 3, 1e-12);
    assert_close(evidence_ratio(later, 0, 1, ARM_TREATMENT).n, 1, 0);
    assert_close(evidence_ratio(later, 0, 2, ARM_TREATMENT).n, 0, 0);
    struct buf x, y;
    buf_init(&x, 1 << 20);
    buf_init(&y, 1 << 20);
    evidence_save(whole, &x);
    evidence_save(later, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_brings_what_it_adds_to_the_mean),
        cmocka_unit_test(a_scene_brings_the_pixels_of_the_class),
        cmocka_unit_test(what_cannot_decide_is_refused_by_name),
        cmocka_unit_test(why_it_cannot_decide_is_told_with_what_can),
        cmocka_unit_test(every_metric_of_the_collector_but_one_decides),
        cmocka_unit_test(contributions_stand_for_a_content_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
