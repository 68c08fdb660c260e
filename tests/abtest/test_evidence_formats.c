/*
 * Evidence that older versions saved is read: a running experiment survives an update, and an audit
 * row of years ago can still be computed again.
 *
 * golden/evidence_N.bin was written by the last version that wrote format N, of the events below.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/evidence.h"
#include "common/rng.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    EVENTS = 24,
    STEPS = 2,
    METRICS = 4
};

static const char object[] =
    "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
    "\"steps\":[{\"weight\":20},{\"weight\":50}],\"metrics\":["
    "{\"metric\":\"error_rate\",\"margin_relative\":0.5},"
    "{\"metric\":\"latency_p99\",\"margin_relative\":0.1,\"hard_limit\":90},"
    "{\"metric\":\"outcome_mean{name=\\\"revenue\\\"}\",\"margin\":1},"
    "{\"metric\":\"roc_auc\",\"margin\":0.1}]}";

static void see(struct evidence *e, int i)
{
    struct rng rng = rng_of((uint64_t)i + 1);
    struct exposure x = {i % STEPS, i % 3 ? ARM_CONTROL : ARM_TREATMENT, false, rng_u64(&rng),
                         1000 + i};
    struct observation o = {.stage = STAGE_PREDICTION,
                            .failed = i % 5 == 0,
                            .latency_ms = 60 + 3 * i,
                            .score = (double)NAN,
                            .value = (double)NAN,
                            .covariate = (double)NAN};
    must(evidence_observe(e, &x, &o, 1, NULL), NULL);
    o.stage = STAGE_OUTCOME;
    o.name = "revenue";
    o.named_value = i * 0.25;
    must(evidence_observe(e, &x, &o, 1, NULL), NULL);
    o.stage = STAGE_LABEL;
    o.failed = false;
    o.score = (i + 0.5) / EVENTS;
    o.positive = i % 4 > 1;
    must(evidence_observe(e, &x, &o, 1, NULL), NULL);
}

struct pair {
    struct experiment *experiment;
    struct evidence *seen, *golden;
};

static struct pair open_pair(int format)
{
    struct pair pair = {0};
    struct err err = {0};
    char path[4096], bytes[4096];
    const char *source = getenv("ASSAY_SOURCE");
    snprintf(path, sizeof(path), "%s/tests/abtest/golden/evidence_%d.bin", source ? source : ".",
             format);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is missing", path);
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    must(experiment_parse_text(&pair.experiment, object, strlen(object), &err), &err);
    must(evidence_new(&pair.seen, pair.experiment, 0, &err), &err);
    evidence_set_threshold(pair.seen, 0, 1, 80, 0);
    for (int i = 0; i < EVENTS; i++)
        see(pair.seen, i);
    assert_int_equal(bytes[0], format);
    must(evidence_load(&pair.golden, pair.experiment, bytes, n, &err), &err);
    return pair;
}

static void close_pair(struct pair *pair)
{
    evidence_free(pair->seen);
    evidence_free(pair->golden);
    experiment_free(pair->experiment);
}

static void save(const struct evidence *e, struct buf *out)
{
    buf_init(out, 1 << 20);
    evidence_save(e, out);
}

/* Unknown is told by bits as well: a value may be NaN. */
#define ASSERT_SAME(a, b) assert_memory_equal(&(a), &(b), sizeof(a))

static void assert_same_metric(const struct pair *pair, int step, int metric)
{
    for (int side = 0; side < N_SIDES; side++) {
        struct rate_counts ours = evidence_rate(pair->seen, step, metric, (enum failure_side)side);
        struct rate_counts old = evidence_rate(pair->golden, step, metric, (enum failure_side)side);
        ASSERT_SAME(ours, old);
    }
    for (int a = 0; a < N_ARMS; a++) {
        enum arm_served arm = (enum arm_served)a;
        struct ratio_estimate ours = metric == 3 ? evidence_auc(pair->seen, step, metric, arm)
                                                 : evidence_ratio(pair->seen, step, metric, arm);
        struct ratio_estimate old = metric == 3 ? evidence_auc(pair->golden, step, metric, arm)
                                                : evidence_ratio(pair->golden, step, metric, arm);
        assert_true(ours.n > 0);
        assert_close(old.value, ours.value, 0);
        assert_close(old.variance, ours.variance, 0);
        assert_close(old.n, ours.n, 0);
        assert_int_equal(old.buckets, ours.buckets);
    }
}

/* It knew neither the first event of an arm nor what is told of versions. */
static void format_1_is_read_but_for_what_it_did_not_know(void **state)
{
    (void)state;
    struct pair pair = open_pair(1);
    for (int s = 0; s < STEPS; s++) {
        for (int a = 0; a < N_ARMS; a++) {
            struct arm_counts ours = evidence_arm(pair.seen, s, (enum arm_served)a);
            struct arm_counts old = evidence_arm(pair.golden, s, (enum arm_served)a);
            assert_int_equal(old.first_ts_ms, 0);
            ours.first_ts_ms = 0;
            ASSERT_SAME(ours, old);
        }
        for (int m = 0; m < METRICS; m++)
            assert_same_metric(&pair, s, m);
    }
    assert_close(evidence_threshold(pair.golden, 0, 1), 80, 0);
    assert_true(isnan(evidence_told(pair.golden, 0, ARM_CONTROL)));
    assert_int_equal(evidence_units(pair.golden), EVENTS);
    assert_int_equal(evidence_treated(pair.golden), evidence_treated(pair.seen));
    close_pair(&pair);
}

/* What format 3 added is of metrics that format 2 did not have: the same to the last bit. */
static void format_2_is_read_to_the_last_bit(void **state)
{
    (void)state;
    struct pair pair = open_pair(2);
    struct buf ours, old;
    save(pair.seen, &ours);
    save(pair.golden, &old);

    assert_int_equal(ours.size, old.size);
    assert_memory_equal(ours.data, old.data, ours.size);
    buf_finish(&ours);
    buf_finish(&old);
    close_pair(&pair);
}

/* A unit that failed before the update fails no second time after it. */
static void units_of_before_an_update_are_known_after_it(void **state)
{
    (void)state;
    for (int format = 1; format <= 2; format++) {
        struct pair pair = open_pair(format);
        struct rate_counts before = evidence_rate(pair.golden, 0, 0, SIDE_HARM);

        see(pair.golden, 0);

        struct rate_counts after = evidence_rate(pair.golden, 0, 0, SIDE_HARM);
        ASSERT_SAME(before, after);
        assert_int_equal(evidence_units(pair.golden), EVENTS);
        close_pair(&pair);
    }
}

static void a_format_to_come_is_refused_by_name(void **state)
{
    (void)state;
    struct pair pair = open_pair(2);
    struct evidence *loaded = NULL;
    struct err err = {0};
    struct buf bytes;
    save(pair.seen, &bytes);
    ((unsigned char *)bytes.data)[0] = 4;

    assert_int_equal(evidence_load(&loaded, pair.experiment, bytes.data, bytes.size, &err),
                     ERR_NEWER);

    assert_string_equal(err.text, "evidence of e: format 4 is of a newer version");
    buf_finish(&bytes);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_1_is_read_but_for_what_it_did_not_know),
        cmocka_unit_test(format_2_is_read_to_the_last_bit),
        cmocka_unit_test(units_of_before_an_update_are_known_after_it),
        cmocka_unit_test(a_format_to_come_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
