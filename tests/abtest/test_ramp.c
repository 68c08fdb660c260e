#include "abtest/ramp.h"

#include <string.h>

#include "tests/test.h"

static struct experiment *experiment_of(const char *steps)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}],\"steps\":%s}",
             steps);
    struct experiment *e = NULL;
    struct err err;
    if (experiment_parse_text(&e, text, strlen(text), &err) != 0)
        fail_msg("%s", err.text);
    return e;
}

static struct ramp_now at(int64_t ms)
{
    return (struct ramp_now){ms, ms};
}

static struct ramp_state running(const struct experiment *e)
{
    struct ramp_state state = ramp_draft();
    assert_int_equal(ramp_command(&state, e, COMMAND_START, 0, at(1000), NULL), 0);
    return state;
}

static void verdicts_carry_it_from_draft_to_promoted(void **state)
{
    (void)state;
    AUTO(experiment)
    struct experiment *e = experiment_of("[{\"weight\":5},{\"weight\":50},{\"weight\":100}]");
    struct ramp_state r = ramp_draft();
    assert_close(ramp_weight(&r, e), 0, 0);

    r = running(e);
    assert_close(ramp_weight(&r, e), 5, 0);
    r = ramp_step(r, e, VERDICT_CONTINUE, false, at(2000));
    assert_int_equal(r.step, 0);
    assert_int_equal(r.since_ms, 1000);
    r = ramp_step(r, e, VERDICT_ADVANCE, false, at(3000));
    assert_close(ramp_weight(&r, e), 50, 0);
    assert_int_equal(r.since_ms, 3000);
    r = ramp_step(r, e, VERDICT_ADVANCE, false, at(4000));
    r = ramp_step(r, e, VERDICT_PROMOTE, false, at(5000));

    assert_string_equal(ramp_phase_name(r.phase), "promoted");
    assert_close(ramp_weight(&r, e), 100, 0);
    r = ramp_step(r, e, VERDICT_ROLLBACK, false, at(6000)); /* final is final */
    assert_int_equal(r.phase, RAMP_PROMOTED);
}

static void F43_a_paused_one_may_only_go_down(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_of("[{\"weight\":5},{\"weight\":50}]");
    struct ramp_state r = running(e);
    assert_int_equal(ramp_command(&r, e, COMMAND_PAUSE, 0, at(2000), NULL), 0);

    r = ramp_step(r, e, VERDICT_ADVANCE, false, at(3000));
    assert_int_equal(r.step, 0);
    assert_close(ramp_weight(&r, e), 5, 0);
    r = ramp_step(r, e, VERDICT_ROLLBACK, false, at(4000));
    assert_int_equal(r.phase, RAMP_ROLLED_BACK);
    assert_close(ramp_weight(&r, e), 0, 0);
}

static void a_frozen_one_is_left_alone_until_it_is_resumed(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_of("[{\"weight\":5},{\"weight\":50}]");
    struct ramp_state r = running(e);
    assert_int_equal(ramp_command(&r, e, COMMAND_FREEZE, 0, at(2000), NULL), 0);

    r = ramp_step(r, e, VERDICT_ROLLBACK, false, at(3000));
    assert_int_equal(r.phase, RAMP_PAUSED);
    assert_int_equal(ramp_command(&r, e, COMMAND_RESUME, 0, at(4000), NULL), 0);
    r = ramp_step(r, e, VERDICT_ROLLBACK, false, at(5000));
    assert_int_equal(r.phase, RAMP_ROLLED_BACK);
}

