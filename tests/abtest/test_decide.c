#include "tests/abtest/traffic.h"

static void equal_arms_go_on_when_shown_safe(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 30, 100, 0.02, 0.02);
    struct verdict early = decide(&w);
    traffic(&w, 120, 100, 0.02, 0.02);
    struct verdict late = decide(&w);

    assert_int_equal(early.kind, VERDICT_CONTINUE);
    assert_string_equal(early.reason, "step 0 has not lasted 1m");
    assert_int_equal(late.kind, VERDICT_ADVANCE);
    assert_string_equal(late.reason, "every metric passed step 0");
    assert_int_equal(late.metrics[0].status, STATUS_SAFE);
    assert_close(late.samples_needed, 0, 0);
    world_end(&w);
}

static void harm_rolls_back_and_says_why(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 20, 100, 0.02, 0.10);
    struct verdict v = decide(&w);

    assert_int_equal(v.kind, VERDICT_ROLLBACK);
    assert_string_equal(v.reason, "guardrail error_rate: harm beyond harm_margin");
    assert_int_equal(v.metrics[0].status, STATUS_HARMED);
    assert_true(v.metrics[0].p_value <= 0.05);
    assert_int_equal(v.detected_ms, 20 * SECOND);
    assert_in_range(v.detected_units, 900, 1100);
    world_end(&w);
}

static void F39_missing_data_holds_and_never_promotes(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 150, 100, 0.02, 0.02);
    w.now.now.event_ms += 121 * SECOND;
    w.now.last_control_ms = w.now.now.event_ms;
    struct verdict silent = decide(&w);
    w.now.last_treatment_ms = w.now.now.event_ms;
    w.now.input_stale = true;
    struct verdict stale = decide(&w);

    assert_int_equal(silent.kind, VERDICT_HOLD);
    assert_string_equal(silent.reason, "no telemetry from treatment v2 for 2m");
    assert_true(silent.no_data);
    assert_int_equal(stale.kind, VERDICT_HOLD);
    assert_string_equal(stale.reason, "own input is stale: the consumer lags behind");
    world_end(&w);
}

static void F40_one_silent_arm_for_longer_than_max_hold_rolls_back(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 10, 100, 0.02, 0.02);
    w.now.now.event_ms += 200 * SECOND;
    w.now.last_control_ms = w.now.now.event_ms;
    struct verdict v = decide(&w);
    w.now.ramp = ramp_step(w.now.ramp, w.experiment, v.kind, v.no_data, w.now.now);
    w.now.now.wall_ms += HOUR + 1;
    v = decide(&w);

    assert_int_equal(v.kind, VERDICT_ROLLBACK);
    assert_string_equal(v.reason, "no data");
    assert_true(v.wall_clock);
    world_end(&w);
}

/* Whoever keeps us in the dark: both arms, our own input, or events that were lost before that. */
static void F39_want_of_data_for_longer_than_max_hold_rolls_back(void **state)
{
    (void)state;
    for (int lagging = 0; lagging < 2; lagging++) {
        struct world w = world_of(ERROR_RATE);
        traffic(&w, 10, 100, 0.02, 0.02);
        w.now.input_stale = lagging;
        w.now.data_lost = true;
        w.now.now.event_ms += lagging ? 0 : 200 * SECOND;
        struct verdict held = decide(&w);
        w.now.ramp = ramp_step(w.now.ramp, w.experiment, held.kind, held.no_data, w.now.now);
        w.now.now.wall_ms += HOUR;
        struct verdict still = decide(&w);
        w.now.now.wall_ms += 1;
        struct verdict over = decide(&w);

        assert_int_equal(held.kind, VERDICT_HOLD);
        assert_string_equal(held.reason, lagging ? "own input is stale: the consumer lags behind"
                                                 : "no telemetry from either arm for 2m");
        assert_int_equal(still.kind, VERDICT_HOLD);
        assert_int_equal(over.kind, VERDICT_ROLLBACK);
        assert_string_equal(over.reason, "no data");
        assert_true(over.wall_clock);
        world_end(&w);
    }
}

