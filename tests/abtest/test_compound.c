/* What an experiment reads of its tallies is what the collector's metrics say of the same events.
 */
#include "abtest/compound.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abtest/evidence.h"
#include "abtest/observation.h"
#include "common/rng.h"
#include "stats/metric.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    EVENTS = 3000,
    CLASSES = 4
};

struct both {
    struct experiment *experiment;
    struct evidence *evidence;
    struct states *states;
    struct metric_setup setup;
};

static struct both open_both(enum task task, const char *metrics)
{
    struct both b = {.setup = {.task = task, .positive = class_id("1", 1), .threshold = 0.5}};
    struct err err = {0};
    char object[2048];
    snprintf(object, sizeof(object),
             "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"noninferiority\":\"lenient\",\"metrics\":[%s]}",
             metrics);
    must(experiment_parse_text(&b.experiment, object, strlen(object), &err), &err);
    must(evidence_new(&b.evidence, b.experiment, 0, &err), &err);
    must(states_new(&b.states, &b.setup, &err), &err);
    return b;
}

static void close_both(struct both *b)
{
    states_free(b->states);
    evidence_free(b->evidence);
    experiment_free(b->experiment);
}

static void see(struct both *b, uint64_t unit, const struct sample *sample, int sign)
{
    const struct exposure x = {0, ARM_TREATMENT, false, unit, 1000};
    struct observation o = observation_nothing();
    if (sign > 0)
        states_predict(b->states, sample);
    states_label(b->states, sample, sign);
    assert_true(observation_of_label(&o, &b->setup, sample));
    assert_int_equal(evidence_observe(b->evidence, &x, &o, sign, NULL), 0);
}

static struct ratio_estimate measured(const struct both *b, int metric)
{
    struct measure measure;
    must(measure_of(&measure, &b->experiment->metrics[metric], NULL), NULL);
    return measure.kind == MEASURE_TALLY
               ? evidence_tally(b->evidence, 0, metric, ARM_TREATMENT, SIDE_NONE)
               : evidence_ratio(b->evidence, 0, metric, ARM_TREATMENT);
}

static double collected(const struct both *b, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    must(metric_find(&ref, name, b->setup.task, &err), &err);
    metric_result(b->states, &ref, 60000, &value);
    return value.value;
}

static void assert_all_agree(const struct both *b)
{
    for (int i = 0; i < b->experiment->n_metrics; i++) {
        const char *name = b->experiment->metrics[i].metric;
        double wanted = collected(b, name), got = measured(b, i).value;
        if (!(fabs(got - wanted) < 1e-9))
            fail_msg("%s is %.12g, the collector says %.12g", name, got, wanted);
    }
}

static void see_multiclass(struct both *b, struct rng *rng, int sign)
{
    struct class_score scores[CLASSES];
    uint64_t unit = rng_u64(rng);
    double sum = 0;
    for (int c = 0; c < CLASSES; c++) {
        char name[2] = {(char)('a' + c), 0};
        scores[c] = (struct class_score){class_id(name, 1), 0.05 + rng_uniform(rng)};
        sum += scores[c].score;
    }
    for (int c = 0; c < CLASSES; c++)
        scores[c].score /= sum;
    for (int i = 0; i < CLASSES; i++) /* by id */
        for (int j = i + 1; j < CLASSES; j++)
            if (scores[j].class_id < scores[i].class_id) {
                struct class_score other = scores[i];
                scores[i] = scores[j];
                scores[j] = other;
            }
    struct sample sample = {.score = (double)NAN,
                            .value = (double)NAN,
                            .latency_ms = (double)NAN,
                            .label_value = (double)NAN,
                            .scores = scores,
                            .n_scores = CLASSES};
    int top = 0;
    for (int c = 1; c < CLASSES; c++)
        top = scores[c].score > scores[top].score ? c : top;
    sample.predicted = rng_uniform(rng) < 0.5 ? scores[top].class_id : 0;
    sample.label_class =
        scores[rng_uniform(rng) < 0.6 ? top : (int)rng_below(rng, CLASSES)].class_id;
    see(b, unit, &sample, sign);
}

static void metrics_of_many_classes_are_the_collectors(void **state)
{
    (void)state;
    struct both b = open_both(
        TASK_MULTICLASS,
        "{\"metric\":\"precision_macro\"},{\"metric\":\"precision_weighted\"},"
        "{\"metric\":\"recall_macro\"},{\"metric\":\"f1_macro\"},{\"metric\":\"f1_weighted\"},"
        "{\"metric\":\"balanced_accuracy\"},{\"metric\":\"cohen_kappa\"},{\"metric\":\"mcc\"},"
        "{\"metric\":\"accuracy\"},{\"metric\":\"top_3_accuracy\"}"
        ","
        "{\"metric\":\"brier\"},{\"metric\":\"log_loss\"},{\"metric\":\"precision{class=\\\"a\\\"}"
        "\"},"
        "{\"metric\":\"ece\"},{\"metric\":\"recall{class=\\\"b\\\"}\"},{\"metric\":\"f1{class="
        "\\\"c\\\"}\"}");
    struct rng rng = rng_of(5);
    for (int i = 0; i < EVENTS; i++)
        see_multiclass(&b, &rng, 1);
    struct rng again = rng_of(5);
    for (int i = 0; i < 100; i++) /* corrected away: leaves no trace in either */
        see_multiclass(&b, &again, -1);

    assert_all_agree(&b);
    close_both(&b);
}

