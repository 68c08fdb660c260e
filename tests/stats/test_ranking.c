#include "stats/metric_ranking.h"

#include <stdlib.h>
#include <string.h>

#include "stats/metric_segmentation.h"
#include "tests/test.h"

static const struct metric_setup setup = {TASK_RANKING, 0, 0, NULL};

/* Shows items 1, 2, 3 …; relevances of them in that order, and of `unseen` items beside. */
static void fold(struct states *states, const double *relevance, uint32_t n, uint32_t unseen,
                 int sign)
{
    uint64_t items[16];
    struct item_relevance relevances[16];
    assert_true(n <= 16);
    for (uint32_t i = 0; i < n; i++) {
        items[i] = i + 1;
        relevances[i] = (struct item_relevance){i + 1, relevance[i]};
    }
    const struct sample sample = {.latency_ms = (double)NAN,
                                  .items = items,
                                  .n_items = n - unseen,
                                  .relevances = relevances,
                                  .n_relevances = n};
    if (sign > 0)
        assert_int_equal(states_predict(states, &sample), 0);
    assert_int_equal(states_label(states, &sample, sign), 0);
}

static struct metric_value value_of(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    if (metric_find(&ref, name, states_setup(states)->task, &err))
        fail_msg("%s", err.text);
    metric_result(states, &ref, MINUTE, &value);
    return value;
}

/* sklearn.metrics.ndcg_score([[3, 0, 2, 0, 1]], [[5, 4, 3, 2, 1]], k=k) and so on, 1.9.1 */
static void ndcg_is_scikit_learns_at_any_k(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, (double[]){3, 0, 2, 0, 1}, 5, 0, 1);
    assert_close(value_of(states, "ndcg_1").value, 1, 0);
    assert_close(value_of(states, "ndcg_3").value, 0.8400079830158564, 1e-15);
    assert_close(value_of(states, "ndcg_5").value, 0.9212478445981338, 1e-15);
    assert_close(value_of(states, "ndcg_100").value, 0.9212478445981338, 1e-15);
    fold(states, (double[]){0, 0, 1, 2, 0}, 5, 0, 1);
    assert_close(value_of(states, "ndcg_1").value, 0.5, 0);
    assert_close(value_of(states, "ndcg_3").value, (0.8400079830158564 + 0.19004688335796716) / 2,
                 1e-15);
    assert_close(value_of(states, "ndcg_10").value, (0.9212478445981338 + 0.5174418337467066) / 2,
                 1e-15);
    assert_string_equal(value_of(states, "ndcg_101").why, "k above 100 is not kept");
}

static void first_hits_and_precisions_are_counted_in_the_head(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, (double[]){1, 0, 1, 0}, 4, 0, 1); /* AP: (1 + 2/3) / 2 */
    fold(states, (double[]){0, 0, 0, 1}, 4, 0, 1); /* AP: 1/4 */
    fold(states, (double[]){0, 0, 0, 1}, 4, 1, 1); /* the relevant item is not shown */
    fold(states, (double[]){0, 0, 0, 0}, 4, 0, 1); /* nothing is relevant */

    assert_close(value_of(states, "mrr").value, (1 + 0.25) / 4, 0);
    assert_close(value_of(states, "hit_rate_3").value, 0.25, 0);
    assert_close(value_of(states, "hit_rate_10").value, 0.5, 0);
    assert_close(value_of(states, "map_10").value, (5.0 / 6 + 0.25) / 4, 1e-15);
    assert_close(value_of(states, "map_1").value, 0.25, 0);
    assert_close(value_of(states, "count").value, 4, 0);

    fold(states, (double[]){1, 0, 1, 0}, 4, 0, -1);
    assert_close(value_of(states, "mrr").value, 0.25 / 3, 1e-16);
    assert_close(value_of(states, "map_10").value, 0.25 / 3, 1e-16);
}

static void a_k_is_a_number_from_one(void **state)
{
    (void)state;
    struct metric_ref ref;
    struct err err = {0};
    assert_int_equal(metric_find(&ref, "ndcg_10", TASK_RANKING, &err), 0);
    assert_int_equal(ref.argument, 10);
    assert_int_not_equal(metric_find(&ref, "ndcg_0", TASK_RANKING, &err), 0);
    assert_int_not_equal(metric_find(&ref, "ndcg_k", TASK_RANKING, &err), 0);
    assert_int_not_equal(metric_find(&ref, "ndcg_1x", TASK_RANKING, &err), 0);
}

static void overlaps_are_summed_before_they_are_divided(void **state)
{
    (void)state;
    const struct metric_setup of_pixels = {TASK_SEGMENTATION, 0, 0, NULL};
    AUTO(states) struct states *states = NULL, *again = NULL;
    assert_int_equal(states_new(&states, &of_pixels, NULL), 0);
    const uint64_t road = class_id("road", 4), sky = class_id("sky", 3);
    const struct class_pixels first[] = {{road, 50, 10, 20}, {sky, 30, 0, 0}};
    const struct class_pixels second[] = {{road, 10, 10, 0}, {class_id("none", 4), 0, 0, 0}};
    struct sample sample = {.latency_ms = (double)NAN, .pixels = first, .n_pixels = 2};
    assert_int_equal(states_predict(states, &sample), 0);
    assert_int_equal(states_label(states, &sample, 1), 0);
    sample.pixels = second;
    assert_int_equal(states_predict(states, &sample), 0);
    assert_int_equal(states_label(states, &sample, 1), 0);

    assert_close(value_of(states, "iou{class=\"road\"}").value, 0.6, 0);
    assert_close(value_of(states, "dice{class=\"road\"}").value, 0.75, 0);
    assert_close(value_of(states, "mean_iou").value, 0.8, 1e-15);
    assert_close(value_of(states, "dice").value, (0.75 + 1) / 2, 1e-15);
    assert_string_equal(value_of(states, "iou{class=\"none\"}").why, "no pixels of this class");

    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    states_save(states, &bytes);
    assert_int_equal(states_load(&again, &of_pixels, bytes.data, bytes.size, NULL), 0);
    assert_close(value_of(again, "mean_iou").value, 0.8, 1e-15);
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ndcg_is_scikit_learns_at_any_k),
        cmocka_unit_test(first_hits_and_precisions_are_counted_in_the_head),
        cmocka_unit_test(a_k_is_a_number_from_one),
        cmocka_unit_test(overlaps_are_summed_before_they_are_divided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
