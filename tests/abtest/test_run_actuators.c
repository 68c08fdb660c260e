#include "storage/actuation.h"
#include "tests/abtest/site.h"

static struct actuator_set *one_called(const char *name, struct config **config)
{
    char text[300];
    struct err err = {0};
    struct actuator_set *set = NULL;
    snprintf(text, sizeof(text),
             "storage: {path: a.db}\nmodels: [{name: credit, task: binary, positive: 1}]\n"
             "actuators: [{name: %s, experiment: e, type: file, path: /x, template: '{{seq}}'}]\n",
             name);
    must(config_parse(config, "a.yaml", text, strlen(text), &err), &err);
    must(actuator_set_parse(&set, *config, &err), &err);
    return set;
}

static int take_row(void *context, const struct actuation_row *row, struct err *err)
{
    (void)err;
    struct actuation_row *copy = context;
    *copy = *row;
    copy->experiment = "e";
    copy->problem = "";
    return 0;
}

/* Of the actuator's experiment; seq 0: none. */
static struct actuation_row wish_to(struct site *site, const char *actuator)
{
    struct err err = {0};
    struct actuation_row row = {0};
    must(actuations_read(site->store, actuator, "e", take_row, &row, &err), &err);
    row.actuator = actuator;
    return row;
}

static struct actuation_row wish_of(struct site *site)
{
    return wish_to(site, "edge");
}

/* The weight of "e", 50%, as the actuators of a configuration are to carry it. */
static struct actuation_row carry_half(struct site *site, const struct actuator_set *set)
{
    struct err err = {0};
    must(run_set_actuators(site->run, set, T0, &err), &err);
    struct actuation_row half = wish_of(site);
    assert_true(half.weight == 50);
    return half;
}

static int confirm(struct site *site, struct actuation_row wish)
{
    struct err err = {0};
    wish.confirmed = true;
    must(commit_begin(site->store, &err), &err);
    int rc = commit_actuation_outcome(site->store, &wish, &err);
    must(commit_end(site->store, &err), &err);
    return rc;
}

static void roll_back(struct site *site)
{
    struct err err = {0};
    const struct run_order order = {
        .name = "e", .command = "rollback", .step = -1, .reason = "enough", .id = ""};
    must(run_command(site->run, &order, &person, &err), &err);
}

/* What carried the weight of before a rollback may say so after it. */
static void a_rollback_is_not_confirmed_by_what_a_new_actuator_carried_before(void **state)
{
    (void)state;
    AUTO(config) struct config *config = NULL;
    AUTO(actuator_set) struct actuator_set *set = one_called("edge", &config);
    struct site *site = site_new(HALF, ERRORS, "");

    struct actuation_row half = carry_half(site, set);
    roll_back(site);

    assert_int_equal(confirm(site, half), ACTUATION_STALE);
    struct actuation_row nothing = wish_of(site);
    assert_true(nothing.weight == 0);
    assert_false(nothing.confirmed);
    assert_int_equal(confirm(site, nothing), 0);
    assert_true(wish_of(site).confirmed);
    site_free(site);
}

static void each_weight_has_a_number_of_its_own_over_restarts(void **state)
{
    (void)state;
    AUTO(config) struct config *config = NULL;
    AUTO(actuator_set) struct actuator_set *set = one_called("edge", &config);
    struct site *site = site_new(HALF, ERRORS, "");
    struct err err = {0};

    struct actuation_row half = carry_half(site, set);
    restart(site);
    must(run_set_actuators(site->run, set, T0 + SECOND, &err), &err);
    assert_int_equal(wish_of(site).seq, half.seq);
    roll_back(site);

    assert_int_equal(wish_of(site).seq, half.seq + 1);
    site_free(site);
}

/* One takes another's place: it carries a rollback that the other had not. One that was carried out
 * is over when no request of before it can be under way any more. */
static void an_end_goes_to_the_next_actuator_until_nothing_can_undo_it(void **state)
{
    (void)state;
    static const struct {
        bool confirmed;
        int64_t later_ms;
        bool goes_on;
    } cases[] = {
        {false, SECOND, true},
        {false, ACTUATOR_LATE_MS, true},
        {true, SECOND, true},
        {true, ACTUATOR_LATE_MS, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(config) struct config *first = NULL;
        AUTO(config) struct config *second = NULL;
        AUTO(actuator_set) struct actuator_set *edge = one_called("edge", &first);
        AUTO(actuator_set) struct actuator_set *mesh = one_called("mesh", &second);
        struct site *site = site_new(HALF, ERRORS, "");
        struct err err = {0};
        carry_half(site, edge);
        roll_back(site);
        int64_t wanted_ms = wish_of(site).wanted_ms;
        if (cases[i].confirmed)
            assert_int_equal(confirm(site, wish_of(site)), 0);

        must(run_set_actuators(site->run, mesh, wanted_ms + cases[i].later_ms, &err), &err);

        assert_int_equal(wish_of(site).seq, 0);
        struct actuation_row wish = wish_to(site, "mesh");
        assert_int_equal(wish.seq != 0, cases[i].goes_on);
        assert_true(wish.weight == 0);
        assert_false(wish.confirmed);
        site_free(site);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollback_is_not_confirmed_by_what_a_new_actuator_carried_before),
        cmocka_unit_test(an_end_goes_to_the_next_actuator_until_nothing_can_undo_it),
        cmocka_unit_test(each_weight_has_a_number_of_its_own_over_restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