static void a_wrong_split_holds_even_before_harm(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 20, 100, 0.02, 0.2);
    struct observation ok = prediction(false);
    for (int i = 0; i < 1500; i++) { /* 1,500 control units more than the hash would give */
        struct exposure x = {0, ARM_CONTROL, false, 0x1000000000000 + (uint64_t)i * 7919, 0};
        evidence_observe(w.evidence, &x, &ok, 1, NULL);
    }
    struct verdict v = decide(&w);

    assert_int_equal(v.kind, VERDICT_HOLD);
    assert_int_equal(v.cause, CAUSE_SRM);
    assert_memory_equal(v.reason, "sample ratio mismatch: ", 23);
    assert_true(v.srm.mismatch && v.srm.chi2_p_value < 0.001);
    world_end(&w);
}

static void crossovers_are_counted_and_left_out(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    struct observation bad = prediction(true);
    for (int i = 0; i < 500; i++) {
        struct exposure x = {0, ARM_TREATMENT, true, (uint64_t)i + 1, w.now.now.event_ms};
        evidence_observe(w.evidence, &x, &bad, 1, NULL);
    }
    struct verdict v = decide(&w);

    assert_int_equal(v.kind, VERDICT_CONTINUE);
    assert_int_equal(v.crossovers, 500);
    assert_int_equal(v.units_treatment, 0);
    world_end(&w);
}

static void a_version_that_breaks_at_the_second_step_is_not_saved_by_the_first(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE ",\"holdback\":10");
    traffic(&w, 200, 100, 0.02, 0.02);
    struct verdict v = decide(&w);
    assert_int_equal(v.kind, VERDICT_ADVANCE);
    w.now.ramp = ramp_step(w.now.ramp, w.experiment, v.kind, false, w.now.now);
    int looks = 0;
    do {
        traffic(&w, 1, 100, 0.02, 0.12);
        v = decide(&w);
        assert_int_not_equal(v.kind, VERDICT_PROMOTE);
    } while (v.kind == VERDICT_CONTINUE && ++looks < 300);

    assert_int_equal(v.kind, VERDICT_ROLLBACK);
    assert_true(looks < 60);
    world_end(&w);
}

static void paused_and_approval_and_time_out_hold(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE ",\"max_duration\":\"10m\"");
    traffic(&w, 150, 100, 0.02, 0.02);
    w.experiment->steps[1].approval = true;
    struct verdict waiting = decide(&w);
    ramp_command(&w.now.ramp, w.experiment, COMMAND_APPROVE, -1, w.now.now, NULL);
    struct verdict approved = decide(&w);
    ramp_command(&w.now.ramp, w.experiment, COMMAND_PAUSE, 0, w.now.now, NULL);
    struct verdict paused = decide(&w);

    assert_string_equal(waiting.reason, "step 1 (100%) waits for approval");
    assert_int_equal(approved.kind, VERDICT_ADVANCE);
    assert_int_equal(paused.kind, VERDICT_HOLD);
    assert_string_equal(paused.reason, "paused");
    world_end(&w);

    w = world_of(ERROR_RATE ",\"max_duration\":\"2m\"");
    traffic(&w, 150, 2, 0.02, 0.02);
    struct verdict over = decide(&w);
    w.experiment->on_timeout = ON_TIMEOUT_ROLLBACK;
    struct verdict back = decide(&w);
    assert_int_equal(over.cause, CAUSE_TIMEOUT);
    assert_int_equal(back.kind, VERDICT_ROLLBACK);
    world_end(&w);
}

static void a_worse_auc_rolls_back_and_an_equal_one_passes(void **state)
{
    (void)state;
    const char *auc = "\"metrics\":[{\"metric\":\"roc_auc\",\"margin\":0.03}]";
    struct world worse = world_of(auc), equal = world_of(auc);
    scores(&worse, 100, 1.5, 0.8);
    scores(&equal, 300, 1.5, 1.5);
    struct verdict bad = decide(&worse), good = decide(&equal);
    ab_show(worse.experiment, worse.evidence, &bad);

    assert_int_equal(bad.kind, VERDICT_ROLLBACK);
    assert_close(bad.metrics[0].control_value, 0.856, 0.02);   /* Φ(1.5/√2) */
    assert_close(bad.metrics[0].treatment_value, 0.714, 0.02); /* Φ(.8/√2) */
    assert_true(bad.metrics[0].upper < 0);
    assert_true(bad.metrics[0].chance_to_win < 0.001);
    assert_int_equal(good.metrics[0].status, STATUS_SAFE);
    world_end(&worse);
    world_end(&equal);
}

