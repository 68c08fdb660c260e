/* What an experiment is told beside its events: how far reading is behind, facts of its versions, and
   labels of many classes that must ripen. */
#include "abtest/recompute.h"
#include "tests/abtest/site.h"

#define RAMP HALF ",{\"weight\":100,\"min_duration\":\"1m\"}"
#define LENIENT ",\"noninferiority\":\"lenient\",\"holdback\":5"

static json_int_t shown_units(struct site *site, int *step)
{
    struct err err = {0};
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *units = json_object_get(json, "units");
    json_int_t n = json_integer_value(json_object_get(units, "control")) +
                   json_integer_value(json_object_get(units, "treatment"));
    *step = (int)json_integer_value(json_object_get(json, "step"));
    json_decref(json);
    return n;
}

/* A verdict is written once a second; the last one before a silence must not be withheld by that. */
static void the_last_look_of_a_burst_is_shown_without_another_one(void **state)
{
    (void)state;
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};
    struct run_now now = {.wall_ms = T0, .real_ms = T0};
    int step = 0;
    for (int s = 0; s < 5; s++) {
        feed(site, T0 + s * SECOND + 2500, 20, -1);
        now.look_ms = T0 + s * SECOND + 3000;
        must(run_look(site->run, &now, &err), &err);
    }
    assert_true(shown_units(site, &step) < 100);

    now.real_ms += 1000;
    must(run_tick(site->run, &now, 1500, &err), &err);

    assert_int_equal(shown_units(site, &step), 100);
    site_free(site);
}

/* A label whose unit is in the arm that served it: i odd, control. */
static struct run_event label_of(int i, struct observation observation)
{
    observation.stage = STAGE_LABEL;
    return (struct run_event){
        .unit_hash = (uint64_t)(i + 10) << 1,
        .ts_ms = T0 + 5 * SECOND,
        .model = "credit",
        .version = i % 2 ? "v1" : "v2",
        .sign = 1,
        .observation = observation,
    };
}

/* After an outage the log holds events that were served by the weight of now. */
static void no_step_is_left_upwards_while_our_own_input_is_behind(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ERRORS, LENIENT);
    int s = 0, step = 0;
    for (; s < 90; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look_behind(site, T0 + (s + 1) * SECOND, 60 * SECOND);
    }
    assert_string_equal(last_of(site).verdict, "start");
    assert_int_equal(shown_units(site, &step), 90 * 20); /* they count, to their own step */

    feed(site, T0 + s * SECOND, 20, -1);
    look(site, T0 + (s + 1) * SECOND, 0);

    struct last last = last_of(site);
    assert_string_equal(last.verdict, "advance");
    assert_string_equal(last.clock, "wall"); /* a replay, which is never behind, goes on earlier */
    site_free(site);
}

static void harm_rolls_back_out_of_a_backlog(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ACCURACY, "");
    struct err err = {0};
    feed(site, T0, 1, 1);
    look(site, T0 + SECOND, 0);
    for (int i = 0; i < 1500; i++) {
        struct run_event event = label_of(i, (struct observation){.has_predicted = true});
        event.observation.correct = i % 2 ? i % 10 != 1 : i % 4 == 0;
        assert_int_equal(run_observe(site->run, &event, &err), 0);
    }

    look_behind(site, T0 + 6 * SECOND, 60 * SECOND);

    assert_string_equal(last_of(site).reason, "guardrail accuracy: harm beyond harm_margin");
    site_free(site);
}

static void a_lag_beyond_stale_after_holds(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ERRORS, LENIENT);
    feed(site, T0, 20, -1);

    look_behind(site, T0 + SECOND, 121 * SECOND);

    assert_string_equal(last_of(site).verdict, "hold");
    assert_string_equal(last_of(site).reason, "own input is stale: the consumer lags behind");
    assert_string_equal(last_of(site).clock, "wall");
    site_free(site);
}

/* A person jumps while a minute of events is not read yet: they are of the step before. */
static void a_jump_begins_behind_the_backlog(void **state)
{
    (void)state;
    struct site *site = site_new(RAMP, ERRORS, LENIENT);
    struct err err = {0};
    struct run_order order = {"e", "jump", 1, "now", ""};
    int step = 0;
    feed(site, T0, 20, -1);
    look(site, T0 + SECOND, 0);
    struct run_actor actor = {"ann", 5, T0 + SECOND, 0, 60 * SECOND};
    must(run_command(site->run, &order, &actor, &err), &err);

    feed(site, T0 + 30 * SECOND, 40, -1); /* of the backlog */
    look(site, T0 + 31 * SECOND, 0);
    feed(site, T0 + 70 * SECOND, 50, -1);
    look(site, T0 + 71 * SECOND, 0);

    assert_int_equal(shown_units(site, &step), 50);
    assert_int_equal(step, 1);
    assert_string_equal(last_of(site).clock, "wall");
    site_free(site);
}

