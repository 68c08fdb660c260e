/* Experiments at work, on a database of their own: what is created, refused, decided and kept. */
#include "storage/audit.h"
#include "storage/looks.h"
#include "tests/abtest/site.h"

#define OBJECT(name, more)                                                                         \
    "{\"name\":\"" name "\",\"model\":\"credit\",\"control\":\"v1\",\"treatment\":\"v2\","         \
    "\"steps\":[{\"weight\":50,\"min_duration\":\"1h\"}],\"metrics\":[{\"metric\":\"error_rate\"," \
    "\"margin_relative\":0.5}]" more "}"

/* Units that all fail in treatment, and never in control. */
static void feed_harm(struct site *site, int64_t ts_ms, int n)
{
    struct err err = {0};
    for (int i = 0; i < n; i++) {
        char unit[32];
        int size = snprintf(unit, sizeof(unit), "u%d", i);
        struct run_event event = {
            .model = "credit",
            .unit = {unit, (size_t)size},
            .unit_hash = (uint64_t)(i + 1) << 1,
            .ts_ms = ts_ms,
            .sign = 1,
            .observation = {.stage = STAGE_PREDICTION, .latency_ms = 1},
        };
        event.version = "v1";
        event.observation.failed = false;
        int rc = run_observe(site->run, &event, &err);
        if (rc == RUN_OUTSIDE) { /* its bucket is the treatment's */
            event.version = "v2";
            event.observation.failed = true;
            rc = run_observe(site->run, &event, &err);
        }
        assert_int_equal(rc, 0);
    }
}

static int take_state(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    snprintf(context, 32, "%s %g", row->state, row->weight);
    return 0;
}

static void state_is(struct site *site, const char *name, const char *expected)
{
    char state[32] = "";
    struct err err = {0};
    must(experiments_read(site->store, name, take_state, state, &err), &err);
    assert_string_equal(state, expected);
}

static void harm_rolls_back_and_survives_a_restart_in_the_middle(void **state)
{
    (void)state;
    struct site *site = site_bare();
    struct err err = {0};
    must(create(site, OBJECT("e", ",\"start\":true"), &err), &err);
    state_is(site, "e", "running 50");
    feed_harm(site, 1700000000100, 200);
    must(commit_begin(site->store, &err), &err);
    must(run_in_commit(site->run, site->store, 1700000000100, &err), &err);
    must(commit_end(site->store, &err), &err);

    run_free(site->run);
    open_run(site);
    struct run_now now = {1700000001000, 1700000001000, 1700000001000, 0, 0};
    must(run_look(site->run, &now, &err), &err);

    state_is(site, "e", "rolled_back 0");
    assert_false(run_active(site->run));
    assert_int_equal(site->told, 2); /* the start and the rollback */
    must(audit_verify(site->store, &err), &err);
    site_free(site);
}

static int count_look(void *context, const struct look_row *row, struct err *err)
{
    (void)err;
    char *text = context;
    size_t n = strlen(text);
    snprintf(text + n, 400 - n, "%lld ", (long long)(row->at_ms - 1700000000000) / 1000);
    assert_int_equal(row->step, 0);
    assert_float_equal(row->weight, 50, 0);
    assert_non_null(strstr(row->detail, "\"metrics\":[{\"metric\":\"error_rate\""));
    return 0;
}

/* Looks of 40 s, one a second; `real_step` is how fast the wall clock goes meanwhile. */
static void look_for_a_while(struct site *site, int64_t real_step, char *kept)
{
    struct err err = {0};
    must(create(site, OBJECT("e", ",\"start\":true"), &err), &err);
    for (int64_t at = 1700000001000; at <= 1700000040000; at += 1000) {
        struct run_event event = {
            .model = "credit",
            .version = "v1",
            .unit = {"u", 1},
            .unit_hash = 2,
            .ts_ms = at - 500,
            .sign = 1,
            .observation = {.stage = STAGE_PREDICTION, .latency_ms = 1},
        };
        assert_true(run_observe(site->run, &event, &err) >= 0);
        struct run_now now = {at, at, 1 + (at - 1700000000000) / 1000 * real_step, 0, 0};
        must(run_look(site->run, &now, &err), &err);
    }
    must(looks_read(site->store, "e", -1, 100, count_look, kept, &err), &err);
}

static void kept_looks_depend_on_event_time_alone(void **state)
{
    (void)state;
    struct site *live = site_bare(), *replayed = site_bare();
    char slow[400] = "", fast[400] = "";

    look_for_a_while(live, 1000, slow);
    look_for_a_while(replayed, 1, fast);

    assert_string_equal(slow, "1 11 21 31 ");
    assert_string_equal(fast, slow);
    site_free(live);
    site_free(replayed);
}

static void what_cannot_be_run_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct site *site = site_bare();
    struct err err = {0};
    must(create(site, OBJECT("e", ",\"start\":true"), &err), &err);

    assert_int_equal(create(site, OBJECT("e", ""), &err), RUN_CONFLICT);
    assert_non_null(strstr(err.text, "exists already"));
    assert_int_equal(create(site, OBJECT("f", ",\"start\":true"), &err), RUN_CONFLICT);
    assert_non_null(strstr(err.text, "experiment e is running on model credit already"));
    struct run_order order = {"g", "pause", -1, "", ""};
    assert_int_equal(run_command(site->run, &order, &person, &err), ERR_NOT_FOUND);
    site_free(site);
}

/* What serves must be known; what is to serve may still have to be deployed. */
static void an_unknown_control_or_model_is_refused_with_what_is_near(void **state)
{
    (void)state;
    struct site *site = site_bare();
    struct err err = {0};
    const char *control = "{\"name\":\"a\",\"model\":\"credit\",\"control\":\"v11\",\"treatment\":"
                          "\"v2\",\"start\":true,"
                          "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}]}";
    const char *model =
        "{\"name\":\"b\",\"model\":\"credid\",\"control\":\"v1\",\"treatment\":\"v2\","
        "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}]}";

    assert_int_equal(create(site, control, &err), ERR_DATA);
    assert_string_equal(err.text,
                        "control: \"v11\" is not known as a version of this model; did you "
                        "mean \"v1\"?");
    assert_int_equal(create(site, model, &err), ERR_DATA);
    assert_string_equal(err.text, "model: \"credid\" is not known; did you mean \"credit\"?");
    must(create(site, OBJECT("e", ",\"start\":true"), &err), &err); /* v2 has not spoken yet */
    site_free(site);
}

static void a_command_of_the_same_key_is_carried_out_once(void **state)
{
    (void)state;
    struct site *site = site_bare();
    struct err err = {0};
    must(create(site, OBJECT("e", ",\"start\":true"), &err), &err);
    struct run_order pause = {"e", "pause", -1, "why not", "key-1"};
    struct run_order resume = {"e", "resume", -1, "", ""};

    must(run_command(site->run, &pause, &person, &err), &err);
    state_is(site, "e", "paused 50");
    must(run_command(site->run, &resume, &person, &err), &err);
    must(run_command(site->run, &pause, &person, &err), &err);

    state_is(site, "e", "running 50");
    site_free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harm_rolls_back_and_survives_a_restart_in_the_middle),
        cmocka_unit_test(kept_looks_depend_on_event_time_alone),
        cmocka_unit_test(what_cannot_be_run_is_refused_with_its_reason),
        cmocka_unit_test(an_unknown_control_or_model_is_refused_with_what_is_near),
        cmocka_unit_test(a_command_of_the_same_key_is_carried_out_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