static void an_auc_without_labels_holds_as_undefined(void **state)
{
    (void)state;
    struct world w = world_of("\"metrics\":[{\"metric\":\"roc_auc\",\"margin\":0.03}]");
    traffic(&w, 90, 100, 0.02, 0.02);
    struct verdict v = decide(&w);

    assert_int_equal(v.kind, VERDICT_HOLD);
    assert_string_equal(v.reason, "roc_auc: not enough observations in both arms yet");
    assert_true(isnan(v.samples_needed));
    world_end(&w);
}

static void latency_margins_move_the_treatments_threshold(void **state)
{
    (void)state;
    struct world w = world_of("\"metrics\":[{\"metric\":\"latency_p99\",\"margin_relative\":0.5,"
                              "\"hard_limit\":200}]");
    struct world slow = world_of("\"metrics\":[{\"metric\":\"latency_p99\",\"margin_relative\":0.5,"
                                 "\"hard_limit\":100}]");
    evidence_set_threshold(w.evidence, 0, 0, 100, 0);
    evidence_set_threshold(slow.evidence, 0, 0, 100, 0);
    for (int i = 0; i < 20000; i++) {
        struct observation a = prediction(false), b = prediction(false);
        double z = rng_normal(&w.rng);
        a.latency_ms = 31.25 * exp(0.5 * z); /* 99 % below 100 */
        b.latency_ms = a.latency_ms;
        w.now.now.event_ms += 10;
        event(&w, &a, &b);
        b.latency_ms *= 2;
        slow.now.now.event_ms += 10;
        event(&slow, &a, &b);
    }
    struct verdict same = decide(&w), worse = decide(&slow);

    assert_int_equal(same.kind, VERDICT_ADVANCE);
    assert_int_equal(worse.kind, VERDICT_ROLLBACK);
    assert_true(worse.metrics[0].log_e_limit > log(20));
    world_end(&w);
    world_end(&slow);
}

static void one_error_beyond_the_limit_of_a_maximum_is_certain(void **state)
{
    (void)state;
    struct world w = world_of("\"noninferiority\":\"lenient\",\"metrics\":["
                              "{\"metric\":\"max_error\",\"hard_limit\":10}]");
    struct observation a = prediction(false), b = prediction(false);
    a.stage = b.stage = STAGE_LABEL;
    a.value = b.value = 0;
    evidence_set_threshold(w.evidence, 0, 0, 10, 0);
    b.label_value = 9;
    a.label_value = 99; /* control's own have no limit */
    for (int i = 0; i < 20; i++)
        event(&w, &a, &b);
    struct verdict within = decide(&w);
    b.label_value = -11;
    while (event(&w, &a, &b) != ARM_TREATMENT)
        ;
    struct verdict over = decide(&w);

    assert_true(within.metrics[0].log_e_limit == 0);
    assert_int_equal(over.kind, VERDICT_ROLLBACK);
    assert_string_equal(over.reason, "guardrail max_error: beyond hard_limit 10");
    world_end(&w);
}

static void an_actuator_that_does_not_confirm_holds_but_never_stands_before_a_rollback(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 150, 100, 0.02, 0.02);
    assert_int_equal(decide(&w).kind, VERDICT_ADVANCE);

    w.now.reconcile_failed = true;
    strcpy(w.now.actuator, "edge: HTTP 500");
    struct verdict v = decide(&w);

    assert_int_equal(v.kind, VERDICT_HOLD);
    assert_int_equal(v.cause, CAUSE_RECONCILE);
    assert_string_equal(v.reason, "an actuator does not confirm 50%: edge: HTTP 500");

    traffic(&w, 20, 100, 0.02, 0.50);
    assert_int_equal(decide(&w).kind, VERDICT_ROLLBACK);
    world_end(&w);
}

static void a_verdict_prints_the_contracts_object(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    traffic(&w, 20, 100, 0.02, 0.10);
    struct verdict v = decide(&w);
    ab_show(w.experiment, w.evidence, &v);
    struct ramp_state after = ramp_step(w.now.ramp, w.experiment, v.kind, false, w.now.now);
    json_t *json = verdict_print(&v, w.experiment, &after, 123);
    json_t *metric = json_array_get(json_object_get(json, "metrics"), 0);

    assert_string_equal(json_string_value(json_object_get(json, "verdict")), "rollback");
    assert_string_equal(json_string_value(json_object_get(json, "state")), "rolled_back");
    assert_close(json_number_value(json_object_get(json, "weight")), 0, 0);
    assert_string_equal(json_string_value(json_object_get(metric, "status")), "harmed");
    assert_close(json_number_value(json_object_get(metric, "difference")), 0.08, 0.03);
    assert_true(json_number_value(json_object_get(metric, "lower")) > 0);
    assert_true(json_is_object(json_object_get(json, "srm")));
    assert_int_equal(json_integer_value(json_object_get(json, "decided_at")), 123);
    json_decref(json);
    world_end(&w);
}

