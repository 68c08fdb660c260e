/* What an audit row keeps of a look is enough to decide it again, to the last bit. */
#include "tests/abtest/traffic.h"

/* Saves what an audit row keeps, loads it, decides again. */
static void assert_decided_again(struct world *w)
{
    struct buf bytes;
    buf_init(&bytes, 64 << 20);
    situation_save(&w->now, &bytes);
    size_t head = bytes.size;
    evidence_save_counts(w->evidence, &bytes);
    assert_false(buf_failed(&bytes));
    struct reader in = reader_of(bytes.data, head);
    struct situation now;
    AUTO(evidence) struct evidence *again = NULL;
    assert_int_equal(situation_load(&now, &in, NULL), 0);
    assert_int_equal(
        evidence_load(&again, w->experiment, bytes.data + head, bytes.size - head, NULL), 0);

    struct verdict one = decide(w), two;
    ab_decide(w->experiment, again, &now, &two);
    ab_show(w->experiment, w->evidence, &one);
    ab_show(w->experiment, again, &two);
    json_t *a = verdict_print(&one, w->experiment, &w->now.ramp, 1);
    json_t *b = verdict_print(&two, w->experiment, &now.ramp, 1);

    assert_memory_equal(&one, &two, sizeof(one));
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    buf_finish(&bytes);
}

static void a_saved_look_gives_the_same_verdict_bit_for_bit(void **state)
{
    (void)state;
    struct world w = world_of("\"metrics\":[{\"metric\":\"error_rate\",\"margin\":0.01,"
                              "\"harm_margin\":0.002,\"hard_limit\":0.2},"
                              "{\"metric\":\"roc_auc\",\"role\":\"primary\",\"margin\":0.02}]");
    for (int round = 0; round < 6; round++) {
        traffic(&w, 7, 60, 0.02, 0.03);
        scores(&w, 3, 1.5, 1.4);
        assert_decided_again(&w);
    }
    world_end(&w);
}

/* One event that every kind of metric takes something of: its prediction, its label, an outcome. */
static void see_all(struct world *w, double harm)
{
    struct class_score classes[2] = {{1, rng_uniform(&w->rng)}, {2, 0}};
    classes[1].score = 1 - classes[0].score;
    const struct sample sample = {
        .scores = classes, .n_scores = 2, .label_class = 1 + rng_below(&w->rng, 2)};
    struct observation o[3] = {prediction(false), prediction(false), prediction(false)};
    char unit[32];
    size_t n = (size_t)snprintf(unit, sizeof(unit), "u%d", w->next_unit++ / 3);
    enum arm_served arm = experiment_arm(w->experiment, 0, bucket_of("e", 1, unit, n));
    double worse = arm == ARM_TREATMENT ? harm : 0;
    o[0].score = fmax(classes[0].score - worse, 0);
    o[0].confidence = fmax(o[0].score, 1 - o[0].score);
    o[1].stage = STAGE_LABEL;
    o[1].score = o[0].score;
    o[1].positive = rng_uniform(&w->rng) < classes[0].score;
    o[1].value = 0;
    o[1].label_value = rng_normal(&w->rng) * (1 + worse);
    o[1].content = &sample;
    o[2].stage = STAGE_OUTCOME;
    o[2].name = "x";
    o[2].named_value = rng_uniform(&w->rng) - worse;
    for (int i = 0; i < 3; i++) {
        struct exposure x = {0, arm, false, bucket_unit_hash("e", 1, unit, n), w->now.now.event_ms};
        assert_int_equal(evidence_observe(w->evidence, &x, &o[i], 1, NULL), 0);
    }
}

static void a_saved_look_of_every_kind_of_metric_is_decided_again(void **state)
{
    (void)state;
    struct world w = world_of(
        "\"noninferiority\":\"lenient\",\"metrics\":["
        "{\"metric\":\"ece\",\"margin\":0.1},{\"metric\":\"pr_auc\",\"margin_relative\":0.1},"
        "{\"metric\":\"confidence_p10\",\"margin\":0.1,\"harm_margin\":0.01,\"hard_limit\":0.4},"
        "{\"metric\":\"median_absolute_error\",\"margin_relative\":0.2},"
        "{\"metric\":\"max_error\",\"hard_limit\":50},{\"metric\":\"count\",\"margin\":100},"
        "{\"metric\":\"roc_auc_ovr_macro\",\"margin\":0.1},"
        "{\"metric\":\"roc_auc_ovr_weighted\",\"role\":\"monitor\"},"
        "{\"metric\":\"outcome_sum_per_unit{name=\\\"x\\\"}\",\"margin\":1}]");
    for (int m = 2; m <= 4; m++)
        evidence_set_threshold(w.evidence, 0, m, m == 2 ? 0.55 : 0.7, w.now.now.event_ms);
    evidence_tell(w.evidence, 2, ARM_TREATMENT, 0.53);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 800; i++) {
            w.now.now.event_ms += 5;
            see_all(&w, 0.1 * round);
        }
        w.now.last_control_ms = w.now.last_treatment_ms = w.now.now.event_ms;
        assert_decided_again(&w);
    }
    struct verdict v = decide(&w);

    assert_int_equal(v.kind, VERDICT_ROLLBACK);
    for (int m = 0; m < v.n_metrics; m++)
        assert_int_not_equal(v.metrics[m].status, STATUS_UNDEFINED);
    world_end(&w);
}

static void a_situation_of_the_first_format_is_still_read(void **state)
{
    (void)state;
    struct situation s = {.ramp = ramp_draft(), .now = {7, 8}, .reconcile_failed = true}, again;
    struct buf bytes;
    buf_init(&bytes, 1000);
    strcpy(s.actuator, "edge");
    situation_save(&s, &bytes);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(situation_load(&again, &in, NULL), 0);
    assert_string_equal(again.actuator, "edge");

    bytes.data[0] = 1; /* which ended before the actuator's text */
    in = reader_of(bytes.data, bytes.size - strlen("edge") - 1);

    assert_int_equal(situation_load(&again, &in, NULL), 0);
    assert_int_equal(reader_left(&in), 0);
    assert_true(again.reconcile_failed);
    assert_string_equal(again.actuator, "");
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_look_gives_the_same_verdict_bit_for_bit),
        cmocka_unit_test(a_saved_look_of_every_kind_of_metric_is_decided_again),
        cmocka_unit_test(a_situation_of_the_first_format_is_still_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
