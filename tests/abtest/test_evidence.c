#include "abtest/evidence.h"

#include <math.h>
#include <string.h>

#include "abtest/units.h"
#include "common/rng.h"
#include "tests/test.h"

static const char object[] =
    "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\",\"metrics\":["
    "{\"metric\":\"error_rate\",\"margin_relative\":0.5},"
    "{\"metric\":\"latency_p99\",\"margin_relative\":0.1,\"hard_limit\":90},"
    "{\"metric\":\"outcome_mean{name=\\\"revenue\\\"}\",\"margin\":1,\"covariate\":\"age\"},"
    "{\"metric\":\"roc_auc\",\"margin\":0.1}]}";

static struct experiment *experiment_of(const char *text)
{
    struct experiment *e = NULL;
    struct err err;
    if (experiment_parse_text(&e, text, strlen(text), &err) != 0)
        fail_msg("%s", err.text);
    return e;
}

static struct evidence *evidence_of(const struct experiment *e, int64_t limit)
{
    struct evidence *evidence = NULL;
    assert_int_equal(evidence_new(&evidence, e, limit, NULL), 0);
    evidence_set_threshold(evidence, 0, 1, 80, 0);
    return evidence;
}

static struct observation prediction(bool failed, double latency_ms)
{
    return (struct observation){.stage = STAGE_PREDICTION,
                                .failed = failed,
                                .latency_ms = latency_ms,
                                .score = (double)NAN,
                                .value = (double)NAN,
                                .covariate = (double)NAN};
}

static void see(struct evidence *e, int step, enum arm_served arm, uint64_t unit, bool failed)
{
    struct exposure x = {step, arm, false, unit, 1000};
    struct observation o = prediction(failed, 50);
    assert_int_equal(evidence_observe(e, &x, &o, 1, NULL), 0);
}

static void a_unit_fails_once_in_the_whole_experiment(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *e = evidence_of(x, 0);
    see(e, 0, ARM_CONTROL, 77, false);
    see(e, 0, ARM_CONTROL, 77, true);
    see(e, 0, ARM_CONTROL, 77, true);
    see(e, 1, ARM_TREATMENT, 77, true);
    see(e, 1, ARM_TREATMENT, 78, true);
    struct rate_counts first = evidence_rate(e, 0, 0, SIDE_HARM);
    struct rate_counts second = evidence_rate(e, 1, 0, SIDE_HARM);

    assert_int_equal(first.failures.control, 1);
    assert_int_equal(first.trials_control, 1);
    assert_int_equal(second.failures.treatment, 1); /* only 78 */
    assert_int_equal(second.trials_treatment, 1);   /* 77 had failed before */
    assert_int_equal(evidence_arm(e, 1, ARM_TREATMENT).units, 2);
    assert_int_equal(evidence_arm(e, 1, ARM_TREATMENT).new_units, 1);
    assert_int_equal(evidence_arm(e, 0, ARM_CONTROL).events, 3);
}

/* A little of everything, event i always the same. */
static void feed(struct evidence *e, int i, int sign)
{
    struct rng rng = rng_of((uint64_t)i);
    struct rng name = rng_of(rng_u64(&rng) % 400);
    uint64_t unit = rng_u64(&name);
    struct exposure x = {(int)(unit % 2), unit % 3 ? ARM_CONTROL : ARM_TREATMENT, false, unit,
                         1000 + i};
    struct observation o = prediction(rng_uniform(&rng) < 0.1, 60 + 40 * rng_uniform(&rng));
    double value = 100 * rng_uniform(&rng);
    o.covariate = value * 0.7; /* the prediction tells it, the outcome does not */
    evidence_observe(e, &x, &o, sign, NULL);
    o.stage = STAGE_OUTCOME;
    o.name = "revenue";
    o.named_value = value;
    o.covariate = (double)NAN;
    evidence_observe(e, &x, &o, sign, NULL);
    o.stage = STAGE_LABEL;
    o.failed = false;
    o.score = rng_uniform(&rng);
    o.positive = rng_uniform(&rng) < o.score;
    evidence_observe(e, &x, &o, sign, NULL);
}