/* Long before the sequence may speak. Both rates' bounds at .05 / (2 arms · 2 steps), the roots of
   B(1 + s, 1 + f)/(p^s (1 - p)^f) = 80 by bisection in Python: control 0 of 40 up to .183224,
   treatment 6 of 40 from .023760 to .409233. */
static void an_error_rate_has_an_interval_from_its_first_units_on(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    for (int i = 0; i < 80; i++) {
        struct exposure x = {0, i % 2 ? ARM_TREATMENT : ARM_CONTROL, false, (uint64_t)(i + 1) << 20,
                             w.now.now.event_ms};
        struct observation o = prediction(i % 2 && i < 12);
        assert_int_equal(evidence_observe(w.evidence, &x, &o, 1, NULL), 0);
    }
    struct verdict v = decide(&w);
    ab_show(w.experiment, w.evidence, &v);

    assert_close(v.metrics[0].difference, 0.15, 1e-12);
    assert_close(v.metrics[0].lower, 0.0237597 - 0.1832237, 1e-6);
    assert_close(v.metrics[0].upper, 0.4092329, 1e-6);
    world_end(&w);
}

/* 400 units an arm at 2 % and 10 %: statsmodels' proportions_ztest of the same counts. */
static void a_fixed_horizon_reading_stands_beside_and_decides_nothing(void **state)
{
    (void)state;
    struct world w = world_of(ERROR_RATE);
    for (int i = 0; i < 800; i++) {
        struct exposure x = {0, i % 2 ? ARM_TREATMENT : ARM_CONTROL, false, (uint64_t)(i + 1) << 20,
                             w.now.now.event_ms};
        struct observation o = prediction(i < (i % 2 ? 80 : 16));
        assert_int_equal(evidence_observe(w.evidence, &x, &o, 1, NULL), 0);
    }
    struct verdict v = decide(&w);
    assert_null(v.metrics[0].fixed_test); /* only what is shown has it */
    ab_show(w.experiment, w.evidence, &v);
    const struct metric_verdict *m = &v.metrics[0];

    /* z = .08 / sqrt(.06 * .94 * 2 / 400), Wald ± 1.959964 * sqrt(.02*.98/400 + .1*.9/400) */
    assert_string_equal(m->fixed_test, "pooled z");
    assert_close(m->fixed_statistic, 4.7639307, 1e-6);
    assert_close(m->fixed_p_value, 1.8985776e-6, 1e-12);
    assert_close(m->fixed_lower, 0.0475568, 1e-6);
    assert_close(m->fixed_upper, 0.1124432, 1e-6);
    world_end(&w);
}

/* Units in buckets of their own: then it is Welch's test, scipy.stats.ttest_ind(b, a,
   equal_var=False) of SciPy 1.11.4 on the same numbers. */
static void what_is_no_rate_is_read_by_welchs_test(void **state)
{
    (void)state;
    struct world w = world_of("\"metrics\":[{\"metric\":\"latency_mean\",\"margin\":5}]");
    for (int i = 0; i < 60 + 45; i++) {
        bool treated = i >= 60;
        int j = treated ? i - 60 : i;
        struct exposure x = {0, treated ? ARM_TREATMENT : ARM_CONTROL, false,
                             (uint64_t)(i + 1) << 32, w.now.now.event_ms};
        struct observation o = prediction(false);
        o.latency_ms = treated ? j * 53 % 97 * 0.8 + 9 : j * 37 % 101 * 0.5 + 10;
        assert_int_equal(evidence_observe(w.evidence, &x, &o, 1, NULL), 0);
    }
    struct verdict v = decide(&w);
    ab_show(w.experiment, w.evidence, &v);
    const struct metric_verdict *m = &v.metrics[0];

    assert_string_equal(m->fixed_test, "Welch t");
    assert_close(m->fixed_statistic, 2.6366551384091137, 1e-9);
    assert_close(m->fixed_dof, 70.17861456378562, 1e-7);
    assert_close(m->fixed_p_value, 0.010300902608320683, 1e-10);
    assert_close(m->fixed_lower, 2.5165941521005575, 1e-8);
    assert_close(m->fixed_upper, 18.144516959010566, 1e-8);
    world_end(&w);
}