static void register_bytes(struct site *site, const char *version, const char *facts)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(commit_version(site->store, "credit", version, facts, &err), &err);
    must(commit_end(site->store, &err), &err);
}

/* Bytes of an artifact have no chance in them: one look says it. */
static void an_artifact_beyond_its_limit_rolls_back_as_soon_as_it_is_known(void **state)
{
    (void)state;
    struct site *site =
        site_new(HALF, ERRORS ",{\"metric\":\"artifact_bytes\",\"margin_relative\":0.1}", "");
    struct recompute_counts counts;
    struct err err = {0};
    feed(site, T0, 20, -1);
    look(site, T0 + SECOND, 0);
    assert_string_equal(last_of(site).verdict, "start"); /* nothing is registered */

    register_bytes(site, "v1", "{\"artifact_bytes\":1000}");
    register_bytes(site, "v2", "{\"artifact_bytes\":1001}");
    feed(site, T0 + 30 * SECOND, 20, -1);
    look(site, T0 + 60 * SECOND, 0);

    assert_string_equal(last_of(site).reason, "guardrail artifact_bytes: harm beyond harm_margin");
    must(recompute_all(site->store, &counts, &err), &err);
    assert_int_equal(counts.same, 1);
    site_free(site);
}

static void what_is_not_registered_holds_and_a_smaller_artifact_goes_on(void **state)
{
    (void)state;
    struct site *site =
        site_new(HALF, ERRORS ",{\"metric\":\"artifact_bytes\",\"margin_relative\":0.1}",
                 ",\"noninferiority\":\"lenient\"");
    for (int s = 0; s < 62; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    assert_string_equal(last_of(site).verdict, "promote"); /* lenient: unknown is not harm */
    site_free(site);

    site = site_new(HALF, "{\"metric\":\"artifact_bytes\",\"margin_relative\":0.1}", "");
    register_bytes(site, "v2", "{\"artifact_bytes\":250}");
    int s = 0;
    for (; s < 62; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }
    assert_string_equal(last_of(site).reason, "artifact_bytes: artifact_bytes of v1 is not "
                                              "registered");
    register_bytes(site, "v1", "{\"artifact_bytes\":1000}");
    for (; s < 122; s++) {
        feed(site, T0 + s * SECOND, 20, -1);
        look(site, T0 + (s + 1) * SECOND, 0);
    }

    assert_string_equal(last_of(site).verdict, "promote");
    site_free(site);
}

static void labels_of_many_classes_ripen_like_all_others(void **state)
{
    (void)state;
    struct site *site = site_new(
        HALF, "{\"metric\":\"f1_macro\",\"margin\":0.05},{\"metric\":\"dice\",\"margin\":0.1}",
        ",\"maturity\":\"30s\"");
    struct err err = {0};
    const struct class_pixels pixels[] = {{7, 6, 1, 1}, {8, 1, 1, 2}};
    const struct sample scene = {.pixels = pixels, .n_pixels = 2};
    feed(site, T0, 1, -1);
    look(site, T0 + SECOND, 0);
    for (int i = 0; i < 300; i++) {
        struct run_event event = label_of(i, (struct observation){.content = &scene});
        event.observation.predicted_class = 1 + (uint64_t)i % 3;
        event.observation.label_class = 1 + (uint64_t)i % 3;
        assert_int_equal(run_observe(site->run, &event, &err), 0);
    }
    look(site, T0 + 6 * SECOND, 0);
    assert_int_equal(labelled(site), 0);
    restart(site);

    look(site, T0 + 36 * SECOND, 0);

    assert_int_equal(labelled(site), 300);
    json_t *json = NULL;
    must(experiments_read(site->store, "e", take_verdict, &json, &err), &err);
    json_t *dice = json_array_get(json_object_get(json, "metrics"), 1);
    assert_close(json_number_value(json_object_get(json_object_get(dice, "control"), "value")),
                 (12.0 / 14 + 2.0 / 5) / 2, 1e-12);
    json_decref(json);
    site_free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_step_is_left_upwards_while_our_own_input_is_behind),
        cmocka_unit_test(harm_rolls_back_out_of_a_backlog),
        cmocka_unit_test(the_last_look_of_a_burst_is_shown_without_another_one),
        cmocka_unit_test(a_lag_beyond_stale_after_holds),
        cmocka_unit_test(a_jump_begins_behind_the_backlog),
        cmocka_unit_test(an_artifact_beyond_its_limit_rolls_back_as_soon_as_it_is_known),
        cmocka_unit_test(what_is_not_registered_holds_and_a_smaller_artifact_goes_on),
        cmocka_unit_test(labels_of_many_classes_ripen_like_all_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
