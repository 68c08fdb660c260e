/* Areas and average precision of an experiment against the collector's, and that they keep no trace
   of what was taken back. */
#include "abtest/areas.h"

#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "stats/metric.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    EVENTS = 4000,
    CLASSES = 3
};

/* Shares of three classes, of which the second is rare; the label's is higher. */
static void draw(struct rng *rng, struct class_score scores[CLASSES], uint64_t *label)
{
    double sum = 0, u = rng_uniform(rng);
    *label = u < 0.1 ? 2 : u < 0.5 ? 1 : 3;
    for (int c = 0; c < CLASSES; c++) {
        bool is = (uint64_t)c + 1 == *label;
        scores[c] = (struct class_score){(uint64_t)c + 1, exp(rng_normal(rng) + (is ? 1 : 0))};
        sum += scores[c].score;
    }
    for (int c = 0; c < CLASSES; c++)
        scores[c].score /= sum;
}

static void add(struct areas *areas, uint64_t unit, const struct class_score scores[CLASSES],
                uint64_t label, int sign)
{
    struct tally_term terms[CLASSES];
    for (int c = 0; c < CLASSES; c++)
        terms[c] =
            (struct tally_term){scores[c].class_id, scores[c].class_id == label, scores[c].score};
    must(areas_room(areas, terms, CLASSES, NULL), NULL);
    areas_add(areas, unit, terms, CLASSES, sign);
}

static double collected(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    must(metric_find(&ref, name, states_setup(states)->task, NULL), NULL);
    metric_result(states, &ref, 60000, &value);
    return value.value;
}

static void the_mean_of_the_areas_is_the_collectors_but_for_the_coarser_bins(void **state)
{
    (void)state;
    const struct metric_setup setup = {.task = TASK_MULTICLASS};
    struct areas *areas = areas_new();
    AUTO(states) struct states *states = NULL;
    struct rng rng = rng_of(11);
    must(states_new(&states, &setup, NULL), NULL);
    for (int i = 0; i < EVENTS; i++) {
        struct class_score scores[CLASSES];
        struct sample sample = {.scores = scores,
                                .n_scores = CLASSES,
                                .score = (double)NAN,
                                .value = (double)NAN,
                                .latency_ms = (double)NAN};
        draw(&rng, scores, &sample.label_class);
        add(areas, rng_u64(&rng), scores, sample.label_class, 1);
        must(states_predict(states, &sample), NULL);
        must(states_label(states, &sample, 1), NULL);
    }

    struct ratio_estimate macro = areas_mean(areas, false), weighted = areas_mean(areas, true);

    assert_close(macro.value, collected(states, "roc_auc_ovr_macro"), 0.003);
    assert_close(weighted.value, collected(states, "roc_auc_ovr_weighted"), 0.003);
    assert_close(macro.n, EVENTS, 0);
    assert_int_equal(macro.buckets, CURVE_BUCKETS);
    assert_true(macro.nonzero > 0.08 * EVENTS && macro.nonzero < 0.12 * EVENTS);
    areas_free(areas);
}

/* The spread of the mean over many draws is what each of them says of itself. */
static void the_variance_is_that_of_repeated_draws(void **state)
{
    (void)state;
    enum {
        DRAWS = 200,
        EACH = 600
    };
    double sum[2] = {0}, squares[2] = {0}, said[2] = {0};
    struct rng rng = rng_of(12);
    for (int d = 0; d < DRAWS; d++) {
        struct areas *areas = areas_new();
        for (int i = 0; i < EACH; i++) {
            struct class_score scores[CLASSES];
            uint64_t label;
            draw(&rng, scores, &label);
            add(areas, rng_u64(&rng), scores, label, 1);
        }
        for (int weighted = 0; weighted < 2; weighted++) {
            struct ratio_estimate e = areas_mean(areas, weighted);
            sum[weighted] += e.value;
            squares[weighted] += e.value * e.value;
            said[weighted] += e.variance / DRAWS;
        }
        areas_free(areas);
    }
    for (int weighted = 0; weighted < 2; weighted++) {
        double mean = sum[weighted] / DRAWS, spread = squares[weighted] / DRAWS - mean * mean;
        assert_true(said[weighted] / spread > 0.75 && said[weighted] / spread < 1.35);
    }
}

static void save_both(const struct areas *a, const struct areas *b, struct buf *x, struct buf *y)
{
    buf_init(x, 1 << 22);
    buf_init(y, 1 << 22);
    areas_save(a, x);
    areas_save(b, y);
}