static void metrics_of_two_classes_are_the_collectors(void **state)
{
    (void)state;
    struct both b = open_both(TASK_BINARY, "{\"metric\":\"balanced_accuracy\"},"
                                           "{\"metric\":\"cohen_kappa\"},{\"metric\":\"mcc\"},"
                                           "{\"metric\":\"brier\"},{\"metric\":\"log_loss\"},"
                                           "{\"metric\":\"f1\"},{\"metric\":\"ece\"}");
    struct rng rng = rng_of(6);
    for (int i = 0; i < EVENTS; i++) {
        struct sample sample = {.score = rng_uniform(&rng),
                                .value = (double)NAN,
                                .latency_ms = (double)NAN,
                                .label_value = (double)NAN};
        bool positive = rng_uniform(&rng) < sample.score;
        sample.label_class = positive ? b.setup.positive : class_id("0", 1);
        see(&b, rng_u64(&rng), &sample, 1);
    }

    assert_all_agree(&b);
    close_both(&b);
}

static void r2_is_the_collectors(void **state)
{
    (void)state;
    struct both b = open_both(TASK_REGRESSION, "{\"metric\":\"r2\"},{\"metric\":\"mse\"}");
    struct rng rng = rng_of(7);
    for (int i = 0; i < EVENTS; i++) {
        struct sample sample = {.score = (double)NAN, .latency_ms = (double)NAN};
        sample.value = 3 * rng_normal(&rng);
        sample.label_value = sample.value + rng_normal(&rng);
        see(&b, rng_u64(&rng), &sample, 1);
    }

    assert_all_agree(&b);
    assert_close(measured(&b, 0).value, 0.9, 0.02);
    close_both(&b);
}

static void overlaps_of_scenes_are_the_collectors(void **state)
{
    (void)state;
    struct both b = open_both(TASK_SEGMENTATION, "{\"metric\":\"mean_iou\"},{\"metric\":\"dice\"}");
    struct rng rng = rng_of(8);
    for (int i = 0; i < 500; i++) {
        struct class_pixels pixels[3];
        uint64_t unit = rng_u64(&rng);
        for (int c = 0; c < 3; c++)
            pixels[c] =
                (struct class_pixels){(uint64_t)c + 1, (double)rng_below(&rng, 900),
                                      (double)rng_below(&rng, 90), (double)rng_below(&rng, 50)};
        struct sample sample = {.score = (double)NAN,
                                .value = (double)NAN,
                                .latency_ms = (double)NAN,
                                .pixels = pixels,
                                .n_pixels = 3};
        see(&b, unit, &sample, 1);
    }

    assert_all_agree(&b);
    close_both(&b);
}

/* 100 tp - 20 fp of a labelled prediction: 0.5 · 100 - 0.25 · 20. */
static void a_formula_takes_counts_by_prediction(void **state)
{
    (void)state;
    struct both b =
        open_both(TASK_BINARY,
                  "{\"metric\":\"net_value\",\"expr\":\"100*tp - 20*fp\",\"direction\":\"higher\"},"
                  "{\"metric\":\"acc\",\"expr\":\"accuracy\",\"direction\":\"higher\"},"
                  "{\"metric\":\"accuracy\"}");
    for (int i = 0; i < 4000; i++) {
        bool positive = i % 4 < 2, said = i % 4 < 3;
        struct sample sample = {.score = said ? 0.9 : 0.1,
                                .value = (double)NAN,
                                .latency_ms = (double)NAN,
                                .label_value = (double)NAN,
                                .label_class = positive ? b.setup.positive : class_id("0", 1)};
        see(&b, (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15), &sample, 1);
    }

    assert_close(measured(&b, 0).value, 45, 1e-9);
    assert_close(measured(&b, 1).value, measured(&b, 2).value, 1e-12);
    close_both(&b);
}

/* For a ratio of sums the jackknife is the delta method's variance, over other buckets. */
static void the_jackknife_agrees_with_the_delta_method(void **state)
{
    (void)state;
    struct both b =
        open_both(TASK_BINARY, "{\"metric\":\"acc\",\"expr\":\"accuracy\",\"direction\":"
                               "\"higher\"},{\"metric\":\"accuracy\"}");
    struct rng rng = rng_of(9);
    for (int i = 0; i < 20000; i++) {
        struct sample sample = {.score = rng_uniform(&rng),
                                .value = (double)NAN,
                                .latency_ms = (double)NAN,
                                .label_value = (double)NAN};
        sample.label_class = rng_uniform(&rng) < sample.score ? b.setup.positive : class_id("0", 1);
        see(&b, rng_u64(&rng), &sample, 1);
    }
    struct ratio_estimate jackknife = measured(&b, 0), delta = measured(&b, 1);

    assert_close(jackknife.variance / delta.variance, 1, 0.25); /* 256 buckets: ± 9 % */
    assert_close(delta.variance, 0.75 * 0.25 / 20000, 0.2 * 0.75 * 0.25 / 20000);
    close_both(&b);
}