static void a_person_may_jump_up_and_down_and_end_it(void **state)
{
    (void)state;
    AUTO(experiment)
    struct experiment *e =
        experiment_of("[{\"weight\":5},{\"weight\":50,\"approval\":true},{\"weight\":100}]");
    struct ramp_state r = running(e);

    assert_int_equal(ramp_command(&r, e, COMMAND_JUMP, 2, at(2000), NULL), 0);
    assert_close(ramp_weight(&r, e), 100, 0);
    assert_int_equal(ramp_command(&r, e, COMMAND_JUMP, 0, at(3000), NULL), 0);
    assert_int_equal(r.since_ms, 3000);
    assert_int_equal(ramp_command(&r, e, COMMAND_PROMOTE, 0, at(4000), NULL), 0);
    assert_int_equal(r.phase, RAMP_PROMOTED);
}

static void an_approval_is_given_once_for_the_step_that_waits(void **state)
{
    (void)state;
    AUTO(experiment)
    struct experiment *e =
        experiment_of("[{\"weight\":5},{\"weight\":50,\"approval\":true},{\"weight\":100}]");
    struct ramp_state r = running(e);
    struct err err;

    assert_int_equal(r.approved, -1);
    assert_int_equal(ramp_command(&r, e, COMMAND_APPROVE, -1, at(2000), NULL), 0);
    assert_int_equal(r.approved, 1);
    assert_int_equal(ramp_command(&r, e, COMMAND_APPROVE, -1, at(3000), &err), RAMP_CONFLICT);
    assert_string_equal(err.text, "experiment e: no step waits for an approval");
}

static void what_the_state_forbids_is_refused_by_name(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_of("[{\"weight\":5},{\"weight\":50}]");
    struct ramp_state r = ramp_draft();
    struct err err;

    assert_int_equal(ramp_command(&r, e, COMMAND_PROMOTE, 0, at(1), &err), RAMP_CONFLICT);
    assert_string_equal(err.text,
                        "experiment e is draft: promote needs one that is running or paused");
    r = running(e);
    assert_int_equal(ramp_command(&r, e, COMMAND_RESUME, 0, at(1), &err), RAMP_CONFLICT);
    assert_string_equal(err.text, "experiment e is running: resume needs one that is paused");
    assert_int_equal(ramp_command(&r, e, COMMAND_JUMP, 7, at(1), &err), RAMP_CONFLICT);
    assert_string_equal(err.text, "experiment e has no step 7: its steps are 0..1");
    assert_int_equal(ramp_command(&r, e, COMMAND_ROLLBACK, 0, at(1), NULL), 0);
    assert_int_equal(ramp_command(&r, e, COMMAND_START, 0, at(1), &err), RAMP_CONFLICT);
    assert_string_equal(err.text, "experiment e is rolled_back: start needs a draft");
}

static void silence_is_timed_from_its_first_look(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_of("[{\"weight\":5},{\"weight\":50}]");
    struct ramp_state r = running(e);

    r = ramp_step(r, e, VERDICT_HOLD, true, at(5000));
    r = ramp_step(r, e, VERDICT_HOLD, true, at(9000));
    assert_int_equal(r.silent_since_ms, 5000);
    r = ramp_step(r, e, VERDICT_CONTINUE, false, at(10000));
    assert_int_equal(r.silent_since_ms, 0);
}

static void words_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < N_COMMANDS; i++)
        assert_int_equal(ramp_command_parse(ramp_command_name((enum ramp_command)i)), i);
    for (int i = 0; i < N_RAMP_PHASES; i++)
        assert_int_equal(ramp_phase_parse(ramp_phase_name((enum ramp_phase)i)), i);
    assert_int_equal(ramp_command_parse("ship"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_carry_it_from_draft_to_promoted),
        cmocka_unit_test(F43_a_paused_one_may_only_go_down),
        cmocka_unit_test(a_frozen_one_is_left_alone_until_it_is_resumed),
        cmocka_unit_test(a_person_may_jump_up_and_down_and_end_it),
        cmocka_unit_test(an_approval_is_given_once_for_the_step_that_waits),
        cmocka_unit_test(what_the_state_forbids_is_refused_by_name),
        cmocka_unit_test(silence_is_timed_from_its_first_look),
        cmocka_unit_test(words_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