static void assert_same(const struct areas *a, const struct areas *b)
{
    struct buf x, y;
    save_both(a, b, &x, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

static void order_parts_and_what_is_taken_back_leave_no_trace(void **state)
{
    (void)state;
    struct areas *whole = areas_new(), *left = areas_new(), *right = areas_new();
    struct areas *loaded = areas_new();
    struct rng rng = rng_of(13);
    for (int i = 0; i < 500; i++) {
        struct class_score scores[CLASSES];
        uint64_t label, unit = rng_u64(&rng);
        draw(&rng, scores, &label);
        add(whole, unit, scores, label, 1);
        add(i % 2 ? left : right, unit, scores, label, 1);
    }
    const struct class_score gone[CLASSES] = {{7, 0.5}, {8, 0.2}, {9, 0.3}};
    add(right, 5, gone, 7, 1);
    add(right, 5, gone, 7, -1);
    must(areas_merge(right, left, NULL), NULL);
    struct buf x, y;
    save_both(whole, right, &x, &y);
    struct reader in = reader_of(x.data, x.size);
    struct err err = {0};

    must(areas_load(loaded, &in, &err), &err);

    assert_same(whole, right);
    assert_same(whole, loaded);
    for (size_t n = 0; n < x.size; n += 61) {
        struct areas *cut = areas_new();
        in = reader_of(x.data, n);
        assert_int_equal(areas_load(cut, &in, &err), ERR_CORRUPT);
        areas_free(cut);
    }
    buf_finish(&x);
    buf_finish(&y);
    areas_free(whole);
    areas_free(left);
    areas_free(right);
    areas_free(loaded);
}

static void too_many_classes_are_undefined_in_whatever_order_they_come(void **state)
{
    (void)state;
    struct areas *up = areas_new(), *down = areas_new();
    for (int i = 0; i <= AREAS_MAX_CLASSES; i++) {
        struct tally_term one = {(uint64_t)i + 1, i % 2 == 0, 0.5};
        struct tally_term other = {(uint64_t)(AREAS_MAX_CLASSES - i) + 1, one.part, 0.5};
        must(areas_room(up, &one, 1, NULL), NULL);
        areas_add(up, (uint64_t)i << 32, &one, 1, 1);
        must(areas_room(down, &other, 1, NULL), NULL);
        areas_add(down, (uint64_t)(AREAS_MAX_CLASSES - i) << 32, &other, 1, 1);
    }

    assert_true(isnan(areas_mean(up, false).value));
    assert_same(up, down);
    areas_free(up);
    areas_free(down);
}

static void a_class_without_labels_has_no_plain_mean(void **state)
{
    (void)state;
    struct areas *areas = areas_new();
    struct rng rng = rng_of(14);
    for (int i = 0; i < 300; i++) {
        struct class_score scores[CLASSES];
        uint64_t label;
        draw(&rng, scores, &label);
        add(areas, rng_u64(&rng), scores, label == 2 ? 1 : label, 1);
    }

    assert_true(isnan(areas_mean(areas, false).value));
    assert_true(areas_mean(areas, true).value > 0.5);
    areas_free(areas);
}

static void average_precision_is_the_collectors_but_for_the_coarser_bins(void **state)
{
    (void)state;
    const struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    struct curve *curve = curve_new();
    AUTO(states) struct states *states = NULL;
    struct rng rng = rng_of(15);
    must(states_new(&states, &setup, NULL), NULL);
    for (int i = 0; i < EVENTS; i++) {
        bool positive = rng_uniform(&rng) < 0.2;
        double log_odds = rng_normal(&rng) + (positive ? 1.5 : 0) - 1;
        struct sample sample = {.score = 1 / (1 + exp(-log_odds)),
                                .label_class = positive ? setup.positive : class_id("0", 1),
                                .value = (double)NAN,
                                .latency_ms = (double)NAN};
        must(states_predict(states, &sample), NULL);
        must(states_label(states, &sample, 1), NULL);
        curve_add(curve, rng_u64(&rng), sample.score, positive, 1);
    }

    struct ratio_estimate e = curve_precision(curve);

    assert_close(e.value, collected(states, "pr_auc"), 0.01);
    assert_true(sqrt(e.variance) > 0.005 && sqrt(e.variance) < 0.03);
    curve_free(curve);
}

/* Of twenty positives the plain figure is too high; what is left of it must not favour an arm. */
static void average_precision_of_few_positives_is_freed_of_its_bias(void **state)
{
    (void)state;
    enum {
        DRAWS = 2000
    };
    double few = 0, many = 0;
    struct rng rng = rng_of(16);
    for (int d = 0; d < DRAWS; d++) {
        bool large = d % 40 == 0;
        struct curve *curve = curve_new();
        for (int i = 0; i < (large ? 8000 : 200); i++) {
            bool positive = i % 10 == 0;
            double log_odds = rng_normal(&rng) + (positive ? 1 : 0);
            curve_add(curve, rng_u64(&rng), 1 / (1 + exp(-log_odds)), positive, 1);
        }
        few += large ? 0 : curve_precision(curve).value / (DRAWS - DRAWS / 40);
        many += large ? curve_precision(curve).value / (DRAWS / 40) : 0;
        curve_free(curve);
    }

    assert_close(few, many, 0.018); /* 0.036 with all of the bias */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_of_the_areas_is_the_collectors_but_for_the_coarser_bins),
        cmocka_unit_test(the_variance_is_that_of_repeated_draws),
        cmocka_unit_test(order_parts_and_what_is_taken_back_leave_no_trace),
        cmocka_unit_test(too_many_classes_are_undefined_in_whatever_order_they_come),
        cmocka_unit_test(a_class_without_labels_has_no_plain_mean),
        cmocka_unit_test(average_precision_is_the_collectors_but_for_the_coarser_bins),
        cmocka_unit_test(average_precision_of_few_positives_is_freed_of_its_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