static void a_tally_keeps_its_bits_over_saving_and_merging(void **state)
{
    (void)state;
    struct tally *whole = tally_new(), *left = tally_new(), *right = tally_new(), *loaded = NULL;
    struct rng rng = rng_of(3);
    struct err err = {0};
    for (int i = 0; i < 2000; i++) {
        struct tally_term terms[2] = {{rng_below(&rng, 5), 0, 1}, {rng_below(&rng, 5), 1, 0.3}};
        uint64_t unit = rng_u64(&rng);
        struct tally *part = i % 2 ? left : right;
        must(tally_room(whole, terms, 2, &err), &err);
        must(tally_room(part, terms, 2, &err), &err);
        tally_add(whole, unit, terms, 2, 1);
        tally_add(part, unit, terms, 2, 1);
    }
    struct buf x, y;
    buf_init(&x, 1 << 20);
    buf_init(&y, 1 << 20);

    must(tally_merge(left, right, &err), &err);
    tally_save(whole, &x);
    tally_save(left, &y);

    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    for (size_t n = 0; n < x.size; n += 97) {
        struct reader in = reader_of(x.data, n);
        loaded = tally_new();
        assert_int_equal(tally_load(loaded, &in, &err), ERR_CORRUPT);
        tally_free(loaded);
    }
    buf_finish(&x);
    buf_finish(&y);
    tally_free(whole);
    tally_free(left);
    tally_free(right);
}

/* 65 classes of three columns each do not fit: unknown, not wrong. */
static void too_many_classes_are_undefined(void **state)
{
    (void)state;
    struct both b = open_both(TASK_MULTICLASS, "{\"metric\":\"f1_macro\"}");
    for (uint64_t i = 0; i < 650; i++) {
        struct sample sample = {.score = (double)NAN,
                                .value = (double)NAN,
                                .latency_ms = (double)NAN,
                                .label_value = (double)NAN,
                                .predicted = 1 + i % 65,
                                .label_class = 1 + i % 65};
        see(&b, i << 33, &sample, 1);
    }

    assert_true(isnan(measured(&b, 0).value));
    close_both(&b);
}

static void formulas_that_say_nothing_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *metric, *text;
    } cases[] = {
        {"{\"metric\":\"x\",\"expr\":\"tp +\",\"direction\":\"higher\"}",
         "metrics[0].expr: column 5"},
        {"{\"metric\":\"x\",\"expr\":\"1 + 2\",\"direction\":\"higher\"}",
         "metrics[0].expr: \"1 + 2\" has no metric in it"},
        {"{\"metric\":\"x\",\"expr\":\"latency_p99 / 2\",\"direction\":\"higher\"}",
         "metric latency_p99 cannot stand in a formula of an experiment: it is no ratio of sums"},
        {"{\"metric\":\"x\",\"expr\":\"tp\"}",
         "metrics[0].direction: is missing; a formula does not say whether higher or lower is "
         "better"},
        {"{\"metric\":\"f1\",\"expr\":\"tp\",\"direction\":\"higher\"}",
         "metrics[0].expr: f1 is a metric of its own; give the formula another name"},
        {"{\"metric\":\"rmse\",\"covariate\":\"age\"}",
         "metrics[0].covariate: rmse takes none; means and shares of units do"},
        {"{\"metric\":\"estimated_accuracy\",\"role\":\"primary\"}",
         "metrics[0]: estimated_accuracy is estimated without labels: it may hold a rollout, never "
         "promote it; make it a guardrail or a monitor"},
        {"{\"metric\":\"estimated_accuracy\"}",
         "metrics[0]: estimated_accuracy needs margin, margin_relative or hard_limit"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct experiment *e = NULL;
        struct err err = {0};
        char object[1024];
        snprintf(object, sizeof(object),
                 "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
                 "\"noninferiority\":\"lenient\",\"metrics\":[%s]}",
                 cases[i].metric);

        assert_int_equal(experiment_parse_text(&e, object, strlen(object), &err), ERR_DATA);

        if (!strstr(err.text, cases[i].text))
            fail_msg("said: %s", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_of_many_classes_are_the_collectors),
        cmocka_unit_test(metrics_of_two_classes_are_the_collectors),
        cmocka_unit_test(r2_is_the_collectors),
        cmocka_unit_test(overlaps_of_scenes_are_the_collectors),
        cmocka_unit_test(a_formula_takes_counts_by_prediction),
        cmocka_unit_test(the_jackknife_agrees_with_the_delta_method),
        cmocka_unit_test(a_tally_keeps_its_bits_over_saving_and_merging),
        cmocka_unit_test(too_many_classes_are_undefined),
        cmocka_unit_test(formulas_that_say_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