/* An estimate without labels may hold a rollout, never promote it, and never roll it back. */
static void a_poor_estimate_holds_and_does_nothing_else(void **state)
{
    (void)state;
    struct world w = world_of("\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5},"
                              "{\"metric\":\"estimated_accuracy\",\"margin\":0.02}]");
    traffic(&w, 150, 100, 0.02, 0.02);
    struct verdict unknown = decide(&w);
    evidence_tell(w.evidence, 1, ARM_CONTROL, 0.91);
    evidence_tell(w.evidence, 1, ARM_TREATMENT, 0.88);
    struct verdict poor = decide(&w);
    evidence_tell(w.evidence, 1, ARM_TREATMENT, 0.90);
    struct verdict fine = decide(&w);

    assert_int_equal(unknown.kind, VERDICT_HOLD);
    assert_string_equal(unknown.reason,
                        "estimated_accuracy: estimated_accuracy of v2 is not estimated yet");
    assert_int_equal(poor.kind, VERDICT_HOLD);
    assert_int_equal(poor.cause, CAUSE_ESTIMATE);
    assert_string_equal(poor.reason, "estimated_accuracy, estimated without labels, is poor");
    assert_string_equal(poor.metrics[1].why, "estimated without labels: outside its margin");
    assert_int_equal(fine.kind, VERDICT_ADVANCE);
    assert_int_equal(fine.metrics[1].status, STATUS_SAFE);
    world_end(&w);
}

/* What is certain takes no share of alpha from what is not. */
static void a_fact_does_not_make_the_others_slower(void **state)
{
    (void)state;
    struct world alone = world_of(ERROR_RATE);
    struct world beside =
        world_of("\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5},"
                 "{\"metric\":\"artifact_bytes\",\"margin_relative\":0.5}]");
    evidence_tell(beside.evidence, 1, ARM_CONTROL, 100);
    evidence_tell(beside.evidence, 1, ARM_TREATMENT, 90);
    int looks[2] = {0, 0};
    struct world *worlds[] = {&alone, &beside};
    for (int i = 0; i < 2; i++)
        do {
            traffic(worlds[i], 1, 20, 0.02, 0.3);
            looks[i]++;
        } while (decide(worlds[i]).kind != VERDICT_ROLLBACK);

    assert_int_equal(looks[0], looks[1]);
    evidence_tell(beside.evidence, 1, ARM_TREATMENT, 101);
    assert_int_equal(decide(&beside).metrics[1].status, STATUS_HARMED);
    world_end(&alone);
    world_end(&beside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_arms_go_on_when_shown_safe),
        cmocka_unit_test(harm_rolls_back_and_says_why),
        cmocka_unit_test(F39_missing_data_holds_and_never_promotes),
        cmocka_unit_test(F39_want_of_data_for_longer_than_max_hold_rolls_back),
        cmocka_unit_test(F40_one_silent_arm_for_longer_than_max_hold_rolls_back),
        cmocka_unit_test(a_wrong_split_holds_even_before_harm),
        cmocka_unit_test(crossovers_are_counted_and_left_out),
        cmocka_unit_test(a_version_that_breaks_at_the_second_step_is_not_saved_by_the_first),
        cmocka_unit_test(paused_and_approval_and_time_out_hold),
        cmocka_unit_test(a_worse_auc_rolls_back_and_an_equal_one_passes),
        cmocka_unit_test(an_auc_without_labels_holds_as_undefined),
        cmocka_unit_test(latency_margins_move_the_treatments_threshold),
        cmocka_unit_test(one_error_beyond_the_limit_of_a_maximum_is_certain),
        cmocka_unit_test(
            an_actuator_that_does_not_confirm_holds_but_never_stands_before_a_rollback),
        cmocka_unit_test(an_error_rate_has_an_interval_from_its_first_units_on),
        cmocka_unit_test(a_fixed_horizon_reading_stands_beside_and_decides_nothing),
        cmocka_unit_test(a_verdict_prints_the_contracts_object),
        cmocka_unit_test(what_is_no_rate_is_read_by_welchs_test),
        cmocka_unit_test(a_poor_estimate_holds_and_does_nothing_else),
        cmocka_unit_test(a_fact_does_not_make_the_others_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