static void assert_same_bytes(const struct evidence *a, const struct evidence *b)
{
    struct buf x, y;
    buf_init(&x, 64 << 20);
    buf_init(&y, 64 << 20);
    evidence_save(a, &x);
    evidence_save(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

static void order_and_loading_do_not_change_a_bit(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *up = evidence_of(x, 0), *down = evidence_of(x, 0);
    AUTO(evidence) struct evidence *loaded = NULL;
    for (int i = 0; i < 2000; i++) {
        feed(up, i, 1);
        feed(down, 1999 - i, 1);
    }
    struct buf bytes;
    buf_init(&bytes, 64 << 20);
    evidence_save(up, &bytes);
    assert_int_equal(evidence_load(&loaded, x, bytes.data, bytes.size, NULL), 0);

    assert_same_bytes(up, down);
    assert_same_bytes(up, loaded);
    buf_finish(&bytes);
}

/* --- quantiles, and what counts by unit --- */

static const char quantiles[] =
    "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\",\"metrics\":["
    "{\"metric\":\"confidence_p10\",\"direction\":\"higher\",\"margin\":0.1,\"hard_limit\":0.3},"
    "{\"metric\":\"median_absolute_error\",\"margin_relative\":0.5,\"harm_margin_relative\":0.25},"
    "{\"metric\":\"outcome_rate_per_unit{name=\\\"revenue\\\"}\",\"margin\":1}]}";

static struct evidence *evidence_of_quantiles(const struct experiment *x, int64_t units)
{
    struct evidence *e = NULL;
    assert_int_equal(evidence_new(&e, x, units, NULL), 0);
    evidence_set_threshold(e, 0, 0, 0.6, 1000);
    return e;
}

static void tell(struct evidence *e, enum arm_served arm, int64_t ts_ms, double confidence)
{
    struct exposure x = {0, arm, false, (uint64_t)ts_ms << 32 | 1, ts_ms};
    struct observation o = prediction(false, 5);
    o.confidence = confidence;
    assert_int_equal(evidence_observe(e, &x, &o, 1, NULL), 0);
}

static void a_value_counts_against_the_quantile_moved_by_the_margin_in_question(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(quantiles);
    AUTO(evidence) struct evidence *e = evidence_of_quantiles(x, 0);
    const double values[] = {0.25, 0.45, 0.55, 0.7};
    for (int arm = 0; arm < N_ARMS; arm++)
        for (int i = 0; i < 4; i++)
            tell(e, (enum arm_served)arm, 2000 + 10 * i + arm, values[i]);
    tell(e, ARM_TREATMENT, 900, 0.1); /* of before the quantile was known */

    assert_close(evidence_tail(e, 0, 0, ARM_CONTROL, SIDE_HARM).value, 3.0 / 4, 1e-12);
    assert_close(evidence_tail(e, 0, 0, ARM_CONTROL, SIDE_SAFE).value, 3.0 / 4, 1e-12);
    assert_close(evidence_tail(e, 0, 0, ARM_TREATMENT, SIDE_HARM).value, 3.0 / 4, 1e-12);
    assert_close(evidence_tail(e, 0, 0, ARM_TREATMENT, SIDE_SAFE).value, 2.0 / 4, 1e-12);
    assert_close(evidence_tail(e, 0, 0, ARM_TREATMENT, SIDE_NONE).value, 3.0 / 4, 1e-12);
    assert_close(evidence_tail(e, 0, 0, ARM_TREATMENT, SIDE_NONE).n, 4, 0);
    assert_close(evidence_beyond_limit(e, 0, 0, ARM_TREATMENT).value, 2.0 / 5, 1e-12);
}

static void judge(struct evidence *e, int64_t ts_ms, double error, int sign)
{
    struct exposure x = {0, ARM_TREATMENT, false, (uint64_t)ts_ms << 32 | 1, ts_ms};
    struct observation o = prediction(false, 5);
    o.stage = STAGE_LABEL;
    o.value = 10;
    o.label_value = 10 + error;
    assert_int_equal(evidence_observe(e, &x, &o, sign, NULL), 0);
}

/* A label that came before the quantile was known is corrected after it. */
static void a_label_that_is_corrected_leaves_no_trace_in_a_quantile(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(quantiles);
    AUTO(evidence) struct evidence *e = evidence_of_quantiles(x, 0);
    AUTO(evidence) struct evidence *clean = evidence_of_quantiles(x, 0), *loaded = NULL;
    judge(e, 1500, -3, 1);
    evidence_set_threshold(e, 0, 1, 2, 2000);
    evidence_set_threshold(clean, 0, 1, 2, 2000);
    judge(e, 1500, -3, -1);
    judge(e, 1500, -1, 1);
    judge(e, 2500, -3, 1);
    judge(e, 2500, -3, -1);
    judge(e, 2500, 2.75, 1);
    judge(clean, 2500, 2.75, 1);
    struct buf bytes;
    buf_init(&bytes, 64 << 20);
    evidence_save(e, &bytes);
    assert_int_equal(evidence_load(&loaded, x, bytes.data, bytes.size, NULL), 0);

    assert_same_bytes(e, clean);
    assert_same_bytes(e, loaded);
    assert_close(evidence_tail(e, 0, 1, ARM_TREATMENT, SIDE_HARM).value, 1, 0); /* beyond 2.5 */
    assert_close(evidence_tail(e, 0, 1, ARM_TREATMENT, SIDE_SAFE).value, 0, 0); /* within 3 */
    buf_finish(&bytes);
}

static void revenue(struct evidence *e, uint64_t unit, double value, int sign)
{
    struct exposure x = {0, ARM_CONTROL, false, unit, 5000};
    struct observation o = prediction(false, 5);
    o.stage = STAGE_OUTCOME;
    o.name = "revenue";
    o.named_value = value;
    assert_int_equal(evidence_observe(e, &x, &o, sign, NULL), 0);
}

static void outcomes_by_unit_have_different_units_below_them(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(quantiles);
    AUTO(evidence) struct evidence *e = evidence_of_quantiles(x, 0);
    for (uint64_t i = 0; i < 12; i++)
        see(e, 0, ARM_CONTROL, (1 + i % 4) << 32, false);
    revenue(e, UINT64_C(1) << 32, 5, 1);
    revenue(e, UINT64_C(1) << 32, 6, 1);
    revenue(e, UINT64_C(2) << 32, 7, 1);
    revenue(e, UINT64_C(2) << 32, 7, -1);
    revenue(e, UINT64_C(3) << 32, 0, 1);

    struct ratio_estimate rate = evidence_ratio(e, 0, 2, ARM_CONTROL);

    assert_close(rate.value, 2.0 / 4, 1e-12);
    assert_close(rate.n, 4, 0);
    assert_true(evidence_complete(e, 2));
}

static void outcomes_by_unit_are_not_known_once_units_are_sampled(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(quantiles);
    AUTO(evidence) struct evidence *e = evidence_of_quantiles(x, 1000);
    struct rng rng = rng_of(8);
    for (int i = 0; i < 3000; i++)
        see(e, 0, ARM_CONTROL, rng_u64(&rng), false);

    assert_true(evidence_sampling(e) < 1);
    assert_false(evidence_complete(e, 2));
    assert_true(evidence_complete(e, 0));
}

/* What a commit writes: the counts whole, the units as a segment of what is new. */
static void segments_of_units_make_the_same_evidence(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *live = evidence_of(x, 1500), *again = NULL;
    struct buf segments[40], counts;
    size_t written[40];
    for (int i = 0; i < 40; i++) {
        bool whole = i == 20;
        buf_init(&segments[i], 1 << 20);
        for (int k = 0; k < 50; k++) { /* some come again, and fail only then */
            int n = i * 50 + k - (k % 7 == 0 && i > 0 ? 30 : 0);
            struct rng name = rng_of((uint64_t)n + 1);
            see(live, i / 20, n % 3 ? ARM_CONTROL : ARM_TREATMENT, rng_u64(&name), n % 5 == i % 5);
        }
        written[i] = evidence_save_units(live, &whole, &segments[i]);
        if (whole) /* asked for at 20; later the sample shrinks by itself */
            for (int before = 0; before < i; before++)
                buf_clear(&segments[before]);
    }
    assert_in_range(written[1], 43, 50);
    assert_true(written[20] > 500);
    assert_true(evidence_sampling(live) < 1);
    buf_init(&counts, 1 << 20);
    evidence_save_counts(live, &counts);

    assert_int_equal(evidence_load(&again, x, counts.data, counts.size, NULL), 0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(evidence_load_units(again, segments[i].data, segments[i].size, NULL), 0);
        buf_finish(&segments[i]);
    }

    assert_same_bytes(live, again);
    struct err err;
    assert_int_equal(evidence_load_units(again, counts.data, 5, &err), ERR_CORRUPT);
    assert_string_equal(err.text, "evidence: a segment of units is damaged");
    buf_finish(&counts);
}

static void parts_split_by_unit_merge_to_the_whole(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *whole = evidence_of(x, 0), *left = evidence_of(x, 0);
    AUTO(evidence) struct evidence *right = evidence_of(x, 0);
    struct err err;
    for (int i = 0; i < 2000; i++) {
        struct rng rng = rng_of((uint64_t)i);
        feed(whole, i, 1);
        feed(rng_u64(&rng) % 400 < 170 ? left : right, i, 1);
    }
    evidence_tell(whole, 0, ARM_TREATMENT, 7);
    evidence_tell(right, 0, ARM_TREATMENT, 7); /* one part was told it */
    assert_int_equal(evidence_merge(left, right, NULL), 0);

    assert_same_bytes(whole, left);
    assert_int_equal(evidence_merge(left, right, &err), ERR_DATA);
    assert_memory_equal(err.text, "evidence: both parts saw unit ", 30);
}

static void a_corrected_label_and_outcome_leave_no_trace(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *e = evidence_of(x, 0), *clean = evidence_of(x, 0);
    struct exposure exposure = {0, ARM_CONTROL, false, 99, 5};
    struct observation o = prediction(false, 10);
    evidence_observe(e, &exposure, &o, 1, NULL);
    evidence_observe(clean, &exposure, &o, 1, NULL);
    o.stage = STAGE_OUTCOME;
    o.name = "revenue";
    o.named_value = 0.1 + 0.2;
    o.covariate = 1.0 / 3;
    evidence_observe(e, &exposure, &o, 1, NULL);
    evidence_observe(e, &exposure, &o, -1, NULL);
    o.stage = STAGE_LABEL;
    o.score = 0.3;
    evidence_observe(e, &exposure, &o, 1, NULL);
    evidence_observe(e, &exposure, &o, -1, NULL);

    assert_same_bytes(e, clean);
}

static void many_events_of_one_unit_do_not_feign_certainty(void **state)
{
    (void)state;
    struct sums *spread = sums_new(), *sticky = sums_new();
    struct rng rng = rng_of(3);
    for (int unit = 0; unit < 2000; unit++) {
        double mine = rng_uniform(&rng);
        struct term term = {mine, 1, 0};
        sums_add(spread, rng_u64(&rng), &term, 1);
        uint64_t hash = rng_u64(&rng);
        for (int k = 0; k < 20; k++)
            sums_add(sticky, hash, &term, 1);
    }
    struct ratio_estimate one = sums_estimate(spread, 0), twenty = sums_estimate(sticky, 0);

    assert_close(one.value, twenty.value, 1e-9);
    assert_close(one.variance, 1.0 / 12 / 2000, 5e-6);
    assert_close(twenty.variance / one.variance, 1, 0.15); /* not 1/20 */
    assert_close(twenty.n, 40000, 0);
    sums_free(spread);
    sums_free(sticky);
}

static void a_covariate_takes_its_part_of_the_variance(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *e = evidence_of(x, 0);
    for (int i = 0; i < 2000; i++)
        feed(e, i, 1);
    double theta = evidence_theta(e, 0, 2);

    assert_close(theta, 1 / 0.7, 1e-6);
    assert_true(evidence_ratio(e, 0, 2, ARM_CONTROL).variance > 0.1);
    assert_close(evidence_adjusted(e, 0, 2, ARM_CONTROL, theta).variance, 0, 1e-9);
}

static void beyond_its_limit_the_set_samples_units_by_hash(void **state)
{
    (void)state;
    struct units units;
    struct rng rng = rng_of(11);
    units_init(&units, 1024);
    int kept = 0;
    for (int i = 0; i < 10000; i++)
        kept += units_take(&units, rng_u64(&rng) | 1) != NULL;

    assert_true(units.n <= 1024);
    assert_int_equal(units.level, 4); /* one in 16: 625 of 10,000 */
    assert_in_range(units.n, 500, 760);
    struct unit *sorted = units_sorted(&units);
    for (size_t i = 0; i < units.n; i++)
        assert_true(units_sampled(&units, sorted[i].hash));
    free(sorted);
    units_finish(&units);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *x = experiment_of(object);
    AUTO(evidence) struct evidence *e = evidence_of(x, 0);
    for (int i = 0; i < 300; i++)
        feed(e, i, 1);
    struct buf bytes;
    buf_init(&bytes, 64 << 20);
    evidence_save(e, &bytes);
    for (size_t n = 0; n < bytes.size; n += 1 + bytes.size / 500) {
        struct evidence *out = NULL;
        assert_true(evidence_load(&out, x, bytes.data, n, NULL) < 0);
        assert_null(out);
    }
    struct err err;
    struct evidence *out = NULL;
    bytes.data[0] = 99;
    assert_int_equal(evidence_load(&out, x, bytes.data, bytes.size, &err), ERR_NEWER);
    assert_string_equal(err.text, "evidence of e: format 99 is of a newer version");
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_fails_once_in_the_whole_experiment),
        cmocka_unit_test(order_and_loading_do_not_change_a_bit),
        cmocka_unit_test(a_value_counts_against_the_quantile_moved_by_the_margin_in_question),
        cmocka_unit_test(a_label_that_is_corrected_leaves_no_trace_in_a_quantile),
        cmocka_unit_test(outcomes_by_unit_have_different_units_below_them),
        cmocka_unit_test(outcomes_by_unit_are_not_known_once_units_are_sampled),
        cmocka_unit_test(segments_of_units_make_the_same_evidence),
        cmocka_unit_test(parts_split_by_unit_merge_to_the_whole),
        cmocka_unit_test(a_corrected_label_and_outcome_leave_no_trace),
        cmocka_unit_test(many_events_of_one_unit_do_not_feign_certainty),
        cmocka_unit_test(a_covariate_takes_its_part_of_the_variance),
        cmocka_unit_test(beyond_its_limit_the_set_samples_units_by_hash),
        cmocka_unit_test(damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
